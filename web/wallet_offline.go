package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/bulla-id/bulla/web/internal/page"
)

// The wallet's page can be installed, and starts without a network: a service worker keeps its shell.

// largeCache is where the page's worker keeps the program and the keys; the service worker removes those of older versions.
const largeCache = "bulla-keys"

// policyOfShell lets the service worker fetch from its own origin, and nothing else.
const policyOfShell = "default-src 'none'; connect-src 'self'"

// shell is what the service worker keeps.
type shell struct {
	Version string            `json:"version"`
	Files   map[string]string `json:"files"` // SHA-256 by address
	Large   struct {
		Cache string   `json:"cache"`
		Files []string `json:"files"` // addresses that may stay there
	} `json:"large"`
}

// addShell writes the service worker for the pages and files that there are by now.
func (w *Wallet) addShell(large []string) error {
	var s shell
	s.Files = make(map[string]string)
	for language, body := range w.pages {
		s.Files["?lang="+language] = digest(body)
	}
	for _, name := range append(shellFiles, "wasm_exec.js") {
		s.Files[w.address(name)] = digest(w.files[name].Body)
	}
	s.Large.Cache, s.Large.Files = largeCache, large
	unnamed, err := script(s)
	if err != nil {
		return err
	}
	s.Version = digest([]byte(unnamed))
	text, err := script(s)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, "const shell = %s;\n\n%s", text, loadAsset("wallet/offline.js").Body)
	w.worker = page.NewAsset("offline.js", body)
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// draw makes the page in a language. It is the same for everybody.
func (w *Wallet) draw(view walletView) error {
	var page bytes.Buffer
	if err := pages.Lookup("wallet.html").Execute(&page, view); err != nil {
		return err
	}
	w.pages[view.Language] = page.Bytes()
	return nil
}

// showWorker answers with the service worker. Browsers ask for it again and again, and see so that there is a new version.
func (w *Wallet) showWorker(out http.ResponseWriter, r *http.Request) {
	set := func(h http.Header) {
		h.Del("Access-Control-Allow-Origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", policyOfShell)
	}
	w.worker.ServeHTTP(&headers{ResponseWriter: out, set: set}, r)
}
