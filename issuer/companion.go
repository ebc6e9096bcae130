package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/internal/webapi"
)

// A companion is an ordinary dc+sd-jwt credential of the same data as an active one of ours, for wallets and verifiers that know
// nothing of the chain. It has an offer of its own, is bound to a key of its wallet, and follows the state of its credential through
// a status list:
//
//	clerk ── OfferCompanion ──► link ──► wallet ── Token, Nonce, IssueCompanion ──► status index, signature ──► at once
//	      ── Suspend, Reinstate, Revoke ──► sealed ──► the status of all companions, in the same commit
//
// Everything that our own format avoids is linkable about it: doc/spec/sdjwt.md.

// companion is what a wallet was answered with.
type companion struct {
	Key  string `json:"key"`  // thumbprint: the same key gets the same again
	Text string `json:"text"` // the credential
}

// LogValue hides it from slog.
func (companion) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// maxCompanions bounds how many companions a credential can have: a holder who wants to be linked less takes several.
const maxCompanions = 64

// openCompanions takes the schemas that have companions.
func (i *Issuer) openCompanions() error {
	if len(i.cfg.Companions) > 0 && i.cfg.Keys.Companion == nil {
		return errors.New("companions need a signing key of their own")
	}
	for _, schemaType := range i.cfg.Companions {
		s, ok := i.schemas[schemaType]
		id := openid.CompanionID(schemaType)
		if _, twice := i.companions[id]; !ok || twice {
			return fmt.Errorf("companions of schema %s: want each schema once that is issued", schemaType)
		}
		for _, c := range s.Claims {
			if slices.Contains(policy.NotClaims(), c.Name) {
				return fmt.Errorf("companions of schema %s: its claim %s would be taken for a member of the JWT", schemaType, c.Name)
			}
		}
		i.companions[id] = s
	}
	return nil
}

// OfferCompanion offers a companion of an active credential to its holder. The data were decided on when the credential was, but whose
// wallet gets them was not: no enrolment register knows its key. So where credentials need approvals companions do, by a case of the
// kind [CaseCompanion]. Refused with [ErrNotFound], [ErrState], [ErrCompanion], [ErrClaim] or [ErrApproval].
func (i *Issuer) OfferCompanion(ctx context.Context, by Officer, id string, txCode bool) (Offer, error) {
	if err := by.validate(); err != nil {
		return Offer{}, err
	}
	r, err := i.companionable(begin(i.cfg.Store), id)
	if err != nil {
		return Offer{}, err
	}
	if i.cfg.Approvals[r.Schema] > 0 {
		return Offer{}, refuse(ErrApproval, "companions of this type are offered by a case that other officers approve")
	}
	return i.makeOffer(ctx, by, offerOfCompanion(r, "", txCode))
}

// offerCompanion makes the offer of an approved case.
func (i *Issuer) offerCompanion(ctx context.Context, by Officer, id, caseID string, txCode bool) (Offer, error) {
	r, err := i.companionable(begin(i.cfg.Store), id)
	if err != nil {
		return Offer{}, err
	}
	return i.makeOffer(ctx, by, offerOfCompanion(r, caseID, txCode))
}

// offerOfCompanion has nothing of the person: what the companion says is read when it is issued.
func offerOfCompanion(r *record, caseID string, txCode bool) application {
	return application{Application: Application{Schema: r.Schema, TxCode: txCode}, Companion: r.ID, Case: caseID}
}

// companionable finds a credential that may have one companion more.
func (i *Issuer) companionable(tx *transaction, id string) (*record, error) {
	r, err := i.companioned(tx, id)
	if err == nil && len(r.Statuses) >= maxCompanions {
		err = refuse(ErrCompanion, "the credential has %d companions, and no more", maxCompanions)
	}
	return r, err
}

// companioned finds a credential whose companions are good.
func (i *Issuer) companioned(tx *transaction, id string) (*record, error) {
	r := new(record)
	switch err := tx.get(tableCredential+id, r); {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(ErrNotFound, "there is no credential with that id")
	case err != nil:
		return nil, fmt.Errorf("look up credential %s: %w", id, err)
	}
	s, ok := i.companions[openid.CompanionID(r.Schema)]
	switch today := i.cfg.Clock().UTC().Format(time.DateOnly); {
	case !ok || r.SchemaID != s.id:
		return nil, refuse(ErrCompanion, "credentials of that type, or of that version of it, have no companions here")
	case r.Erased != 0:
		return nil, refuse(ErrState, "what the credential says was erased")
	case r.Status != Active:
		return nil, refuse(ErrState, "the credential is %s", r.Status)
	case r.Change != "":
		return nil, refuse(ErrState, "a change of the credential is on its way to the chain")
	case r.ValidUntil <= today || r.ValidUntil <= r.ValidFrom: // dates in this form compare as texts do
		return nil, refuse(ErrState, "the credential is past its end")
	}
	_, _, err := companionClaims(s.Schema, r.Claims)
	return r, err
}

// companionClaims are a credential's claims as JSON has them, each of them disclosable: whole numbers as numbers, what has a scale as
// a text, since JSON's numbers lose decimals, dates and times as texts.
func companionClaims(s *credential.Schema, claims credential.Claims) (out sdjwt.Claims, paths []sdjwt.Path, err error) {
	out = make(sdjwt.Claims, len(claims))
	for _, c := range s.Claims {
		value, present := claims[c.Name]
		if !present {
			continue
		}
		if c.Type == credential.Integer && c.Scale == 0 {
			text, _ := value.(string)
			number, err := strconv.ParseInt(text, 10, 64)
			if err != nil || number > credential.MaxJSONInteger || number < -credential.MaxJSONInteger {
				return nil, nil, &Refusal{Code: ErrClaim.Code, Claim: c.Name, Detail: fmt.Sprintf("claim %s: beyond 2^53, which JSON's numbers do not carry safely", c.Name)}
			}
			value = number
		}
		out[c.Name], paths = value, append(paths, sdjwt.Path{c.Name})
	}
	return out, paths, nil
}

// IssueCompanion answers a credential request for a companion, at once. proof is a key proof (OpenID4VCI 1.0 appendix F.1). The same
// access token with a proof by the same key gets the same credential again, as long as it is good; another key is refused.
//
// Refused with [ErrAccessToken], [ErrOffer], [ErrNonce], [ErrProof], or with [ErrDenied] if the credential that it is of is not active
// any more.
func (i *Issuer) IssueCompanion(ctx context.Context, accessToken, configuration, proof string) (string, error) {
	a, t, err := i.authorized(begin(i.cfg.Store), accessToken)
	if err != nil {
		return "", err
	}
	if a.configuration() != configuration {
		return "", refuse(ErrOffer, "the offer is for another type of credential")
	}
	holder, err := i.verifyKeyProof(proof, t.Client)
	if err != nil {
		return "", err
	}
	text, err := i.acceptCompanion(ctx, accessToken, holder)
	if err != nil {
		return "", err
	}
	i.tellNews()
	i.webhooks.Wake()
	return text, nil
}

// acceptCompanion makes the companion of an offer, or finds the one that the same key has, in one commit with what follows.
func (i *Issuer) acceptCompanion(ctx context.Context, accessToken string, holder *keyProof) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	a, err := i.authorize(tx, accessToken)
	if err != nil {
		return "", err
	}
	if err := useNonce(tx, holder.nonce, holder.nonceExpires); err != nil {
		return "", err
	}
	text, err := i.companionOf(ctx, tx, a, holder.key)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		// Nothing but the nonce was written: it is used.
		return "", errors.Join(tx.commit(), refusal)
	}
	if err != nil {
		return "", err
	}
	return text, tx.commit()
}

// companionOf is acceptCompanion but for nonce and commit. After a refusal nothing of it is in tx.
func (i *Issuer) companionOf(ctx context.Context, tx *transaction, a application, key jose.PublicKey) (string, error) {
	if a.Order != "" {
		return i.sameCompanion(tx, a, key)
	}
	r, err := i.companionable(tx, a.Companion)
	if err != nil {
		return "", denied(err)
	}
	file, err := i.caseOfCompanion(tx, a)
	if err != nil {
		return "", err
	}
	place, err := i.takeStatus(ctx, tx)
	if err != nil {
		return "", err
	}
	text, err := i.signCompanion(r, key, place)
	if err != nil {
		return "", err
	}
	r.Statuses, r.Companions = append(r.Statuses, place), r.Companions+1
	tx.put(tableCredential+r.ID, r)
	o := order{
		ID: newID(i.cfg.Clock()), Application: a, Notification: webapi.RandomID(), Credential: r.ID,
		Companion: &companion{Key: key.KeyID(), Text: text},
	}
	a.Order = o.ID
	tx.put(tableApplication+a.ID, a)
	// Its token ends before.
	tx.putUntil(tableOrder+o.ID, o, i.now()+credential.UnixTime(i.lifetime(a.Case)/time.Second))
	if file != nil {
		file.Order = o.ID
		file.step(CaseIssued, i.now(), System)
		tx.putCase(file)
		if err := i.tellCase(tx, file); err != nil {
			return "", err
		}
	}
	return text, i.note(tx, Holder, DidIssueCompanion, r.ID, a.ID)
}

// sameCompanion is the companion that an offer was answered with.
func (i *Issuer) sameCompanion(tx *transaction, a application, key jose.PublicKey) (string, error) {
	var o order
	if err := tx.get(tableOrder+a.Order, &o); err != nil {
		return "", err
	}
	if o.Companion == nil || o.Companion.Key != key.KeyID() {
		return "", refuse(ErrOffer, "the offer was answered with another key: ask the agency for a new offer")
	}
	if _, err := i.companioned(tx, a.Companion); err != nil {
		return "", denied(err)
	}
	return o.Companion.Text, i.note(tx, Holder, DidDeliver, o.Credential, a.ID)
}

// denied is what a wallet is told where a clerk would learn why.
func denied(err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refuse(ErrDenied, "the agency does not issue it at this time: %s", refusal.Detail)
	}
	return err
}

// caseOfCompanion is the approved case that an offer is of; nil: it is of none. One answer counts.
func (i *Issuer) caseOfCompanion(tx *transaction, a application) (*caseFile, error) {
	if a.Case == "" {
		return nil, nil
	}
	c := new(caseFile)
	if err := tx.get(tableCase+a.Case, c); err != nil {
		return nil, err
	}
	if c.State != CaseApproved {
		return nil, refuse(ErrOffer, "another offer of the same case was answered")
	}
	return c, nil
}

// signCompanion makes the credential itself. Its times are whole days, and it has as many digests as any other companion.
func (i *Issuer) signCompanion(r *record, key jose.PublicKey, place statusPlace) (string, error) {
	claims, paths, err := companionClaims(i.companions[openid.CompanionID(r.Schema)].Schema, r.Claims)
	if err != nil {
		return "", err
	}
	from, err1 := time.Parse(time.DateOnly, r.ValidFrom)
	until, err2 := time.Parse(time.DateOnly, r.ValidUntil)
	if err := errors.Join(err1, err2); err != nil {
		return "", fmt.Errorf("companion of credential %s: %w", r.ID, err)
	}
	text, err := sdjwt.Issuance{
		Credential: sdjwt.Credential{
			Type: r.Schema, Issuer: i.cfg.URL, IssuedAt: credential.UnixTimeOf(i.cfg.Clock().UTC().Truncate(24 * time.Hour)),
			NotBefore: max(credential.UnixTimeOf(from), 0), ExpiresAt: credential.UnixTimeOf(until), HolderKey: &key,
			Status: &statuslist.Reference{Index: place.Index, URI: i.listURI(place.List)}, Claims: claims,
		},
		Disclosable: paths, Decoys: credential.Slots - len(paths),
	}.Issue(i.cfg.Keys.Companion)
	if err != nil {
		return "", fmt.Errorf("companion of credential %s: %w", r.ID, err)
	}
	return text, nil
}

// IssuerKeys is where verifiers find the keys of companions (SD-JWT VC, JWT VC issuer metadata).
type IssuerKeys struct {
	Issuer string       `json:"issuer"` // the iss of companions
	Keys   oauth.KeySet `json:"jwks"`
}

// CompanionKeys are the key that signs companions and status lists, and those that did and are still good.
func (i *Issuer) CompanionKeys() IssuerKeys {
	set := oauth.KeySet{Keys: []oauth.PublishedKey{}}
	for _, k := range append([]jose.PublicKey{i.cfg.Keys.Companion.Public()}, i.cfg.Keys.CompanionRetired...) {
		set.Keys = append(set.Keys, oauth.PublishedKey{PublicKey: k, KeyID: k.KeyID(), Use: "sig", Algorithm: k.Algorithm()})
	}
	return IssuerKeys{i.cfg.URL, set}
}
