package client

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Seals are small, but the entry bundles that they lie in may have 16 MB each. So hosts offer them apart: the newest one
// with its inclusion proof, and the others, which fit the digests in the seals after them, by height. Hosts that do not
// offer that are read the long way.

// maxProven bounds an entry with its proof, in bytes: the entry is escaped as JSON.
const maxProven = 2*entry.MaxSize + 8<<10

// maxSealBundle bounds a bundle of seals, of some 800 bytes each.
const maxSealBundle = BundleWidth * 4096

// lastEntry reads the last entry of the tree, with its inclusion proof.
func (c *Client) lastEntry(ctx context.Context, tree tlog.Tree) ([]byte, error) {
	data, err := c.http.get(ctx, fmt.Sprintf("/seal/%d", tree.N), maxProven, 0)
	if err != nil {
		return nil, err
	}
	var p entry.Proven
	if err := credential.ParseCanonical(data, &p); err != nil {
		return nil, fmt.Errorf("newest seal: %w: %w", ErrTampered, err)
	}
	proof := make(tlog.RecordProof, len(p.Proof))
	for i, hash := range p.Proof {
		proof[i] = tlog.Hash(hash)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, tree.N-1, tlog.RecordHash([]byte(p.Entry))); err != nil || p.Index != uint64(tree.N-1) {
		return nil, fmt.Errorf("newest seal: its inclusion proof does not fit: %w", ErrTampered)
	}
	return []byte(p.Entry), nil
}

// previous reads the entry of the seal before another one. It is checked only so far as that it fits, if it comes from a
// bundle of seals. A host whose bundles are missing or do not fit is not asked for them again.
func (c *Client) previous(ctx context.Context, v *View, seal entry.Seal) ([]byte, error) {
	height := seal.Height - 1
	for _, fresh := range []bool{false, true} {
		if c.noSeals.Load() {
			break
		}
		entries, err := c.sealBundle(ctx, v, int64(height/BundleWidth), fresh)
		if isMissing(err) || errors.Is(err, ErrTampered) {
			c.noSeals.Store(true)
			break
		}
		if err != nil {
			return nil, err
		}
		if raw := entries[height%BundleWidth]; credential.DigestOf(raw) == seal.Previous {
			return raw, nil
		}
		c.noSeals.Store(fresh)
	}
	return c.log.Entry(ctx, v.Checkpoint.Tree(), seal.PreviousAt)
}

// sealBundle reads the n-th bundle of seals, as far as the view's last seal goes. It is kept unchecked.
func (c *Client) sealBundle(ctx context.Context, v *View, n int64, fresh bool) ([][]byte, error) {
	width := int(min(BundleWidth, int64(v.Seal.Height)+1-n*BundleWidth))
	path := sealsPath(n, width)
	var cache Cache = c.documents // in memory: partial ones are soon replaced
	if width == BundleWidth {
		cache = c.cfg.Cache
	}
	if data, ok := cache.Get(path); ok && !fresh {
		if entries, err := ParseBundle(data, width); err == nil {
			return entries, nil
		}
	}
	data, err := c.http.get(ctx, "/"+path, maxSealBundle, 0)
	if err != nil {
		return nil, err
	}
	entries, err := ParseBundle(data, width)
	if err != nil {
		return nil, err
	}
	cache.Put(path, data)
	return entries, nil
}

func sealsPath(n int64, width int) string {
	tile := tlog.Tile{H: tileHeight, L: -1, N: n, W: width}
	return "seals" + tilePath(tile)[len("tile/entries"):]
}
