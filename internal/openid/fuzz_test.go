package openid

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// What is read of an offer link is written to a link that reads the same.
func FuzzParseOfferLink(f *testing.F) {
	link, err := CredentialOffer{CredentialIssuer: "https://h.example", ConfigurationIDs: []string{"urn:x:1"},
		Grants: Grants{PreAuthorized{Code: "a+b/c=", TxCode: &TxCode{InputMode: "numeric", Length: 6}}}}.Link()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(link)
	f.Add(strings.Repeat("x", maxLink))
	f.Add("openid-credential-offer://?credential_offer={\"" + strings.Repeat("x", fuzztest.MaxError) + "\":%")
	f.Add("openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fh.example%2Fo%2F1")
	f.Add("openid-credential-offer://?credential_offer={}&credential_offer_uri=x")
	f.Add(" openid-credential-offer://?credential_offer=null\n")
	f.Add("openid-credential-offer://?credential_offer=%zz")
	f.Fuzz(func(t *testing.T, link string) {
		offer, reference, err := ParseOfferLink(link)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if (offer == nil) == (reference == "") {
			t.Fatalf("%q gives both an offer and a reference, or neither", link)
		}
		if offer == nil {
			return
		}
		written, err := offer.Link()
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParseOfferLink(written)
		if err != nil && len(written) <= maxLink || err == nil && !reflect.DeepEqual(again, offer) {
			t.Errorf("%q is written %q, which is read as %+v, %v", link, written, again, err)
		}
	})
}

func FuzzParseRequestLink(f *testing.F) {
	f.Add(RequestLink(ClientIDPrefix+"did:web:v.example", "https://v.example/r?x=1&y=2"))
	f.Add(RequestReference{ClientID: "x509_hash:" + credential.DigestOf(nil).String(), URI: "https://v.example/r", Post: true}.Link())
	f.Add("openid4vp://?client_id=a&client_id=b&request_uri=c")
	f.Add("openid4vp://?client_id=" + strings.Repeat("x", fuzztest.MaxError) + "&request_uri=c")
	f.Add("openid4vp://authorize?client_id=a;request_uri=c")
	f.Add("OPENID4VP://?client_id=x&request_uri=y")
	f.Fuzz(func(t *testing.T, link string) {
		r, err := ParseRequestLink(link)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := ParseRequestLink(r.Link()); (err != nil || again != r) && len(link) < maxLink/3 {
			t.Errorf("%q reads as %+v, whose link reads as %+v, %v", link, r, again, err)
		}
	})
}

// A client_id is of one scheme and has one spelling.
func FuzzParseClientID(f *testing.F) {
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	did, err := DIDJWK(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	for _, id := range []string{
		ClientIDPrefix + "did:web:v.example", ClientIDPrefix + did, ClientIDPrefix + did + "=", ClientIDPrefix + "did:jwk:e30", "x509_hash:" + credential.DigestOf(nil).String(),
		"x509_hash:x", credential.ClientName("did:web:v.example").String(), "redirect_uri:https://v.example", "x509_san_dns:v.example", "https://v.example", strings.Repeat("x", fuzztest.MaxError),
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		c, err := ParseClientID(id)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if c.ID() != id {
			t.Errorf("%q reads as %+v, which is %q", id, c, c.ID())
		}
	})
}

// Whatever stands in an encrypted response, it is read or refused; what is read has state, and a token or an error.
func FuzzParseResponse(f *testing.F) {
	for _, text := range []string{
		`{"vp_token":{},"state":"s"}`, `{"error":"access_denied","state":"s","error_description":"no"}`, `{"vp_token":{},"error":"x","state":"s"}`, `{"VP_TOKEN":{},"state":"s"}`,
		`{"vp_token":{},"state":"s","state":"t"}`, `{"vp_token":null,"state":1}`, `[]`, `{"vp_token":{},"state":"s"}{}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseResponse(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if r.State == "" || (r.Token == nil) == (r.Error == "") {
			t.Errorf("%s reads as %+v", text, r)
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseResponse(written); err != nil || again.State != r.State || again.Error != r.Error {
			t.Errorf("%s is written %s, which reads as %+v, %v", text, written, again, err)
		}
	})
}

func FuzzWellKnown(f *testing.F) {
	for _, identifier := range []string{"https://h.example/a/", "http://127.0.0.1:1", "//h/a", "https://h/%2e%2e/", "https://[::1]/a", "x",
		"https://h/a?b", strings.Repeat("\xff", fuzztest.MaxError)} {
		f.Add(identifier)
	}
	f.Fuzz(func(t *testing.T, identifier string) {
		address, err := WellKnown(identifier, IssuerWellKnown)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		from, err := url.Parse(identifier)
		if err != nil {
			t.Fatal(err)
		}
		to, err := url.Parse(address)
		want := "/.well-known/" + IssuerWellKnown + strings.TrimSuffix(from.Path, "/")
		if err != nil || to.Host != from.Host || to.Scheme != from.Scheme || to.EscapedPath() != want || to.RawQuery+to.Fragment != "" {
			t.Errorf("%q is described at %q, %v", identifier, address, err)
		}
	})
}

// What is read of a request has one challenge, which no second reading of the same request changes.
func FuzzParseRequestObject(f *testing.F) {
	good, err := json.Marshal(RequestObject{
		ClientID: ClientIDPrefix + "did:web:v.example", ResponseType: "vp_token", ResponseMode: "direct_post", ResponseURI: "https://v.example/r/1",
		Nonce: "n", State: "s", Audience: SelfIssued, IssuedAt: 1, ExpiresAt: 2, ClientMetadata: ClientMetadata{Formats: OurFormats()},
		Query: DCQL{Credentials: []CredentialQuery{{ID: "q", Format: Format, Meta: Meta{TypeValues: []string{"t"}, Systems: []System{{ID: "z", System: ProofSystem, Circuit: "c"}},
			Statement: policy.Statement{Version: 1, Query: "q", Now: 3, FreshnessSeconds: 4, Issuers: []string{"did:web:i"}, Clauses: []policy.Clause{{Claim: "a", AtLeast: "1"}}}}}}},
		VerifierInfo: []VerifierInfo{{PolicyInfo, json.RawMessage(`{"version":1}`)}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"direct_post"`), []byte(`"direct_post.jwt"`), 1))
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte(`"nonce":"n"`), []byte(`"nonce":"n","nonce":"m"`), 1))
	f.Add(bytes.Replace(good, []byte(`"nonce":"n"`), []byte(`"Nonce":"n"`), 1))
	f.Add(bytes.Replace(good, []byte(`"credentials":[`), []byte(`"credential_sets":[{"options":[["q"],["p"]]}],"credentials":[{"id":"p","format":"dc+sd-jwt","meta":{"vct_values":["t"]}},`), 1))
	f.Add(bytes.Replace(good, []byte(`}}]}`), []byte(`}},{"id":"p","format":"dc+sd-jwt","meta":{"vct_values":["t"]}}]}`), 1))
	f.Add([]byte(`{"iat":1e300}`))
	genesis := credential.DigestOf([]byte("genesis"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		request, err := ParseRequestObject(payload)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		challenge, err := request.Challenge(genesis)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		written, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRequestObject(written)
		if err != nil {
			t.Fatalf("%s is written %s, which is refused: %v", payload, written, err)
		}
		if second, err := again.Challenge(genesis); err != nil || second != challenge {
			t.Errorf("%s is written %s and then has another challenge, %v", payload, written, err)
		}
		if len(again.Query.Companions) != len(request.Query.Companions) || len(again.Query.Sets) != len(request.Query.Sets) {
			t.Errorf("%s is written %s and then asks for other companions", payload, written)
		}
	})
}

// What an issuer hands over is read strictly, and a commitment that can be computed is that of what is kept.
func FuzzIssuedCredential(f *testing.F) {
	good, err := credential.Canonical(IssuedCredential{
		Version: 1, Genesis: credential.DigestOf(nil), Issuer: "did:web:i", HolderCommitment: credential.ElementFromUint64(5),
		Schema: credential.Schema{Type: "urn:t:1", EnrolmentRegister: "people", Claims: []credential.ClaimType{{Name: "a", Type: credential.Integer}}},
		Claims: credential.Claims{"a": "1"}, ValidFrom: "2025-01-01", ValidUntil: "2027-01-01", Salt: credential.Secret{Element: credential.ElementFromUint64(6)},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte("2027-01-01"), []byte("2024-01-01"), 1))
	f.Add(bytes.Replace(good, []byte("2027-01-01"), []byte("99999-01-01"), 1))
	f.Add(bytes.Replace(good, []byte(`{"a":"1"}`), []byte(`{"a":1}`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c, again IssuedCredential
		if err := credential.ParseStrict(text, &c); err != nil {
			fuzztest.Refused(t, err)
			return
		}
		commitment, leaf, err := c.Commitment()
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		kept, err := credential.Canonical(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := credential.ParseCanonical(kept, &again); err != nil {
			t.Fatalf("%s is kept as %s, which is refused: %v", text, kept, err)
		}
		if c2, l2, err := again.Commitment(); err != nil || c2 != commitment || l2 != leaf || leaf.IsZero() {
			t.Errorf("%s is kept with another commitment, %v", text, err)
		}
	})
}
