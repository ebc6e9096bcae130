package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/wallet"
)

// provers load the keys of a folder, of a ceremony or for development, when the first proof is needed, and keep what they
// loaded. A command proves one thing after another, so there is no lock.
type provers struct {
	dir  string
	keys office.ProvingKeys
	made map[string]*proving.Prover // by circuit
}

// loadKeys loads the keys of a folder. Whether they are the chain's is for find to see.
func loadKeys(dir string) (office.ProvingKeys, error) {
	set, err := office.ReadProvingKeys(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there are no proving keys in %s: give the folder that has them with --keys (that of the chain's ceremony; bulla serve --dev makes one in its data folder)", dir)
	}
	return set, err
}

// find implements [wallet.Provers].
func (p *provers) find(_ context.Context, circuit string, verifyingKey credential.Digest) (wallet.Prover, error) {
	if prover, ok := p.made[circuit]; ok {
		return prover, nil
	}
	if p.keys == nil {
		set, err := loadKeys(p.dir)
		if err != nil {
			return nil, err
		}
		p.keys = set
	}
	key, err := p.keys.ProvingKey(circuit)
	if err != nil {
		return nil, err
	}
	if key.VerifyingKey() != verifyingKey {
		return nil, fmt.Errorf("the keys in %s are not those of this chain, whose verifying key is %s: give the right folder with --keys", p.dir, verifyingKey)
	}
	prover, err := proving.New(proving.Config{Key: key})
	if err != nil {
		return nil, err
	}
	if p.made == nil {
		p.made = make(map[string]*proving.Prover)
	}
	p.made[circuit] = prover
	return prover, nil
}
