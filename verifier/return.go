package verifier

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/bulla-id/bulla/internal/openid"
)

// ErrReturnURI is returned for addresses that nobody may be sent back to.
var ErrReturnURI = errors.New("return_uri is below none of the addresses that are configured")

// ErrResponseCode is returned for a response code that is not the session's.
var ErrResponseCode = errors.New("response_code is not that of this session")

// mayReturnTo tells whether a session may send a browser there; nowhere is always allowed.
func (v *Verifier) mayReturnTo(address string) bool {
	if address == "" {
		return true
	}
	u, err := openid.ParseAddress(address)
	if err != nil || u.Query().Has("response_code") {
		return false
	}
	return slices.ContainsFunc(v.cfg.ReturnURIs, func(prefix string) bool { return openid.LiesUnder(u, prefix) })
}

// Redirect is where the wallet that answered a request sends the person's browser: the session's return URI with a
// response code, or empty. Call it only for who gave the response that [Verifier.Respond] has just taken: verified if it
// returned no error, and not if it took note of a refusal, whose code opens no result.
func (v *Verifier) Redirect(_ context.Context, requestID string, verified bool) (string, error) {
	if len(v.cfg.ReturnURIs) == 0 {
		return "", nil
	}
	id, err := v.cfg.Store.Get(requestKey(requestID))
	if err != nil {
		return "", err
	}
	s, err := v.read(string(id))
	if err != nil || s.ReturnURI == "" {
		return "", err
	}
	u, err := url.Parse(s.ReturnURI)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("response_code", v.sealer.code(s.ID, verified))
	u.RawQuery = query.Encode()
	return u.String(), nil
}
