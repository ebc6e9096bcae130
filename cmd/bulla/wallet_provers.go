package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/wallet"
)

// provers load the development keys of a folder when the first proof is needed, and keep what they loaded. A command
// proves one thing after another, so there is no lock.
type provers struct {
	dir  string
	keys *setup.Development
	made map[string]*proving.Prover // by circuit
}

// find implements [wallet.Provers].
func (p *provers) find(_ context.Context, circuit string, verifyingKey credential.Digest) (wallet.Prover, error) {
	if prover, ok := p.made[circuit]; ok {
		return prover, nil
	}
	if p.keys == nil {
		keys, err := setup.Load(p.dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there are no proving keys in %s: give the folder that has them with --keys (bulla serve --dev makes one in its data folder)", p.dir)
		}
		if err != nil {
			return nil, err
		}
		p.keys = keys
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
