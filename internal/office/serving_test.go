package office

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/ledger"
)

// A cosigner serves over TLS with the files of its configuration, and stops in order.
func TestServingOverTLS(t *testing.T) {
	w := newTown(t)
	audit, err := ReadPublic(filepath.Join(w.dir, "audit", PublicFile), Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := NewProfile(w.signed(0, 1), "http://127.0.0.1:1", []Public{audit}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteProfile(filepath.Join(w.dir, "chain.json"), profile); err != nil {
		t.Fatal(err)
	}
	roots := w.certificate()
	path := filepath.Join(w.dir, "audit", "cosigner.json")
	w.write(path, `{"listen":{"address":"127.0.0.1:0","certificate":"cert.pem","key":"key.pem"},"secrets":"secrets","store":"store","register":"../r/last","chain":"../chain.json"}`)
	cfg, err := ReadCosignerConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenCosigner(cfg, Options{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	address, secure := strings.CutPrefix(s.URL(), "https://")
	if !secure {
		t.Errorf("it serves at %s", s.URL())
	}
	connection, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "audit.example"})
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	cfg.Listen.Key = filepath.Join(w.dir, "nothing.pem")
	_, err = OpenCosigner(cfg, Options{Passphrase: passphrase})
	refused(t, err, "listen.certificate and listen.key")
}

// What the file says of the store's upkeep reaches the ledger; what it leaves out is the ledger's own default.
func TestUpkeep(t *testing.T) {
	w := newTown(t)
	path := filepath.Join(w.dir, "ledger", "ledger.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for added, want := range map[string]ledger.Config{
		``: {},
		`"export":"../www","keep_days":30,"scrub":{"every_hours":6,"kibibytes_per_second":20480},`: {
			ExportDir: filepath.Join(w.dir, "www"), KeepVersions: 30 * 24 * time.Hour, ScrubEvery: 6 * time.Hour, ScrubRate: 20 << 20,
		},
	} {
		w.write(path, strings.Replace(string(text), "{", "{"+added, 1))
		cfg, err := ReadLedgerConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := cfg.parts(chainKeys{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := parts.with(func(got ledger.Config) error {
			if got.ExportDir != want.ExportDir || got.KeepVersions != want.KeepVersions || got.ScrubEvery != want.ScrubEvery || got.ScrubRate != want.ScrubRate {
				t.Errorf("%s: the ledger is given %+v", added, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
}

// Limits count clients and not the proxy that asks for them, if it is trusted, and the proxy if it is not.
func TestClientsBehindAProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		w := newTown(t)
		if trusted {
			w.cfg.Listen.TrustedProxies = []string{"127.0.0.1/32"}
		}
		if err := w.found(w.signed(0, 1)); err != nil {
			t.Fatal(err)
		}
		s, err := OpenLedger(w.cfg, Options{Passphrase: passphrase})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		// The clients invent what stands in front: it must make no other client of them.
		busy := readers(t, s.URL(), 16, "192.0.2.1")
		if code := readers(t, s.URL(), 1, "192.0.2.1"); busy != http.StatusOK || code != http.StatusServiceUnavailable {
			t.Errorf("trusted %t: a client's 16th stream is answered %d, its 17th %d", trusted, busy, code)
		}
		want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[trusted]
		if code := readers(t, s.URL(), 1, "192.0.2.2"); code != want {
			t.Errorf("trusted %t: another client is answered %d, want %d", trusted, code, want)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
}

// readers opens streams as a proxy does for a client, and returns the last status.
func readers(t *testing.T, url string, n int, client string) (status int) {
	t.Helper()
	for i := range n {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d, %s", i, client))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		status = response.StatusCode
	}
	return status
}

// certificate writes a certificate for audit.example beside the cosigner's configuration.
func (w *town) certificate() *x509.CertPool {
	w.t.Helper()
	return certify(w.t, filepath.Join(w.dir, "audit"), time.Now().Add(time.Hour))
}

// certify writes a certificate for audit.example and this machine, good until end, as cert.pem with key.pem.
func certify(t testing.TB, dir string, end time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "audit.example"}, DNSNames: []string{"audit.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}

// Operators read at an address of their own what clients asked and how the office is; clients find nothing there.
func TestMetrics(t *testing.T) {
	w := newTown(t)
	w.cfg.Listen.Metrics = "127.0.0.1:0"
	if err := w.found(w.signed(0, 1)); err != nil {
		t.Fatal(err)
	}
	s, err := OpenLedger(w.cfg, Options{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	get := func(url string) (status int, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for range 3 {
		if status, body := get(s.URL() + "/v1/status"); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, _ := get(s.URL() + metricsPath); status != http.StatusNotFound {
		t.Errorf("clients' address has metrics: %d", status)
	}
	if readers(t, s.URL(), 1, "") != http.StatusOK { // its header comes at once, and its end is not awaited
		t.Error("a stream does not begin")
	}
	_, body := get(s.MetricsURL())
	for _, line := range []string{
		`bulla_http_requests_total{code="200",method="get"} 3`, `bulla_http_requests_total{code="404",method="get"} 1`,
		`bulla_http_request_duration_seconds_count{method="get"} 4`, "bulla_ready ", "bulla_ledger_entries 1", "bulla_ledger_needs_repair 0", "go_goroutines ",
	} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
