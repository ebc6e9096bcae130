package verifier

import (
	"errors"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier/check"
)

// decrypt reads an encrypted response. What cannot be read counts as no attempt: only who knows the state spends those.
// Errors may come in clear, as a wallet that cannot read the request cannot encrypt; answers only as they were asked for.
func (v *Verifier) decrypt(s *stored, response Response) (Response, error) {
	switch encrypted := s.ResponseKey != ""; {
	case encrypted != response.Encrypted && response.Error == "":
		return response, check.Refuse(check.Malformed, "", errors.New("the request asks for another response mode"))
	case !response.Encrypted:
		return response, nil
	}
	key, err := v.sealer.open(s.ResponseKey, s.ID)
	if err != nil { // the session key changed: nobody can answer any longer
		return response, check.Refuse(check.SessionExpired, "", err)
	}
	r, err := openid.DecryptResponse(key, string(response.Token))
	switch {
	case errors.Is(err, jose.ErrToken) || errors.Is(err, jose.ErrDecryption):
		return response, check.Refuse(check.NotDecrypted, "", err)
	case errors.Is(err, credential.ErrNotCanonical) || errors.Is(err, credential.ErrNotNFC):
		return response, check.Refuse(check.NotCanonical, "", err)
	case err != nil:
		return response, check.Refuse(check.Malformed, "", err)
	}
	return Response{State: r.State, Token: r.Token, Error: r.Error}, nil
}
