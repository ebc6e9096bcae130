// Package mirror keeps a copy of a chain and believes nobody: it checks every checkpoint against its policy and against
// the last one it saw, replays every entry through the state machine, and serves the same static paths as the ledger.
//
// It raises the alarm when the log signs two histories, logs an entry that breaks the rules, or stops sealing: on its
// log, at /readyz and /status, and by a file of evidence that convinces anybody who has the log's key
// ([client.CheckEvidence]). After a fork it goes on serving what it had, and follows no further.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

// Config is what a mirror needs. Zero values mean the defaults.
type Config struct {
	Profile    client.Profile // the chain, where to read it, whose signatures to believe
	Store      ledger.Store   // of its own
	Memory     client.Memory  // the last checkpoint seen, apart from the store
	Evidence   string         // folder for evidence
	Export     string         // folder that gets the static part after each checkpoint; empty: none
	Every      time.Duration  // between two looks; 5 s
	StallAfter time.Duration  // how old the newest seal may be; a minute more than twice the chain's longest pause
	Keep       time.Duration  // versions of the active tree; 8 days, less than 0: for ever
	HTTPClient *http.Client
	Limits     client.Limits
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: slog.Default
}

// Alarm is what is wrong with the log.
type Alarm string

// The alarms. A fork and a broken rule are for good.
const (
	Fine    Alarm = ""
	Stalled Alarm = "stalled" // no new seal, or the log does not answer
	Fork    Alarm = "fork"    // two histories were signed
	Rule    Alarm = "rule"    // an entry is signed into the log that breaks the rules
)

// Status is how mirror and log are doing.
type Status struct {
	Alarm    Alarm  `json:"alarm"`
	Detail   string `json:"detail,omitempty"`
	Evidence string `json:"evidence,omitempty"` // file
	Entries  uint64 `json:"entries"`            // replayed and served
	LastSeal string `json:"last_seal,omitempty"`
	AgeSecs  int64  `json:"last_seal_age_seconds"`
	Synced   string `json:"synced,omitempty"`  // when the log was last looked at without an error
	Problem  string `json:"problem,omitempty"` // of the last look
}

// Mirror follows one chain. Run it, and serve its Handler.
type Mirror struct {
	cfg      Config
	chain    *client.Client
	log      *client.Log
	follower *ledger.Follower

	mu     sync.Mutex
	status Status
}

// New opens a mirror. It does not reach out.
func New(cfg Config) (*Mirror, error) {
	if cfg.Store == nil || cfg.Memory == nil || cfg.Evidence == "" {
		return nil, errors.New("mirror needs store, memory and a folder for evidence")
	}
	if cfg.Every <= 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.Keep == 0 {
		cfg.Keep = 8 * 24 * time.Hour
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	m := &Mirror{cfg: cfg}
	reader := cfg.Profile.Config()
	reader.Memory, reader.Clock, reader.HTTPClient, reader.Limits = cfg.Memory, cfg.Clock, cfg.HTTPClient, cfg.Limits
	var err error
	if m.chain, err = client.New(reader); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	if m.log, err = client.NewLog(cfg.Profile.Ledger, cfg.HTTPClient, nil, cfg.Limits); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	follow := ledger.FollowerConfig{Store: cfg.Store, Genesis: cfg.Profile.Genesis, Keep: cfg.Keep}
	if m.follower, err = ledger.NewFollower(follow); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	m.look()
	return m, nil
}

// Run follows the log until ctx ends.
func (m *Mirror) Run(ctx context.Context) {
	for {
		if err := m.Sync(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.WarnContext(ctx, "mirror", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.cfg.Every):
		}
	}
}

// Sync looks once: it replays what is new, and sets the status. The error says why it could not.
func (m *Mirror) Sync(ctx context.Context) error {
	if a := m.Status().Alarm; a == Fork || a == Rule {
		return fmt.Errorf("the log is not followed any further: %s", m.Status().Detail)
	}
	err := m.sync(ctx)
	var fork *client.ForkError
	var broken *ledger.EntryError
	switch {
	case errors.As(err, &fork) && errors.Is(err, client.ErrFork):
		m.raise(ctx, Fork, "the log has signed two histories", m.proveFork(ctx, fork))
	case errors.As(err, &broken):
		m.raise(ctx, Rule, broken.Error(), m.keepEntry(ctx, broken))
	case errors.Is(err, ledger.ErrOtherTree):
		m.raise(ctx, Fork, err.Error(), m.proveOther(ctx))
	}
	m.look()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Problem = ""
	if err != nil {
		m.status.Problem = err.Error()
	} else {
		m.status.Synced = m.cfg.Clock().UTC().Format(time.RFC3339)
	}
	return err
}

func (m *Mirror) sync(ctx context.Context) error {
	v, err := m.chain.Update(ctx)
	if err != nil {
		return err
	}
	checkpoint := v.Checkpoint
	if head := m.follower.Head(); head == nil || head.Size < checkpoint.Size {
		next := ledger.Followed{Checkpoint: checkpoint.Text, Size: checkpoint.Size, Root: checkpoint.Tree().Hash}
		read := func(ctx context.Context, index uint64) ([]byte, error) {
			return m.log.Entry(ctx, checkpoint.Tree(), index)
		}
		if err := m.follower.Follow(ctx, next, read); err != nil {
			return err
		}
	}
	if m.cfg.Export != "" {
		_, err = m.follower.Static(m.cfg.Logger).Export(ctx, m.cfg.Export, m.cfg.Clock())
	}
	return err
}

// look compares the newest seal with the clock.
func (m *Mirror) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, seals := m.follower.Machine().Sealed()
	genesis, _ := m.follower.Machine().Genesis()
	if head := m.follower.Head(); head != nil {
		m.status.Entries = head.Size
	}
	if seals == 0 {
		m.stalled(true, "no seal was seen yet")
		return
	}
	age := m.cfg.Clock().Sub(last.Time.Time())
	m.status.LastSeal, m.status.AgeSecs = last.Time.String(), int64(age/time.Second)
	limit := m.cfg.StallAfter
	if limit <= 0 {
		limit = time.Minute + 2*time.Duration(genesis.SealMaximumSeconds)*time.Second
	}
	m.stalled(age > limit, fmt.Sprintf("the newest seal that can be had is %s old", age.Round(time.Second)))
}

// stalled raises or ends the alarm that passes. The caller holds mu.
func (m *Mirror) stalled(now bool, detail string) {
	switch {
	case now && m.status.Alarm == Fine:
		m.status.Alarm, m.status.Detail = Stalled, detail
		m.cfg.Logger.Error("ALARM: the log is stalled", slog.String("detail", detail))
	case now && m.status.Alarm == Stalled:
		m.status.Detail = detail
	case !now && m.status.Alarm == Stalled:
		m.status.Alarm, m.status.Detail = Fine, ""
		m.cfg.Logger.Info("the log seals again")
	}
}

// raise sets an alarm that stays.
func (m *Mirror) raise(ctx context.Context, a Alarm, detail string, file string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Alarm, m.status.Detail, m.status.Evidence = a, detail, file
	m.cfg.Logger.ErrorContext(ctx, "ALARM: the log must not be trusted any more", slog.String("alarm", string(a)), slog.String("detail", detail), slog.String("evidence", file))
}

// Status is how mirror and log are doing, by the clock as of now.
func (m *Mirror) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// keep writes evidence to a file of its own. What cannot be written goes to the log.
func (m *Mirror) keep(kind string, data []byte, err error) string {
	path := filepath.Join(m.cfg.Evidence, fmt.Sprintf("%s-%s.json", kind, credential.DigestOf(data).String()[:16]))
	if err == nil {
		if err = os.MkdirAll(m.cfg.Evidence, 0o755); err == nil {
			err = client.File(path).Save(data)
		}
	}
	if err != nil {
		m.cfg.Logger.Error("evidence could not be kept", slog.Any("error", err), slog.String("evidence", string(data)))
		return ""
	}
	return path
}
