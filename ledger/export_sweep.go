package ledger

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// sweepEvery is how often old versions are removed: it takes a walk over all kept ones.
const sweepEvery = credential.UnixTime(24 * 60 * 60)

// sweep removes what readers of the checkpoint do not need: partial tiles and single seals of older checkpoints when the
// grace is over; tiles and documents of versions that the ledger has dropped, once a day.
func (x *export) sweep() error {
	if err := x.sweepPassing(); err != nil {
		return err
	}
	if now := credential.UnixTimeOf(x.now); x.keptFrom > x.state.KeptFrom && now >= x.state.Swept+sweepEvery {
		if err := x.sweepVersions(); err != nil {
			return err
		}
		x.state.KeptFrom, x.state.Swept = x.keptFrom, now
	}
	return x.save()
}

// sweepPassing removes files that no checkpoint of the last ten minutes needs.
func (x *export) sweepPassing() error {
	now := credential.UnixTimeOf(x.now)
	var kept []passing
	for _, p := range x.state.Passing {
		switch {
		case x.needed[p.Name]:
		case now < p.Needed+credential.UnixTime(exportGrace/time.Second):
			kept = append(kept, p)
		default:
			if err := x.remove(p.Name); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.needed)) {
		kept = append(kept, passing{name, now})
	}
	x.state.Passing = kept
	return nil
}

func (x *export) remove(name string) error {
	path := filepath.Join(x.dir, filepath.FromSlash(name))
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	x.report.Removed++
	_ = os.Remove(filepath.Dir(path)) // if it is empty now
	return nil
}

// sweepVersions removes tiles and documents of no kept seal. Tiles go from the top, so that one that is left after a
// crash still has everything below it.
func (x *export) sweepVersions() error {
	needed := make(map[string]bool)
	for height := x.keptFrom; height <= x.last.Height; height++ {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		seal, err := x.sealAt(height)
		if err != nil {
			return err
		}
		for _, name := range documentsOf(seal) {
			needed[name] = true
		}
		visit := func(row int, name credential.Element) (bool, error) {
			path := activePath(row, name)
			first := !needed[path]
			needed[path] = true
			return first, nil
		}
		if err := x.walk(seal.ActiveRoot, visit); err != nil {
			return err
		}
	}
	folders := []string{kindRegistry, kindCensus}
	for row := tree.TileRows - 1; row >= 0; row-- {
		folders = append(folders, activePath(row, credential.Element{})[:len(kindActive)+2])
	}
	for _, folder := range folders {
		if err := x.sweepFolder(folder, needed); err != nil {
			return err
		}
	}
	return nil
}

func (x *export) sweepFolder(folder string, needed map[string]bool) error {
	path := filepath.Join(x.dir, filepath.FromSlash(folder))
	files, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		if !needed[folder+"/"+file.Name()] {
			if err := x.remove(folder + "/" + file.Name()); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat(path); err != nil { // it was emptied
		return nil
	}
	return syncFolder(path)
}
