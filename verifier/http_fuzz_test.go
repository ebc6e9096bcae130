package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
)

// post is what a server does with a posted body.
func (w *world) post(t *testing.T, path, token, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// session starts one and tells where to post, and the state that a response must carry.
func (w *world) session(t testing.TB) (id, path, state string) {
	t.Helper()
	started, err := w.verifier.Start(t.Context(), "app", "residence", 0)
	if err != nil {
		t.Fatal(err)
	}
	name := started.RequestURI[strings.LastIndex(started.RequestURI, "/")+1:]
	token, err := w.verifier.Request(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := jose.PeekCompact(token)
	if err != nil {
		t.Fatal(err)
	}
	object, err := openid.ParseRequestObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	return started.ID, "/oid4vp/responses/" + name, object.State
}

// Whatever a wallet posts: without a proof nothing is proven by it, and it is taken note of (the holder declined), or
// refused with an error of OAuth's form. STATE stands for the state of the request.
func FuzzResponse(f *testing.F) {
	w := newWorld(f)
	id, path, state := w.session(f)
	zero := credential.Element{}.String()
	presentation := `{"zk_system":"groth16","proof":"` + strings.Repeat("A", 171) + `","root":"` + zero + `","n":"` + zero + `","link":"` + zero + `","item":"` + zero + `","pseudonym":"` + zero + `","subject_tag":"` + zero + `"}`
	f.Add("error=access_denied&state=STATE", formType)
	f.Add("state=STATE&vp_token="+url.QueryEscape(`{"residence":[`+presentation+`]}`), formType)
	f.Add("vp_token=%7B%22residence%22%3A%5B%7B%7D%5D%7D&state=STATE", formType)
	f.Add("vp_token=%7B%7D&state=x", "application/json")
	f.Add("%zz", formType+"; charset=\xff")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		got := w.post(t, path, "", contentType, strings.ReplaceAll(body, "STATE", state))
		var answer struct{ Error string }
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || got.Code > 499 || (got.Code >= 400) != (answer.Error != "") || got.Body.Len() > 2048 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		status, err := w.verifier.Status(t.Context(), "app", id)
		if err != nil || status.State == verifier.Verified || got.Code < 400 && !strings.Contains(body, "error") {
			t.Errorf("%d, state %+v, %v", got.Code, status, err)
		}
		if status.Final {
			id, path, state = w.session(t)
		}
	})
}

// Whatever an application sends to start a session, it is a session or a problem.
func FuzzStart(f *testing.F) {
	w := newWorld(f)
	token := w.token("app", verifier.ScopeWrite)
	f.Add(`{"policy":"residence"}`)
	f.Add(`{"policy":"residence","lifetime_seconds":-1}`)
	f.Add(`{"policy":"residence","lifetime_seconds":9223372036854775807}`)
	f.Add(`{"policy":"nobody's"}`)
	f.Add(`{"Policy":"residence"}`)
	f.Fuzz(func(t *testing.T, body string) {
		got := w.post(t, "/v1/sessions", token, "application/json", body)
		var answer struct{ Code, ID string }
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || (got.Code == http.StatusCreated) != (answer.ID != "") ||
			got.Code != http.StatusCreated && (got.Code < 400 || got.Code > 499 || answer.Code == "") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}
