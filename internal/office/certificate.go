package office

import (
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// maxCertificateDays is how long a certificate of our own making may last.
const maxCertificateDays = 825

// CertificateConfig says what of a relying party's signing key is made.
type CertificateConfig struct {
	Dir        string // the office's folder
	Passphrase string
	Hosts      []string  // that it is reached at; may be empty
	Days       int       // that a certificate lasts
	Now        time.Time // when it begins
	Request    bool      // a PKCS #10 request for an authority, instead of a certificate
}

// MakeCertificate makes a certificate of a relying party's signing key by itself, or a request for an authority to make
// one, in PEM. Wallets want of it only that its key is registered on the chain and that it is in time; whoever made it.
func MakeCertificate(cfg CertificateConfig) ([]byte, error) {
	if !cfg.Request && (cfg.Days < 1 || cfg.Days > maxCertificateDays) {
		return nil, fmt.Errorf("make certificate: %d days, want 1 to %d", cfg.Days, maxCertificateDays)
	}
	p, err := ReadPublic(filepath.Join(cfg.Dir, PublicFile), Verifier)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	secrets, err := openSecrets(filepath.Join(cfg.Dir, SecretsFolder), cfg.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	key, err := signer(secrets, signingKey)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if key.Public() != *p.Key {
		return nil, errors.New("make certificate: the key store has another signing key than " + PublicFile)
	}
	kind, make := "CERTIFICATE", func() ([]byte, error) {
		return key.SelfCertify(p.Name, cfg.Hosts, cfg.Now, cfg.Now.AddDate(0, 0, cfg.Days))
	}
	if cfg.Request {
		kind, make = "CERTIFICATE REQUEST", func() ([]byte, error) { return key.CertificateRequest(p.Name, cfg.Hosts) }
	}
	der, err := make()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
}
