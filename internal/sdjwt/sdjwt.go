// Package sdjwt issues, holds and verifies the companion credentials: ordinary, selectively disclosable ones for verifiers
// that know nothing of ours.
//
//	issuer   Issue    claims, some behind salted digests  →  JWT~disclosure~…~disclosure~
//	holder   Parse, Present    the disclosures it chose, bound to a verifier and nonce by its key  →  JWT~disclosure~KB-JWT
//	verifier Verify   signature, digests, times, key binding  →  the disclosed claims
//
// Level: RFC 9901 (SD-JWT, compact form) in the profile draft-ietf-oauth-sd-jwt-vc-12 ("dc+sd-jwt"). The subset, and what
// is linkable about such a credential, are in doc/spec/sdjwt.md.
//
// An issuer's key is looked up by iss and kid, a holder's is the one in cnf; headers that carry keys are refused by jose.
package sdjwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
)

const (
	// Type is the typ of the issuer's JWT, and the format's name in OpenID4VCI and OpenID4VP.
	Type = "dc+sd-jwt"
	// BindingType is the typ of a key binding JWT.
	BindingType = "kb+jwt"
	// MaxSize bounds a credential with all that follows it, in bytes.
	MaxSize = 256 << 10
	// MaxDisclosures bounds how many disclosures follow a credential.
	MaxDisclosures = 256

	maxDigests = 1024 // in a credential, decoys included
	maxDepth   = 16   // of objects and lists in the payload
	separator  = "~"
	algorithm  = "sha-256"
)

// Names that the format keeps for itself.
const (
	digestsName   = "_sd"
	elementName   = "..."
	algorithmName = "_sd_alg"
)

// Sentinels of refusals, besides [jose.ErrToken] and [jose.ErrSignature].
var (
	// ErrMalformed is returned for what is not of the form we accept.
	ErrMalformed = errors.New("SD-JWT is malformed")
	// ErrDisclosure is returned where disclosures and digests do not fit each other.
	ErrDisclosure = errors.New("disclosures do not fit the credential")
	// ErrTime is returned for a credential or key binding of another time.
	ErrTime = errors.New("credential or key binding is of another time")
	// ErrUnexpected is returned for a credential that is good, but not of a type the verifier accepts.
	ErrUnexpected = errors.New("credential is not one that was asked for")
	// ErrBinding is returned where the key binding is missing, unasked for, or of another key, verifier, nonce or selection.
	ErrBinding = errors.New("key binding does not hold")
)

// Claims are values by name: strings, booleans, [json.Number], nil, and lists and objects of these.
type Claims map[string]any

// LogValue hides the claims.
func (Claims) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Credential is what an issuer says about a holder.
type Credential struct {
	Type      string              // vct
	Issuer    string              // iss
	IssuedAt  credential.UnixTime // iat, or 0 where it is not said; so for the other times
	NotBefore credential.UnixTime // nbf
	ExpiresAt credential.UnixTime // exp
	// HolderKey is the key in cnf, or nil for a credential that anyone can present who has it.
	HolderKey *jose.PublicKey
	Status    *statuslist.Reference // or nil for one that cannot be revoked
	// Claims are all others; after verification those that are always open and those that were disclosed.
	Claims Claims
}

// LogValue hides the claims and the status, by which the holder can be recognised.
func (c *Credential) LogValue() slog.Value {
	return slog.GroupValue(slog.String("vct", c.Type), slog.String("iss", c.Issuer))
}

// Path leads to a claim: the names of objects in one another, and the index, in decimal, in a list.
type Path []string

// within tells whether the claim at p is the one at whole, or a part of it.
func (p Path) within(whole Path) bool {
	return len(p) >= len(whole) && slices.Equal(p[:len(whole)], whole)
}

// open lists what must never be behind a digest. SPEC (SD-JWT VC 3.2.2.2): these are not selectively disclosable. A
// verifier decides by them whether to accept the credential, so a holder must not choose to leave them out.
var open = []string{"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}

// SDJWT is a credential as it is handed over: read and complete in itself, but not verified.
type SDJWT struct {
	token       string // the issuer's JWT
	disclosures []*disclosure
	binding     string // the key binding JWT, or empty
	claimed     *Credential
	met         []Path // of every claim that is open or disclosed
}

// LogValue hides everything.
func (*SDJWT) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Parse reads a credential and does all of RFC 9901 section 7.1 that needs no key: each disclosure belongs to exactly one
// digest, and what results is a credential.
func Parse(text string) (*SDJWT, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(text), MaxSize, ErrMalformed)
	}
	if n := strings.Count(text, separator); n < 1 || n > MaxDisclosures+1 {
		return nil, fmt.Errorf("%d separators, want 1 to %d: %w", n, MaxDisclosures+1, ErrMalformed)
	}
	parts := strings.Split(text, separator)
	last := len(parts) - 1
	s := &SDJWT{token: parts[0], binding: parts[last]}
	for i, part := range parts[1:last] {
		d, err := parseDisclosure(part)
		if err != nil {
			return nil, fmt.Errorf("disclosure %d: %w", i+1, err)
		}
		s.disclosures = append(s.disclosures, d)
	}
	_, payload, err := jose.PeekCompact(s.token)
	if err != nil {
		return nil, err
	}
	return s, s.open(payload)
}

// open fills in what the payload claims.
func (s *SDJWT) open(payload []byte) error {
	var object map[string]any
	if err := decode(payload, &object); err != nil || object == nil {
		return fmt.Errorf("the payload is not a strict JSON object: %w", ErrMalformed)
	}
	claims, met, err := unpack(object, s.disclosures)
	if err != nil {
		return err
	}
	s.met = met
	s.claimed, err = readCredential(claims)
	return err
}

// String is the credential as it is handed over.
func (s *SDJWT) String() string { return s.unbound(s.disclosures) + s.binding }

// unbound is the credential with some disclosures up to where a key binding follows: what sd_hash is the digest of.
func (s *SDJWT) unbound(disclosures []*disclosure) string {
	var out strings.Builder
	out.WriteString(s.token + separator)
	for _, d := range disclosures {
		out.WriteString(d.text + separator)
	}
	return out.String()
}

// Disclosable are the paths of the claims that come with a disclosure.
func (s *SDJWT) Disclosable() []Path {
	var out []Path
	for _, d := range s.disclosures {
		out = append(out, slices.Clone(d.path))
	}
	return out
}

// decode reads JSON with one reading (no duplicate names, no second spelling of text) and keeps numbers as written. What
// is wrong is not said: the text has claims in it.
func decode(text []byte, target any) error {
	if _, err := credential.CanonicalJSON(text); err != nil {
		return ErrMalformed
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(target) != nil {
		return ErrMalformed
	}
	return nil
}
