package jose

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Bounds of the certificates that a token may carry. Those beside the first are not read: nobody here trusts an authority.
const (
	maxCertificates = 3
	maxCertificate  = 4 << 10 // bytes of DER
)

// Certificate is a certificate as far as it names a key. That its issuer can be trusted is not said, nor asked for: the
// key is trusted or not by other means, as by the chain's registry.
type Certificate struct {
	DER       []byte
	Key       PublicKey
	NotBefore time.Time
	NotAfter  time.Time
}

// ParseCertificate reads a certificate of one of our kinds of keys. One that says that its key is for other uses than
// signatures, or has critical extensions that we do not know, is refused.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("certificate of %d bytes, at most %d", len(der), maxCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %.200w", err)
	}
	key, err := PublicKeyOf(c.PublicKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("certificate: %w", err)
	case len(c.UnhandledCriticalExtensions) > 0:
		return nil, fmt.Errorf("certificate has %d critical extensions that are not known here", len(c.UnhandledCriticalExtensions))
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, fmt.Errorf("the certificate's key is not for signatures")
	}
	return &Certificate{bytes.Clone(der), key, c.NotBefore, c.NotAfter}, nil
}

// ParseChain is the first of 1 to 3 certificates, DER, which names the key. The others are bounded, and that is all.
func ParseChain(chain [][]byte) (*Certificate, error) {
	if len(chain) == 0 || len(chain) > maxCertificates {
		return nil, fmt.Errorf("%d certificates, want 1 to %d", len(chain), maxCertificates)
	}
	for i, der := range chain {
		if len(der) > maxCertificate {
			return nil, fmt.Errorf("certificate %d has %d bytes, at most %d", i+1, len(der), maxCertificate)
		}
	}
	return ParseCertificate(chain[0])
}

// Digest is the SHA-256 of the certificate's DER form.
func (c *Certificate) Digest() credential.Digest { return credential.DigestOf(c.DER) }

// ValidAt refuses a certificate before its time or after it.
func (c *Certificate) ValidAt(now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("certificate is valid from %s to %s", c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// SelfCertify makes a certificate of the key by itself, DER: for readers who find the key elsewhere and want no more of a
// certificate than its form. names are of the hosts that the key's owner is reached at.
func (k *SigningKey) SelfCertify(subject string, names []string, from, until time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: subject}, DNSNames: names, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.secret.Public(), k.secret)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return der, nil
}

// CertificateRequest is a PKCS #10 request for an authority to make a certificate of the key, DER.
func (k *SigningKey) CertificateRequest(subject string, names []string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: subject}, DNSNames: names}, k.secret)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return der, nil
}

// certifiedHeader is the header of a token that carries certificates instead of naming its key. Only [VerifyCertified]
// reads it.
type certifiedHeader struct {
	Algorithm Algorithm `json:"alg"`
	Type      string    `json:"typ"`
	Chain     []string  `json:"x5c"` // base64 with padding, not base64url: RFC 7515 section 4.1.6
}

// SignCertified makes a compact JWS that carries certificates, DER, the key's own first.
func SignCertified(key *SigningKey, typ string, chain [][]byte, payload any) (string, error) {
	header := certifiedHeader{Algorithm: key.Public().Algorithm(), Type: typ}
	for _, der := range chain {
		header.Chain = append(header.Chain, base64.StdEncoding.EncodeToString(der))
	}
	return SignHeader(key, header, payload)
}

// VerifyCertified checks a compact JWS with that typ against the key of the certificate that it carries, and returns its
// payload. trust decides whether that certificate is one to believe; nothing else here does.
func VerifyCertified(token, typ string, trust func(*Certificate) error) ([]byte, error) {
	var header certifiedHeader
	s, err := split(token, &header)
	if err != nil {
		return nil, err
	}
	if header.Type != typ {
		return nil, fmt.Errorf("typ is %.100q, want %.100q: %w", header.Type, typ, ErrToken)
	}
	leaf, err := header.leaf()
	if err != nil {
		return nil, fmt.Errorf("x5c: %w: %w", err, ErrToken)
	}
	if err := trust(leaf); err != nil {
		return nil, err
	}
	return s.verify(header.Algorithm, leaf.Key)
}

func (h *certifiedHeader) leaf() (*Certificate, error) {
	if len(h.Chain) > maxCertificates {
		return nil, fmt.Errorf("%d certificates, at most %d", len(h.Chain), maxCertificates)
	}
	chain := make([][]byte, len(h.Chain))
	for i, text := range h.Chain {
		if len(text) > base64.StdEncoding.EncodedLen(maxCertificate) {
			return nil, fmt.Errorf("certificate %d is too large", i+1)
		}
		var err error
		if chain[i], err = base64.StdEncoding.Strict().DecodeString(text); err != nil || base64.StdEncoding.EncodeToString(chain[i]) != text { // the decoder passes line breaks over
			return nil, fmt.Errorf("certificate %d is not base64", i+1)
		}
	}
	return ParseChain(chain)
}
