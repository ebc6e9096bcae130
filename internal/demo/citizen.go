package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// citizen is a person with an honest wallet, and with what a cheat would use instead.
type citizen struct {
	name   string // also the person's name at the agencies
	wallet *wallet.Wallet
	vault  *wallet.Vault
}

// newCitizen makes a wallet in the folder.
func (s *story) newCitizen(name string) (*citizen, error) {
	storage, err := wallet.NewFile(filepath.Join(s.dir, "wallets", name+".bulla"))
	if err != nil {
		return nil, err
	}
	// A demo's passphrases protect nobody: a low work factor keeps the story short.
	vault, err := wallet.CreateVault(wallet.VaultConfig{Storage: storage, Passphrase: "demo " + name, WorkFactor: 10, Genesis: s.network.Profile.Genesis})
	if err != nil {
		return nil, err
	}
	chain, err := s.network.newClient(vault.Memory())
	if err != nil {
		return nil, err
	}
	w, err := wallet.New(wallet.Config{Vault: vault, Chain: chain, Provers: s.provers.checked, Logger: s.network.logger})
	return &citizen{name, w, vault}, err
}

// newAdversary is a cheat's wallet: it skips its own checks, and its prover leaves out the twin.
func (s *story) newAdversary() (*adversary.Adversary, error) {
	chain, err := s.network.newClient(nil)
	if err != nil {
		return nil, err
	}
	return adversary.New(adversary.Config{Chain: chain, Provers: s.provers.unchecked})
}

// credentialOf is the newest credential of a type in a citizen's vault, in clear, with the master secret: what a cheat
// has of its own, or takes from a friend.
func (c *citizen) credentialOf(schemaType string) (credential.Secret, *wallet.Credential, error) {
	secrets, err := c.vault.Secrets()
	if err != nil {
		return credential.Secret{}, nil, err
	}
	for i := len(secrets.Credentials) - 1; i >= 0; i-- {
		if secrets.Credentials[i].Issued.Schema.Type == schemaType {
			return secrets.Master, &secrets.Credentials[i], nil
		}
	}
	return credential.Secret{}, nil, fmt.Errorf("%s has no credential of type %s", c.name, schemaType)
}

// provers share the proving keys of the development folder among all wallets, and time what they prove.
type provers struct {
	keys KeySet
	mu   sync.Mutex
	made map[string]*proving.Prover // by circuit and kind
	last measured
}

// measured is the last presentation that an honest wallet proved.
type measured struct {
	public presentation.Public
	proof  []byte
	took   time.Duration
}

func (p *provers) checked(ctx context.Context, circuit string, key credential.Digest) (wallet.Prover, error) {
	prover, err := p.prover(circuit, key, false)
	return timed{prover, p}, err
}

func (p *provers) unchecked(ctx context.Context, circuit string, key credential.Digest) (wallet.Prover, error) {
	return p.prover(circuit, key, true)
}

func (p *provers) prover(circuit string, key credential.Digest, unchecked bool) (*proving.Prover, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := fmt.Sprint(circuit, unchecked)
	if prover, ok := p.made[name]; ok {
		return prover, nil
	}
	provingKey, err := p.keys.ProvingKey(circuit)
	if err != nil {
		return nil, err
	}
	if provingKey.VerifyingKey() != key {
		return nil, fmt.Errorf("there is no proving key for verifying key %s", key)
	}
	prover, err := proving.New(proving.Config{Key: provingKey, Unchecked: unchecked})
	if err == nil {
		p.made[name] = prover
	}
	return prover, err
}

// timed remembers what it proved last.
type timed struct {
	*proving.Prover
	all *provers
}

func (t timed) ProvePresentation(ctx context.Context, public presentation.Public, private presentation.Private) ([]byte, error) {
	start := time.Now()
	proof, err := t.Prover.ProvePresentation(ctx, public, private)
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.all.last = measured{public, proof, time.Since(start)}
	return proof, err
}

func (t timed) ProveEnrolment(ctx context.Context, public enrolment.Public, private enrolment.Private) ([]byte, error) {
	return t.Prover.ProveEnrolment(ctx, public, private)
}

// verify times the check of the proof that was made last, apart from everything around it.
func (p *provers) verify() (measured, time.Duration, error) {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	key, err := p.keys.VerifyingKey(last.public.Circuit())
	if err != nil {
		return last, 0, err
	}
	start := time.Now()
	err = verifying.Verify(key, last.public.Vector(), last.proof)
	return last, time.Since(start), err
}
