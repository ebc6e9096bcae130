package entry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// payloads has one of each kind.
func payloads(t testing.TB) []entry.Payload {
	const did = "did:web:land.example"
	key, name := seeded(t, "one").Public(), credential.Text{English: "Land", Chinese: "土地"}
	keys := []jose.PublicKey{key}
	listed := entry.VerifyingKey{Circuit: "presentation-1", CircuitDigest: credential.DigestOf([]byte("c")), KeyDigest: credential.DigestOf([]byte("k")), NotAfter: 2_000_000_000}
	return []entry.Payload{
		entry.Genesis{
			Version: 1, Network: "test", Suite: entry.Suite, Origin: "ledger.example/test",
			LogKey: "ledger.example/test+dc2d5bd9+AedKXr2Vp+S8fQBQyZwjm5b8PgRcJ2mgPq3jP1kbXN0x", OperatorKey: key, GovernanceKeys: keys,
			GovernanceThreshold: 1, SealIntervalSeconds: 10, SealMaximumSeconds: 600, GridSeconds: 600, ClockSkewSeconds: 5,
			VerifyingKeys: []entry.VerifyingKey{}, Time: 1,
		},
		entry.IssuerRegistered{DID: did, Name: name, Keys: keys, Quota: 5, URL: "https://land.example"},
		entry.IssuerRotated{DID: did, Keys: keys, Quota: 6},
		entry.IssuerSuspended{DID: did, Reason: "audit"},
		entry.IssuerReinstated{DID: did},
		entry.SchemaPublished{Schema: credential.Schema{
			Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
			Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}, {Name: "right", Type: credential.Enum, Values: []string{"owner"}}},
		}, Issuers: []string{did}},
		entry.CredentialsIssued{Schema: credential.ElementFromUint64(2), Commitments: []credential.Element{credential.ElementFromUint64(3)}},
		entry.CredentialsSuspended{Leaves: []uint64{0, 7}},
		entry.CredentialsReinstated{Leaves: []uint64{7}}, entry.AuditAnchored{Records: 7, Head: credential.DigestOf(nil)},
		entry.CredentialsRevoked{Leaves: []uint64{1<<53 - 1}},
		entry.VerifierRegistered{DID: did, Name: name, Keys: keys, ResponseURIs: []string{"https://land.example/oid4vp/"}},
		entry.PolicyRegistered{Policy: json.RawMessage(`{"version":1}`)},
		entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Part: 1, Parts: 3, Members: []string{"c", "d"}},
		entry.ScopeRegistered{Service: "ballot", Consumer: "did:web:a", Verifiers: []string{"did:web:a", "did:web:b"}},
		entry.VerifyingKeyListed{Key: listed},
		entry.Seal{Height: 1, Time: 5, Previous: credential.DigestOf(nil), PreviousAt: 3, ActiveRoot: credential.ElementFromUint64(9), Leaves: 4},
	}
}

// A payload is refused as malformed, or is valid and has one spelling, whatever its kind.
func FuzzPayload(f *testing.F) {
	good := sample(f, seeded(f, "one"))
	for _, p := range payloads(f) {
		text, err := credential.Canonical(p)
		if err != nil {
			f.Fatal(err)
		}
		signed, err := entry.Sign(entry.Draft{Signer: agency, Payload: p}, seeded(f, "one"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(signed.Header().Kind), text)
		for _, long := range fuzztest.Long(text) {
			f.Add(string(signed.Header().Kind), long)
		}
	}
	f.Add(strings.Repeat("x", fuzztest.MaxError), []byte(`{}`))
	f.Add("seal", []byte(`{}`))
	f.Add("nothing", []byte(`null`))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		header := good.Header()
		header.Kind = entry.Kind(kind)
		protected, err := credential.Canonical(header)
		if err != nil {
			return // no JSON has such a kind
		}
		base64url := base64.RawURLEncoding.EncodeToString
		raw, err := credential.Canonical(map[string]any{"payload": base64url(payload), "signatures": []map[string]string{
			{"protected": base64url(protected), "signature": base64url(make([]byte, jose.SignatureSize))},
		}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := entry.Parse(raw)
		if err != nil {
			if fuzztest.Refused(t, err); len(raw) <= entry.MaxSize || !errors.Is(err, entry.ErrMalformed) {
				t.Fatalf("an entry of %d bytes: %v", len(raw), err)
			}
			return
		}
		p, err := e.ParsePayload()
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, entry.ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("parsed, but: %v", err)
		}
		if text, err := credential.Canonical(p); err != nil || !bytes.Equal(text, payload) {
			t.Errorf("%s is a second spelling of %s, %v", payload, text, err)
		}
	})
}
