package wallet

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// An address that we talk to is https or on this machine, without a user, in its one spelling.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{
		"https://h.example/a?b=c", "http://127.0.0.1:8080/", "http://localhost", "http://[::1]/x", "http://h.example", "https://u@h.example", "https://h.example/#f",
		"HTTPS://h.example", strings.Repeat("x", fuzztest.MaxError), "https://h.example/\u202e", "http://127.0.0.1.example", "http://0x7f.1", "https:///x", "javascript:alert(1)",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseAddress(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if u.String() != text || u.User != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
			t.Errorf("%q is taken for an address", text)
		}
	})
}

// What another process left of the ledger client's state is compared by its size; broken ones count as nothing.
func FuzzChainState(f *testing.F) {
	f.Add([]byte(`{"checkpoint":"ledger.example\n4\nAAAA\n","conflict":""}`))
	f.Add([]byte(`{"checkpoint":"x\n-4\n"}`))
	f.Add([]byte(`{"checkpoint":"x\n99999999999999999999\n\n"}`))
	f.Add([]byte(`{"checkpoint":1}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		s := parseChainState(state)
		lines := strings.SplitN(s.Checkpoint, "\n", 3)
		want, _ := new(big.Int).SetString(lines[min(1, len(lines)-1)], 10)
		if got := s.size(); got != 0 && got != math.MaxUint64 && (want == nil || want.Cmp(new(big.Int).SetUint64(got)) != 0) {
			t.Errorf("%q is of size %d", s.Checkpoint, got)
		}
	})
}

// How a stranger says no is told in a short line of plain text.
func FuzzRefusal(f *testing.F) {
	f.Add(400, []byte(`{"error":"invalid_request","error_description":"no"}`))
	f.Add(409, []byte(`{"code":"state","detail":"\u001b[2J"}`))
	f.Add(500, []byte(`{"error":"\u202e\n`+strings.Repeat("x", 5000)+`","error_description":"é\u0000"}`))
	f.Add(200, []byte("\xff"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := answer{status, body}.refusal("GET https://h.example/")
		fuzztest.Refused(t, err)
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Code != CodeRemote || strings.ContainsFunc(refusal.Remote, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d %s is told as %+v", status, body, refusal)
		}
	})
}

// What issuers answer is decoded with the members we do not know, and never ambiguously.
func FuzzForeign(f *testing.F) {
	for _, value := range []any{
		openid.IssuerMetadata{CredentialIssuer: "https://h.example", Configurations: map[string]openid.CredentialConfiguration{"urn:t:1": {Format: openid.Format}}},
		openid.TokenResponse{AccessToken: "a", TokenType: "Bearer", ExpiresIn: 60}, openid.CredentialOffer{ConfigurationIDs: []string{"urn:t:1"}},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"access_token":"a","access_token":"b"}`))
	f.Add([]byte(`{"expires_in":1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, target := range []any{new(openid.IssuerMetadata), new(openid.ServerMetadata), new(openid.TokenResponse), new(openid.NonceResponse), new(openid.CredentialOffer)} {
			err := decodeForeign(body, target)
			if err != nil {
				fuzztest.Refused(t, err)
				continue
			}
			text, err := json.Marshal(target)
			if err != nil {
				t.Fatal(err)
			}
			if err := decodeForeign(text, target); err != nil {
				t.Errorf("%s is written %s, which is refused: %v", body, text, err)
			}
		}
	})
}

// An identity of these tests, encrypted to the passphrase "x".
const (
	fixedIdentity = "AGE-SECRET-KEY-1JCPZ6LWFD9NT6FUYNP48XZ67PG0G4LQW5R6M4J3RKNWK08WWZKJQUTYP4L"
	fixedSealed   = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0-IHNjcnlwdCBUUFh1MS93c0s1SGM3MFpEb0ROUHdnIDEKSnN6dThmcWJOL0dYQXhlVklhSEZvWktoZ0dHRlQrb0dEK3lBVUdRVXNTRQotLS0gMFdONGlqOXBhbmRERlhGNjZ4TjEyRjliWVgxYTZWOXUvbHg4eDQyVlgzYwqtzOk_LjR7sdTHOpfbYmTmB6E8Gk5rBssEMao3fPl0LC9dX5L6tf0lhhRlSpSDaQf8LkMuxish6A1Ep1UZP5-wQtZwPaOS-A1Jxa0d8nSCuE3KonZc1SFckjzIsyhFKVAuuiDs5B83C3tt"
)

// workFactor is scrypt's cost in an age file.
var workFactor = regexp.MustCompile(`-> scrypt \S+ (\d+)`)

// Whatever somebody hands us as a backup: it opens as what was written, or not at all, and costs no more than we allow.
func FuzzBackup(f *testing.F) {
	vault := func(identity string) []byte {
		return []byte(`{"document":"AAAA","format":"bulla-vault","identity":"` + identity + `","version":1}`)
	}
	file, err := base64.RawURLEncoding.DecodeString(fixedSealed)
	if err != nil {
		f.Fatal(err)
	}
	costly := openid.EncodeBytes([]byte(strings.Replace(string(file), " 1\n", " 22\n", 1)))
	f.Add(vault(fixedSealed))
	f.Add(vault(fixedSealed[:40]))
	f.Add(vault(costly))
	f.Add(vault(fixedSealed + "="))
	f.Add([]byte(`{"document":"AAAA","format":"bulla-vault","identity":"","version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed, err := parseSealed(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		decoded, _ := base64.RawURLEncoding.DecodeString(sealed.Identity)
		for _, m := range workFactor.FindAllSubmatch(decoded, -1) {
			if n, err := strconv.Atoi(string(m[1])); err == nil && n > 8 && n <= maxWorkFactor {
				return // we would pay for it, but not here
			}
		}
		identity, err := openIdentity(sealed.Identity, "x")
		if err != nil {
			fuzztest.Refused(t, err)
		} else if identity.String() != fixedIdentity {
			t.Error("an identity opens that was never written")
		}
		if _, err := RestoreVault(VaultConfig{Storage: new(InMemory), Passphrase: "y", WorkFactor: 1}, data, "x"); err == nil {
			t.Error("a vault is restored that was never backed up")
		} else {
			fuzztest.Refused(t, err)
		}
	})
}

// asked is a request that a wallet answers, with the chain it belongs to.
func asked(t testing.TB, key *jose.SigningKey, now time.Time) (*openid.RequestObject, *client.View) {
	t.Helper()
	circuit, err := circuits.Named(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	id, err := homes.ID()
	if err != nil {
		t.Fatal(err)
	}
	const bank, civil = "did:web:bank.example", "did:web:civil.example"
	p := &policy.Policy{
		Version: 1, ID: "home", Verifier: bank, Name: credential.Text{English: "x"}, Purpose: credential.Text{English: "x"}, FreshnessSeconds: 600,
		Queries: []policy.Query{{ID: "home", Schema: id, Issuers: []string{civil}, Clauses: []policy.Clause{{Claim: "district", Equals: "a"}, {Claim: "since", AtLeastAgo: "P1Y"}}}},
	}
	digest, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	vk := credential.DigestOf([]byte("key"))
	registry := &entry.Registry{
		Issuers:       []entry.RegisteredIssuer{{DID: civil}},
		Schemas:       []entry.RegisteredSchema{{ID: id, Schema: homes, Issuers: []string{civil}}},
		Verifiers:     []entry.RegisteredVerifier{{DID: bank, Keys: []jose.PublicKey{key.Public()}, ResponseURIs: []string{"https://bank.example/oid4vp/"}}},
		Policies:      []entry.RegisteredPolicy{{Verifier: bank, ID: "home", Digest: digest}},
		VerifyingKeys: []entry.VerifyingKey{{Circuit: circuit.Name, CircuitDigest: circuit.Digest, KeyDigest: vk, NotAfter: credential.UnixTimeOf(now.AddDate(1, 0, 0))}},
	}
	statements, err := p.Resolve(now, schemasOf(registry))
	if err != nil {
		t.Fatal(err)
	}
	return &openid.RequestObject{
		ClientID: openid.ClientIDPrefix + bank, ResponseType: "vp_token", ResponseMode: "direct_post", ResponseURI: "https://bank.example/oid4vp/responses/1",
		Nonce: strings.Repeat("n", 22), State: "s", Audience: openid.SelfIssued, IssuedAt: credential.UnixTimeOf(now), ExpiresAt: credential.UnixTimeOf(now) + 300,
		ClientMetadata: openid.ClientMetadata{Formats: openid.OurFormats()}, VerifierInfo: []openid.VerifierInfo{{Format: openid.PolicyInfo, Data: text}},
		Query: openid.DCQL{Credentials: []openid.CredentialQuery{{ID: "home", Format: openid.Format, Meta: openid.Meta{
			TypeValues: []string{homes.Type}, Statement: statements[0],
			Systems: []openid.System{{ID: "g", System: openid.ProofSystem, Circuit: circuit.Name, CircuitDigest: circuit.Digest, VerifyingKey: vk}},
		}}}},
	}, &client.View{GenesisHash: credential.DigestOf([]byte("genesis")), Registry: registry, Census: new(entry.Census)}
}

// Whatever a registered verifier signs as a request: what the wallet takes asks what the policy says, is to be answered
// where the chain says, and in time.
func FuzzRequest(f *testing.F) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	object, view := asked(f, key, now)
	good, err := json.Marshal(object)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	for _, long := range fuzztest.Long(good) {
		f.Add(string(long))
	}
	for _, change := range [][2]string{
		{"/responses/1", "/../responses/1"}, {"bank.example/oid4vp", "bank.example:443/oid4vp"}, {`"P1Y"`, `"P1D"`}, {`"exp":`, `"exp":1`}, {`"equals":"a"`, `"equals":"b"`},
		{`"nonce":"`, `"Nonce":"x","nonce":"`}, {`"zk_system_type":[`, `"zk_system_type":[{},`}, {`"data":{`, `"data":{"x":1,`}, {`"state":"s"`, `"state":null`},
	} {
		f.Add(strings.Replace(string(good), change[0], change[1], 1))
	}
	did, err := openid.DIDJWK(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	for _, client := range []string{openid.ClientIDPrefix + did, openid.ClientOf("did:web:bank.example").ID(), openid.ClientOf("did:web:other.example").ID(), "x509_hash:" + credential.DigestOf(nil).String()} {
		f.Add(strings.Replace(string(good), object.ClientID, client, 1))
	}
	object.EncryptTo(key.Public()) // a key for signatures
	bad, err := json.Marshal(object)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(bad))
	f.Fuzz(func(t *testing.T, payload string) {
		if !json.Valid([]byte(payload)) {
			return // keys sign JSON only
		}
		// The link says what the request says, if that is a client; the key signs as that client would.
		client, err := openid.ParseClientID(openid.ClientIDPrefix + "did:web:bank.example")
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			ClientID string `json:"client_id"`
		}
		if json.Unmarshal([]byte(payload), &said) == nil {
			if c, err := openid.ParseClientID(said.ClientID); err == nil {
				client = c
			}
		}
		token, err := jose.SignCompact(key, client.KeyID(key.Public()), openid.RequestType, json.RawMessage(payload))
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{view: view}
		if err := r.verify(token, client.ID(), now, nil); err != nil {
			if fuzztest.Refused(t, err); CodeOf(err) == "" {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		o := r.object
		if r.verifier.DID != "did:web:bank.example" || len(r.queries) != 1 || !strings.HasPrefix(o.ResponseURI, "https://bank.example/oid4vp/") || strings.Contains(o.ResponseURI, "..") ||
			o.ExpiresAt.Time().Before(now) || o.ExpiresAt-o.IssuedAt > openid.MaxLifetime || len(r.queries[0].statement.Clauses) != 2 {
			t.Errorf("taken: %s", payload)
		}
	})
}
