package wallet_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// TestReadChecks spoils one thing at a time of a request. None of it may reach the verifier.
func TestReadChecks(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	stranger := ledgertest.Key(t, "stranger")
	meta := func(change func(*openid.Meta)) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) { change(&o.Query.Credentials[0].Meta) }
	}
	system := func(change func(*openid.System)) func(*openid.RequestObject) {
		return meta(func(m *openid.Meta) { change(&m.Systems[0]) })
	}
	shift := func(d time.Duration) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) {
			for i := range o.Query.Credentials {
				o.Query.Credentials[i].Meta.Statement.Now += credential.UnixTime(d / time.Second)
			}
		}
	}
	// A policy that was never registered, and its statements: consistent in itself.
	unregistered := func(change func(*policy.Policy)) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) {
			p := ledgertest.Must(policy.Parse(o.VerifierInfo[0].Data))(t)
			change(p)
			o.VerifierInfo[0].Data = ledgertest.Must(p.Canonical())(t)
			statements := ledgertest.Must(p.Resolve(o.Query.Credentials[0].Meta.Statement.Now.Time(), func(credential.Element) (*credential.Schema, error) {
				return &residence, nil
			}))(t)
			for i := range statements {
				o.Query.Credentials[i].Meta.Statement = statements[i]
			}
		}
	}
	for _, c := range []struct {
		name  string
		code  wallet.Code
		spoil func(*openid.RequestObject)
	}{
		{"client of another", wallet.CodeClient, func(o *openid.RequestObject) { o.ClientID = openid.ClientIDPrefix + civil }},
		{"client without prefix", wallet.CodeClient, func(o *openid.RequestObject) { o.ClientID = bank }},
		{"response type", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.ResponseType = "id_token" }},
		{"response mode", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.ResponseMode = "fragment" }},
		{"audience", wallet.CodeRequest, func(o *openid.RequestObject) { o.Audience = "https://other-wallet.example" }},
		{"short nonce", wallet.CodeRequest, func(o *openid.RequestObject) { o.Nonce = "0123456789" }},
		{"nonce with spaces", wallet.CodeRequest, func(o *openid.RequestObject) { o.Nonce = strings.Repeat("a b", 12) }},
		{"long state", wallet.CodeRequest, func(o *openid.RequestObject) { o.State = strings.Repeat("s", 513) }},
		{"formats", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.ClientMetadata.Formats = nil }},

		{"answer to another host", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = "https://evil.example/bank/response" }},
		{"answer beside the prefix", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank2/response" }},
		{"answer out of the prefix", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank/../evil" }},
		{"answer out of the prefix, escaped", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank/%2e%2e/evil" }},
		{"answer out of the prefix, slash escaped", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank/..%2fevil" }},
		{"answer out of the prefix, escaped twice", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank/%252e%252e/evil" }},
		{"answer out of the prefix, with a parameter", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + "/bank/..;x/evil" }},
		{"answer with a backslash", wallet.CodeResponseURI, func(o *openid.RequestObject) { o.ResponseURI = w.server.URL + `/bank/..\evil` }},
		{"answer to a user of the host", wallet.CodeResponseURI, func(o *openid.RequestObject) {
			o.ResponseURI = strings.Replace(w.server.URL, "http://", "http://bank@", 1) + "/bank/response"
		}},
		{"answer over another scheme", wallet.CodeResponseURI, func(o *openid.RequestObject) {
			o.ResponseURI = strings.Replace(w.server.URL, "http://", "https://", 1) + "/bank/response"
		}},

		{"past its end", wallet.CodeExpiredRequest, func(o *openid.RequestObject) { o.IssuedAt -= 700; o.ExpiresAt -= 310 }},
		{"lives too long", wallet.CodeExpiredRequest, func(o *openid.RequestObject) { o.ExpiresAt = o.IssuedAt + openid.MaxLifetime + 1 }},
		{"ends before it begins", wallet.CodeExpiredRequest, func(o *openid.RequestObject) { o.ExpiresAt = o.IssuedAt }},
		{"from the future", wallet.CodeClock, func(o *openid.RequestObject) { o.IssuedAt += 310; o.ExpiresAt += 310 }},
		{"now ahead", wallet.CodeClock, shift(301*time.Second + 500*time.Millisecond)},
		{"now behind", wallet.CodeClock, shift(-301 * time.Second)},
		{"now of years ago", wallet.CodeClock, shift(-20 * 365 * 24 * time.Hour)},

		{"no policy", wallet.CodeRequest, func(o *openid.RequestObject) { o.VerifierInfo = nil }},
		{"two policies", wallet.CodeRequest, func(o *openid.RequestObject) { o.VerifierInfo = append(o.VerifierInfo, o.VerifierInfo[0]) }},
		{"policy with an unknown member", wallet.CodeRequest, func(o *openid.RequestObject) {
			o.VerifierInfo[0].Data = append([]byte(`{"also":1,`), o.VerifierInfo[0].Data[1:]...)
		}},
		{"policy never registered", wallet.CodeNotRegistered, unregistered(func(p *policy.Policy) { p.ID = "secret" })},
		{"policy of another verifier", wallet.CodeNotRegistered, unregistered(func(p *policy.Policy) { p.Verifier = civil })},
		{"policy changed: another clause", wallet.CodeWider, unregistered(func(p *policy.Policy) {
			p.Queries[0].Clauses = append(p.Queries[0].Clauses, policy.Clause{Claim: "rooms", AtLeast: "4"})
		})},
		{"policy changed: purpose", wallet.CodeWider, unregistered(func(p *policy.Policy) { p.Purpose.English = "fun" })},
		{"statement wider: discloses", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Disclose = []string{"district"} })},
		{"statement wider: clause dropped", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Clauses = m.Statement.Clauses[:1] })},
		{"statement wider: another date", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Clauses[1].AtMost = "2020-01-01" })},
		{"statement wider: another scope", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Scope = &policy.Scope{Service: "tracking"} })},
		{"statement wider: older roots", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.FreshnessSeconds++ })},
		{"statement wider: more issuers", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Issuers = append(m.Statement.Issuers, "did:web:x.example") })},
		{"query called otherwise", wallet.CodeWider, func(o *openid.RequestObject) { o.Query.Credentials[0].ID = "land" }},
		{"query twice", wallet.CodeWider, func(o *openid.RequestObject) {
			o.Query.Credentials = append(o.Query.Credentials, o.Query.Credentials[0])
		}},
		{"no query", wallet.CodeWider, func(o *openid.RequestObject) { o.Query.Credentials = nil }},

		{"another format", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.Query.Credentials[0].Format = "dc+sd-jwt" }},
		{"another type", wallet.CodeUnsupported, meta(func(m *openid.Meta) { m.TypeValues = []string{landTitle.Type} })},
		{"no proof system", wallet.CodeUnsupported, meta(func(m *openid.Meta) { m.Systems = nil })},
		{"a choice of proof systems", wallet.CodeUnsupported, meta(func(m *openid.Meta) { m.Systems = append(m.Systems, m.Systems[0]) })},
		{"another proof system", wallet.CodeUnsupported, system(func(s *openid.System) { s.System = "plonk" })},
		{"another circuit", wallet.CodeUnsupported, system(func(s *openid.System) { s.CircuitDigest = credential.Digest{1} })},
		{"the whole statement's circuit by another name", wallet.CodeUnsupported, system(func(s *openid.System) { s.Circuit = circuits.PresentationSmall })},
		{"a smaller circuit than the policy's", wallet.CodeUnsupported, system(func(s *openid.System) {
			small := ledgertest.Must(circuits.Named(circuits.PresentationSmall))(t)
			s.Circuit, s.CircuitDigest = small.Name, small.Digest
		})},
		{"policy changed: another circuit", wallet.CodeWider, unregistered(func(p *policy.Policy) { p.Queries[0].Circuit = circuits.PresentationSmall })},
		{"statement of another circuit", wallet.CodeWider, meta(func(m *openid.Meta) { m.Statement.Circuit = circuits.PresentationSmall })},
		{"the enrolment circuit", wallet.CodeUnsupported, system(func(s *openid.System) { s.Circuit = "enrolment-1" })},
		{"key that the chain does not list", wallet.CodeKeyNotListed, system(func(s *openid.System) { s.VerifyingKey = credential.Digest{1} })},
		{"key of the other circuit", wallet.CodeKeyNotListed, system(func(s *openid.System) { s.VerifyingKey = enrolmentKey })},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := person.Read(t.Context(), w.request("residence", c.spoil))
			wantCode(t, err, c.code)
		})
	}
	setReadChecks(t, w, person)
	_, err := person.Read(t.Context(), w.request("smaller-land"))
	wantCode(t, err, wallet.CodeKeyNotListed)
	keyID := openid.RequestKeyID(bank, w.verifier.Public().KeyID())
	for _, c := range []struct {
		name, link string
		code       wallet.Code
	}{
		{"signed by a stranger under its key", w.requestSigned("residence", stranger, openid.RequestKeyID(bank, stranger.Public().KeyID())), wallet.CodeSignature},
		{"signed by a stranger under our key", w.requestSigned("residence", stranger, keyID), wallet.CodeSignature},
		{"signed by another party", w.requestSigned("residence", w.issuer, openid.RequestKeyID(civil, w.issuer.Public().KeyID())), wallet.CodeSignature},
		{"bare key id", w.requestSigned("residence", w.verifier, w.verifier.Public().KeyID()), wallet.CodeSignature},
		{"link for another client", strings.Replace(w.request("residence"), "bank.example", "civil.example", 1), wallet.CodeNotRegistered},
		{"link without DID", "openid4vp://?client_id=x509&request_uri=" + w.server.URL, wallet.CodeRemote},
		{"link of an offer", w.offer(&residence, livesThere), wallet.CodeRequest},
		{"link to a plain address", openid.RequestLink(openid.ClientIDPrefix+bank, "http://192.0.2.1/request"), wallet.CodeAddress},
		{"link to nothing", openid.RequestLink(openid.ClientIDPrefix+bank, w.server.URL+"/bank/request/none"), wallet.CodeRemote},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := person.Read(t.Context(), c.link)
			wantCode(t, err, c.code)
		})
	}
	t.Run("another type of token", func(t *testing.T) {
		link := w.request("residence")
		token := ledgertest.Must(jose.SignCompact(w.verifier, keyID, "JWT", w.object("residence")))(t)
		w.requests["/bank/request/typ"] = token
		_, err := person.Read(t.Context(), openid.RequestLink(openid.ClientIDPrefix+bank, w.server.URL+"/bank/request/typ"))
		wantCode(t, err, wallet.CodeSignature)
		if _, err := person.Read(t.Context(), link); err != nil {
			t.Errorf("an honest request is refused: %v", err)
		}
	})
	t.Run("key past its end", func(t *testing.T) {
		late := w.wallet(func(c *wallet.Config) { c.Clock = func() time.Time { return time.Now().Add(25 * time.Hour) } })
		_, err := late.Read(t.Context(), w.request("residence", shift(25*time.Hour), func(o *openid.RequestObject) {
			o.IssuedAt += 25 * 3600
			o.ExpiresAt += 25 * 3600
		}))
		wantCode(t, err, wallet.CodeWider) // its dates are of the day before
		_, err = late.Read(t.Context(), w.request("land", shift(25*time.Hour), func(o *openid.RequestObject) {
			o.IssuedAt += 25 * 3600
			o.ExpiresAt += 25 * 3600
		}))
		wantCode(t, err, wallet.CodeKeyExpired)
	})
	if posts := w.posted(); len(posts) != 0 {
		t.Errorf("%d responses were sent without anybody's doing", len(posts))
	}
}

func TestReadIssuersInGoodStanding(t *testing.T) {
	w := newWorld(t)
	q := w.policies["residence"].Queries[0]
	foreign := q
	foreign.ID, foreign.Issuers = "foreign", []string{"did:web:other.example"}
	w.addPolicy("foreign", foreign)
	w.chain.Settle()
	person := w.wallet()
	_, err := person.Read(t.Context(), w.request("foreign"))
	wantCode(t, err, wallet.CodeIssuerSuspended)

	w.chain.Govern(entry.IssuerSuspended{DID: civil, Reason: "test"})
	w.chain.Settle()
	_, err = person.Read(t.Context(), w.request("residence"))
	wantCode(t, err, wallet.CodeIssuerSuspended)
}

func TestReadDoesNotFollow(t *testing.T) {
	w := newWorld(t)
	w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/bank/moved" {
			http.Redirect(rw, r, "/bank/request/1", http.StatusFound)
			return true
		}
		return false
	}
	w.request("residence")
	_, err := w.wallet().Read(t.Context(), openid.RequestLink(openid.ClientIDPrefix+bank, w.server.URL+"/bank/moved"))
	wantCode(t, err, wallet.CodeAddress)
}
