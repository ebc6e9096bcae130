package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
)

// ErrForeignRequest is returned for a request that this verifier did not sign.
var ErrForeignRequest = errors.New("the request is not one that this verifier signed")

// Validation is what a response proves now. Nothing was consumed, so that nobody may act on it as on a result: it is for
// tests, support and applications that keep nonces and tags themselves.
type Validation struct {
	*check.Result
	Consumed bool `json:"consumed"` // always false
}

// Validate checks a response (the vp_token) to a request that this verifier signed, now, and keeps nothing: neither request
// nor response, nonce nor tags. Refusals are [*check.Refusal]; [ErrForeignRequest] is for requests of others.
func (v *Verifier) Validate(ctx context.Context, application, request string, response []byte) (*Validation, error) {
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("validate: read the chain: %w", err)
	}
	payload, err := v.openOwn(view, request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignRequest, err)
	}
	asked, err := check.ParseAsked(view.GenesisHash, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignRequest, err)
	}
	if asked.Request.ClientID != v.ClientID() {
		return nil, ErrForeignRequest
	}
	leave, err := v.load.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	facts, err := v.checker.Verify(ctx, asked, response)
	if err != nil {
		return nil, err
	}
	terms, err := v.chain.terms()
	if err != nil {
		return nil, err
	}
	r, err := check.NewResult(asked, facts, terms)
	if err != nil {
		return nil, fmt.Errorf("validate: describe: %w", err)
	}
	r.Issuer, r.Audience, r.IssuedAt = v.cfg.DID, application, credential.UnixTimeOf(v.cfg.Clock())
	return &Validation{Result: r}, nil
}

// openOwn is the payload of a request that a registered key of ours signed, as our client_id names it.
func (v *Verifier) openOwn(view *client.View, request string) ([]byte, error) {
	us, _ := view.Registry.Verifier(v.cfg.DID)
	named, err := openid.ParseClientID(v.ClientID())
	if err != nil {
		return nil, err
	}
	if named.Scheme == openid.SchemeX509Hash {
		return jose.VerifyCertified(request, openid.RequestType, func(c *jose.Certificate) error {
			if c.Digest() != named.Certificate || !slices.Contains(us.Keys, c.Key) {
				return ErrForeignRequest
			}
			return nil
		})
	}
	return jose.VerifyCompact(request, openid.RequestType, func(kid string) (jose.PublicKey, error) {
		i := slices.IndexFunc(us.Keys, func(k jose.PublicKey) bool { return named.KeyID(k) == kid })
		if i < 0 {
			return jose.PublicKey{}, ErrForeignRequest
		}
		return us.Keys[i], nil
	})
}

type validationRequest struct {
	Request  string          `json:"request" doc:"the signed request object as wallets fetched it"`
	Response json.RawMessage `json:"response" doc:"the vp_token"`
}

// validationAnswer has the reason or the validation.
type validationAnswer struct {
	Valid      bool        `json:"valid"`
	Reason     *Reason     `json:"reason,omitempty"`
	Validation *Validation `json:"validation,omitempty"`
}

func (a *appAPI) mountValidation() {
	type in struct{ RawBody []byte }
	appOperation(a, ScopeValidate, huma.Operation{
		OperationID: "validate", Method: http.MethodPost, Path: "/validate", Tags: []string{"Validation"}, MaxBodyBytes: maxForm - 1,
		Summary: "Check a response now, and keep nothing", Description: "It is answered with 200 also if the response is refused: then the reason stands in it.",
		RequestBody: webapi.BodyOf[validationRequest](a.api), SkipValidateBody: true, Errors: []int{http.StatusBadRequest},
	}, func(ctx context.Context, client string, in *in) (*answer[validationAnswer], error) {
		var request validationRequest
		if err := credential.ParseStrict(in.RawBody, &request); err != nil || request.Request == "" || len(request.Response) == 0 {
			return nil, malformed(`want {"request": the signed request object, "response": the vp_token}`)
		}
		validation, err := a.v.Validate(ctx, client, request.Request, request.Response)
		var refusal *check.Refusal
		if errors.As(err, &refusal) {
			return &answer[validationAnswer]{validationAnswer{Reason: &Reason{refusal.Code, refusal.Query, refusal.Code.Text()}}}, nil
		}
		return &answer[validationAnswer]{validationAnswer{Valid: true, Validation: validation}}, err
	})
}
