package issuer

import (
	"fmt"

	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/ledger/entry"
)

// What other systems of the agency are told by webhooks: ids and states, never whom they are about. Each event is in one commit with what
// it tells of.

// caseEvents are the types of events of cases, by the state that they came into.
var caseEvents = map[CaseState]string{
	CaseSubmitted: "application.submitted", CaseInReview: "application.in_review", CaseApproved: "application.approved", CaseRefused: "application.refused",
	CaseWithdrawn: "application.withdrawn", CaseIssued: "application.issued", CaseDone: "application.done",
}

// credentialEvents are those of credentials, by what is on the chain.
var credentialEvents = map[entry.Kind]string{
	entry.KindCredentialsIssued: "credential.issued", entry.KindCredentialsSuspended: "credential.suspended",
	entry.KindCredentialsReinstated: "credential.reinstated", entry.KindCredentialsRevoked: "credential.revoked",
}

// EventTypes are all that a webhook can ask for.
func EventTypes() (types []string) {
	for _, t := range caseEvents {
		types = append(types, t)
	}
	for _, t := range credentialEvents {
		types = append(types, t)
	}
	return types
}

// CaseEvent is the data of an event of a case.
type CaseEvent struct {
	ID         string    `json:"id"`
	Kind       CaseKind  `json:"kind"`
	Schema     string    `json:"schema"`
	Version    uint64    `json:"version"`
	State      CaseState `json:"state"`
	Credential string    `json:"credential,omitempty"` // that it is about, or that came of it
}

// CredentialEvent is the data of an event of a credential.
type CredentialEvent struct {
	ID     string `json:"id"`
	Schema string `json:"schema"`
	Status Status `json:"status"`
	Entry  uint64 `json:"entry"` // index in the log of the chain
}

// tellCase adds the event of a case's new state, and counts it.
func (i *Issuer) tellCase(tx *transaction, c *caseFile) error {
	if err := tx.count(c.news()...); err != nil {
		return err
	}
	about := c.Credential
	if c.Issued != "" {
		about = c.Issued
	}
	return i.tell(tx, caseEvents[c.State], CaseEvent{c.ID, c.Kind, c.Schema, c.Version, c.State, about})
}

// tellCredential adds the event of a change that is on the chain, and counts it.
func (i *Issuer) tellCredential(tx *transaction, r *record, kind entry.Kind, index uint64) error {
	if err := tx.count(r.happened(len(r.History) - 1)...); err != nil {
		return err
	}
	return i.tell(tx, credentialEvents[kind], CredentialEvent{r.ID, r.Schema, r.Status, index})
}

func (i *Issuer) tell(tx *transaction, eventType string, data any) error {
	if err := i.webhooks.Add(tx.rows, outbox.Event{Type: eventType, Data: data}); err != nil {
		return fmt.Errorf("announce %s: %w", eventType, err)
	}
	return nil
}

// WebhookCounts are figures of what was sent.
func (i *Issuer) WebhookCounts() outbox.Counts { return i.webhooks.Counts() }
