package office

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Lines say in plain words what a proposal does, and what follows from it, to the person who is asked to sign.
func (p Proposal) Lines() ([]string, error) {
	payload, err := p.Parse()
	if err != nil {
		return nil, err
	}
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	lines := append([]string(nil), describe(payload)...)
	if !p.Genesis.IsZero() {
		lines = append(lines, fmt.Sprintf("On the chain %s, as number %d of governance.", p.Genesis, p.Sequence))
	}
	return append(lines, "Digest of this proposal, the same for every member: "+digest.String()), nil
}

func describe(payload entry.Payload) []string {
	switch p := payload.(type) {
	case entry.Genesis:
		return describeGenesis(p)
	case entry.IssuerRegistered:
		return append([]string{
			fmt.Sprintf("Admits the agency %s, %s, at %s.", p.DID, nameOf(p.Name), p.URL),
			fmt.Sprintf("It may issue %d credentials in all, of the schemas that governance lists it for.", p.Quota),
		}, describeKeys("Its entries are signed by", p.Keys)...)
	case entry.IssuerRotated:
		return append([]string{
			fmt.Sprintf("Changes the keys of the agency %s. Any other key of its own signs nothing from then on; what it signed before stays valid.", p.DID),
			fmt.Sprintf("It may issue %d credentials in all.", p.Quota),
		}, describeKeys("Its entries are signed by", p.Keys)...)
	case entry.IssuerSuspended:
		return []string{fmt.Sprintf("Suspends the agency %s: it can issue and revoke nothing, and none of its credentials is accepted, from the next seal on.", p.DID), "Reason, in public: " + p.Reason}
	case entry.IssuerReinstated:
		return []string{fmt.Sprintf("Takes back the suspension of the agency %s.", p.DID)}
	case entry.SchemaPublished:
		return describeSchema(p)
	case entry.VerifierRegistered:
		return append([]string{
			fmt.Sprintf("Admits the relying party %s, %s, or replaces its keys and addresses. It may register policies.", p.DID, nameOf(p.Name)),
			"Wallets answer it below " + strings.Join(p.ResponseURIs, " and "),
		}, describeKeys("Its requests and policies are signed by", p.Keys)...)
	case entry.ScopeRegistered:
		return []string{
			fmt.Sprintf("Creates a shared scope for the service %s: these relying parties see the same pseudonym of a person: %s.", p.Service, strings.Join(p.Verifiers, ", ")),
			fmt.Sprintf("The tags are kept by %s.", p.Consumer),
		}
	case entry.VerifyingKeyListed:
		return append([]string{"Accepts a verifying key. If it is listed already, changes its end."}, describeVerifyingKey(p.Key)...)
	}
	return []string{fmt.Sprintf("An entry of the kind %s.", entry.KindOf(payload))}
}

func describeGenesis(g entry.Genesis) []string {
	lines := []string{fmt.Sprintf("Founds the chain %s, drafted %s. None of this can be changed later, but for the list of verifying keys.", g.Network, g.Time)}
	if g.Dev {
		lines = append(lines, "It is a dev chain: development keys are allowed, and everybody says so.")
	}
	lines = append(lines, fmt.Sprintf("Governed by any %d of %d keys:", g.GovernanceThreshold, len(g.GovernanceKeys)))
	for _, k := range g.GovernanceKeys {
		lines = append(lines, fmt.Sprintf("  %s (%s)", k.KeyID(), k.Algorithm()))
	}
	lines = append(lines,
		"Checkpoints are signed by "+g.LogKey,
		fmt.Sprintf("Seals are signed by %s, at most one in %s, at least one in %s; no seal is ahead of a cosigner's clock by more than %s.",
			g.OperatorKey.KeyID(), seconds(g.SealIntervalSeconds), seconds(g.SealMaximumSeconds), seconds(g.ClockSkewSeconds)),
	)
	if g.GridSeconds > 0 {
		lines = append(lines, "Wallets prove against the last seal before each full "+seconds(g.GridSeconds).String()+".")
	} else {
		lines = append(lines, "Wallets prove against any seal.")
	}
	lines = append(lines, "Suite: "+g.Suite)
	for _, k := range g.VerifyingKeys {
		lines = append(lines, describeVerifyingKey(k)...)
	}
	return lines
}

func describeVerifyingKey(k entry.VerifyingKey) []string {
	lines := []string{
		fmt.Sprintf("Verifying key of %s: %s", k.Circuit, k.KeyDigest),
		"  of the circuit " + k.CircuitDigest.String(),
	}
	if k.Transcript.IsZero() {
		lines = append(lines, "  a development key: whoever made it can forge proofs")
	} else {
		lines = append(lines, "  from the ceremony with the transcript "+k.Transcript.String()+" (compare with bulla setup verify)")
	}
	return append(lines, "  proofs under it are refused from "+k.NotAfter.String()+" on")
}

func describeSchema(p entry.SchemaPublished) []string {
	id, err := p.Schema.ID()
	if err != nil {
		return []string{"A schema that has no id: " + err.Error()}
	}
	lines := []string{
		fmt.Sprintf("Publishes the schema %s, id %s, or replaces its issuers and display texts.", p.Schema.Type, id),
		"It may be issued by " + strings.Join(p.Issuers, ", "),
	}
	for _, c := range p.Schema.Claims {
		line := fmt.Sprintf("  %s: %s", c.Name, c.Type)
		if c.Optional {
			line += ", optional"
		}
		lines = append(lines, line)
	}
	lines = append(lines, "Enrolment register: "+p.Schema.EnrolmentRegister)
	if p.Schema.OnePerPerson {
		lines = append(lines, "A person has one live credential of it.")
	}
	if p.Schema.SubjectRegister != "" {
		lines = append(lines, "Subject register, whose holders can recognise a subject's tags: "+p.Schema.SubjectRegister)
	}
	return lines
}

func describeKeys(what string, keys []jose.PublicKey) []string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.KeyID())
	}
	slices.Sort(ids)
	return []string{what + " " + strings.Join(ids, " or ")}
}

func nameOf(t credential.Text) string {
	if t.English != "" {
		return t.English
	}
	return t.Chinese
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
