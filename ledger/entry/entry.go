// Package entry is the codec of the ledger: what an entry is on the wire, what its payloads say, and how it is signed.
//
// An entry is a JWS in general JSON serialisation, so that k of n governance keys can sign one payload. Its bytes are
// canonical (RFC 8785) at every level, so that one entry has one spelling and one hash. Keys are named by kid only and
// looked up on the chain; headers that carry keys are refused. Format: doc/spec/entry.md.
package entry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// MaxSize bounds an entry, in bytes. C2SP tlog-tiles lengths have 16 bits, so the largest entry is one byte below 64 KiB.
const MaxSize = 64<<10 - 1

// MaxSignatures bounds the signatures of one entry.
const MaxSignatures = 16

// Type is the typ of every protected header.
const Type = "bulla-entry+jws"

// Governance and Operator are the signers that are not agencies. All other signers are DIDs.
const (
	Governance = "governance"
	Operator   = "operator"
)

// ErrMalformed is returned for bytes that are no entry.
var ErrMalformed = errors.New("malformed entry")

// Header is the protected header of one signature. All signatures of an entry agree on everything but alg and kid.
type Header struct {
	Algorithm jose.Algorithm    `json:"alg"`
	Genesis   credential.Digest `json:"genesis"` // all zero in the genesis entry itself
	KeyID     string            `json:"kid"`
	Kind      Kind              `json:"kind"`
	Sequence  uint64            `json:"seq"` // the signer's next number, from 0
	Signer    string            `json:"signer"`
	Type      string            `json:"typ"`
}

// Signature is one signature of an entry.
type Signature struct {
	Header    Header
	protected string // base64url, as signed
	signature []byte
}

// Entry is a parsed entry. Parsing checks its form; authority is the state machine's business.
type Entry struct {
	Payload    []byte      // canonical JSON
	Signatures []Signature // ascending by key id, each key once, at least one
	raw        []byte
}

type wireEntry struct {
	Payload    string          `json:"payload"`
	Signatures []wireSignature `json:"signatures"`
}

type wireSignature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// Parse reads an entry: canonical or refused.
func Parse(raw []byte) (*Entry, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(raw), MaxSize, ErrMalformed)
	}
	var wire wireEntry
	if err := credential.ParseCanonical(raw, &wire); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	payload, err := credential.ParseBase64(wire.Payload, -1)
	if err != nil {
		return nil, fmt.Errorf("payload: %w: %w", ErrMalformed, err)
	}
	e := &Entry{Payload: payload, raw: slices.Clone(raw)}
	if len(wire.Signatures) == 0 || len(wire.Signatures) > MaxSignatures {
		return nil, fmt.Errorf("%d signatures, want 1 to %d: %w", len(wire.Signatures), MaxSignatures, ErrMalformed)
	}
	for i, w := range wire.Signatures {
		s, err := parseSignature(w)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w: %w", i, ErrMalformed, err)
		}
		e.Signatures = append(e.Signatures, s)
	}
	return e, e.validate()
}

func parseSignature(w wireSignature) (Signature, error) {
	s := Signature{protected: w.Protected}
	header, err := credential.ParseBase64(w.Protected, -1)
	if err != nil {
		return s, fmt.Errorf("protected header: %w", err)
	}
	if err := credential.ParseCanonical(header, &s.Header); err != nil {
		return s, fmt.Errorf("protected header: %w", err)
	}
	s.signature, err = credential.ParseBase64(w.Signature, jose.SignatureSize)
	return s, err
}

func (e *Entry) validate() error {
	first := e.Header()
	for i, s := range e.Signatures {
		same := s.Header
		same.Algorithm, same.KeyID = first.Algorithm, first.KeyID
		switch {
		case same != first:
			return fmt.Errorf("signatures disagree on the header: %w", ErrMalformed)
		case s.Header.Type != Type:
			return fmt.Errorf("typ is %.100q, want %.100q: %w", s.Header.Type, Type, ErrMalformed)
		case i > 0 && strings.Compare(e.Signatures[i-1].Header.KeyID, s.Header.KeyID) >= 0:
			return fmt.Errorf("signatures are not ascending by kid, each once: %w", ErrMalformed)
		}
	}
	if !credential.ValidName(first.Signer) {
		return fmt.Errorf("signer %.100q is not a plain name: %w", first.Signer, ErrMalformed)
	}
	if first.Sequence >= 1<<53 {
		return fmt.Errorf("seq %d is beyond 2^53: %w", first.Sequence, ErrMalformed)
	}
	return nil
}

// Header is what all signatures agree on (its alg and kid are those of the first).
func (e *Entry) Header() Header { return e.Signatures[0].Header }

// Bytes are the canonical bytes: the leaf of the log.
func (e *Entry) Bytes() []byte { return slices.Clone(e.raw) }

// Digest is the SHA-256 of the bytes. Of a genesis entry it is the genesis hash, the chain's identity.
func (e *Entry) Digest() credential.Digest { return credential.DigestOf(e.raw) }

// Verify checks one signature against a key; the algorithm must be the key's.
func (e *Entry) Verify(i int, key jose.PublicKey) error {
	s := e.Signatures[i]
	if s.Header.Algorithm != key.Algorithm() {
		return fmt.Errorf("alg is %.100q, but key %s is for %s: %w", s.Header.Algorithm, s.Header.KeyID, key.Algorithm(), jose.ErrSignature)
	}
	return key.Verify([]byte(s.protected+"."+base64.RawURLEncoding.EncodeToString(e.Payload)), s.signature)
}

// Draft is an entry before it is signed.
type Draft struct {
	Kind     Kind
	Genesis  credential.Digest
	Signer   string
	Sequence uint64
	Payload  Payload
}

// Sign makes an entry of a draft, signed by each key.
func Sign(d Draft, keys ...*jose.SigningKey) (*Entry, error) {
	if kind := d.Payload.kind(); kind != d.Kind && d.Kind != "" {
		return nil, fmt.Errorf("sign entry: payload is of kind %s, not %s", kind, d.Kind)
	}
	payload, err := credential.Canonical(d.Payload)
	if err != nil {
		return nil, fmt.Errorf("sign entry: %w", err)
	}
	wire := wireEntry{Payload: base64.RawURLEncoding.EncodeToString(payload)}
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b *jose.SigningKey) int { return strings.Compare(a.Public().KeyID(), b.Public().KeyID()) })
	for _, key := range keys {
		header, err := credential.Canonical(Header{
			Algorithm: key.Public().Algorithm(), Genesis: d.Genesis, Kind: d.Payload.kind(), KeyID: key.Public().KeyID(),
			Sequence: d.Sequence, Signer: d.Signer, Type: Type,
		})
		if err != nil {
			return nil, fmt.Errorf("sign entry: %w", err)
		}
		protected := base64.RawURLEncoding.EncodeToString(header)
		signature, err := key.Sign([]byte(protected + "." + wire.Payload))
		if err != nil {
			return nil, fmt.Errorf("sign entry: %w", err)
		}
		wire.Signatures = append(wire.Signatures, wireSignature{protected, base64.RawURLEncoding.EncodeToString(signature)})
	}
	raw, err := credential.Canonical(wire)
	if err != nil {
		return nil, fmt.Errorf("sign entry: %w", err)
	}
	return Parse(raw)
}
