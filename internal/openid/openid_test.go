package openid

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func TestWellKnownIsInserted(t *testing.T) {
	for identifier, want := range map[string]string{
		"https://h.example":               "https://h.example/.well-known/openid-credential-issuer",
		"https://h.example/":              "https://h.example/.well-known/openid-credential-issuer",
		"https://h.example/agencies/land": "https://h.example/.well-known/openid-credential-issuer/agencies/land",
		"http://127.0.0.1:8080/a":         "http://127.0.0.1:8080/.well-known/openid-credential-issuer/a",
		"not a url":                       "",
		"/only/a/path":                    "",
	} {
		if got, err := WellKnown(identifier, IssuerWellKnown); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", identifier, got, err)
		}
	}
}

func TestOfferLink(t *testing.T) {
	offer := CredentialOffer{CredentialIssuer: "https://h.example", ConfigurationIDs: []string{"urn:x:1"},
		Grants: Grants{PreAuthorized{Code: "a+b/c=", TxCode: &TxCode{Length: 6}}}}
	link, err := offer.Link()
	if err != nil {
		t.Fatal(err)
	}
	back, reference, err := ParseOfferLink(link)
	if err != nil || reference != "" || back.Grants.PreAuthorized.Code != "a+b/c=" || back.Grants.PreAuthorized.TxCode.Length != 6 {
		t.Errorf("offer %+v, %q, %v", back, reference, err)
	}
	if _, reference, err := ParseOfferLink("openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fh.example%2Fo%2F1"); err != nil || reference != "https://h.example/o/1" {
		t.Errorf("by reference: %q, %v", reference, err)
	}
	for _, bad := range []string{"", "https://h.example", "openid-credential-offer://", "openid-credential-offer://?credential_offer={",
		"openid-credential-offer://?credential_offer={}&credential_offer_uri=https://x", "openid-credential-offer://?" + strings.Repeat("x", maxLink)} {
		if _, _, err := ParseOfferLink(bad); err == nil {
			t.Errorf("%.60q was read", bad)
		}
	}
}

func TestRequestLink(t *testing.T) {
	for _, r := range []RequestReference{
		{ClientID: ClientIDPrefix + "did:web:v.example", URI: "https://v.example/r?x=1&y=2"}, {ClientID: "c", URI: "https://v.example/r", Post: true},
	} {
		if got, err := ParseRequestLink(r.Link()); err != nil || got != r {
			t.Errorf("%s reads as %+v, %v", r.Link(), got, err)
		}
	}
	if r, err := ParseRequestLink("openid4vp://?client_id=x&request_uri=y&request_uri_method=get"); err != nil || r.Post {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{
		"openid4vp://?client_id=x", "openid4vp://?request_uri=x", "openid4vp://?client_id=x&request_uri=y&request_uri_method=POST",
		"openid4vp://?client_id=x&request_uri=y&request_uri_method=put", "openid4vp://?client_id=x&client_id=z&request_uri=y",
	} {
		if r, err := ParseRequestLink(bad); err == nil {
			t.Errorf("%s was read as %+v", bad, r)
		}
	}
}

// Whatever of a request changes, the challenge does too: nothing that a proof should be bound to is left out.
func TestChallengeCoversTheRequest(t *testing.T) {
	genesis := credential.DigestOf([]byte("chain"))
	make := func() *RequestObject {
		return &RequestObject{ClientID: "c", ResponseURI: "https://v/r", Nonce: "n", IssuedAt: 1, ExpiresAt: 2, Query: DCQL{Credentials: []CredentialQuery{{
			ID: "q", Format: Format, Meta: Meta{TypeValues: []string{"t"}, Systems: []System{{ID: "z", System: ProofSystem, Circuit: "c"}},
				Statement: policy.Statement{Version: 1, Query: "q", Now: 3, FreshnessSeconds: 4, Issuers: []string{"did:web:i"}, Clauses: []policy.Clause{{Claim: "a", AtLeast: "1"}}}},
		}}}}
	}
	base, err := make().Challenge(genesis)
	if err != nil {
		t.Fatal(err)
	}
	meta := func(r *RequestObject) *Meta { return &r.Query.Credentials[0].Meta }
	for name, change := range map[string]func(*RequestObject){
		"client": func(r *RequestObject) { r.ClientID = "d" }, "address": func(r *RequestObject) { r.ResponseURI += "x" },
		"nonce": func(r *RequestObject) { r.Nonce = "m" }, "iat": func(r *RequestObject) { r.IssuedAt++ }, "exp": func(r *RequestObject) { r.ExpiresAt++ },
		"query": func(r *RequestObject) { r.Query.Credentials[0].ID = "p" }, "more": func(r *RequestObject) { r.Query.Credentials = append(r.Query.Credentials, CredentialQuery{}) },
		"circuit": func(r *RequestObject) { meta(r).Systems[0].Circuit = "d" }, "key": func(r *RequestObject) { meta(r).Systems[0].VerifyingKey[0]++ },
		"policy": func(r *RequestObject) { meta(r).Statement.Policy[0]++ }, "now": func(r *RequestObject) { meta(r).Statement.Now++ },
		"clause": func(r *RequestObject) { meta(r).Statement.Clauses[0].AtLeast = "2" }, "issuers": func(r *RequestObject) { meta(r).Statement.Issuers[0] += "x" },
		"set of issuers": func(r *RequestObject) { meta(r).Statement.IssuerSet[0]++ }, "set of values": func(r *RequestObject) { meta(r).Statement.Clauses[0].InSet[0]++ },
		"response key": func(r *RequestObject) { r.EncryptTo(newKey(t).Public()) },
		"scope":        func(r *RequestObject) { meta(r).Statement.Scope = &policy.Scope{Service: "s"} }, "freshness": func(r *RequestObject) { meta(r).Statement.FreshnessSeconds++ },
	} {
		r := make()
		change(r)
		if got, err := r.Challenge(genesis); err != nil || got == base {
			t.Errorf("%s: the challenge stays, %v", name, err)
		}
	}
	if got, _ := make().Challenge(credential.DigestOf([]byte("another"))); got == base {
		t.Error("the challenge is the same on another chain")
	}
	encrypted, again := make(), make()
	encrypted.EncryptTo(newKey(t).Public())
	again.EncryptTo(newKey(t).Public())
	one, err1 := encrypted.Challenge(genesis)
	two, err2 := again.Challenge(genesis)
	if err := errors.Join(err1, err2); err != nil || one == two {
		t.Errorf("the challenge is the same for another response key, %v", err)
	}
	encrypted.WalletNonce = "n"
	if got, err := encrypted.Challenge(genesis); err != nil || got != one {
		t.Errorf("the challenge depends on who fetched the request, %v", err)
	}
	encrypted.ClientMetadata.Keys = nil
	if _, err := encrypted.Challenge(genesis); err == nil {
		t.Error("there is a challenge without the key to encrypt to")
	}
}

// Requests are bounded in what we ignore, too.
func TestRequestObjectIsBounded(t *testing.T) {
	list := func(n int) string { return "[" + strings.Repeat("1,", n-1) + "1]" }
	members := func(n int) string {
		text := make([]string, n)
		for i := range text {
			text[i] = fmt.Sprintf(`"m%d":[]`, i)
		}
		return "{" + strings.Join(text, ",") + "}"
	}
	for _, c := range []struct {
		name, value string
		taken       bool
	}{
		{"a long list", list(maxItems), true}, {"a longer list", list(maxItems + 1), false}, {"many members", members(maxMembers), true}, {"more members", members(maxMembers + 1), false},
		{"deep", strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1), true}, {"deeper", strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), false},
		{"very deep", strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000), false}, {"large", `"` + strings.Repeat("x", maxRequestBytes) + `"`, false},
	} {
		if _, err := ParseRequestObject([]byte(`{"more":` + c.value + `}`)); (err == nil) != c.taken {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A request carries one policy and, only where that names sets, where they are.
func TestRegisteredPolicy(t *testing.T) {
	text := func(set credential.Digest) json.RawMessage {
		p := policy.Policy{
			Version: 1, ID: "p", Verifier: "did:web:bank.example", Name: credential.Text{English: "x"}, Purpose: credential.Text{English: "x"}, FreshnessSeconds: 1,
			Queries: []policy.Query{{ID: "q", Issuers: []string{"did:web:a.example"}, Clauses: []policy.Clause{}}},
		}
		if !set.IsZero() {
			p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, set
		}
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	listed, named := VerifierInfo{PolicyInfo, text(credential.Digest{})}, VerifierInfo{PolicyInfo, text(credential.DigestOf(nil))}
	at := func(data string) VerifierInfo { return VerifierInfo{SetsInfo, json.RawMessage(data)} }
	good := at(`{"uri":"https://bank.example/sets/"}`)
	for name, c := range map[string]struct {
		infos []VerifierInfo
		uri   string
		ok    bool
	}{
		"no sets": {[]VerifierInfo{listed}, "", true}, "sets": {[]VerifierInfo{named, good}, "https://bank.example/sets/", true},
		"nothing": {nil, "", false}, "no policy": {[]VerifierInfo{good}, "", false}, "sets first": {[]VerifierInfo{good, named}, "", false},
		"two policies": {[]VerifierInfo{listed, listed}, "", false}, "sets nowhere": {[]VerifierInfo{named}, "", false},
		"a place for no sets": {[]VerifierInfo{listed, good}, "", false}, "two places": {[]VerifierInfo{named, good, good}, "", false},
		"no address": {[]VerifierInfo{named, at(`{}`)}, "", false}, "no slash": {[]VerifierInfo{named, at(`{"uri":"https://bank.example/sets"}`)}, "", false},
		"more than an address": {[]VerifierInfo{named, at(`{"uri":"https://bank.example/sets/","x":1}`)}, "", false}, "null": {[]VerifierInfo{named, at(`null`)}, "", false},
		"no policy at all": {[]VerifierInfo{{PolicyInfo, json.RawMessage(`{}`)}}, "", false},
	} {
		p, uri, err := (&RequestObject{VerifierInfo: c.infos}).RegisteredPolicy()
		if (err == nil) != c.ok || uri != c.uri || c.ok && p.ID != "p" {
			t.Errorf("%s: %v, %q, %v", name, p, uri, err)
		}
	}
}

func TestVPTokenIsStrict(t *testing.T) {
	zero := credential.Element{}.String()
	good := `{"q":[{"zk_system":"z","proof":"","root":"` + zero + `","n":"` + zero + `","link":"` + zero + `","item":"` + zero + `","pseudonym":"` + zero + `","subject_tag":"` + zero + `"}]}`
	if _, err := ParseVPToken([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"trailing data":  good + "{}",
		"unknown member": strings.Replace(good, `"zk_system"`, `"extra":1,"zk_system"`, 1),
		"twice":          strings.Replace(good, `"proof":""`, `"proof":"","proof":""`, 1),
		"other case":     strings.Replace(good, `"proof"`, `"Proof"`, 1),
		"padded element": strings.Replace(good, zero, zero+"=", 1),
		"beyond modulus": strings.Replace(good, zero, strings.Repeat("_", 42)+"8", 1),
		"too long":       `{"q":[]` + strings.Repeat(" ", MaxResponse) + `}`,
	} {
		if _, err := ParseVPToken([]byte(bad)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzParseVPToken(f *testing.F) {
	f.Add([]byte(`{"q":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		token, err := ParseVPToken(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		again, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseVPToken(again); err != nil {
			t.Errorf("what was read and written again is refused: %v", err)
		}
	})
}
