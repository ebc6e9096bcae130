package ledger

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is 8: tiles of 256 hashes, as C2SP tlog-tiles has them.
const tileHeight = 8

// tile returns the tile at a path below /tile/, which begins with a slash. Only what a signed checkpoint covers is
// served. Absent tiles are [ErrAbsent].
func (s *Static) tile(path string) ([]byte, error) {
	t, ok := parseTilePath(path)
	if !ok || !covered(t, s.size()) {
		return nil, fmt.Errorf("tile %s: %w", path, ErrAbsent)
	}
	if t.L < 0 {
		return s.bundle(t)
	}
	return tlog.ReadTileData(t, hashReader{s.rows})
}

// parseTilePath reads /L/N and /entries/N through x/mod, which has the same paths with the height in them.
func parseTilePath(path string) (tlog.Tile, bool) {
	level, rest, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !found || level == "data" || strings.HasPrefix(path, "//") {
		return tlog.Tile{}, false
	}
	if level == "entries" {
		level = "data"
	}
	t, err := tlog.ParseTilePath("tile/8/" + level + "/" + rest)
	return t, err == nil
}

// covered tells whether a tree of that size has all of the tile.
func covered(t tlog.Tile, size uint64) bool {
	level := max(t.L, 0) * tileHeight
	if level >= 63 || t.N < 0 || t.N >= 1<<(62-tileHeight) {
		return false
	}
	return uint64(t.N)<<tileHeight+uint64(t.W) <= size>>level
}

// bundle is the entries of a tile, each behind its length.
func (s *Static) bundle(t tlog.Tile) ([]byte, error) {
	var out []byte
	first := uint64(t.N) << tileHeight
	for index := first; index < first+uint64(t.W); index++ {
		raw, err := readEntry(s.rows, index)
		if err != nil {
			return nil, err
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(raw))) // entry.MaxSize fits
		out = append(out, raw...)
	}
	return out, nil
}
