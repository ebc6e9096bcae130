package wallet

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
)

// documentVersion is the version of the vault's document that we write and read.
const documentVersion = 1

// Limits of a vault. What grows without the person's doing loses its oldest part; credentials never do.
const (
	maxDocument    = 5 << 19   // bytes of canonical JSON: 2.5 MiB
	roomToReceive  = 192 << 10 // free bytes that a wallet demands before it asks for a credential
	maxCredentials = 500
	maxPending     = 50
	maxAnswered    = 2000
	maxRevealed    = 2000
	maxEvents      = 500
)

// document is all that a vault keeps, as canonical JSON. A document never changes once the vault has it: changes make a
// new one ([Vault.update]).
type document struct {
	Version     int               `json:"version"`
	Genesis     credential.Digest `json:"genesis"`
	Master      credential.Secret `json:"master"`
	Saves       uint64            `json:"saves"`   // how often it was saved, so that no two savings have the same bytes
	NextID      uint64            `json:"next_id"` // of credentials and pending ones
	Chain       string            `json:"chain"`   // what the ledger client remembers; empty before the first update
	Credentials []Credential      `json:"credentials,omitempty"`
	Pending     []pending         `json:"pending,omitempty"`
	Answered    []answered        `json:"answered,omitempty"`
	Revealed    []revealed        `json:"revealed,omitempty"`
	Events      []Event           `json:"events,omitempty"`
	// Sets are those that revealed facts name, so that they can be told and compared later.
	Sets []policy.SetDocument `json:"sets,omitempty"`
}

// Credential is a credential as the wallet keeps it: what the issuer handed over, with receipt and entry, and the
// blinding. Whoever has it and the master secret can present it.
type Credential struct {
	ID       string                  `json:"id"`
	Blinding credential.Secret       `json:"blinding"`
	Issued   openid.IssuedCredential `json:"issued"`
	Received credential.UnixTime     `json:"received"`
	State    State                   `json:"state"` // as last seen
	Checked  credential.UnixTime     `json:"checked"`
}

// LogValue hides the credential from slog.
func (Credential) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Format hides the credential from fmt.
func (c Credential) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "credential %s [redacted]", c.ID) }

// pending is a credential that was asked for and not kept yet. It is saved before asking, so that a crash does not lose
// the blinding of a credential that the chain already has.
type pending struct {
	ID            string              `json:"id"`
	Issuer        string              `json:"issuer"` // credential issuer identifier
	Configuration string              `json:"configuration"`
	Code          credential.Digest   `json:"code"` // of the pre-authorized code
	Blinding      credential.Secret   `json:"blinding"`
	Token         string              `json:"token,omitempty"`       // access token, once there is one
	Key           []byte              `json:"key,omitempty"`         // seed of the key that the token is bound to, of this receiving only; empty: a bearer token
	Transaction   string              `json:"transaction,omitempty"` // what to ask again with, once the agency took the request
	TokenEnds     credential.UnixTime `json:"token_ends"`
	Started       credential.UnixTime `json:"started"`
}

// answered is a nonce that was answered or refused.
type answered struct {
	Verifier string              `json:"verifier"`
	Nonce    string              `json:"nonce"`
	At       credential.UnixTime `json:"at"`
}

// parseDocument reads what encode wrote: canonical, of our version, and true to itself.
func parseDocument(text []byte) (*document, error) {
	if len(text) > maxDocument {
		return nil, fmt.Errorf("vault has %d bytes, at most %d", len(text), maxDocument)
	}
	d := new(document)
	if err := credential.ParseCanonical(text, d); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return d, d.validate()
}

func (d *document) validate() error {
	switch {
	case d.Version != documentVersion:
		return fmt.Errorf("vault of version %d, this program reads %d", d.Version, documentVersion)
	case d.Master.IsZero() || d.Genesis.IsZero():
		return errors.New("vault has no master secret or no genesis")
	case len(d.Credentials) > maxCredentials || len(d.Pending) > maxPending || len(d.Answered) > maxAnswered ||
		len(d.Revealed) > maxRevealed || len(d.Events) > maxEvents || len(d.Chain) > 1<<20:
		return errors.New("vault has more in it than we ever write")
	}
	if err := d.validateSets(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i := range d.Credentials {
		c := &d.Credentials[i]
		if seen[c.ID] {
			return fmt.Errorf("vault has two credentials %.100q", c.ID)
		}
		seen[c.ID] = true
		if err := d.validateCredential(c); err != nil {
			return fmt.Errorf("credential %.100q in the vault: %w", c.ID, err)
		}
	}
	return nil
}

// validateCredential holds a kept credential to the master secret and its own schema.
func (d *document) validateCredential(c *Credential) error {
	if credential.HolderCommitment(d.Master, c.Blinding) != c.Issued.HolderCommitment {
		return errors.New("it does not belong to the vault's master secret")
	}
	if c.Issued.Version != 1 || c.Issued.Genesis != d.Genesis {
		return errors.New("it is of another version or chain")
	}
	if _, _, err := c.Issued.Commitment(); err != nil {
		return errors.New("its claims or its validity do not fit its schema") // not the cause, which may quote claims
	}
	return nil
}

func (d *document) encode() ([]byte, error) {
	text, err := credential.Canonical(d)
	if err != nil {
		return nil, fmt.Errorf("encode vault: %w", err)
	}
	if len(text) > maxDocument {
		return nil, refuse(CodeVaultFull, nil, "the vault would have %d bytes, at most %d", len(text), maxDocument)
	}
	return text, nil
}

// newID is the next free name of a credential.
func (d *document) newID() string {
	d.NextID++
	return strconv.FormatUint(d.NextID, 10)
}

func (d *document) credential(id string) (*Credential, bool) {
	i := slices.IndexFunc(d.Credentials, func(c Credential) bool { return c.ID == id })
	if i < 0 {
		return nil, false
	}
	return &d.Credentials[i], true
}

func (d *document) wasAnswered(verifier, nonce string) bool {
	return slices.ContainsFunc(d.Answered, func(a answered) bool { return a.Verifier == verifier && a.Nonce == nonce })
}

// appendBounded drops the oldest elements of a list that would grow beyond its limit.
func appendBounded[T any](list []T, limit int, more ...T) []T {
	list = append(list, more...)
	return slices.Delete(list, 0, max(0, len(list)-limit))
}
