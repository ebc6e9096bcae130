package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// Limits of a client.
const (
	maxClientID = 64 // bytes
	maxSecrets  = 2  // the old and the new
	maxKeys     = 4
	maxScopes   = 64
)

// Client is a piece of software that may ask for tokens.
type Client struct {
	ID       string              // letters, digits and ._- only
	Name     string              // for people
	Secrets  []credential.Digest // digests of [NewSecret]'s; two while one takes the other's place
	Keys     []foreign.Key       // for private_key_jwt; so many for the same reason
	Scopes   []string            // all that it may ask for
	Disabled bool
	// RequireDPoP refuses tokens that are not bound to a key of the client (RFC 9449 section 5.2).
	RequireDPoP bool
}

// ErrUnknownClient is what Clients return for a client that they do not have.
var ErrUnknownClient = errors.New("client is not known")

// Clients finds clients. It returns ErrUnknownClient for one that it does not have; any other error means that it cannot
// tell. The answer is not changed by us, nor by it later. Whoever can change it can make us issue any token.
type Clients interface {
	Find(ctx context.Context, id string) (*Client, error)
}

// Validate refuses clients that could not be meant.
func (c *Client) Validate() error {
	switch {
	case !isClientID(c.ID):
		return fmt.Errorf("client %.100q: an id has 1 to %d letters, digits and ._-", c.ID, maxClientID)
	case len(c.Secrets) > maxSecrets || len(c.Keys) > maxKeys || len(c.Scopes) > maxScopes:
		return fmt.Errorf("client %s: more than %d secrets, %d keys or %d scopes", c.ID, maxSecrets, maxKeys, maxScopes)
	case len(c.Secrets)+len(c.Keys) == 0:
		return fmt.Errorf("client %s: neither secret nor key", c.ID)
	}
	for _, digest := range c.Secrets {
		if digest.IsZero() {
			return fmt.Errorf("client %s: a secret is empty", c.ID)
		}
	}
	for _, key := range c.Keys {
		// Clients choose what to sign with; nobody is bound to RSA here.
		if !slices.Contains(foreign.Modern, key.Algorithm) {
			return fmt.Errorf("client %s: keys are for EdDSA or ES256", c.ID)
		}
	}
	if err := checkScopes(c.Scopes); err != nil {
		return fmt.Errorf("client %s: %w", c.ID, err)
	}
	return nil
}

func isClientID(id string) bool {
	if id == "" || len(id) > maxClientID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

const secretSize = 32 // bytes

// NewSecret draws a client's secret: 256 random bits, 43 characters. Only its digest is kept; so many random bits need no
// slow hash.
func NewSecret() (secret string, digest credential.Digest) {
	var b [secretSize]byte
	rand.Read(b[:])
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, credential.DigestOf([]byte(secret))
}

// secretFits compares in a time that does not depend on where secrets differ.
func (c *Client) secretFits(secret string) bool {
	if len(secret) != base64.RawURLEncoding.EncodedLen(secretSize) {
		return false
	}
	digest := credential.DigestOf([]byte(secret))
	fits := 0
	for i := range c.Secrets {
		fits |= subtle.ConstantTimeCompare(digest[:], c.Secrets[i][:])
	}
	return fits == 1
}

// Fixed are clients from a configuration.
type Fixed map[string]*Client

// NewFixed checks clients and lists them.
func NewFixed(clients ...Client) (Fixed, error) {
	f := make(Fixed, len(clients))
	for _, c := range clients {
		if err := c.Validate(); err != nil {
			return nil, err
		}
		if f[c.ID] != nil {
			return nil, fmt.Errorf("client %s stands twice", c.ID)
		}
		f[c.ID] = &c
	}
	return f, nil
}

// Find implements [Clients].
func (f Fixed) Find(_ context.Context, id string) (*Client, error) {
	if c, ok := f[id]; ok {
		return c, nil
	}
	return nil, ErrUnknownClient
}
