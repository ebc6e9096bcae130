package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// chainConfig says how a chain for measurements is to be.
type chainConfig struct {
	dir      string
	agencies int           // registered issuers
	interval int           // seconds from seal to seal at least
	age      time.Duration // of the genesis entry: room for the times of seals that are made in bulk
	pending  int           // submissions that may wait; the ledger's default if 0
	batch    int           // entries in one commit; likewise
}

// chain is a dev chain on Pebble in a folder, without cosigners.
type chain struct {
	cfg chainConfig

	log        *ledger.Log // nil until open
	rows       *store.Pebble
	logSecret  string // of the log's key, drawn for the measurement
	logKey     string
	seed       []byte // of the operator's key, likewise
	operator   *jose.SigningKey
	genesis    credential.Digest
	governance *signer
	agencies   []*signer
	schema     credential.Element
	issued     uint64 // commitments so far, as each leaf enters once
}

// signer is an agency with its next sequence number.
type signer struct {
	did  string
	key  *jose.SigningKey
	next uint64
}

// newChain founds a chain and registers agencies, with a schema that all may use. It does not open it.
func newChain(cfg chainConfig) (*chain, error) {
	c := &chain{cfg: cfg}
	if err := c.found(); err != nil {
		c.close()
		return nil, fmt.Errorf("begin a chain: %w", err)
	}
	if err := c.register(); err != nil {
		c.close()
		return nil, fmt.Errorf("register agencies: %w", err)
	}
	return c, nil
}

// found makes the chain's keys and its genesis entry.
func (c *chain) found() error {
	const origin = "bulla.example/bench"
	c.seed = make([]byte, 32)
	rand.Read(c.seed)
	operator, err1 := jose.FromSeed(c.seed)
	governance, err2 := jose.Generate(jose.EdDSA)
	secret, verifier, err3 := note.GenerateKey(nil, origin)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	c.operator, c.logSecret, c.logKey = operator, secret, verifier
	first, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: ledger.DraftGenesis(entry.Genesis{
		Network: "bench", Dev: true, Origin: origin, LogKey: verifier, OperatorKey: operator.Public(), SealIntervalSeconds: c.cfg.interval,
		GovernanceKeys: []jose.PublicKey{governance.Public()}, GovernanceThreshold: 1,
		Time: credential.UnixTimeOf(time.Now().Add(-c.cfg.age)),
	})}, governance)
	if err != nil {
		return err
	}
	c.genesis, c.governance = first.Digest(), &signer{entry.Governance, governance, 1}
	cfg, rows, err := c.file().open()
	if err != nil {
		return err
	}
	c.rows = rows
	return ledger.Found(cfg, first.Bytes())
}

// register admits the agencies and publishes a schema that all may use, in one commit.
func (c *chain) register() error {
	l, err := c.loader()
	if err != nil {
		return err
	}
	var dids []string
	for i := range c.cfg.agencies {
		key, err := jose.Generate(jose.EdDSA)
		if err != nil {
			return err
		}
		s := &signer{did: fmt.Sprintf("did:web:a%04d.example", i), key: key}
		err = l.apply(c.governance, entry.IssuerRegistered{
			DID: s.did, Name: credential.Text{English: "Agency"}, Keys: []jose.PublicKey{key.Public()}, Quota: 1 << 40, URL: "https://agency.example",
		})
		if err != nil {
			return err
		}
		c.agencies, dids = append(c.agencies, s), append(dids, s.did)
	}
	schema := divisions.ResidenceSchema(register)
	if c.schema, err = schema.ID(); err != nil {
		return err
	}
	if err := l.apply(c.governance, entry.SchemaPublished{Schema: *schema, Issuers: dids}); err != nil {
		return err
	}
	return l.commit()
}

// open starts the sequencer.
func (c *chain) open() error {
	cfg, err := c.file().config()
	if err != nil {
		return err
	}
	cfg.Store, cfg.MaxPending, cfg.MaxBatch = c.rows, c.cfg.pending, c.cfg.batch
	c.log, err = ledger.Open(cfg)
	return err
}

// reopen is open after stop.
func (c *chain) reopen() (err error) {
	if _, c.rows, err = c.file().open(); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return errors.Join(err, c.stop())
	}
	return nil
}

// sign is the signer's next entry.
func (c *chain) sign(s *signer, payload entry.Payload) (*entry.Entry, error) {
	e, err := entry.Sign(entry.Draft{Genesis: c.genesis, Signer: s.did, Sequence: s.next, Payload: payload}, s.key)
	if err != nil {
		return nil, err
	}
	s.next++
	return e, nil
}

// issue is the payload that enters n new commitments. They look random, so that they do not compress.
func (c *chain) issue(n int) (entry.CredentialsIssued, error) {
	payload := entry.CredentialsIssued{Schema: c.schema, Commitments: make([]credential.Element, n)}
	for j := range payload.Commitments {
		c.issued++
		digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, c.issued))
		payload.Commitments[j] = credential.ElementFrom31([31]byte(digest[:31]))
	}
	return payload, nil
}

// issues are n entries with commitments, by agency.
func (c *chain) issues(n, commitments int) ([][]*entry.Entry, error) {
	lists := make([][]*entry.Entry, len(c.agencies))
	for i := range n {
		payload, err := c.issue(commitments)
		if err != nil {
			return nil, err
		}
		agency := i % len(c.agencies)
		e, err := c.sign(c.agencies[agency], payload)
		if err != nil {
			return nil, err
		}
		lists[agency] = append(lists[agency], e)
	}
	return lists, nil
}

// stop ends the sequencer and the store, so that all of it is on disk.
func (c *chain) stop() error {
	var err error
	if c.log != nil {
		err = c.log.Close()
	}
	if c.rows != nil {
		err = errors.Join(err, c.rows.Flush(), c.rows.Close())
	}
	c.log, c.rows = nil, nil
	return err
}

func (c *chain) close() { _ = c.stop() } // the folder is removed next

// file is what a process needs to open this chain.
func (c *chain) file() chainFile {
	return chainFile{
		Store: filepath.Join(c.cfg.dir, "store"), Register: filepath.Join(c.cfg.dir, "register", "last-signed"),
		LogSecret: c.logSecret, OperatorSeed: c.seed,
	}
}

// chainFile names a chain's folders, with its keys, which are drawn for the measurement.
type chainFile struct {
	Store, Register string
	LogSecret       string
	OperatorSeed    []byte
}

// config is the configuration of the ledger but for its store.
func (f chainFile) config() (cfg ledger.Config, err error) {
	cfg.Logger = slog.New(slog.DiscardHandler)
	if cfg.LogSigner, err = note.NewSigner(f.LogSecret); err != nil {
		return cfg, err
	}
	if cfg.Operator, err = jose.FromSeed(f.OperatorSeed); err != nil {
		return cfg, err
	}
	cfg.Register, err = store.NewFileRegister(f.Register, nil)
	return cfg, err
}

// open opens the store, too.
func (f chainFile) open() (ledger.Config, *store.Pebble, error) {
	cfg, err := f.config()
	if err != nil {
		return cfg, nil, err
	}
	rows, err := store.Open(store.Config{Dir: f.Store, Logger: cfg.Logger})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Store = rows
	return cfg, rows, nil
}

// loader applies entries without a sequencer, as a rebuild does.
type loader struct {
	chain   *chain
	machine *ledger.Machine
}

func (c *chain) loader() (*loader, error) {
	m, err := ledger.NewMachine(c.rows)
	return &loader{c, m}, err
}

func (l *loader) apply(s *signer, payload entry.Payload) error {
	e, err := l.chain.sign(s, payload)
	if err != nil {
		return err
	}
	_, err = l.machine.Apply(e.Bytes())
	return err
}

func (l *loader) commit() error {
	rows, err := l.machine.Changes()
	if err != nil {
		return err
	}
	if err := l.chain.rows.Commit(rows); err != nil {
		return err
	}
	l.machine.Committed()
	return nil
}

// seal applies a seal of the first time that it may have.
func (l *loader) seal() error {
	next, err := l.machine.NextSequence(entry.Operator)
	if err != nil {
		return err
	}
	seal, err := l.machine.DraftSeal(l.machine.EarliestSeal())
	if err != nil {
		return err
	}
	return l.apply(&signer{entry.Operator, l.chain.operator, next}, seal)
}

// sealedLeaves is how many leaves a chain made in bulk has from seal to seal.
const sealedLeaves = 10_000

// load applies entries with commitments, with seals, and writes them. It is called before open.
func (c *chain) load(ctx context.Context, entries, commitments int) error {
	l, err := c.loader()
	if err != nil {
		return err
	}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		payload, err := c.issue(commitments)
		if err != nil {
			return err
		}
		if err := l.apply(c.agencies[i%len(c.agencies)], payload); err != nil {
			return fmt.Errorf("load entry %d: %w", i, err)
		}
		if i < entries-1 && (i+1)*commitments%sealedLeaves != 0 {
			continue
		}
		if err := errors.Join(l.seal(), l.commit()); err != nil {
			return fmt.Errorf("load up to entry %d: %w", i, err)
		}
	}
	return c.rows.Flush()
}
