package client_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

func TestSet(t *testing.T) {
	set, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "x"}, Members: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	text, asked := set.Canonical(), 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if text == nil || r.URL.Path != "/set/"+set.Digest().String() {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text)
	}))
	defer server.Close()
	fresh := func() *client.Client {
		cfg := ledgertest.NewHost(t, nil).Config()
		cfg.URL = server.URL
		return ledgertest.Must(client.New(cfg))(t)
	}
	c := fresh()
	for range 2 {
		got, err := c.Set(t.Context(), set.Digest())
		if err != nil || got.Digest() != set.Digest() {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := c.Set(t.Context(), credential.DigestOf(nil)); !errors.Is(err, client.ErrNoSet) || client.IsBad(err) {
		t.Errorf("a set that is not there: %v", err)
	}
	for name, bad := range map[string][]byte{
		"another set": bytes.Replace(text, []byte("b"), []byte("c"), 1), "more": append(bytes.Clone(text), ' '),
		"far too much": bytes.Repeat(text, policy.MaxSetSize/8),
	} {
		text = bad
		if _, err := fresh().Set(t.Context(), set.Digest()); !errors.Is(err, client.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
