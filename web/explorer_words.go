package web

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/web/internal/chart"
)

// kinds are those of entries besides seals, in the order in which people choose among them.
var kinds = []entry.Kind{
	entry.KindCredentialsIssued, entry.KindCredentialsSuspended, entry.KindCredentialsReinstated, entry.KindCredentialsRevoked,
	entry.KindPolicyRegistered, entry.KindSetRegistered, entry.KindAuditAnchored, entry.KindIssuerRegistered, entry.KindIssuerRotated,
	entry.KindIssuerSuspended, entry.KindIssuerReinstated, entry.KindSchemaPublished, entry.KindVerifierRegistered, entry.KindScopeRegistered,
	entry.KindVerifyingKeyListed, entry.KindGenesis,
}

// entryRow is an entry in a list.
type entryRow struct {
	Index  uint64
	Link   string
	Title  string
	Says   string
	Signer reference
	Seal   *explore.SealRef
	Height uint64 // of a seal
	IsSeal bool
}

// reference is a name with an address of ours, which may be empty.
type reference struct{ Text, Address string }

func (p *explorerPage) rows(list []*explore.Entry) []entryRow {
	rows := make([]entryRow, len(list))
	for i, e := range list {
		rows[i] = p.row(e)
	}
	return rows
}

func (p *explorerPage) row(e *explore.Entry) entryRow {
	r := entryRow{
		Index: e.Index, Link: p.Link("entry", e.Index), Title: p.T("kind." + string(e.Entry.Header().Kind)), Says: p.says(e), Signer: p.partyLink(e.Entry.Header().Signer), Seal: e.Seal,
	}
	if seal, ok := e.Payload.(entry.Seal); ok {
		r.IsSeal, r.Height, r.Link = true, seal.Height, p.Link("seal", seal.Height)
	}
	return r
}

// partyLink names a signer or somebody an entry speaks of.
func (p *explorerPage) partyLink(did string) reference {
	party, err := p.x.chain.Party(did)
	if err != nil {
		party = &explore.Party{DID: did} // the operator, who only seals, or one that is registered later
	}
	l := reference{Text: p.nameOf(party)}
	if err == nil {
		l.Address = p.Link(p.roleOf(party), did)
	}
	return l
}

// says is what an entry does, as a sentence.
func (p *explorerPage) says(e *explore.Entry) string {
	name := func(did string) string { return p.x.chain.Name(did, p.Language) }
	say := func(args ...any) string { return fmt.Sprintf(p.T("say."+string(e.Entry.Header().Kind)), args...) }
	signer := p.partyLink(e.Entry.Header().Signer).Text
	switch c := e.Payload.(type) {
	case entry.Genesis:
		return say(c.Network)
	case entry.IssuerRegistered:
		return say(textOr(c.Name, p.Language, c.DID), p.N(c.Quota))
	case entry.IssuerRotated:
		return say(name(c.DID))
	case entry.IssuerSuspended:
		return say(name(c.DID), c.Reason)
	case entry.IssuerReinstated:
		return say(name(c.DID))
	case entry.SchemaPublished:
		return say(schemaName(&c.Schema, p.Language), p.N(len(c.Issuers)))
	case entry.CredentialsIssued:
		return say(signer, p.N(len(c.Commitments)), p.schemaTitle(c.Schema))
	case entry.CredentialsSuspended:
		return say(signer, p.N(len(c.Leaves)))
	case entry.CredentialsReinstated:
		return say(signer, p.N(len(c.Leaves)))
	case entry.CredentialsRevoked:
		return say(signer, p.N(len(c.Leaves)))
	case entry.AuditAnchored:
		return say(signer, p.N(c.Records))
	case entry.VerifierRegistered:
		return say(textOr(c.Name, p.Language, c.DID))
	case entry.PolicyRegistered:
		return say(signer, p.policyName(e.Index))
	case entry.SetRegistered:
		return say(signer, c.Name.In(p.Language), p.N(c.Part+1), p.N(c.Parts))
	case entry.ScopeRegistered:
		return say(c.Service, name(c.Consumer))
	case entry.VerifyingKeyListed:
		return say(c.Key.Circuit)
	case entry.Seal:
		return say(decimal(c.Height), p.N(c.Leaves))
	}
	return ""
}

func textOr(t credential.Text, language, otherwise string) string {
	if text := t.In(language); text != "" {
		return text
	}
	return otherwise
}

func schemaName(s *credential.Schema, language string) string {
	if s.Display != nil {
		return textOr(*s.Display, language, s.Type)
	}
	return s.Type
}

func (p *explorerPage) schemaTitle(id credential.Element) string {
	s, err := p.x.chain.Schema(id)
	if err != nil {
		return text(id)
	}
	return schemaName(s, p.Language)
}

func text(v interface{ MarshalText() ([]byte, error) }) string {
	out, err := v.MarshalText()
	if err != nil {
		return ""
	}
	return string(out)
}

func (p *explorerPage) policyName(index uint64) string {
	registered, err := p.x.chain.PolicyAt(index)
	if err != nil {
		return decimal(index)
	}
	return textOr(registered.Policy.Name, p.Language, registered.Policy.ID)
}

// entryFact is one line about an entry.
type entryFact struct {
	Label string
	Text  string
	Links []reference // in place of the text
	Code  bool        // the text is a hash, a key, an address
}

// commitment is one credential of a batch.
type commitment struct {
	Position int
	Leaf     uint64
	Text     string
	Status   string // key of the texts
	Changes  []reference
}

// entryDetail is an entry on its page.
type entryDetail struct {
	entryRow
	Kind        entry.Kind
	Facts       []entryFact
	Policy      *policyView
	Commitments []commitment
	From, To    int    // of the commitments that are shown, counted from 1
	Of          int    // how many there are
	Next        string // address of the next ones
	Payload     string // JSON, for people
	Raw         string // address of the bytes
	Checkable   bool
	Closes      []entryRow // entries that a seal puts into effect, the first of them
	MoreCloses  bool
	Older       string // addresses of the neighbours
	Newer       string
}

func (p *explorerPage) detail(e *explore.Entry) (d entryDetail, err error) {
	d = entryDetail{entryRow: p.row(e), Kind: e.Entry.Header().Kind, Facts: p.facts(e), Raw: p.Link("entry", e.Index, "raw"), Checkable: e.Index < p.Head.Checked}
	if d.Payload, err = indented(e.Entry.Payload); err != nil {
		return d, err
	}
	switch c := e.Payload.(type) {
	case entry.CredentialsIssued:
		err = p.commitments(&d, e, c)
	case entry.PolicyRegistered:
		var registered *explore.Policy
		if registered, err = p.x.chain.PolicyAt(e.Index); err == nil {
			var v policyView
			v, err = p.explain(registered)
			d.Policy = &v
		}
	case entry.Seal:
		err = p.closes(&d, e, c)
	}
	if e.Index > 0 {
		d.Older = p.Link("entry", e.Index-1)
	}
	if e.Index+1 < p.Head.Size {
		d.Newer = p.Link("entry", e.Index+1)
	}
	return d, err
}

func indented(payload []byte) (string, error) {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(json.RawMessage(payload))
	return out.String(), err
}

// commitments shows a page of a batch.
func (p *explorerPage) commitments(d *entryDetail, e *explore.Entry, c entry.CredentialsIssued) error {
	from, err := p.number("from", 0)
	if err != nil || from >= uint64(len(c.Commitments)) {
		return errBadQuery
	}
	first := int(from)
	d.From, d.To, d.Of = first+1, min(first+pageSize, len(c.Commitments)), len(c.Commitments)
	if d.To < d.Of {
		d.Next = p.Link("entry", e.Index, "?from="+strconv.Itoa(d.To))
	}
	for i := first; i < d.To; i++ {
		leaf, err := p.x.chain.Leaf(e.FirstLeaf + uint64(i))
		if err != nil {
			return err
		}
		line := commitment{Position: i, Leaf: leaf.Leaf, Text: text(c.Commitments[i]), Status: statusKey(leaf.Status)}
		if e.Seal == nil && leaf.Status == explore.Active {
			line.Status = "explore.unsealed"
		}
		for _, index := range leaf.Changes {
			line.Changes = append(line.Changes, reference{decimal(index), p.Link("entry", index)})
		}
		d.Commitments = append(d.Commitments, line)
	}
	return nil
}

// closes lists what a seal puts into effect.
func (p *explorerPage) closes(d *entryDetail, e *explore.Entry, c entry.Seal) error {
	found, _, err := p.x.chain.List(explore.Work, e.Index, pageSize+1)
	if err != nil {
		return err
	}
	for _, closed := range found {
		// The genesis entry stands in for the seal before the first.
		if closed.Index <= c.PreviousAt && (c.Height > 0 || closed.Index > 0) {
			break
		}
		if len(d.Closes) == pageSize {
			d.MoreCloses = true
			break
		}
		d.Closes = append(d.Closes, p.row(closed))
	}
	return nil
}

// facts are the lines about an entry, whatever its kind, and then those of its kind.
func (p *explorerPage) facts(e *explore.Entry) []entryFact {
	h := e.Entry.Header()
	plain := func(key, text string) entryFact { return entryFact{Label: p.T(key), Text: text} }
	code := func(key, text string) entryFact { return entryFact{Label: p.T(key), Text: text, Code: true} }
	links := func(key string, list ...reference) entryFact { return entryFact{Label: p.T(key), Links: list} }
	facts := []entryFact{links("fact.signer", p.partyLink(h.Signer)), plain("fact.sequence", decimal(h.Sequence)), code("fact.digest", e.Entry.Digest().String())}
	for _, s := range e.Entry.Signatures {
		facts = append(facts, code("fact.signed-with", s.Header.KeyID+" ("+string(s.Header.Algorithm)+")"))
	}
	own := func(more ...entryFact) []entryFact { return append(facts, more...) }
	switch c := e.Payload.(type) {
	case entry.Genesis:
		return own(plain("fact.network", c.Network), plain("fact.dev", p.yes(c.Dev)), plain("fact.suite", c.Suite), code("fact.origin", c.Origin), code("fact.log-key", c.LogKey),
			plain("fact.governance", fmt.Sprintf("%d / %d", c.GovernanceThreshold, len(c.GovernanceKeys))), plain("fact.seal-interval", p.seconds(c.SealIntervalSeconds)),
			plain("fact.seal-maximum", p.seconds(c.SealMaximumSeconds)), plain("fact.grid", p.seconds(c.GridSeconds)))
	case entry.IssuerRegistered:
		return own(links("fact.issuer", p.partyLink(c.DID)), code("fact.did", c.DID), code("fact.url", c.URL), plain("fact.quota", p.N(c.Quota)), code("fact.keys", keyList(c.Keys)))
	case entry.IssuerRotated:
		return own(links("fact.issuer", p.partyLink(c.DID)), plain("fact.quota", p.N(c.Quota)), code("fact.keys", keyList(c.Keys)))
	case entry.IssuerSuspended:
		return own(links("fact.issuer", p.partyLink(c.DID)), plain("fact.reason", c.Reason))
	case entry.IssuerReinstated:
		return own(links("fact.issuer", p.partyLink(c.DID)))
	case entry.SchemaPublished:
		return own(p.schemaFacts(&c, code, plain, links)...)
	case entry.CredentialsIssued:
		return own(plain("fact.schema", p.schemaTitle(c.Schema)), code("fact.schema-id", text(c.Schema)), plain("fact.leaves", leafRange(e.FirstLeaf, len(c.Commitments))))
	case entry.CredentialsSuspended:
		return own(links("fact.leaves", p.leafLinks(c.Leaves)...))
	case entry.CredentialsReinstated:
		return own(links("fact.leaves", p.leafLinks(c.Leaves)...))
	case entry.CredentialsRevoked:
		return own(links("fact.leaves", p.leafLinks(c.Leaves)...))
	case entry.AuditAnchored:
		return own(plain("fact.records", p.N(c.Records)), code("fact.audit-head", c.Head.String()))
	case entry.VerifierRegistered:
		return own(links("fact.verifier", p.partyLink(c.DID)), code("fact.did", c.DID), code("fact.response-uris", strings.Join(c.ResponseURIs, " ")), code("fact.keys", keyList(c.Keys)))
	case entry.SetRegistered:
		return own(plain("fact.set", c.Name.In(p.Language)), code("fact.set-digest", c.Set.String()), plain("fact.members", p.N(len(c.Members))))
	case entry.ScopeRegistered:
		return own(plain("fact.service", c.Service), links("fact.consumer", p.partyLink(c.Consumer)), links("fact.verifiers", p.partyLinks(c.Verifiers)...))
	case entry.VerifyingKeyListed:
		return own(plain("fact.circuit", c.Key.Circuit), code("fact.key-digest", c.Key.KeyDigest.String()), plain("fact.not-after", stamp(c.Key.NotAfter)))
	case entry.Seal:
		return own(plain("fact.height", decimal(c.Height)), plain("fact.time", stamp(c.Time)), plain("fact.leaf-count", p.N(c.Leaves)), code("fact.active-root", text(c.ActiveRoot)),
			links("fact.previous", reference{decimal(c.PreviousAt), p.Link("entry", c.PreviousAt)}), code("fact.registry", c.Registry.String()), code("fact.census", c.Census.String()))
	}
	return facts
}

func (p *explorerPage) schemaFacts(c *entry.SchemaPublished, code, plain func(key, text string) entryFact, links func(string, ...reference) entryFact) []entryFact {
	var claims []string
	for _, claim := range c.Schema.Claims {
		claims = append(claims, claim.Title(p.Language))
	}
	facts := []entryFact{plain("fact.schema", schemaName(&c.Schema, p.Language)), code("fact.type", c.Schema.Type), plain("fact.claims", strings.Join(claims, p.T("list.comma"))), links("fact.issuers", p.partyLinks(c.Issuers)...)}
	if id, err := c.Schema.ID(); err == nil {
		facts = append(facts, code("fact.schema-id", text(id)))
	}
	return facts
}

func stamp(t credential.UnixTime) string { return t.Time().Format("2006-01-02 15:04:05") + " UTC" }

func (p *explorerPage) yes(b bool) string {
	if b {
		return p.T("explore.yes")
	}
	return p.T("explore.no")
}

func (p *explorerPage) seconds(n int) string { return p.N(n) + " " + p.T("explore.seconds") }

func keyList(keys []jose.PublicKey) string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.KeyID())
	}
	return strings.Join(ids, " ")
}

func leafRange(first uint64, n int) string {
	if n == 1 {
		return decimal(first)
	}
	return decimal(first) + "–" + decimal(first+uint64(n)-1)
}

// maxLinks is how many links a line has: the raw entry has the rest.
const maxLinks = 50

func (p *explorerPage) leafLinks(leaves []uint64) (list []reference) {
	for _, leaf := range leaves[:min(len(leaves), maxLinks)] {
		l := reference{Text: decimal(leaf)}
		if found, err := p.x.chain.Leaf(leaf); err == nil {
			l.Address = p.hit(explore.Found{Leaf: found}).Link
		}
		list = append(list, l)
	}
	return p.cut(list, len(leaves))
}

func (p *explorerPage) partyLinks(dids []string) (list []reference) {
	for _, did := range dids[:min(len(dids), maxLinks)] {
		list = append(list, p.partyLink(did))
	}
	return p.cut(list, len(dids))
}

// cut says how many are not there.
func (p *explorerPage) cut(list []reference, of int) []reference {
	if of > len(list) {
		list = append(list, reference{Text: fmt.Sprintf(p.T("list.more"), p.N(of-len(list)))})
	}
	return list
}

// charted is the activity over time: charts, and the same as a table.
type charted struct {
	Daily bool
	*chart.Charts
}

// Stretches of time that charts show: at least and at most. A single bar would say nothing.
const (
	fewestHours = 24
	chartHours  = 48
	fewestDays  = 30
	chartDays   = 60
)

// charts draws what happened: by hours on a young chain, by days on others.
func (p *explorerPage) charts() (*charted, error) {
	if p.Head.Seals == 0 {
		return nil, nil
	}
	c := &charted{}
	begin := p.Head.Genesis.Time.Time()
	last := p.Head.LastSeal.Time.Time()
	limit, fewest := chartHours, fewestHours*time.Hour
	if last.Sub(begin) > chartHours*time.Hour {
		c.Daily, limit, fewest = true, 24*chartDays, fewestDays*24*time.Hour
	}
	if at := last.Add(-fewest); at.Before(begin) {
		begin = at
	}
	counts, err := p.x.chain.Hours(begin, limit)
	if err != nil {
		return nil, err
	}
	form := "01-02 15:00"
	if c.Daily {
		counts, form = days(counts), "2006-01-02"
	}
	labels := make([]string, len(counts))
	for i, stretch := range counts {
		labels[i] = stretch.From.Format(form)
	}
	c.Charts = chart.New(labels, func(n uint64) string { return p.N(n) })
	c.Add("chart.issued", func(i int) uint64 { return counts[i].By[explore.CountIssued] })
	c.Add("chart.revoked", func(i int) uint64 { return counts[i].By[explore.CountRevoked] + counts[i].By[explore.CountSuspended] })
	c.Add("chart.entries", func(i int) uint64 { return work(counts[i].By) })
	return c, nil
}

// work counts entries that are no seals.
func work(by map[string]uint64) (n uint64) {
	for _, kind := range kinds {
		n += by[string(kind)]
	}
	return n
}

// days adds hours up to days.
func days(hours []explore.Counts) (list []explore.Counts) {
	for _, h := range hours {
		day := h.From.Truncate(24 * time.Hour)
		if len(list) == 0 || !list[len(list)-1].From.Equal(day) {
			list = append(list, explore.Counts{From: day, By: map[string]uint64{}})
		}
		for name, n := range h.By {
			list[len(list)-1].By[name] += n
		}
	}
	return list
}
