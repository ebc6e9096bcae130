package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/bulla-id/bulla/web/internal/page"
)

// WalletConfig is what the wallet's page needs. The page has an origin of its own: nothing else may be served there, as whatever is
// could read the vault's bytes.
type WalletConfig struct {
	Profile json.RawMessage // of the chain, as ledger/client reads it
	Keys    []WalletKey
}

// WalletKey is a proving key that the page fetches.
type WalletKey struct {
	Circuit string
	File    []byte
}

// ErrNoWallet is returned by a program that was built without the page's WebAssembly.
var ErrNoWallet = errors.New("this program was built without the wallet's page: make build")

// Wallet serves the wallet as a page: the wallet package in a worker, and a page that shows and asks.
type Wallet struct {
	files  map[string]asset
	packed map[string]packed
	pages  map[string][]byte // by language
	worker asset             // the service worker
}

// packed is a file that is kept compressed.
type packed struct {
	asset
	zip []byte // the asset's body is nil
}

// walletFiles are the files of the page; shellFiles those that it needs to start, by name; programFiles are built by web/wasm/build; iconFiles
// are drawn.
var (
	walletFiles  = []string{"icon.svg", "wallet/app.js", "wallet/view.js", "wallet/scan.js", "wallet/worker.js", "wallet/wallet.css", "verification.css", "wallet/manifest.webmanifest"}
	shellFiles   = []string{"icon.svg", "app.js", "view.js", "scan.js", "worker.js", "wallet.css", "verification.css", "manifest.webmanifest"}
	programFiles = []string{"wallet.wasm", "scan.wasm"}
	iconFiles    = []struct {
		name     string
		size     int
		maskable bool
	}{{"icon-192.png", 192, false}, {"icon-512.png", 512, false}, {"icon-maskable.png", 512, true}}
)

// NewWallet makes the page, or returns [ErrNoWallet].
func NewWallet(cfg WalletConfig) (*Wallet, error) {
	w := &Wallet{files: make(map[string]asset), packed: make(map[string]packed), pages: make(map[string][]byte)}
	for _, name := range walletFiles {
		w.files[path.Base(name)] = loadAsset(name)
	}
	w.nameImports("scan.js", "view.js")
	w.nameImports("app.js", "view.js")
	w.nameImports("app.js", "scan.js")
	for _, icon := range iconFiles {
		drawn, err := drawIcon(icon.size, icon.maskable)
		if err != nil {
			return nil, err
		}
		w.files[icon.name] = page.NewAsset(icon.name, drawn)
	}
	glue, err := fs.ReadFile(assets, "assets/wallet/built/wasm_exec.js")
	if err != nil {
		return nil, ErrNoWallet
	}
	w.files["wasm_exec.js"] = page.NewAsset("wasm_exec.js", glue)
	type key struct {
		Circuit string `json:"circuit"`
		File    string `json:"file"`
	}
	config := struct {
		Profile  json.RawMessage   `json:"profile"`
		Keys     []key             `json:"keys"`
		Programs map[string]string `json:"programs"` // SHA-256 by name
		Files    map[string]string `json:"files"`    // addresses by name
	}{cfg.Profile, []key{}, make(map[string]string), make(map[string]string)}
	var large []string
	for _, name := range programFiles {
		packed, err := fs.ReadFile(assets, "assets/wallet/built/"+name+".gz")
		if err != nil {
			return nil, ErrNoWallet
		}
		if config.Programs[name], err = w.addPacked(name, packed); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		config.Files[name] = name + "?v=" + w.packed[name].Version()
		large = append(large, config.Files[name])
	}
	for _, k := range cfg.Keys {
		file := digest(k.File)
		w.files["keys/"+file] = page.NewAsset("key.bin", k.File)
		config.Keys = append(config.Keys, key{k.Circuit, file})
		large = append(large, "keys/"+file)
	}
	for _, name := range []string{"worker.js", "wasm_exec.js"} {
		config.Files[name] = w.address(name)
	}
	settings, err := script(config)
	texts, err2 := script(textsOfWallet())
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	for _, language := range []string{english, chinese} {
		view := walletView{
			words: words{language}, Language: language, Icon: w.address("icon.svg"), Touch: w.address("icon-192.png"), Common: w.address("verification.css"), Own: w.address("wallet.css"),
			Script: w.address("app.js"), Installed: w.address("manifest.webmanifest"), Config: settings, Texts: texts,
		}
		if err := w.draw(view); err != nil {
			return nil, err
		}
	}
	return w, w.addShell(large)
}

// nameImports gives what a script imports its version, too: else a new script could find an old one that was kept.
func (w *Wallet) nameImports(script, imported string) {
	named := bytes.ReplaceAll(w.files[script].Body, []byte(`"./`+imported+`"`), []byte(`"./`+w.address(imported)+`"`))
	w.files[script] = page.NewAsset(script, named)
}

// script is a value as JSON that can stand in a script element.
func script(value any) (template.JS, error) {
	text, err := json.Marshal(value) // escapes <, > and &
	return template.JS(text), err
}

// textsOfWallet are the texts of the page, by key without its beginning, by language.
func textsOfWallet() map[string]map[string]string {
	out := make(map[string]map[string]string)
	for key, text := range walletTexts {
		if name, ours := strings.CutPrefix(key, "wallet."); ours {
			out[name] = map[string]string{english: text.English, chinese: text.Chinese}
		}
	}
	return out
}

// addPacked adds a compressed file, and returns the SHA-256 of what is in it.
func (w *Wallet) addPacked(name string, zip []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(zip))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	sum := hash.Sum(nil)
	w.packed[name] = packed{asset{Kind: page.KindOf(name), Tag: page.TagOf(sum)}, zip}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func (w *Wallet) address(name string) string { return name + "?v=" + w.files[name].Version() }

// Handler answers at the root of the wallet's origin.
func (w *Wallet) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, file := range w.files {
		mux.Handle("GET /"+name, sameOrigin(file))
	}
	for name, file := range w.packed {
		mux.Handle("GET /"+name, sameOrigin(file))
	}
	mux.HandleFunc("GET /offline.js", w.showWorker)
	mux.HandleFunc("GET /{$}", w.show)
	return mux
}

// sameOrigin keeps other sites from using the wallet's files: the worker's bytes are nobody else's.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&headers{ResponseWriter: out, set: func(h http.Header) {
			h.Del("Access-Control-Allow-Origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cross-Origin-Embedder-Policy", "require-corp") // the worker has the page's
			h.Set("Content-Security-Policy", policyOfWorker)
		}}, r)
	})
}

// headers changes headers before they are sent.
type headers struct {
	http.ResponseWriter
	set  func(http.Header)
	done bool
}

// WriteHeader sends the changed headers.
func (w *headers) WriteHeader(status int) {
	if !w.done {
		w.done = true
		w.set(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends the changed headers first.
func (w *headers) Write(data []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(data)
}

// ServeHTTP answers compressed to who takes that, as every browser does.
func (p packed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.Head(w, r) {
		return
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(p.zip) // who asked may be gone
		return
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(p.zip))
	if err != nil {
		http.Error(w, "the file cannot be read", http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, unpacked)
}

// The wallet talks to issuers and verifiers wherever they are, over https, or http on this machine.
const (
	reach          = "connect-src 'self' https: http://127.0.0.1:* http://localhost:*"
	policyOfWorker = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " + reach
	policyOfWallet = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; manifest-src 'self'; " +
		"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

// inWallet is the address that opens an offer or a request in a wallet's page; none without one. The link stands behind #, which no server
// sees.
func inWallet(wallet, language, link string) string {
	if wallet == "" {
		return ""
	}
	return strings.TrimSuffix(wallet, "/") + "/?lang=" + language + "#" + url.QueryEscape(link)
}

// walletView is what the template gets.
type walletView struct {
	words
	Language                                    string
	Icon, Touch, Common, Own, Script, Installed string // addresses
	Config, Texts                               template.JS
}

func (w *Wallet) show(out http.ResponseWriter, r *http.Request) {
	protect(out.Header())
	out.Header().Set("Content-Security-Policy", policyOfWallet)
	out.Header().Set("Permissions-Policy", "camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self), microphone=(), geolocation=()")
	out.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	out.Header().Set("Cross-Origin-Embedder-Policy", "require-corp")
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.Write(w.pages[languageOf(r)])
}
