package verifier

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
)

// identity is how our requests say whose they are. Wallets find the verifier and its keys on the chain by each scheme, so
// the choice is one of taste and of what other software in front of us wants to see.
type identity struct {
	client openid.Client
	key    *jose.SigningKey
	chain  [][]byte          // certificates in the header of requests, of x509_hash only
	leaf   *jose.Certificate // the first of them
}

// newIdentity checks that scheme, key and certificates fit each other.
func newIdentity(cfg *Config) (*identity, error) {
	id := &identity{client: openid.Client{Scheme: cfg.ClientIDScheme}, key: cfg.SigningKey}
	if (cfg.ClientIDScheme == openid.SchemeX509Hash) != (len(cfg.Certificates) > 0) {
		return nil, fmt.Errorf("certificates are for the client identifier scheme %s, which cannot do without", openid.SchemeX509Hash)
	}
	var err error
	switch cfg.ClientIDScheme {
	case "", openid.SchemeDID:
		id.client.Scheme, id.client.DID = openid.SchemeDID, cfg.DID
	case openid.SchemeDIDJWK:
		id.client.Key = cfg.SigningKey.Public()
		id.client.DID, err = openid.DIDJWK(id.client.Key)
	case openid.SchemePreRegistered:
		id.client = openid.ClientOf(cfg.DID)
	case openid.SchemeX509Hash:
		err = id.certify(cfg.Certificates)
	default:
		err = fmt.Errorf("client identifier scheme %.50q: choose one of %q", cfg.ClientIDScheme, openid.ClientSchemes)
	}
	if err != nil {
		return nil, err
	}
	if _, err := openid.ParseClientID(id.client.ID()); err != nil { // a DID could be too long
		return nil, err
	}
	return id, nil
}

// certify takes certificates of the signing key, its own first.
func (id *identity) certify(chain [][]byte) error {
	leaf, err := jose.ParseChain(chain)
	if err != nil {
		return err
	}
	if leaf.Key != id.key.Public() {
		return errors.New("the first certificate is not of the signing key")
	}
	id.leaf, id.chain, id.client.Certificate = leaf, chain, leaf.Digest()
	return nil
}

// ready tells whether wallets take the certificate still.
func (id *identity) ready(now time.Time) error {
	if id.leaf == nil {
		return nil
	}
	if err := id.leaf.ValidAt(now); err != nil {
		return notReady(CertificateEnded, "%v: get a new one for the signing key and restart", err)
	}
	return nil
}

// sign makes the JWT that wallets fetch.
func (id *identity) sign(r *openid.RequestObject) (string, error) {
	if id.leaf != nil {
		return jose.SignCertified(id.key, openid.RequestType, id.chain, r)
	}
	return jose.SignCompact(id.key, id.client.KeyID(id.key.Public()), openid.RequestType, r)
}
