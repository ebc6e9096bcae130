package office

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// ask gets a page as a browser that prefers English.
func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// An explorer reads a running ledger in its process as it would over the network, under the ledger's own policy, goes on after a restart,
// and leaves all other paths to the ledger.
func TestExplorerBesideLedger(t *testing.T) {
	chain := ledgertest.New(t)
	const did = "did:web:land.example"
	chain.RegisterIssuer(did, "https://land.example")
	schema := chain.PublishSchema(credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister, Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}, did)
	chain.Issue(did, schema, credential.RandomElement(), credential.RandomElement())
	parts := LedgerParts{Threshold: 1, Logger: slog.New(slog.DiscardHandler)}
	for _, key := range chain.Policy.Cosigners {
		parts.Cosigners = append(parts.Cosigners, ledger.TrustedCosigner{Key: key})
	}
	dir, handler := t.TempDir(), chain.Log.Handler()
	for range 2 {
		view := chain.Settle()
		explorer, err := ExplorerOf(chain.Log, handler, parts, chain.Policy.LogKey, dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- explorer.Run(ctx) }()
		for range 200 {
			if explorer.index.Head().Checked >= view.Checkpoint.Size {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if h := explorer.index.Head(); h.Checked < view.Checkpoint.Size || h.Live != view.Census.Live(schema, []string{did}) || h.OutOfOrder {
			t.Errorf("%+v", h)
		}
		server := httptest.NewServer(explorer.Beside(handler))
		for path, want := range map[string]string{
			"/explore": "The public chain", "/explore/": "The public chain", "/explore/issuer/" + did: "Credentials issued", "/explore/check/checkpoint": view.Checkpoint.Origin,
			"/v1/status": `"entries"`, "/explorer": "nothing",
		} {
			if _, body := ask(t, server.URL+path); !strings.Contains(body, want) {
				t.Errorf("%s has no %q: %.200s", path, want, body)
			}
		}
		server.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := explorer.Close(); err != nil {
			t.Error(err)
		}
		chain.Issue(did, schema, credential.RandomElement())
	}
}

// A client that asks for pages too often waits; the ledger answers it all the same.
func TestExplorerRate(t *testing.T) {
	chain := ledgertest.New(t)
	explorer, err := ExplorerParts{Dir: t.TempDir(), Profile: client.Profile{Ledger: chain.URL, Genesis: chain.Genesis, Policy: chain.Policy}, From: chain.Log.Handler(), Logger: slog.New(slog.DiscardHandler)}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer explorer.Close()
	handler := explorer.Beside(chain.Log.Handler())
	limited := 0
	for range explorerRate.Burst + 50 {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/explore/live", nil))
		if answer.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/checkpoint", nil))
	if limited < 10 || answer.Code != http.StatusOK {
		t.Errorf("%d were told to wait; the ledger answers %d", limited, answer.Code)
	}
}

// The ledger's configuration names the explorer's folder, beside the file; one that cannot be opened does not keep the ledger from its work.
func TestExplorerOfConfiguration(t *testing.T) {
	w := newTown(t)
	path := filepath.Join(w.dir, "ledger", "ledger.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.write(path, strings.Replace(string(text), `"threshold":1`, `"threshold":1,"explorer":"explorer"`, 1))
	if w.cfg, err = ReadLedgerConfig(path); err != nil || w.cfg.Explorer != filepath.Join(w.dir, "ledger", "explorer") {
		t.Fatalf("%q, %v", w.cfg.Explorer, err)
	}
	if err := w.found(w.signed(0, 1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		status int
	}{{"whole", http.StatusOK}, {"damaged", http.StatusNotFound}} {
		name, status := c.name, c.status
		if name == "damaged" {
			w.cfg.Explorer = filepath.Join(w.dir, "a file")
			w.write(w.cfg.Explorer, "in the way")
		}
		s, err := OpenLedger(w.cfg, Options{Passphrase: passphrase})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if code, body := ask(t, s.URL()+"/explore/"); code != status {
			t.Errorf("%s: %d %.200s", name, code, body)
		}
		if code, _ := ask(t, s.URL()+"/healthz"); code != http.StatusOK {
			t.Errorf("%s: the ledger answers %d", name, code)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
