package wallet

import (
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	EventReceived  EventKind = "received"
	EventPresented EventKind = "presented"
	EventRefused   EventKind = "refused"
)

// Outcome is what became of it.
type Outcome string

// The outcomes.
const (
	OutcomeSent     Outcome = "sent"     // or about to be: what came of it was not written down
	OutcomeDone     Outcome = "done"     // the other side took it
	OutcomeRejected Outcome = "rejected" // the other side refused it
	OutcomeUnknown  Outcome = "unknown"  // the network failed: it may have arrived
)

// Event is a line of the wallet's history.
type Event struct {
	ID          string              `json:"id,omitempty"`
	At          credential.UnixTime `json:"at"`
	Kind        EventKind           `json:"kind"`
	Party       string              `json:"party"` // DID of the issuer or verifier
	Name        credential.Text     `json:"name"`
	Policy      string              `json:"policy,omitempty"`
	Purpose     credential.Text     `json:"purpose"`
	Credentials []string            `json:"credentials,omitempty"` // ids, in the order of the queries
	Facts       []credential.Text   `json:"facts,omitempty"`       // what was proven or asked
	Shown       []credential.Text   `json:"shown,omitempty"`       // what was or would have been shown beside
	Outcome     Outcome             `json:"outcome"`
	Remote      string              `json:"remote,omitempty"` // why the other side refused: its code
}

// History is what was received, shown and refused, oldest first.
func (w *Wallet) History() []Event {
	doc, err := w.vault.read().clone()
	if err != nil {
		return nil // it was encoded when it was saved
	}
	return doc.Events
}

// event is the line of history for a request.
func (r *Request) event(kind EventKind, chosen []*Credential, now time.Time) (*Event, error) {
	e := &Event{
		At: credential.UnixTimeOf(now), Kind: kind, Party: r.verifier.DID, Name: r.verifier.Name, Policy: r.policy.ID,
		Purpose: r.policy.Purpose, Outcome: OutcomeSent,
	}
	for _, c := range chosen {
		e.Credentials = append(e.Credentials, c.ID)
	}
	for i := range r.queries {
		english, err := r.explainQuery(&r.queries[i], "en")
		if err != nil {
			return nil, err
		}
		chinese, err := r.explainQuery(&r.queries[i], "zh-CN")
		if err != nil {
			return nil, err
		}
		e.Facts = append(e.Facts, paired(english.Facts, chinese.Facts)...)
		e.Shown = append(e.Shown, paired(english.Shown, chinese.Shown)...)
	}
	return e, nil
}

func paired(english, chinese []string) []credential.Text {
	texts := make([]credential.Text, 0, len(english))
	for i := range english {
		texts = append(texts, credential.Text{English: english[i], Chinese: chinese[i]})
	}
	return texts
}

// revealed is something that a verifier has learned: that one of the clauses holds for a credential, the claim's value
// being an equality; or a pseudonym or subject tag.
type revealed struct {
	Verifier   string              `json:"verifier"`
	Schema     credential.Element  `json:"schema"`
	Credential string              `json:"credential"`
	Clauses    []policy.Clause     `json:"clauses,omitempty"`
	Tag        string              `json:"tag,omitempty"` // service or shared scope
	Subject    bool                `json:"subject,omitempty"`
	At         credential.UnixTime `json:"at"`
}

// reveals lists what an answer with a credential tells the verifier.
func (q *query) reveals(verifier string, c *Credential, at credential.UnixTime) []revealed {
	base := revealed{Verifier: verifier, Schema: q.statement.Schema, Credential: c.ID, At: at}
	var out []revealed
	add := func(clauses ...policy.Clause) {
		if len(clauses) > 0 {
			r := base
			r.Clauses = clauses
			out = append(out, r)
		}
	}
	var either []policy.Clause
	for _, clause := range q.statement.Clauses {
		if clause.AnyOf {
			either = append(either, clause)
			continue
		}
		add(clause)
	}
	add(either...)
	for _, name := range q.statement.Disclose {
		if value, present := c.Issued.Claims[name]; present {
			add(policy.Clause{Claim: name, Equals: value})
		}
	}
	for _, scope := range []*policy.Scope{q.statement.Scope, q.statement.SubjectScope} {
		if scope != nil {
			r := base
			r.Tag, r.Subject = scopeName(scope), scope == q.statement.SubjectScope
			out = append(out, r)
		}
	}
	return out
}

// reveal adds what an answer tells beyond what the verifier knows already.
func (d *document) reveal(r *Request, chosen []*Credential, at credential.UnixTime) {
	sets := either(r.sets, d.keptSets())
	for i, c := range chosen {
		for _, fact := range r.queries[i].reveals(r.verifier.DID, c, at) {
			if !d.knows(&c.Issued.Schema, sets, &fact) {
				d.Revealed = appendBounded(d.Revealed, maxRevealed, fact)
			}
		}
	}
	d.keepSets(sets)
}

// knows tells whether the verifier can conclude a fact from one that it learned before, of the same credential.
func (d *document) knows(schema *credential.Schema, sets policy.Sets, fact *revealed) bool {
	return slices.ContainsFunc(d.Revealed, func(e revealed) bool {
		if e.Verifier != fact.Verifier || e.Schema != fact.Schema || e.Credential != fact.Credential || len(e.Clauses) == 0 != (len(fact.Clauses) == 0) {
			return false
		}
		if len(fact.Clauses) == 0 {
			return e.Tag == fact.Tag && e.Subject == fact.Subject
		}
		// One of e's clauses holds. If each of them implies one of the fact's, the fact is known.
		for i := range e.Clauses {
			if !slices.ContainsFunc(fact.Clauses, func(c policy.Clause) bool { return implies(schema, sets, e.Clauses[i], c) }) {
				return false
			}
		}
		return true
	})
}

// implies tells whether a clause that holds makes another one hold. It may say no where it should say yes: then a person
// is told twice.
func implies(schema *credential.Schema, sets policy.Sets, known, asked policy.Clause) bool {
	slot, ok := schema.Slot(asked.Claim)
	if !ok || known.Claim != asked.Claim {
		return false
	}
	claim := schema.Claims[slot]
	if asked.Present {
		return true // every clause says that the claim is there
	}
	if known.Not || known.Present {
		return known.Not && asked.Not && sameCondition(known, asked)
	}
	if !known.InSet.IsZero() && known.InSet == asked.InSet {
		return true // also where the set is no longer kept
	}
	values, isSet := valuesOf(sets, known)
	if isSet && !asked.Not {
		if accepted, ok := valuesOf(sets, asked); ok {
			return containsAll(accepted, values)
		}
	}
	if isSet && asked.Not && asked.Equals != nil {
		return !slices.Contains(values, asked.Equals)
	}
	low, high, ok := interval(claim, known)
	askedLow, askedHigh, askedOK := interval(claim, asked)
	if !ok || !askedOK {
		return false
	}
	if asked.Not {
		return high < askedLow || low > askedHigh
	}
	return askedLow <= low && high <= askedHigh
}

// containsAll tells whether all values are in a list. Both may have thousands.
func containsAll(list, values []any) bool {
	in := make(map[any]bool, len(list))
	for _, v := range list {
		in[v] = true
	}
	return !slices.ContainsFunc(values, func(v any) bool { return !in[v] })
}

func sameCondition(a, b policy.Clause) bool {
	aValues, aSet := valuesOf(nil, a) // negated: no sets by reference
	bValues, bSet := valuesOf(nil, b)
	return a.AtLeast == b.AtLeast && a.AtMost == b.AtMost && aSet == bSet && slices.Equal(aValues, bValues)
}

// valuesOf are the values that a clause on single values admits; false for other clauses, and where the set that it names
// is not at hand.
func valuesOf(sets policy.Sets, c policy.Clause) ([]any, bool) {
	if c.Equals != nil {
		return []any{c.Equals}, true
	}
	list, err := c.Values(sets)
	if err != nil {
		return nil, false
	}
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = v
	}
	return values, len(values) > 0
}

// interval is the range of encoded numbers that a clause admits.
func interval(claim credential.ClaimType, c policy.Clause) (low, high uint64, ok bool) {
	if !claim.Type.Ordered() || len(c.In) > 0 || !c.InSet.IsZero() || c.Present {
		return 0, 0, false
	}
	low, high = 1, 1<<64-1
	lowText, highText := c.AtLeast, c.AtMost
	if value, isText := c.Equals.(string); isText {
		lowText, highText = value, value
	}
	var err error
	if lowText != "" {
		if low, err = claim.Number(lowText); err != nil {
			return 0, 0, false
		}
	}
	if highText != "" {
		if high, err = claim.Number(highText); err != nil {
			return 0, 0, false
		}
	}
	return low, high, lowText != "" || highText != ""
}
