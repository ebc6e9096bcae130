package wallet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// SmallCrowd is the number of live credentials below which an answer is said to single somebody out.
const SmallCrowd = 1000

// Explanation is what a person reads before deciding, in one language. Its facts are made from the statements that are
// proven.
type Explanation struct {
	Language   string             `json:"language"`
	Verifier   string             `json:"verifier"`   // name
	DID        string             `json:"did"`        //
	Identified string             `json:"identified"` // how we know who asks, and where the answer goes
	Policy     string             `json:"policy"`     // name of what is asked
	About      []string           `json:"about"`      // purpose, retention
	Queries    []QueryExplanation `json:"queries"`
	Before     []string           `json:"before"`     // what this verifier has learned from us so far
	Adds       []string           `json:"adds"`       // what it learns beyond that
	Linking    []policy.Linking   `json:"linking"`    // by what the answer is recognised at another visit
	Revocation string             `json:"revocation"` // how long a revocation takes here, at worst
	Notices    []string           `json:"notices"`
	Warnings   []string           `json:"warnings"`
}

// QueryExplanation is one credential that is asked for.
type QueryExplanation struct {
	Query  string   `json:"query"`
	Title  string   `json:"title"`
	Facts  []string `json:"facts"`  // what is proven
	Shown  []string `json:"shown"`  // what is seen, what stays hidden, whether visits can be linked
	Unsent []string `json:"unsent"` // titles of claims whose values are not sent and not named by a clause
	// Narrows says what the answer narrows down. Together says that again for the claims of which the verifier knows more with what
	// it learned from this credential before: if it can tell that both were the same person.
	Narrows    []policy.Narrowed `json:"narrows"`
	Together   []policy.Narrowed `json:"together,omitempty"`
	Credential string            `json:"credential,omitempty"` // id of the one that would answer
	Crowd      uint64            `json:"crowd"`                // live credentials of this kind by the accepted issuers
	CrowdText  string            `json:"crowd_text"`
	GroupLive  int               `json:"group_live,omitempty"` // live leaves of the group that the ledger's host sees us fetch
	GroupText  string            `json:"group_text,omitempty"`
	Sets       []SetExplanation  `json:"sets,omitempty"` // that the facts name
}

// Explain puts a request into words ("zh-CN" or "en"), for a choice of credentials; nil leaves out what depends on them.
// It asks nobody.
func (w *Wallet) Explain(r *Request, candidates []Candidate, choice Choice, language string) (*Explanation, error) {
	t := textsIn(language)
	genesis := r.view.Genesis
	e := &Explanation{
		Language: language, Verifier: r.verifier.Name.In(language), DID: r.verifier.DID,
		Identified: r.identified(t, language),
		Policy:     r.policy.Name.In(language), About: r.policy.Explain(language),
		Revocation: fmt.Sprintf(t.revocation, genesis.SealIntervalSeconds+r.policy.FreshnessSeconds),
		Before:     []string{}, Adds: []string{}, Notices: []string{}, Warnings: []string{},
	}
	if genesis.Dev {
		e.Notices = append(e.Notices, fmt.Sprintf(t.dev, genesis.Network))
	}
	if _, ok := r.AtCounter(); ok && r.sets != nil {
		e.Notices = append(e.Notices, t.askedSets)
	}
	doc := w.vault.read()
	for i := range r.queries {
		q := &r.queries[i]
		words, err := r.explainQuery(q, language)
		if err != nil {
			return nil, err
		}
		x := QueryExplanation{Query: q.statement.Query, Title: words.Title, Facts: words.Facts, Shown: words.Shown, Unsent: q.unsent(language), Narrows: words.Narrows}
		if words.Companion != "" && r.counter == nil { // at a counter nobody takes one
			x.Shown = append(x.Shown, words.Companion)
		}
		if x.Sets, err = r.setsOf(q, language); err != nil {
			return nil, refuse(CodeUnprovable, err, "query %q", q.statement.Query)
		}
		x.Crowd = r.view.Census.Live(q.statement.Schema, q.issuers)
		x.CrowdText = fmt.Sprintf(t.crowd, x.Crowd)
		if x.Crowd < SmallCrowd {
			e.Warnings = append(e.Warnings, fmt.Sprintf(t.smallCrowd, x.Title, x.Crowd))
		}
		if id, chosen := choice[q.statement.Query]; chosen {
			e.addCandidate(t, &x, candidates, id)
			if c, ok := doc.credential(id); ok {
				e.addNews(t, doc, r, q, c, language)
				x.Together, err = doc.together(r, q, c, words.Narrowing, language)
				if err != nil {
					return nil, err
				}
			}
		}
		e.Queries = append(e.Queries, x)
	}
	e.addBefore(t, doc, r, language)
	e.addLinking(t, r)
	return e, nil
}

// LinkedByCrowd is what nothing is recognised by but how few could have sent it.
const LinkedByCrowd policy.LinkingKind = "crowd"

// unsent are the titles of claims whose values stay with the holder. One that a clause names outright is known when it holds.
func (q *query) unsent(language string) []string {
	titles := []string{}
	for _, c := range q.schema.Schema.Claims {
		named := slices.Contains(q.statement.Disclose, c.Name) || slices.ContainsFunc(q.statement.Clauses, func(clause policy.Clause) bool {
			return clause.Claim == c.Name && (clause.Equals != nil || len(clause.In) == 1)
		})
		if !named {
			titles = append(titles, c.Title(language))
		}
	}
	return titles
}

// addLinking says by what our proofs are recognised. Companions are other wallets'; and where few could answer, “by nothing” would be too
// much.
func (e *Explanation) addLinking(t *texts, r *Request) {
	var statements []*policy.Statement
	for i := range r.queries {
		statements = append(statements, &r.queries[i].statement)
	}
	crowd := slices.MinFunc(e.Queries, func(a, b QueryExplanation) int { return cmp.Compare(a.Crowd, b.Crowd) }).Crowd
	for _, l := range policy.LinkingOf(statements, e.Language) {
		switch {
		case l.Kind == policy.LinkedByCompanion:
			continue
		case l.Kind == policy.LinkedByNothing && crowd < SmallCrowd:
			l = policy.Linking{Kind: LinkedByCrowd, Text: t.linkedByCrowd}
		}
		e.Linking = append(e.Linking, l)
	}
}

// identified says how we know who asks, and where the answer goes.
func (r *Request) identified(t *texts, language string) string {
	if name, ok := r.AtCounter(); ok {
		return fmt.Sprintf(t.atCounter, r.verifier.Name.In(language), r.verifier.DID, name, r.keyID)
	}
	return fmt.Sprintf(t.identified, r.verifier.Name.In(language), r.verifier.DID, r.keyID, r.object.ResponseURI)
}

// explainQuery is the statement in words.
func (r *Request) explainQuery(q *query, language string) (*policy.QueryPreview, error) {
	name := func(did string) string {
		if issuer, ok := r.view.Registry.Issuer(did); ok {
			return issuer.Name.In(language)
		}
		return did
	}
	words, err := q.statement.Preview(policy.Context{Schema: &q.schema.Schema, Sets: r.sets, Issuers: q.issuers}, name, language)
	if err != nil {
		return nil, refuse(CodeUnprovable, err, "query %q", q.statement.Query)
	}
	return words, nil
}

func (e *Explanation) addCandidate(t *texts, x *QueryExplanation, candidates []Candidate, id string) {
	x.Credential = id
	i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Query == x.Query && c.Credential.ID == id })
	if i < 0 {
		return
	}
	c := candidates[i]
	x.GroupLive, x.GroupText = c.Credential.GroupLive, fmt.Sprintf(t.group, c.Credential.GroupLive)
	if c.Newer {
		e.Warnings = append(e.Warnings, fmt.Sprintf(t.newer, x.Title))
	}
	if c.Refusal != nil {
		e.Warnings = append(e.Warnings, c.Refusal.Text(e.Language))
	}
}

// addNews says what the verifier would learn that it cannot conclude from what it knows.
func (e *Explanation) addNews(t *texts, doc *document, r *Request, q *query, c *Credential, language string) {
	sets := either(r.sets, doc.keptSets())
	for _, fact := range q.reveals(r.verifier.DID, c, 0) {
		if !doc.knows(&c.Issued.Schema, sets, &fact) {
			e.Adds = append(e.Adds, factText(t, &q.schema.Schema, sets, &fact, language))
		}
	}
}

// addBefore says what the verifier has learned so far, whichever of our credentials it was about.
func (e *Explanation) addBefore(t *texts, doc *document, r *Request, language string) {
	sets := doc.keptSets()
	for i := range doc.Revealed {
		fact := &doc.Revealed[i]
		if fact.Verifier != r.verifier.DID {
			continue
		}
		schema, ok := r.view.Registry.Schema(fact.Schema)
		if !ok {
			continue
		}
		e.Before = append(e.Before, fact.At.Time().Format("2006-01-02")+" · "+schema.Schema.Title(language)+": "+
			factText(t, &schema.Schema, sets, fact, language))
	}
}

// factText is something that a verifier learns, in words.
func factText(t *texts, schema *credential.Schema, sets policy.Sets, fact *revealed, language string) string {
	switch {
	case fact.Tag != "" && fact.Subject:
		return fmt.Sprintf(t.subjectTag, fact.Tag)
	case fact.Tag != "":
		return fmt.Sprintf(t.pseudonym, fact.Tag)
	}
	var parts []string
	for i := range fact.Clauses {
		c := &fact.Clauses[i]
		text, err := c.Text(schema, sets, language)
		switch {
		case err != nil && !c.InSet.IsZero():
			text = fmt.Sprintf(t.lostSet, c.Claim, c.InSet)
		case err != nil:
			text = c.Claim
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, t.or)
}

func scopeName(s *policy.Scope) string {
	if s.Shared != nil {
		return fmt.Sprintf("shared/%d", *s.Shared)
	}
	return s.Service
}

func yesNo(v bool, language string) string {
	t := textsIn(language)
	if v {
		return t.yes
	}
	return t.no
}

// Lines is the explanation as plain lines, for a terminal.
func (e *Explanation) Lines() []string {
	t := textsIn(e.Language)
	lines := append([]string{e.Identified, e.Policy}, e.About...)
	for _, q := range e.Queries {
		lines = append(lines, "", q.Title)
		for _, fact := range q.Facts {
			lines = append(lines, "  ✓ "+fact)
		}
		for _, shown := range q.Shown {
			lines = append(lines, "  · "+shown)
		}
		lines = appendNarrowed(lines, t.narrows, q.Narrows)
		lines = appendNarrowed(lines, t.together, q.Together)
		for _, set := range q.Sets {
			lines = append(lines, "  · "+fmt.Sprintf(t.set, set.Name, set.Digest, len(set.Members)))
		}
		lines = append(lines, "  · "+q.CrowdText)
		if q.GroupText != "" {
			lines = append(lines, "  · "+q.GroupText)
		}
	}
	lines = appendSection(lines, t.before, e.Before, t.nothingBefore)
	lines = appendSection(lines, t.adds, e.Adds, "")
	lines = append(lines, "", e.Revocation)
	for _, notice := range e.Notices {
		lines = append(lines, "! "+notice)
	}
	for _, warning := range e.Warnings {
		lines = append(lines, "! "+warning)
	}
	return lines
}

// appendNarrowed puts a sign before what a person should notice.
func appendNarrowed(lines []string, heading string, list []policy.Narrowed) []string {
	if len(list) == 0 {
		return lines
	}
	lines = append(lines, "  · "+heading)
	for i := range list {
		sign := "-"
		if list[i].Flagged() {
			sign = "!"
		}
		lines = append(lines, "    "+sign+" "+list[i].Text)
	}
	return lines
}

func appendSection(lines []string, heading string, items []string, none string) []string {
	if len(items) == 0 {
		if none == "" {
			return lines
		}
		return append(lines, "", none)
	}
	lines = append(lines, "", heading)
	for _, item := range items {
		lines = append(lines, "  - "+item)
	}
	return lines
}
