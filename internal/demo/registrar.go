package demo

import (
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

// issuer registers an agency that is not on the chain. Its address is part of what wallets check, so it stays.
func (r *registrar) issuer(ctx context.Context, p entry.IssuerRegistered) error {
	registered, ok := r.client.Latest().Registry.Issuer(p.DID)
	switch {
	case !ok:
		return r.submit(ctx, p)
	case registered.URL != p.URL:
		return fmt.Errorf("%s is registered at %s, not at %s: start with the same --port as before", p.DID, registered.URL, p.URL)
	case !slices.Equal(registered.Keys, p.Keys):
		return fmt.Errorf("%s is registered with another key: the key store is not the one this chain was started with", p.DID)
	}
	return nil
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
