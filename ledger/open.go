package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// tail is how many of the last entries are rehashed when a log opens. [VerifyStore] looks at all of them.
const tail = 1024

// DraftGenesis fills in what is left open in the payload of a genesis entry: version, suite, seals every ten seconds to
// ten minutes, a grid of ten minutes, five seconds of clock skew. A dev chain has a seal a second, each on the grid.
func DraftGenesis(g entry.Genesis) entry.Genesis {
	g.Version, g.Suite = 1, entry.Suite
	interval, grid := 10, 600
	if g.Dev {
		interval, grid = 1, 0
	}
	if g.SealIntervalSeconds == 0 {
		g.SealIntervalSeconds = interval
	}
	if g.GridSeconds == 0 {
		g.GridSeconds = grid
	}
	if g.SealMaximumSeconds == 0 {
		g.SealMaximumSeconds = 600
	}
	if g.ClockSkewSeconds == 0 {
		g.ClockSkewSeconds = 5
	}
	if g.VerifyingKeys == nil {
		g.VerifyingKeys = []entry.VerifyingKey{}
	}
	return g
}

// Found begins a chain with a signed genesis entry, in an empty store and register. Begun before and interrupted, it
// goes on; a chain that is there is left as it is.
func Found(cfg Config, genesis []byte) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	m, err := NewMachine(cfg.Store)
	if err != nil {
		return err
	}
	result, err := m.Apply(genesis)
	again := errors.Is(err, ErrAlreadyLogged)
	if err != nil && !again {
		return fmt.Errorf("found the chain: %w", err)
	}
	if again && result.Digest != credential.DigestOf(genesis) {
		return fmt.Errorf("found the chain: %w", refuse(ErrConflict, "it has another genesis entry"))
	}
	if again && m.Size() > 1 {
		return nil // running: nothing of this is ours to repair
	}
	l, err := newLog(cfg, m)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	if last, err := cfg.Register.Read(); err == nil {
		l.head.checkpoint, err = parseCheckpoint(last, l.genesis.Origin, l.verifier)
		if err != nil {
			return fmt.Errorf("found the chain: the register is not empty: %w", err)
		}
	} else if !errors.Is(err, ErrAbsent) {
		return fmt.Errorf("found the chain: %w", err)
	}
	first, err := l.changes(false)
	if err != nil {
		return fmt.Errorf("found the chain: %w", err)
	}
	if again {
		return l.sign(first)
	}
	if l.head.size > 0 {
		return errors.New("found the chain: the register holds a signed checkpoint already: put its store back instead")
	}
	return l.commit(first)
}

// Open takes up a chain: it compares the store with the register, repairs nothing, signs what is durable and not signed
// yet, and starts the sequencer. It refuses a store that does not reach the register or has another tree, because going
// on would sign a second history. Outside dev chains signing waits, and the sequencer with it, until enough cosigners have
// said what they signed; the log is open meanwhile, for those who read, and [Log.Ready] says so.
func Open(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := NewMachine(cfg.Store)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", advise(err))
	}
	if m.Size() == 0 {
		return nil, fmt.Errorf("open ledger: %w", errNoChain(cfg.Register))
	}
	l, err := newLog(cfg, m)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", advise(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wait.Go(func() { l.begin(ctx) })
	l.wait.Go(func() { l.publish(ctx) })
	l.wait.Go(func() { l.scrubs(ctx) })
	l.wait.Go(func() { l.exports(ctx) })
	return l, nil
}

// errNoChain tells an empty store that is new from one that lost everything.
func errNoChain(r Register) error {
	if _, err := r.Read(); errors.Is(err, ErrAbsent) {
		return errors.New("the store is empty: found the chain first")
	}
	return advise(errors.New("the store is empty, but the register holds a signed checkpoint"))
}

const repairAdvice = "Repair the store with `bulla ledger repair`, or make a new one with `bulla ledger rebuild`, --from a mirror if entries are damaged, or restore " +
	"a backup that is newer; check it with `bulla ledger verify`, and start again. Do not delete the register"

// registerError is about the register, not the store.
type registerError struct{ error }

func (e registerError) Error() string {
	return e.error.Error() + ". Put it back; if it is lost, write the newest checkpoint that cosigners or mirrors have seen in its place"
}

func (e registerError) Unwrap() error { return e.error }

// advise adds what to do to an error that keeps a log from opening.
func advise(err error) error {
	var register registerError
	var format *FormatError
	if errors.As(err, &register) || errors.As(err, &format) { // they say it themselves
		return err
	}
	return fmt.Errorf("%w. %s", err, repairAdvice)
}

// newLog checks that the keys are the chain's. It starts nothing.
func newLog(cfg Config, m *Machine) (*Log, error) {
	g, _ := m.Genesis()
	verifier, err := note.NewVerifier(g.LogKey)
	if err != nil {
		return nil, fmt.Errorf("log key of the chain: %w", err)
	}
	switch {
	case cfg.LogSigner.Name() != verifier.Name() || cfg.LogSigner.KeyHash() != verifier.KeyHash():
		return nil, errors.New("the log key is not the one that genesis names")
	case cfg.Operator.Public() != g.OperatorKey:
		return nil, errors.New("the operator key is not the one that genesis names")
	case cfg.Threshold == 0 && !g.Dev:
		return nil, errors.New("no cosigners: only dev chains run without")
	}
	c, err := newCosigners(cfg.Cosigners, cfg.Threshold, verifier)
	if err != nil {
		return nil, err
	}
	if !g.Dev {
		c.hearings.need = quorum(len(c.list), c.threshold)
	}
	l := &Log{
		cfg: cfg, genesis: g, verifier: verifier, cosigners: c, machine: m,
		submissions: make(chan submission, cfg.MaxPending), applied: make(chan *applied), written: make(chan error, 1), sealed: make(chan struct{}, 1),
		stopped: make(chan struct{}), changed: make(chan struct{}), cancel: func() {},
	}
	l.recent.rows = cfg.Store
	l.registry.Store(m.Registry())
	return l, nil
}

// recover compares store, register and cosigners, and takes up signing where it ended if nothing speaks against it.
func (l *Log) recover() error {
	signed, err := l.readRegister()
	if err != nil {
		return registerError{err}
	}
	size := l.machine.Size()
	if size < signed.size {
		return fmt.Errorf("the store has %d entries, but %d are signed: entries are lost", size, signed.size)
	}
	root, err := RootAt(l.cfg.Store, signed.size)
	if err != nil {
		return err
	}
	if root != signed.root {
		return fmt.Errorf("the store's first %d entries are not those that were signed", signed.size)
	}
	if root, err = l.machine.Root(); err != nil {
		return err
	}
	if err := readBack(l.cfg.Store, size-min(size, tail), size, root); err != nil {
		return err
	}
	if err := checkRows(l.cfg.Store, l.machine); err != nil {
		return err
	}
	if err := clearMark(l.cfg.Store, size, root, l.cfg.Logger); err != nil {
		return err
	}
	if err := l.hear(context.Background(), signed); err != nil {
		return err
	}
	l.head = head{checkpoint: signed}
	if err := l.recoverPublished(); err != nil {
		return err
	}
	if l.cosigners.hearings.missing() > 0 {
		return nil
	}
	return l.resume()
}

// resume signs what is durable and not signed yet, and publishes a seal that is not published yet.
func (l *Log) resume() error {
	seal, _ := l.machine.Sealed()
	taken, err := l.changes(seal.Index > 0 && (!l.published.sealed || seal.Index > l.published.seal))
	if err != nil {
		return err
	}
	return l.sign(taken)
}

// readRegister reads the checkpoint that was signed last.
func (l *Log) readRegister() (checkpoint, error) {
	last, err := l.cfg.Register.Read()
	if errors.Is(err, ErrAbsent) {
		return checkpoint{}, errors.New("the register of the last signed checkpoint is missing")
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("read the register: %w", err)
	}
	signed, err := parseCheckpoint(last, l.genesis.Origin, l.verifier)
	if err != nil {
		return checkpoint{}, fmt.Errorf("the register does not hold a checkpoint of this log: %w", err)
	}
	return signed, nil
}

// recoverPublished loads the checkpoint that was served last.
func (l *Log) recoverPublished() error {
	text, err := l.cfg.Store.Get([]byte(rowCheckpoint))
	if errors.Is(err, ErrAbsent) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the published checkpoint: %w", err)
	}
	published, err := parseCheckpoint(text, l.genesis.Origin, l.verifier)
	if err != nil {
		return fmt.Errorf("the published checkpoint in the store: %w", err)
	}
	root, err := RootAt(l.cfg.Store, published.size)
	if err != nil || root != published.root || published.size > l.head.size {
		return fmt.Errorf("the published checkpoint in the store is not of this log: %w", errors.Join(err, errDamaged))
	}
	seal, err := lastSeal(l.cfg.Store, published.size)
	if err != nil {
		return err
	}
	l.published = head{checkpoint: published, seal: seal, sealed: seal > 0}
	return nil
}

// lastSeal finds the last seal among the first size entries; 0 is none.
func lastSeal(r Reader, size uint64) (uint64, error) {
	for index := size - 1; index > 0; index-- {
		raw, err := readEntry(r, index)
		if err != nil {
			return 0, err
		}
		e, err := entry.Parse(raw)
		if err != nil {
			return 0, fmt.Errorf("entry %d in the store: %w", index, err)
		}
		if e.Header().Kind == entry.KindSeal {
			return index, nil
		}
	}
	return 0, nil
}

// readBack rehashes entries [from, size) of the store and compares them with the stored hashes and the root that they
// must have.
func readBack(r Reader, from, size uint64, root tlog.Hash) error {
	for index := from; index < size; index++ {
		raw, err := readEntry(r, index)
		if err != nil {
			return err
		}
		stored, err := hashReader{r}.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
		if err != nil {
			return err
		}
		if tlog.RecordHash(raw) != stored[0] {
			return fmt.Errorf("entry %d does not have its stored hash: %w", index, errDamaged)
		}
	}
	got, err := RootAt(r, size)
	if err != nil {
		return err
	}
	if got != root {
		return fmt.Errorf("the root of %d entries is %v, want %v: %w", size, got, root, errDamaged)
	}
	return nil
}
