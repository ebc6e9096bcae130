package verifier_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

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

// Whatever is asked of the log, it is the entries behind the cursor, or a problem.
func FuzzLog(f *testing.F) {
	w := newWorld(f)
	for i := range 12 {
		started, err := w.verifier.Start(f.Context(), "app", "residence", 0)
		if err != nil {
			f.Fatal(err)
		}
		if err := w.verifier.CancelPage(f.Context(), started.PageURI[strings.LastIndex(started.PageURI, "/")+1:]); err != nil {
			f.Fatal(err)
		}
		w.clock.advance(time.Duration(i%5) * 7 * time.Second)
	}
	var keys []string
	if err := w.store.Each("log/", func(key string, _ []byte) error { keys = append(keys, strings.TrimPrefix(key, "log/")); return nil }); err != nil {
		f.Fatal(err)
	}
	token := w.token("app", verifier.ScopeLog)
	f.Add("", keys[3], "5")
	f.Add("1795348800", "", "1000")
	f.Add("0", "000000006b02b0c0/", "")
	f.Add("", "ffffffffffffffff/zzz", "1")
	f.Add("-1", "log/", "0")
	f.Fuzz(func(t *testing.T, since, after, limit string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/log?"+url.Values{"since": {since}, "after": {after}, "limit": {limit}}.Encode(), nil)
		r.Header.Set("Authorization", "Bearer "+token)
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, r)
		if got.Code != http.StatusOK {
			if got.Code != http.StatusBadRequest && got.Code != http.StatusUnprocessableEntity {
				t.Errorf("%d %s", got.Code, got.Body)
			}
			return
		}
		var page verifier.LogPage
		if err := json.Unmarshal(got.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		from, most := after, 100
		if n, err := strconv.ParseUint(since, 10, 53); err == nil && after == "" {
			from = fmt.Sprintf("%016x/", n)
		}
		if n, err := strconv.Atoi(limit); err == nil {
			most = n
		}
		want := keys[:0:0]
		for _, key := range keys {
			if key > from {
				want = append(want, key)
			}
		}
		if len(page.Entries) != min(most, len(want)) || (page.Next != "") != (len(want) > most) {
			t.Fatalf("%d entries of %d behind %q, next %q", len(page.Entries), len(want), from, page.Next)
		}
		for i, e := range page.Entries {
			if !strings.HasSuffix(want[i], "/"+e.Number) {
				t.Errorf("entry %d is %s, want %s", i, e.Number, want[i])
			}
		}
	})
}
