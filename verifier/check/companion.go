package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/ledger/entry"
)

// A companion is an ordinary dc+sd-jwt with a key binding, which a policy may accept in place of a proof. Nothing of it stands on the chain
// but who may issue it, and where: signing keys and status list come from the address that is registered there for the issuer. The
// statement's clauses are then computed on the values themselves, by the circuit's twin in plain Go.

// Companions is what companions are checked with. Whoever answers for it can make us accept credentials that nobody issued, or that were
// revoked.
type Companions interface {
	// Newest is the newest seal, with the registry in effect at it.
	Newest(ctx context.Context) (Sealed, error)
	// Key is the key with that id that the issuer at an address publishes now, or [ErrNotPublished]; any other error means that nobody
	// could look.
	Key(ctx context.Context, issuer, keyID string) (jose.PublicKey, error)
	// Status is what the issuer's list says now: signed by a key that it publishes, and not past its end. It is [ErrNotPublished] where
	// there is no such list or place, or not below the issuer's address; any other error means that nobody could look.
	Status(ctx context.Context, issuer string, at statuslist.Reference) (Standing, error)
}

// Standing is the status of a companion.
type Standing struct {
	Status statuslist.Status
	Delay  time.Duration // the longest that a change may have been without effect here
}

// ErrNotPublished is returned for keys and statuses that an issuer does not publish.
var ErrNotPublished = errors.New("the issuer publishes no such thing")

// Shown is what a companion shows beyond what a proof would.
type Shown struct {
	Issuer string        // DID
	Claims []string      // those whose values were seen, in the schema's order
	Delay  time.Duration // of [Standing]
}

// companionSkew is how far the clocks of issuers and wallets may be ahead of ours.
const companionSkew = time.Minute

// verifyCompanion checks a companion that answers the one query of a request.
func (c *Checker) verifyCompanion(ctx context.Context, asked *Asked, text string, now time.Time) ([]Fact, error) {
	s := &asked.Request.Query.Credentials[0].Meta.Statement
	if c.Companions == nil {
		return nil, Refuse(CompanionNotHere, s.Query, nil)
	}
	seal, err := c.Companions.Newest(ctx)
	if err != nil {
		return nil, fmt.Errorf("query %q: find the newest seal: %w", s.Query, err)
	}
	if age := now.Sub(seal.Time); age > time.Duration(s.FreshnessSeconds)*time.Second {
		return nil, fmt.Errorf("query %q: the newest seal is %s old: who may issue is not known", s.Query, age)
	}
	fact, err := c.accepting(s, seal)
	if err != nil {
		return nil, err
	}
	got, err := c.verifyIssued(ctx, asked, fact, text, now)
	if err != nil {
		return nil, err
	}
	if err := fact.take(got.Claims); err != nil {
		return nil, err
	}
	if err := c.meets(asked, fact); err != nil {
		return nil, err
	}
	standing, err := c.Companions.Status(ctx, got.Issuer, *got.Status)
	switch {
	case errors.Is(err, ErrNotPublished):
		return nil, Refuse(CompanionInvalid, s.Query, err)
	case err != nil:
		return nil, fmt.Errorf("query %q: look up the companion's status: %w", s.Query, err)
	case standing.Status != statuslist.Valid:
		return nil, Refuse(CompanionInvalid, s.Query, nil)
	}
	fact.Companion.Delay = standing.Delay
	fact.values = nil
	return []Fact{fact.Fact}, nil
}

// companionFact is a fact in the making.
type companionFact struct {
	Fact
	values credential.Claims // that the companion shows
}

// accepting is what is known before the companion is read: whom the statement accepts at the seal.
func (c *Checker) accepting(s *policy.Statement, seal Sealed) (*companionFact, error) {
	schema, ok := seal.Registry.Schema(s.Schema)
	if !ok {
		return nil, Refuse(IssuerSet, s.Query, nil)
	}
	accepted, err := s.Accepted(c.Sets)
	if err != nil { // we asked with it, so this is our failure
		return nil, err
	}
	good, err := seal.Registry.InGoodStanding(s.Schema, accepted)
	if err != nil {
		return nil, Refuse(IssuerSet, s.Query, err)
	}
	return &companionFact{Fact: Fact{Statement: s, Schema: &schema.Schema, Sets: c.Sets, Issuers: good, Seal: seal}}, nil
}

// errNotAccepted is returned where the issuer of a companion is none that the statement accepts.
var errNotAccepted = errors.New("the companion is by no issuer that is accepted")

// verifyIssued checks all that a companion says of itself: who signed it, its type and times, and the key binding to this request.
func (c *Checker) verifyIssued(ctx context.Context, asked *Asked, fact *companionFact, text string, now time.Time) (*sdjwt.Credential, error) {
	query := fact.Statement.Query
	var down error
	got, err := sdjwt.Verify(text, sdjwt.Expected{
		Types: []string{fact.Schema.Type}, Now: now, Skew: companionSkew,
		Binding: &sdjwt.Challenge{Audience: asked.Request.ClientID, Nonce: asked.Request.Nonce},
		Keys: func(issuer, keyID string) (jose.PublicKey, error) {
			did, ok := issuerAt(fact.Seal.Registry, fact.Issuers, issuer)
			if !ok {
				return jose.PublicKey{}, errNotAccepted
			}
			fact.Companion = &Shown{Issuer: did}
			key, err := c.Companions.Key(ctx, issuer, keyID)
			if err != nil && !errors.Is(err, ErrNotPublished) {
				down = err
			}
			return key, err
		},
	})
	switch {
	case down != nil:
		return nil, fmt.Errorf("query %q: look up the issuer's key: %w", query, down)
	case err != nil:
		return nil, Refuse(codeOfCompanion(err), query, err)
	case got.Status == nil || got.ExpiresAt == 0: // nobody could revoke it, or it would be good for ever
		return nil, Refuse(CompanionInvalid, query, nil)
	}
	fact.Issuers = []string{fact.Companion.Issuer}
	return got, nil
}

// issuerAt is the accepted issuer with that registered address. Where several have one address nobody can say whose keys are there.
func issuerAt(registry *entry.Registry, good []string, address string) (did string, ok bool) {
	for _, issuer := range registry.Issuers {
		if issuer.URL != address {
			continue
		}
		if did != "" {
			return "", false
		}
		did = issuer.DID
	}
	return did, did != "" && slices.Contains(good, did)
}

func codeOfCompanion(err error) Code {
	switch {
	case errors.Is(err, sdjwt.ErrBinding):
		return CompanionBinding
	case errors.Is(err, errNotAccepted), errors.Is(err, ErrNotPublished), errors.Is(err, jose.ErrSignature):
		return CompanionIssuer
	case errors.Is(err, sdjwt.ErrUnexpected), errors.Is(err, sdjwt.ErrTime):
		return CompanionInvalid
	}
	return CompanionMalformed
}

// take reads the values that were shown: no others than the statement needs, and all that it wants to see. A claim of a condition may be
// missing, which is then not met.
func (f *companionFact) take(shown sdjwt.Claims) error {
	s := f.Statement
	needed := s.CompanionClaims()
	for name := range shown {
		if !slices.Contains(needed, name) {
			return Refuse(CompanionExcess, s.Query, nil)
		}
	}
	f.values, f.Disclosed = credential.Claims{}, credential.Claims{}
	for _, c := range f.Schema.Claims {
		value, there := shown[c.Name]
		if !there {
			continue
		}
		text, ok := valueOf(c, value)
		if !ok {
			return Refuse(CompanionMalformed, s.Query, nil)
		}
		f.values[c.Name] = text
		f.Companion.Claims = append(f.Companion.Claims, c.Name)
		if slices.Contains(s.Disclose, c.Name) {
			f.Disclosed[c.Name] = text
		}
	}
	if err := validateDisclosed(s, f.Schema, f.Disclosed); err != nil {
		return Refuse(DisclosureMismatch, s.Query, err)
	}
	return nil
}

// valueOf is a companion's value as our credentials write it: doc/spec/sdjwt.md, "Content".
func valueOf(c credential.ClaimType, value any) (any, bool) {
	if number, isNumber := value.(json.Number); isNumber {
		if c.Type != credential.Integer || c.Scale != 0 {
			return nil, false
		}
		value = number.String()
	} else if c.Type == credential.Integer && c.Scale == 0 {
		return nil, false
	}
	_, err := c.Encode(value)
	return value, err == nil
}

// meets computes the clauses on the values.
func (c *Checker) meets(asked *Asked, f *companionFact) error {
	s := f.Statement
	compiled, err := s.Compile(policy.Context{
		Genesis: asked.Genesis, Schema: f.Schema, Sets: c.Sets, Trees: c.Trees, Issuers: f.Issuers, Disclosed: f.Disclosed,
	})
	if err != nil { // we asked for it, so this is our failure
		return fmt.Errorf("compile what was asked: %w", err)
	}
	var private presentation.Private
	for name, value := range f.values {
		slot, _ := f.Schema.Slot(name)
		if private.Claims[slot], err = f.Schema.Claims[slot].Encode(value); err != nil {
			return fmt.Errorf("encode claim %q again", name)
		}
	}
	for i, set := range compiled.Sets {
		if set == nil {
			continue
		}
		path, err := set.Path(private.Claims[compiled.Clauses.Memberships[i].Slot])
		if err != nil {
			path = set.AnyPath() // the clause is false
		}
		private.SetPaths[i] = path
	}
	public := presentation.Public{Shape: compiled.Shape, Clauses: compiled.Clauses}
	if presentation.ClausesHold(&public, &private) != nil { // which one does not is not said
		return Refuse(CompanionUnmet, s.Query, nil)
	}
	return nil
}

// describeCompanion adds to a fact of a result what is different where a companion was shown.
func (f *Fact) describeCompanion(out *ResultFact) error {
	out.Format, out.Linkable, out.Seen = openid.CompanionFormat, true, f.Companion.Claims
	out.RevocationDelaySeconds = int((f.Companion.Delay + time.Second - 1) / time.Second)
	c := policy.Context{Schema: f.Schema, Sets: f.Sets, Issuers: f.Issuers}
	for _, language := range policy.Languages() {
		name := f.issuerName(language)(f.Companion.Issuer)
		e, err := f.Statement.ExplainCompanion(c, name, f.Companion.Claims, out.RevocationDelaySeconds, language)
		if err != nil {
			return err
		}
		out.Holds[language], out.Learned[language] = e.Facts, e.Shown
	}
	return nil
}
