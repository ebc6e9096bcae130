package verifier_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// validated is an answer of POST /v1/validate.
type validated struct {
	Valid      bool                 `json:"valid"`
	Reason     *verifier.Reason     `json:"reason"`
	Validation *verifier.Validation `json:"validation"`
	Code       string               `json:"code"` // of a problem
}

func (w *world) validate(scope, request string, response []byte) (status int, v validated) {
	w.t.Helper()
	token, err := w.authority.Issue("app", []string{scope}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"request": request, "response": json.RawMessage(response)})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/validate", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	if err := json.Unmarshal(recorder.Body.Bytes(), &v); err != nil {
		w.t.Fatalf("%v in %s", err, recorder.Body)
	}
	return recorder.Code, v
}

// A response is validated as often as one likes: nothing is consumed by it, and the session takes it afterwards.
func TestValidateConsumesNothing(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("subsidy")
	token, err := w.verifier.Request(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	response := encode(t, w.answer(request, me))
	for range 2 {
		status, v := w.validate(verifier.ScopeValidate, token, response)
		if status != http.StatusOK || !v.Valid || v.Validation.Consumed || !v.Validation.Dev || len(v.Validation.Facts) != 1 || v.Validation.Facts[0].Tags.Pseudonym == nil {
			t.Fatalf("%d %+v", status, v)
		}
	}
	if err := w.verifier.Respond(t.Context(), id, verifier.Response{State: request.State, Token: response}); err != nil {
		t.Fatal(err)
	}
	if status, v := w.validate(verifier.ScopeValidate, token, response); status != http.StatusOK || !v.Valid {
		t.Errorf("after it was consumed it proves the same: %d %+v", status, v)
	}
	w.clock.advance(time.Hour)
	if _, v := w.validate(verifier.ScopeValidate, token, response); v.Valid || v.Reason == nil || v.Reason.Code != check.SessionExpired || v.Reason.Text.Chinese == "" {
		t.Errorf("an hour later: %+v", v)
	}
}

func TestValidateRefused(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("residence")
	token, err := w.verifier.Request(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	good := w.answer(request, me)
	response := encode(t, good)
	stranger := newKey(t, 9)
	forged, err := jose.SignCompact(stranger, openid.RequestKeyID(bank, stranger.Public().KeyID()), openid.RequestType, request)
	if err != nil {
		t.Fatal(err)
	}
	if status, v := w.validate(verifier.ScopeValidate, forged, response); status != http.StatusBadRequest || v.Code != "request_foreign" {
		t.Errorf("another's request: %d %+v", status, v)
	}
	if status, v := w.validate(verifier.ScopeValidate, "", response); status != http.StatusBadRequest || v.Code != "malformed" {
		t.Errorf("no request: %d %+v", status, v)
	}
	if status, _ := w.validate(verifier.ScopeRead, token, response); status != http.StatusForbidden {
		t.Errorf("without the scope: %d", status)
	}
	good["residence"][0].Link = good["residence"][0].Item
	if status, v := w.validate(verifier.ScopeValidate, token, encode(t, good)); status != http.StatusOK || v.Valid || v.Reason.Code != check.ProofInvalid {
		t.Errorf("a false response: %d %+v", status, v)
	}
	if status, v := w.validate(verifier.ScopeValidate, token, []byte("{}")); status != http.StatusOK || v.Valid || v.Reason.Code != check.QueryMismatch {
		t.Errorf("an empty response: %d %+v", status, v)
	}
	w.ledger.fail(http.ErrServerClosed)
	w.clock.advance(2 * time.Second)
	if status, v := w.validate(verifier.ScopeValidate, token, response); status != http.StatusServiceUnavailable || v.Code != string(check.Unavailable) {
		t.Errorf("without a ledger: %d %+v", status, v)
	}
}
