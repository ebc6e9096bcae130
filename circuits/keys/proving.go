package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
)

// MaxProvingKey bounds a proving key file, in bytes. That of the presentation has some 4.5 MB.
const MaxProvingKey = 64 << 20

// ProvingKey makes the proofs of one circuit. It is immutable and safe for concurrent use.
type ProvingKey struct {
	circuit   circuits.Circuit
	verifying credential.Digest
	key       groth16.ProvingKey
}

// ErrWrongKey is returned for a file that is not the one that was expected.
var ErrWrongKey = errors.New("not the expected key")

// EncodeProvingKey is the file form of the result of a setup, to be pinned by its SHA-256.
func EncodeProvingKey(key *groth16.ProvingKey, vk *VerifyingKey) ([]byte, error) {
	if len(key.CommitmentKeys) != 0 {
		return nil, errors.New("the proving key has commitments, and no circuit of ours makes any")
	}
	buf := bytes.NewBuffer(appendHeader(nil, proving, vk.Circuit()))
	digest := vk.Digest()
	buf.Write(digest[:])
	if _, err := key.WriteRawTo(buf); err != nil {
		return nil, fmt.Errorf("serialise proving key of %s: %w", vk.Name(), err)
	}
	return buf.Bytes(), nil
}

// ParseProvingKey reads the file form. The SHA-256 of data must be file, and the circuit must be the expected one, else
// the error is [ErrWrongKey]. The points themselves are trusted with that digest.
func ParseProvingKey(data []byte, circuit circuits.Circuit, file credential.Digest) (*ProvingKey, error) {
	if got := credential.DigestOf(data); got != file {
		return nil, fmt.Errorf("proving key file has the digest %s, want %s: %w", got, file, ErrWrongKey)
	}
	found, payload, err := parseHeader(data, proving)
	if err != nil {
		return nil, fmt.Errorf("proving key: %w", err)
	}
	if found != circuit {
		return nil, fmt.Errorf("proving key of %s, want one of %s: %w", found.Name, circuit.Name, ErrWrongKey)
	}
	pk := &ProvingKey{circuit: circuit}
	if len(payload) < len(pk.verifying) {
		return nil, fmt.Errorf("proving key of %s ends early", circuit.Name)
	}
	copy(pk.verifying[:], payload)
	r := bytes.NewReader(payload[len(pk.verifying):])
	if _, err := pk.key.UnsafeReadFrom(r); err != nil {
		return nil, fmt.Errorf("proving key of %s: %w", circuit.Name, err)
	}
	if r.Len() != 0 || len(pk.key.CommitmentKeys) != 0 {
		return nil, fmt.Errorf("proving key of %s has %d bytes too many or commitments", circuit.Name, r.Len())
	}
	return pk, nil
}

// LoadProvingKey reads a proving key from a file; see [ParseProvingKey].
func LoadProvingKey(path string, circuit circuits.Circuit, file credential.Digest) (*ProvingKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxProvingKey+1))
	if err != nil {
		return nil, fmt.Errorf("read proving key %s: %w", path, err)
	}
	if len(data) > MaxProvingKey {
		return nil, fmt.Errorf("proving key %s has more than %d bytes", path, MaxProvingKey)
	}
	return ParseProvingKey(data, circuit, file)
}

// Circuit describes the circuit.
func (pk *ProvingKey) Circuit() circuits.Circuit { return pk.circuit }

// VerifyingKey is the digest of the verifying key that checks the proofs.
func (pk *ProvingKey) VerifyingKey() credential.Digest { return pk.verifying }

// Groth16 is the key as gnark knows it. It must not be changed.
func (pk *ProvingKey) Groth16() *groth16.ProvingKey { return &pk.key }
