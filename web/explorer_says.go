package web

import (
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
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
