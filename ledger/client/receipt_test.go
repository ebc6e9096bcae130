package client_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

func TestVerifyReceipt(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 1)
	h.Seal(ledgertest.Start + 10)
	c := h.Client(nil)
	raw := h.Entries[3]
	if err := c.VerifyReceipt(h.Receipt(3), raw); err != nil {
		t.Fatal(err)
	}
	cosigned := h.Checkpoint
	h.Publish()
	logOnly := h.Checkpoint
	tests := map[string]func(*entry.Receipt){
		"another entry's":            func(r *entry.Receipt) { *r = h.Receipt(2) },
		"another index":              func(r *entry.Receipt) { r.Index = 2 },
		"index beyond the log":       func(r *entry.Receipt) { r.Index = 99 },
		"another digest":             func(r *entry.Receipt) { r.Digest[0] ^= 1 },
		"a hash changed":             func(r *entry.Receipt) { r.Proof[0] = flip(r.Proof[0]) },
		"a hash too few":             func(r *entry.Receipt) { r.Proof = r.Proof[1:] },
		"a hash too many":            func(r *entry.Receipt) { r.Proof = append(r.Proof, r.Proof[0]) },
		"a hash too short":           func(r *entry.Receipt) { r.Proof[0] = r.Proof[0][1:] },
		"no checkpoint":              func(r *entry.Receipt) { r.Checkpoint = "" },
		"a checkpoint not cosigned":  func(r *entry.Receipt) { r.Checkpoint = string(logOnly) },
		"only accepted":              func(r *entry.Receipt) { r.Level = entry.LevelAccepted },
		"of an unknown level":        func(r *entry.Receipt) { r.Level = "notarised" },
		"a changed checkpoint":       func(r *entry.Receipt) { r.Checkpoint = strings.Replace(r.Checkpoint, "\n5\n", "\n4\n", 1) },
		"logged but without a proof": func(r *entry.Receipt) { r.Level, r.Proof = entry.LevelLogged, nil },
	}
	for name, change := range tests {
		r := h.Receipt(3)
		r.Checkpoint = string(cosigned)
		change(&r)
		if err := c.VerifyReceipt(r, raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	logged := h.Receipt(3)
	logged.Level, logged.Checkpoint = entry.LevelLogged, string(logOnly)
	if err := c.VerifyReceipt(logged, raw); err != nil {
		t.Errorf("logged needs no cosignature: %v", err)
	}
}

func TestAwait(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 1)
	h.Seal(ledgertest.Start + 10)
	c := h.Client(nil)
	r, err := c.Await(t.Context(), 3, entry.LevelSealed)
	if err != nil || r.Index != 3 {
		t.Fatalf("receipt %+v, %v", r, err)
	}
	if next := ledgertest.Must(c.NextSequence(t.Context(), ledgertest.LandDID))(t); next != 1 {
		t.Errorf("next number is %d, want 1", next)
	}
	h.Tamper = func(path string, body []byte) []byte {
		if !strings.HasPrefix(path, "/v1/receipts/") {
			return nil
		}
		out, _ := json.Marshal(h.Receipt(2))
		return out
	}
	if _, err := c.Await(t.Context(), 3, entry.LevelSealed); !errors.Is(err, client.ErrTampered) {
		t.Errorf("error is %v, want tampered: the receipt is another entry's", err)
	}
	h.Tamper = nil
	var problem *client.Problem
	if _, err := c.Await(t.Context(), 99, entry.LevelSealed); !errors.As(err, &problem) || problem.Code != "not-found" {
		t.Errorf("error is %v, want the ledger's problem", err)
	}
}

func TestSubmitProblems(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(ledgertest.Start + 10)
	answer, status := "", 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(answer))
	}))
	defer server.Close()
	c := h.Client(func(cfg *client.Config) { cfg.URL = server.URL })
	e := ledgertest.Must(entry.Parse(h.Entries[1]))(t)

	answer, status = `{"type":"about:blank","status":409,"code":"sequence","title":"no","expected":4}`, http.StatusConflict
	_, err := c.Submit(t.Context(), e)
	var problem *client.Problem
	if !errors.Is(err, client.ErrSequence) || !errors.As(err, &problem) || problem.Expected != 4 || errors.Is(err, client.ErrQuota) {
		t.Errorf("error is %v, want the sequence problem", err)
	}
	answer, status = `<html>`, http.StatusBadGateway
	if _, err := c.Submit(t.Context(), e); !errors.As(err, &problem) || problem.Status != 502 || problem.Code != "" {
		t.Errorf("error is %v, want the bare status", err)
	}
	answer, status = `{"index":1}`, http.StatusAccepted
	if _, err := c.Submit(t.Context(), e); !errors.Is(err, client.ErrTampered) {
		t.Errorf("error is %v, want tampered: that is no receipt", err)
	}
	answer, status = `{"signer":"did:web:other.example","next_seq":4}`, http.StatusOK
	if _, err := c.NextSequence(t.Context(), ledgertest.LandDID); !errors.Is(err, client.ErrTampered) {
		t.Errorf("error is %v, want tampered: the answer is for another signer", err)
	}
}

func TestEgress(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(ledgertest.Start + 10)
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	answers := map[string]http.HandlerFunc{
		"redirect to another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		},
		"redirect for ever": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		},
		"compressed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bytes.Repeat([]byte{0x1f, 0x8b}, 10))
		},
	}
	for name, answer := range answers {
		server := httptest.NewServer(answer)
		c := h.Client(func(cfg *client.Config) { cfg.URL = server.URL })
		if _, err := c.Update(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		server.Close()
	}
	if asked {
		t.Error("another host was asked")
	}
	for _, bad := range []string{"", "ledger.example", "ftp://ledger.example", "https://u:p@ledger.example", "https://ledger.example?x=1"} {
		cfg := h.Config()
		cfg.URL = bad
		if _, err := client.New(cfg); err == nil {
			t.Errorf("URL %q: accepted", bad)
		}
	}
}
