package openid

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
)

// Values of request objects.
const (
	RequestType     = "oauth-authz-req+jwt"       // typ of the JWT
	SelfIssued      = "https://self-issued.me/v2" // aud, as the wallet is not known
	PolicyInfo      = "vnd.bulla.policy+json"     // format of our verifier_info
	SetsInfo        = "vnd.bulla.sets+json"       // format of the second one, where the policy names sets
	ProofSystem     = "groth16-bn254"             // system of zk_system_type
	ResultType      = "presentation-result+jwt"   // typ of the signed result
	MaxLifetime     = 15 * 60                     // seconds between iat and exp, at most
	ProofSize       = 128                         // bytes of a proof on the wire
	maxRequestBytes = 192 << 10
)

// Response modes of requests.
const (
	DirectPost    = "direct_post"     // the response's parameters are posted as a form
	DirectPostJWT = "direct_post.jwt" // they are encrypted to a key of the request, and that is posted as "response"
)

// RequestObject is the payload of a signed request. Unknown members are ignored, as the standard asks.
type RequestObject struct {
	ClientID       string              `json:"client_id"`
	ResponseType   string              `json:"response_type"` // vp_token
	ResponseMode   string              `json:"response_mode"` // direct_post or direct_post.jwt
	ResponseURI    string              `json:"response_uri"`
	Nonce          string              `json:"nonce"`
	WalletNonce    string              `json:"wallet_nonce,omitempty"` // what the wallet posted when it fetched the request
	State          string              `json:"state"`
	Audience       string              `json:"aud"`
	IssuedAt       credential.UnixTime `json:"iat"`
	ExpiresAt      credential.UnixTime `json:"exp"`
	Query          DCQL                `json:"dcql_query"`
	ClientMetadata ClientMetadata      `json:"client_metadata"`
	VerifierInfo   []VerifierInfo      `json:"verifier_info"` // our policy, and where its sets are if it names any

	// What must not be there: no type of transaction data is known to us, and nobody is sent on by redirect_uri.
	TransactionData json.RawMessage `json:"transaction_data,omitempty"`
	RedirectURI     json.RawMessage `json:"redirect_uri,omitempty"`
}

// ClientMetadata says what the verifier can read.
type ClientMetadata struct {
	Formats     map[string]FormatInfo `json:"vp_formats_supported"`
	Keys        *EncryptionKeys       `json:"jwks,omitempty"` // that the response is encrypted to: one, of this request only
	Encryptions []string              `json:"encrypted_response_enc_values_supported,omitempty"`
}

// FormatInfo is an entry in vp_formats_supported.
type FormatInfo struct {
	Systems           []string `json:"zk_systems,omitempty"`
	StatementVersions []int    `json:"statement_versions,omitempty"`
	// Of dc+sd-jwt, these instead.
	SDJWT   []jose.Algorithm `json:"sd-jwt_alg_values,omitempty"`
	Binding []jose.Algorithm `json:"kb-jwt_alg_values,omitempty"`
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

// SetsLocation says where the sets that a policy names are served, by digest: below this address, which ends in a slash.
type SetsLocation struct {
	URI string `json:"uri"`
}

// RegisteredPolicy is the policy that the request carries, and where its sets are: empty if it names none.
func (r *RequestObject) RegisteredPolicy() (p *policy.Policy, setsURI string, err error) {
	return r.ReadPolicy(policy.Parse)
}

// ReadPolicy is RegisteredPolicy for callers that know a policy by its text.
func (r *RequestObject) ReadPolicy(parse func(text []byte) (*policy.Policy, error)) (p *policy.Policy, setsURI string, err error) {
	infos := r.VerifierInfo
	if len(infos) == 0 || len(infos) > 2 || infos[0].Format != PolicyInfo || len(infos) == 2 && infos[1].Format != SetsInfo {
		return nil, "", errors.New("verifier_info must have the policy, where its sets are, and nothing else")
	}
	if p, err = parse(infos[0].Data); err != nil {
		return nil, "", fmt.Errorf("verifier_info: %w", err)
	}
	if named := len(p.SetUses()) > 0; named != (len(infos) == 2) {
		return nil, "", errors.New("verifier_info must say where sets are if, and only if, the policy names any")
	}
	if len(infos) == 1 {
		return p, "", nil
	}
	var at SetsLocation
	if err := credential.ParseStrict(infos[1].Data, &at); err != nil {
		return nil, "", fmt.Errorf("verifier_info: where the sets are: %w", err)
	}
	if at.URI == "" || !strings.HasSuffix(at.URI, "/") {
		return nil, "", errors.New("verifier_info: where the sets are: want an address that ends in a slash")
	}
	return p, at.URI, nil
}

// DCQL is the query. In JSON the companions follow the others in credentials: companion.go.
type DCQL struct {
	Credentials []CredentialQuery
	Companions  []CompanionQuery // each may be answered instead of one of Credentials
	Sets        []CredentialSet  // that say so
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
	// Queries are those of our format. What else stands in credentials follows from their statements.
	Queries []CredentialQuery `json:"queries"`
}

// Challenge is the public input that binds a response to the request and chain. wallet_nonce is not in it: the request is
// signed anew for each wallet that fetches it, and stays one.
func (r *RequestObject) Challenge(genesis credential.Digest) (credential.Element, error) {
	in := ChallengeInput{
		Version: 1, Genesis: genesis, ClientID: r.ClientID, Nonce: r.Nonce, ResponseURI: r.ResponseURI,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt, Queries: r.Query.Credentials,
	}
	key, err := r.ResponseKey()
	if err != nil {
		return credential.Element{}, err
	}
	if key != nil {
		in.KeyThumbprint = key.KeyID()
	}
	return credential.Challenge(in)
}

// RequestReference is what a link or QR code that starts a presentation says: whose request it is, and where.
type RequestReference struct {
	ClientID string
	URI      string
	Post     bool // the wallet may post a nonce of its own when it fetches the request
}

// Link is the link or QR code.
func (r RequestReference) Link() string {
	values := url.Values{"client_id": {r.ClientID}, "request_uri": {r.URI}}
	if r.Post {
		values.Set("request_uri_method", "post")
	}
	return requestScheme + "?" + values.Encode()
}

// RequestLink is the link to a request that is fetched by GET.
func RequestLink(clientID, requestURI string) string {
	return RequestReference{ClientID: clientID, URI: requestURI}.Link()
}

// ParseRequestLink reads such a link.
func ParseRequestLink(link string) (r RequestReference, err error) {
	values, err := parseLink(link, requestScheme)
	if err != nil {
		return r, err
	}
	for name, value := range values {
		if len(value) != 1 {
			return r, fmt.Errorf("request link has %.50q twice", name)
		}
	}
	r = RequestReference{ClientID: values.Get("client_id"), URI: values.Get("request_uri")}
	if r.ClientID == "" || r.URI == "" {
		return r, fmt.Errorf("request link lacks client_id or request_uri")
	}
	switch method := values.Get("request_uri_method"); method {
	case "", "get":
	case "post":
		r.Post = true
	default: // SPEC: OpenID4VP 1.0 section 5.1: get and post, in lower case; others are refused
		return r, fmt.Errorf("request link: request_uri_method is %.50q", method)
	}
	return r, nil
}

// PolicyVerifier is the DID of the verifier whose policy the request carries: not yet whether it is registered.
func (r *RequestObject) PolicyVerifier() (string, error) {
	for _, info := range r.VerifierInfo {
		if info.Format == PolicyInfo {
			p, err := policy.Parse(info.Data)
			if err != nil {
				return "", fmt.Errorf("verifier_info: %w", err)
			}
			return p.Verifier, nil
		}
	}
	return "", fmt.Errorf("verifier_info has no policy")
}

// ParseRequestObject decodes the payload of a request whose signature was verified.
func ParseRequestObject(payload []byte) (*RequestObject, error) {
	if len(payload) > maxRequestBytes {
		return nil, fmt.Errorf("request of %d bytes, at most %d", len(payload), maxRequestBytes)
	}
	if _, err := credential.CanonicalJSON(payload); err != nil { // duplicate keys, text not in NFC
		return nil, fmt.Errorf("request: %w", err)
	}
	if err := checkShape(payload); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var r RequestObject
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return &r, nil
}

// Bounds of a request's JSON, in what we ignore too. The longest list that means anything is a set of 4,096 values, the
// deepest one is a clause's.
const (
	maxDepth   = 16
	maxItems   = 4096
	maxMembers = 256
)

// checkShape refuses what is nested deeper, or has longer lists or larger objects, than any request. The text is well-formed
// JSON, so that outside of strings a comma stands between two values, and nothing else tells where they end.
func checkShape(payload []byte) error {
	var open []int // of each object and list around us: how many commas more are too many
	for at := 0; at < len(payload); at++ {
		switch payload[at] {
		case '"':
			at = endOfString(payload, at)
		case '{':
			open = append(open, maxMembers)
		case '[':
			open = append(open, maxItems)
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			open[len(open)-1]--
		}
		if len(open) > maxDepth {
			return fmt.Errorf("nested deeper than %d", maxDepth)
		}
		if len(open) > 0 && open[len(open)-1] == 0 {
			return fmt.Errorf("a list has more than %d values, or an object more than %d members", maxItems, maxMembers)
		}
	}
	return nil
}

// endOfString is where the quote stands that ends the string whose first quote is at.
func endOfString(text []byte, at int) int {
	for at++; at < len(text) && text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at
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
