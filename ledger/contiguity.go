package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// What is compared when a log opens, in time that a start may take. A flipped bit in Pebble's manifest opens with all
// rows of some batches gone: with the results of entries, one row each, such a hole is seen at once. The rest is what
// authority depends on and costs little. The scrub looks at everything else.

// checkedBlocks is how many blocks of 65,536 results are looked at: the newest million entries.
const checkedBlocks = 16

// checkRows compares the rows that the machine stands on.
func checkRows(s Store, m *Machine) error {
	checks := []func(Store, *Machine) error{checkResults, checkSigners, checkKeys, checkPairs, checkSeal}
	for _, check := range checks {
		if err := check(s, m); err != nil {
			return err
		}
	}
	return nil
}

// checkResults looks for holes: indices follow each other, and so do the leaves.
func checkResults(s Store, m *Machine) error {
	size := m.state.Size
	last := (size - 1) >> 16
	block := last - min(last, checkedBlocks-1)
	next, leaves, known := block<<16, uint64(0), block == 0
	for ; block <= last; block++ {
		prefix := numbered(prefixResult, block<<16)[:len(prefixResult)+6]
		err := s.Each([]byte(prefix), func(key, row []byte) error {
			if string(key) != numbered(prefixResult, next) || len(row) != 12 {
				return fmt.Errorf("entry %d is missing in the store: %w", next, errDamaged)
			}
			next++
			first, n := binary.BigEndian.Uint64(row), uint64(binary.BigEndian.Uint32(row[8:]))
			if n == 0 && first == 0 {
				return nil
			}
			if n == 0 || known && first != leaves {
				return fmt.Errorf("entry %d begins with leaf %d, want %d: %w", next-1, first, leaves, errDamaged)
			}
			leaves, known = first+n, true
			return nil
		})
		if err != nil {
			return err
		}
	}
	if next != size || known && leaves != m.state.Leaves {
		return fmt.Errorf("the store has results of %d entries with %d leaves, its state says %d and %d: %w",
			next, leaves, size, m.state.Leaves, errDamaged)
	}
	return nil
}

// checkSigners compares the next numbers with the entries that have them. Every entry has one.
func checkSigners(s Store, m *Machine) error {
	sum := uint64(0)
	err := s.Each([]byte(prefixNext), func(key, value []byte) error {
		signer := string(key[len(prefixNext):])
		next, err := parseU64(string(key), value)
		if err != nil {
			return err
		}
		sum += next
		return checkSigner(s, signer, next)
	})
	if err == nil && sum != m.state.Size {
		err = fmt.Errorf("the numbers of all signers add up to %d, the entries are %d: %w", sum, m.state.Size, errDamaged)
	}
	return err
}

// checkSigner compares a signer's next number with the entries that have its numbers.
func checkSigner(r Reader, signer string, next uint64) error {
	_, last, err := getU64(r, signedKey(signer, next-1))
	if err != nil {
		return err
	}
	_, beyond, err := getU64(r, signedKey(signer, next))
	if err != nil {
		return err
	}
	if next == 0 || !last || beyond {
		return fmt.Errorf("the next number of %s is not %d: %w", signer, next, errDamaged)
	}
	return nil
}

// checkKeys compares the owners of the keys that may sign now.
func checkKeys(s Store, m *Machine) error {
	owners := map[string][]jose.PublicKey{entry.Governance: m.genesis.GovernanceKeys, entry.Operator: {m.genesis.OperatorKey}}
	for _, issuer := range m.registry.Issuers {
		owners[issuer.DID] = append(owners[issuer.DID], issuer.Keys...)
	}
	for _, verifier := range m.registry.Verifiers {
		owners[verifier.DID] = append(owners[verifier.DID], verifier.Keys...)
	}
	for owner, keys := range owners {
		for _, key := range keys {
			got, err := s.Get([]byte(prefixKey + key.KeyID()))
			if err != nil && !isAbsent(err) {
				return err
			}
			if err != nil || string(got) != owner {
				return fmt.Errorf("key %s is not noted as one of %s: %w", key.KeyID(), owner, errDamaged)
			}
		}
	}
	return nil
}

// checkPairs adds up what was issued.
func checkPairs(_ Store, m *Machine) error {
	sum := uint64(0)
	for _, p := range m.pairs {
		sum += p.Issued
		if p.Live > p.Issued {
			return fmt.Errorf("issuer %s has %d live leaves of %d: %w", p.Issuer, p.Live, p.Issued, errDamaged)
		}
	}
	if sum != m.state.Leaves {
		return fmt.Errorf("all issuers have %d leaves, the state says %d: %w", sum, m.state.Leaves, errDamaged)
	}
	return nil
}

// checkSeal compares the state with the entry of the last seal, and what is in the making with it if nothing came since.
func checkSeal(s Store, m *Machine) error {
	last := m.state.Sealed
	if m.state.Seals == 0 {
		if last.Index != 0 || last.Digest != m.state.Genesis || last.Time != m.genesis.Time {
			return fmt.Errorf("the state has a last seal, but no seals: %w", errDamaged)
		}
		return nil
	}
	raw, err := readEntry(s, last.Index)
	if err != nil {
		return err
	}
	_, payload, err := parse(raw)
	if err != nil {
		return fmt.Errorf("entry %d in the store: %w", last.Index, err)
	}
	seal, ok := payload.(entry.Seal)
	want := Sealed{last.Index, credential.DigestOf(raw), seal.Time, seal.ActiveRoot, seal.Registry, seal.Census}
	if !ok || last != want || m.state.Seals != seal.Height+1 {
		return fmt.Errorf("entry %d is not the last seal that the state names: %w", last.Index, errDamaged)
	}
	if m.Unsealed() > 0 {
		return nil
	}
	for _, made := range []struct {
		what   string
		value  any
		sealed credential.Digest
	}{{"registry", m.registry, last.Registry}, {"census", m.Census(), last.Census}} {
		text, err := credential.Canonical(made.value)
		if err != nil {
			return fmt.Errorf("encode %s: %w", made.what, err)
		}
		if credential.DigestOf(text) != made.sealed {
			return fmt.Errorf("the %s is not the one that the last seal names: %w", made.what, errDamaged)
		}
	}
	return nil
}
