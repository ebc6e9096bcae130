package client

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// groupTiles are the bottom tiles of a group of leaves.
const groupTiles = tree.GroupLeaves / tree.TileLeaves

// Group is a fixed, aligned group of 4,096 leaves of the active tree under one root, checked, with the tiles above it.
// It never changes and is safe for concurrent use.
type Group struct {
	Root  credential.Element
	First uint64 // index of its first leaf
	live  int
	tiles map[tileName][]byte
}

type tileName struct {
	row  int
	name credential.Element
}

// Group fetches the group of leaves around an index, whole, so that the host learns the group and not the leaf. Ask at
// random times, not when about to present. The root is that of a seal ([SealAt]).
func (c *Client) Group(ctx context.Context, root credential.Element, index uint64) (*Group, error) {
	if index >= tree.Capacity {
		return nil, fmt.Errorf("fetch group: index %d is beyond the active tree", index)
	}
	g := &Group{Root: root, First: index / tree.GroupLeaves * tree.GroupLeaves, tiles: make(map[tileName][]byte)}
	node, above := root, tree.Tile{}
	for row := tree.TileRows - 1; row > 0; row-- {
		tile, data, err := c.activeTile(ctx, row, node)
		if err != nil {
			return nil, fmt.Errorf("fetch group of leaves from %d: %w", g.First, err)
		}
		g.tiles[tileName{row, node}] = data
		above, node = tile, tile.Leaf(tree.TilePosition(g.First, row))
	}
	if err := c.fillGroup(ctx, g, above); err != nil {
		return nil, fmt.Errorf("fetch group of leaves from %d: %w", g.First, err)
	}
	return g, nil
}

// fillGroup fetches all bottom tiles of the group, in any order: never only the one that is wanted.
func (c *Client) fillGroup(ctx context.Context, g *Group, above tree.Tile) error {
	var mu sync.Mutex
	fetches, ctx := errgroup.WithContext(ctx)
	fetches.SetLimit(c.cfg.Limits.Parallel)
	first := tree.TilePosition(g.First, 1)
	for position := first; position < first+groupTiles; position++ {
		name := above.Leaf(position)
		fetches.Go(func() error {
			tile, data, err := c.activeTile(ctx, 0, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			g.tiles[tileName{0, name}] = data
			for i := range tree.TileLeaves {
				if !tile.Leaf(i).IsZero() {
					g.live++
				}
			}
			return nil
		})
	}
	return fetches.Wait()
}

// activeTile reads a tile and checks its name. Empty ones are never fetched.
func (c *Client) activeTile(ctx context.Context, row int, name credential.Element) (tree.Tile, []byte, error) {
	if empty, err := tree.NewTile(row, nil); err != nil || empty.Root() == name {
		return empty, nil, err
	}
	path := fmt.Sprintf("active/%d/%s", row, name)
	if data, ok := c.cfg.Cache.Get(path); ok {
		if tile, err := tree.ParseTile(row, name, data); err == nil {
			return tile, data, nil
		}
	}
	data, err := c.http.get(ctx, "/"+path, tree.RowWidth(row)*credential.ElementSize, 0)
	if err != nil {
		return tree.Tile{}, nil, err
	}
	tile, err := tree.ParseTile(row, name, data)
	if err != nil {
		return tree.Tile{}, nil, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	c.cfg.Cache.Put(path, data)
	return tile, data, nil
}

// Path leads from a leaf of the group to the root. The leaf is 0 if it is empty, suspended or revoked.
func (g *Group) Path(index uint64) (tree.Path, credential.Element, error) {
	if index/tree.GroupLeaves*tree.GroupLeaves != g.First {
		return tree.Path{}, credential.Element{}, fmt.Errorf("leaf %d is not in the group of leaves from %d", index, g.First)
	}
	return tree.ActivePath(func(row int, name credential.Element) ([]byte, error) {
		data, ok := g.tiles[tileName{row, name}]
		if !ok {
			return nil, fmt.Errorf("group of leaves from %d has no tile %s in row %d", g.First, name, row)
		}
		return data, nil
	}, g.Root, index)
}

// Live is how many leaves of the group are neither empty, suspended nor revoked: the crowd that the host sees.
func (g *Group) Live() int { return g.live }
