package web

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"image"
	_ "image/png"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/internal/qr"
	"github.com/bulla-id/bulla/web/browsertest"
)

// someWallet is a wallet's page for a chain that cannot be reached.
func someWallet(t *testing.T, ledger string) *Wallet {
	t.Helper()
	_, verifier, err := note.GenerateKey(rand.Reader, "ledger.example/test")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := json.Marshal(map[string]any{
		"ledger": ledger, "genesis": digest([]byte("a chain")), "checkpoint_policy": map[string]any{"log_key": verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWallet(WalletConfig{Profile: profile})
	if errors.Is(err, ErrNoWallet) && os.Getenv("BULLA_JUDGES") != "required" {
		t.Skip("SKIPPED: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The service worker keeps what the server serves, by its digest, and nothing that is not static.
func TestShell(t *testing.T) {
	w := someWallet(t, "http://127.0.0.1:1")
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	response, text := get(t, s.URL+"/offline.js")
	if policy := response.Header.Get("Content-Security-Policy"); policy != policyOfShell || response.Header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", response.Header)
	}
	var kept shell
	named := regexp.MustCompile(`(?m)^const shell = (.*);$`).FindStringSubmatch(text)
	if named == nil || json.Unmarshal([]byte(named[1]), &kept) != nil {
		t.Fatalf("%.300s", text)
	}
	if len(kept.Files) != 2+len(shellFiles)+1 || !slices.ContainsFunc(kept.Large.Files, func(f string) bool { return strings.HasPrefix(f, "wallet.wasm?v=") }) {
		t.Errorf("%+v", kept)
	}
	for file, sum := range kept.Files {
		response, body := get(t, s.URL+"/"+file)
		if response.StatusCode != http.StatusOK || digest([]byte(body)) != sum {
			t.Errorf("%s: %s, SHA-256 %s, the worker wants %s", file, response.Status, digest([]byte(body)), sum)
		}
	}
	if _, other := get(t, httptestOf(t, someWallet(t, "http://127.0.0.1:2"))+"/offline.js"); other == text {
		t.Error("another configuration is the same version")
	}
}

func httptestOf(t *testing.T, w *Wallet) string {
	t.Helper()
	s := httptest.NewServer(w.Handler())
	t.Cleanup(s.Close)
	return s.URL
}

const (
	// cachedFiles are the addresses that the browser keeps, by cache.
	cachedFiles = `(async () => Object.fromEntries(await Promise.all((await caches.keys()).map(async (name) =>
		[name, (await (await caches.open(name)).keys()).map((r) => new URL(r.url).pathname + new URL(r.url).search)]))))()`
	isActive = `navigator.serviceWorker.getRegistration().then((r) => r?.active?.state === "activated" && !r.waiting && !r.installing)`
)

// In Chromium the page can be installed; it starts when there is no server any longer; and a new version takes the place of the old one.
func TestWalletOffline(t *testing.T) {
	b := browsertest.Open(t)
	var now atomic.Pointer[Wallet]
	first, second := someWallet(t, "http://127.0.0.1:1"), someWallet(t, "http://127.0.0.1:2")
	now.Store(first)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().Handler().ServeHTTP(w, r) }))
	address := "http://localhost:" + s.URL[strings.LastIndex(s.URL, ":")+1:]
	open := func(language string) {
		t.Helper()
		b.Open(address + "/?lang=" + language)
		b.Until(`document.getElementById("content").dataset.view === "welcome"`)
	}
	open("en")
	eventually(t, b, isActive)
	if reasons := b.NotInstallable(); len(reasons) > 0 {
		t.Errorf("Chromium does not install it: %q", reasons)
	}
	old := wantShell(t, b)

	now.Store(second)
	open("en") // the browser sees the new version, which waits for this page to go
	eventually(t, b, `navigator.serviceWorker.getRegistration().then(async (r) => { await r.update(); return !!(r.waiting || r.active) && (await caches.keys()).length >= 2; })`)
	b.Open("about:blank")
	time.Sleep(time.Second) // which a browser takes to see that nobody uses the old one
	open("en")
	eventually(t, b, isActive)
	eventually(t, b, `caches.keys().then((names) => !names.includes(`+quoted(old)+`))`)
	if name := wantShell(t, b); name == old {
		t.Error("the old version stays")
	}

	b.WantNoErrors() // later the browser says of its own that the server is gone
	b.Open("about:blank")
	s.CloseClientConnections()
	s.Close()
	if c, err := net.Dial("tcp", s.Listener.Addr().String()); err == nil {
		c.Close()
		t.Fatal("the server still answers")
	}
	open("zh-CN")
	if text := browsertest.Evaluate[string](b, `document.querySelector("h1").textContent`); text != walletTexts["wallet.welcome"].Chinese {
		t.Errorf("without a network the page says %q", text)
	}
}

// What arrives in a new tab goes to the one where the wallet is open, unless a person is in the middle of something there.
func TestWalletTabs(t *testing.T) {
	first := browsertest.Open(t)
	s := httptestOf(t, someWallet(t, "http://127.0.0.1:1"))
	address := "http://localhost:" + s[strings.LastIndex(s, ":")+1:] + "/?lang=en"
	at := func(b *browsertest.Browser, view string) {
		t.Helper()
		b.Within(2*time.Minute, `document.getElementById("content")?.dataset.view === `+quoted(view))
	}
	offer := inWallet(address[:strings.Index(address, "/?")], "en", `openid-credential-offer://?credential_offer={"credential_issuer":"https://land.example"}`)

	other := first.Tab()
	other.Open(offer)
	at(other, "welcome") // no wallet is open anywhere
	if text := browsertest.Evaluate[string](other, `document.getElementById("content").innerText`); !strings.Contains(text, walletTexts["wallet.waits"].English) {
		t.Errorf("the new tab says %q", text)
	}
	first.Open(address)
	at(first, "welcome")
	browsertest.Evaluate[any](first, `for (const id of ["passphrase", "again"]) document.getElementById(id).value = "correct horse battery"; document.getElementById("again").form.requestSubmit()`)
	at(first, "home")

	other.Open("about:blank")
	other.Open(offer)
	at(other, "elsewhere")
	at(first, "offer")
	if text := browsertest.Evaluate[string](first, `document.getElementById("content").innerText`); !strings.Contains(text, "land.example") {
		t.Errorf("the open wallet says %q", text)
	}
	other.Look("wallet, open elsewhere", false, func(language string) {
		if browsertest.Evaluate[string](other, "document.documentElement.lang") != language {
			browsertest.Evaluate[any](other, `document.getElementById("language").click()`)
		}
	})

	other.Open("about:blank")
	other.Open(offer)
	at(other, "unlock") // the first tab shows an offer
	first.WantNoErrors()
	other.WantNoErrors()
}

// A code is read by the camera and, where there is none, in a picture. What is no code of ours is said to be none.
func TestWalletScan(t *testing.T) {
	s := httptestOf(t, someWallet(t, "http://127.0.0.1:1"))
	address := "http://localhost:" + s[strings.LastIndex(s, ":")+1:] + "/?lang=en"
	offer, other := codeOf(t, `openid-credential-offer://?credential_offer={"credential_issuer":"https://land.example"}`), codeOf(t, "https://shop.example/")
	open := func(b *browsertest.Browser) {
		t.Helper()
		b.Open(address)
		b.Until(`document.getElementById("content").dataset.view === "welcome"`)
		browsertest.Evaluate[any](b, `for (const id of ["passphrase", "again"]) document.getElementById(id).value = "correct horse battery"; document.getElementById("again").form.requestSubmit()`)
		b.Within(2*time.Minute, `document.getElementById("content").dataset.view === "home"`)
		browsertest.Evaluate[any](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === "Scan a code").click()`)
		b.Until(`document.getElementById("content").dataset.view === "scan"`)
	}
	says := func(b *browsertest.Browser, key string) {
		t.Helper()
		b.Until(`document.querySelector("[role=status]")?.textContent === ` + quoted(walletTexts[key].English))
	}
	offered := func(b *browsertest.Browser) {
		t.Helper()
		b.Until(`document.getElementById("content").dataset.view === "offer"`)
		if text := browsertest.Evaluate[string](b, `document.getElementById("content").innerText`); !strings.Contains(text, "land.example") {
			t.Errorf("what was scanned is shown as %q", text)
		}
		b.WantNoErrors()
	}
	camera := browsertest.Open(t, browsertest.Camera(t, pictureOf(t, offer)))
	open(camera)
	offered(camera)

	b := browsertest.Open(t, browsertest.Camera(t, pictureOf(t, other)))
	open(b)
	says(b, "wallet.scan.other")
	b.Look("wallet, scan", false, func(language string) {
		inLanguage(b)(language)
		b.Until(`document.querySelector("[role=status]")?.textContent === ` + quoted(walletTexts["wallet.scan.other"].In(language)))
	})
	inLanguage(b)("en")
	b.Choose("#picture", offer)
	offered(b)
	if browsertest.Evaluate[bool](b, `!!document.querySelector("video")`) {
		t.Error("the camera is still shown")
	}
}

// pictureOf decodes a picture.
func pictureOf(t *testing.T, file []byte) image.Image {
	t.Helper()
	picture, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// codeOf is a QR code as PNG.
func codeOf(t *testing.T, text string) []byte {
	t.Helper()
	code, err := qr.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return code.PNG()
}

// eventually waits for a promise of true.
func eventually(t *testing.T, b *browsertest.Browser, promise string) {
	t.Helper()
	for range 600 {
		if browsertest.Evaluate[bool](b, promise) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("wait for %s", promise)
}

// wantShell is the name of the one cache of the shell, with pages and files of one version in it.
func wantShell(t *testing.T, b *browsertest.Browser) (name string) {
	t.Helper()
	for cache, files := range browsertest.Evaluate[map[string][]string](b, cachedFiles) {
		if cache == largeCache {
			continue
		}
		if name != "" {
			t.Errorf("two caches: %s and %s", name, cache)
		}
		name = cache
		if len(files) != 2+len(shellFiles)+1 {
			t.Errorf("%s has %q", cache, files)
		}
		for _, file := range files {
			if file != "/?lang=en" && file != "/?lang=zh-CN" && !strings.Contains(file, "?v=") {
				t.Errorf("%s is kept without its version", file)
			}
		}
	}
	return name
}

// A program that is not the one that the page names does not run, and the page says so.
func TestWalletBroken(t *testing.T) {
	b := browsertest.Open(t)
	w := someWallet(t, "http://127.0.0.1:1")
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wallet.wasm" {
			_, _ = out.Write([]byte("\x00asm\x01\x00\x00\x00")) // a program that does nothing
			return
		}
		w.Handler().ServeHTTP(out, r)
	}))
	defer s.Close()
	b.Open("http://localhost:" + s.URL[strings.LastIndex(s.URL, ":")+1:] + "/?lang=en")
	b.Until(`document.getElementById("content").dataset.view === "broken"`)
	if text := browsertest.Evaluate[string](b, `document.getElementById("content").innerText`); !strings.Contains(text, "wallet.wasm is not the one that this page names") {
		t.Errorf("the page says %q", text)
	}
	b.Look("wallet, broken", false, inLanguage(b))
}

// While an answer is waited for, the page says so, and the person can go on to something else: scan, where there is no camera.
func TestWalletBusy(t *testing.T) {
	b := browsertest.Open(t)
	ended := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	defer silent.Close()
	defer close(ended)
	s := httptestOf(t, someWallet(t, silent.URL))
	b.Open("http://localhost:" + s[strings.LastIndex(s, ":")+1:] + "/?lang=en")
	b.Until(`document.getElementById("content").dataset.view === "welcome"`)
	browsertest.Evaluate[any](b, `for (const id of ["passphrase", "again"]) document.getElementById(id).value = "correct horse battery"; document.getElementById("again").form.requestSubmit()`)
	b.Within(2*time.Minute, `document.getElementById("content").dataset.view === "home"`)
	browsertest.Evaluate[any](b, `document.getElementById("link").value = "openid4vp://?client_id=verifier.example&request_uri=`+url.QueryEscape(silent.URL+"/request")+`"; document.getElementById("link").form.requestSubmit()`)
	b.Until(`document.getElementById("content").dataset.view === "busy"`)
	b.Look("wallet, busy", false, inLanguage(b))
	inLanguage(b)("en")
	for _, button := range []string{"Back", "History", "Wallet"} {
		browsertest.Evaluate[any](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === `+quoted(button)+`).click()`)
		b.Until(`document.getElementById("content").dataset.view === ` + quoted(map[string]string{"Back": "home", "History": "history", "Wallet": "home"}[button]))
	}
	browsertest.Evaluate[any](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === "Scan a code").click()`)
	b.Until(`document.querySelector("[role=status]")?.textContent === ` + quoted(walletTexts["wallet.scan.no-camera"].English))
	b.Choose("#picture", []byte("no picture"))
	b.Until(`document.querySelector("[role=status]")?.textContent === ` + quoted(walletTexts["wallet.scan.none"].English))
	b.WantNoErrors()
}

// inLanguage brings the wallet's page into a language, as its button does.
func inLanguage(b *browsertest.Browser) func(language string) {
	return func(language string) {
		if browsertest.Evaluate[string](b, "document.documentElement.lang") != language {
			browsertest.Evaluate[any](b, `document.getElementById("language").click()`)
		}
	}
}
