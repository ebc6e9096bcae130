package verifier_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

// The story with real proofs.
func TestStoryProven(t *testing.T) {
	prover := circuitstest.Prover(t, circuits.Presentation, false)
	w := newWorldWith(t, circuitstest.VerifyingKey(t, circuits.Presentation), func(public presentation.Public, private presentation.Private) ([]byte, error) {
		return prover.ProvePresentation(t.Context(), public, private)
	})
	story(t, w)
}

// Everything real: a ledger with a replaying cosigner, a store in Pebble, and real proofs.
func TestOnChain(t *testing.T) {
	prover, key := circuitstest.Prover(t, circuits.Presentation, true), circuitstest.VerifyingKey(t, circuits.Presentation)
	chain := ledgertest.New(t, func(g *entry.Genesis) {
		g.VerifyingKeys = []entry.VerifyingKey{{
			Circuit: circuits.Presentation, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), NotAfter: credential.UnixTimeOf(time.Now().Add(time.Hour)),
		}}
	})
	chain.RegisterIssuer(civil, "https://civil.example")
	signing := chain.RegisterVerifier(bank, "https://verify.example/")
	chain.PublishSchema(residence, civil)
	chain.Settle()

	ask := policy.Policy{
		Version: 1, ID: "residence", Verifier: bank, Name: credential.Text{English: "r"}, Purpose: credential.Text{English: "test"}, FreshnessSeconds: 60,
		Queries: []policy.Query{{ID: "residence", Schema: schemaID(residence), Issuers: []string{civil}, Clauses: []policy.Clause{{Claim: "district", In: []string{"310104"}}}}},
	}
	strict := ask
	strict.ID, strict.FreshnessSeconds = "strict", 1
	registries, districts := countySets(t)
	counties := ask
	counties.ID, counties.Queries = "counties", []policy.Query{{
		ID: "residence", Schema: schemaID(residence), IssuerSet: registries.Digest(), Clauses: []policy.Clause{{Claim: "district", InSet: districts.Digest()}},
	}}
	rows, err := store.Open(store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cfg := verifier.Config{
		DID: bank, PublicURL: "https://verify.example", SigningKey: signing, ResultKey: newKey(t, 2), Policies: []*policy.Policy{&ask, &strict, &counties},
		Sets: []*policy.Set{registries, districts}, VerifyingKeys: [][]byte{key.Bytes()}, Ledger: chain.Client(), Store: rows,
		AccessKey: newKey(t, 3),
	}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ledger := chain.Client()
	if _, err := ledger.Set(t.Context(), registries.Digest()); !errors.Is(err, client.ErrNoSet) {
		t.Errorf("a set that is not on the chain yet: %v", err)
	}
	if n, err := v.Register(t.Context(), ledger); err != nil || n != 3 {
		t.Fatalf("registered %d: %v", n, err)
	}
	if set, err := ledger.Set(t.Context(), registries.Digest()); err != nil || len(set.Members()) != 2978 {
		t.Errorf("the registries on the chain: %v", err)
	}
	if n, err := v.Register(t.Context(), ledger); err != nil || n != 0 {
		t.Fatalf("registered again %d: %v", n, err)
	}
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}

	// A person gets a credential, and takes the root and the path of its leaf.
	w := &world{t: t, rand: circuitstest.NewRand(11), clock: &clock{now: time.Now()}, active: circuitstest.NewTree(), verifier: v, signing: signing}
	me := w.resident(w.person())
	commitment := credential.Commitment(credential.HolderCommitment(me.Master, me.Blinding), credential.ClaimsRoot(me.Claims), me.Envelope.Root())
	receipt := chain.Issue(civil, schemaID(residence), commitment)
	view := chain.Settle()
	root := view.Seal.ActiveRoot

	present := func(policyID string) (string, *verifier.Started, verifier.Response) {
		started, err := v.Start(t.Context(), "app", policyID, 0)
		if err != nil {
			t.Fatal(err)
		}
		id := started.RequestURI[len("https://verify.example/oid4vp/requests/"):]
		request := fetch(t, v, id)
		challenge, err := request.Challenge(chain.Genesis)
		if err != nil {
			t.Fatal(err)
		}
		group, err := ledger.Group(t.Context(), root, receipt.FirstLeaf)
		if err != nil {
			t.Fatal(err)
		}
		path, _, err := group.Path(receipt.FirstLeaf)
		if err != nil {
			t.Fatal(err)
		}
		s := request.Query.Credentials[0].Meta.Statement
		compiled, err := s.Compile(policy.Context{Genesis: chain.Genesis, Schema: &residence, Sets: policy.SetsOf(registries, districts), Issuers: []string{civil}, Disclosed: credential.Claims{}})
		if err != nil {
			t.Fatal(err)
		}
		public, private := me.Present(w.active, circuitstest.Request{
			Issuers: compiled.Issuers, Now: compiled.Now, Clauses: compiled.Clauses, Sets: compiled.Sets, Challenge: challenge, N: credential.Random31(),
		})
		public.Root, private.ActivePath = root, path
		proof, err := prover.ProvePresentation(t.Context(), public, private)
		if err != nil {
			t.Fatal(err)
		}
		token := openid.VPToken{"residence": {{
			System: "zk", Proof: openid.EncodeBytes(proof), Root: root, N: public.N, Link: public.Link, Item: public.Item,
		}}}
		encrypted, err := request.Encrypt(openid.AuthorizationResponse{State: request.State, Token: encode(t, token)})
		if err != nil {
			t.Fatal(err)
		}
		return id, started, verifier.Response{Token: []byte(encrypted), Encrypted: true}
	}

	id, started, response := present("residence")
	if err := v.Respond(t.Context(), id, response); err != nil {
		t.Fatal(err)
	}
	status, err := v.Status(t.Context(), "app", started.ID)
	if err != nil || status.State != verifier.Verified {
		t.Fatalf("%+v, %v", status, err)
	}

	// One of 2,978 county registries, of which one is on the chain.
	id, started, response = present("counties")
	if err := v.Respond(t.Context(), id, response); err != nil {
		t.Fatal(err)
	}
	if status, err := v.Status(t.Context(), "app", started.ID); err != nil || status.State != verifier.Verified {
		t.Fatalf("%+v, %v", status, err)
	}

	// A changed policy is registered anew, its sets are not: they are there.
	changed := counties
	changed.RetentionDays++
	again := cfg
	again.Policies = []*policy.Policy{&changed}
	before, err := ledger.NextSequence(t.Context(), bank)
	if err != nil {
		t.Fatal(err)
	}
	w2, err := verifier.New(again)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w2.Register(t.Context(), ledger); err != nil || n != 1 {
		t.Fatalf("registered %d: %v", n, err)
	}
	if after, err := ledger.NextSequence(t.Context(), bank); err != nil || after != before+1 {
		t.Errorf("it took %d entries, %v", after-before, err)
	}

	// Revoked: the old root still proves, but is too old for who asks for fresh ones.
	chain.Submit(civil, entry.CredentialsRevoked{Leaves: []uint64{receipt.FirstLeaf}}, ledgertest.Key(t, civil))
	view = chain.Settle()
	if view.Seal.ActiveRoot == root {
		t.Fatal("the revocation changed nothing")
	}
	id, _, response = present("strict")
	time.Sleep(time.Until(lastSealOf(t, ledger, root).Add(1100 * time.Millisecond)))
	if got := codeOf(v.Respond(t.Context(), id, response)); got != check.RootTooOld {
		t.Errorf("revoked, root too old: %s", got)
	}
	group, err := ledger.Group(t.Context(), view.Seal.ActiveRoot, receipt.FirstLeaf)
	if err != nil {
		t.Fatal(err)
	}
	if _, leaf, err := group.Path(receipt.FirstLeaf); err != nil || !leaf.IsZero() {
		t.Errorf("leaf after its revocation is %v: %v", leaf, err)
	}
}

// lastSealOf is when a root was last sealed.
func lastSealOf(t *testing.T, ledger *client.Client, root credential.Element) time.Time {
	t.Helper()
	at, err := ledger.FindRoot(t.Context(), root, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return at.Time
}
