package office

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/web"
)

func TestWalletOffice(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, err := ReadWalletConfig(file("wallet.json", `{"listen":{"address":"127.0.0.1:0"},"chain":"chain.json"}`))
	refused(t, err, "keys is missing")
	_, err = ReadWalletConfig(file("wallet.json", `{"listen":{"address":"192.0.2.1:80"},"chain":"chain.json","keys":"ceremony"}`))
	refused(t, err, "listen")
	cfg, err := ReadWalletConfig(file("wallet.json", `{"listen":{"address":"127.0.0.1:0"},"chain":"chain.json","keys":"ceremony"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenWallet(cfg, Options{})
	refused(t, err, "chain.json")
	_, logKey, err := note.GenerateKey(rand.Reader, "ledger.example")
	if err != nil {
		t.Fatal(err)
	}
	profile := `{"ledger":"https://ledger.example","genesis":"` + strings.Repeat("A", 42) + `E","checkpoint_policy":{"log_key":"` + logKey + `","cosigners":[],"threshold":0}}`
	file("chain.json", profile)
	_, err = OpenWallet(cfg, Options{})
	refused(t, err, "there are no proving keys in "+filepath.Join(dir, "ceremony"))
	path, _, err := circuitstest.Keys(t).ProvingKeyFile(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keys = filepath.Dir(path)
	s, err := OpenWallet(cfg, Options{})
	if errors.Is(err, web.ErrNoWallet) && os.Getenv("BULLA_JUDGES") != "required" {
		t.Skip("SKIPPED: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ledger":"https://ledger.example"`) || !strings.Contains(w.Body.String(), `"circuit":"`+circuits.Presentation+`"`) {
		t.Errorf("%d %.2000s", w.Code, w.Body)
	}
}
