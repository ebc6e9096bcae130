package ledger_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
)

// A cosigner is asked where the operator says and nowhere else, and its answer's header is bounded.
func TestCosignerSendsUsNowhere(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	request := ledger.CosignRequest{Checkpoint: []byte("checkpoint\n"), Size: 1, Prove: func(uint64) ([]tlog.Hash, error) { return nil, nil }}
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect of a POST": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/add-checkpoint", http.StatusTemporaryRedirect)
		},
		"a redirect to a GET": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusSeeOther) },
		"a long header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Padding", strings.Repeat("x", 1<<20))
		},
	} {
		server := httptest.NewServer(answer)
		for _, client := range []*http.Client{nil, server.Client()} {
			if name == "a long header" && client != nil {
				continue // its own bounds
			}
			if _, err := ledger.NewHTTPCosigner(server.URL, client).Cosign(t.Context(), request); err == nil {
				t.Errorf("%s is taken for a cosignature", name)
			}
		}
		server.Close()
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests arrived elsewhere", n)
	}
}
