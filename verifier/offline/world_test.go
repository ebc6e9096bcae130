package offline_test

import (
	"encoding/json"
	"flag"
	"fmt"
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
	"github.com/bulla-id/bulla/verifier"
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

// read reads the bundle of a chain: "live", "dev", or "sets", where the policy names sets.
func read(t testing.TB, chain string) files {
	t.Helper()
	f := files{profile: ledgertest.Must(client.ReadProfile(filepath.Join("testdata", chain+"-profile.json")))(t)}
	key := "presentation-1.verifying"
	if chain == "sets" { // made by itself, under a key of its own
		key = "sets.verifying"
	}
	f.key = ledgertest.Must(os.ReadFile(filepath.Join("testdata", key)))(t)
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

// TestMakeSetsBundle makes the bundle of a policy that names sets, as [verifier.NewBundle] reads it from the chain.
func TestMakeSetsBundle(t *testing.T) {
	if !*update {
		t.Skip("the bundle is kept; -update makes it anew")
	}
	key := circuitstest.VerifyingKey(t, circuits.Presentation)
	write(t, "sets.verifying", key.Bytes())
	listed := entry.VerifyingKey{
		Circuit: circuits.Presentation, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), NotAfter: ledgertest.Start + 1_000_000,
		Transcript: credential.DigestOf([]byte("a ceremony")),
	}
	h := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Network, g.VerifyingKeys = "sets", []entry.VerifyingKey{listed} })
	cfg := h.Config()
	profile := client.Profile{Ledger: "https://ledger.example", Genesis: cfg.Genesis, Policy: cfg.Policy}
	write(t, "sets-profile.json", ledgertest.Must(credential.Canonical(profile))(t))
	registries, parcels := someSets(t)
	made := present(t, h, listed, registries, parcels)
	bundle := ledgertest.Must(verifier.NewBundle(t.Context(), h.Client(nil), made.Request, made.Response, (ledgertest.Start + answered).Time()))(t)
	write(t, "sets-bundle.json", ledgertest.Must(bundle.Bytes())(t))
}

// someSets are issuers and values that the policy of the bundle "sets" names.
func someSets(t testing.TB) (registries, parcels *policy.Set) {
	t.Helper()
	made := func(kind policy.SetKind, members ...string) *policy.Set {
		return ledgertest.Must(policy.NewSet(policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: "Set of " + string(kind)}, Members: members}))(t)
	}
	dids := []string{}
	for i := range 40 {
		dids = append(dids, fmt.Sprintf("did:web:%06d.registry.example", 110101+i))
	}
	return made(policy.IssuerSet, append(dids, ledgertest.LandDID)...), made(policy.ValueSet, "912160000A0001", "912160000A0002")
}

// present has somebody show a title to the bank, 30 seconds after the start; with two sets, by a policy that
// names them.
func present(t *testing.T, h *ledgertest.Host, key entry.VerifyingKey, sets ...*policy.Set) *offline.Bundle {
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
	infos := []openid.VerifierInfo{{Format: openid.PolicyInfo}}
	if len(sets) == 2 {
		q := &p.Queries[0]
		q.Issuers, q.IssuerSet, q.Clauses = nil, sets[0].Digest(), []policy.Clause{{Claim: "parcel", InSet: sets[1].Digest()}}
		infos = append(infos, openid.VerifierInfo{Format: openid.SetsInfo, Data: []byte(`{"uri":"https://bank.example/sets/"}`)})
		for _, s := range sets {
			h.Apply(bank, signing, entry.SetRegistered{Set: s.Digest(), Kind: string(s.Kind()), Name: s.Name(), Parts: 1, Members: s.Members()})
		}
	}
	infos[0].Data = ledgertest.Must(p.Canonical())(t)
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
		VerifierInfo:   infos,
	}
	token := ledgertest.Must(jose.SignCompact(signing, openid.RequestKeyID(bank, signing.Public().KeyID()), openid.RequestType, request))(t)
	compiled := ledgertest.Must(statements[0].Compile(policy.Context{
		Genesis: h.Genesis, Schema: &schema, Sets: policy.SetsOf(sets...), Issuers: []string{ledgertest.LandDID}, Disclosed: claims,
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
