package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
)

// scalePrefix begins the names of figures of large chains, which take minutes: they are measured only when asked for.
const scalePrefix = "scale_"

// scaleSingles is how many entries the large chain of entries with one commitment has; each costs a signature.
const scaleSingles = 100_000

// sealInterval is the large chains', in seconds, as on chains that are no dev chains.
const sealInterval = 10

// large is a chain made in bulk, begun when it is first needed.
type large struct {
	dir         string
	entries     int
	commitments int // in each
	interval    int // seconds from seal to seal
	progress    func(string)

	once   sync.Once
	failed error
	chain  *chain
	took   time.Duration // to load
	bytes  int64         // that the store then had
}

func (l *large) leaves() int { return l.entries * l.commitments }

// load makes the chain and closes it.
func (l *large) load(ctx context.Context) error {
	l.once.Do(func() {
		l.progress(fmt.Sprintf("making a chain of %d leaves (not a figure)", l.leaves()))
		if l.failed = l.make(ctx); l.failed != nil {
			l.failed = fmt.Errorf("make a chain of %d leaves: %w", l.leaves(), l.failed)
		}
	})
	return l.failed
}

func (l *large) make(ctx context.Context) (err error) {
	age := time.Duration((l.leaves()/sealedLeaves+3)*l.interval) * time.Second
	if l.chain, err = newChain(chainConfig{dir: l.dir, agencies: submitters, interval: l.interval, age: age}); err != nil {
		return err
	}
	start := time.Now()
	if err := l.chain.load(ctx, l.entries, l.commitments); err != nil {
		return err
	}
	l.took = time.Since(start)
	if err := l.chain.stop(); err != nil {
		return err
	}
	l.bytes, err = folderSize(l.chain.file().Store)
	return err
}

func (l *large) close() {
	if l.chain != nil {
		l.chain.close()
	}
}

// folderSize is how many bytes the files below a folder have.
func folderSize(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// scaleMeasures are the figures of large chains.
func scaleMeasures(cfg Config, dir string) (list []measure, closeAll func()) {
	many := &large{dir: filepath.Join(dir, "many"), entries: max(cfg.Millions, 1) * 1_000_000 / entry.MaxBatch, commitments: entry.MaxBatch, interval: sealInterval, progress: cfg.Progress}
	single := &large{dir: filepath.Join(dir, "single"), entries: scaleSingles, commitments: 1, interval: sealInterval, progress: cfg.Progress}
	known := func(name, unit string, l *large, value func() float64) measure {
		return measure{name, unit, 1, false, func(ctx context.Context) (float64, error) {
			if err := l.load(ctx); err != nil {
				return 0, err
			}
			return value(), nil
		}}
	}
	list = []measure{
		known(scalePrefix+"load", "leaves/s", many, func() float64 { return float64(many.leaves()) / many.took.Seconds() }),
		known(scalePrefix+"stored", "bytes/credential", many, func() float64 { return float64(many.bytes) / float64(many.leaves()) }),
		known(scalePrefix+"stored_single", "bytes/credential", single, func() float64 { return float64(single.bytes) / float64(single.leaves()) }),
	}
	if cfg.Open != nil {
		list = slices.Concat(list, many.opening(cfg, ""), single.opening(cfg, "_single"))
	}
	return append(list, many.paths()...), func() { many.close(); single.close() }
}

// opening are the time and the memory that a process takes to open the chain.
func (l *large) opening(cfg Config, suffix string) []measure {
	figure := func(name, unit string, value func(ColdOpen) float64) measure {
		return measure{scalePrefix + name + suffix, unit, cfg.Runs, true, func(ctx context.Context) (float64, error) {
			if err := l.load(ctx); err != nil {
				return 0, err
			}
			file := filepath.Join(l.dir, "chain.json")
			text, err := json.Marshal(l.chain.file())
			if err != nil {
				return 0, err
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return 0, err
			}
			opened, err := cfg.Open(ctx, file)
			return value(opened), err
		}}
	}
	return []measure{
		figure("open", "ms", func(o ColdOpen) float64 { return o.Milliseconds }),
		figure("open_memory", "bytes", func(o ColdOpen) float64 { return float64(o.Resident) }),
		figure("open_peak", "bytes", func(o ColdOpen) float64 { return float64(o.Peak) }),
	}
}

// ColdOpen is what a process of its own took to open a ledger.
type ColdOpen struct {
	Milliseconds float64 `json:"milliseconds"` // from before the store is opened until the ledger takes entries
	Resident     int64   `json:"resident"`     // bytes of memory then; 0 where the system does not say
	Peak         int64   `json:"peak"`         // most bytes that were resident until then; likewise
}

// OpenCold opens the ledger that a file of [Config.Open] names, as a service does, and closes it.
func OpenCold(path string) (ColdOpen, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return ColdOpen{}, err
	}
	var file chainFile
	if err := json.Unmarshal(text, &file); err != nil {
		return ColdOpen{}, fmt.Errorf("%s: %w", path, err)
	}
	start := time.Now()
	cfg, rows, err := file.open()
	if err != nil {
		return ColdOpen{}, err
	}
	defer rows.Close() // nothing was written that must not be lost
	log, err := ledger.Open(cfg)
	if err != nil {
		return ColdOpen{}, err
	}
	out := ColdOpen{Milliseconds: milliseconds(time.Since(start))}
	out.Resident, out.Peak = memory()
	return out, log.Close()
}

// memory is how many bytes of this process are in memory, and the most that were, where the system tells. What the system
// tells a parent of its child's peak will not do: it counts the parent's own, from before the child's program began.
func memory() (resident, peak int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
		switch {
		case err != nil:
		case fields[0] == "VmRSS:":
			resident = kibibytes << 10
		case fields[0] == "VmHWM:":
			peak = kibibytes << 10
		}
	}
	return resident, peak
}
