package office

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
)

// A relying party's certificate is of its signing key, and is read as the configuration's file.
func TestCertificate(t *testing.T) {
	dir, agency := t.TempDir(), t.TempDir()
	p, err := MakeKeys(KeysConfig{Dir: dir, Role: Verifier, Name: "did:web:bank.example", Passphrase: "x", WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MakeKeys(KeysConfig{Dir: agency, Role: Issuer, Name: "did:web:land.example", Passphrase: "x", WorkFactor: 4}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cfg := CertificateConfig{Dir: dir, Passphrase: "x", Hosts: []string{"bank.example"}, Days: 30, Now: now}
	text, err := MakeCertificate(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "certificate.pem")
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(append(text, text...))
	chain, err := readCertificates(file)
	if err != nil || len(chain) != 2 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	leaf, err := jose.ParseChain(chain)
	if err != nil || leaf.Key != *p.Key || leaf.ValidAt(now.AddDate(0, 0, 29)) != nil || leaf.ValidAt(now.AddDate(0, 0, 31)) == nil {
		t.Errorf("%+v, %v", leaf, err)
	}
	cfg.Request = true
	request, err := MakeCertificate(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"a request": request, "nothing": nil, "text": []byte("x"), "text after it": append(text, "x"...)} {
		write(bad)
		if _, err := readCertificates(file); err == nil {
			t.Errorf("%s is read as certificates", name)
		}
	}
	cfg.Request, cfg.Days = false, 0
	_, err = MakeCertificate(cfg)
	refused(t, err, "0 days")
	cfg.Days, cfg.Dir = 30, agency
	_, err = MakeCertificate(cfg)
	refused(t, err, "of the role issuer")
	cfg.Dir, cfg.Passphrase = dir, "y"
	if _, err = MakeCertificate(cfg); err == nil {
		t.Error("made without the passphrase")
	}
}
