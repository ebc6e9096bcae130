// Package offline checks a presentation where there is no network: an application that embeds it, an auditor with a file,
// a court years later. It asks nobody, keeps nothing, and links neither a prover nor a service.
//
// It trusts the genesis hash and the checkpoint policy in [Config] and the verifying keys that the chain lists, and nothing
// that stands in a [Bundle]: the request must be signed by a key registered for its verifier and ask what the registered
// policy says, the seals must lie in a checkpoint that the policy accepts, and every public input is computed anew.
//
// What it cannot know: whether the response was answered before (nonce and tags are consumed by the service that has
// the store, never here), and when the response was made. It says what held at the time of [Config].Clock; an application
// gives its own clock, an auditor the time that is in question.
package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier/check"
)

// Errors that callers branch on. What is wrong with the response is a [*check.Refusal].
var (
	// ErrChain is returned for an excerpt that does not prove what it says under the checkpoint policy.
	ErrChain = errors.New("the excerpt of the chain is refused")
	// ErrRequest is returned for a request that no registered verifier made under a registered policy.
	ErrRequest = errors.New("the request is refused")
)

// Config is what an offline verifier believes.
type Config struct {
	// Profile says which chain it is and whose signatures make a checkpoint believable; its URL is not used. Outside dev
	// chains it must demand at least one cosigner.
	Profile checkpoint.Profile
	// VerifyingKeys are the keys' file forms. Only those that the chain lists are used.
	VerifyingKeys [][]byte
	// Clock is the time as of which is checked; nil: time.Now.
	Clock func() time.Time
	// Seen is the last checkpoint that was believed (a signed note), which every excerpt must continue; may be empty.
	Seen []byte
}

// Verifier checks bundles. It is safe for concurrent use.
type Verifier struct {
	cfg  Config
	keys []*keys.VerifyingKey
}

// New checks the configuration.
func New(cfg Config) (*Verifier, error) {
	if cfg.Profile.Genesis.IsZero() || len(cfg.VerifyingKeys) == 0 {
		return nil, errors.New("offline verifier: the genesis hash or the verifying keys are missing")
	}
	if _, err := cfg.Profile.Policy.Parse(); err != nil {
		return nil, fmt.Errorf("offline verifier: checkpoint policy: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	parsed, err := ParseKeys(cfg.VerifyingKeys)
	if err != nil {
		return nil, fmt.Errorf("offline verifier: %w", err)
	}
	return &Verifier{cfg, parsed}, nil
}

// ParseKeys reads verifying keys of presentation circuits.
func ParseKeys(files [][]byte) ([]*keys.VerifyingKey, error) {
	var parsed []*keys.VerifyingKey
	for i, data := range files {
		key, err := keys.ParseVerifyingKey(data)
		if err != nil {
			return nil, fmt.Errorf("verifying key %d: %w", i+1, err)
		}
		if _, err := credential.ShapeOf(key.Name()); err != nil {
			return nil, fmt.Errorf("verifying key %d: %w", i+1, err)
		}
		parsed = append(parsed, key)
	}
	return parsed, nil
}

// Result is what a bundle proves as of a time.
type Result struct {
	At            credential.UnixTime `json:"at"`       // the time as of which it was checked
	Verifier      string              `json:"verifier"` // DID of who asked
	AskedAt       credential.UnixTime `json:"asked_at"`
	Genesis       credential.Digest   `json:"genesis"`
	Network       string              `json:"network"`
	Dev           bool                `json:"dev"` // whoever made the chain's keys could have forged this
	Policy        string              `json:"policy"`
	PolicyDigest  credential.Digest   `json:"policy_digest"`
	RetentionDays int                 `json:"retention_days"`
	OnePerson     bool                `json:"one_person"`
	// NotConsumed says that the policy accepts a tag once only: whether it was used before is not known here.
	NotConsumed bool               `json:"not_consumed"`
	Facts       []check.ResultFact `json:"facts"`
	// Checkpoint is the signed note that everything follows from: keep it as Config.Seen for the next bundle.
	Checkpoint string   `json:"checkpoint"`
	Cosigners  []string `json:"cosigners"`
}

// Verify checks a bundle. Errors: [ErrChain], [ErrRequest], or a [*check.Refusal] of the response.
func (v *Verifier) Verify(b *Bundle) (*Result, error) {
	if err := b.validate(); err != nil {
		return nil, err
	}
	fixed, err := b.Chain.Verify(v.cfg.Profile, v.cfg.Seen)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChain, err)
	}
	now := v.cfg.Clock()
	chain := &Chain{fixed, func() time.Time { return now }}
	asked, err := readRequest(chain, b.Request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	sets, err := policy.CarriedSets(b.Sets, asked.Policy)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	checker := &check.Checker{Chain: chain, Keys: v.keys, Sets: sets, Clock: chain.Clock}
	facts, err := checker.Verify(context.Background(), asked, b.Response)
	if err != nil {
		return nil, err
	}
	return chain.Describe(asked, facts)
}

// Describe says what checked facts prove as of the chain's clock.
func (c *Chain) Describe(asked *check.Asked, facts []check.Fact) (*Result, error) {
	described, err := check.NewResult(asked, facts, c.Terms())
	if err != nil {
		return nil, err
	}
	return &Result{
		At: credential.UnixTimeOf(c.Clock()), Verifier: asked.Policy.Verifier, AskedAt: asked.Request.IssuedAt, Genesis: c.GenesisHash,
		Network: c.Genesis.Network, Dev: described.Dev, Policy: described.Policy, PolicyDigest: described.PolicyDigest,
		RetentionDays: described.RetentionDays, OnePerson: described.OnePerson, NotConsumed: countsOnce(asked.Policy), Facts: described.Facts,
		Checkpoint: string(c.Checkpoint.Text), Cosigners: c.Checkpoint.Cosigners,
	}, nil
}

func countsOnce(p *policy.Policy) bool {
	for _, q := range p.Queries {
		if q.Scope != nil && q.Scope.Once || q.SubjectScope != nil && q.SubjectScope.Once {
			return true
		}
	}
	return false
}

// readRequest wants a request that a registered verifier signed, and that asks what its registered policy says.
func readRequest(chain *Chain, token string) (*check.Asked, error) {
	_, payload, err := jose.PeekCompact(token)
	if err != nil {
		return nil, err
	}
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		return nil, err
	}
	p, _, err := request.RegisteredPolicy() // where its sets were served does not matter: the bundle has them
	if err != nil {
		return nil, err
	}
	did := p.Verifier
	registry := chain.Registry()
	registered, ok := registry.Verifier(did)
	if !ok {
		return nil, fmt.Errorf("verifier %.100q is not on the chain", did)
	}
	if err := verifyRequest(token, request, registered); err != nil {
		return nil, err
	}
	asked, err := check.NewAsked(chain.GenesisHash, request)
	if err != nil {
		return nil, err
	}
	if request.ExpiresAt <= request.IssuedAt || request.ExpiresAt-request.IssuedAt > openid.MaxLifetime {
		return nil, fmt.Errorf("it lives for %d seconds, at most %d", request.ExpiresAt-request.IssuedAt, openid.MaxLifetime)
	}
	if chain.Clock().Before(request.IssuedAt.Time().Add(-maxSkew)) {
		return nil, fmt.Errorf("it is of %s, later than the time that is asked about", request.IssuedAt)
	}
	return asked, checkPolicy(asked, registry, did)
}

// maxSkew is how far the clocks of two people may differ.
const maxSkew = 5 * time.Minute

// verifyRequest wants the signature of a registered key, as the client_id says it is named.
func verifyRequest(token string, request *openid.RequestObject, v entry.RegisteredVerifier) error {
	client, err := openid.ParseClientID(request.ClientID)
	if err != nil {
		return err
	}
	if client.Scheme == openid.SchemeX509Hash {
		_, err = jose.VerifyCertified(token, openid.RequestType, func(c *jose.Certificate) error {
			if c.Digest() != client.Certificate || !slices.Contains(v.Keys, c.Key) {
				return fmt.Errorf("the certificate is not the client's, or not of a key of %s", v.DID)
			}
			return c.ValidAt(request.IssuedAt.Time())
		})
		return err
	}
	_, err = jose.VerifyCompact(token, openid.RequestType, func(kid string) (jose.PublicKey, error) {
		for _, key := range v.Keys {
			if client.KeyID(key) == kid && (client.DID == v.DID || client == openid.ClientOf(v.DID) || client.Scheme == openid.SchemeDIDJWK && client.Key == key) {
				return key, nil
			}
		}
		return jose.PublicKey{}, fmt.Errorf("the key %.200q is not one of %s", kid, v.DID)
	})
	return err
}

// checkPolicy holds the request to the policy on the chain, and its statements to that, byte for byte.
func checkPolicy(asked *check.Asked, registry *entry.Registry, did string) error {
	p := asked.Policy
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	if registered, ok := registry.Policy(did, p.ID); p.Verifier != did || !ok || registered.Digest != digest {
		return fmt.Errorf("the policy %s is not registered on the chain for %s in these words", p.ID, did)
	}
	queries := asked.Request.Query.Credentials
	statements, err := p.Resolve(queries[0].Meta.Statement.Now.Time(), SchemasOf(registry))
	if err != nil {
		return err
	}
	for i := range queries {
		if skew := queries[i].Meta.Statement.Now.Time().Sub(asked.Request.IssuedAt.Time()).Abs(); skew > maxSkew {
			return fmt.Errorf("query %q speaks of a time %s from that of the request", queries[i].ID, skew)
		}
		want, err1 := credential.Canonical(statements[i])
		got, err2 := credential.Canonical(queries[i].Meta.Statement)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(want, got) {
			return fmt.Errorf("query %q does not say what the registered policy says", queries[i].ID)
		}
	}
	return nil
}

// SchemasOf looks schemas up in a registry.
func SchemasOf(registry *entry.Registry) policy.Schemas {
	return func(id credential.Element) (*credential.Schema, error) {
		s, ok := registry.Schema(id)
		if !ok {
			return nil, fmt.Errorf("schema %s is not on the chain", id)
		}
		return &s.Schema, nil
	}
}

// IsBundle tells bundles from signed results, which are three parts with dots between: by their first character.
func IsBundle(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) && json.Valid(text)
}
