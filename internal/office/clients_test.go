package office

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
)

func TestClientsOfAConfiguration(t *testing.T) {
	good := IssuerConfig{Clients: []ClientConfig{{ID: "registry", Name: "Registry", Secrets: []credential.Digest{credential.DigestOf([]byte("secret"))}, Roles: []string{"clerk", "auditor"}}}}
	clients, err := good.clients()
	if err != nil {
		t.Fatal(err)
	}
	found, err := clients.Find(context.Background(), "registry")
	if err != nil || len(found.Scopes) != len(issuer.Roles["clerk"])+1 { // the auditor's others are the clerk's
		t.Errorf("%+v, %v", found, err)
	}
	if none, err := (&IssuerConfig{}).clients(); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
	for name, change := range map[string]func(*IssuerConfig){
		"an unknown role":         func(c *IssuerConfig) { c.Clients[0].Roles = []string{"king"} },
		"no secret":               func(c *IssuerConfig) { c.Clients[0].Secrets = nil },
		"a key that is none":      func(c *IssuerConfig) { c.Clients[0].Keys = []json.RawMessage{[]byte(`{"kty":"oct","k":"AAAA"}`)} },
		"an id with a space":      func(c *IssuerConfig) { c.Clients[0].ID = "a b" },
		"the same twice":          func(c *IssuerConfig) { c.Clients = append(c.Clients, c.Clients[0]) },
		"a provider without keys": func(c *IssuerConfig) { c.Provider = &ProviderConfig{Issuer: "https://id.example"} },
		"a provider's king": func(c *IssuerConfig) {
			c.Provider = &ProviderConfig{Issuer: "https://id.example", Audience: "api", Claim: []string{"roles"}, Roles: map[string][]string{"x": {"king"}}}
		},
	} {
		c := IssuerConfig{Clients: []ClientConfig{good.Clients[0]}}
		change(&c)
		if err := c.validateAccess(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
