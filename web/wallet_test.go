package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// walletPage is the page's server; the wallet in it is tested in internal/demo, in a browser against a running network.
func walletPage(t *testing.T) *httptest.Server {
	t.Helper()
	w, err := NewWallet(WalletConfig{
		Profile: json.RawMessage(`{"ledger":"https://ledger.example/</script>"}`), Keys: []WalletKey{{"enrolment-1", []byte("a key")}},
	})
	if errors.Is(err, ErrNoWallet) && os.Getenv("BULLA_JUDGES") != "required" {
		t.Skip("SKIPPED: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(w.Handler())
	t.Cleanup(s.Close)
	return s
}

func TestWalletPage(t *testing.T) {
	s := walletPage(t)
	response, page := get(t, s.URL+"/?lang=zh-CN")
	if response.StatusCode != http.StatusOK || !strings.Contains(page, `<html lang="zh-CN">`) || !strings.Contains(page, "您的钱包") {
		t.Errorf("%s %.300s", response.Status, page)
	}
	for header, part := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if !strings.Contains(response.Header.Get(header), part) {
			t.Errorf("%s is %q", header, response.Header.Get(header))
		}
	}
	var config struct {
		Profile struct{ Ledger string }
		Keys    []struct{ Circuit, File string }
		Files   map[string]string
	}
	text := regexp.MustCompile(`(?s)id="config">(.*?)</script>`).FindStringSubmatch(page)
	if text == nil || json.Unmarshal([]byte(text[1]), &config) != nil || config.Profile.Ledger != "https://ledger.example/</script>" {
		t.Fatalf("the configuration does not survive the page: %q", text)
	}
	for _, address := range []string{config.Files["worker.js"], config.Files["wasm_exec.js"], config.Files["wallet.wasm"], "keys/" + config.Keys[0].File, "app.js", "view.js", "wallet.css", "manifest.webmanifest", "icon-192.png", "icon-512.png", "icon-maskable.png"} {
		response, body := get(t, s.URL+"/"+address)
		if response.StatusCode != http.StatusOK || body == "" || response.Header.Get("Access-Control-Allow-Origin") != "" || response.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %s %v", address, response.Status, response.Header)
		}
		if strings.Contains(address, "?v=") && !strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s", address, response.Header.Get("Cache-Control"))
		}
	}
	if response, _ := get(t, s.URL+"/verify/x"); response.StatusCode != http.StatusNotFound {
		t.Errorf("another page on the wallet's origin: %s", response.Status)
	}
}

// The program comes compressed to who takes that, and is the same either way.
func TestWalletProgram(t *testing.T) {
	s := walletPage(t)
	size := func(encoding string) int64 {
		r, err := http.NewRequest(http.MethodGet, s.URL+"/wallet.wasm", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", encoding)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		if err != nil || response.Header.Get("Content-Type") != "application/wasm" || response.Header.Get("Content-Encoding") == "gzip" != (encoding == "gzip") {
			t.Errorf("%v %v", err, response.Header)
		}
		return n
	}
	packed := size("gzip")
	plain := size("identity")
	t.Logf("%d bytes, compressed %d", plain, packed)
	if packed*2 > plain || plain < 1<<20 {
		t.Errorf("%d bytes, compressed %d", plain, packed)
	}
}
