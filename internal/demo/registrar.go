package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// registrar puts onto the chain what is not there yet, in the name of one signer.
type registrar struct {
	client *client.Client
	signer string
	key    *jose.SigningKey
	last   uint64 // log index of the last entry submitted
	count  int
}

// submit signs payload with the signer's next number.
func (r *registrar) submit(ctx context.Context, payload entry.Payload) error {
	view := r.client.Latest()
	if view == nil {
		return errors.New("the chain was not looked at yet")
	}
	sequence, err := r.client.NextSequence(ctx, r.signer)
	if err != nil {
		return err
	}
	e, err := entry.Sign(entry.Draft{Genesis: view.GenesisHash, Signer: r.signer, Sequence: sequence, Payload: payload}, r.key)
	if err != nil {
		return err
	}
	receipt, err := r.client.Submit(ctx, e)
	if err != nil {
		return fmt.Errorf("register %T: %w", payload, err)
	}
	r.last, r.count = receipt.Index, r.count+1
	return nil
}

// sealed waits until everything submitted is in effect.
func (r *registrar) sealed(ctx context.Context) error {
	if r.count == 0 {
		return nil
	}
	if _, err := r.client.Await(ctx, r.last, entry.LevelSealed); err != nil {
		return err
	}
	_, err := r.client.Update(ctx)
	return err
}

// issuer registers an agency that is not on the chain, or not as described.
func (r *registrar) issuer(ctx context.Context, p entry.IssuerRegistered) error {
	registered, ok := r.client.Latest().Registry.Issuer(p.DID)
	if ok && registered.URL == p.URL && slices.Equal(registered.Keys, p.Keys) {
		return nil
	}
	return r.submit(ctx, p)
}

func (r *registrar) schema(ctx context.Context, schema *credential.Schema, issuers ...string) error {
	id, err := schema.ID()
	if err != nil {
		return err
	}
	slices.Sort(issuers)
	if registered, ok := r.client.Latest().Registry.Schema(id); ok && slices.Equal(registered.Issuers, issuers) {
		return nil
	}
	return r.submit(ctx, entry.SchemaPublished{Schema: *schema, Issuers: issuers})
}

func (r *registrar) verifier(ctx context.Context, p entry.VerifierRegistered) error {
	registered, ok := r.client.Latest().Registry.Verifier(p.DID)
	if ok && slices.Equal(registered.Keys, p.Keys) && slices.Equal(registered.ResponseURIs, p.ResponseURIs) {
		return nil
	}
	return r.submit(ctx, p)
}

// policy registers one of the signer's policies.
func (r *registrar) policy(ctx context.Context, id string, canonical []byte) error {
	registered, ok := r.client.Latest().Registry.Policy(r.signer, id)
	if ok && registered.Digest == credential.DigestOf(canonical) {
		return nil
	}
	return r.submit(ctx, entry.PolicyRegistered{Policy: bytes.Clone(canonical)})
}
