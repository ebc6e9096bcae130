package office

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/ceremony"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// GenesisDraft is what people decide about a new chain. Zero durations mean the defaults of [ledger.DraftGenesis].
type GenesisDraft struct {
	Network   string
	Dev       bool     // development keys are allowed, and everybody says so
	Ledger    Public   // names the checkpoints' origin
	Members   []Public // of governance
	Threshold int      // how many of them sign
	Keys      []entry.VerifyingKey
	Interval  time.Duration // at most one seal in it
	Maximum   time.Duration // at least one seal in it
	Grid      time.Duration
	Now       time.Time
}

// Genesis is the draft as a proposal.
func Genesis(d GenesisDraft) (Proposal, error) {
	if d.Ledger.Role != Ledger || d.Ledger.Key == nil {
		return Proposal{}, errors.New("draft genesis: the public part of the ledger is missing")
	}
	g := entry.Genesis{
		Network: d.Network, Dev: d.Dev, Origin: d.Ledger.Name, LogKey: d.Ledger.NoteKey, OperatorKey: *d.Ledger.Key,
		GovernanceThreshold: d.Threshold, VerifyingKeys: d.Keys, Time: credential.UnixTimeOf(d.Now),
	}
	for _, m := range d.Members {
		if m.Role != Member || m.Key == nil {
			return Proposal{}, fmt.Errorf("draft genesis: %s is of the role %s, want %s", m.Name, m.Role, Member)
		}
		g.GovernanceKeys = append(g.GovernanceKeys, *m.Key)
	}
	for _, s := range []struct {
		name   string
		wanted time.Duration
		member *int
	}{{"seal interval", d.Interval, &g.SealIntervalSeconds}, {"longest time between seals", d.Maximum, &g.SealMaximumSeconds}, {"grid", d.Grid, &g.GridSeconds}} {
		if s.wanted < 0 || s.wanted%time.Second != 0 {
			return Proposal{}, fmt.Errorf("draft genesis: the %s is %s, want whole seconds", s.name, s.wanted)
		}
		*s.member = int(s.wanted / time.Second)
	}
	for _, name := range []string{circuits.Presentation, circuits.Enrolment} {
		if !lists(d.Keys, name) {
			return Proposal{}, fmt.Errorf("draft genesis: there is no verifying key of %s: nothing could be proven", name)
		}
	}
	return Propose(credential.Digest{}, 0, ledger.DraftGenesis(g))
}

func lists(keys []entry.VerifyingKey, circuit string) bool {
	for _, k := range keys {
		if k.Circuit == circuit {
			return true
		}
	}
	return false
}

// VerifyCeremony recomputes a finished ceremony from its folder, in minutes, and returns the digest of its transcript.
func VerifyCeremony(ctx context.Context, dir string, progress func(stage string)) (credential.Digest, error) {
	c, err := ceremony.Open(dir, progress)
	if err != nil {
		return credential.Digest{}, fmt.Errorf("ceremony in %s: %w", dir, err)
	}
	if t := c.Transcript(); !t.Finished() {
		return credential.Digest{}, fmt.Errorf("the ceremony in %s is not finished: it has no keys yet", dir)
	}
	report, err := c.Verify(ctx)
	if err != nil {
		return credential.Digest{}, fmt.Errorf("ceremony in %s: %w", dir, err)
	}
	return report.Transcript, nil
}

// CeremonyKeys are the verifying keys of a finished ceremony as the chain lists them. transcript is the digest that
// [VerifyCeremony] returned for it.
func CeremonyKeys(dir string, transcript credential.Digest, notAfter time.Time) ([]entry.VerifyingKey, error) {
	set, err := ceremony.Keys(dir)
	if err != nil {
		return nil, err
	}
	if set.Transcript() != transcript || transcript.IsZero() {
		return nil, fmt.Errorf("the transcript in %s is %s, verified was %s: somebody writes to the folder", dir, set.Transcript(), transcript)
	}
	return listed(set, transcript, notAfter)
}

// DevelopmentKeys are development keys as a dev chain lists them.
func DevelopmentKeys(dir string, notAfter time.Time) ([]entry.VerifyingKey, error) {
	set, err := setup.Load(dir)
	if err != nil {
		return nil, err
	}
	return listed(set, credential.Digest{}, notAfter)
}

// keySet is the verifying keys of some circuits.
type keySet interface {
	Circuits() []string
	VerifyingKey(circuit string) (*keys.VerifyingKey, error)
}

// listed are all keys of the set.
func listed(set keySet, transcript credential.Digest, notAfter time.Time) (list []entry.VerifyingKey, err error) {
	for _, name := range set.Circuits() {
		key, err := set.VerifyingKey(name)
		if err != nil {
			return nil, err
		}
		list = append(list, entry.VerifyingKey{
			Circuit: name, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), Transcript: transcript, NotAfter: credential.UnixTimeOf(notAfter),
		})
	}
	return list, nil
}

// Found begins the chain of a signed genesis on the ledger's own keys, in a store and register that are not there yet.
func Found(cfg LedgerConfig, genesis *entry.Entry, o Options) error {
	g, err := checkGenesis(genesis)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	for _, path := range []string{cfg.Store, cfg.Register} {
		if err := vacant(path); err != nil {
			return fmt.Errorf("found the chain: %w", err)
		}
	}
	secrets, err := openSecrets(cfg.Secrets, o.Passphrase)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	k, err := readChainKeys(secrets)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	switch {
	case k.logVerifier != g.LogKey:
		return fmt.Errorf("found the chain: genesis names the log key %s, the key store has %s", g.LogKey, k.logVerifier)
	case k.operator.Public() != g.OperatorKey:
		return fmt.Errorf("found the chain: genesis names the operator key %s, the key store has %s", g.OperatorKey.KeyID(), k.operator.Public().KeyID())
	}
	parts, err := cfg.parts(k, o)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	return parts.Found(genesis.Bytes())
}

// vacant refuses what is there already, but for an empty folder, as of a new disk.
func vacant(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("%s is there already. A chain that runs is not founded again; if founding it was interrupted, nothing was published yet: "+
		"remove store and register, and found it again", path)
}

// checkGenesis runs a genesis entry through a state machine of its own: signatures, threshold, form.
func checkGenesis(e *entry.Entry) (entry.Genesis, error) {
	if e.Header().Kind != entry.KindGenesis {
		return entry.Genesis{}, fmt.Errorf("the entry is of the kind %s, want %s", e.Header().Kind, entry.KindGenesis)
	}
	machine, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		return entry.Genesis{}, err
	}
	if _, err := machine.Apply(e.Bytes()); err != nil {
		return entry.Genesis{}, err
	}
	g, _ := machine.Genesis()
	return g, nil
}

// NewProfile is how a chain is made known: its genesis, where to read it, and the cosigners of whom threshold must have
// signed. It is checked as each client will check it.
func NewProfile(genesis *entry.Entry, url string, cosigners []Public, threshold int) (client.Profile, error) {
	g, err := checkGenesis(genesis)
	if err != nil {
		return client.Profile{}, fmt.Errorf("profile: genesis: %w", err)
	}
	p := client.Profile{Ledger: url, Genesis: genesis.Digest(), Policy: client.Policy{LogKey: g.LogKey, Cosigners: []string{}, Threshold: threshold}}
	for _, c := range cosigners {
		if c.Role != Cosigner {
			return p, fmt.Errorf("profile: %s is of the role %s, want %s", c.Name, c.Role, Cosigner)
		}
		p.Policy.Cosigners = append(p.Policy.Cosigners, c.NoteKey)
	}
	if threshold < 1 && !g.Dev {
		return p, errors.New("profile: at least one cosigner must have signed: the operator alone could seal what it likes")
	}
	if _, err := client.New(p.Config()); err != nil {
		return p, fmt.Errorf("profile: %w", err)
	}
	return p, nil
}

// WriteProfile writes a profile to a file.
func WriteProfile(path string, p client.Profile) error { return writeJSON(path, p) }

// chainKeys are the keys of a ledger.
type chainKeys struct {
	log         note.Signer
	logVerifier string
	operator    *jose.SigningKey
}
