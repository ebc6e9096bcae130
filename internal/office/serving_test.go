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
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// certificate writes a certificate for audit.example beside the cosigner's configuration.
func (w *town) certificate() *x509.CertPool {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "audit.example"}, DNSNames: []string{"audit.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.write(filepath.Join(w.dir, "audit", "cert.pem"), string(certificate))
	w.write(filepath.Join(w.dir, "audit", "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}
