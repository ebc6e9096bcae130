package office

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Proposal is an entry of governance before it is signed: a file that is handed to the members. Each signs it offline,
// by itself; what they hand back is an entry with one signature.
type Proposal struct {
	Format   string            `json:"format"`  // bulla-proposal
	Version  int               `json:"version"` // 1
	Kind     entry.Kind        `json:"kind"`
	Genesis  credential.Digest `json:"genesis"` // the chain; all zero for its genesis itself
	Sequence uint64            `json:"seq"`     // governance's next number
	Payload  json.RawMessage   `json:"payload"`
}

const proposalFormat = "bulla-proposal"

// Propose makes a proposal of a payload that governance may sign.
func Propose(genesis credential.Digest, sequence uint64, payload entry.Payload) (Proposal, error) {
	text, err := credential.Canonical(payload)
	if err != nil {
		return Proposal{}, fmt.Errorf("propose: %w", err)
	}
	p := Proposal{Format: proposalFormat, Version: 1, Kind: entry.KindOf(payload), Genesis: genesis, Sequence: sequence, Payload: text}
	if _, err := p.Parse(); err != nil {
		return Proposal{}, fmt.Errorf("propose: %w", err)
	}
	return p, nil
}

// ReadProposal reads a proposal.
func ReadProposal(path string) (Proposal, error) {
	text, err := readFile(path)
	if err != nil {
		return Proposal{}, fmt.Errorf("proposal: %w", err)
	}
	p, err := ParseProposal(text)
	if err != nil {
		return p, fmt.Errorf("proposal %s: %w", path, err)
	}
	return p, nil
}

// ParseProposal reads a proposal, formatted freely.
func ParseProposal(text []byte) (p Proposal, err error) {
	if err := credential.ParseStrict(text, &p); err != nil {
		return p, err
	}
	_, err = p.Parse()
	return p, err
}

// Write writes the proposal to a file.
func (p Proposal) Write(path string) error { return writeJSON(path, p) }

// governed are the kinds that governance signs.
var governed = []entry.Kind{
	entry.KindGenesis, entry.KindIssuerRegistered, entry.KindIssuerRotated, entry.KindIssuerSuspended, entry.KindIssuerReinstated,
	entry.KindSchemaPublished, entry.KindVerifierRegistered, entry.KindScopeRegistered, entry.KindVerifyingKeyListed,
}

// Parse is the payload as the type of its kind, validated.
func (p Proposal) Parse() (entry.Payload, error) {
	switch {
	case p.Format != proposalFormat || p.Version != 1:
		return nil, fmt.Errorf("format %q, version %d, want %s, 1", p.Format, p.Version, proposalFormat)
	case !slices.Contains(governed, p.Kind):
		return nil, fmt.Errorf("entries of kind %q are not governance's to sign", p.Kind)
	case (p.Kind == entry.KindGenesis) != p.Genesis.IsZero() || p.Genesis.IsZero() && p.Sequence != 0:
		return nil, errors.New("only a genesis entry, number 0, is of no chain yet")
	}
	text, err := credential.CanonicalJSON(p.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return entry.ParsePayload(p.Kind, text)
}

// Digest is the SHA-256 of what is signed, but for the keys: members compare it by another way before they sign.
func (p Proposal) Digest() (credential.Digest, error) {
	payload, err := p.Parse()
	if err != nil {
		return credential.Digest{}, err
	}
	text, err := credential.Canonical(map[string]any{"genesis": p.Genesis, "kind": p.Kind, "payload": payload, "seq": p.Sequence, "signer": entry.Governance})
	return credential.DigestOf(text), err
}

// Sign is one member's signature: an entry with that signature alone. genesis is what governs: the chain's genesis as the
// member keeps it, or nil if the proposal is a genesis itself. A proposal for another chain, and a key that does not
// govern the chain, are refused.
func (p Proposal) Sign(key *jose.SigningKey, genesis *entry.Entry) (*entry.Entry, error) {
	payload, err := p.Parse()
	if err != nil {
		return nil, fmt.Errorf("sign proposal: %w", err)
	}
	g, ok := payload.(entry.Genesis)
	if !ok {
		if g, err = p.chain(genesis); err != nil {
			return nil, fmt.Errorf("sign proposal: %w", err)
		}
	}
	if !slices.Contains(g.GovernanceKeys, key.Public()) {
		return nil, fmt.Errorf("sign proposal: your key %s is not one of the %d governance keys of %s", key.Public().KeyID(), len(g.GovernanceKeys), g.Network)
	}
	if listed, ok := payload.(entry.VerifyingKeyListed); ok {
		if err := listed.Key.ValidateOn(g); err != nil {
			return nil, fmt.Errorf("sign proposal: %w", err)
		}
	}
	return entry.Sign(entry.Draft{Genesis: p.Genesis, Signer: entry.Governance, Sequence: p.Sequence, Payload: payload}, key)
}

// chain is the genesis of the chain that the proposal is for.
func (p Proposal) chain(genesis *entry.Entry) (entry.Genesis, error) {
	if genesis == nil {
		return entry.Genesis{}, errors.New("the chain's genesis is needed, to see that the proposal is for that chain")
	}
	if genesis.Digest() != p.Genesis {
		return entry.Genesis{}, fmt.Errorf("it is for the chain %s, your genesis is of %s", p.Genesis, genesis.Digest())
	}
	payload, err := genesis.ParsePayload()
	if err != nil {
		return entry.Genesis{}, err
	}
	g, ok := payload.(entry.Genesis)
	if !ok {
		return entry.Genesis{}, fmt.Errorf("the entry that should be the genesis is of the kind %s", genesis.Header().Kind)
	}
	return g, nil
}

// ReadEntry reads a signed entry from a file.
func ReadEntry(path string) (*entry.Entry, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("signed entry: %w", err)
	}
	e, err := entry.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("signed entry %s: %w", path, err)
	}
	return e, nil
}

// ReadSigned reads what members signed apart and puts the signatures together.
func ReadSigned(paths ...string) (*entry.Entry, error) {
	var parts []*entry.Entry
	for _, path := range paths {
		e, err := ReadEntry(path)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	return entry.Merge(parts...)
}

// WriteEntry writes a signed entry to a file: its canonical bytes and nothing else.
func WriteEntry(path string, e *entry.Entry) error { return keystore.WriteFile(path, e.Bytes()) }

// Reader is the chain as proposals are made and submitted; [*client.Client] is one.
type Reader interface {
	Update(ctx context.Context) (*client.View, error)
	NextSequence(ctx context.Context, signer string) (uint64, error)
	Submit(ctx context.Context, e *entry.Entry) (entry.Receipt, error)
	Await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error)
}

// Submit hands a signed entry of governance to the ledger and waits until it is in effect.
func Submit(ctx context.Context, chain Reader, e *entry.Entry) (entry.Receipt, error) {
	if e.Header().Kind == entry.KindGenesis {
		return entry.Receipt{}, errors.New("submit: a genesis founds a chain and is not submitted to one: bulla ledger init takes it")
	}
	receipt, err := chain.Submit(ctx, e)
	if err != nil {
		return receipt, err
	}
	return chain.Await(ctx, receipt.Index, entry.LevelSealed)
}

// OpenChain is a reader of the chain with a profile. memory remembers the last checkpoint seen; empty: nothing is
// remembered.
func OpenChain(profile, memory string) (*client.Client, client.Profile, error) {
	p, err := client.ReadProfile(profile)
	if err != nil {
		return nil, p, err
	}
	cfg := p.Config()
	if memory != "" {
		if cfg.Memory, err = memoryFile(memory); err != nil {
			return nil, p, err
		}
	}
	c, err := client.New(cfg)
	return c, p, err
}
