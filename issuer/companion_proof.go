package issuer

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// keyProof is a valid proof that a wallet has a key (OpenID4VCI 1.0 appendix F.1), as far as its nonce was not used.
type keyProof struct {
	key          jose.PublicKey
	nonce        string
	nonceExpires credential.UnixTime
}

const (
	keyProofType  = "openid4vci-proof+jwt"
	maxKeyProof   = 4 << 10         // bytes
	keyProofDrift = 5 * time.Minute // how far from our clock, on both sides, a proof may say that it was made
)

// verifyKeyProof checks a key proof. client is how the wallet named itself when it got its access token.
func (i *Issuer) verifyKeyProof(text, client string) (*keyProof, error) {
	token, key, err := parseKeyProof(text)
	if err != nil {
		return nil, refuse(ErrProof, "the key proof does not hold: %v", err)
	}
	if err := i.checkKeyProof(token.Claims, client); err != nil {
		return nil, refuse(ErrProof, "the key proof does not hold: %v", err)
	}
	p := &keyProof{key: key}
	if p.nonce, err = token.Claims.String("nonce"); err != nil {
		return nil, refuse(ErrProof, "the key proof has no nonce of ours")
	}
	p.nonceExpires, err = i.checkNonce(p.nonce)
	return p, err
}

// parseKeyProof reads a proof and checks its signature under the key that it brings.
//
// SPEC: appendix F.1: typ is openid4vci-proof+jwt; one of kid, jwk and x5c names the key. We take jwk alone: the other two name keys
// that we would have to look up, or certificates that we have no opinion on. F.4: the algorithm is asymmetric and one of those in our
// metadata, and the header has no private key.
func parseKeyProof(text string) (*foreign.Token, jose.PublicKey, error) {
	token, err := foreign.Parse(text, maxKeyProof, "jwk")
	switch {
	case err != nil:
		return nil, jose.PublicKey{}, err
	case token.Header.Type != keyProofType:
		return nil, jose.PublicKey{}, fmt.Errorf("typ is not %s", keyProofType)
	case token.Header.KeyID != "" || token.Header.Key == nil:
		return nil, jose.PublicKey{}, fmt.Errorf("want the key in the header as jwk, and no kid")
	}
	key, err := foreign.ParseKey(token.Header.Key, foreign.Modern)
	if err != nil {
		return nil, jose.PublicKey{}, err
	}
	if err := token.Verify(key); err != nil {
		return nil, jose.PublicKey{}, err
	}
	public, err := key.Public()
	return token, public, err
}

// checkKeyProof checks what a proof says of itself, but for the nonce.
func (i *Issuer) checkKeyProof(c foreign.Claims, client string) error {
	audience, err := c.String("aud")
	if err != nil {
		return err
	}
	if audience != i.cfg.URL {
		return fmt.Errorf("aud is not our credential issuer identifier")
	}
	// SPEC: iss is the client_id, and left out by a wallet that did not give one with its code.
	if _, said := c["iss"]; said {
		if issuer, err := c.String("iss"); err != nil || issuer != client {
			return fmt.Errorf("iss is not the client_id of the token request")
		}
	}
	made, err := c.Required("iat")
	if err != nil {
		return err
	}
	if drift := i.cfg.Clock().Sub(made).Abs(); drift > keyProofDrift {
		return fmt.Errorf("iat is more than %s from our time", keyProofDrift)
	}
	return i.checkTimes(c)
}

// checkTimes obeys exp and nbf where a wallet says them. SPEC: RFC 7519 section 4.1.4, 4.1.5.
func (i *Issuer) checkTimes(c foreign.Claims) error {
	now := i.cfg.Clock()
	ends, said, err := c.Time("exp")
	if err != nil || said && !now.Before(ends.Add(foreign.Skew)) {
		return fmt.Errorf("exp is over")
	}
	begins, said, err := c.Time("nbf")
	if err != nil || said && now.Before(begins.Add(-foreign.Skew)) {
		return fmt.Errorf("nbf is to come")
	}
	return nil
}
