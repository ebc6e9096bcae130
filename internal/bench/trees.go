package bench

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// treeMeasures are the figures of hashing and trees.
func treeMeasures(runs int) []measure {
	active := sync.OnceValues(func() (*activeTree, error) { return newActiveTree(credential.Random31()) })
	return []measure{
		{"c4", "us", quick * runs, true, timeC4},
		timed("active_path", quick*runs, true, func() error { _, err := active(); return err }, func(context.Context) error {
			t, err := active()
			if err != nil {
				return err
			}
			_, _, err = tree.ActivePath(t.tile, t.root, ownIndex)
			return err
		}),
		timed("set_4096_build", runs, true, nil, func(context.Context) error { return buildSet() }),
	}
}

// timeC4 is the microseconds of one C4, over a thousand that depend on one another.
func timeC4(context.Context) (float64, error) {
	const rounds = 1000
	a, b := credential.Random31(), credential.Random31()
	start := time.Now()
	for range rounds {
		a, b = credential.C4(a, b, a, b), a
	}
	return milliseconds(time.Since(start)) * 1000 / rounds, nil
}

// buildSet builds the largest set and one path in it.
func buildSet() error {
	members := make([]credential.Element, tree.SetCapacity)
	for i := range members {
		members[i] = credential.F("bench member", binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	set, err := tree.NewSet(members)
	if err != nil {
		return err
	}
	_, err = set.Path(members[0])
	return err
}
