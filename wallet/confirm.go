package wallet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// confirm checks a credential on receipt: that it is what was asked for, that claims and validity fit, that the
// issuer's entry has its commitment and is in the log, and that its leaf is in the active tree. Only then is it kept.
func (w *Wallet) confirm(ctx context.Context, s *source, p *pending, issued *openid.IssuedCredential) error {
	commitment, leaf, err := w.checkContents(s, p, issued)
	if err != nil {
		return err
	}
	if err := w.checkEntry(s, issued, commitment); err != nil {
		return err
	}
	return w.awaitLeaf(ctx, s, issued, leaf)
}

// checkContents recomputes commitment and leaf from what was handed over.
func (w *Wallet) checkContents(s *source, p *pending, issued *openid.IssuedCredential) (commitment, leaf credential.Element, err error) {
	none := credential.Element{}
	id, err := issued.Schema.ID()
	switch {
	case issued.Version != 1:
		return none, none, refuse(CodeUnsupported, nil, "credential of version %d", issued.Version)
	case issued.Genesis != w.vault.Genesis():
		return none, none, refuse(CodeGenesis, nil, "the credential is of the chain %s", issued.Genesis)
	case issued.Issuer != s.issuer.DID:
		return none, none, refuse(CodeIssuer, nil, "the credential is by %.200q", issued.Issuer)
	case err != nil || id != s.schema.ID:
		return none, none, refuse(CodeIssuer, err, "the credential has another schema than was asked for")
	case issued.HolderCommitment != credential.HolderCommitment(w.vault.read().Master, p.Blinding):
		return none, none, refuse(CodeCommitment, nil, "the credential is for another holder commitment")
	case issued.SubjectKey.IsZero() != (s.schema.Schema.SubjectRegister == ""):
		return none, none, refuse(CodeValidity, nil, "a subject key belongs to the schema: %t", s.schema.Schema.SubjectRegister != "")
	}
	issued.Schema = s.schema.Schema // with the display texts that the chain has, not those of whoever answered
	if _, err := issued.Envelope(); err != nil {
		return none, none, refuse(CodeValidity, err, "envelope")
	}
	if commitment, leaf, err = issued.Commitment(); err != nil {
		return none, none, refuse(CodeClaims, err, "claims do not fit the schema %s", s.schema.Schema.Type)
	}
	return commitment, leaf, nil
}

// checkEntry holds receipt and entry to the commitment: signed by the issuer, in the log, and at the place it says.
func (w *Wallet) checkEntry(s *source, issued *openid.IssuedCredential, commitment credential.Element) error {
	raw, err := credential.ParseBase64(issued.Entry, -1)
	if err != nil {
		return refuse(CodeEntry, err, "entry")
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return refuse(CodeEntry, err, "entry")
	}
	payload, err := e.ParsePayload()
	batch, ok := payload.(entry.CredentialsIssued)
	header := e.Header()
	switch {
	case err != nil || !ok:
		return refuse(CodeEntry, err, "the entry issues no credentials")
	case header.Genesis != w.vault.Genesis() || header.Signer != s.issuer.DID || batch.Schema != s.schema.ID || len(e.Signatures) != 1:
		return refuse(CodeEntry, nil, "the entry is not of this issuer, schema and chain")
	}
	key, err := jose.Keys(s.issuer.Keys...)(header.KeyID)
	if err == nil {
		err = e.Verify(0, key)
	}
	if err != nil {
		return refuse(CodeEntry, err, "signature of the entry")
	}
	r := issued.Receipt
	if r.Level != entry.LevelSealed || r.Leaves != len(batch.Commitments) {
		return refuse(CodeEntry, nil, "receipt of level %.20q with %d leaves, the entry has %d", r.Level, r.Leaves, len(batch.Commitments))
	}
	if err := w.chain.VerifyReceipt(r, raw); err != nil {
		return refuse(CodeEntry, err, "receipt")
	}
	if issued.Leaf < r.FirstLeaf || issued.Leaf-r.FirstLeaf >= uint64(len(batch.Commitments)) ||
		batch.Commitments[issued.Leaf-r.FirstLeaf] != commitment {
		return refuse(CodeCommitment, nil, "the credential's commitment is not in the entry at leaf %d", issued.Leaf)
	}
	return nil
}

// leafPatience is how long a wallet waits for a view that holds an entry which its receipt says is sealed: a mirror may
// be behind.
const leafPatience = 30 * time.Second

// awaitLeaf finds the leaf at its index in the active tree of the newest seal.
func (w *Wallet) awaitLeaf(ctx context.Context, s *source, issued *openid.IssuedCredential, leaf credential.Element) error {
	ctx, cancel := context.WithTimeout(ctx, leafPatience)
	defer cancel()
	view, err := w.update(ctx)
	for err == nil && view.SealIndex < issued.Receipt.Index {
		select {
		case <-ctx.Done():
			return refuse(CodeNotOnChain, ctx.Err(), "the ledger served no seal after entry %d", issued.Receipt.Index)
		case <-time.After(200 * time.Millisecond):
		}
		view, err = w.update(ctx)
	}
	if err != nil {
		return err
	}
	if issuer, ok := view.Registry.Issuer(s.issuer.DID); !ok || issuer.Suspended {
		return refuse(CodeIssuerSuspended, nil, "issuer %s was suspended meanwhile", s.issuer.DID)
	}
	found, err := w.leafAt(ctx, view.At(), issued.Leaf)
	if err != nil {
		return err
	}
	if found != leaf {
		return refuse(CodeNotOnChain, nil, "leaf %d of the active tree is not the credential's", issued.Leaf)
	}
	return nil
}

// leafAt reads a leaf under a seal, through its whole group.
func (w *Wallet) leafAt(ctx context.Context, seal client.SealAt, index uint64) (credential.Element, error) {
	group, err := w.group(ctx, seal, index)
	if err != nil {
		return credential.Element{}, err
	}
	_, leaf, err := group.Path(index)
	if err != nil {
		return credential.Element{}, refuse(CodeLedger, err, "path of leaf %d", index)
	}
	return leaf, nil
}

func (w *Wallet) group(ctx context.Context, seal client.SealAt, index uint64) (*client.Group, error) {
	group, err := w.chain.Group(ctx, seal.Seal.ActiveRoot, index)
	switch {
	case err != nil && (client.IsBad(err) || errors.Is(err, credential.ErrNotCanonical)):
		return nil, refuse(CodeLedger, err, "group of leaf %d", index)
	case err != nil:
		return nil, refuse(CodeNetwork, err, "group of leaf %d", index)
	}
	return group, nil
}

// issuers are those of a list that are in good standing for a schema, or nil if none is.
func goodIssuers(registry *entry.Registry, schema credential.Element, dids []string) []string {
	good, err := registry.InGoodStanding(schema, dids)
	if err != nil {
		return nil
	}
	return slices.Clone(good)
}
