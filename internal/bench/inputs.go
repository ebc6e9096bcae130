package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
)

// The crowd that figures are measured in.
const (
	crowd    = 100_000 // live leaves of the active tree
	ownIndex = 54_321
	agency   = "did:web:civil.example"
	service  = "did:web:city.example"
	register = "urn:bulla:register:residents"
)

// inputs are the inputs of all circuits: a resident of one of four districts for two years, asked once per person; for the
// small circuit, of one district.
type inputs struct {
	Presentation        presentation.Public
	PresentationPrivate presentation.Private
	Small               presentation.Public
	SmallPrivate        presentation.Private
	Enrolment           enrolment.Public
	EnrolmentPrivate    enrolment.Private
}

// newInputs does once what issuer, verifier and wallet do together.
func newInputs() (*inputs, error) {
	now := time.Now().UTC()
	schema := divisions.ResidenceSchema(register)
	compiled, err := compile(schema, now, "", policy.Clause{Claim: "district", In: []string{"110101", "110102", "110105", "110108"}})
	if err != nil {
		return nil, err
	}
	small, err := compile(schema, now, circuits.PresentationSmall, policy.Clause{Claim: "district", Equals: "110105"})
	if err != nil {
		return nil, err
	}
	claims, err := schema.Encode(credential.Claims{"district": "110105", "city": "北京市", "province": "北京市", "since": "2015-03-01"})
	if err != nil {
		return nil, err
	}
	today := now.Truncate(24 * time.Hour)
	private := presentation.Private{
		Master: credential.Secret{Element: credential.RandomElement()}, Blinding: credential.Secret{Element: credential.RandomElement()},
		Claims: claims, Issuer: credential.IssuerID(agency),
		Envelope: credential.Envelope{
			ValidFrom: credential.EncodeTime(today), ValidUntil: credential.EncodeTime(today.AddDate(1, 0, 0)),
			Salt: credential.Secret{Element: credential.Random31()},
		},
	}
	active, err := newActiveTree(private.Leaf(compiled.Schema))
	if err != nil {
		return nil, err
	}
	if private.ActivePath, _, err = tree.ActivePath(active.tile, active.root, ownIndex); err != nil {
		return nil, err
	}
	if private.IssuerPath, err = compiled.Issuers.Path(private.Issuer); err != nil {
		return nil, err
	}
	if private.SetPaths[0], err = compiled.Sets[0].Path(claims[0]); err != nil {
		return nil, err
	}
	smaller := private
	smaller.SetPaths[0] = tree.Path{}
	if smaller.IssuerPath, err = small.Issuers.Path(private.Issuer); err != nil {
		return nil, err
	}
	in := &inputs{
		Presentation: answer(compiled, active.root, &private), PresentationPrivate: private,
		Small: answer(small, active.root, &smaller), SmallPrivate: smaller,
	}
	in.EnrolmentPrivate = enrolment.Private{Master: private.Master, Blinding: private.Blinding}
	in.Enrolment = enrolment.Public{
		HolderCommitment: credential.HolderCommitment(private.Master, private.Blinding), RegisterScope: credential.EnrolmentScope(register),
		Pseudonym: credential.Pseudonym(private.Master, credential.EnrolmentScope(register)), Challenge: credential.Random31(),
	}
	return in, nil
}

// compile makes public inputs of a policy with one more clause, as verifier and wallet do.
func compile(schema *credential.Schema, now time.Time, circuit string, clause policy.Clause) (*policy.Compiled, error) {
	id, err := schema.ID()
	if err != nil {
		return nil, err
	}
	p := policy.Policy{
		Version: 1, ID: "bench", Verifier: service, Name: credential.Text{English: "Bench"}, Purpose: credential.Text{English: "Bench"},
		RetentionDays: 1, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "residence", Circuit: circuit, Schema: id, Issuers: []string{agency}, Clauses: []policy.Clause{
			clause, {Claim: "since", AtLeastAgo: "P2Y"},
		}, Scope: &policy.Scope{Service: "bench", Once: true}}},
	}
	statements, err := p.Resolve(now, func(credential.Element) (*credential.Schema, error) { return schema, nil })
	if err != nil {
		return nil, err
	}
	return statements[0].Compile(policy.Context{Schema: schema, Issuers: []string{agency}})
}

// answer adds what only the wallet knows.
func answer(compiled *policy.Compiled, root credential.Element, private *presentation.Private) presentation.Public {
	public := presentation.NewPublic(compiled, root, credential.Random31())
	public.N = credential.Random31()
	public.Link = credential.Link(private.Master, public.Challenge, public.N)
	public.Item = credential.Item(private.Blinding, public.Challenge, public.N)
	public.Pseudonym = credential.Pseudonym(private.Master, public.Scope)
	return public
}

// assign fills a circuit and lists its public inputs.
func (in *inputs) assign(circuit string) (frontend.Circuit, []credential.Element, error) {
	switch circuit {
	case circuits.Presentation:
		c, err := presentation.Assign(in.Presentation, in.PresentationPrivate)
		return c, in.Presentation.Vector(), err
	case circuits.PresentationSmall:
		c, err := presentation.Assign(in.Small, in.SmallPrivate)
		return c, in.Small.Vector(), err
	case circuits.Enrolment:
		return enrolment.Assign(in.Enrolment, in.EnrolmentPrivate), in.Enrolment.Vector(), nil
	}
	return nil, nil, fmt.Errorf("no inputs for the circuit %q", circuit)
}

// prove proves as wallets do, with the check by the twin before it.
func (in *inputs) prove(ctx context.Context, prover *proving.Prover) ([]byte, error) {
	switch prover.Circuit().Name {
	case circuits.Enrolment:
		return prover.ProveEnrolment(ctx, in.Enrolment, in.EnrolmentPrivate)
	case circuits.PresentationSmall:
		return prover.ProvePresentation(ctx, in.Small, in.SmallPrivate)
	}
	return prover.ProvePresentation(ctx, in.Presentation, in.PresentationPrivate)
}

// activeTree is an active tree in memory.
type activeTree struct {
	root  credential.Element
	tiles map[credential.Element][]byte
}

// newActiveTree has a crowd of live leaves, and own at ownIndex.
func newActiveTree(own credential.Element) (*activeTree, error) {
	leaves := make(map[uint64]credential.Element, crowd)
	for i := range uint64(crowd) {
		leaves[i] = credential.F("bench leaf", binary.BigEndian.AppendUint64(nil, i))
	}
	leaves[ownIndex] = own
	update, err := tree.UpdateActive(noTiles, tree.EmptyRoots[credential.ActiveDepth], leaves)
	return &activeTree{update.Root, update.Tiles}, err
}

func noTiles(int, credential.Element) ([]byte, error) {
	return nil, errors.New("there are no tiles yet")
}

func (a *activeTree) tile(_ int, name credential.Element) ([]byte, error) {
	data, ok := a.tiles[name]
	if !ok {
		return nil, fmt.Errorf("there is no tile %s", name)
	}
	return data, nil
}
