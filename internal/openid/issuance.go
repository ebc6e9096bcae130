// Package openid has the wire types of OpenID for Verifiable Credential Issuance 1.0 and for Verifiable Presentations
// 1.0, as far as we use them, and our profile of both: the format [Format], its proof type and its presentation. The
// profile is written down in doc/spec/openid.md. Only types, links and what both sides must compute alike live here.
package openid

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Identifiers of our profile.
const (
	Format    = "vnd.bulla.zkc+json"       // credential and presentation format
	ProofType = "vnd.bulla.zkc_commitment" // proof type and binding method of issuance
	Locale    = "zh-CN"                    // the first of our display locales
)

// Identifiers of the companion credentials (doc/spec/sdjwt.md), for wallets that know nothing of our profile.
const (
	CompanionFormat    = "dc+sd-jwt"
	CompanionProofType = "jwt" // OpenID4VCI 1.0 appendix F.1
	CompanionBinding   = "jwk"
)

// PreAuthorizedGrant is the grant type of offers.
const PreAuthorizedGrant = "urn:ietf:params:oauth:grant-type:pre-authorized_code"

// CredentialOffer is what an issuer hands to a person, as a link or QR code.
type CredentialOffer struct {
	CredentialIssuer string   `json:"credential_issuer"`
	ConfigurationIDs []string `json:"credential_configuration_ids"`
	Grants           Grants   `json:"grants"`
}

// Grants holds the one grant we use.
type Grants struct {
	PreAuthorized PreAuthorized `json:"urn:ietf:params:oauth:grant-type:pre-authorized_code"`
}

// PreAuthorized carries the code that stands for the person.
type PreAuthorized struct {
	Code   string  `json:"pre-authorized_code"`
	TxCode *TxCode `json:"tx_code,omitempty"`
}

// TxCode says that a code sent by another way is needed too.
type TxCode struct {
	InputMode   string `json:"input_mode,omitempty"` // numeric or text
	Length      int    `json:"length,omitempty"`
	Description string `json:"description,omitempty"`
}

const (
	offerScheme   = "openid-credential-offer://"
	requestScheme = "openid4vp://"
	maxLink       = 16 << 10
)

// ReferenceLink is an offer by reference: the address is where wallets fetch it.
func ReferenceLink(address string) string {
	return offerScheme + "?" + url.Values{"credential_offer_uri": {address}}.Encode()
}

// Link is the offer by value.
func (o CredentialOffer) Link() (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode offer: %w", err)
	}
	return offerScheme + "?" + url.Values{"credential_offer": {string(text)}}.Encode(), nil
}

// ParseOfferLink reads an offer link. By reference it returns the URL to fetch the offer from instead.
func ParseOfferLink(link string) (offer *CredentialOffer, reference string, err error) {
	values, err := parseLink(link, offerScheme)
	if err != nil {
		return nil, "", err
	}
	switch value, ref := values.Get("credential_offer"), values.Get("credential_offer_uri"); {
	case (value == "") == (ref == ""):
		return nil, "", fmt.Errorf("offer link has neither or both of credential_offer and credential_offer_uri")
	case ref != "":
		return nil, ref, nil
	default:
		offer = new(CredentialOffer)
		if err := json.Unmarshal([]byte(value), offer); err != nil {
			return nil, "", fmt.Errorf("offer link: %w", err)
		}
		return offer, "", nil
	}
}

func parseLink(link, scheme string) (url.Values, error) {
	if len(link) > maxLink {
		return nil, fmt.Errorf("link of %d bytes, at most %d", len(link), maxLink)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(link), scheme)
	if !ok {
		return nil, fmt.Errorf("link does not start with %s", scheme)
	}
	_, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return values, nil
}

// WellKnown inserts a well-known path between host and path of an identifier, as OpenID4VCI and RFC 8414 ask.
func WellKnown(identifier, name string) (string, error) {
	u, err := url.Parse(identifier)
	// Escapes would not survive the insertion: another path would be asked for.
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" || u.EscapedPath() != u.Path {
		return "", fmt.Errorf("identifier %.200q is not an absolute URL with a plain path", identifier)
	}
	u.Path = "/.well-known/" + name + strings.TrimSuffix(u.Path, "/")
	return u.String(), nil
}

// Names under /.well-known/.
const (
	IssuerWellKnown = "openid-credential-issuer"
	ServerWellKnown = "oauth-authorization-server"
	KeysWellKnown   = "jwt-vc-issuer" // SD-JWT VC: the keys that companion credentials are signed with
)

// IssuerMetadata describes a credential issuer.
type IssuerMetadata struct {
	CredentialIssuer     string                             `json:"credential_issuer"`
	CredentialEndpoint   string                             `json:"credential_endpoint"`
	NonceEndpoint        string                             `json:"nonce_endpoint"`
	DeferredEndpoint     string                             `json:"deferred_credential_endpoint,omitempty"`
	NotificationEndpoint string                             `json:"notification_endpoint,omitempty"`
	Display              []Display                          `json:"display,omitempty"`
	Configurations       map[string]CredentialConfiguration `json:"credential_configurations_supported"`
}

// Display is a name in one language.
type Display struct {
	Name   string `json:"name"`
	Locale string `json:"locale"`
}

// DisplayOf lists a text in our languages.
func DisplayOf(t credential.Text) []Display {
	return []Display{{t.In("zh-CN"), "zh-CN"}, {t.In("en"), "en"}}
}

// CredentialConfiguration describes one kind of credential in one format. Its id is the schema's type, or what
// [CompanionID] makes of that.
type CredentialConfiguration struct {
	Format             string                   `json:"format"`
	Scope              string                   `json:"scope,omitempty"`
	BindingMethods     []string                 `json:"cryptographic_binding_methods_supported"`
	ProofTypes         map[string]ProofTypeInfo `json:"proof_types_supported"`
	SigningAlgorithms  []string                 `json:"credential_signing_alg_values_supported,omitempty"` // of formats that are signed as a whole
	CredentialMetadata CredentialMetadata       `json:"credential_metadata"`                               // always present
	VCT                string                   `json:"vct,omitempty"`                                     // of [CompanionFormat]
	*OnChain                                    // of [Format], and nil in others
}

// OnChain is what a configuration of our own format has besides.
type OnChain struct {
	Type                  string             `json:"type"` // the schema's type
	Schema                credential.Element `json:"schema"`
	Issuer                string             `json:"issuer"` // DID on the chain
	Genesis               credential.Digest  `json:"genesis"`
	EnrolmentRegister     string             `json:"enrolment_register"`
	EnrolmentVerifyingKey credential.Digest  `json:"enrolment_verifying_key"`
}

// CompanionID is the id of the configuration of a schema's companions. A type has no plus sign, so no other schema's id
// is the same.
func CompanionID(schemaType string) string { return schemaType + "+sd-jwt" }

// ProofTypeInfo lists algorithms, which the standard demands for every proof type.
type ProofTypeInfo struct {
	SigningAlgorithms []string `json:"proof_signing_alg_values_supported"`
}

// CredentialMetadata is for people.
type CredentialMetadata struct {
	Display []Display       `json:"display,omitempty"`
	Claims  []ClaimMetadata `json:"claims,omitempty"`
}

// ClaimMetadata names one claim.
type ClaimMetadata struct {
	Path      []string  `json:"path"`
	Mandatory bool      `json:"mandatory,omitempty"`
	Display   []Display `json:"display,omitempty"`
}

// ServerMetadata is the authorization server's (RFC 8414).
type ServerMetadata struct {
	Issuer                    string   `json:"issuer"`
	TokenEndpoint             string   `json:"token_endpoint"`
	GrantTypes                []string `json:"grant_types_supported"`
	AnonymousPreAuthorization bool     `json:"pre-authorized_grant_anonymous_access_supported"`
	DPoPAlgorithms            []string `json:"dpop_signing_alg_values_supported,omitempty"` // RFC 9449: tokens can be bound to a key
	// Of a server that has other clients than wallets, too.
	KeysURL        string   `json:"jwks_uri,omitempty"`
	Scopes         []string `json:"scopes_supported,omitempty"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	AuthAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
}

// TokenResponse answers a pre-authorized code.
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"` // Bearer, or DPoP
	ExpiresIn   int    `json:"expires_in"` // seconds
	// Details are there if the request had some: then a credential is asked for by an identifier of them.
	Details []AuthorizationDetail `json:"authorization_details,omitempty"`
}

// CredentialDetail is the type of our authorization details (RFC 9396, OpenID4VCI 1.0 section 5.1.1).
const CredentialDetail = "openid_credential"

// AuthorizationDetail asks for a kind of credential and, in an answer, names the credentials that can be had.
type AuthorizationDetail struct {
	Type          string   `json:"type"`
	Configuration string   `json:"credential_configuration_id"`
	Identifiers   []string `json:"credential_identifiers,omitempty"`
}

// Error is how OAuth and OpenID endpoints refuse. The description is printable ASCII.
type Error struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// Error makes it a Go error.
func (e *Error) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// NonceResponse carries a nonce for one credential request.
type NonceResponse struct {
	Nonce string `json:"c_nonce"`
}

// CredentialRequest asks for one credential, by its configuration or by an identifier from the token response.
type CredentialRequest struct {
	ConfigurationID string                     `json:"credential_configuration_id,omitempty"`
	Identifier      string                     `json:"credential_identifier,omitempty"`
	Proofs          map[string]json.RawMessage `json:"proofs"` // exactly one member, by proof type, with a list of one proof
}

// Proofs are the proofs of a request: one, of one type.
func Proofs(proofType string, proof any) (map[string]json.RawMessage, error) {
	list, err := json.Marshal([]any{proof})
	return map[string]json.RawMessage{proofType: list}, err
}

// EnrolmentProof shows that the holder commitment opens under the master secret whose pseudonym in the enrolment
// register is Pseudonym, fresh for this issuer and nonce.
type EnrolmentProof struct {
	HolderCommitment credential.Element `json:"holder_commitment"`
	Pseudonym        credential.Element `json:"pseudonym"`
	Nonce            string             `json:"nonce"`
	VerifyingKey     credential.Digest  `json:"verifying_key"`
	Proof            string             `json:"proof"` // base64url, 128 bytes
}

// EnrolmentChallenge is what an enrolment proof is bound to.
type EnrolmentChallenge struct {
	Version       int               `json:"version"` // 1
	Purpose       string            `json:"purpose"` // "enrol"
	Genesis       credential.Digest `json:"genesis"`
	VerifyingKey  credential.Digest `json:"verifying_key"`
	Audience      string            `json:"audience"` // the credential issuer identifier
	Configuration string            `json:"configuration"`
	Nonce         string            `json:"nonce"`
}

// Element is the challenge as a public input.
func (c EnrolmentChallenge) Element() (credential.Element, error) {
	c.Version, c.Purpose = 1, "enrol"
	return credential.Challenge(c)
}

// CredentialResponse carries the credential or, with status 202, what to ask for it with later.
type CredentialResponse struct {
	Credentials  []CredentialItem `json:"credentials,omitempty"`
	Notification string           `json:"notification_id,omitempty"`
	Transaction  string           `json:"transaction_id,omitempty"`
	Interval     int              `json:"interval,omitempty"` // seconds to wait at least
}

// DeferredRequest asks for a credential that was not there yet.
type DeferredRequest struct {
	Transaction string `json:"transaction_id"`
}

// Notification tells an issuer what became of a credential.
type Notification struct {
	ID    string `json:"notification_id"`
	Event string `json:"event"` // one of NotificationEvents
}

// CredentialItem wraps one credential, as the standard does: an object or a text, as its format has it.
type CredentialItem struct {
	Credential json.RawMessage `json:"credential"`
}

// Item wraps a credential: an [IssuedCredential], or the text of a companion.
func Item(issued any) (CredentialItem, error) {
	text, err := json.Marshal(issued)
	return CredentialItem{text}, err
}

// IssuedCredential is a credential as handed to a wallet: everything that its commitment covers but master secret and
// blinding, and where it is on the chain.
type IssuedCredential struct {
	Version          int                `json:"version"` // 1
	Genesis          credential.Digest  `json:"genesis"`
	Issuer           string             `json:"issuer"` // DID
	Schema           credential.Schema  `json:"schema"`
	HolderCommitment credential.Element `json:"holder_commitment"`
	Claims           credential.Claims  `json:"claims"`
	ValidFrom        string             `json:"valid_from"`  // a date; from its first second, UTC
	ValidUntil       string             `json:"valid_until"` // a date; until its first second, UTC
	SubjectKey       credential.Secret  `json:"subject_key"` // 0 if the schema has no subject register
	Salt             credential.Secret  `json:"salt"`
	Leaf             uint64             `json:"leaf"` // index in the active tree
	Receipt          entry.Receipt      `json:"receipt"`
	Entry            string             `json:"entry"` // base64url: the entry that issued it, which the receipt proves
}

// Envelope is the credential's validity, subject key and salt, encoded.
func (c *IssuedCredential) Envelope() (credential.Envelope, error) {
	e := credential.Envelope{SubjectKey: c.SubjectKey, Salt: c.Salt}
	for _, bound := range []struct {
		text   string
		target *uint64
	}{{c.ValidFrom, &e.ValidFrom}, {c.ValidUntil, &e.ValidUntil}} {
		t, err := time.Parse(time.DateOnly, bound.text)
		if err != nil {
			return e, fmt.Errorf("validity bound %.100q is not a date", bound.text)
		}
		*bound.target = credential.EncodeTime(t)
	}
	return e, e.Validate()
}

// Commitment computes C and L of the credential; the claims must fit the schema.
func (c *IssuedCredential) Commitment() (commitment, leaf credential.Element, err error) {
	schemaID, err := c.Schema.ID() // which validates it
	if err != nil {
		return commitment, leaf, err
	}
	slots, err := c.Schema.Encode(c.Claims)
	if err != nil {
		return commitment, leaf, err
	}
	envelope, err := c.Envelope()
	if err != nil {
		return commitment, leaf, err
	}
	commitment = credential.Commitment(c.HolderCommitment, credential.ClaimsRoot(slots), envelope.Root())
	return commitment, credential.Leaf(credential.IssuerID(c.Issuer), schemaID, commitment), nil
}

// EncodeBytes is how byte strings stand in our JSON: base64url without padding.
func EncodeBytes(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// NotificationEvents are what a wallet can tell an issuer of a credential (OpenID4VCI 1.0 section 11.1).
var NotificationEvents = []string{"credential_accepted", "credential_failure", "credential_deleted"}
