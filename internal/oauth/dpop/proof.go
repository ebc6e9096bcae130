// Package dpop is RFC 9449, demonstrating proof of possession: a token that is bound to a key is worth nothing to who only
// reads it. [Prover] is the client's side and runs in browsers too; [Verifier] is the side of authorization servers and
// APIs; [Nonces] are for both of those.
package dpop

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

// Names on the wire.
const (
	Header      = "DPoP"       // of the request: the proof; also the scheme and the token type
	NonceHeader = "DPoP-Nonce" // of the answer
	typ         = "dpop+jwt"
)

// MaxProof bounds a proof, in bytes.
const MaxProof = 4 << 10

// Bounds of jti. Fewer than 96 bits of it, 16 characters of base64, could be guessed or drawn twice.
const (
	minID = 16
	maxID = 128
)

// defaultWindow is how old a proof without one of our nonces may be.
const defaultWindow = time.Minute

// Why a proof is refused. Any other error of a verifier means that it could not tell.
var (
	ErrProof = errors.New("DPoP proof is not valid")        // invalid_dpop_proof
	ErrNonce = errors.New("DPoP proof needs a fresh nonce") // use_dpop_nonce: send one along
)

// Config is what a verifier needs.
type Config struct {
	Clock   func() time.Time
	Replays once.Store
	// Nonces, if set, are looked at in every proof that has one: such a proof is as old as its nonce, whatever the
	// client's clock says.
	Nonces *Nonces
	// RequireNonce refuses proofs without one.
	RequireNonce bool
	// Window is how old a proof without a nonce may be. Zero means a minute.
	Window time.Duration
}

// Verifier checks proofs. It is safe for concurrent use.
type Verifier struct{ cfg Config }

// New checks a configuration.
func New(cfg Config) (*Verifier, error) {
	if cfg.Window == 0 {
		cfg.Window = defaultWindow
	}
	switch {
	case cfg.Clock == nil || cfg.Replays == nil:
		return nil, errors.New("dpop: clock or store of replays is missing")
	case cfg.Window < time.Second || cfg.Window > 10*time.Minute:
		return nil, fmt.Errorf("dpop: a window of %s, want 1s to 10m", cfg.Window)
	case cfg.RequireNonce && cfg.Nonces == nil:
		return nil, errors.New("dpop: nonces are required, but there are none")
	}
	return &Verifier{cfg}, nil
}

// Nonce is a nonce for the client's next proof, or empty if the verifier has none to give.
func (v *Verifier) Nonce() string {
	if v.cfg.Nonces == nil {
		return ""
	}
	return v.cfg.Nonces.Make()
}

// Request is what a proof must be for.
type Request struct {
	Proofs      []string // all fields of the header DPoP
	Method      string
	URL         string // as the client calls it; query and fragment do not count
	AccessToken string // sent with the proof; empty at a token endpoint
	Thumbprint  string // of the key that token, code or client is bound to; empty: any key
}

// Proof is a proof that is valid for its request, as far as it was not used before.
type Proof struct {
	Thumbprint string // of the key: what cnf.jkt of a token says

	use         credential.Digest
	made, until time.Time // between these, by our clock, it is taken
}

// Verify checks a proof and uses it up.
//
// Anybody can make keys and proofs: so that a stranger does not fill the store of replays, authenticate the client or
// check the token first.
func (v *Verifier) Verify(ctx context.Context, r Request) (*Proof, error) {
	proof, err := v.Inspect(r)
	if err != nil {
		return nil, err
	}
	if err := v.Use(ctx, proof); err != nil {
		return nil, err
	}
	return proof, nil
}

// Use uses a proof up that Inspect found good. A proof that is not used up is no proof: whoever saw it can send it again.
func (v *Verifier) Use(ctx context.Context, p *Proof) error {
	err := v.cfg.Replays.Use(ctx, p.use, p.made, p.until)
	switch {
	case errors.Is(err, once.ErrEarlier) && v.cfg.Nonces != nil: // after a restart, until clocks that are ahead are past it
		return fmt.Errorf("it %w: %w", err, ErrNonce)
	case errors.Is(err, once.ErrUsed) || errors.Is(err, once.ErrEarlier):
		return fmt.Errorf("it %w: %w", err, ErrProof)
	}
	return err
}

// Inspect checks all of a proof but whether it was used: for callers that must not use up a code or a proof unless both
// are good.
func (v *Verifier) Inspect(r Request) (*Proof, error) {
	if len(r.Proofs) != 1 { // SPEC: section 4.3: not more than one DPoP header field
		return nil, fmt.Errorf("%d proofs, want one: %w", len(r.Proofs), ErrProof)
	}
	token, key, err := parse(r.Proofs[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	id, err := claims(token, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	p := &Proof{Thumbprint: key.Thumbprint()}
	if r.Thumbprint != "" && r.Thumbprint != p.Thumbprint {
		return nil, fmt.Errorf("by another key than what it is sent with: %w", ErrProof)
	}
	// jti is unique among the proofs of one key only: nobody uses up the proofs of others.
	p.use = credential.DigestOf([]byte("dpop\x00" + p.Thumbprint + "\x00" + id))
	p.made, p.until, err = v.age(token)
	return p, err
}

// parse reads a proof and checks its signature under the key that it brings: here alone a header may, as the proof
// shows nothing but that its sender has that key.
func parse(text string) (*foreign.Token, foreign.Key, error) {
	token, err := foreign.Parse(text, MaxProof, "jwk")
	if err != nil {
		return nil, foreign.Key{}, err
	}
	if token.Header.Type != typ {
		return nil, foreign.Key{}, fmt.Errorf("typ is %.100q, want %s", token.Header.Type, typ)
	}
	// SPEC: section 4.2: jwk is a public key; section 4.3: alg is asymmetric, not none, and supported.
	key, err := foreign.ParseKey(token.Header.Key, foreign.Modern)
	if err != nil {
		return nil, key, err
	}
	return token, key, token.Verify(key)
}

// claims checks what a proof is for, and returns its jti.
func claims(token *foreign.Token, r Request) (id string, err error) {
	if id, err = token.Claims.String("jti"); err != nil {
		return "", err
	}
	if len(id) < minID || len(id) > maxID {
		return "", fmt.Errorf("jti has %d bytes, want %d to %d", len(id), minID, maxID)
	}
	method, err := token.Claims.String("htm")
	if err != nil {
		return "", err
	}
	if method != r.Method { // SPEC: RFC 9110 section 9.1: methods are case-sensitive
		return "", errors.New("htm is another method")
	}
	target, err := token.Claims.String("htu")
	if err != nil {
		return "", err
	}
	if err := sameURL(target, r.URL); err != nil {
		return "", err
	}
	return id, checkTokenHash(token.Claims, r.AccessToken)
}

func checkTokenHash(c foreign.Claims, accessToken string) error {
	if accessToken == "" {
		return nil
	}
	hash, err := c.String("ath")
	if err == nil && hash != tokenHash(accessToken) {
		err = errors.New("ath is of another access token")
	}
	return err
}

// tokenHash is ath. SPEC: section 4.2: base64url of SHA-256 of the token's ASCII.
func tokenHash(accessToken string) string {
	digest := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// age checks that a proof is fresh, and says from when and until when we can take it: from when it was made if our own clock
// says so in a nonce, else from as much earlier as the client's clock may be ahead.
//
// SPEC: section 4.3, 11: iat, or the time that the server put into the nonce, is within an acceptable window. With one
// of our nonces iat is not looked at: the clocks of citizens' devices are wrong by hours.
func (v *Verifier) age(token *foreign.Token) (made, until time.Time, err error) {
	nonce := ""
	if _, ok := token.Claims["nonce"]; ok && v.cfg.Nonces != nil {
		if nonce, err = token.Claims.String("nonce"); err != nil {
			return made, until, fmt.Errorf("%w: %w", ErrProof, err)
		}
	}
	issued, err := token.Claims.Required("iat")
	now := v.cfg.Clock()
	switch {
	case err != nil:
		return made, until, fmt.Errorf("%w: %w", ErrProof, err)
	case nonce != "":
		return v.cfg.Nonces.Check(nonce)
	case v.cfg.RequireNonce:
		return made, until, ErrNonce
	case issued.After(now.Add(foreign.Skew)):
		return made, until, fmt.Errorf("it is from the future: %w", ErrProof)
	case now.After(issued.Add(v.cfg.Window)):
		return made, until, fmt.Errorf("it is older than %s: %w", v.cfg.Window, ErrProof)
	}
	return issued.Add(-foreign.Skew - iatUnit), issued.Add(v.cfg.Window), nil
}

// iatUnit is that of iat, and of the start that a store of replays remembers: both may be cut to it.
const iatUnit = time.Second
