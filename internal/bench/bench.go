// Package bench measures what operators and citizens wait for: proving and verifying, the sizes of keys and proofs, the
// throughput of the ledger and of a verifier, the work of a wallet on trees, and imports. Everything is the real thing: development keys, a statement
// compiled from a policy, a ledger on Pebble with synced commits in a temporary folder.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits"
)

// Figure is one measured figure.
type Figure struct {
	Name   string  `json:"name"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Unit   string  `json:"unit"`
	N      int     `json:"n"` // runs behind it
}

// Config says what to measure.
type Config struct {
	Runs   int          // of each slow figure; 5. Quick ones are repeated more often
	Only   string       // prefix of the names of figures to measure; all if empty
	Report func(Figure) // is told of each figure as it is known
	// Progress is told what is being measured next. It may be nil.
	Progress func(string)
	// Cold makes the first proof of a new process: it starts one that calls [ProveCold] with the file, and returns what
	// that process wrote. Nil leaves the figures of cold proofs out.
	Cold func(ctx context.Context, file string) (ColdProof, error)
	// Open opens a ledger in a new process: it starts one that calls [OpenCold] with the file, and returns what that process
	// took. Nil leaves the figures of opening large chains out.
	Open     func(ctx context.Context, file string) (ColdOpen, error)
	Millions int // of leaves in the large chain of the figures that begin with scale_; 1
}

// ColdProof is what a process of its own made, and took.
type ColdProof struct {
	Proof []byte
	Peak  int64 // most memory that was resident, in bytes; 0 where the system does not say
}

const defaultRuns = 5

// quick is how many times more often than slow ones quick figures are measured.
const quick = 20

// measure is one figure to be.
type measure struct {
	name, unit string
	n          int
	warm       bool // one run more, first, that does not count
	run        func(context.Context) (float64, error)
}

// Run measures everything that is asked for, in order.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Report == nil {
		return errors.New("bench: nobody to report figures to")
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Runs <= 0 {
		cfg.Runs = defaultRuns
	}
	dir, err := os.MkdirTemp("", "bulla-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	proofs := newProofs(ctx, filepath.Join(dir, "keys"), cfg.Progress)
	ledgers, closeLedgers := ledgerMeasures(cfg.Runs, filepath.Join(dir, "ledger"))
	defer closeLedgers()
	imports, closeImports := importMeasures(min(cfg.Runs, 3), filepath.Join(dir, "issuer"), proofs)
	defer closeImports()
	verifiers, closeVerifiers := verifierMeasures(cfg.Runs, presentations, filepath.Join(dir, "verifier"), proofs)
	defer closeVerifiers()
	scale, closeScale := scaleMeasures(cfg, filepath.Join(dir, "scale"))
	defer closeScale()
	measures := slices.Concat(
		proofs.measures(circuits.Presentation, "presentation", cfg),
		proofs.measures(circuits.PresentationSmall, "small", cfg),
		proofs.measures(circuits.Enrolment, "enrolment", cfg),
		ledgers,
		treeMeasures(cfg.Runs),
		imports,
		verifiers,
		scale,
	)
	done := 0
	for _, m := range measures {
		if !strings.HasPrefix(m.name, cfg.Only) || strings.HasPrefix(m.name, scalePrefix) && !strings.HasPrefix(cfg.Only, scalePrefix) {
			continue
		}
		cfg.Progress(m.name)
		figure, err := m.measure(ctx)
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
		cfg.Report(figure)
		done++
	}
	if done == 0 {
		return fmt.Errorf("bench: no figure has a name that begins with %q", cfg.Only)
	}
	return nil
}

func (m measure) measure(ctx context.Context) (Figure, error) {
	if m.warm {
		if _, err := m.run(ctx); err != nil {
			return Figure{}, err
		}
	}
	var values []float64
	for range m.n {
		if err := ctx.Err(); err != nil {
			return Figure{}, err
		}
		v, err := m.run(ctx)
		if err != nil {
			return Figure{}, err
		}
		values = append(values, v)
	}
	return NewFigure(m.name, m.unit, values), nil
}

// NewFigure summarises the values of some runs, of which there is at least one.
func NewFigure(name, unit string, values []float64) Figure {
	values = slices.Sorted(slices.Values(values))
	return Figure{name, round(median(values)), round(values[0]), round(values[len(values)-1]), unit, len(values)}
}

// median of sorted values.
func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// round keeps three digits after the point.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// fact is a measure of something that never varies.
func fact(name, unit string, value func() (int, error)) measure {
	return measure{name: name, unit: unit, n: 1, run: func(context.Context) (float64, error) {
		v, err := value()
		return float64(v), err
	}}
}

// timed is a measure of the milliseconds that f takes. prepare, which may be nil, comes first and does not count.
func timed(name string, n int, warm bool, prepare func() error, f func(context.Context) error) measure {
	return measure{name, "ms", n, warm, func(ctx context.Context) (float64, error) {
		if prepare != nil {
			if err := prepare(); err != nil {
				return 0, err
			}
		}
		start := time.Now()
		err := f(ctx)
		return milliseconds(time.Since(start)), err
	}}
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
