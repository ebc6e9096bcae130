package statuslist

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
)

// maxFill is how much of a list may be taken, of 8 parts. Beyond that free indices get rare enough to guess and slow to
// find; those that stay free hide how many credentials there are.
const maxFill = 7

// maxTries bounds the search for a free index. In a list that is 7/8 taken, 400 tries fail once in 10^23.
const maxTries = 400

// ErrFull is returned when no more credentials belong into a list: the issuer starts another one, under another address.
var ErrFull = errors.New("status list is full")

// Indices is where an issuer remembers the indices it gave away. Whoever can change it can make two credentials share an
// index, so that revoking one revokes the other.
type Indices interface {
	// Taken is the number of indices of a list that were taken.
	Taken(ctx context.Context, uri string) (int, error)
	// Take marks an index as taken for ever, and returns true; false if it was taken before. A nil error with true
	// means that this caller has it and nobody else ever will: durably before anybody sees the reference. The allocator
	// does not retry errors.
	Take(ctx context.Context, uri string, index uint64) (bool, error)
}

// Allocate takes a random free index in a list of that capacity. Nobody can tell from indices in which order credentials
// were issued, or how many there are. An index whose credential was never handed out is not given back.
func Allocate(ctx context.Context, store Indices, uri string, capacity int) (Reference, error) {
	if capacity < 8 {
		return Reference{}, fmt.Errorf("a list of %d indices hides nobody: %w", capacity, ErrFull)
	}
	taken, err := store.Taken(ctx, uri)
	if err != nil {
		return Reference{}, fmt.Errorf("count indices: %w", err)
	}
	if taken >= capacity/8*maxFill {
		return Reference{}, fmt.Errorf("%d of %d indices are taken: %w", taken, capacity, ErrFull)
	}
	for range maxTries {
		index, err := rand.Int(rand.Reader, big.NewInt(int64(capacity)))
		if err != nil {
			return Reference{}, fmt.Errorf("draw an index: %w", err)
		}
		r := Reference{index.Uint64(), uri}
		mine, err := store.Take(ctx, uri, r.Index)
		if err != nil {
			return Reference{}, fmt.Errorf("take an index: %w", err)
		}
		if mine {
			return r, nil
		}
	}
	return Reference{}, fmt.Errorf("no free index in %d tries: %w", maxTries, ErrFull)
}
