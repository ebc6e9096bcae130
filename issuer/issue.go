package issuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Issue answers a credential request: it verifies the enrolment proof, writes an order down, and waits until the commitment is
// sealed. If that takes too long it returns a [Deferral], whose transaction [Issuer.Deferred] takes. The same access token with
// the same holder commitment, and a fresh nonce, gets the same credential again, so that a wallet that lost the connection while
// it waited loses nothing.
//
// Refused with [ErrAccessToken], [ErrConfiguration], [ErrOffer], [ErrNonce], [ErrProof], [ErrOtherSecret],
// [ErrOtherPerson], [ErrOnePerPerson] or [ErrLedger].
func (i *Issuer) Issue(ctx context.Context, accessToken, configuration string, proof openid.EnrolmentProof) (*openid.IssuedCredential, error) {
	a, err := i.authorize(begin(i.cfg.Store), accessToken)
	if err != nil {
		return nil, err
	}
	s, ok := i.schemas[configuration]
	switch {
	case !ok:
		return nil, refuse(ErrConfiguration, "this agency does not issue credentials of that type")
	case a.configuration() != configuration:
		return nil, refuse(ErrOffer, "the offer is for another type of credential")
	}
	expires, err := i.checkNonce(proof.Nonce)
	if err != nil {
		return nil, err
	}
	if err := i.verifyEnrolment(s, proof); err != nil {
		return nil, err
	}
	o, err := i.accept(accessToken, proof, expires)
	if err != nil {
		return nil, err
	}
	if o.Application.Case != "" {
		if err := i.takeUp(); err != nil { // what the case replaces may have to end first
			return nil, err
		}
	}
	return i.outcome(ctx, o, i.cfg.SealWait)
}

// verifyEnrolment checks the holder's proof. Every public input is ours but the two that it is about.
func (i *Issuer) verifyEnrolment(s *schema, p openid.EnrolmentProof) error {
	key := i.cfg.EnrolmentKey
	if p.VerifyingKey != key.Digest() {
		return refuse(ErrProof, "the proof is for another verifying key than the one in our metadata")
	}
	challenge, err := openid.EnrolmentChallenge{
		Genesis: i.cfg.Genesis, VerifyingKey: key.Digest(), Audience: i.cfg.URL, Configuration: s.Type, Nonce: p.Nonce,
	}.Element()
	if err != nil {
		return fmt.Errorf("compute enrolment challenge: %w", err)
	}
	proof, err := credential.ParseBase64(p.Proof, verifying.ProofSize)
	if err != nil {
		return refuse(ErrProof, "the proof is not %d bytes in base64url", verifying.ProofSize)
	}
	public := enrolment.Public{
		HolderCommitment: p.HolderCommitment, RegisterScope: credential.EnrolmentScope(s.register.Name()),
		Pseudonym: p.Pseudonym, Challenge: challenge,
	}
	switch err := verifying.Verify(key, public.Vector(), proof); {
	case errors.Is(err, verifying.ErrProofMalformed), errors.Is(err, verifying.ErrProofInvalid):
		return refuse(ErrProof, "the enrolment proof does not hold for this agency, type and nonce")
	case err != nil:
		return fmt.Errorf("verify enrolment: %w", err)
	}
	return nil
}

// newRecord builds the credential of an application: salt, subject key, and what the commitment covers.
func (i *Issuer) newRecord(s *schema, a application, holder credential.Element) (*record, error) {
	r := &record{
		Credential: Credential{
			ID: newID(i.cfg.Clock()), Person: a.Person, Schema: a.Schema, Claims: a.Claims, Subject: a.Subject,
			ValidFrom: a.ValidFrom, ValidUntil: a.ValidUntil, Status: Pending, Change: entry.KindCredentialsIssued, History: []Event{},
		},
		SchemaID: s.id, HolderCommitment: holder, Salt: credential.Secret{Element: credential.Random31()},
	}
	if s.subjects != nil {
		var err error
		if r.SubjectKey, err = s.subjects.Key(a.Subject); err != nil {
			return nil, errors.New("derive subject key") // the cause names the subject
		}
	}
	return r, nil
}

// wire is the credential as the wallet gets it, but for its place on the chain.
func (i *Issuer) wire(s *schema, r *record) *openid.IssuedCredential {
	return &openid.IssuedCredential{
		Version: 1, Genesis: i.cfg.Genesis, Issuer: i.cfg.DID, Schema: *s.Schema, HolderCommitment: r.HolderCommitment,
		Claims: r.Claims, ValidFrom: r.ValidFrom, ValidUntil: r.ValidUntil, SubjectKey: r.SubjectKey, Salt: r.Salt,
		Leaf: r.Leaf,
	}
}

// issuedEntry is the row of a sealed entry that issued.
type issuedEntry struct {
	Entry   []byte        `json:"entry"`
	Receipt entry.Receipt `json:"receipt"`
}

// deliver hands out a credential that is on the chain.
func (i *Issuer) deliver(s *schema, id string) (*openid.IssuedCredential, error) {
	tx := begin(i.cfg.Store)
	var r record
	var e issuedEntry
	if err := tx.get(tableCredential+id, &r); err != nil {
		return nil, fmt.Errorf("deliver credential %s: %w", id, err)
	}
	if err := tx.get(sequenced(tableEntry, r.Sequence), &e); err != nil {
		return nil, fmt.Errorf("deliver credential %s: %w", id, err)
	}
	if r.SchemaID != s.id {
		return nil, fmt.Errorf("deliver credential %s: it was issued under another version of schema %s", id, s.Type)
	}
	c := i.wire(s, &r)
	c.Receipt, c.Entry = e.Receipt, openid.EncodeBytes(e.Entry)
	return c, nil
}
