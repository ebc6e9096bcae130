package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// draft is the seal that follows from the entries, but for its time, with the rows that it puts into effect.
type draft struct {
	seal entry.Seal
	rows map[string][]byte
	left []string // keys of tiles and documents that it leaves behind, ascending
}

// DraftSeal is the payload of the next seal, at that time. The operator signs it and applies it.
func (m *Machine) DraftSeal(time credential.UnixTime) (entry.Seal, error) {
	if m.state.Size == 0 {
		return entry.Seal{}, refuse(ErrForeignGenesis, "the chain has no genesis entry yet")
	}
	if err := m.checkSealTime(time); err != nil {
		return entry.Seal{}, err
	}
	d, err := m.compute()
	if err != nil {
		return entry.Seal{}, err
	}
	seal := d.seal
	seal.Time = time
	return seal, nil
}

// EarliestSeal is the first time that the next seal may have.
func (m *Machine) EarliestSeal() credential.UnixTime {
	return m.state.Sealed.Time + credential.UnixTime(m.genesis.SealIntervalSeconds)
}

func (m *Machine) checkSealTime(time credential.UnixTime) error {
	if earliest := m.EarliestSeal(); time < earliest {
		return refuse(ErrSeal, "its time %s is before %s: at most one seal in %d seconds", time, earliest, m.genesis.SealIntervalSeconds)
	}
	return nil
}

// compute recomputes active tree, registry and census. What it found stays until the next entry.
func (m *Machine) compute() (*draft, error) {
	if m.draft != nil {
		return m.draft, nil
	}
	update, err := m.tiles.Update(m.readTile, m.state.Sealed.ActiveRoot, m.unsealed)
	if err != nil {
		return nil, fmt.Errorf("update the active tree: %w", err)
	}
	before := make(map[string]bool) // what stands at the places that change
	for _, name := range update.Left {
		before[elementKey(prefixTile, name)] = true
	}
	registry, err := credential.Canonical(m.registry)
	if err != nil {
		return nil, fmt.Errorf("encode registry: %w", err)
	}
	census, err := credential.Canonical(m.Census())
	if err != nil {
		return nil, fmt.Errorf("encode census: %w", err)
	}
	d := &draft{rows: make(map[string][]byte), seal: entry.Seal{
		Height: m.state.Seals, Previous: m.state.Sealed.Digest, PreviousAt: m.state.Sealed.Index,
		ActiveRoot: update.Root, Leaves: m.state.Leaves,
		Registry: credential.DigestOf(registry), Census: credential.DigestOf(census),
	}}
	for name, data := range update.Tiles {
		d.rows[elementKey(prefixTile, name)] = data
	}
	d.rows[documentKey(d.seal.Registry)] = registry
	d.rows[documentKey(d.seal.Census)] = census
	if m.state.Seals > 0 {
		before[documentKey(m.state.Sealed.Registry)] = true
		before[documentKey(m.state.Sealed.Census)] = true
	}
	d.replace(before)
	m.draft = d
	return d, nil
}

// replace compares the tiles and documents that the seal puts there with those that were there, and keeps the books
// for [Prune].
func (d *draft) replace(before map[string]bool) {
	for _, key := range slices.Collect(maps.Keys(d.rows)) {
		if before[key] { // as it was
			delete(d.rows, key)
			delete(before, key)
			continue
		}
		d.rows[prefixPut+key] = u64(d.seal.Height)
	}
	d.left = slices.Sorted(maps.Keys(before))
}

// readTile reads a tile by name; the row is in no key, as a name fits one row only.
func (m *Machine) readTile(_ int, name credential.Element) ([]byte, error) {
	return m.Get([]byte(elementKey(prefixTile, name)))
}

// Census counts the live leaves as of now.
func (m *Machine) Census() entry.Census {
	census := entry.Census{Counts: []entry.Count{}}
	for _, p := range m.pairs {
		if p.Live > 0 {
			census.Counts = append(census.Counts, entry.Count{Schema: p.Schema, Issuer: p.Issuer, Live: p.Live})
		}
	}
	slices.SortFunc(census.Counts, func(a, b entry.Count) int {
		return cmp.Or(a.Schema.Cmp(b.Schema), strings.Compare(a.Issuer, b.Issuer))
	})
	return census
}

// size is how many bytes the pair may add to the census.
func (p pair) size() int {
	const longest = len(`{"issuer":"","live":9007199254740992,"schema":""},`) + 43
	return longest + len(p.Issuer)
}

// seal takes a seal if it is exactly the one that follows from the entries.
func (s *step) seal(p entry.Seal) error {
	if err := s.m.checkSealTime(p.Time); err != nil {
		return err
	}
	d, err := s.m.compute()
	if err != nil {
		return err
	}
	want := d.seal
	want.Time = p.Time
	if p != want {
		return refuse(ErrSeal, "%s", difference(p, want))
	}
	for key, value := range d.rows {
		s.put(key, value)
	}
	s.put(droppedKey(p.Height), leave(p.Time, d.left))
	s.put(numbered(prefixSeal, p.Height), u64(s.result.Index))
	s.state.Seals++
	s.state.Sealed = Sealed{
		Index: s.result.Index, Digest: s.result.Digest, Time: p.Time,
		ActiveRoot: p.ActiveRoot, Registry: p.Registry, Census: p.Census,
	}
	s.sealed = true
	return nil
}

// difference names the first member in which a seal is wrong.
func difference(got, want entry.Seal) string {
	switch {
	case got.Height != want.Height:
		return fmt.Sprintf("height %d, want %d", got.Height, want.Height)
	case got.Previous != want.Previous || got.PreviousAt != want.PreviousAt:
		return fmt.Sprintf("it follows entry %d %s, want %d %s", got.PreviousAt, got.Previous, want.PreviousAt, want.Previous)
	case got.ActiveRoot != want.ActiveRoot:
		return fmt.Sprintf("active root %s, recomputed %s", got.ActiveRoot, want.ActiveRoot)
	case got.Leaves != want.Leaves:
		return fmt.Sprintf("%d leaves, want %d", got.Leaves, want.Leaves)
	case got.Registry != want.Registry:
		return fmt.Sprintf("registry %s, recomputed %s", got.Registry, want.Registry)
	}
	return fmt.Sprintf("census %s, recomputed %s", got.Census, want.Census)
}

// validateLogKey checks that the log key is an Ed25519 verifier key for the chain's origin.
func validateLogKey(g entry.Genesis) error {
	verifier, err := note.NewVerifier(g.LogKey)
	if err != nil {
		return fmt.Errorf("log_key: %w", err)
	}
	if verifier.Name() != g.Origin {
		return errors.New("log_key is for another origin")
	}
	return nil
}
