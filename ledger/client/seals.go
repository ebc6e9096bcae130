package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// history is a stretch of the chain of seals, without gaps. It outlives views, as all of them are of one log.
type history struct {
	gate  gate
	seals []SealAt // ascending
}

// Seals are the seals of a view from a time on, newest first.
func (c *Client) Seals(ctx context.Context, v *View, since time.Time) ([]SealAt, error) {
	seals, err := c.stretch(ctx, v, since)
	if err != nil {
		return nil, fmt.Errorf("walk the seals since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	slices.Reverse(seals)
	return seals, nil
}

// GridSeals are the seals whose active roots a wallet proves against, oldest first, so that all wallets take the same
// one: the last seal at or before each full multiple of the chain's grid, with an age of at most freshness less margin.
// margin is the time that proof and delivery may take.
//
// A seal counts only once a later seal shows that it was the last one before its grid time: otherwise a host could
// hand out a checkpoint that ends early, and recognise the wallet by its choice. On chains whose grid is 0 every seal
// counts. The list may be empty; a wallet then waits for the next seal.
func (c *Client) GridSeals(ctx context.Context, v *View, freshness, margin time.Duration) ([]SealAt, error) {
	now := c.cfg.Clock()
	seals, err := c.stretch(ctx, v, now.Add(margin-freshness))
	if err != nil {
		return nil, fmt.Errorf("find grid seals: %w", err)
	}
	latest := now.Add(time.Duration(v.Genesis.ClockSkewSeconds) * time.Second)
	var grid []SealAt
	for i, s := range seals {
		var next *SealAt
		if i+1 < len(seals) {
			next = &seals[i+1]
		}
		if !s.Time.After(latest) && onGrid(s, next, int64(v.Genesis.GridSeconds)) {
			grid = append(grid, s)
		}
	}
	return grid, nil
}

// onGrid tells whether a multiple of grid lies at or after s and before the next seal, if there is one.
func onGrid(s SealAt, next *SealAt, grid int64) bool {
	if grid == 0 {
		return true
	}
	from := int64(s.Seal.Time)
	multiple := (from + grid - 1) / grid * grid
	if next == nil {
		return multiple == from // the next one comes strictly later
	}
	return multiple < int64(next.Seal.Time)
}

// RootTooOldError says how old an active root is. It is an [ErrRootTooOld].
type RootTooOldError struct {
	Age, Freshness time.Duration
}

func (e *RootTooOldError) Error() string {
	return fmt.Sprintf("%v: %s, at most %s", ErrRootTooOld, e.Age, e.Freshness)
}

// Unwrap gives [ErrRootTooOld].
func (e *RootTooOldError) Unwrap() error { return ErrRootTooOld }

// FindRoot finds the newest seal with an active root, for verifiers. Its age by our clock is at most freshness, else
// [ErrRootTooOld]; [ErrRootUnknown] means that no seal in reach holds it, and [ErrSealAhead] that it is too new to be
// true.
//
// A root stands in several seals while nothing changes, and the registry may differ between them. So wallets that want
// the issuer set that their verifier will see call FindRoot, too.
//
// FindRoot looks at the newest checkpoint, but not twice a second for roots it knows. If the ledger does not answer, a
// root in the last view still counts, as long as it is fresh.
func (c *Client) FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (SealAt, error) {
	if v := c.Latest(); v != nil && c.updatedWithin(time.Second) {
		if found, err := c.findRoot(ctx, v, root, freshness); err == nil {
			return found, nil
		}
	}
	v, updateErr := c.Update(ctx)
	if updateErr != nil {
		if v = c.Latest(); v == nil || IsBad(updateErr) {
			return SealAt{}, updateErr
		}
	}
	found, err := c.findRoot(ctx, v, root, freshness)
	if err != nil && updateErr != nil {
		return SealAt{}, updateErr // we could not look, so we know nothing
	}
	return found, err
}

func (c *Client) findRoot(ctx context.Context, v *View, root credential.Element, freshness time.Duration) (SealAt, error) {
	now := c.cfg.Clock()
	seals, err := c.stretch(ctx, v, now.Add(-freshness))
	if err != nil {
		return SealAt{}, fmt.Errorf("find the seal of a root: %w", err)
	}
	s, ok := newest(seals, root)
	if !ok { // look further back, but only to say what is wrong
		if seals, err = c.stretch(ctx, v, now.Add(-2*freshness-10*time.Minute)); err != nil {
			return SealAt{}, ErrRootUnknown
		}
		if s, ok = newest(seals, root); !ok {
			return SealAt{}, ErrRootUnknown
		}
	}
	age := s.Age(now)
	switch {
	case age > freshness:
		return SealAt{}, &RootTooOldError{age, freshness}
	case -age > time.Duration(v.Genesis.ClockSkewSeconds)*time.Second:
		return SealAt{}, fmt.Errorf("%w: by %s; is our clock right?", ErrSealAhead, -age)
	}
	return s, nil
}

func newest(seals []SealAt, root credential.Element) (SealAt, bool) {
	for _, s := range slices.Backward(seals) {
		if s.Seal.ActiveRoot == root {
			return s, true
		}
	}
	return SealAt{}, false
}

// stretch is a copy of the seals of a view from a time on, ascending.
func (c *Client) stretch(ctx context.Context, v *View, since time.Time) ([]SealAt, error) {
	h := &c.history
	if err := h.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer h.gate.leave()
	if err := c.extend(ctx, v); err != nil {
		return nil, err
	}
	if err := c.reach(ctx, v, since); err != nil {
		return nil, err
	}
	from, _ := slices.BinarySearchFunc(h.seals, since, func(s SealAt, t time.Time) int { return s.Time.Compare(t) })
	to, _ := slices.BinarySearchFunc(h.seals, v.SealIndex+1, func(s SealAt, i uint64) int { return cmp.Compare(s.Index, i) })
	return slices.Clone(h.seals[min(from, to):to]), nil
}

// extend makes the history reach up to the view's seal.
func (c *Client) extend(ctx context.Context, v *View) error {
	h := &c.history
	if len(h.seals) > 0 && h.seals[0].Index > v.SealIndex {
		h.seals = nil // the view is older than all we kept
	}
	if len(h.seals) == 0 {
		h.seals = []SealAt{v.At()}
		return nil
	}
	last := h.seals[len(h.seals)-1]
	var newer []SealAt // descending
	at := v.At()
	for at.Index > last.Index {
		newer = append(newer, at)
		if len(newer) >= c.cfg.Limits.Seals { // too far apart to join
			h.seals = []SealAt{v.At()}
			return nil
		}
		if at.Seal.PreviousAt == last.Index && at.Seal.Previous == last.digest {
			at = last
			break
		}
		var err error
		if at, err = c.before(ctx, v, at); err != nil {
			return err
		}
	}
	if len(newer) > 0 && at.Index != last.Index {
		return fmt.Errorf("seal at entry %d is passed over by later ones: %w", last.Index, ErrTampered)
	}
	slices.Reverse(newer)
	h.seals = append(h.seals, newer...)
	h.seals = slices.Delete(h.seals, 0, max(0, len(h.seals)-c.cfg.Limits.Seals))
	return nil
}

// reach makes the history reach back to before a time, or to the first seal. What it walked before an error is kept.
func (c *Client) reach(ctx context.Context, v *View, since time.Time) (err error) {
	h := &c.history
	var older []SealAt // descending
	defer func() {
		slices.Reverse(older)
		h.seals = append(older, h.seals...)
	}()
	for at := h.seals[0]; at.Seal.Height > 0 && !at.Time.Before(since); older = append(older, at) {
		if len(h.seals)+len(older) >= c.cfg.Limits.Seals {
			return fmt.Errorf("%d seals reach back to %s only: %w", len(h.seals)+len(older), at.Time.Format(time.RFC3339), ErrTooManySeals)
		}
		if at, err = c.before(ctx, v, at); err != nil {
			return err
		}
	}
	return nil
}

// before reads the seal that another one follows.
func (c *Client) before(ctx context.Context, v *View, s SealAt) (SealAt, error) {
	older, _, err := c.entryBefore(ctx, v, s)
	return older, err
}

// entryBefore reads the seal that another one follows, and its entry.
func (c *Client) entryBefore(ctx context.Context, v *View, s SealAt) (SealAt, []byte, error) {
	if s.Seal.PreviousAt >= s.Index {
		return SealAt{}, nil, fmt.Errorf("seal at entry %d follows entry %d: %w", s.Index, s.Seal.PreviousAt, ErrTampered)
	}
	raw, err := c.previous(ctx, v, s.Seal)
	if err != nil {
		return SealAt{}, nil, err
	}
	if credential.DigestOf(raw) != s.Seal.Previous {
		return SealAt{}, nil, fmt.Errorf("seal at entry %d names another entry %d: %w", s.Index, s.Seal.PreviousAt, ErrTampered)
	}
	older, err := parseSeal(raw, s.Seal.PreviousAt, v.GenesisHash, v.Genesis.OperatorKey)
	if err != nil {
		return SealAt{}, nil, err
	}
	if older.Seal.Height+1 != s.Seal.Height || !older.Time.Before(s.Time) {
		return SealAt{}, nil, fmt.Errorf("seals at entries %d and %d do not follow each other: %w", older.Index, s.Index, ErrTampered)
	}
	return older, raw, nil
}
