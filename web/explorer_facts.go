package web

import (
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
)

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
