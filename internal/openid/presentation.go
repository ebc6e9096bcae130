package openid

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// Values of request objects.
const (
	RequestType     = "oauth-authz-req+jwt"       // typ of the JWT
	SelfIssued      = "https://self-issued.me/v2" // aud, as the wallet is not known
	ClientIDPrefix  = "decentralized_identifier:" // client_id is this and the registered DID
	PolicyInfo      = "vnd.bulla.policy+json"     // format of our verifier_info
	ProofSystem     = "groth16-bn254"             // system of zk_system_type
	ResultType      = "presentation-result+jwt"   // typ of the signed result
	MaxLifetime     = 15 * 60                     // seconds between iat and exp, at most
	ProofSize       = 128                         // bytes of a proof on the wire
	maxRequestBytes = 192 << 10
)

// RequestObject is the payload of a signed request. Unknown members are ignored, as the standard asks.
type RequestObject struct {
	ClientID       string              `json:"client_id"`
	ResponseType   string              `json:"response_type"` // vp_token
	ResponseMode   string              `json:"response_mode"` // direct_post
	ResponseURI    string              `json:"response_uri"`
	Nonce          string              `json:"nonce"`
	State          string              `json:"state"`
	Audience       string              `json:"aud"`
	IssuedAt       credential.UnixTime `json:"iat"`
	ExpiresAt      credential.UnixTime `json:"exp"`
	Query          DCQL                `json:"dcql_query"`
	ClientMetadata ClientMetadata      `json:"client_metadata"`
	VerifierInfo   []VerifierInfo      `json:"verifier_info"` // one, with our policy
}

// ClientMetadata says what the verifier can read.
type ClientMetadata struct {
	Formats map[string]FormatInfo `json:"vp_formats_supported"`
}

// FormatInfo is our entry in vp_formats_supported.
type FormatInfo struct {
	Systems           []string `json:"zk_systems"`
	StatementVersions []int    `json:"statement_versions"`
}

// OurFormats is the one value of vp_formats_supported we send.
func OurFormats() map[string]FormatInfo {
	return map[string]FormatInfo{Format: {Systems: []string{ProofSystem}, StatementVersions: []int{1}}}
}

// VerifierInfo carries the registered policy, whole, so that the wallet can hold the statements to it.
type VerifierInfo struct {
	Format string          `json:"format"`
	Data   json.RawMessage `json:"data"`
}

// DCQL is the query.
type DCQL struct {
	Credentials []CredentialQuery `json:"credentials"`
}

// CredentialQuery asks for one presentation. Its id is the query's of the policy.
type CredentialQuery struct {
	ID     string `json:"id"`
	Format string `json:"format"`
	Meta   Meta   `json:"meta"`
}

// Meta is the part of a query that our format defines.
type Meta struct {
	TypeValues []string         `json:"type_values"` // the schema's type
	Statement  policy.Statement `json:"statement"`
	Systems    []System         `json:"zk_system_type"` // exactly one: the request names the circuit, the wallet never chooses
}

// System names circuit and key of a proof.
type System struct {
	ID            string            `json:"id"`
	System        string            `json:"system"`
	Circuit       string            `json:"circuit"`
	CircuitDigest credential.Digest `json:"circuit_digest"`
	VerifyingKey  credential.Digest `json:"verifying_key"`
}

// ChallengeInput is everything that a response is bound to. The wallet makes it from the request it read, the
// verifier from the request it stored.
type ChallengeInput struct {
	Version     int               `json:"version"` // 1
	Genesis     credential.Digest `json:"genesis"`
	ClientID    string            `json:"client_id"`
	Nonce       string            `json:"nonce"`
	ResponseURI string            `json:"response_uri"`
	// KeyThumbprint is the RFC 7638 thumbprint of the key that the response is encrypted to; empty for direct_post.
	KeyThumbprint string              `json:"response_key"`
	IssuedAt      credential.UnixTime `json:"issued_at"`
	ExpiresAt     credential.UnixTime `json:"expires_at"`
	Queries       []CredentialQuery   `json:"queries"`
}

// Challenge is the public input that binds a response to the request and chain.
func (r *RequestObject) Challenge(genesis credential.Digest) (credential.Element, error) {
	return credential.Challenge(ChallengeInput{
		Version: 1, Genesis: genesis, ClientID: r.ClientID, Nonce: r.Nonce, ResponseURI: r.ResponseURI,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt, Queries: r.Query.Credentials,
	})
}

// RequestLink is the link or QR code that starts a presentation.
func RequestLink(clientID, requestURI string) string {
	return requestScheme + "?" + url.Values{"client_id": {clientID}, "request_uri": {requestURI}}.Encode()
}

// ParseRequestLink reads such a link.
func ParseRequestLink(link string) (clientID, requestURI string, err error) {
	values, err := parseLink(link, requestScheme)
	if err != nil {
		return "", "", err
	}
	clientID, requestURI = values.Get("client_id"), values.Get("request_uri")
	if clientID == "" || requestURI == "" {
		return "", "", fmt.Errorf("request link lacks client_id or request_uri")
	}
	return clientID, requestURI, nil
}

// VerifierDID is the DID in a client_id.
func VerifierDID(clientID string) (string, error) {
	did, ok := strings.CutPrefix(clientID, ClientIDPrefix)
	if !ok || !strings.HasPrefix(did, "did:") {
		return "", fmt.Errorf("client_id %.100q is not %s and a DID", clientID, ClientIDPrefix)
	}
	return did, nil
}

// RequestKeyID is the kid of a request: a DID URL of the registered key.
func RequestKeyID(did, keyID string) string { return did + "#" + keyID }

// ParseRequestObject decodes the payload of a request whose signature was verified.
func ParseRequestObject(payload []byte) (*RequestObject, error) {
	if len(payload) > maxRequestBytes {
		return nil, fmt.Errorf("request of %d bytes, at most %d", len(payload), maxRequestBytes)
	}
	if _, err := credential.CanonicalJSON(payload); err != nil { // duplicate keys, text not in NFC
		return nil, fmt.Errorf("request: %w", err)
	}
	var r RequestObject
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return &r, nil
}

// VPToken is the response: for each query its presentations (exactly one).
type VPToken map[string][]Presentation

// Presentation is what a wallet sends for one query. Everything else the verifier knows or computes itself.
type Presentation struct {
	System     string             `json:"zk_system"` // id of the system in the query
	Proof      string             `json:"proof"`     // base64url, 128 bytes
	Root       credential.Element `json:"root"`      // active root the path leads to
	N          credential.Element `json:"n"`         // 31 random bytes, the same in the whole response
	Link       credential.Element `json:"link"`      // the same in the whole response
	Item       credential.Element `json:"item"`      // distinct in the response
	Pseudonym  credential.Element `json:"pseudonym"`
	SubjectTag credential.Element `json:"subject_tag"`
	Disclosed  credential.Claims  `json:"disclosed,omitempty"`
}

// MaxResponse bounds a response, in bytes.
const MaxResponse = 64 << 10

// maxPresentations is more than a request asks for and than fit into a response with proofs. Empty ones take three bytes each
// there, and a thousand times that here.
const maxPresentations = 128

// ParseVPToken reads a response strictly: our format is ours to be strict about.
func ParseVPToken(text []byte) (VPToken, error) {
	if len(text) > MaxResponse {
		return nil, fmt.Errorf("response of %d bytes, at most %d", len(text), MaxResponse)
	}
	var all map[string][]json.RawMessage
	if json.Unmarshal(text, &all) == nil { // else the strict parser says what is wrong
		count := 0
		for _, list := range all {
			count += len(list)
		}
		if count > maxPresentations {
			return nil, fmt.Errorf("response of %d presentations, at most %d", count, maxPresentations)
		}
	}
	var canonical VPToken
	if credential.ParseCanonical(text, &canonical) == nil { // most are, and that is read in a fraction of the time
		return canonical, nil
	}
	var token VPToken
	if err := credential.ParseStrict(text, &token); err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	return token, nil
}

// DirectPostAnswer is what the verifier answers to a response it accepted for checking.
type DirectPostAnswer struct {
	RedirectURI string `json:"redirect_uri,omitempty"`
}
