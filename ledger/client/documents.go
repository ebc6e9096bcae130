package client

import (
	"context"
	"fmt"

	"github.com/bulla-id/bulla/credential"
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
