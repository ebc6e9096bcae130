package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
)

// tileHeight is that of C2SP tlog-tiles: 256 hashes a tile.
const tileHeight = 8

// Log reads entries and hashes of the log of a host, each checked against a tree head that the caller believes.
// It is safe for concurrent use.
type Log struct {
	http   *fetcher
	cache  Cache // full tiles and bundles
	recent *LRU  // partial ones, which are soon replaced

	mu      sync.Mutex
	bundles map[bundleName][][]byte // a few that were checked, split
}

type bundleName struct {
	root  tlog.Hash
	index int64
}

// keptBundles is how many split bundles a Log keeps.
const keptBundles = 4

// NewLog reads the log at a URL, under limits. cache may be nil.
func NewLog(url string, transport *http.Client, cache Cache, limits Limits) (*Log, error) {
	f, err := newFetcher(url, transport, limits.orDefaults())
	if err != nil {
		return nil, err
	}
	if cache == nil {
		cache = NewLRU(16 << 20)
	}
	return newLog(f, cache), nil
}

func newLog(f *fetcher, cache Cache) *Log {
	return &Log{http: f, cache: cache, recent: NewLRU(8 << 20), bundles: make(map[bundleName][][]byte)}
}

// Genesis reads the genesis entry with that hash: its content, and its bytes.
func (l *Log) Genesis(ctx context.Context, hash credential.Digest) (entry.Genesis, []byte, error) {
	raw, err := l.http.get(ctx, "/genesis", entry.MaxSize, 0)
	if err != nil {
		return entry.Genesis{}, nil, err
	}
	g, err := checkpoint.ParseGenesis(raw, hash)
	if err != nil {
		return g, nil, err
	}
	return g, raw, nil
}

// Entry reads one entry of the tree.
func (l *Log) Entry(ctx context.Context, tree tlog.Tree, index uint64) ([]byte, error) {
	if index >= uint64(tree.N) {
		return nil, fmt.Errorf("read entry %d: the log has %d entries", index, tree.N)
	}
	entries, err := l.bundle(ctx, tree, int64(index/BundleWidth))
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", index, err)
	}
	return entries[index%BundleWidth], nil
}

// RecordHash is the leaf hash of one entry of the tree.
func (l *Log) RecordHash(ctx context.Context, tree tlog.Tree, index uint64) (tlog.Hash, error) {
	hashes, err := l.hashes(ctx, tree, []int64{tlog.StoredHashIndex(0, int64(index))})
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("read hash of entry %d: %w", index, err)
	}
	return hashes[0], nil
}

// RootAt is the root that the log had at an earlier size, as the tree fixes it.
func (l *Log) RootAt(ctx context.Context, tree tlog.Tree, size uint64) (tlog.Hash, error) {
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return l.hashes(ctx, tree, indexes) })
	root, err := tlog.TreeHash(int64(size), reader)
	if err != nil {
		return root, fmt.Errorf("compute root at size %d: %w", size, err)
	}
	return root, nil
}

// bundle reads and checks the n-th entry bundle, as far as the tree goes.
func (l *Log) bundle(ctx context.Context, tree tlog.Tree, n int64) ([][]byte, error) {
	name := bundleName{tree.Hash, n}
	l.mu.Lock()
	entries := l.bundles[name]
	l.mu.Unlock()
	if entries != nil {
		return entries, nil
	}
	tile := tlog.Tile{H: tileHeight, L: -1, N: n, W: int(min(BundleWidth, tree.N-n*BundleWidth))}
	hashes, err := l.leaves(ctx, tree, tile)
	if err != nil {
		return nil, err
	}
	for _, fresh := range []bool{false, true} {
		if entries, err = l.readBundle(ctx, tile, hashes, fresh); err == nil {
			l.keep(name, entries)
			return entries, nil
		}
	}
	return nil, err
}

func (l *Log) keep(name bundleName, entries [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bundles) >= keptBundles {
		clear(l.bundles)
	}
	l.bundles[name] = entries
}

// leaves are the checked leaf hashes of the entries in a bundle.
func (l *Log) leaves(ctx context.Context, tree tlog.Tree, bundle tlog.Tile) ([]tlog.Hash, error) {
	indexes := make([]int64, bundle.W)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, bundle.N*BundleWidth+int64(i))
	}
	return l.hashes(ctx, tree, indexes)
}

func (l *Log) readBundle(ctx context.Context, tile tlog.Tile, hashes []tlog.Hash, fresh bool) ([][]byte, error) {
	data, full, err := l.read(ctx, tile, fresh, MaxBundle)
	if err != nil {
		return nil, err
	}
	width := tile.W
	if full {
		width = BundleWidth
	}
	entries, err := ParseBundle(data, width)
	if err != nil {
		return nil, err
	}
	for i, hash := range hashes {
		if tlog.RecordHash(entries[i]) != hash {
			return nil, fmt.Errorf("entry %d is not the one in the log: %w", tile.N*BundleWidth+int64(i), ErrTampered)
		}
	}
	if width == tile.W { // what lies beyond the tree was not checked
		l.save(tile, data)
	}
	return entries[:tile.W], nil
}

// hashes reads stored hashes (tlog.StoredHashIndex), each checked against the tree.
func (l *Log) hashes(ctx context.Context, tree tlog.Tree, indexes []int64) ([]tlog.Hash, error) {
	var err error
	for _, fresh := range []bool{false, true} { // a bad cache must not stop us
		reader := &tileReader{ctx: ctx, log: l, fresh: fresh}
		var hashes []tlog.Hash
		if hashes, err = tlog.TileHashReader(tree, reader).ReadHashes(indexes); err == nil {
			return hashes, nil
		}
		if reader.failed || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrTampered, err)
}

// tileReader is the tlog.TileReader for one read.
type tileReader struct {
	ctx    context.Context
	log    *Log
	fresh  bool // leave out the caches
	failed bool // the host gave no answer, so nothing was found wrong with it
}

// Height is part of tlog.TileReader.
func (r *tileReader) Height() int { return tileHeight }

// ReadTiles is part of tlog.TileReader: it fetches, and tlog checks.
func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	group, ctx := errgroup.WithContext(r.ctx)
	group.SetLimit(r.log.http.limits.Parallel)
	for i, tile := range tiles {
		group.Go(func() (err error) {
			data[i], err = r.read(ctx, tile)
			return err
		})
	}
	err := group.Wait()
	r.failed = err != nil
	return data, err
}

func (r *tileReader) read(ctx context.Context, tile tlog.Tile) ([]byte, error) {
	data, full, err := r.log.read(ctx, tile, r.fresh, BundleWidth*tlog.HashSize)
	if err != nil {
		return nil, err
	}
	width := tile.W
	if full {
		width = BundleWidth
	}
	if len(data) != width*tlog.HashSize {
		return nil, fmt.Errorf("tile %s has %d bytes, want %d: %w", tilePath(tile), len(data), width*tlog.HashSize, ErrTampered)
	}
	return data[:tile.W*tlog.HashSize], nil
}

// SaveTiles is part of tlog.TileReader: these were checked.
func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		r.log.save(tile, data[i])
	}
}

func (l *Log) save(tile tlog.Tile, data []byte) {
	if tile.W == BundleWidth {
		l.cache.Put(tilePath(tile), data)
	} else {
		l.recent.Put(tilePath(tile), data)
	}
}

// read gets the bytes of a tile or bundle, unchecked.
// SPEC (tlog-tiles): a log may delete a partial tile once the full one is there, so ask for that one then.
func (l *Log) read(ctx context.Context, tile tlog.Tile, fresh bool, limit int) (data []byte, full bool, err error) {
	name := tilePath(tile)
	if !fresh {
		for _, cache := range []Cache{l.recent, l.cache} {
			if data, ok := cache.Get(name); ok {
				return data, false, nil
			}
		}
	}
	data, err = l.http.get(ctx, "/"+name, limit, 0)
	if isMissing(err) && tile.W < BundleWidth {
		tile.W = BundleWidth
		data, err = l.http.get(ctx, "/"+tilePath(tile), limit, 0)
		return data, true, err
	}
	return data, false, err
}

// tilePath is the address of a tile or (level -1) bundle: tlog's, without the height and with the C2SP word.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}
