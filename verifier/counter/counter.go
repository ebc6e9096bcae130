// Package counter is a relying party's counter without a network: it shows a request as a QR code, reads the answer from one
// QR code, and checks it against the chain as it was when the counter last had a network. Format: doc/spec/counter.md.
//
// A counter has a key of its own and a pass for it, signed by a key that the chain lists for the verifier: whoever has both
// can ask at that counter, by the verifier's registered policies, until the pass ends, and nothing else. What counts once,
// per person or per thing, cannot be asked: a counter does not know what happened elsewhere.
package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/offline"
)

// Errors that callers branch on. A [*check.Refusal] says what is wrong with an answer.
var (
	// ErrPolicy is returned for policies that this counter does not have or that no counter may ask by.
	ErrPolicy = errors.New("this counter cannot ask by that policy")
	// ErrPass is returned for a pass that is not by the verifier, for another key, or past its end.
	ErrPass = errors.New("the counter's pass is refused")
	// ErrClock is returned when the counter's clock is behind its copy of the chain.
	ErrClock = errors.New("the counter's clock is behind its copy of the chain: set it right")
)

// StaleError says that the counter's copy of the chain is too old for a policy. Nothing was consumed: after a
// synchronisation a new request may be made.
type StaleError struct {
	Age, Freshness time.Duration
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the counter's copy of the chain is %s old, the policy allows %s: synchronise it where there is a network",
		e.Age.Round(time.Second), e.Freshness)
}

// Copy is what a counter takes with it from where there is a network. Nothing in it is believed before [New].
type Copy struct {
	Version  int                 `json:"version"` // 1, or 2 with sets
	Chain    *checkpoint.Excerpt `json:"chain"`
	Policies []*policy.Policy    `json:"policies"` // of the verifier, those that a counter may ask by
	// Sets are those that the policies name, in the order of [policy.NamedSets]: in version 2 at least one, in version 1 none.
	Sets []policy.SetDocument `json:"sets,omitempty"`
}

// ParseCopy reads a copy, canonical JSON.
func ParseCopy(text []byte) (*Copy, error) {
	c := new(Copy)
	if err := credential.ParseCanonical(text, c); err != nil {
		return nil, fmt.Errorf("copy of the chain: %w", err)
	}
	if c.Version != offline.VersionWith(len(c.Sets)) || c.Chain == nil {
		return nil, fmt.Errorf("copy of the chain of version %d with %d sets: this program reads 1 without sets, and 2 with some", c.Version, len(c.Sets))
	}
	return c, nil
}

// Config is what a counter is made of.
type Config struct {
	Profile       checkpoint.Profile // what is believed; its URL is not used
	Pass          string
	Key           *jose.SigningKey // that the pass names
	Copy          *Copy
	VerifyingKeys [][]byte // file forms
	Memory        Memory
	Clock         func() time.Time // nil: time.Now
}

// Memory keeps what a counter asked until it is answered. Whoever can change it can have one answer count twice within its
// five minutes.
type Memory interface {
	// Put keeps a request under its nonce, durably.
	Put(nonce, link string) error
	// Get finds a request, or returns [ErrAbsent].
	Get(nonce string) (link string, err error)
	// Spend uses a nonce up, durably: the second call for it returns [ErrSpent].
	Spend(nonce string) error
}

// Errors of a [Memory].
var (
	ErrAbsent = errors.New("this counter did not ask that")
	ErrSpent  = errors.New("that was answered before")
)

// Counter asks and checks. It is safe for concurrent use.
type Counter struct {
	cfg      Config
	pass     openid.CounterPass
	chain    *offline.Chain
	keys     []*keys.VerifyingKey
	policies []*policy.Policy
	sets     policy.Sets // that they name
}

// New checks everything that the counter is made of, against the profile.
func New(cfg Config) (*Counter, error) {
	if cfg.Key == nil || cfg.Copy == nil || cfg.Memory == nil {
		return nil, errors.New("counter: key, copy of the chain or memory is missing")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	fixed, err := cfg.Copy.Chain.Verify(cfg.Profile, nil)
	if err != nil {
		return nil, fmt.Errorf("counter: %w: %w", offline.ErrChain, err)
	}
	c := &Counter{cfg: cfg, chain: &offline.Chain{Chain: fixed, Clock: cfg.Clock}}
	if c.keys, err = offline.ParseKeys(cfg.VerifyingKeys); err != nil {
		return nil, fmt.Errorf("counter: %w", err)
	}
	if c.pass, err = openid.ParseCounterPass(cfg.Pass); err != nil {
		return nil, fmt.Errorf("counter: %w: %w", ErrPass, err)
	}
	if c.pass.Key != cfg.Key.Public() {
		return nil, fmt.Errorf("counter: %w: it is for another key", ErrPass)
	}
	for _, p := range cfg.Copy.Policies {
		if err := c.addPolicy(p); err != nil {
			return nil, fmt.Errorf("counter: %w", err)
		}
	}
	if c.sets, err = policy.CarriedSets(cfg.Copy.Sets, c.policies...); err != nil {
		return nil, fmt.Errorf("counter: %w: %w", ErrPolicy, err)
	}
	return c, nil
}

// addPolicy takes only what is registered, in these words.
func (c *Counter) addPolicy(p *policy.Policy) error {
	if p == nil {
		return fmt.Errorf("%w: it is empty", ErrPolicy)
	}
	if err := errors.Join(p.Validate(), p.CheckCounter()); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	if registered, ok := c.chain.Registry().Policy(c.pass.Verifier, p.ID); p.Verifier != c.pass.Verifier || !ok || registered.Digest != digest {
		return fmt.Errorf("%w: policy %s is not registered for %s in these words", ErrPolicy, p.ID, c.pass.Verifier)
	}
	c.policies = append(c.policies, p)
	return nil
}

// Name is the counter's, and Verifier the DID of whose it is.
func (c *Counter) Name() string { return c.pass.Counter }

// Verifier is the DID of the relying party.
func (c *Counter) Verifier() string { return c.pass.Verifier }

// Policies are those that the counter can ask by.
func (c *Counter) Policies() []*policy.Policy { return slices.Clone(c.policies) }

// Newest is the newest seal in the counter's copy of the chain.
func (c *Counter) Newest() checkpoint.Seal { return c.chain.Newest() }

// Genesis is what the chain says of itself.
func (c *Counter) Genesis() entry.Genesis { return c.chain.Genesis }

func (c *Counter) policy(id string) (*policy.Policy, error) {
	i := slices.IndexFunc(c.policies, func(p *policy.Policy) bool { return p.ID == id })
	if i >= 0 {
		return c.policies[i], nil
	}
	var have []string
	for _, p := range c.policies {
		have = append(have, p.ID)
	}
	return nil, fmt.Errorf("%w: %.100q is not one of %s; policies that count once per person or thing need a network", ErrPolicy, id, strings.Join(have, ", "))
}

// fresh refuses to work with a copy that no answer could be fresh under.
func (c *Counter) fresh(p *policy.Policy) error {
	if c.chain.Ahead() {
		return ErrClock
	}
	if age, freshness := c.chain.Age(), time.Duration(p.FreshnessSeconds)*time.Second; age > freshness {
		return &StaleError{age, freshness}
	}
	return nil
}

// Asked is a request to show.
type Asked struct {
	Link      string              `json:"link"` // what stands in the QR code
	Counter   string              `json:"counter"`
	Verifier  string              `json:"verifier"`
	Policy    string              `json:"policy"`
	Nonce     string              `json:"nonce"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
	Network   string              `json:"network"`
	Dev       bool                `json:"dev"` // whoever made the chain's keys could forge an answer
}

// Ask makes a request by a policy. Errors: [ErrPolicy], [ErrPass], [ErrClock], [*StaleError].
func (c *Counter) Ask(policyID string) (*Asked, error) {
	p, err := c.policy(policyID)
	if err != nil {
		return nil, err
	}
	if err := c.fresh(p); err != nil {
		return nil, err
	}
	now := credential.UnixTimeOf(c.cfg.Clock())
	if now < c.pass.IssuedAt || now >= c.pass.NotAfter {
		return nil, fmt.Errorf("%w: it is good from %s until %s", ErrPass, c.pass.IssuedAt, c.pass.NotAfter)
	}
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	request := openid.CounterRequest{
		Policy: p.ID, Digest: digest, Seals: [2]uint64{c.chain.Seals[0].Height, c.chain.Latest().Height},
		Nonce: openid.NewCounterNonce(), IssuedAt: now, ExpiresAt: min(now+openid.MaxCounterLifetime, c.pass.NotAfter),
	}
	for _, circuit := range openid.CircuitsOf(p) {
		key, err := c.usableKey(circuit, request.ExpiresAt.Time())
		if err != nil {
			return nil, err
		}
		request.Keys = append(request.Keys, key)
	}
	link, err := openid.SignCounterAsk(c.cfg.Key, c.cfg.Pass, request)
	if err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	if _, err := c.read(link, p); err != nil { // nobody is asked what could not be checked
		return nil, fmt.Errorf("ask: %w", err)
	}
	if err := c.cfg.Memory.Put(request.Nonce, link); err != nil {
		return nil, fmt.Errorf("ask: keep the request: %w", err)
	}
	return &Asked{
		Link: link, Counter: c.pass.Counter, Verifier: c.pass.Verifier, Policy: p.ID, Nonce: request.Nonce, ExpiresAt: request.ExpiresAt,
		Network: c.chain.Genesis.Network, Dev: c.chain.Genesis.Dev,
	}, nil
}

// usableKey is a key of ours that the chain lists for a circuit until a time.
func (c *Counter) usableKey(circuit string, until time.Time) (credential.Digest, error) {
	listed := check.Acceptable(c.chain.Genesis, c.chain.Registry())
	for _, key := range c.keys {
		if key.Name() == circuit && check.Listed(listed, key, until) {
			return key.Digest(), nil
		}
	}
	return credential.Digest{}, fmt.Errorf("%w: the chain lists no verifying key of the counter's for %s", ErrPolicy, circuit)
}

// read is a request of ours, checked as a wallet does.
func (c *Counter) read(link string, p *policy.Policy) (*check.Asked, error) {
	ask, err := openid.ParseCounterAsk(link)
	if err != nil {
		return nil, err
	}
	registered, ok := c.chain.Registry().Verifier(c.pass.Verifier)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not on the chain", ErrPass, c.pass.Verifier)
	}
	if _, err := ask.Verify(c.chain.GenesisHash, registered); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPass, err)
	}
	return check.NewAskedAtCounter(c.chain.GenesisHash, ask, p, c.chain.Registry())
}

// Result is what an answer proved.
type Result struct {
	offline.Result
	Counter string `json:"counter"`
	Nonce   string `json:"nonce"`
}

// Check checks an answer to a request of this counter, and uses the request up if, and only if, all of it holds. A
// [*check.Refusal] says what is wrong with it; [*StaleError] and other errors, that it could not be checked.
func (c *Counter) Check(text string) (*Result, error) {
	answer, err := openid.ParseCounterAnswer(text)
	if err != nil {
		return nil, check.Refuse(check.Malformed, "", err)
	}
	link, err := c.cfg.Memory.Get(answer.Nonce)
	if errors.Is(err, ErrAbsent) {
		return nil, check.Refuse(check.SessionUnknown, "", err)
	}
	if err != nil {
		return nil, fmt.Errorf("look up the request: %w", err)
	}
	facts, asked, chain, err := c.verify(link, answer)
	if err != nil {
		return nil, err
	}
	result, err := chain.Describe(asked, facts)
	if err != nil {
		return nil, err
	}
	switch err := c.cfg.Memory.Spend(answer.Nonce); {
	case errors.Is(err, ErrSpent):
		return nil, check.Refuse(check.SessionAnswered, "", err)
	case err != nil:
		return nil, fmt.Errorf("use up the request: %w", err)
	}
	return &Result{*result, c.pass.Counter, answer.Nonce}, nil
}

// verify checks an answer as of one time.
func (c *Counter) verify(link string, answer *openid.CounterAnswer) ([]check.Fact, *check.Asked, *offline.Chain, error) {
	now := c.cfg.Clock()
	chain := &offline.Chain{Chain: c.chain.Chain, Clock: func() time.Time { return now }}
	ask, err := openid.ParseCounterAsk(link)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("stored request: %w", err)
	}
	if !now.Before(ask.Until()) {
		return nil, nil, nil, check.Refuse(check.SessionExpired, "", nil)
	}
	p, err := c.policy(ask.Request.Policy)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.fresh(p); err != nil {
		return nil, nil, nil, err
	}
	asked, err := c.read(link, p)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("stored request: %w", err)
	}
	token, err := answer.Token(asked.Request.Query.Credentials)
	if err != nil {
		return nil, nil, nil, check.Refuse(check.QueryMismatch, "", err)
	}
	response, err := credential.Canonical(token)
	if err != nil {
		return nil, nil, nil, check.Refuse(check.Malformed, "", err)
	}
	checker := &check.Checker{Chain: chain, Keys: c.keys, Sets: c.sets, Clock: chain.Clock}
	facts, err := checker.Verify(context.Background(), asked, response)
	return facts, asked, chain, err
}
