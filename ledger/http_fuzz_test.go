package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// Whatever a stranger asks of a ledger, it answers, and refuses with a problem; it never says that something is wrong
// with itself.
func FuzzHandler(f *testing.F) {
	c := newChain(f)
	l := c.open(c.config())
	f.Cleanup(func() { l.Close() })
	handler := l.Handler()
	for _, path := range []string{
		"/checkpoint", "/genesis", "/tile/0/000.p/5", "/tile/entries/000.p/5", "/active/4/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"/registry/x", "/census/" + c.genesis.String(), "/v1/receipts/3?level=accepted", "/v1/receipts/-1", "/v1/receipts/1?wait_seconds=1e9",
		"/v1/receipts/1?level=accepted&wait_seconds=99999999999", "/v1/signers/did:web:land.example", "/v1/signers/%2e%2e%2f", "/healthz", "/readyz",
	} {
		f.Add(path, false, []byte{})
	}
	f.Add("/v1/entries", true, c.first)
	f.Add("/v1/entries", true, c.opening()[1])
	f.Add("/v1/entries", true, []byte("{}"))
	f.Fuzz(func(t *testing.T, target string, post bool, body []byte) {
		if u, err := url.ParseRequestURI(target); err != nil || target[0] != '/' || u.Host != "" {
			return // no server hands such a request on
		}
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // nothing that is asked for will come
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "http://ledger.example"+target, bytes.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s: %s", method, target, w.Body)
		}
		if w.Code < 400 {
			return
		}
		var problem struct{ Code, Title string }
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Code == "" || w.Body.Len() > 4096 {
			t.Errorf("%s %s: %d is no problem: %s, %v", method, target, w.Code, w.Body, err)
		}
	})
}
