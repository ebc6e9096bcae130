package checkpoint

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Seal is a seal with its place in the log.
type Seal struct {
	entry.Seal
	Index  uint64
	At     time.Time
	Digest credential.Digest // of its entry
}

// IsSeal tells whether an entry is a seal, unchecked.
func IsSeal(raw []byte) bool {
	e, err := entry.Parse(raw)
	return err == nil && e.Header().Kind == entry.KindSeal
}

// ParseSeal reads a seal and checks that the operator signed it for this chain. That it says the truth is what
// cosigners vouch for.
func ParseSeal(raw []byte, index uint64, genesis credential.Digest, operator jose.PublicKey) (Seal, error) {
	e, err := entry.Parse(raw)
	if err != nil {
		return Seal{}, fmt.Errorf("entry %d: %w", index, err)
	}
	header := e.Header()
	if header.Kind != entry.KindSeal || header.Signer != entry.Operator || header.Genesis != genesis || len(e.Signatures) != 1 {
		return Seal{}, fmt.Errorf("entry %d is no seal of this chain: %w", index, ErrTampered)
	}
	if err := e.Verify(0, operator); err != nil {
		return Seal{}, fmt.Errorf("seal at entry %d: %w: %w", index, ErrTampered, err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return Seal{}, fmt.Errorf("seal at entry %d: %w", index, err)
	}
	seal := payload.(entry.Seal)
	return Seal{seal, index, seal.Time.Time(), e.Digest()}, nil
}

// ParseGenesis reads the genesis entry of a chain.
func ParseGenesis(raw []byte, hash credential.Digest) (entry.Genesis, error) {
	if got := credential.DigestOf(raw); got != hash {
		return entry.Genesis{}, fmt.Errorf("genesis entry has the hash %s, want %s: %w", got, hash, ErrTampered)
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return entry.Genesis{}, fmt.Errorf("genesis entry: %w", err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return entry.Genesis{}, fmt.Errorf("genesis entry: %w", err)
	}
	g, ok := payload.(entry.Genesis)
	if !ok {
		return g, fmt.Errorf("genesis entry is of kind %s: %w", e.Header().Kind, ErrTampered)
	}
	return g, nil
}
