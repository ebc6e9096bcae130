package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"testing"
)

// hardware signs and tells nobody its secret; broken is what it fails with.
type hardware struct {
	secret crypto.Signer
	broken error
}

func (h *hardware) Public() crypto.PublicKey { return h.secret.Public() }

func (h *hardware) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h.broken != nil {
		return nil, h.broken
	}
	return h.secret.Sign(random, digest, opts)
}

// A key in hardware signs as one in memory does, and stays there.
func TestKeyInHardware(t *testing.T) {
	_, edwards, err1 := ed25519.GenerateKey(rand.Reader)
	p256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for alg, secret := range map[Algorithm]crypto.Signer{EdDSA: edwards, ES256: p256} {
		device := &hardware{secret: secret}
		key, err := FromSigner(device)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if got := key.Public().Algorithm(); got != alg {
			t.Errorf("%s is taken for %s", alg, got)
		}
		for range 20 { // ECDSA's numbers have leading zeros now and then
			signature, err := key.Sign([]byte("message"))
			if err != nil || len(signature) != 64 {
				t.Fatalf("%s: %d bytes, %v", alg, len(signature), err)
			}
			if err := key.Public().Verify([]byte("message"), signature); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
		if _, err := key.MarshalSecret(); err == nil {
			t.Errorf("%s: the secret came out", alg)
		}
		device.broken = errors.New("no connection to the device")
		if _, err := key.Sign([]byte("message")); !errors.Is(err, device.broken) {
			t.Errorf("%s, with a broken device: %v", alg, err)
		}
	}
	for name, secret := range map[string]func() (crypto.Signer, error){
		"P-384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
		"RSA":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	} {
		s, err := secret()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := FromSigner(&hardware{secret: s}); err == nil {
			t.Errorf("a key of %s is taken", name)
		}
	}
}
