package dcc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/veraison/go-cose"
)

// Signer is a document signer: the public key of an X.509 certificate, and what it may sign.
type Signer struct {
	keyID     [8]byte // first bytes of SHA-256 of the certificate
	publicKey crypto.PublicKey
	usages    map[string]bool // groups (v, t, r) it may sign; empty if the certificate does not restrict them
}

// maxCertificate bounds a signer's certificate, in bytes of DER.
const maxCertificate = 16 << 10

// ParseSigner reads a DER certificate. It reads only key and extended key usage: states' certificates break other rules
// of X.509 (PSS keys, odd names), and those decide nothing here.
func ParseSigner(der []byte) (*Signer, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("signer's certificate has %d bytes, at most %d", len(der), maxCertificate)
	}
	var certificate x509Certificate
	if rest, err := asn1.Unmarshal(der, &certificate); err != nil {
		return nil, fmt.Errorf("decode the signer's certificate: %w", err)
	} else if len(rest) > 0 {
		return nil, fmt.Errorf("decode the signer's certificate: %d bytes follow it", len(rest))
	}
	tbs := certificate.TBS
	publicKey, err := parsePublicKey(tbs.PublicKey.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("signer's public key: %w", err)
	}
	usages, err := parseUsages(tbs.Extensions)
	if err != nil {
		return nil, fmt.Errorf("signer's extended key usage: %w", err)
	}
	digest := sha256.Sum256(der)
	return &Signer{keyID: [8]byte(digest[:8]), publicKey: publicKey, usages: usages}, nil
}

// KeyID is the first 8 bytes of SHA-256 of the certificate.
func (s *Signer) KeyID() []byte { return s.keyID[:] }

// x509Certificate is RFC 5280, section 4.1, as far as we read it.
type x509Certificate struct {
	TBS       tbsCertificate
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

type tbsCertificate struct {
	Version                                      int `asn1:"optional,explicit,default:0,tag:0"`
	Serial, Algorithm, Issuer, Validity, Subject asn1.RawValue
	PublicKey                                    asn1.RawValue
	IssuerID                                     asn1.BitString   `asn1:"optional,tag:1"`
	SubjectID                                    asn1.BitString   `asn1:"optional,tag:2"`
	Extensions                                   []pkix.Extension `asn1:"optional,explicit,tag:3"`
}

var oidPSSKey = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

// parsePublicKey reads an EC key, or an RSA one of at least 2,048 bits, whether marked as for any use or for PSS only. In
// COSE, ES256 goes with any curve of at least 256 bits (RFC 9053, section 2.1); P-256 is the rule, ES has signed with P-384.
func parsePublicKey(spki []byte) (crypto.PublicKey, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	var publicKey crypto.PublicKey
	var err error
	if info.Algorithm.Algorithm.Equal(oidPSSKey) {
		publicKey, err = x509.ParsePKCS1PublicKey(info.Key.RightAlign())
	} else {
		publicKey, err = x509.ParsePKIXPublicKey(spki)
	}
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	switch key := publicKey.(type) {
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return nil, fmt.Errorf("a curve of %d bits, want at least 256", bits)
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return nil, fmt.Errorf("an RSA modulus of %d bits, want 2048 to 8192", bits)
		}
	default:
		return nil, fmt.Errorf("a %T is neither for ES256 nor for PS256", publicKey)
	}
	return publicKey, nil
}

// verify checks a signature. The key decides the algorithm; the message must name that one.
func (s *Signer) verify(algorithm cose.Algorithm, signed, signature []byte) error {
	fits := false
	switch s.publicKey.(type) {
	case *ecdsa.PublicKey:
		fits = algorithm == cose.AlgorithmES256
	case *rsa.PublicKey:
		fits = algorithm == cose.AlgorithmPS256
	}
	if !fits {
		return fmt.Errorf("algorithm %d does not fit the signer's key", int64(algorithm))
	}
	verifier, err := cose.NewVerifier(algorithm, s.publicKey)
	if err != nil {
		return fmt.Errorf("use the signer's key: %w", err)
	}
	if err := verifier.Verify(signed, signature); err != nil {
		return errors.New("the signature is not of the signer's key")
	}
	return nil
}

var oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// usageGroups are the usages of the trust framework, without their common stems.
var usageGroups = map[string]string{"1": "t", "2": "v", "3": "r"}

// usageStems are two, as the first certificates wrote the arc 0.1847 of the eHealth Network below an enterprise number.
var usageStems = []string{"1.3.6.1.4.1.1847.2021.1.", "1.3.6.1.4.1.0.1847.2021.1."}

func parseUsages(extensions []pkix.Extension) (map[string]bool, error) {
	usages := map[string]bool{}
	for _, extension := range extensions {
		if !extension.Id.Equal(oidExtendedKeyUsage) {
			continue
		}
		var oids []asn1.ObjectIdentifier
		if rest, err := asn1.Unmarshal(extension.Value, &oids); err != nil || len(rest) > 0 {
			return nil, errors.New("not a sequence of object identifiers")
		}
		for _, oid := range oids {
			if group, found := usageGroup(oid.String()); found {
				usages[group] = true
			}
		}
	}
	return usages, nil
}

func usageGroup(oid string) (string, bool) {
	for _, stem := range usageStems {
		if last, found := strings.CutPrefix(oid, stem); found {
			group, known := usageGroups[last]
			return group, known
		}
	}
	return "", false
}

// maySign refuses groups for which the certificate has no usage. A certificate without any usage may sign all.
func (s *Signer) maySign(groups []string) error {
	if len(s.usages) == 0 {
		return nil
	}
	for _, group := range groups {
		if !s.usages[group] {
			return fmt.Errorf("the signer may not sign %s certificates", groupNames[group])
		}
	}
	return nil
}
