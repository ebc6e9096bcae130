package ceremony

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// KeySet is the keys of a finished ceremony. It is immutable and safe for concurrent use.
type KeySet struct {
	transcript credential.Digest
	pairs      map[string]pair
}

// pair is the keys of one circuit; the proving key stays on disk until it is asked for.
type pair struct {
	circuit       circuits.Circuit
	verifying     *keys.VerifyingKey
	provingPath   string
	provingDigest credential.Digest
}

// Keys loads the keys of a finished ceremony from its folder, of which only the transcript and the key files are needed.
// It checks that they belong together, not that the transcript is true: [Ceremony.Verify] does, once. What makes the keys
// good for a chain is that its genesis or governance lists their digests.
func Keys(dir string) (*KeySet, error) {
	t, err := readTranscript(filepath.Join(dir, TranscriptFile))
	if err != nil {
		return nil, fmt.Errorf("keys of a ceremony: %w", err)
	}
	if !t.Finished() {
		return nil, fmt.Errorf("keys of a ceremony: the one in %s is not finished", dir)
	}
	set := &KeySet{pairs: make(map[string]pair)}
	if set.transcript, err = t.Digest(); err != nil {
		return nil, err
	}
	for i, key := range t.Keys {
		p, err := load(dir, t.Plan.Circuits[i], key)
		if err != nil {
			return nil, fmt.Errorf("keys of %s from the ceremony in %s: %w", key.Circuit, dir, err)
		}
		set.pairs[key.Circuit] = p
	}
	return set, nil
}

// load reads the verifying key, and checks that the proving key is there and undamaged.
func load(dir string, plan PlannedCircuit, key Key) (pair, error) {
	circuit, err := circuits.Named(key.Circuit)
	if err != nil {
		return pair{}, err
	}
	if circuit.Digest != plan.Digest {
		return pair{}, fmt.Errorf("they are of the circuit %s, this program has %s", plan.Digest, circuit.Digest)
	}
	data, err := readFile(filepath.Join(dir, verifyingFile(key.Circuit)), keys.MaxVerifyingKey)
	if err != nil {
		return pair{}, err
	}
	if got := credential.DigestOf(data); got != key.VerifyingKey {
		return pair{}, fmt.Errorf("the verifying key has the digest %s, the transcript says %s: %w", got, key.VerifyingKey, keys.ErrWrongKey)
	}
	vk, err := keys.ParseVerifyingKey(data)
	if err != nil {
		return pair{}, err
	}
	if vk.Circuit() != circuit.Digest {
		return pair{}, fmt.Errorf("the verifying key is of another circuit: %w", keys.ErrWrongKey)
	}
	p := pair{circuit, vk, filepath.Join(dir, provingFile(key.Circuit)), key.ProvingKey}
	_, err = p.provingKey()
	return p, err
}

func (p pair) provingKey() (*keys.ProvingKey, error) {
	pk, err := keys.LoadProvingKey(p.provingPath, p.circuit, p.provingDigest)
	if err == nil && pk.VerifyingKey() != p.verifying.Digest() {
		err = fmt.Errorf("the proving key belongs to the verifying key %s: %w", pk.VerifyingKey(), keys.ErrWrongKey)
	}
	if err != nil {
		return nil, err
	}
	return pk, nil
}

// Transcript is the digest of the transcript, which the chain's entries of these verifying keys carry.
func (s *KeySet) Transcript() credential.Digest { return s.transcript }

// Circuits are the names of the circuits that have keys, ascending.
func (s *KeySet) Circuits() []string { return slices.Sorted(maps.Keys(s.pairs)) }

var errNoKeys = errors.New("the ceremony made no such keys")

// VerifyingKey is the verifying key of a circuit.
func (s *KeySet) VerifyingKey(circuit string) (*keys.VerifyingKey, error) {
	p, ok := s.pairs[circuit]
	if !ok {
		return nil, fmt.Errorf("verifying key of %q: %w", circuit, errNoKeys)
	}
	return p.verifying, nil
}

// ProvingKey loads the proving key of a circuit, in some 20 ms.
func (s *KeySet) ProvingKey(circuit string) (*keys.ProvingKey, error) {
	p, ok := s.pairs[circuit]
	if !ok {
		return nil, fmt.Errorf("proving key of %q: %w", circuit, errNoKeys)
	}
	return p.provingKey()
}

// ProvingKeyFile is where the proving key of a circuit lies, and the digest by which to pin it.
func (s *KeySet) ProvingKeyFile(circuit string) (path string, digest credential.Digest, err error) {
	p, ok := s.pairs[circuit]
	if !ok {
		return "", credential.Digest{}, fmt.Errorf("proving key of %q: %w", circuit, errNoKeys)
	}
	return p.provingPath, p.provingDigest, nil
}
