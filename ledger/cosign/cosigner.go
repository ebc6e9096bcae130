// Package cosign is a cosigner that counts: before it signs a checkpoint it replays every entry through the state
// machine, so that its signature says that the log only grew, that every entry was authorised, and that every seal
// follows from the entries. The operator alone could seal any active root; with one such cosigner, independent of the
// operator, it cannot.
//
// It speaks C2SP tlog-witness (POST /add-checkpoint) and reads entries from the ledger's public tiles. What was signed
// last is kept in a register, a small file apart from the store, so that a store that lost rows or was put back to
// yesterday cannot make it sign a second history: the register decides, and the store is filled again by replaying.
//
// A checkpoint that the log signed and that does not replay is kept as evidence ([Cosigner.Evidence]).
package cosign

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

// Config is what a cosigner needs.
type Config struct {
	Key        string            // signing key as note.GenerateKey writes it (Ed25519): a secret
	Genesis    credential.Digest // the chain
	LedgerURL  string            // where its tiles are
	Store      ledger.Store      // rows of the state machine, of its own
	Register   ledger.Register   // the last checkpoint cosigned; apart from the store
	HTTPClient *http.Client      // nil: one of its own
	Limits     client.Limits
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: slog.Default
}

// Cosigner cosigns checkpoints of one chain. It is safe for concurrent use; requests are handled one after the other.
type Cosigner struct {
	genesis     credential.Digest
	signer      note.Signer
	verifierKey string
	log         *client.Log
	store       ledger.Store
	register    ledger.Register
	logger      *slog.Logger

	closing    atomic.Bool
	busy       chan struct{}      // guards what follows
	follower   *ledger.Follower   // replayed so far
	logKey     note.Verifier      // nil when genesis and register must be read
	logKeyText string             // as genesis has it
	last       *client.Checkpoint // the last one cosigned, as in the register; nil before the first
}

// GenerateKey makes a cosigner's keys: the secret for [Config], and the verifier key for everybody else's policies. The
// name is the cosigner's for good, as in cosigner.example/land.
func GenerateKey(name string) (secret, verifierKey string, err error) {
	secret, plain, err := note.GenerateKey(nil, name)
	if err != nil {
		return "", "", fmt.Errorf("generate cosigner key: %w", err)
	}
	verifierKey, err = cosignature.VKeyToCosignatureV1(plain)
	return secret, verifierKey, err
}

// verifierKeyOf is the public side of a signing key.
func verifierKeyOf(secret string) (string, error) {
	// PRIVATE+KEY+name+hash+key, and the key is a type byte and the seed.
	parts := strings.SplitN(secret, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("malformed")
	}
	key, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return "", errors.New("malformed")
	}
	public := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	plain, err := note.NewEd25519VerifierKey(parts[2], public)
	if err != nil {
		return "", err
	}
	return cosignature.VKeyToCosignatureV1(plain)
}

// New opens a cosigner. It refuses a store that does not fit the register. It does not reach out: the ledger need not
// run yet.
func New(cfg Config) (*Cosigner, error) {
	if cfg.Store == nil || cfg.Register == nil || cfg.Genesis.IsZero() {
		return nil, errors.New("cosigner needs genesis hash, store and register")
	}
	// The library's errors do not quote the key.
	if _, err := note.NewSigner(cfg.Key); err != nil {
		return nil, fmt.Errorf("cosigner key: %w", err)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("cosigner key: %w", err)
	}
	c := &Cosigner{
		genesis: cfg.Genesis, signer: signer, store: cfg.Store, register: cfg.Register,
		logger: cfg.Logger, busy: make(chan struct{}, 1),
	}
	if c.verifierKey, err = verifierKeyOf(cfg.Key); err != nil {
		return nil, fmt.Errorf("cosigner key: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.log, err = client.NewLog(cfg.LedgerURL, cfg.HTTPClient, nil, cfg.Limits); err != nil {
		return nil, fmt.Errorf("cosigner: %w", err)
	}
	if err := c.open(cfg.Clock); err != nil {
		return nil, fmt.Errorf("open cosigner %s: %w", signer.Name(), err)
	}
	return c, nil
}

// open takes up what was replayed and, if its genesis is known, compares it with the register. Of the active tree only the
// last version is kept: nobody reads the others here.
func (c *Cosigner) open(clock func() time.Time) (err error) {
	c.follower, err = ledger.NewFollower(ledger.FollowerConfig{Store: c.store, Genesis: c.genesis, Keep: 0, Clock: clock})
	var format *ledger.FormatError
	if errors.As(err, &format) {
		return fmt.Errorf("the store has format version %d: remove its folder, not the register, and it is replayed from the ledger", format.Version)
	}
	if err != nil {
		return err
	}
	if genesis, hash := c.follower.Machine().Genesis(); !hash.IsZero() {
		return c.learn(genesis.LogKey)
	}
	return nil
}

// learn takes the log's key and reads the register with it.
func (c *Cosigner) learn(key string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return fmt.Errorf("log key of the chain: %w", err)
	}
	content, err := c.register.Read()
	if err != nil && !errors.Is(err, ledger.ErrAbsent) {
		return fmt.Errorf("read the register: %w", err)
	}
	var last *client.Checkpoint
	if err == nil {
		parsed, err := client.ParseCheckpoint(content, verifier)
		if err != nil {
			return fmt.Errorf("the register does not hold a checkpoint of this log: %w", err)
		}
		if err := c.compare(parsed); err != nil {
			return err
		}
		last = &parsed
	}
	c.logKey, c.logKeyText, c.last = verifier, key, last
	return nil
}

// compare checks that what was replayed is the log that was cosigned, as far as both go.
func (c *Cosigner) compare(last client.Checkpoint) error {
	machine := c.follower.Machine()
	if machine.Size() < last.Size {
		return nil // rows are missing, and will be replayed
	}
	root, err := ledger.RootAt(machine, last.Size)
	if err != nil {
		return err
	}
	if root != tlog.Hash(last.Root) {
		return errors.New("the store is not of the log that was cosigned. Delete the store, and it will be replayed; never the register")
	}
	return nil
}

// start makes sure that what was replayed, log key and register are loaded.
func (c *Cosigner) start(ctx context.Context) error {
	if err := c.follower.Reload(); err != nil {
		return err
	}
	if c.logKey != nil {
		return nil
	}
	if founding, hash := c.follower.Machine().Genesis(); !hash.IsZero() {
		return c.learn(founding.LogKey)
	}
	genesis, _, err := c.log.Genesis(ctx, c.genesis)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return c.learn(genesis.LogKey)
}

// VerifierKey is the key that cosignatures verify with, for checkpoint policies (cosignature/v1).
func (c *Cosigner) VerifierKey() string { return c.verifierKey }

// enter waits for its turn.
func (c *Cosigner) enter(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
}

func (c *Cosigner) leave() { <-c.busy }

// Close waits for the request in hand, which it stops at the next entry, and handles no more. Store and register stay
// open: they are the caller's. It must not be called twice.
func (c *Cosigner) Close() {
	c.closing.Store(true)
	c.busy <- struct{}{}
}
