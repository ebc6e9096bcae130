package issuer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Application is what a clerk enters: who is to get which credential.
type Application struct {
	Person     string            `json:"person"` // names the person in the enrolment register, the same at every agency that shares it
	Schema     string            `json:"schema"` // type
	Claims     credential.Claims `json:"claims"`
	Subject    string            `json:"subject,omitempty"`    // names the thing, if the schema has a subject register
	ValidFrom  string            `json:"valid_from,omitempty"` // a date; today (UTC) if empty
	ValidUntil string            `json:"valid_until"`          // a date
	// TxCode asks for a transaction code, which the clerk gives to the person by another way than the link.
	TxCode bool `json:"tx_code,omitempty"`
}

// LogValue hides a person's data from slog.
func (Application) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Offer is what the clerk hands on. Whoever has the link, and the transaction code if there is one, is the person.
type Offer struct {
	ID        string              `json:"id"`
	Link      string              `json:"link"`      // by value
	Reference string              `json:"reference"` // by reference: short enough for a QR code
	TxCode    string              `json:"tx_code,omitempty"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
}

// LogValue hides the codes from slog.
func (o Offer) LogValue() slog.Value { return slog.StringValue("offer " + o.ID) }

// txCodeDigits is the length of a transaction code; maxTries wrong ones lock the offer.
const (
	txCodeDigits = 6
	maxTries     = 5
)

// application is the row of an offer until it is worthless.
type application struct {
	ID string `json:"id"`
	Application
	ExpiresAt credential.UnixTime `json:"expires_at"` // of the code
	TxCode    string              `json:"tx_digits,omitempty"`
	Tries     int                 `json:"tries,omitempty"`
	Reference string              `json:"reference"`       // key of the row of the offer by reference
	Order     string              `json:"order,omitempty"` // id, once its credential was asked for
	Case      string              `json:"case,omitempty"`  // id, if it is of one
	// Companion is the id of the credential that a companion is offered of. Then Application has the schema and no more.
	Companion string `json:"companion,omitempty"`
}

// configuration is the id of the one credential configuration that the offer is for.
func (a application) configuration() string {
	if a.Companion != "" {
		return openid.CompanionID(a.Schema)
	}
	return a.Schema
}

// Offer checks an application and makes an offer of it. It is refused with [ErrSchema], [ErrClaim], [ErrApplication] or
// [ErrOnePerPerson].
func (i *Issuer) Offer(ctx context.Context, by Officer, a Application) (Offer, error) {
	if err := by.validate(); err != nil {
		return Offer{}, err
	}
	s, err := i.checkApplication(&a)
	if err != nil {
		return Offer{}, err
	}
	if i.cfg.Approvals[a.Schema] > 0 {
		return Offer{}, refuse(ErrApproval, "credentials of this type are offered by a case that other officers approve")
	}
	if s.OnePerPerson {
		if err := s.register.Live(a.Person, Holding{Schema: a.Schema, From: a.ValidFrom, Until: a.ValidUntil}); err != nil {
			return Offer{}, err
		}
	}
	return i.makeOffer(ctx, by, application{Application: a})
}

// makeOffer makes an offer of an application that was checked.
func (i *Issuer) makeOffer(ctx context.Context, by Officer, row application) (Offer, error) {
	code, now := webapi.RandomID(), i.cfg.Clock()
	row.ID, row.ExpiresAt = newID(now), credential.UnixTimeOf(now.Add(i.cfg.OfferLifetime))
	if row.Application.TxCode {
		row.TxCode = newTxCode()
	}
	offer, reference := i.offer(row.configuration(), code, row.TxCode), webapi.RandomID()
	link, err := offer.Link()
	if err != nil {
		return Offer{}, fmt.Errorf("make offer: %w", err)
	}
	row.Reference = referenceRow(reference)
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	tx.putUntil(tableApplication+row.ID, row, credential.UnixTimeOf(now.Add(i.cfg.OfferLifetime+i.lifetime(row.Case))))
	tx.putUntil(codeRow(code), row.ID, row.ExpiresAt)
	tx.putUntil(row.Reference, offer, row.ExpiresAt)
	verb, object, detail := DidOffer, row.ID, row.Schema
	if row.Companion != "" {
		verb, object, detail = DidOfferCompanion, row.Companion, row.ID
	}
	if err := i.note(tx, by, verb, object, detail); err != nil {
		return Offer{}, fmt.Errorf("make offer: %w", err)
	}
	if err := tx.commit(); err != nil {
		return Offer{}, fmt.Errorf("make offer: %w", err)
	}
	i.cfg.Logger.InfoContext(ctx, "offer made", slog.String("offer", row.ID), slog.String("configuration", row.configuration()))
	return Offer{row.ID, link, openid.ReferenceLink(i.cfg.URL + offersPath + reference), row.TxCode, row.ExpiresAt}, nil
}

// OfferAt is the offer that a link names by reference, until its code is used, or [ErrNotFound].
func (i *Issuer) OfferAt(reference string) (*openid.CredentialOffer, error) {
	offer := new(openid.CredentialOffer)
	switch err := begin(i.cfg.Store).get(referenceRow(reference), offer); {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(ErrNotFound, "the offer is unknown, used or expired: ask the agency for a new one")
	case err != nil:
		return nil, fmt.Errorf("look up an offer: %w", err)
	}
	return offer, nil
}

func (i *Issuer) offer(configuration, code, txCode string) openid.CredentialOffer {
	grant := openid.PreAuthorized{Code: code}
	if txCode != "" {
		grant.TxCode = &openid.TxCode{InputMode: "numeric", Length: txCodeDigits, Description: "the code that the agency gave you beside the link"}
	}
	return openid.CredentialOffer{
		CredentialIssuer: i.cfg.URL, ConfigurationIDs: []string{configuration}, Grants: openid.Grants{PreAuthorized: grant},
	}
}

// checkApplication refuses what could not be issued, and fills in today.
func (i *Issuer) checkApplication(a *Application) (*schema, error) {
	s, ok := i.schemas[a.Schema]
	if !ok {
		return nil, refuse(ErrSchema, "this agency does not issue credentials of that type")
	}
	if err := checkClaims(s.Schema, a.Claims); err != nil {
		return nil, err
	}
	if _, err := credential.EncodeText(a.Person); err != nil {
		return nil, refuse(ErrApplication, "person is missing, longer than %d bytes or not in NFC", credential.MaxText)
	}
	switch _, err := credential.EncodeText(a.Subject); {
	case s.subjects == nil && a.Subject != "":
		return nil, refuse(ErrApplication, "credentials of this type have no subject")
	case s.subjects != nil && err != nil:
		return nil, refuse(ErrApplication, "subject is missing, longer than %d bytes or not in NFC", credential.MaxText)
	}
	return s, i.checkValidity(a)
}

func (i *Issuer) checkValidity(a *Application) error {
	today := i.cfg.Clock().UTC().Format(time.DateOnly)
	if a.ValidFrom == "" {
		a.ValidFrom = today
	}
	for name, date := range map[string]string{"valid_from": a.ValidFrom, "valid_until": a.ValidUntil} {
		if t, err := time.Parse(time.DateOnly, date); err != nil || t.Format(time.DateOnly) != date {
			return refuse(ErrApplication, "%s is not a date like 2024-02-29", name)
		}
	}
	// Dates in this form compare as texts do.
	if a.ValidUntil < a.ValidFrom || a.ValidUntil < today {
		return refuse(ErrApplication, "validity ends before it begins, or before today")
	}
	return nil
}

// checkClaims refuses claims that do not fit the schema, naming the claim and never its value.
func checkClaims(s *credential.Schema, claims credential.Claims) error {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		slot, ok := s.Slot(name)
		if !ok {
			// The name is a stranger's text: it is shown only where it could be a claim's.
			if !credential.ValidName(name) || len(name) > 64 {
				name = ""
			}
			return &Refusal{Code: ErrClaim.Code, Claim: name, Detail: "the schema has no such claim"}
		}
		if _, err := s.Claims[slot].Encode(claims[name]); err != nil {
			return &Refusal{Code: ErrClaim.Code, Claim: name, Detail: fmt.Sprintf("claim %s: want %s", name, wanted(s.Claims[slot]))}
		}
	}
	for _, c := range s.Claims {
		if _, there := claims[c.Name]; !there && !c.Optional {
			return &Refusal{Code: ErrClaim.Code, Claim: c.Name, Detail: fmt.Sprintf("claim %s: missing, and the schema requires it", c.Name)}
		}
	}
	if _, err := s.Encode(claims); err != nil {
		return errors.New("claims do not fit the schema") // cannot be: the checks above are those of Encode
	}
	return nil
}

// wanted describes a claim's values.
func wanted(c credential.ClaimType) string {
	switch c.Type {
	case credential.Integer:
		if c.Scale > 0 {
			return fmt.Sprintf("a decimal number in a string, with exactly %d digits after the point", c.Scale)
		}
		return `a whole number in a string, as in "1250"`
	case credential.Date:
		return `a date, as in "2024-02-29"`
	case credential.DateTime:
		return `a time, as in "2024-02-29T12:00:00Z"`
	case credential.Boolean:
		return "true or false"
	case credential.Enum:
		return "one of the schema's values"
	}
	return fmt.Sprintf("a text of 1 to %d bytes in NFC", credential.MaxText)
}

// newID is an identifier that rises with time and cannot be guessed: 12 hexadecimal digits of milliseconds, and 80
// random bits.
func newID(now time.Time) string {
	var b [10]byte
	rand.Read(b[:])
	return fmt.Sprintf("%012x-%s", now.UnixMilli(), hex.EncodeToString(b[:]))
}

func newTxCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%0*d", txCodeDigits, n)
}
