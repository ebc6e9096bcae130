package client

import (
	"context"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	policies "github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// RegistryAt is who may do what on the chain after a seal.
func (c *Client) RegistryAt(ctx context.Context, seal entry.Seal) (*entry.Registry, error) {
	r := new(entry.Registry)
	if err := c.document(ctx, "registry", seal.Registry, r); err != nil {
		return nil, err
	}
	if r.Genesis != c.cfg.Genesis {
		return nil, fmt.Errorf("registry %s is of the chain %s: %w", seal.Registry, r.Genesis, ErrTampered)
	}
	return r, nil
}

// CensusAt counts the live leaves after a seal.
func (c *Client) CensusAt(ctx context.Context, seal entry.Seal) (*entry.Census, error) {
	census := new(entry.Census)
	if err := c.document(ctx, "census", seal.Census, census); err != nil {
		return nil, err
	}
	return census, nil
}

// Set is the set of a digest that policies name. The ledger registers no policy whose sets it does not have, so that one that is
// missing ([ErrNoSet]) belongs to no registered policy, or the host keeps it back. The host learns that somebody asks for
// it: wallets take it from the verifier that asks them, who knows already.
func (c *Client) Set(ctx context.Context, digest credential.Digest) (*policies.Set, error) {
	name := "set/" + digest.String()
	data, ok := c.documents.Get(name)
	if !ok {
		var err error
		data, err = c.http.get(ctx, "/"+name, policies.MaxSetSize, 0)
		if isMissing(err) {
			return nil, fmt.Errorf("set %s: %w", digest, ErrNoSet)
		}
		if err != nil {
			return nil, err
		}
	}
	set, err := policies.ParseSetNamed(digest, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	c.documents.Put(name, data)
	return set, nil
}

// document reads canonical JSON that is named by its digest.
func (c *Client) document(ctx context.Context, kind string, digest credential.Digest, target any) error {
	name := kind + "/" + digest.String()
	data, ok := c.documents.Get(name)
	if !ok || credential.DigestOf(data) != digest {
		var err error
		if data, err = c.http.get(ctx, "/"+name, credential.MaxDocument, 0); err != nil {
			return err
		}
		if credential.DigestOf(data) != digest {
			return fmt.Errorf("%s: what was served has another digest: %w", name, ErrTampered)
		}
	}
	if err := credential.ParseCanonical(data, target); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.documents.Put(name, data)
	return nil
}
