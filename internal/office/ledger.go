package office

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/cosign"
	"github.com/bulla-id/bulla/ledger/store"
)

// LedgerParts is what a ledger is put together from, once keys are read.
type LedgerParts struct {
	Store, Register string // folder and file, apart
	Log             note.Signer
	Operator        *jose.SigningKey
	Cosigners       []ledger.TrustedCosigner
	Threshold       int
	Export          string        // folder; empty: none
	Keep            time.Duration // versions of the active tree; 0: the default
	ScrubEvery      time.Duration // 0: the default
	ScrubRate       int           // bytes a second; 0: the default
	Logger          *slog.Logger
}

// with opens store and register, and hands the log's configuration to use. The store is left open if use says nil.
func (p LedgerParts) with(use func(ledger.Config) error) (*store.Pebble, error) {
	rows, err := store.Open(store.Config{Dir: p.Store, Logger: p.Logger})
	if err != nil {
		return nil, err
	}
	register, err := store.NewFileRegister(p.Register, nil)
	if err == nil {
		err = use(ledger.Config{
			Store: rows, Register: register, LogSigner: p.Log, Operator: p.Operator, Cosigners: p.Cosigners, Threshold: p.Threshold, Logger: p.Logger,
			ExportDir: p.Export, KeepVersions: p.Keep, ScrubEvery: p.ScrubEvery, ScrubRate: p.ScrubRate,
		})
	}
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return rows, nil
}

// Found begins a chain with a signed genesis entry, if it is not there yet.
func (p LedgerParts) Found(genesis []byte) error {
	rows, err := p.with(func(cfg ledger.Config) error { return ledger.Found(cfg, genesis) })
	if err != nil {
		return err
	}
	return rows.Close()
}

// Open takes up a chain. close stops it.
func (p LedgerParts) Open() (log *ledger.Log, close func() error, err error) {
	rows, err := p.with(func(cfg ledger.Config) (err error) { log, err = ledger.Open(cfg); return err })
	if err != nil {
		return nil, nil, err
	}
	return log, func() error { return errors.Join(log.Close(), rows.Close()) }, nil
}

// readChainKeys reads the keys of a ledger and makes none.
func readChainKeys(secrets *keystore.Store) (k chainKeys, err error) {
	secret, verifier, err := knownNoteKey(secrets, logKey)
	if err != nil {
		return k, err
	}
	if k.log, err = note.NewSigner(secret); err != nil {
		return k, fmt.Errorf("log key: %w", err)
	}
	k.logVerifier = verifier
	k.operator, err = signer(secrets, operatorKey)
	return k, err
}

func (cfg LedgerConfig) parts(k chainKeys, o Options) (LedgerParts, error) {
	p := LedgerParts{Store: cfg.Store, Register: cfg.Register, Log: k.log, Operator: k.operator, Threshold: cfg.Threshold, Logger: o.logger()}
	p.Export, p.Keep = cfg.Export, time.Duration(cfg.KeepDays)*24*time.Hour
	p.ScrubEvery, p.ScrubRate = time.Duration(cfg.Scrub.EveryHours)*time.Hour, cfg.Scrub.KibibytesPerSecond<<10
	for i, c := range cfg.Cosigners {
		public, err := ReadPublic(c.Public, Cosigner)
		if err != nil {
			return p, fmt.Errorf("cosigners[%d]: %w", i, err)
		}
		p.Cosigners = append(p.Cosigners, ledger.TrustedCosigner{Key: public.NoteKey, Cosigner: ledger.NewHTTPCosigner(c.URL, nil)})
	}
	return p, nil
}

// OpenLedger opens the office that orders entries. Its chain was founded before ([Found]).
func OpenLedger(cfg LedgerConfig, o Options) (*Service, error) {
	s, err := newService("ledger", cfg.Listen, o)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return opened(s, s.openLedger(cfg, o))
}

func (s *Service) openLedger(cfg LedgerConfig, o Options) error {
	secrets, err := openSecrets(cfg.Secrets, o.Passphrase)
	if err != nil {
		return err
	}
	k, err := readChainKeys(secrets)
	if err != nil {
		return err
	}
	parts, err := cfg.parts(k, o)
	if err != nil {
		return err
	}
	log, closeLog, err := parts.Open()
	if err != nil {
		return err
	}
	s.closers = append(s.closers, closeLog)
	handler := log.Handler()
	if cfg.Explorer != "" {
		handler = s.explore(log, handler, parts, k.logVerifier, cfg.Explorer)
	}
	s.handler = s.withAlarms("/readyz", handler)
	s.readiness(func() bool { return log.Ready() == nil })
	s.gauge("bulla_ledger_entries", "Entries in the newest signed checkpoint.", func() float64 { return float64(log.Status().Entries) })
	s.gauge("bulla_ledger_published", "Entries in the published checkpoint, which cosigners signed.", func() float64 { return float64(log.Status().Covered) })
	s.gauge("bulla_ledger_needs_repair", "1 if the scrub found damage.", func() float64 { return one(log.Status().Scrub.NeedsRepair != "") })
	s.work = append(s.work, func(ctx context.Context) error { return watch(ctx, log) })
	return nil
}

// explore puts the explorer beside the ledger. The ledger goes on without one that cannot be opened.
func (s *Service) explore(log *ledger.Log, handler http.Handler, parts LedgerParts, logKey, dir string) http.Handler {
	explorer, err := ExplorerOf(log, handler, parts, logKey, dir)
	if err != nil {
		parts.Logger.Error("the explorer is not served", slog.Any("error", err))
		return handler
	}
	s.closers = append(s.closers, explorer.Close)
	s.work = append(s.work, explorer.Run)
	return explorer.Beside(handler)
}

// watchPause is how long a ledger that stopped by itself may go unnoticed.
const watchPause = 5 * time.Second

// watch ends the process of a ledger that had to stop, so that somebody looks at it: a supervisor that starts it again
// makes it compare store and register. One that is only not ready for a while goes on.
func watch(ctx context.Context, log *ledger.Log) error {
	for {
		if err := log.Ready(); errors.Is(err, ledger.ErrStopped) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPause):
		}
	}
}

// CosignerParts is what a cosigner is put together from.
type CosignerParts struct {
	Store, Register string
	Key             string
	Genesis         credential.Digest
	LedgerURL       string
	Logger          *slog.Logger
}

// Open opens the cosigner. close stops it.
func (p CosignerParts) Open() (c *cosign.Cosigner, close func() error, err error) {
	rows, err := store.Open(store.Config{Dir: p.Store, Logger: p.Logger})
	if err != nil {
		return nil, nil, err
	}
	register, err := store.NewFileRegister(p.Register, nil)
	if err == nil {
		c, err = cosign.New(cosign.Config{Key: p.Key, Genesis: p.Genesis, LedgerURL: p.LedgerURL, Store: rows, Register: register, Logger: p.Logger})
	}
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return c, func() error { c.Close(); return rows.Close() }, nil
}

// OpenCosigner opens an office that replays the chain and cosigns. The ledger need not run yet.
func OpenCosigner(cfg CosignerConfig, o Options) (*Service, error) {
	s, err := newService("cosigner", cfg.Listen, o)
	if err != nil {
		return nil, fmt.Errorf("open cosigner: %w", err)
	}
	return opened(s, s.openCosigner(cfg, o))
}

func (s *Service) openCosigner(cfg CosignerConfig, o Options) error {
	profile, err := client.ReadProfile(cfg.Chain)
	if err != nil {
		return err
	}
	secrets, err := openSecrets(cfg.Secrets, o.Passphrase)
	if err != nil {
		return err
	}
	key, verifier, err := knownNoteKey(secrets, cosignerKey)
	if err != nil {
		return err
	}
	c, closeCosigner, err := CosignerParts{
		Store: cfg.Store, Register: cfg.Register, Key: key, Genesis: profile.Genesis, LedgerURL: profile.Ledger, Logger: o.logger(),
	}.Open()
	if err != nil {
		return err
	}
	s.closers = append(s.closers, closeCosigner)
	s.handler = c.Handler()
	if known := profile.Policy.Cosigners; !contains(known, verifier) {
		o.logger().Warn("the chain's profile does not name this cosigner: nobody who uses it counts this cosignature", slog.String("key", verifier))
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
