package ledgertest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// TestChain is the life of a credential, as the roles see it, over real HTTP.
func TestChain(t *testing.T) {
	c := ledgertest.New(t)
	const did = "did:web:land.example"
	key := c.RegisterIssuer(did, "https://land.example")
	schema := c.PublishSchema(credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
		Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}, did)
	c.RegisterVerifier("did:web:benefits.example", "https://benefits.example/")
	commitment := credential.RandomElement()
	receipt := c.Issue(did, schema, commitment, credential.RandomElement())
	c.Settle()

	issuer := c.Client()
	sealed, err := issuer.Await(t.Context(), receipt.Index, entry.LevelSealed)
	if err != nil || sealed.FirstLeaf != 0 || sealed.Leaves != 2 {
		t.Fatalf("receipt %+v, %v", sealed, err)
	}
	wallet := c.Client()
	view := ledgertest.Must(wallet.Update(t.Context()))(t)
	if live := view.Census.Live(schema, []string{did}); live != 2 {
		t.Errorf("%d live leaves, want 2", live)
	}
	if _, ok := view.Registry.Verifier("did:web:benefits.example"); !ok {
		t.Error("the verifier is not in the registry")
	}
	grid := ledgertest.Must(wallet.GridSeals(t.Context(), view, time.Minute, time.Second))(t)
	newest := grid[len(grid)-1]
	group := ledgertest.Must(wallet.Group(t.Context(), newest.Seal.ActiveRoot, 0))(t)
	path, leaf, err := group.Path(0)
	if err != nil || leaf != credential.Leaf(credential.IssuerID(did), schema, commitment) {
		t.Fatalf("leaf %s (%v) is not the one issued", leaf, err)
	}
	if err := path.Verify(leaf, newest.Seal.ActiveRoot, credential.ActiveDepth); err != nil {
		t.Error(err)
	}
	verifier := c.Client()
	if _, err := verifier.FindRoot(t.Context(), newest.Seal.ActiveRoot, time.Minute); err != nil {
		t.Error(err)
	}

	c.Submit(did, entry.CredentialsRevoked{Leaves: []uint64{0}}, key)
	view = c.Settle()
	if _, err := verifier.FindRoot(t.Context(), view.Seal.ActiveRoot, time.Minute); err != nil {
		t.Error(err)
	}
	group = ledgertest.Must(wallet.Group(t.Context(), view.Seal.ActiveRoot, 0))(t)
	if _, leaf, _ := group.Path(0); !leaf.IsZero() || group.Live() != 1 {
		t.Error("the revoked leaf is still there")
	}
	time.Sleep(1100 * time.Millisecond)
	if _, err := verifier.FindRoot(t.Context(), newest.Seal.ActiveRoot, time.Second); !errors.Is(err, client.ErrRootTooOld) {
		t.Errorf("error is %v, want too old", err)
	}
	if evidence := ledgertest.Must(c.Cosigner.Evidence())(t); len(evidence) != 0 {
		t.Errorf("the cosigner holds %v against the ledger", evidence)
	}
}

func TestSubmitProblems(t *testing.T) {
	c := ledgertest.New(t)
	key := c.RegisterIssuer("did:web:land.example", "https://land.example")
	writer := c.Client()
	sign := func(sequence uint64) *entry.Entry {
		return ledgertest.Must(entry.Sign(entry.Draft{
			Genesis: c.Genesis, Signer: "did:web:land.example", Sequence: sequence, Payload: entry.CredentialsRevoked{Leaves: []uint64{9}},
		}, key))(t)
	}
	_, err := writer.Submit(t.Context(), sign(7))
	var problem *client.Problem
	if !errors.Is(err, client.ErrSequence) || !errors.As(err, &problem) || problem.Expected != 0 {
		t.Errorf("error is %v, want the sequence problem", err)
	}
	if _, err := writer.Submit(t.Context(), sign(0)); !errors.As(err, &problem) || problem.Code != "unknown-reference" {
		t.Errorf("error is %v, want unknown-reference", err)
	}
	stranger := ledgertest.Must(entry.Sign(entry.Draft{
		Genesis: c.Genesis, Signer: "did:web:stranger.example", Payload: entry.CredentialsRevoked{Leaves: []uint64{9}},
	}, key))(t)
	if _, err := writer.Submit(t.Context(), stranger); !errors.Is(err, client.ErrAuthority) {
		t.Errorf("error is %v, want the authority problem", err)
	}
	again := ledgertest.Must(entry.Parse(c.First))(t)
	if receipt, err := writer.Submit(t.Context(), again); err != nil || receipt.Index != 0 || receipt.Digest != c.Genesis {
		t.Errorf("an entry that is there: receipt %+v, %v", receipt, err)
	}
}
