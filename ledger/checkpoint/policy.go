package checkpoint

import (
	"errors"
	"fmt"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/ledger/entry"
)

// Policy says whose signatures make a checkpoint believable: the log's, and those of Threshold of the Cosigners.
//
// The operator alone could seal any active root, so outside dev chains at least one cosignature is demanded, by a
// cosigner that replays the chain and is independent of the operator.
type Policy struct {
	LogKey    string   `json:"log_key"`   // checkpoint verifier key, as x/mod note prints it
	Cosigners []string `json:"cosigners"` // C2SP cosignature/v1 verifier keys (Ed25519)
	Threshold int      `json:"threshold"` // how many of the cosigners must have signed
}

// maxCosigners bounds a policy; a note has at most 100 signature lines.
const maxCosigners = 64

// Judge is a policy that was read: it says which checkpoints to believe.
type Judge struct {
	Policy
	Log       note.Verifier
	Cosigners []note.Verifier
}

// Parse reads the keys of a policy.
func (p Policy) Parse() (*Judge, error) {
	if len(p.Cosigners) > maxCosigners || p.Threshold < 0 || p.Threshold > len(p.Cosigners) {
		return nil, fmt.Errorf("threshold %d of %d cosigners (at most %d)", p.Threshold, len(p.Cosigners), maxCosigners)
	}
	log, err := note.NewVerifier(p.LogKey)
	if err != nil {
		return nil, fmt.Errorf("log key %.100q: %w", p.LogKey, err)
	}
	parsed := &Judge{Policy: p, Log: log}
	seen := map[string]bool{}
	for _, key := range p.Cosigners {
		v, err := parseCosigner(key)
		if err != nil {
			return nil, fmt.Errorf("cosigner %.100q: %w", key, err)
		}
		if seen[v.Name()] {
			return nil, fmt.Errorf("cosigner name %.100q stands twice: one cosigner would count as two", v.Name())
		}
		if v.Name() == log.Name() {
			return nil, fmt.Errorf("cosigner %.100q has the log's own name: it is not independent", v.Name())
		}
		seen[v.Name()] = true
		parsed.Cosigners = append(parsed.Cosigners, v)
	}
	return parsed, nil
}

// parseCosigner reads a verifier key of type 4, cosignature/v1. The library does not compare the hash in the text with
// the key's, and takes plain log keys, too.
func parseCosigner(key string) (note.Verifier, error) {
	v, err := cosignature.NewVerifierForCosignatureV1(key)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(key, fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash())) {
		return nil, errors.New("not a cosignature/v1 key, or its hash does not fit")
	}
	return v, nil
}

// ValidateFor checks the policy against the chain.
func (p *Judge) ValidateFor(g entry.Genesis) error {
	if p.LogKey != g.LogKey {
		return fmt.Errorf("the policy's log key %.100q is not the genesis' %.100q: %w", p.LogKey, g.LogKey, ErrPolicy)
	}
	if !g.Dev && p.Threshold < 1 {
		return fmt.Errorf("the chain is no dev chain, so the policy must demand at least one independent cosignature: %w", ErrPolicy)
	}
	return nil
}

// Accept reads a checkpoint and checks it against the policy.
func (p *Judge) Accept(text []byte) (Checkpoint, error) {
	c, err := Parse(text, p.Log, p.Cosigners...)
	if err != nil {
		return Checkpoint{}, err
	}
	if len(c.Cosigners) < p.Threshold {
		return Checkpoint{}, fmt.Errorf("%d cosignatures of known cosigners, %d are demanded: %w", len(c.Cosigners), p.Threshold, ErrPolicy)
	}
	return c, nil
}
