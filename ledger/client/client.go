// Package client reads a Bulla ledger and believes none of its hosts: what it returns has been checked against the
// genesis hash, a checkpoint policy (the log's key and k of n cosigners) and the last checkpoint it saw.
//
// [Client.Update] gives a [View]: one checkpoint with the seal, registry and census it fixes. From a view, wallets take
// grid seals ([Client.GridSeals]) and groups of the active tree ([Client.Group]); verifiers find the seal of a root
// ([Client.FindRoot]); issuers submit entries and wait until they are sealed ([Client.Submit], [Client.Await]).
//
// A host can refuse, delay, or serve an old state, which shows as the age of the newest seal. It cannot make a client
// believe another history: an operator who signs two shows up as [ErrFork], with both notes as evidence.
//
// The package compiles for js/wasm.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Errors that callers branch on.
var (
	// ErrPolicy is returned for a checkpoint that the policy does not accept: a signature is bad or too few
	// independent cosigners signed.
	ErrPolicy = checkpoint.ErrPolicy
	// ErrTampered is returned when a host serves something else than the checkpoint, a seal or a name fixes.
	ErrTampered = checkpoint.ErrTampered
	// ErrFork is returned, for ever, once the log's key was seen to sign two histories. See [ForkError].
	ErrFork = checkpoint.ErrFork
	// ErrRollback is returned when a host serves a checkpoint older than one seen before. Nothing was signed twice, so
	// a later update may succeed. See [ForkError].
	ErrRollback = checkpoint.ErrRollback
	// ErrNoSeal is returned for a log whose end is not sealed within the client's limits.
	ErrNoSeal = errors.New("log has no seal near its end")
	// ErrRootUnknown is returned for an active root that no seal in reach holds.
	ErrRootUnknown = errors.New("no seal holds that active root")
	// ErrRootTooOld is returned for an active root beyond the freshness. See [RootTooOldError].
	ErrRootTooOld = errors.New("active root is too old")
	// ErrSealAhead is returned for a seal that is ahead of our clock by more than the chain's skew.
	ErrSealAhead = errors.New("seal is ahead of our clock")
	// ErrNoSet is returned for a set that the host does not have.
	ErrNoSet = errors.New("ledger has no such set")
	// ErrTooManySeals is returned when answering would need more seals than the limits allow.
	ErrTooManySeals = errors.New("too many seals to walk")
)

// Limits bound what one call may fetch and keep. Zero fields take the defaults.
type Limits struct {
	Request  time.Duration // for one request without long-polling; 30 s
	Parallel int           // requests at once within one call; 8
	Seals    int           // seals kept in memory and walked; 20,000
	Unsealed int           // entries searched for the last seal before a checkpoint's end; 8,192
}

func (l Limits) orDefaults() Limits {
	set := func(v *int, byDefault int) {
		if *v <= 0 {
			*v = byDefault
		}
	}
	set(&l.Parallel, 8)
	set(&l.Seals, 20_000)
	set(&l.Unsealed, 8192)
	if l.Request <= 0 {
		l.Request = 30 * time.Second
	}
	return l
}

// Config says which chain to read, from where, and what to believe.
type Config struct {
	URL     string            // of the ledger or a mirror, as in https://ledger.example
	Genesis credential.Digest // the chain's identity
	Policy  Policy
	// HTTPClient is used for transport only; its redirect policy is replaced. nil: a client of our own.
	HTTPClient *http.Client
	Clock      func() time.Time // nil: time.Now
	// Memory holds the last checkpoint seen. nil: it is forgotten with the process, and a host could roll back a client
	// that restarts.
	Memory Memory
	// Cache holds immutable objects; everything read from it is checked again. nil: [NewLRU] of 32 MiB.
	Cache  Cache
	Limits Limits
}

// Client reads one chain from one host. It is safe for concurrent use.
type Client struct {
	cfg    Config
	http   *fetcher
	log    *Log
	policy *checkpoint.Judge

	updating gate                 // guards state, genesis and the order of updates
	state    memoryState          // owned by Update
	genesis  *genesis             // set once by Update
	view     atomic.Pointer[View] // the newest; written by Update
	updated  atomic.Int64         // when, in Unix nanoseconds; written by Update

	history   history // seals walked so far
	documents *LRU    // registries and censuses in memory, as served
	submitted *submissions
	noSeals   atomic.Bool // the host has no bundles of seals that are any good
}

type genesis struct {
	content entry.Genesis
	raw     []byte
}

// New checks the configuration and loads the memory. It does not reach out.
func New(cfg Config) (*Client, error) {
	if cfg.Genesis.IsZero() {
		return nil, errors.New("ledger client: the genesis hash is missing")
	}
	policy, err := cfg.Policy.Parse()
	if err != nil {
		return nil, fmt.Errorf("ledger client: checkpoint policy: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Cache == nil {
		cfg.Cache = NewLRU(32 << 20)
	}
	if cfg.Memory == nil {
		cfg.Memory = new(Forgetful)
	}
	cfg.Limits = cfg.Limits.orDefaults()
	c := &Client{cfg: cfg, policy: policy, updating: newGate(), documents: NewLRU(8 << 20), submitted: newSubmissions()}
	c.history.gate = newGate()
	if c.http, err = newFetcher(cfg.URL, cfg.HTTPClient, cfg.Limits); err != nil {
		return nil, fmt.Errorf("ledger client: %w", err)
	}
	c.log = newLog(c.http, cfg.Cache)
	if c.state, err = loadState(cfg.Memory, cfg.Genesis); err != nil {
		return nil, fmt.Errorf("ledger client: memory: %w", err)
	}
	return c, nil
}

// IsBad tells errors that accuse the host or the operator from those that only say that the ledger did not answer.
func IsBad(err error) bool {
	for _, bad := range []error{ErrFork, ErrRollback, ErrTampered, ErrPolicy} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

func (c *Client) updatedWithin(d time.Duration) bool {
	age := c.cfg.Clock().Sub(time.Unix(0, c.updated.Load()))
	return age >= 0 && age < d
}

// Latest is the view of the last successful [Client.Update] in this process, or nil.
func (c *Client) Latest() *View { return c.view.Load() }
