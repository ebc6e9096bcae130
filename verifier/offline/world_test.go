package offline_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier/offline"
)

var update = flag.Bool("update", false, "make the bundles in testdata anew, with real proofs")

const bank = "did:web:bank.example"

// files are what an offline verifier was given.
type files struct {
	profile client.Profile
	key     []byte
	bundle  []byte
}

// read reads the bundle of a chain: "live" or "dev".
func read(t testing.TB, chain string) files {
	t.Helper()
	f := files{profile: ledgertest.Must(client.ReadProfile(filepath.Join("testdata", chain+"-profile.json")))(t)}
	f.key = ledgertest.Must(os.ReadFile(filepath.Join("testdata", "presentation-1.verifying")))(t)
	f.bundle = ledgertest.Must(os.ReadFile(filepath.Join("testdata", chain+"-bundle.json")))(t)
	return f
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMakeBundles makes testdata with -update: one presentation each on a live and on a dev chain, under the same key. The
// live chain's key claims a ceremony that nobody held, which only a test can do.
func TestMakeBundles(t *testing.T) {
	if !*update {
		t.Skip("the bundles are kept; -update makes them anew")
	}
	key := circuitstest.VerifyingKey(t, circuits.Presentation)
	write(t, "presentation-1.verifying", key.Bytes())
	for _, chain := range []string{"live", "dev"} {
		listed := entry.VerifyingKey{
			Circuit: circuits.Presentation, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), NotAfter: ledgertest.Start + 1_000_000,
		}
		if chain == "live" {
			listed.Transcript = credential.DigestOf([]byte("a ceremony"))
		}
		h := ledgertest.NewHost(t, func(g *entry.Genesis) {
			g.Network, g.Dev, g.VerifyingKeys = chain, chain == "dev", []entry.VerifyingKey{listed}
		})
		cfg := h.Config()
		profile := client.Profile{Ledger: "https://ledger.example", Genesis: cfg.Genesis, Policy: cfg.Policy}
		write(t, chain+"-profile.json", ledgertest.Must(credential.Canonical(profile))(t))
		write(t, chain+"-bundle.json", ledgertest.Must(present(t, h, listed).Bytes())(t))
	}
}

// present has somebody show a title to the bank, 30 seconds after the start.
func present(t *testing.T, h *ledgertest.Host, key entry.VerifyingKey) *offline.Bundle {
	t.Helper()
	signing := ledgertest.Key(t, "bank")
	p := &policy.Policy{
		Version: 1, ID: "owner", Verifier: bank, Name: credential.Text{English: "Owner"}, Purpose: credential.Text{English: "Mortgage"},
		RetentionDays: 30, FreshnessSeconds: 600, Queries: []policy.Query{{
			ID: "title", Schema: h.Schema, Issuers: []string{ledgertest.LandDID}, Clauses: []policy.Clause{{Claim: "parcel", Present: true}},
			Disclose: []string{"parcel"}, Scope: &policy.Scope{Service: "mortgage"},
		}},
	}
	h.Apply(entry.Governance, h.Governance, entry.VerifierRegistered{
		DID: bank, Name: credential.Text{English: "Bank"}, Keys: []jose.PublicKey{signing.Public()}, ResponseURIs: []string{"https://bank.example/"},
	})
	h.Apply(bank, signing, entry.PolicyRegistered{Policy: ledgertest.Must(p.Canonical())(t)})
	rand := circuitstest.NewRand(1)
	schema := credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
		Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}
	claims := credential.Claims{"parcel": "912160000A0001"}
	c := &circuitstest.Credential{
		Schema: h.Schema, Issuer: credential.IssuerID(ledgertest.LandDID), Master: credential.Secret{Element: circuitstest.Element(rand)},
		Blinding: credential.Secret{Element: circuitstest.Element(rand)}, Claims: ledgertest.Must(schema.Encode(claims))(t),
		Envelope: credential.Envelope{
			ValidFrom: credential.EncodeTime((ledgertest.Start - 1_000_000).Time()), ValidUntil: credential.EncodeTime((ledgertest.Start + 1_000_000).Time()),
			Salt: credential.Secret{Element: circuitstest.Element31(rand)},
		},
	}
	commitment := credential.Commitment(credential.HolderCommitment(c.Master, c.Blinding), credential.ClaimsRoot(c.Claims), c.Envelope.Root())
	h.Apply(ledgertest.LandDID, h.Land, entry.CredentialsIssued{Schema: h.Schema, Commitments: []credential.Element{commitment}})
	active := circuitstest.NewTree()
	active.Set(0, c.Leaf())
	h.Seal(ledgertest.Start + 10)
	h.Seal(ledgertest.Start + 20)
	statements := ledgertest.Must(p.Resolve((ledgertest.Start + 30).Time(), func(credential.Element) (*credential.Schema, error) { return &schema, nil }))(t)
	request := &openid.RequestObject{
		ClientID: openid.ClientIDPrefix + bank, ResponseType: "vp_token", ResponseMode: "direct_post", ResponseURI: "https://bank.example/r", Nonce: "n",
		State: "s", Audience: openid.SelfIssued, IssuedAt: ledgertest.Start + 30, ExpiresAt: ledgertest.Start + 330,
		Query: openid.DCQL{Credentials: []openid.CredentialQuery{{ID: "title", Format: openid.Format, Meta: openid.Meta{
			TypeValues: []string{schema.Type}, Statement: statements[0],
			Systems: []openid.System{{ID: "zk", System: openid.ProofSystem, Circuit: key.Circuit, CircuitDigest: key.CircuitDigest, VerifyingKey: key.KeyDigest}},
		}}}},
		ClientMetadata: openid.ClientMetadata{Formats: openid.OurFormats()},
		VerifierInfo:   []openid.VerifierInfo{{Format: openid.PolicyInfo, Data: ledgertest.Must(p.Canonical())(t)}},
	}
	token := ledgertest.Must(jose.SignCompact(signing, openid.RequestKeyID(bank, signing.Public().KeyID()), openid.RequestType, request))(t)
	compiled := ledgertest.Must(statements[0].Compile(policy.Context{
		Genesis: h.Genesis, Schema: &schema, Issuers: []string{ledgertest.LandDID}, Disclosed: claims,
	}))(t)
	public, private := c.Present(active, circuitstest.Request{
		Issuers: compiled.Issuers, Now: compiled.Now, Clauses: compiled.Clauses, Sets: compiled.Sets,
		Challenge: ledgertest.Must(request.Challenge(h.Genesis))(t), N: circuitstest.Element31(rand), Scope: compiled.Scope,
	})
	proof := ledgertest.Must(circuitstest.Prover(t, circuits.Presentation, false).ProvePresentation(t.Context(), public, private))(t)
	response := ledgertest.Must(json.Marshal(openid.VPToken{"title": {{
		System: "zk", Proof: openid.EncodeBytes(proof), Root: public.Root, N: public.N, Link: public.Link, Item: public.Item,
		Pseudonym: public.Pseudonym, Disclosed: claims,
	}}}))(t)
	reader := h.Client(nil)
	view := ledgertest.Must(reader.Update(t.Context()))(t)
	excerpt := ledgertest.Must(reader.Excerpt(t.Context(), view, ledgertest.Start.Time(), (ledgertest.Start + 60).Time(), 0))(t)
	return &offline.Bundle{Version: 1, Request: token, Response: response, Chain: excerpt}
}
