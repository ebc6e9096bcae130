package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// Load on the ledger: so many agencies submit at once, each waiting for its receipt before its next entry.
const (
	agencies     = 64
	smallEntries = 2048 // a run's entries with one commitment
	largeEntries = 64   // a run's entries with entry.MaxBatch commitments
)

// chain is a dev chain on Pebble in a folder, with a seal a second and no cosigner, begun when it is first needed.
type chain struct {
	dir    string
	logger *slog.Logger

	log        *ledger.Log
	rows       *store.Pebble
	genesis    credential.Digest
	governance *jose.SigningKey
	agencies   []*signer
	schema     credential.Element
	issued     uint64 // commitments so far, as each leaf enters once
	failed     error
}

// signer is an agency with its next sequence number.
type signer struct {
	did  string
	key  *jose.SigningKey
	next uint64
}

func newChain(dir string, logger *slog.Logger) *chain { return &chain{dir: dir, logger: logger} }

// measures: entries are signed (Ed25519) before the clock starts, as that is the agencies' work, and count when they are
// in a signed checkpoint.
func (c *chain) measures(runs int) []measure {
	rate := func(name, unit string, entries, commitments, counted int) measure {
		return measure{name, unit, runs, true, func(ctx context.Context) (float64, error) {
			if err := c.open(ctx); err != nil {
				return 0, err
			}
			batches, err := c.sign(entries, commitments)
			if err != nil {
				return 0, err
			}
			start := time.Now()
			err = c.submit(ctx, batches)
			return math.Round(float64(counted) / time.Since(start).Seconds()), err
		}}
	}
	return []measure{
		rate("ledger_entries", "entries/s", smallEntries, 1, smallEntries),
		rate("ledger_commitments", "commitments/s", largeEntries, entry.MaxBatch, largeEntries*entry.MaxBatch),
	}
}

func (c *chain) open(ctx context.Context) error {
	if c.log == nil && c.failed == nil {
		if err := c.found(); err != nil {
			c.failed = fmt.Errorf("begin a chain: %w", err)
		} else if err := c.register(ctx); err != nil {
			c.failed = fmt.Errorf("register agencies: %w", err)
		}
	}
	return c.failed
}

// found makes the chain's keys and its genesis entry, and starts the sequencer.
func (c *chain) found() error {
	const origin = "bulla.example/bench"
	operator, err1 := jose.Generate(jose.EdDSA)
	governance, err2 := jose.Generate(jose.EdDSA)
	secret, verifier, err3 := note.GenerateKey(nil, origin)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	logSigner, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	first, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: ledger.DraftGenesis(entry.Genesis{
		Network: "bench", Dev: true, Origin: origin, LogKey: verifier, OperatorKey: operator.Public(),
		GovernanceKeys: []jose.PublicKey{governance.Public()}, GovernanceThreshold: 1, Time: credential.UnixTimeOf(time.Now()),
	})}, governance)
	if err != nil {
		return err
	}
	c.genesis, c.governance = first.Digest(), governance
	if c.rows, err = store.Open(store.Config{Dir: filepath.Join(c.dir, "store"), Logger: c.logger}); err != nil {
		return err
	}
	cfg := ledger.Config{Store: c.rows, LogSigner: logSigner, Operator: operator, Logger: c.logger}
	if cfg.Register, err = store.NewFileRegister(filepath.Join(c.dir, "register", "last-signed"), nil); err != nil {
		return err
	}
	if err := ledger.Found(cfg, first.Bytes()); err != nil {
		return err
	}
	c.log, err = ledger.Open(cfg)
	return err
}

// register admits the agencies and publishes a schema that all may use.
func (c *chain) register(ctx context.Context) error {
	governance := &signer{entry.Governance, c.governance, 1}
	var dids []string
	for i := range agencies {
		key, err := jose.Generate(jose.EdDSA)
		if err != nil {
			return err
		}
		s := &signer{did: fmt.Sprintf("did:web:agency-%03d.example", i), key: key}
		raw, err := c.entry(governance, entry.IssuerRegistered{
			DID: s.did, Name: credential.Text{English: "Agency"}, Keys: []jose.PublicKey{key.Public()}, Quota: 1 << 40, URL: "https://agency.example",
		})
		if err != nil {
			return err
		}
		if _, err := c.log.Submit(ctx, raw); err != nil {
			return err
		}
		c.agencies, dids = append(c.agencies, s), append(dids, s.did)
	}
	schema := divisions.ResidenceSchema(register)
	var err error
	if c.schema, err = schema.ID(); err != nil {
		return err
	}
	raw, err := c.entry(governance, entry.SchemaPublished{Schema: *schema, Issuers: dids})
	if err != nil {
		return err
	}
	_, err = c.log.Submit(ctx, raw)
	return err
}

// entry is the signer's next entry.
func (c *chain) entry(s *signer, payload entry.Payload) ([]byte, error) {
	e, err := entry.Sign(entry.Draft{Genesis: c.genesis, Signer: s.did, Sequence: s.next, Payload: payload}, s.key)
	if err != nil {
		return nil, err
	}
	s.next++
	return e.Bytes(), nil
}

// sign makes entries with commitments, spread over the agencies.
func (c *chain) sign(entries, commitments int) ([][][]byte, error) {
	batches := make([][][]byte, len(c.agencies))
	for i := range entries {
		payload := entry.CredentialsIssued{Schema: c.schema, Commitments: make([]credential.Element, commitments)}
		for j := range payload.Commitments {
			c.issued++
			payload.Commitments[j] = credential.F("bench commitment", binary.BigEndian.AppendUint64(nil, c.issued))
		}
		raw, err := c.entry(c.agencies[i%agencies], payload)
		if err != nil {
			return nil, err
		}
		batches[i%agencies] = append(batches[i%agencies], raw)
	}
	return batches, nil
}

// submit hands in every agency's entries, all agencies at once.
func (c *chain) submit(ctx context.Context, batches [][][]byte) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, batch := range batches {
		group.Go(func() error {
			for _, raw := range batch {
				receipt, err := c.log.Submit(ctx, raw)
				if err != nil {
					return err
				}
				if receipt.Level.Rank() < entry.LevelLogged.Rank() {
					return fmt.Errorf("entry %d is %s only", receipt.Index, receipt.Level)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (c *chain) close() {
	if c.log != nil {
		_ = c.log.Close() // the folder is removed next
	}
	if c.rows != nil {
		_ = c.rows.Close()
	}
}
