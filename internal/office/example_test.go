package office_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/office"
)

// token stands for the client of a device: it has a secret, and only signs with it. Those of PKCS #11 and of clouds look the same.
type token struct{ secret ed25519.PrivateKey }

func (t token) Public() crypto.PublicKey { return t.secret.Public() }

func (t token) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return t.secret.Sign(random, message, opts) // a device would be asked here
}

// An agency whose entries a device signs: the whole program, but for how the device is reached.
func ExampleOptions_signing() {
	config, device := agencyFolder(), newToken()
	defer os.RemoveAll(filepath.Dir(filepath.Dir(config)))

	// Once, before governance registers the agency: the public part of the key in the device.
	public, err := office.DevicePublic(office.Issuer, "did:web:land.example", device)
	if err != nil {
		panic(err)
	}
	if err := public.Write(filepath.Join(filepath.Dir(config), office.PublicFile)); err != nil {
		panic(err)
	}

	cfg, err := office.ReadIssuerConfig(config)
	if err != nil {
		panic(err)
	}
	service, err := office.OpenIssuer(cfg, office.Options{Passphrase: "office", Signing: device})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // a program stops when it is interrupted
	fmt.Println(service.Name, public.Key.Algorithm(), service.Run(ctx))
	// Output: issuer did:web:land.example EdDSA <nil>
}

func newToken() token {
	_, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return token{secret}
}

// agencyFolder is what bulla issuer init makes.
func agencyFolder() (config string) {
	dir, err := os.MkdirTemp("", "bulla-example-")
	if err != nil {
		panic(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
		return path
	}
	made, err := office.MakeAgency(office.NewAgency{
		Dir: filepath.Join(dir, "land"), DID: "did:web:land.example", Name: credential.Text{English: "Land registry"}, URL: "https://land.example",
		Listen: office.Listen{Address: "127.0.0.1:0"}, Passphrase: "office", WorkFactor: 4,
		Schemas: []string{write("title.json", `{"type": "urn:example:schema:title:1", "claims": [{"name": "area", "type": "integer"}], "enrolment_register": "issuer", "one_per_person": false}`)},
		Chain: write("chain.json", `{"ledger": "http://127.0.0.1:1", "genesis": "CVTSrM1FcgCurMo7Ka6dlu7H2m2RkGdQE1uh4ImXUj0", "checkpoint_policy": {"threshold": 1,
			"log_key": "ledger.example/1+1a05ab55+AbkpWGHQpqngg0DhkRcvyqpeXzQ3x8hU1vaVHktPe/J1", "cosigners": ["audit.example/1+16bd59f3+BPMqMgIFFoeX96OwAxwMUaEDTO6JiOl5OGFKnUICHbpy"]}}`),
		VerifyingKey: "../../testvectors/proofs/enrolment/verifying.key",
	})
	if err != nil {
		panic(err)
	}
	return made.Config
}
