package openid

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Values of requests at counters: doc/spec/counter.md.
const (
	CounterScheme      = "bulla-counter:"
	CounterPassType    = "bulla-counter-pass"    // typ of a pass
	CounterRequestType = "bulla-counter-request" // typ of a request
	MaxCounterLink     = 1600                    // bytes of a link
	MaxCounterLifetime = 5 * 60                  // seconds between issued_at and expires_at, at most
	MaxCounterPass     = 30 * 24 * 60 * 60       // seconds that a pass is good for, at most
	maxCounterName     = 64
	counterNonceSize   = 16
	counterSystem      = "zk" // the id of the one proof system in the queries
)

// CounterPass is a registered verifier's word that a key asks for it at one counter, for a while.
type CounterPass struct {
	Version  int                 `json:"version"` // 1
	Genesis  credential.Digest   `json:"genesis"`
	Verifier string              `json:"verifier"` // DID
	Counter  string              `json:"counter"`  // a plain name
	Key      jose.PublicKey      `json:"key"`
	IssuedAt credential.UnixTime `json:"issued_at"`
	NotAfter credential.UnixTime `json:"not_after"`
}

// CounterRequest asks at a counter. What it leaves out stands on the chain and in the pass.
type CounterRequest struct {
	Version   int                 `json:"version"` // 1
	Pass      credential.Digest   `json:"pass"`    // SHA-256 of the pass as it is sent
	Policy    string              `json:"policy"`  // id
	Digest    credential.Digest   `json:"policy_digest"`
	Keys      []credential.Digest `json:"keys"`  // verifying keys, one for each circuit that the policy names, in that order
	Seals     [2]uint64           `json:"seals"` // heights of the oldest and the newest seal that the counter has
	Nonce     string              `json:"nonce"` // 16 random bytes, base64url
	IssuedAt  credential.UnixTime `json:"issued_at"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
}

// CounterAsk is a request with the pass that it goes by, as they stand in a QR code. Its signatures are checked by Verify.
type CounterAsk struct {
	Pass    CounterPass
	Request CounterRequest

	passToken, requestToken string
}

// SignCounterPass makes a pass. key is one that the chain lists for the verifier.
func SignCounterPass(key *jose.SigningKey, pass CounterPass) (string, error) {
	pass.Version = 1
	if err := pass.validate(); err != nil {
		return "", err
	}
	return signCanonical(key, CounterPassType, pass)
}

// SignCounterAsk makes the link of a request. key is the one that the pass names.
func SignCounterAsk(key *jose.SigningKey, pass string, request CounterRequest) (link string, err error) {
	request.Version, request.Pass = 1, credential.DigestOf([]byte(pass))
	token, err := signCanonical(key, CounterRequestType, request)
	if err != nil {
		return "", err
	}
	link = CounterScheme + pass + "~" + token
	_, err = ParseCounterAsk(link)
	return link, err
}

func signCanonical(key *jose.SigningKey, typ string, payload any) (string, error) {
	text, err := credential.Canonical(payload)
	if err != nil {
		return "", err
	}
	return jose.SignUnnamed(key, typ, rawJSON(text))
}

// rawJSON is JSON that is written as it is.
type rawJSON []byte

// MarshalJSON is part of json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// NewCounterNonce draws a nonce.
func NewCounterNonce() string {
	nonce := make([]byte, counterNonceSize)
	rand.Read(nonce)
	return EncodeBytes(nonce)
}

// ParseCounterAsk reads a link. No signature is checked yet.
func ParseCounterAsk(link string) (*CounterAsk, error) {
	link = strings.TrimSpace(link)
	if len(link) > MaxCounterLink {
		return nil, fmt.Errorf("counter request of %d bytes, at most %d", len(link), MaxCounterLink)
	}
	rest, ok := strings.CutPrefix(link, CounterScheme)
	if !ok {
		return nil, fmt.Errorf("counter request does not start with %s", CounterScheme)
	}
	a := new(CounterAsk)
	if a.passToken, a.requestToken, ok = strings.Cut(rest, "~"); !ok {
		return nil, errors.New("counter request has no pass")
	}
	var err error
	if a.Pass, err = ParseCounterPass(a.passToken); err != nil {
		return nil, err
	}
	if err := parsePart(a.requestToken, CounterRequestType, &a.Request); err != nil {
		return nil, fmt.Errorf("counter request: %w", err)
	}
	return a, a.validate()
}

// ParseCounterPass reads a pass. Its signature is not checked yet.
func ParseCounterPass(token string) (CounterPass, error) {
	var pass CounterPass
	if len(token) > MaxCounterLink {
		return pass, fmt.Errorf("pass of a counter: %d bytes, at most %d", len(token), MaxCounterLink)
	}
	if err := parsePart(token, CounterPassType, &pass); err != nil {
		return pass, fmt.Errorf("pass of a counter: %w", err)
	}
	if err := pass.validate(); err != nil {
		return pass, fmt.Errorf("pass of a counter: %w", err)
	}
	return pass, nil
}

func parsePart(token, typ string, target any) error {
	header, payload, err := jose.PeekCompact(token)
	if err != nil {
		return err
	}
	if header.Type != typ || header.KeyID != "" {
		return fmt.Errorf("typ is %.50q with a kid of %d characters, want %q and none", header.Type, len(header.KeyID), typ)
	}
	return credential.ParseCanonical(payload, target)
}

func (p *CounterPass) validate() error {
	switch {
	case p.Version != 1:
		return fmt.Errorf("version %d, this program reads 1", p.Version)
	case entry.ValidateDID(p.Verifier) != nil:
		return fmt.Errorf("verifier %.100q is not a DID", p.Verifier)
	case !credential.ValidName(p.Counter) || len(p.Counter) > maxCounterName:
		return fmt.Errorf("counter %.100q is not a plain name of at most %d characters", p.Counter, maxCounterName)
	case p.NotAfter <= p.IssuedAt || p.NotAfter-p.IssuedAt > MaxCounterPass:
		return fmt.Errorf("it is good for %d seconds, want 1 to %d", p.NotAfter-p.IssuedAt, MaxCounterPass)
	}
	return p.Key.Validate()
}

func (a *CounterAsk) validate() error {
	r := &a.Request
	_, nonceErr := credential.ParseBase64(r.Nonce, counterNonceSize)
	switch {
	case r.Version != 1:
		return fmt.Errorf("counter request of version %d, this program reads 1", r.Version)
	case r.Pass != credential.DigestOf([]byte(a.passToken)):
		return errors.New("counter request goes by another pass")
	case !credential.ValidName(r.Policy):
		return fmt.Errorf("counter request: policy %.100q is not a plain name", r.Policy)
	case len(r.Keys) == 0 || len(r.Keys) > policy.MaxQueries:
		return fmt.Errorf("counter request names %d keys, want 1 to %d", len(r.Keys), policy.MaxQueries)
	case nonceErr != nil:
		return fmt.Errorf("counter request: nonce: %w", nonceErr)
	case r.Seals[0] > r.Seals[1]:
		return errors.New("counter request: its seals are in no order")
	case r.ExpiresAt <= r.IssuedAt || r.ExpiresAt-r.IssuedAt > MaxCounterLifetime:
		return fmt.Errorf("counter request lives for %d seconds, want 1 to %d", r.ExpiresAt-r.IssuedAt, MaxCounterLifetime)
	case r.IssuedAt < a.Pass.IssuedAt || r.ExpiresAt > a.Pass.NotAfter:
		return errors.New("counter request is made outside of the time of its pass")
	}
	return nil
}

// Link is what stands in the QR code.
func (a *CounterAsk) Link() string { return CounterScheme + a.passToken + "~" + a.requestToken }

// Verify checks both signatures: the pass is by a key that the chain lists for the verifier, and the request by the key in
// the pass. It returns the id of the verifier's key.
func (a *CounterAsk) Verify(genesis credential.Digest, registered entry.RegisteredVerifier) (keyID string, err error) {
	if a.Pass.Genesis != genesis {
		return "", fmt.Errorf("the pass of the counter is for the chain %s", a.Pass.Genesis)
	}
	if a.Pass.Verifier != registered.DID {
		return "", fmt.Errorf("the pass of the counter is by %.100q", a.Pass.Verifier)
	}
	signer := slices.IndexFunc(registered.Keys, func(k jose.PublicKey) bool {
		_, err := jose.VerifyWith(a.passToken, CounterPassType, k)
		return err == nil
	})
	if signer < 0 {
		return "", fmt.Errorf("the pass of the counter is signed by no key of %s: %w", registered.DID, jose.ErrSignature)
	}
	if _, err := jose.VerifyWith(a.requestToken, CounterRequestType, a.Pass.Key); err != nil {
		return "", fmt.Errorf("the request is not by the key of the counter's pass: %w", err)
	}
	return registered.Keys[signer].KeyID(), nil
}

// chainSets stands where requests over a network say from which address sets are fetched. It is none.
const chainSets = "bulla-chain:/set/"

// Object is the request in the form that requests over a network have, as far as both have the same: wallet and counter
// make it from the registered policy, each for itself. No response_uri, state or client metadata stands in it.
func (a *CounterAsk) Object(p *policy.Policy, registry *entry.Registry) (*RequestObject, error) {
	if err := p.CheckCounter(); err != nil {
		return nil, err
	}
	text, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	r := &a.Request
	if credential.DigestOf(text) != r.Digest || p.ID != r.Policy || p.Verifier != a.Pass.Verifier {
		return nil, fmt.Errorf("the counter asks by another policy than %s of %s in these words", p.ID, p.Verifier)
	}
	object := &RequestObject{
		ResponseMode: DirectPost, // plain: it is read off a screen
		ClientID:     ClientIDPrefix + a.Pass.Verifier, Nonce: r.Nonce, IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt,
		VerifierInfo: []VerifierInfo{{Format: PolicyInfo, Data: text}},
	}
	if len(p.SetUses()) > 0 { // both take them from the chain, the counter before it asks
		object.VerifierInfo = append(object.VerifierInfo, VerifierInfo{Format: SetsInfo, Data: []byte(`{"uri":"` + chainSets + `"}`)})
	}
	object.Query.Credentials, err = a.queries(p, registry)
	return object, err
}

func (a *CounterAsk) queries(p *policy.Policy, registry *entry.Registry) ([]CredentialQuery, error) {
	schemas := func(id credential.Element) (*credential.Schema, error) {
		s, ok := registry.Schema(id)
		if !ok {
			return nil, fmt.Errorf("schema %s is not on the chain", id)
		}
		return &s.Schema, nil
	}
	statements, err := p.Resolve(a.Request.IssuedAt.Time(), schemas)
	if err != nil {
		return nil, err
	}
	systems, err := a.systems(p, registry)
	if err != nil {
		return nil, err
	}
	var queries []CredentialQuery
	for _, s := range statements {
		schema, err := schemas(s.Schema)
		if err != nil {
			return nil, err
		}
		queries = append(queries, CredentialQuery{ID: s.Query, Format: Format, Meta: Meta{
			TypeValues: []string{schema.Type}, Statement: s, Systems: []System{systems[s.CircuitName()]},
		}})
	}
	return queries, nil
}

// CircuitsOf are the circuits that a policy names, each once, in the order of its queries.
func CircuitsOf(p *policy.Policy) []string {
	var names []string
	for i := range p.Queries {
		if name := p.Queries[i].CircuitName(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// systems are the proof systems by circuit: of each, the one key that the request names, as the chain lists it.
func (a *CounterAsk) systems(p *policy.Policy, registry *entry.Registry) (map[string]System, error) {
	circuits := CircuitsOf(p)
	if len(circuits) != len(a.Request.Keys) {
		return nil, fmt.Errorf("the counter names %d verifying keys, policy %s has %d circuits", len(a.Request.Keys), p.ID, len(circuits))
	}
	systems := make(map[string]System)
	for i, circuit := range circuits {
		at := slices.IndexFunc(registry.VerifyingKeys, func(k entry.VerifyingKey) bool {
			return k.Circuit == circuit && k.KeyDigest == a.Request.Keys[i]
		})
		if at < 0 {
			return nil, fmt.Errorf("the chain does not list the verifying key %s for %s", a.Request.Keys[i], circuit)
		}
		key := registry.VerifyingKeys[at]
		systems[circuit] = System{ID: counterSystem, System: ProofSystem, Circuit: circuit, CircuitDigest: key.CircuitDigest, VerifyingKey: key.KeyDigest}
	}
	return systems, nil
}

// CounterChallenge is everything that an answer at a counter is bound to. Its purpose keeps it apart from every other
// challenge: an answer at a counter is none over a network, nor the other way round.
type CounterChallenge struct {
	Version   int                 `json:"version"` // 1
	Purpose   string              `json:"purpose"` // "counter"
	Genesis   credential.Digest   `json:"genesis"`
	Verifier  string              `json:"verifier"`
	Counter   string              `json:"counter"`
	Pass      credential.Digest   `json:"pass"`
	Nonce     string              `json:"nonce"`
	IssuedAt  credential.UnixTime `json:"issued_at"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
	Queries   []CredentialQuery   `json:"queries"`
}

// Challenge is the public input that binds an answer to the counter, its request, and the chain.
func (a *CounterAsk) Challenge(genesis credential.Digest, queries []CredentialQuery) (credential.Element, error) {
	return credential.Challenge(CounterChallenge{
		Version: 1, Purpose: "counter", Genesis: genesis, Verifier: a.Pass.Verifier, Counter: a.Pass.Counter, Pass: a.Request.Pass,
		Nonce: a.Request.Nonce, IssuedAt: a.Request.IssuedAt, ExpiresAt: a.Request.ExpiresAt, Queries: queries,
	})
}

// Until is when an answer must be there.
func (a *CounterAsk) Until() time.Time { return a.Request.ExpiresAt.Time() }
