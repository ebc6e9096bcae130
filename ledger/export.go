package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// exportGrace is how long files that only readers of an older checkpoint need stay.
const exportGrace = 10 * time.Minute

// exportState is the file that remembers how far an export has got. It is no secret, and readers do not need it.
const exportState = ".export.json"

// exported is the content of that file.
type exported struct {
	Size      uint64              `json:"size"`           // log tiles of a tree of that size are there
	Seals     uint64              `json:"seals"`          // versions of seals below that height are there, or were
	KeptFrom  uint64              `json:"kept_from"`      // versions of seals below that height are gone
	Sets      uint64              `json:"sets,omitempty"` // that many are there
	Published credential.Digest   `json:"published"`      // hash of the checkpoint
	Swept     credential.UnixTime `json:"swept"`          // when old versions were removed last
	Passing   []passing           `json:"passing"`        // what later checkpoints do not need
}

// passing is a file that only checkpoints up to a time need: a partial tile, or a seal with its proof.
type passing struct {
	Name   string              `json:"name"`
	Needed credential.UnixTime `json:"needed"` // when an export last found that its checkpoint needs it
}

// ExportReport says what an export did.
type ExportReport struct {
	Size    uint64 `json:"size"`    // entries in the exported checkpoint
	Written int    `json:"written"` // files
	Removed int    `json:"removed"` // files
}

// Export writes the static part as files below a folder, which any web server can serve: the objects that the
// checkpoint needs, each durable, and the checkpoint last. A reader that comes in between sees the old checkpoint with
// all it needs. Called again it writes only what is new, and removes what only checkpoints older than ten minutes need.
// One export at a time may run on a folder.
func (s *Static) Export(ctx context.Context, dir string, now time.Time) (ExportReport, error) {
	x := &export{ctx: ctx, s: s, dir: dir, now: now}
	if err := x.run(); err != nil {
		return x.report, fmt.Errorf("export to %s: %w", dir, err)
	}
	return x.report, nil
}

// export is one run.
type export struct {
	ctx      context.Context
	s        *Static
	dir      string
	now      time.Time
	size     uint64 // of the checkpoint
	last     entry.Seal
	state    exported
	keptFrom uint64
	dirty    map[string]bool // folders to sync
	needed   map[string]bool // files of the checkpoint that later ones may not need
	report   ExportReport
}

func (x *export) run() error {
	head := x.s.head()
	if head == nil {
		return errors.New("no checkpoint is published yet")
	}
	if err := x.open(head); err != nil {
		return err
	}
	if x.state.Published == credential.DigestOf(head) {
		return nil
	}
	x.dirty, x.needed = make(map[string]bool), make(map[string]bool)
	for _, step := range []func() error{x.genesis, x.logTiles, x.sealBundles, x.sets, x.versions, x.sync} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := x.replace("checkpoint", head); err != nil {
		return err
	}
	x.state.Size, x.state.Seals, x.state.Published = x.size, x.last.Height+1, credential.DigestOf(head)
	if err := x.save(); err != nil {
		return err
	}
	return x.sweep()
}

// open reads the checkpoint's size and how far the last export went.
func (x *export) open(head []byte) error {
	size, err := noteSize(head)
	if err != nil {
		return err
	}
	x.size, x.report.Size = size, size
	if size < 2 {
		return errors.New("the checkpoint holds no seal")
	}
	if x.last, err = readSeal(x.s.rows, size-1); err != nil {
		return fmt.Errorf("the checkpoint does not end in a seal: %w", err)
	}
	if x.keptFrom, err = KeptFrom(x.s.rows); err != nil {
		return err
	}
	if err := os.MkdirAll(x.dir, 0o755); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(x.dir, ".new-*")) // of a run that died
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(x.dir, exportState))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := credential.ParseCanonical(text, &x.state); err != nil {
		return fmt.Errorf("%s: %w", exportState, err)
	}
	if x.state.Size > size {
		return fmt.Errorf("the folder holds %d entries, the checkpoint %d: was the ledger put back, or is it another?", x.state.Size, size)
	}
	return nil
}

// noteSize is the size in a checkpoint that is known to be good.
func noteSize(head []byte) (uint64, error) {
	lines := strings.SplitN(string(head), "\n", 3)
	if len(lines) < 3 {
		return 0, errors.New("malformed checkpoint")
	}
	return strconv.ParseUint(lines[1], 10, 53)
}

func (x *export) genesis() error { return x.put("genesis") }

// logTiles writes hash tiles and entry bundles.
func (x *export) logTiles() error {
	return x.tiles(x.state.Size, x.size, func(t tlog.Tile) error {
		if err := x.put(staticTile(t)); err != nil || t.L > 0 {
			return err
		}
		t.L = -1
		return x.put(staticTile(t))
	})
}

// tiles calls put for each tile of a tree that one of an older size has not, and for all that are partial.
func (x *export) tiles(from, size uint64, put func(tlog.Tile) error) error {
	for level := 0; size>>(level*tileHeight) > 0; level++ {
		width := size >> (level * tileHeight)
		for n := from >> ((level + 1) * tileHeight); n<<tileHeight < width; n++ {
			t := tlog.Tile{H: tileHeight, L: level, N: int64(n), W: int(min(1<<tileHeight, width-n<<tileHeight))}
			if err := put(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// staticTile is the path of a tile or bundle.
func staticTile(t tlog.Tile) string {
	rest := strings.TrimPrefix(t.Path(), "tile/8/")
	if t.L < 0 {
		rest = "entries" + strings.TrimPrefix(rest, "data")
	}
	return "tile/" + rest
}

// sealBundles writes the newest seal with its proof, and the seals by height.
func (x *export) sealBundles() error {
	if err := x.put(fmt.Sprintf("seal/%d", x.size)); err != nil {
		return err
	}
	return x.tiles(x.state.Seals, x.last.Height+1, func(t tlog.Tile) error {
		if t.L > 0 {
			return nil
		}
		t.L = -1
		return x.put("seals" + strings.TrimPrefix(staticTile(t), "tile/entries"))
	})
}

// sets writes the sets that the last export had not. One that came after the checkpoint may be among them.
func (x *export) sets() error {
	state, err := readState(x.s.rows)
	if err != nil {
		return err
	}
	for ; x.state.Sets < state.Sets; x.state.Sets++ {
		digest, err := x.s.rows.Get([]byte(numbered(prefixSetOf, x.state.Sets)))
		if err != nil || len(digest) != len(credential.Digest{}) {
			return fmt.Errorf("set %d: %w", x.state.Sets, errors.Join(err, errDamaged))
		}
		if err := x.put(kindSet + "/" + credential.Digest(digest).String()); err != nil {
			return err
		}
	}
	return nil
}

// versions writes documents and active tiles of the seals that the last export had not.
func (x *export) versions() error {
	for height := max(x.state.Seals, x.keptFrom); height <= x.last.Height; height++ {
		seal, err := x.sealAt(height)
		if err != nil {
			return err
		}
		if err := x.version(seal); err != nil {
			if kept, keptErr := KeptFrom(x.s.rows); keptErr == nil && errors.Is(err, ErrAbsent) && height < kept {
				continue // it was dropped meanwhile
			}
			return fmt.Errorf("seal %d: %w", height, err)
		}
	}
	return nil
}

func (x *export) sealAt(height uint64) (entry.Seal, error) {
	index, err := sealIndex(x.s.rows, height)
	if err != nil {
		return entry.Seal{}, err
	}
	return readSeal(x.s.rows, index)
}

func (x *export) version(seal entry.Seal) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	for _, name := range documentsOf(seal) {
		if err := x.put(name); err != nil {
			return err
		}
	}
	// A tile that is there has all tiles below it there, so those below are written and synced first.
	rows := make([][]credential.Element, tree.TileRows)
	visit := func(row int, name credential.Element) (bool, error) {
		there, err := x.has(activePath(row, name))
		if err == nil && !there {
			rows[row] = append(rows[row], name)
		}
		return !there, err
	}
	if err := x.walk(seal.ActiveRoot, visit); err != nil {
		return err
	}
	for row, names := range rows {
		for _, name := range names {
			if err := x.put(activePath(row, name)); err != nil {
				return err
			}
		}
		if len(names) > 0 {
			if err := x.sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

func documentsOf(seal entry.Seal) []string {
	return []string{kindRegistry + "/" + seal.Registry.String(), kindCensus + "/" + seal.Census.String()}
}

func activePath(row int, name credential.Element) string {
	return fmt.Sprintf("%s/%d/%s", kindActive, row, name)
}

// walk visits the tiles of a tree, from the top; visit says whether to go on below one.
func (x *export) walk(root credential.Element, visit func(row int, name credential.Element) (bool, error)) error {
	var below func(row int, name credential.Element) error
	below = func(row int, name credential.Element) error {
		if name == tree.EmptyRoots[min(tree.RowLevel(row+1), credential.ActiveDepth)] {
			return nil
		}
		further, err := visit(row, name)
		if err != nil || !further || row == 0 {
			return err
		}
		data, err := x.s.Object("/" + activePath(row, name))
		if err != nil {
			return err
		}
		tile, err := tree.ParseTile(row, name, data)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		for i := range len(data) / credential.ElementSize {
			if err := below(row-1, tile.Leaf(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return below(tree.TileRows-1, root)
}

func (x *export) has(name string) (bool, error) {
	_, err := os.Stat(filepath.Join(x.dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// put writes the object of a name, unless it is there.
func (x *export) put(name string) error {
	if strings.Contains(name, ".p/") || strings.HasPrefix(name, kindSeal+"/") {
		x.needed[name] = true
	}
	if there, err := x.has(name); err != nil || there {
		return err
	}
	if err := x.ctx.Err(); err != nil {
		return err
	}
	data, err := x.s.Object("/" + name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return x.write(name, data)
}

// write makes a file durable under a temporary name and gives it its own; the folder is synced later.
func (x *export) write(name string, data []byte) (err error) {
	path := filepath.Join(x.dir, filepath.FromSlash(name))
	if err := x.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.CreateTemp(x.dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	if err := errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	x.dirty[filepath.Dir(path)] = true
	x.report.Written++
	return nil
}

func (x *export) mkdir(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := x.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	x.dirty[filepath.Dir(path)] = true
	return nil
}

// sync makes the names of what was written durable.
func (x *export) sync() error {
	for path := range x.dirty {
		if err := syncFolder(path); err != nil {
			return err
		}
	}
	clear(x.dirty)
	return nil
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// replace writes a file that changes.
func (x *export) replace(name string, data []byte) error {
	if err := x.write(name, data); err != nil {
		return err
	}
	return x.sync()
}

func (x *export) save() error {
	text, err := credential.Canonical(x.state)
	if err != nil {
		return err
	}
	x.report.Written--
	return x.replace(exportState, text)
}

// exports keeps the export folder up to date, if there is one. Readers of the folder cost the sequencer nothing.
func (l *Log) exports(ctx context.Context) {
	static, done := l.Static(), uint64(0)
	for l.cfg.ExportDir != "" {
		l.mu.Lock()
		published, changed := l.published, l.changed
		l.mu.Unlock()
		var retry <-chan time.Time
		if published.sealed && published.size > done {
			if _, err := static.Export(ctx, l.cfg.ExportDir, l.cfg.Now()); err == nil {
				done = published.size
			} else if ctx.Err() == nil {
				l.cfg.Logger.WarnContext(ctx, "export", slog.Any("error", err))
				retry, changed = time.After(l.cfg.RetryAfter), nil
			}
		}
		select {
		case <-changed:
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}

// ExportStore exports the store of a ledger or mirror that is not running.
func ExportStore(ctx context.Context, rows Reader, dir string, now time.Time) (ExportReport, error) {
	head, err := rows.Get([]byte(rowCheckpoint))
	if err != nil {
		return ExportReport{}, fmt.Errorf("read the published checkpoint: %w", err)
	}
	m, err := NewMachine(rows)
	if err != nil {
		return ExportReport{}, err
	}
	if err := compareHead(m, rows, head); err != nil {
		return ExportReport{}, err
	}
	s := NewStatic(rows, func() []byte { return head }, m.Size, nil)
	return s.Export(ctx, dir, now)
}

// compareHead checks that a published checkpoint is of the store's tree, as opening would.
func compareHead(m *Machine, rows Reader, head []byte) error {
	genesis, _ := m.Genesis()
	verifier, err := note.NewVerifier(genesis.LogKey)
	if err != nil {
		return fmt.Errorf("log key of the chain: %w", err)
	}
	c, err := parseCheckpoint(head, genesis.Origin, verifier)
	if err != nil {
		return err
	}
	root, err := RootAt(rows, c.size)
	if err == nil && root != c.root {
		err = fmt.Errorf("the published checkpoint is not of the store's tree: %w", errDamaged)
	}
	return err
}
