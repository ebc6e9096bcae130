package openid

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// EncryptionKeys is the key set (RFC 7517) that responses are encrypted to.
type EncryptionKeys struct {
	Keys []EncryptionKey `json:"keys"`
}

// EncryptionKey is a key as RFC 7517 writes it, with what it is for.
type EncryptionKey struct {
	jose.PublicKey
	KeyID     string `json:"kid"` // its thumbprint
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// EncryptTo makes the request ask for a response that is encrypted to a key.
func (r *RequestObject) EncryptTo(key jose.PublicKey) {
	r.ResponseMode = DirectPostJWT
	r.ClientMetadata.Keys = &EncryptionKeys{[]EncryptionKey{{key, key.KeyID(), "enc", jose.KeyAgreement}}}
	r.ClientMetadata.Encryptions = jose.ContentEncryptions
}

// ResponseKey is the key that the response is to be encrypted to, or nil if it is not.
func (r *RequestObject) ResponseKey() (*jose.PublicKey, error) {
	if r.ResponseMode != DirectPostJWT {
		return nil, nil
	}
	keys := r.ClientMetadata.Keys
	if keys == nil || len(keys.Keys) != 1 {
		return nil, errors.New("client_metadata.jwks must have exactly one key for the response")
	}
	key := keys.Keys[0]
	if err := key.ValidateEncryption(); err != nil {
		return nil, fmt.Errorf("client_metadata.jwks: %w", err)
	}
	if key.KeyID != key.PublicKey.KeyID() || key.Use != "enc" || key.Algorithm != jose.KeyAgreement {
		return nil, fmt.Errorf("client_metadata.jwks: want use enc, alg %s, and the thumbprint as kid", jose.KeyAgreement)
	}
	return &key.PublicKey, nil
}

// contentEncryption is the first of ours that the verifier reads.
func (r *RequestObject) contentEncryption() (string, error) {
	for _, ours := range jose.ContentEncryptions {
		if slices.Contains(r.ClientMetadata.Encryptions, ours) {
			return ours, nil
		}
	}
	return "", errors.New("client_metadata.encrypted_response_enc_values_supported has none of ours")
}

// CanReceive refuses a request that no response could be sent to: of another response mode, or without a key to encrypt to.
func (r *RequestObject) CanReceive() error {
	switch r.ResponseMode {
	case DirectPost:
		return nil
	case DirectPostJWT:
		_, err := r.ResponseKey()
		_, err2 := r.contentEncryption()
		return errors.Join(err, err2)
	}
	return fmt.Errorf("response_mode is %.50q", r.ResponseMode)
}

// AuthorizationResponse is what a wallet answers: a vp_token or an error.
type AuthorizationResponse struct {
	Token json.RawMessage `json:"vp_token,omitempty"`
	Error string          `json:"error,omitempty"`
	State string          `json:"state,omitempty"`
}

// Encrypt makes the encrypted form of a response to the request.
func (r *RequestObject) Encrypt(response AuthorizationResponse) (string, error) {
	key, err := r.ResponseKey()
	if err != nil {
		return "", err
	}
	if key == nil {
		return "", errors.New("the request asks for no encrypted response")
	}
	enc, err := r.contentEncryption()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(response)
	if err != nil {
		return "", err
	}
	return jose.Encrypt(*key, enc, text)
}

// ResponseForm is what is posted to response_uri: the parameters, or their encrypted form, as the request asks.
func (r *RequestObject) ResponseForm(response AuthorizationResponse) (url.Values, error) {
	if r.ResponseMode == DirectPostJWT {
		text, err := r.Encrypt(response)
		return url.Values{"response": {text}}, err
	}
	form := url.Values{}
	for name, value := range map[string]string{"vp_token": string(response.Token), "error": response.Error, "state": response.State} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return form, nil
}

// maxParameters is what a response may have beside the vp_token, in bytes.
const maxParameters = 4 << 10

// MaxEncryptedResponse bounds an encrypted response, in bytes.
const MaxEncryptedResponse = (MaxResponse+maxParameters)/3*4 + jose.MaxEncryptedHeader

// DecryptResponse reads the encrypted form of a response. What was not encrypted to the key, or in another way than ours,
// is refused with [jose.ErrToken] or [jose.ErrDecryption].
func DecryptResponse(key *jose.DecryptionKey, token string) (AuthorizationResponse, error) {
	text, err := key.Decrypt(token, MaxResponse+maxParameters)
	if err != nil {
		return AuthorizationResponse{}, err
	}
	return ParseResponse(text)
}

// ParseResponse reads the parameters of a response as one JSON object. Those that we do not know are ignored, none may
// stand twice, and there is state, and either vp_token or error.
func ParseResponse(text []byte) (r AuthorizationResponse, err error) {
	if _, err := credential.CanonicalJSON(text); err != nil { // duplicate keys, text not in NFC
		return r, fmt.Errorf("response: %w", err)
	}
	var members map[string]json.RawMessage // a struct would take members in other case for ours
	if err := json.Unmarshal(text, &members); err != nil {
		return r, fmt.Errorf("response: %w", err)
	}
	r.Token = members["vp_token"]
	for name, into := range map[string]*string{"error": &r.Error, "state": &r.State} {
		value, there := members[name]
		if !there {
			continue
		}
		if err := json.Unmarshal(value, into); err != nil || *into == "" {
			return r, fmt.Errorf("response: %s is not a text", name)
		}
	}
	if r.State == "" || (r.Token == nil) == (r.Error == "") {
		return r, errors.New("response: want state and either vp_token or error")
	}
	return r, nil
}

// WalletMetadata is what our wallet says of itself when it posts for a request: the same in all of them, so that it tells
// nobody apart.
type WalletMetadata struct {
	Formats           map[string]FormatInfo `json:"vp_formats_supported"`
	ClientPrefixes    []string              `json:"client_id_prefixes_supported"`
	SigningAlgorithms []jose.Algorithm      `json:"request_object_signing_alg_values_supported"`
	KeyAgreements     []string              `json:"authorization_encryption_alg_values_supported"`
	Encryptions       []string              `json:"authorization_encryption_enc_values_supported"`
}

// OurWallet is its one value.
func OurWallet() WalletMetadata {
	return WalletMetadata{
		Formats: OurFormats(), ClientPrefixes: []string{string(SchemeDID), string(SchemeX509Hash), string(SchemePreRegistered)},
		SigningAlgorithms: []jose.Algorithm{jose.ES256, jose.EdDSA}, KeyAgreements: []string{jose.KeyAgreement}, Encryptions: jose.ContentEncryptions,
	}
}

// ValidWalletNonce tells whether a wallet_nonce may stand in a request: 1 to 512 printable characters of ASCII.
func ValidWalletNonce(nonce string) bool {
	return len(nonce) >= 1 && len(nonce) <= 512 && !strings.ContainsFunc(nonce, func(c rune) bool { return c <= ' ' || c > '~' })
}
