package dpop

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
)

// maxOrigins bounds the servers whose nonces a prover remembers.
const maxOrigins = 16

// Prover makes proofs with one key, and remembers the nonces that servers ask for. Use a key for one issuer only: two
// that see the same key know that they serve the same wallet. It is safe for concurrent use.
type Prover struct {
	key   *jose.SigningKey
	clock func() time.Time

	mu     sync.Mutex
	nonces map[string]string // by origin
}

// NewProver makes a prover.
func NewProver(key *jose.SigningKey, clock func() time.Time) *Prover {
	return &Prover{key: key, clock: clock, nonces: make(map[string]string)}
}

// Thumbprint is that of the key: dpop_jkt, and what cnf.jkt of its tokens says.
func (p *Prover) Thumbprint() string { return p.key.Public().KeyID() }

type proofHeader struct {
	Algorithm jose.Algorithm `json:"alg"`
	Key       jose.PublicKey `json:"jwk"`
	Type      string         `json:"typ"`
}

type proofClaims struct {
	ID        string `json:"jti"`
	Method    string `json:"htm"`
	URL       string `json:"htu"`
	IssuedAt  int64  `json:"iat"`
	TokenHash string `json:"ath,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
}

// Proof makes a proof for one request: the value of its header DPoP. accessToken is what is sent with it, empty at a token
// endpoint.
func (p *Prover) Proof(method, target, accessToken string) (string, error) {
	at, err := origin(target)
	if err != nil {
		return "", fmt.Errorf("make DPoP proof: %w", err)
	}
	// SPEC: section 4.2: htu is without query and fragment.
	target, _, _ = strings.Cut(target, "#")
	target, _, _ = strings.Cut(target, "?")
	claims := proofClaims{ID: rand.Text(), Method: method, URL: target, IssuedAt: p.clock().Unix(), Nonce: p.nonce(at)}
	if accessToken != "" {
		claims.TokenHash = tokenHash(accessToken)
	}
	return jose.SignHeader(p.key, proofHeader{p.key.Public().Algorithm(), p.key.Public(), typ}, claims)
}

func (p *Prover) nonce(origin string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces[origin]
}

// Remember takes note of the nonce in an answer for the next proof to the same server, and tells whether there is one.
func (p *Prover) Remember(target string, header http.Header) bool {
	nonce := header.Get(NonceHeader)
	at, err := origin(target)
	if err != nil || !plainNonce(nonce) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.nonces[at]; !ok && len(p.nonces) >= maxOrigins {
		clear(p.nonces) // each is asked for again with one more round trip
	}
	p.nonces[at] = nonce
	return true
}

// plainNonce is the syntax of section 8.1, with a bound.
func plainNonce(nonce string) bool {
	return nonce != "" && len(nonce) <= 512 && !strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' })
}

// Challenged tells whether a server refused for want of its nonce: the error of a token endpoint's JSON or, from an
// API, in WWW-Authenticate.
func Challenged(status int, header http.Header, body []byte) bool {
	switch status {
	case http.StatusBadRequest:
		var refusal struct {
			Code string `json:"error"`
		}
		return json.Unmarshal(body, &refusal) == nil && refusal.Code == "use_dpop_nonce"
	case http.StatusUnauthorized:
		for _, challenge := range header.Values("WWW-Authenticate") {
			if strings.Contains(challenge, `error="use_dpop_nonce"`) {
				return true
			}
		}
	}
	return false
}

// maxRefusal bounds how much of a refusal is read to find out why, in bytes.
const maxRefusal = 16 << 10

// Do sends a request with a proof, and once more if the server asks for its nonce. With an access token it is sent in
// Authorization. The request's body must be one that can be sent twice, as net/http makes of bytes and strings; client
// must not follow redirects, for the proof is for one URL.
func (p *Prover) Do(client *http.Client, request *http.Request, accessToken string) (*http.Response, error) {
	for again := true; ; again = false {
		response, err := p.send(client, request, accessToken)
		if err != nil {
			return nil, err
		}
		took := p.Remember(request.URL.String(), response.Header)
		if !again || !took || response.StatusCode != http.StatusBadRequest && response.StatusCode != http.StatusUnauthorized {
			return response, nil
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
		rest := response.Body
		if err != nil || !Challenged(response.StatusCode, response.Header, body) {
			response.Body = restored{io.MultiReader(strings.NewReader(string(body)), rest), rest}
			return response, nil
		}
		if err := rest.Close(); err != nil {
			return nil, fmt.Errorf("close the answer: %w", err)
		}
	}
}

// restored is a body of which the beginning was read.
type restored struct {
	io.Reader
	io.Closer
}

func (p *Prover) send(client *http.Client, request *http.Request, accessToken string) (*http.Response, error) {
	proof, err := p.Proof(request.Method, request.URL.String(), accessToken)
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	if request.Body != nil && request.Body != http.NoBody {
		if request.GetBody == nil {
			return nil, errors.New("dpop: the request's body can be sent once only")
		}
		if request.Body, err = request.GetBody(); err != nil {
			return nil, fmt.Errorf("read the request's body again: %w", err)
		}
	}
	request.Header.Set(Header, proof)
	if accessToken != "" {
		request.Header.Set("Authorization", Header+" "+accessToken)
	}
	return client.Do(request)
}
