package entry

import (
	"encoding/json"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Kind names what an entry does.
type Kind string

// Payload is the content of an entry, one Go type a kind.
type Payload interface {
	kind() Kind
	// Validate refuses content that cannot be meant, whatever the state of the chain.
	Validate() error
}

// The kinds of entries, with who signs them.
const (
	KindGenesis               Kind = "genesis"                // governance, by the keys it lists
	KindIssuerRegistered      Kind = "issuer-registered"      // governance
	KindIssuerRotated         Kind = "issuer-rotated"         // governance
	KindIssuerSuspended       Kind = "issuer-suspended"       // governance
	KindIssuerReinstated      Kind = "issuer-reinstated"      // governance
	KindSchemaPublished       Kind = "schema-published"       // governance
	KindCredentialsIssued     Kind = "credentials-issued"     // the issuer
	KindCredentialsSuspended  Kind = "credentials-suspended"  // the issuer
	KindCredentialsReinstated Kind = "credentials-reinstated" // the issuer
	KindCredentialsRevoked    Kind = "credentials-revoked"    // the issuer; final
	KindAuditAnchored         Kind = "audit-anchored"         // the issuer
	KindVerifierRegistered    Kind = "verifier-registered"    // governance
	KindPolicyRegistered      Kind = "policy-registered"      // the verifier
	KindSetRegistered         Kind = "set-registered"         // the verifier
	KindScopeRegistered       Kind = "scope-registered"       // governance
	KindVerifyingKeyListed    Kind = "verifying-key-listed"   // governance
	KindSeal                  Kind = "seal"                   // the operator
)

// MaxBatch is how many commitments or leaf indices one entry may carry.
const MaxBatch = 1000

// Suite names curve, proof system and hash together. A chain has one for life.
const Suite = "bn254-groth16-poseidon2"

// Genesis founds a chain. It lists the keys that everything else derives its authority from.
type Genesis struct {
	Version             int                 `json:"version"` // 1
	Network             string              `json:"network"` // a plain name
	Dev                 bool                `json:"dev"`     // development keys are allowed, and everybody says so
	Suite               string              `json:"suite"`
	Origin              string              `json:"origin"`  // the checkpoint origin line
	LogKey              string              `json:"log_key"` // the checkpoint verifier key, as x/mod note prints it
	OperatorKey         jose.PublicKey      `json:"operator_key"`
	GovernanceKeys      []jose.PublicKey    `json:"governance_keys"`
	GovernanceThreshold int                 `json:"governance_threshold"`
	SealIntervalSeconds int                 `json:"seal_interval_seconds"` // at most one seal in it
	SealMaximumSeconds  int                 `json:"seal_maximum_seconds"`  // at least one seal in it, even empty
	GridSeconds         int                 `json:"grid_seconds"`          // 0: every seal is on the grid (dev only)
	VerifyingKeys       []VerifyingKey      `json:"verifying_keys"`
	ClockSkewSeconds    int                 `json:"clock_skew_seconds"` // how far a seal may be ahead of a replaying clock
	Time                credential.UnixTime `json:"time"`
}

// VerifyingKey is a Groth16 verifying key that the chain accepts.
type VerifyingKey struct {
	Circuit       string              `json:"circuit"`        // its name, as in presentation-1
	CircuitDigest credential.Digest   `json:"circuit_digest"` // SHA-256 of the compiled constraint system
	KeyDigest     credential.Digest   `json:"key_digest"`     // SHA-256 of the verifying key's canonical bytes
	Transcript    credential.Digest   `json:"transcript"`     // SHA-256 of the ceremony's transcript; all zero for development keys
	NotAfter      credential.UnixTime `json:"not_after"`      // proofs under this key are refused from then on
}

// IssuerRegistered admits an agency with its keys and quota.
type IssuerRegistered struct {
	DID   string           `json:"did"`
	Name  credential.Text  `json:"name"`
	Keys  []jose.PublicKey `json:"keys"`
	Quota uint64           `json:"quota"` // how many credentials it may issue in all
	URL   string           `json:"url"`   // its credential issuer identifier (OpenID4VCI)
}

// IssuerRotated replaces an agency's keys from here on. Entries signed before stay valid.
type IssuerRotated struct {
	DID   string           `json:"did"`
	Keys  []jose.PublicKey `json:"keys"`
	Quota uint64           `json:"quota"`
}

// IssuerSuspended stops an agency's entries; it leaves every issuer set from the next seal on.
type IssuerSuspended struct {
	DID    string `json:"did"`
	Reason string `json:"reason"`
}

// IssuerReinstated takes a suspension back.
type IssuerReinstated struct {
	DID string `json:"did"`
}

// SchemaPublished registers a schema and the issuers that may use it. Publishing it again replaces that list.
type SchemaPublished struct {
	Schema  credential.Schema `json:"schema"`
	Issuers []string          `json:"issuers"`
}

// CredentialsIssued adds commitments. The ledger computes their leaves itself and gives them consecutive indices.
type CredentialsIssued struct {
	Schema      credential.Element   `json:"schema"`
	Commitments []credential.Element `json:"commitments"`
}

// CredentialsSuspended makes leaves 0 until reinstated.
type CredentialsSuspended struct {
	Leaves []uint64 `json:"leaves"` // indices in the active tree, ascending
}

// CredentialsReinstated puts suspended leaves back.
type CredentialsReinstated struct {
	Leaves []uint64 `json:"leaves"`
}

// CredentialsRevoked makes leaves 0 for good.
type CredentialsRevoked struct {
	Leaves []uint64 `json:"leaves"`
}

// AuditAnchored fixes how far an agency's audit log has come: it keeps the log to itself, and can never again show a shorter
// one or another to an auditor.
type AuditAnchored struct {
	Records uint64            `json:"records"` // how many the log has; more than when it was anchored last
	Head    credential.Digest `json:"head"`    // of the log's chain of hashes
}

// VerifierRegistered admits a relying party: who may ask, from which addresses, with which keys.
type VerifierRegistered struct {
	DID          string           `json:"did"`
	Name         credential.Text  `json:"name"`
	Keys         []jose.PublicKey `json:"keys"`          // sign its requests and its policies
	ResponseURIs []string         `json:"response_uris"` // URL prefixes that its response_uri may have, each ending in /
}

// PolicyRegistered makes public what a verifier asks for and why.
type PolicyRegistered struct {
	Policy json.RawMessage `json:"policy"` // a policy.Policy as canonical JSON
}

// MaxSetParts is how many entries a set may take.
const MaxSetParts = 16

// SetRegistered is a part of a set that policies name by its digest. The parts of a set come in order, one after the other
// among the entries of their signer that register sets; each says the same of the whole.
type SetRegistered struct {
	Set     credential.Digest `json:"set"`     // SHA-256 of the whole as a policy.SetDocument in canonical JSON
	Kind    string            `json:"kind"`    // of the whole
	Name    credential.Text   `json:"name"`    // of the whole
	Part    int               `json:"part"`    // from 0
	Parts   int               `json:"parts"`   // how many there are
	Members []string          `json:"members"` // of this part
}

// SameSet tells whether two parts say the same of the whole.
func (p SetRegistered) SameSet(o SetRegistered) bool {
	return p.Set == o.Set && p.Kind == o.Kind && p.Name == o.Name && p.Parts == o.Parts
}

// ScopeRegistered creates a shared scope: several verifiers, one pseudonym, one service that consumes it.
type ScopeRegistered struct {
	Service   string   `json:"service"`   // a plain name
	Consumer  string   `json:"consumer"`  // the DID of the verifier that keeps the tags
	Verifiers []string `json:"verifiers"` // DIDs that may ask under it
}

// VerifyingKeyListed accepts another verifying key.
type VerifyingKeyListed struct {
	Key VerifyingKey `json:"key"`
}

// Seal closes a block: everything up to here is in effect.
type Seal struct {
	Height     uint64              `json:"height"`         // from 0
	Time       credential.UnixTime `json:"time"`           // strictly rising, never ahead of a replaying clock
	Previous   credential.Digest   `json:"previous"`       // digest of the previous seal's entry; of the genesis entry at height 0
	PreviousAt uint64              `json:"previous_index"` // its log index
	ActiveRoot credential.Element  `json:"active_root"`
	Leaves     uint64              `json:"leaves"`   // how many leaves were ever issued
	Registry   credential.Digest   `json:"registry"` // digest of the [Registry] in effect
	Census     credential.Digest   `json:"census"`   // digest of the [Census] in effect
}

func (Genesis) kind() Kind               { return KindGenesis }
func (IssuerRegistered) kind() Kind      { return KindIssuerRegistered }
func (IssuerRotated) kind() Kind         { return KindIssuerRotated }
func (IssuerSuspended) kind() Kind       { return KindIssuerSuspended }
func (IssuerReinstated) kind() Kind      { return KindIssuerReinstated }
func (SchemaPublished) kind() Kind       { return KindSchemaPublished }
func (CredentialsIssued) kind() Kind     { return KindCredentialsIssued }
func (CredentialsSuspended) kind() Kind  { return KindCredentialsSuspended }
func (CredentialsReinstated) kind() Kind { return KindCredentialsReinstated }
func (CredentialsRevoked) kind() Kind    { return KindCredentialsRevoked }
func (AuditAnchored) kind() Kind         { return KindAuditAnchored }
func (VerifierRegistered) kind() Kind    { return KindVerifierRegistered }
func (PolicyRegistered) kind() Kind      { return KindPolicyRegistered }
func (SetRegistered) kind() Kind         { return KindSetRegistered }
func (ScopeRegistered) kind() Kind       { return KindScopeRegistered }
func (VerifyingKeyListed) kind() Kind    { return KindVerifyingKeyListed }
func (Seal) kind() Kind                  { return KindSeal }

// ParsePayload decodes and validates the payload of an entry as the type of its kind (a value, not a pointer).
func (e *Entry) ParsePayload() (Payload, error) { return ParsePayload(e.Header().Kind, e.Payload) }

// ParsePayload decodes and validates canonical JSON as the payload of a kind.
func ParsePayload(kind Kind, text []byte) (Payload, error) {
	parse, ok := parsers[kind]
	if !ok {
		return nil, fmt.Errorf("kind %.100q is not known: %w", kind, ErrMalformed)
	}
	p, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", kind, ErrMalformed, err)
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", kind, ErrMalformed, err)
	}
	return p, nil
}

// KindOf is the kind of a payload.
func KindOf(p Payload) Kind { return p.kind() }

var parsers = map[Kind]func([]byte) (Payload, error){
	KindGenesis:               parseAs[Genesis],
	KindIssuerRegistered:      parseAs[IssuerRegistered],
	KindIssuerRotated:         parseAs[IssuerRotated],
	KindIssuerSuspended:       parseAs[IssuerSuspended],
	KindIssuerReinstated:      parseAs[IssuerReinstated],
	KindSchemaPublished:       parseAs[SchemaPublished],
	KindCredentialsIssued:     parseAs[CredentialsIssued],
	KindCredentialsSuspended:  parseAs[CredentialsSuspended],
	KindCredentialsReinstated: parseAs[CredentialsReinstated],
	KindCredentialsRevoked:    parseAs[CredentialsRevoked],
	KindAuditAnchored:         parseAs[AuditAnchored],
	KindVerifierRegistered:    parseAs[VerifierRegistered],
	KindPolicyRegistered:      parseAs[PolicyRegistered],
	KindSetRegistered:         parseAs[SetRegistered],
	KindScopeRegistered:       parseAs[ScopeRegistered],
	KindVerifyingKeyListed:    parseAs[VerifyingKeyListed],
	KindSeal:                  parseAs[Seal],
}

func parseAs[P Payload](text []byte) (Payload, error) {
	var p P
	err := credential.ParseCanonical(text, &p)
	return p, err
}
