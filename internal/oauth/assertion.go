package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

// AssertionType is the client_assertion_type of private_key_jwt (RFC 7523 section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Limits of assertions.
const (
	maxAssertion         = 8 << 10 // bytes
	maxAssertionLifetime = 5 * time.Minute
	minAssertionID       = 8
	maxAssertionID       = 128
)

// assertionTypes are the typ that an assertion may have. Another kind of token that the client signs, a DPoP proof say,
// is no assertion.
var assertionTypes = []string{"", "jwt", "client-authentication+jwt"}

// headersWithoutKeys are the members beyond ours that other software puts into headers and that bring no key: digests of
// a certificate, which say no more than kid.
var headersWithoutKeys = []string{"x5t", "x5t#S256"}

var errClient = errors.New("client could not be authenticated")

// Authenticate finds the client that a request comes from, by its secret or an assertion. It refuses all alike, so that
// nobody learns what was wrong who does not know it anyway; what goes wrong often makes the sender wait.
func (s *Server) Authenticate(ctx context.Context, r TokenRequest) (*Client, error) {
	id, check, err := s.method(r)
	if err != nil {
		return nil, err
	}
	if named, ok := r.Form["client_id"]; ok && named != id {
		return nil, refuse(invalidRequest, "client_id is another client than the one that authenticates")
	}
	throttled := id + "\x00" + r.Remote
	if wait := s.throttle.wait(throttled); wait > 0 {
		e := refuse(tryLater, "authentication failed too often: wait before the next attempt")
		e.Status, e.RetryAfter = http.StatusTooManyRequests, wait
		return nil, e
	}
	client, err := s.cfg.Clients.Find(ctx, id)
	if errors.Is(err, ErrUnknownClient) {
		client, err = &Client{ID: id}, nil // without secrets and keys: fails as any other does
	}
	if err != nil {
		return nil, fmt.Errorf("find client: %w", err)
	}
	if err := check(ctx, client); errors.Is(err, errClient) {
		s.throttle.failed(throttled)
		return nil, refuse(invalidClient, "client authentication failed")
	} else if err != nil {
		return nil, err
	}
	s.throttle.succeeded(throttled)
	if client.Disabled { // said only to who has authenticated
		return nil, refuse(invalidClient, "the client is disabled")
	}
	return client, nil
}

// method finds out which client says to be there, and how to check that.
//
// SPEC: RFC 6749 section 2.3: a client must not use more than one method in a request.
func (s *Server) method(r TokenRequest) (id string, check func(context.Context, *Client) error, err error) {
	_, secretInBody := r.Form["client_secret"]
	_, asserted := r.Form["client_assertion"]
	switch {
	case secretInBody:
		return "", nil, refuse(invalidRequest, "client_secret has no place in the body: use HTTP Basic or a client assertion")
	case r.Basic != nil && asserted:
		return "", nil, refuse(invalidRequest, "two ways of authentication in one request")
	case r.Basic != nil:
		return r.Basic.ID, func(_ context.Context, c *Client) error {
			if !c.secretFits(r.Basic.Secret) {
				return errClient
			}
			return nil
		}, s.checkID(r.Basic.ID)
	case !asserted:
		return "", nil, refuse(invalidClient, "authenticate with HTTP Basic or a client assertion")
	case r.Form["client_assertion_type"] != AssertionType:
		return "", nil, refuse(invalidRequest, "client_assertion_type is not that of RFC 7523")
	}
	token, id, err := parseAssertion(r.Form["client_assertion"])
	if err != nil {
		return "", nil, refuse(invalidClient, "the client assertion is malformed")
	}
	return id, func(ctx context.Context, c *Client) error { return s.checkAssertion(ctx, c, token) }, s.checkID(id)
}

func (s *Server) checkID(id string) error {
	if !isClientID(id) {
		return refuse(invalidClient, "client authentication failed")
	}
	return nil
}

// parseAssertion reads an assertion and whose it says to be.
//
// SPEC: RFC 7523 section 3: iss and sub are both the client's id.
func parseAssertion(text string) (*foreign.Token, string, error) {
	token, err := foreign.Parse(text, maxAssertion, headersWithoutKeys...)
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(assertionTypes, token.Header.Type) {
		return nil, "", fmt.Errorf("typ %.100q is not that of an assertion", token.Header.Type)
	}
	id, err := token.Claims.String("sub")
	if err != nil {
		return nil, "", err
	}
	if issuer, err := token.Claims.String("iss"); err != nil || issuer != id {
		return nil, "", errors.New("iss and sub are not one client")
	}
	return token, id, nil
}

// checkAssertion checks an assertion under the keys of its client and uses it up.
func (s *Server) checkAssertion(ctx context.Context, c *Client, token *foreign.Token) error {
	if !signedBy(c, token) {
		return errClient
	}
	issued, expires, err := s.assertionTimes(token.Claims)
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	// One audience only: an assertion that names another server too could be used there by us, or here by it.
	audience, err := token.Claims.Strings("aud")
	if err != nil || len(audience) != 1 || audience[0] != s.cfg.Mint.Issuer && audience[0] != s.cfg.TokenURL {
		return fmt.Errorf("%w: aud", errClient)
	}
	id, err := token.Claims.String("jti")
	if err != nil || len(id) < minAssertionID || len(id) > maxAssertionID {
		return fmt.Errorf("%w: jti", errClient)
	}
	err = s.cfg.Assertions.Use(ctx, credential.DigestOf([]byte("client assertion\x00"+c.ID+"\x00"+id)), issued, expires.Add(Skew))
	switch {
	case errors.Is(err, once.ErrUsed) || errors.Is(err, once.ErrEarlier):
		return fmt.Errorf("%w: %w", errClient, err)
	case errors.Is(err, once.ErrFull):
		return busy(5 * time.Second)
	}
	return err
}

// signedBy finds the key that kid names, or without kid one that fits.
func signedBy(c *Client, token *foreign.Token) bool {
	for _, key := range c.Keys {
		named := token.Header.KeyID == "" || token.Header.KeyID == key.ID || token.Header.KeyID == key.Thumbprint()
		if named && token.Verify(key) == nil {
			return true
		}
	}
	return false
}

// assertionTimes wants iat beside exp, which RFC 7523 leaves open: without it nobody can tell whether an assertion was
// made before we began to take note of them.
func (s *Server) assertionTimes(c foreign.Claims) (issued, expires time.Time, err error) {
	if expires, err = c.Required("exp"); err != nil {
		return issued, expires, err
	}
	if issued, err = c.Required("iat"); err != nil {
		return issued, expires, err
	}
	now := s.cfg.Clock()
	begins, ok, err := c.Time("nbf")
	switch {
	case err != nil:
		return issued, expires, err
	case issued.After(now.Add(Skew)) || ok && begins.After(now.Add(Skew)):
		err = errors.New("not valid yet")
	case !now.Before(expires.Add(Skew)):
		err = errors.New("expired")
	case expires.After(now.Add(maxAssertionLifetime + Skew)):
		err = fmt.Errorf("valid for more than %s", maxAssertionLifetime)
	}
	return issued, expires, err
}
