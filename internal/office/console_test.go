package office

import (
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/issuer"
)

// Officers sign in at the provider only where the file names a client there; a relying party has nobody who could.
func TestProviderSignsIn(t *testing.T) {
	p := provider("https://id.example")
	opened, keys, err := p.open(issuer.Roles, time.Now, Options{}.logger())
	if err != nil || keys == nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"": false, "bulla-console": true} {
		p.ClientID = id
		if s, err := p.signIn(opened, "https://land.example", time.Now); err != nil || (s != nil) != want {
			t.Errorf("client_id %q: %v, %v", id, s, err)
		}
	}
	if _, err := p.signIn(oauth.Provider{}, "https://land.example", time.Now); err == nil {
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
