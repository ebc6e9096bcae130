package adversary

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
)

// Attempt is a presentation that may be a lie: every field can be replaced before [Adversary.Prove].
type Attempt struct {
	Statement  policy.Statement
	Sets       policy.Sets   // that the statement names; nil where it names none
	System     openid.System // its VerifyingKey chooses the prover
	Challenge  credential.Element
	N          credential.Element // 31 random bytes; the same for all of an honest response
	Master     credential.Secret
	Credential *wallet.Credential
	// Seal gives root and registry. The zero value: the newest.
	Seal client.SealAt
	// Path replaces the path that the chain has under Seal's root, and Root the root.
	Path *tree.Path
	Root *credential.Element
	// Issuers replaces those in good standing at Seal. They must be among the Statement's, which can be replaced too.
	Issuers []string
	// Change may alter all inputs last.
	Change func(*presentation.Public, *presentation.Private)
}

// Attempt begins as an honest answer to one query of the request.
func (r *Request) Attempt(query int, master credential.Secret, c *wallet.Credential) (*Attempt, error) {
	if query < 0 || query >= len(r.Object.Query.Credentials) || len(r.Object.Query.Credentials[query].Meta.Systems) != 1 {
		return nil, fmt.Errorf("the request has no query %d with one proof system", query)
	}
	challenge, err := r.Challenge()
	if err != nil {
		return nil, err
	}
	meta := r.Object.Query.Credentials[query].Meta
	return &Attempt{
		Statement: meta.Statement, System: meta.Systems[0], Challenge: challenge, N: credential.Random31(), Master: master, Credential: c,
	}, nil
}

// Prove makes the presentation, or fails as [IsCircuitRefusal] says if there is no proof.
func (a *Adversary) Prove(ctx context.Context, t *Attempt) (openid.Presentation, error) {
	var none openid.Presentation
	public, private, disclosed, err := a.inputs(ctx, t)
	if err != nil {
		return none, fmt.Errorf("forge presentation: %w", err)
	}
	if t.Change != nil {
		t.Change(&public, &private)
	}
	prover, err := a.cfg.Provers(ctx, t.System.Circuit, t.System.VerifyingKey)
	if err != nil {
		return none, fmt.Errorf("forge presentation: %w", err)
	}
	proof, err := prover.ProvePresentation(ctx, public, private)
	if err != nil {
		return none, fmt.Errorf("forge presentation: %w", err)
	}
	p := wallet.NewPresentation(t.System.ID, proof, &public)
	if len(disclosed) > 0 {
		p.Disclosed = disclosed
	}
	return p, nil
}

func (a *Adversary) inputs(ctx context.Context, t *Attempt) (public presentation.Public, private presentation.Private, disclosed credential.Claims, err error) {
	seal := t.Seal
	if seal.Seal.Time == 0 {
		if seal, err = a.Newest(ctx); err != nil {
			return public, private, nil, err
		}
	}
	registry, err := a.cfg.Chain.RegistryAt(ctx, seal.Seal)
	if err != nil {
		return public, private, nil, err
	}
	issuers := t.Issuers
	if issuers == nil {
		accepted, err := t.Statement.Accepted(t.Sets)
		if err != nil {
			return public, private, nil, err
		}
		if issuers, err = registry.InGoodStanding(t.Statement.Schema, accepted); err != nil {
			return public, private, nil, err
		}
	}
	disclosed = credential.Claims{}
	for _, name := range t.Statement.Disclose {
		if value, present := t.Credential.Issued.Claims[name]; present {
			disclosed[name] = value
		}
	}
	registered, ok := registry.Schema(t.Statement.Schema)
	if !ok {
		return public, private, nil, fmt.Errorf("schema %s is not on the chain", t.Statement.Schema)
	}
	compiled, err := t.Statement.Compile(policy.Context{
		Genesis: t.Credential.Issued.Genesis, Schema: &registered.Schema, Sets: t.Sets, Issuers: issuers, Disclosed: disclosed,
	})
	if err != nil {
		return public, private, nil, err
	}
	path, root, err := a.path(ctx, t, seal)
	if err != nil {
		return public, private, nil, err
	}
	public, private, err = wallet.Inputs(t.Master, t.Credential, compiled, root, t.Challenge, t.N, path)
	return public, private, disclosed, err
}

// path is that of the chain, which leads nowhere for a leaf that is not live, or the one to be used instead.
func (a *Adversary) path(ctx context.Context, t *Attempt, seal client.SealAt) (path tree.Path, root credential.Element, err error) {
	root = seal.Seal.ActiveRoot
	if t.Path != nil {
		path = *t.Path
	} else {
		group, err := a.cfg.Chain.Group(ctx, root, t.Credential.Issued.Leaf)
		if err != nil {
			return path, root, err
		}
		if path, _, err = group.Path(t.Credential.Issued.Leaf); err != nil {
			return path, root, err
		}
	}
	if t.Root != nil {
		root = *t.Root
	}
	return path, root, nil
}

// TamperProof is the presentation with another proof: its first point mirrored, so that every point is still one.
func TamperProof(p openid.Presentation) (openid.Presentation, error) {
	proof, err := credential.ParseBase64(p.Proof, openid.ProofSize)
	if err != nil {
		return p, err
	}
	proof[0] ^= 0x40 // which of the two y a compressed point means
	p.Proof = openid.EncodeBytes(proof)
	return p, nil
}

// Rerandomise is the presentation with its proof in other bytes, which anybody can write who has seen it, and which proves
// the same: A times 2, B times 1/2.
func Rerandomise(p openid.Presentation) (openid.Presentation, error) {
	proof, err := credential.ParseBase64(p.Proof, openid.ProofSize)
	if err != nil {
		return p, err
	}
	var a bn254.G1Affine
	var b bn254.G2Affine
	if _, err := a.SetBytes(proof[:bn254.SizeOfG1AffineCompressed]); err != nil {
		return p, err
	}
	rest := proof[bn254.SizeOfG1AffineCompressed:]
	if _, err := b.SetBytes(rest[:bn254.SizeOfG2AffineCompressed]); err != nil {
		return p, err
	}
	var half fr.Element
	half.SetUint64(2)
	half.Inverse(&half)
	a.Double(&a)
	b.ScalarMultiplication(&b, half.BigInt(new(big.Int)))
	first, second := a.Bytes(), b.Bytes()
	p.Proof = openid.EncodeBytes(slices.Concat(first[:], second[:], rest[bn254.SizeOfG2AffineCompressed:]))
	return p, nil
}

// PlusModulus is a second spelling of an element, as text: its value plus the field's modulus.
func PlusModulus(e credential.Element) string {
	var bytes [credential.ElementSize]byte
	new(big.Int).Add(e.BigInt(), fr.Modulus()).FillBytes(bytes[:])
	return openid.EncodeBytes(bytes[:])
}

// WithMember is a response of one presentation as text, in which one member of the presentation has any value.
func WithMember(query string, p openid.Presentation, member string, value any) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	members[member] = value
	return encode(map[string]any{query: []any{members}})
}

func encode(token any) (string, error) {
	text, err := json.Marshal(token)
	return string(text), err
}
