package office

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/oauthtest"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// Officers sign in at the provider only where the file names a client there; a relying party has nobody who could.
func TestProviderSignsIn(t *testing.T) {
	p := provider("https://id.example")
	opened, keys, err := p.open(issuer.Roles, time.Now, Options{}.logger())
	if err != nil || keys == nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := MakeKeys(KeysConfig{Dir: dir, Role: Issuer, Name: "did:web:land.example", Passphrase: "x", WorkFactor: 4}); err != nil {
		t.Fatal(err)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), "x")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"": false, "bulla-console": true} {
		p.ClientID = id
		if s, err := p.signIn(opened, secrets, "https://land.example", time.Now); err != nil || (s != nil) != want {
			t.Errorf("client_id %q: %v, %v", id, s, err)
		}
	}
	p.ClientID = "bulla-console"
	if _, err := p.signIn(oauth.Provider{}, secrets, "https://land.example", time.Now); err == nil {
		t.Error("a provider that is none was taken")
	}
	if err := (&VerifierConfig{Provider: p}).validateIdentity(); err == nil || !strings.Contains(err.Error(), "client_id") {
		t.Errorf("a relying party's: %v", err)
	}
	p.ClientID = strings.Repeat("x", maxClientID+1)
	if err := validateAccess(nil, p, issuer.Roles); err == nil || !strings.Contains(err.Error(), "client_id") {
		t.Errorf("far too long: %v", err)
	}
}

// A secret of the console at the provider lies in the key store, encrypted, and nowhere else.
func TestProviderSecret(t *testing.T) {
	dir, party := t.TempDir(), t.TempDir()
	for role, dir := range map[Role]string{Issuer: dir, Verifier: party} {
		if _, err := MakeKeys(KeysConfig{Dir: dir, Role: role, Name: "did:web:land.example", Passphrase: "x", WorkFactor: 4}); err != nil {
			t.Fatal(err)
		}
	}
	at := oauthtest.New(t)
	at.Secret, at.Redirect = "only the provider knows", "https://land.example/console/sign-in/back"
	p := provider(at.URL)
	p.ClientID, p.Claim, p.Networks = oauthtest.ClientID, []string{"roles"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	signIn := func() error {
		secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), "x")
		if err != nil {
			t.Fatal(err)
		}
		opened, _, err := p.open(issuer.Roles, time.Now, Options{}.logger())
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.signIn(opened, secrets, "https://land.example", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		address, pending, err := s.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultTransport.RoundTrip(ledgertest.Must(http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))(t))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		_, _, err = s.Finish(t.Context(), pending, ledgertest.Must(response.Location())(t).Query())
		return err
	}
	if err := signIn(); err == nil || !strings.Contains(err.Error(), "bulla key provider") {
		t.Errorf("without the secret: %v", err)
	}
	for name, err := range map[string]error{
		"a relying party": SetProviderSecret(party, "x", at.Secret), "another passphrase": SetProviderSecret(dir, "y", at.Secret),
		"long": SetProviderSecret(dir, "x", strings.Repeat("x", oauth.MaxProviderSecret+1)), "no text": SetProviderSecret(dir, "x", "\xff"),
	} {
		if err == nil || strings.Contains(err.Error(), at.Secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := SetProviderSecret(dir, "x", at.Secret); err != nil {
		t.Fatal(err)
	}
	if err := signIn(); err != nil {
		t.Errorf("with the secret: %v", err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, SecretsFolder, providerSecret+".age")); err != nil || strings.Contains(string(kept), at.Secret) {
		t.Errorf("the secret lies in clear: %v", err)
	}
	if err := SetProviderSecret(dir, "x", ""); err != nil {
		t.Fatal(err)
	}
	if err := signIn(); err == nil {
		t.Error("a secret that was removed counts")
	}
}
