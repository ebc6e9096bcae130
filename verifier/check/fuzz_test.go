package check

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
)

// request is one that we make.
func request(t testing.TB) *openid.RequestObject {
	t.Helper()
	const bank = "did:web:bank.example"
	p := &policy.Policy{
		Version: 1, ID: "home", Verifier: bank, Name: credential.Text{English: "x"}, Purpose: credential.Text{English: "x"}, FreshnessSeconds: 600,
		Queries: []policy.Query{{ID: "home", Schema: credential.ElementFromUint64(5), Issuers: []string{"did:web:civil.example"}, Clauses: []policy.Clause{{Claim: "district", Equals: "a"}}}},
	}
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	statement := policy.Statement{
		Version: 1, Verifier: bank, Policy: credential.DigestOf(text), Query: "home", Now: 1, FreshnessSeconds: 600, Schema: p.Queries[0].Schema,
		Issuers: p.Queries[0].Issuers, Clauses: p.Queries[0].Clauses,
	}
	return &openid.RequestObject{
		ClientID: openid.ClientIDPrefix + bank, ResponseType: "vp_token", ResponseMode: "direct_post", Nonce: "n", State: "s", IssuedAt: 1, ExpiresAt: 2,
		VerifierInfo: []openid.VerifierInfo{{Format: openid.PolicyInfo, Data: text}}, ClientMetadata: openid.ClientMetadata{Formats: openid.OurFormats()},
		Query: openid.DCQL{Credentials: []openid.CredentialQuery{{ID: "home", Format: openid.Format, Meta: openid.Meta{
			TypeValues: []string{"t"}, Statement: statement, Systems: []openid.System{{ID: "g", System: openid.ProofSystem, Circuit: circuits.Presentation}},
		}}}},
	}
}

// A stored request asks for what its policy says, one statement a query, or is refused; then any response to it is
// refused with a code, or has one answer for each query.
func FuzzParseAsked(f *testing.F) {
	good, err := json.Marshal(request(f))
	if err != nil {
		f.Fatal(err)
	}
	response := []byte(`{"home":[]}`)
	f.Add(good, response)
	f.Add(good, []byte(`{"home":[{}],"more":[]}`))
	for _, long := range fuzztest.Long(good) {
		f.Add(long, response)
	}
	f.Add(bytes.Replace(good, []byte(`"data":{`), []byte(`"data":{"version":1,`), 1), response)
	f.Add(bytes.Replace(good, []byte(`"circuit":"presentation-1"`), []byte(`"circuit":"enrolment-1"`), 1), response)
	f.Add([]byte(`{"verifier_info":[{"format":"vnd.bulla.policy+json","data":null}]}`), response)
	genesis := credential.DigestOf([]byte("genesis"))
	f.Fuzz(func(t *testing.T, payload, response []byte) {
		asked, err := ParseAsked(genesis, payload)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		digest, err := asked.Policy.Digest()
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range asked.Request.Query.Credentials {
			if q.Meta.Statement.Policy != digest || q.ID != asked.Policy.Queries[i].ID || len(q.Meta.Systems) != 1 {
				t.Errorf("%s: query %d is not the policy's", payload, i)
			}
		}
		answers, err := parse(asked, response)
		if err != nil {
			if _, ok := err.(*Refusal); !ok {
				t.Errorf("refused with %T: %v", err, err)
			}
			fuzztest.Refused(t, err)
			return
		}
		if len(answers) != len(asked.Request.Query.Credentials) {
			t.Errorf("%d answers", len(answers))
		}
	})
}

// Whatever a verifier's key signed as a result: it counts for one application and session, in time.
func FuzzResult(f *testing.F) {
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	want := Expected{Verifier: "did:web:bank.example", Audience: "app", Session: "s", Now: time.Unix(1_800_000_000, 0)}
	good, err := json.Marshal(Result{
		Issuer: want.Verifier, Audience: want.Audience, Session: want.Session, ExpiresAt: 1_800_000_001,
		Facts: []ResultFact{{Query: "q", VerifyingKey: credential.DigestOf(nil)}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte(`"session":"s"`), []byte(`"session":"s","session":"t"`), 1))
	f.Add(bytes.Replace(good, []byte(`1800000001`), []byte(`1800000000`), 1))
	f.Add([]byte(strings.Replace(string(good), `"facts":[`, `"facts":[{},`, 1)))
	f.Add([]byte(`{"exp":1e19}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !json.Valid(payload) {
			return // keys sign JSON only
		}
		token, err := jose.SignCompact(key, "", openid.ResultType, json.RawMessage(payload))
		if err != nil {
			t.Fatal(err)
		}
		r, err := VerifyResult(token, jose.Keys(key.Public()), want)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if r.Issuer != want.Verifier || r.Audience != want.Audience || r.Session != want.Session || !r.ExpiresAt.Time().After(want.Now) || len(r.Facts) == 0 {
			t.Errorf("%s counts", payload)
		}
	})
}
