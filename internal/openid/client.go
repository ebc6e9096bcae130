package openid

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// ClientScheme is how a client_id names a verifier. Each leads to one verifier of the chain and its registered keys; what
// the scheme itself vouches for (a certificate's issuer, a web server) counts for nothing.
type ClientScheme string

// The schemes. Prefixes that are not among them are refused; so is redirect_uri, under which requests are not signed.
const (
	SchemeDID           ClientScheme = "decentralized_identifier" // the DID registered on the chain
	SchemeDIDJWK        ClientScheme = "did:jwk"                  // decentralized_identifier too: one of its registered keys
	SchemeX509Hash      ClientScheme = "x509_hash"                // a certificate of one of its registered keys
	SchemePreRegistered ClientScheme = "pre-registered"           // the name that follows from the registered DID
)

// ClientSchemes lists them.
var ClientSchemes = []ClientScheme{SchemeDID, SchemeDIDJWK, SchemeX509Hash, SchemePreRegistered}

// ClientIDPrefix is before the DID in a client_id of [SchemeDID] and [SchemeDIDJWK].
const ClientIDPrefix = "decentralized_identifier:"

const (
	x509HashPrefix = "x509_hash:"
	didJWKPrefix   = "did:jwk:"
	maxClientID    = 512
)

// Client is a client_id in its parts.
type Client struct {
	Scheme      ClientScheme
	DID         string             // of the DID schemes
	Key         jose.PublicKey     // that a did:jwk is
	Certificate credential.Digest  // SHA-256 of the DER form, of x509_hash
	Name        credential.Element // of pre-registered
}

// ParseClientID reads a client_id. A did:jwk has the scheme [SchemeDIDJWK] here, though the chain may know a verifier by
// such a DID.
func ParseClientID(clientID string) (c Client, err error) {
	if len(clientID) > maxClientID {
		return c, fmt.Errorf("client_id of %d characters, at most %d", len(clientID), maxClientID)
	}
	switch prefix, rest, found := strings.Cut(clientID, ":"); {
	case !found:
		c.Scheme = SchemePreRegistered
		err = c.Name.UnmarshalText([]byte(clientID))
	case prefix+":" == x509HashPrefix:
		c.Scheme = SchemeX509Hash
		err = c.Certificate.UnmarshalText([]byte(rest))
	case prefix+":" == ClientIDPrefix && strings.HasPrefix(rest, didJWKPrefix):
		c.Scheme, c.DID = SchemeDIDJWK, rest
		c.Key, err = parseDIDJWK(rest)
	case prefix+":" == ClientIDPrefix && strings.HasPrefix(rest, "did:"):
		c.Scheme, c.DID = SchemeDID, rest
	default:
		return c, fmt.Errorf("client_id %.100q is of no kind that is known here", clientID)
	}
	if err != nil {
		return c, fmt.Errorf("client_id %.100q: %w", clientID, err)
	}
	return c, nil
}

// ClientOf is the pre-registered client of a verifier's DID.
func ClientOf(verifierDID string) Client {
	return Client{Scheme: SchemePreRegistered, Name: credential.ClientName(verifierDID)}
}

// ID is the client_id.
func (c Client) ID() string {
	switch c.Scheme {
	case SchemeX509Hash:
		return x509HashPrefix + c.Certificate.String()
	case SchemePreRegistered:
		return c.Name.String()
	}
	return ClientIDPrefix + c.DID
}

// KeyID is the kid of a request that the client signs with a key. It is empty for x509_hash, where certificates stand
// instead.
func (c Client) KeyID(key jose.PublicKey) string {
	switch c.Scheme {
	case SchemeX509Hash:
		return ""
	case SchemePreRegistered:
		return key.KeyID()
	case SchemeDIDJWK:
		return c.DID + "#0"
	}
	return RequestKeyID(c.DID, key.KeyID())
}

// RequestKeyID is the kid of a request under a registered DID: a DID URL of the registered key.
func RequestKeyID(did, keyID string) string { return did + "#" + keyID }

// DIDJWK is the did:jwk of a key.
func DIDJWK(key jose.PublicKey) (string, error) {
	text, err := credential.Canonical(key)
	return didJWKPrefix + base64.RawURLEncoding.EncodeToString(text), err
}

// parseDIDJWK reads a did:jwk of the one spelling that DIDJWK writes: the key's required members, in RFC 7638's form.
func parseDIDJWK(did string) (key jose.PublicKey, err error) {
	text, err := credential.ParseBase64(strings.TrimPrefix(did, didJWKPrefix), -1)
	if err != nil {
		return key, err
	}
	if err := credential.ParseCanonical(text, &key); err != nil {
		return key, err
	}
	return key, key.Validate()
}
