package office

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/verifier"
)

// A relying party's file says who may call it: software that gets tokens from it, and that of its own provider.
func TestAccessToARelyingParty(t *testing.T) {
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":%q,"x":%q}]}`, key.Public().KeyID(), key.Public().X)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, "http://"+r.Host, "http://"+r.Host+"/keys")
	}))
	defer provider.Close()
	secret, digest := oauth.NewSecret()
	s := openedParty(t, fmt.Sprintf(`"clients":[{"id":"desk","name":"Desk","secrets":[%q],"roles":["application"]}],
		"provider":{"issuer":%q,"audience":"bulla","claim":["roles"],"roles":{"asks":["application"],"tests":["validator"]},"networks":["127.0.0.0/8"]}`, digest, provider.URL))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		if stop(); <-ended != nil {
			t.Error("it did not stop in order")
		}
	}()

	call := func(method, path, token, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	form := strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/oauth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("desk", secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got oauth.TokenResponse
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != 200 || got.Scope != strings.Join(verifier.Roles["application"], " ") {
		t.Fatalf("%d %+v %v", response.StatusCode, got, err)
	}
	theirs := func(roles ...string) string {
		now := time.Now().Unix()
		token, err := jose.SignCompact(key, key.Public().KeyID(), "at+jwt", map[string]any{
			"iss": provider.URL, "sub": "s", "azp": "desk", "aud": "bulla", "iat": now, "exp": now + 60, "roles": roles,
		})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, c := range map[string]struct {
		method, path, token, body string
		want                      int
	}{
		"ours lists":          {"GET", "/v1/sessions", got.AccessToken, "", 200},
		"ours validates":      {"POST", "/v1/validate", got.AccessToken, "{}", 403},
		"theirs lists":        {"GET", "/v1/sessions", theirs("asks"), "", 200},
		"theirs validates":    {"POST", "/v1/validate", theirs("tests"), "{}", 400},
		"theirs, in no table": {"GET", "/v1/sessions", theirs("clerk"), "", 403},
		"nobody's":            {"GET", "/v1/sessions", "x", "", 401},
	} {
		if status := call(c.method, c.path, c.token, c.body); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
}

func TestAccessToARelyingPartyRefused(t *testing.T) {
	_, digest := oauth.NewSecret()
	client := ClientConfig{ID: "desk", Name: "Desk", Secrets: []credential.Digest{digest}, Roles: []string{"application"}}
	if err := validateAccess([]ClientConfig{client}, nil, verifier.Roles); err != nil {
		t.Error(err)
	}
	client.Roles = []string{"clerk"}
	refused(t, validateAccess([]ClientConfig{client}, nil, verifier.Roles), "clients[0]: role \"clerk\" is not one of application")
	p := ProviderConfig{Issuer: "https://id.example", Audience: "api", Claim: []string{"roles"}, Roles: map[string][]string{"x": {"approver"}}}
	refused(t, validateAccess(nil, &p, verifier.Roles), "provider, value \"x\"")
}

// openedParty is a relying party whose ledger does not answer, with more members in its file.
func openedParty(t *testing.T, members string) *Service {
	t.Helper()
	w := newTown(t)
	audit, err := ReadPublic(filepath.Join(w.dir, "audit", PublicFile), Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := NewProfile(w.signed(0, 1), "http://127.0.0.1:1", []Public{audit}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteProfile(filepath.Join(w.dir, "chain.json"), profile); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "bank")
	if _, err := MakeKeys(KeysConfig{Dir: dir, Role: Verifier, Name: "did:web:bank.example", Passphrase: passphrase, WorkFactor: 4}); err != nil {
		t.Fatal(err)
	}
	asked, err := (&policy.Policy{
		Version: 1, ID: "permit", Verifier: "did:web:bank.example", Name: credential.Text{English: "Permit"}, Purpose: credential.Text{English: "test"}, FreshnessSeconds: 60,
		Queries: []policy.Query{{ID: "permit", Issuers: []string{"did:web:bureau.example"}, Clauses: []policy.Clause{}}},
	}).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(dir, "permit.json"), string(asked))
	verifying, err := filepath.Abs("../../testvectors/proofs/presentation/verifying.key")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "verifier.json")
	w.write(path, fmt.Sprintf(`{"listen":{"address":"127.0.0.1:0"},"secrets":"secrets","store":"store","last_checkpoint":"last.json","chain":"../chain.json",
		"did":"did:web:bank.example","url":"https://bank.example","policies":["permit.json"],"verifying_keys":[%q],%s}`, verifying, members))
	cfg, err := ReadVerifierConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenVerifier(cfg, Options{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
