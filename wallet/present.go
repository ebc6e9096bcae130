package wallet

import (
	"context"
	"errors"
	"slices"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/client"
)

// Inputs are the public and private inputs by which a credential answers a compiled statement under an active root, to
// which path leads. Whether the statement holds is for [presentation.Holds] to say: where the issuer or a claim is not
// in a set, the path is any of that set.
func Inputs(master credential.Secret, c *Credential, compiled *policy.Compiled, root, challenge, n credential.Element, path tree.Path) (presentation.Public, presentation.Private, error) {
	slots, err := c.Issued.Schema.Encode(c.Issued.Claims)
	if err != nil {
		return presentation.Public{}, presentation.Private{}, err
	}
	envelope, err := c.Issued.Envelope()
	if err != nil {
		return presentation.Public{}, presentation.Private{}, err
	}
	public := presentation.NewPublic(compiled, root, challenge)
	public.N = n
	public.Link, public.Item = credential.Link(master, challenge, n), credential.Item(c.Blinding, challenge, n)
	public.Pseudonym = credential.Pseudonym(master, public.Scope)
	public.SubjectTag = credential.SubjectTag(envelope.SubjectKey, public.SubjectScope)
	private := presentation.Private{
		Master: master, Blinding: c.Blinding, Claims: slots, Envelope: envelope,
		Issuer: credential.IssuerID(c.Issued.Issuer), ActivePath: path,
	}
	private.IssuerPath = pathOrAny(compiled.Issuers, private.Issuer)
	for i, set := range compiled.Sets {
		if set != nil {
			private.SetPaths[i] = pathOrAny(set, slots[compiled.Clauses.Memberships[i].Slot])
		}
	}
	return public, private, nil
}

func pathOrAny(set *tree.Set, member credential.Element) tree.Path {
	if p, err := set.Path(member); err == nil {
		return p
	}
	return set.AnyPath()
}

// Candidate is a credential that is of the kind a query asks for, and what stands against it.
type Candidate struct {
	Query      string   `json:"query"`
	Credential Summary  `json:"credential"`
	Refusal    *Refusal `json:"refusal,omitempty"` // nil if it can answer
	// Newer says that it is newer than the newest grid root: it waits, or stands out on a chain without a grid.
	Newer bool `json:"newer,omitempty"`
}

// Candidates says, for each query, which credentials could answer it as of the newest seal, and why others cannot. It
// tells nobody.
func (w *Wallet) Candidates(ctx context.Context, r *Request) ([]Candidate, error) {
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	grid, err := w.newestGridSeal(ctx, view)
	if err != nil {
		return nil, err
	}
	doc, groups := w.vault.read(), newGroups(w, view.At())
	var candidates []Candidate
	for i := range r.queries {
		q := &r.queries[i]
		for j := range doc.Credentials {
			c := &doc.Credentials[j]
			if !q.isOfKind(c) {
				continue
			}
			group, err := groups.of(ctx, c.Issued.Leaf)
			if err != nil {
				return nil, err
			}
			candidate := Candidate{Query: q.statement.Query, Credential: summarize(c, w.issuerName(c.Issued.Issuer))}
			candidate.Credential.GroupLive = group.Live()
			candidate.Newer = grid == nil || grid.Index < c.Issued.Receipt.Index
			if err := q.check(r, doc.Master, c, view, group); err != nil && !errors.As(err, &candidate.Refusal) {
				return nil, err
			}
			candidates = append(candidates, candidate)
		}
	}
	return candidates, nil
}

func (q *query) isOfKind(c *Credential) bool {
	id, err := c.Issued.Schema.ID()
	return err == nil && id == q.statement.Schema
}

// check refuses a credential that cannot answer the query under the root of a view.
func (q *query) check(r *Request, master credential.Secret, c *Credential, view *client.View, group *client.Group) error {
	s := &q.statement
	good := goodIssuers(view.Registry, s.Schema, q.accepted)
	switch {
	case !slices.Contains(q.accepted, c.Issued.Issuer):
		return refuse(CodeWrongIssuer, nil, "query %q does not accept the issuer of credential %s", s.Query, c.ID)
	case !slices.Contains(good, c.Issued.Issuer):
		return refuse(CodeIssuerSuspended, nil, "the issuer of credential %s is not in good standing", c.ID)
	}
	path, found, err := group.Path(c.Issued.Leaf)
	if err != nil {
		return refuse(CodeLedger, err, "path of credential %s", c.ID)
	}
	if _, leaf, err := c.Issued.Commitment(); err != nil || found != leaf {
		return refuse(CodeRevokedOrSuspended, nil, "credential %s is not in the active tree of the newest seal", c.ID)
	}
	if s.SubjectScope != nil && c.Issued.SubjectKey.IsZero() {
		return refuse(CodeNoSubject, nil, "query %q asks for a subject tag, credential %s has no subject key", s.Query, c.ID)
	}
	_, _, err = q.inputs(r, master, c, good, group.Root, credential.Random31(), path)
	return err
}

// inputs compiles the statement for a credential and makes the inputs; it refuses if they do not hold.
func (q *query) inputs(r *Request, master credential.Secret, c *Credential, issuers []string, root, n credential.Element, path tree.Path) (presentation.Public, presentation.Private, error) {
	disclosed, err := q.disclosed(c)
	if err != nil {
		return presentation.Public{}, presentation.Private{}, err
	}
	compiled, err := q.statement.Compile(policy.Context{
		Genesis: r.view.GenesisHash, Schema: &q.schema.Schema, Sets: r.sets, Issuers: issuers, Disclosed: disclosed,
	})
	if err != nil {
		return presentation.Public{}, presentation.Private{}, refuse(CodeUnprovable, err, "query %q", q.statement.Query)
	}
	public, private, err := Inputs(master, c, compiled, root, r.challenge, n, path)
	if err != nil {
		return public, private, refuse(CodeClaims, err, "credential %s", c.ID)
	}
	return public, private, q.explainViolation(presentation.Holds(public, private), c, &public, &private)
}

// disclosed are the values that the verifier asks to see; not nil.
func (q *query) disclosed(c *Credential) (credential.Claims, error) {
	values := credential.Claims{}
	for _, name := range q.statement.Disclose {
		value, present := c.Issued.Claims[name]
		if !present {
			return nil, refuse(CodeClauseFalse, nil, "query %q asks to see %q, which credential %s does not have", q.statement.Query, name, c.ID)
		}
		values[name] = value
	}
	return values, nil
}

// explainViolation turns a violated constraint into a refusal.
func (q *query) explainViolation(err error, c *Credential, public *presentation.Public, private *presentation.Private) error {
	var v *presentation.Violation
	if !errors.As(err, &v) {
		return err
	}
	code := CodeProof
	switch v.Constraint {
	case "P1":
		code = CodeRevokedOrSuspended
	case "P2":
		code = CodeWrongIssuer
	case "P3":
		code = CodeExpired
		if public.Now < private.Envelope.ValidFrom {
			code = CodeNotYetValid
		}
	case "P4":
		code = CodeClauseFalse
	case "P7":
		code = CodeNoSubject
	}
	return refuse(code, v, "query %q, credential %s", q.statement.Query, c.ID)
}

// Choice says which credential, by id, answers which query.
type Choice map[string]string

// DefaultChoice gives each query the first credential that can answer it, none twice. If there is no such choice it says
// why, with the code of the candidate that came nearest.
func (r *Request) DefaultChoice(candidates []Candidate) (Choice, error) {
	choice := Choice{}
	if r.choose(candidates, choice, 0) {
		return choice, nil
	}
	for _, id := range r.Queries() {
		able := slices.ContainsFunc(candidates, func(c Candidate) bool { return c.Query == id && c.Refusal == nil })
		if able {
			continue
		}
		for _, c := range candidates {
			if c.Query == id {
				return nil, c.Refusal
			}
		}
		return nil, refuse(CodeNoCredential, nil, "query %q: there is no credential of its kind", id)
	}
	return nil, refuse(CodeSameCredential, nil, "the queries cannot be answered with a different credential each")
}

// choose fills the choice from the i-th query on, by trying: there are at most four queries.
func (r *Request) choose(candidates []Candidate, choice Choice, i int) bool {
	if i == len(r.queries) {
		return true
	}
	id := r.queries[i].statement.Query
	for _, c := range candidates {
		if c.Query != id || c.Refusal != nil || choice.uses(c.Credential.ID) {
			continue
		}
		choice[id] = c.Credential.ID
		if r.choose(candidates, choice, i+1) {
			return true
		}
		delete(choice, id)
	}
	return false
}

func (c Choice) uses(credentialID string) bool {
	for _, id := range c {
		if id == credentialID {
			return true
		}
	}
	return false
}
