package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Store keeps the rows. Whoever can change it can make us refuse to start; what is published was read back and compared
// with what was signed.
type Store interface {
	Reader
	// Commit writes all rows or none and returns nil only when they are durable; a nil value removes its row. After an
	// error it is open which of the two happened, and the ledger stops.
	Commit(rows map[string][]byte) error
	// Each visits the rows whose keys begin with prefix, ascending, until visit returns an error.
	Each(prefix []byte, visit func(key, value []byte) error) error
}

// Register keeps the last signed checkpoint, outside the store, so that a store that was put back to yesterday is
// noticed. Whoever can change register and store together can make us sign a second tree; only cosigners prevent that.
type Register interface {
	// Read returns the content, or an error that is [ErrAbsent].
	Read() ([]byte, error)
	// Swap replaces the content if it is old (nil: absent), durably, or changes nothing.
	Swap(old, content []byte) error
}

// Config is what a log needs. Zero values of limits mean the defaults.
type Config struct {
	Store     Store
	Register  Register
	LogSigner note.Signer      // signs checkpoints; its verifier key stands in genesis
	Operator  *jose.SigningKey // signs seals; its public key stands in genesis
	Cosigners []TrustedCosigner
	Threshold int // how many cosignatures a published checkpoint needs; 0 without cosigners, on dev chains only
	Logger    *slog.Logger
	Now       func() time.Time

	MaxPending int           // submissions waiting; 1,024
	MaxBatch   int           // entries in one commit; 512
	RetryAfter time.Duration // between attempts to collect cosignatures; 2 s
	// KeepVersions is how long tiles and documents of older seals can be read after the next seal was published. The
	// default, 8 days, is longer than any policy's freshness. Less than 0: for ever.
	KeepVersions time.Duration
	ExportDir    string        // folder that gets the static part after each published checkpoint ([Static.Export]); empty: none
	ScrubEvery   time.Duration // from the start of one pass to the next; 24 h, less than 0: never
	ScrubRate    int           // bytes a second that the scrub reads; 1 MiB
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Store == nil || cfg.Register == nil || cfg.LogSigner == nil || cfg.Operator == nil {
		return cfg, errors.New("ledger needs store, register, log key and operator key")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 1024
	}
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = 512
	}
	if cfg.RetryAfter <= 0 {
		cfg.RetryAfter = 2 * time.Second
	}
	if cfg.KeepVersions == 0 {
		cfg.KeepVersions = 8 * 24 * time.Hour
	}
	if cfg.ScrubEvery == 0 {
		cfg.ScrubEvery = 24 * time.Hour
	}
	if cfg.ScrubRate <= 0 {
		cfg.ScrubRate = 1 << 20
	}
	return cfg, nil
}

var (
	// ErrBusy is returned when too many submissions wait. Try again after a second.
	ErrBusy = errors.New("too many entries are waiting")
	// ErrStopped is returned when the log was closed or had to stop. It is open whether the entry is in the log:
	// submit the same entry again once the ledger runs.
	ErrStopped = errors.New("the ledger has stopped")
)

// Log is the embedded sequencer: it orders entries, makes them durable, signs and publishes checkpoints, and seals. It
// is safe for concurrent use.
//
// For each batch, in this order: apply in memory, commit with Sync, read back and rehash, sign, write the register,
// publish. While one batch is being written, the next is applied; what arrives meanwhile is the one after it. Crashes leave:
//
//	before the commit is durable     nothing happened
//	after it, before the register    entries are there; opening signs them
//	after the register               opening serves the register's checkpoint, never another one of that size
type Log struct {
	cfg       Config
	genesis   entry.Genesis
	verifier  note.Verifier
	cosigners *cosigners
	machine   *Machine // owned by run after Open
	versions  versions // owned by writeAll after Open

	recent      recent                         // hashes for receipts
	registry    atomic.Pointer[entry.Registry] // as of the last commit; written by writeAll
	submissions chan submission
	applied     chan *applied // from run to writeAll
	written     chan error    // and back, one for each
	sealed      chan struct{} // room for one: there is a seal to publish
	cancel      context.CancelFunc
	stopped     chan struct{}
	wait        sync.WaitGroup

	mu        sync.Mutex
	head      head          // written by writeAll
	published head          // written by publish
	unpublish head          // the newest checkpoint with a seal, to be published; written by writeAll
	changed   chan struct{} // closed and replaced when head or published change
	broken    error         // why the log stopped by itself
	clock     clock         // written by run
	scrub     ScrubStatus   // written by scrubs
}

// head is a signed checkpoint with the last seal in its tree.
type head struct {
	checkpoint
	seal   uint64 // log index; 0: none
	sealed bool
}

// submission is an entry on its way through the sequencer.
type submission struct {
	entry  *Prepared
	answer chan answer // room for one
}

type answer struct {
	result Result
	err    error
}

// SubmitPrepared is [Log.Submit] for an entry that this log has prepared.
func (l *Log) SubmitPrepared(ctx context.Context, p *Prepared) (entry.Receipt, error) {
	s := submission{p, make(chan answer, 1)}
	select {
	case <-l.stopped:
		return entry.Receipt{}, l.stopError()
	default:
	}
	select {
	case l.submissions <- s:
	default:
		return entry.Receipt{}, ErrBusy
	}
	select {
	case a := <-s.answer:
		return l.answered(a)
	case <-l.stopped:
		select { // it may have been answered in the last moment
		case a := <-s.answer:
			return l.answered(a)
		default:
			return entry.Receipt{}, l.stopError()
		}
	case <-ctx.Done():
		return entry.Receipt{}, ctx.Err()
	}
}

func (l *Log) answered(a answer) (entry.Receipt, error) {
	if a.err != nil && !errors.Is(a.err, ErrAlreadyLogged) {
		return entry.Receipt{}, a.err
	}
	receipt, err := l.receipt(a.result)
	return receipt, errors.Join(a.err, err)
}

func (l *Log) stopError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return fmt.Errorf("%w: %w", ErrStopped, l.broken)
	}
	return ErrStopped
}

// Close stops the sequencer after the batch that it is writing. The store stays open: it is the caller's.
func (l *Log) Close() error {
	l.cancel()
	l.wait.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// fail stops the log for good. A restart checks everything.
func (l *Log) fail(err error) {
	l.mu.Lock()
	if l.broken == nil {
		l.broken = err
	}
	l.mu.Unlock()
	l.cfg.Logger.Error("ledger stops", slog.Any("error", err))
	l.cancel()
}

// run is the sequencer. It owns the machine. One batch at most is on its way to the disk while it applies the next.
func (l *Log) run(ctx context.Context) {
	defer close(l.stopped)
	l.wait.Go(l.writeAll)
	var writing *applied
	defer func() {
		close(l.applied)
		if writing != nil {
			<-l.written
		}
	}()
	timer := time.NewTimer(l.untilSeal())
	defer timer.Stop()
	for {
		var batch []submission
		select {
		case <-ctx.Done():
			return
		case err := <-l.written:
			if !l.wrote(&writing, err) {
				return
			}
			continue
		case s := <-l.submissions:
			batch = l.gather(s)
		case <-timer.C:
		}
		next, err := l.apply(batch)
		if err != nil {
			l.fail(err)
			return
		}
		if writing != nil && !l.wrote(&writing, <-l.written) {
			return
		}
		l.applied <- next
		writing = next
		timer.Reset(l.untilSeal())
	}
}

// wrote ends the writing of a batch, and tells whether it is on the disk.
func (l *Log) wrote(writing **applied, err error) bool {
	if err == nil && len((*writing).rows) > 0 {
		l.machine.Committed()
	}
	*writing = nil
	return err == nil
}

// writeAll writes batches in the order in which they were applied, until there are no more or one fails.
func (l *Log) writeAll() {
	for next := range l.applied {
		err := l.write(next)
		if err != nil {
			l.fail(err)
		}
		l.written <- err
	}
}

// maxBatchLeaves ends a batch early: a leaf costs some 40 µs, and everybody in the batch waits for all of it.
const maxBatchLeaves = 8000

// gather takes what waits, without waiting for more: under load the last batch's sync is the wait.
func (l *Log) gather(first submission) []submission {
	batch, leaves := []submission{first}, first.entry.size()
	for len(batch) < l.cfg.MaxBatch && leaves < maxBatchLeaves {
		select {
		case s := <-l.submissions:
			batch, leaves = append(batch, s), leaves+s.entry.size()
		default:
			return batch
		}
	}
	return batch
}

// applied is a batch that the machine took, with all that is needed to write it while the machine goes on.
type applied struct {
	batch    []submission
	answers  []answer
	rows     map[string][]byte // empty: nothing changed
	hashes   []tlog.Hash       // of the log tree, as stored
	size     uint64
	root     tlog.Hash
	registry *entry.Registry
	seal     uint64 // log index of the last seal
	sealed   bool   // by this batch
}

// apply takes a batch in memory, with a seal behind it if one is due. An error means that the log must stop.
func (l *Log) apply(batch []submission) (*applied, error) {
	answers := make([]answer, len(batch))
	for i, s := range batch {
		a := &answers[i]
		a.result, a.err = l.machine.apply(s.entry)
		if refusal := (*Refusal)(nil); a.err != nil && !errors.As(a.err, &refusal) {
			return nil, fmt.Errorf("apply an entry: %w", a.err)
		}
	}
	sealed, err := l.sealIfDue()
	if err != nil {
		return nil, err
	}
	next, err := l.changes(sealed)
	if err != nil {
		return nil, err
	}
	next.batch, next.answers = batch, answers
	return next, nil
}

// changes hands over what the machine changed.
func (l *Log) changes(sealed bool) (*applied, error) {
	root, err := l.machine.Root()
	if err != nil {
		return nil, err
	}
	last, _ := l.machine.Sealed()
	next := &applied{
		hashes: l.machine.hashes, size: l.machine.Size(), root: root, registry: l.machine.Registry(), seal: last.Index, sealed: sealed,
	}
	next.rows, err = l.machine.Changes()
	return next, err
}

// write takes a batch to the disk and to its submitters. An error means that the log must stop.
func (l *Log) write(next *applied) error {
	if len(next.rows) > 0 {
		if err := l.commit(next); err != nil {
			return err
		}
	}
	for i, s := range next.batch {
		s.answer <- next.answers[i]
	}
	return l.prune()
}

// commit makes a batch durable and signs its tree.
func (l *Log) commit(next *applied) error {
	from := l.head.size
	if err := l.cfg.Store.Commit(next.rows); err != nil {
		return fmt.Errorf("commit entries %d to %d: %w", from, next.size-1, err)
	}
	l.registry.Store(next.registry)
	if err := readBack(l.cfg.Store, from, next.size, next.root); err != nil {
		return fmt.Errorf("read back entries %d to %d: %w", from, next.size-1, err)
	}
	l.recent.add(from, next.hashes)
	return l.sign(next)
}

// sign signs the tree of a batch that is durable and was read back, and makes it the head. It never signs two trees of one
// size, nor a smaller after a larger.
func (l *Log) sign(next *applied) (err error) {
	signed := head{seal: next.seal, sealed: next.seal > 0}
	switch {
	case next.size < l.head.size:
		return fmt.Errorf("the tree has %d entries, but %d are signed", next.size, l.head.size)
	case next.size == l.head.size && next.root != l.head.root:
		return fmt.Errorf("two trees of %d entries", next.size)
	case next.size == l.head.size:
		signed.checkpoint = l.head.checkpoint
	default:
		if signed.checkpoint, err = newCheckpoint(l.genesis.Origin, next.size, next.root, l.cfg.LogSigner); err != nil {
			return err
		}
		if err := l.cfg.Register.Swap(l.head.note, signed.note); err != nil {
			return fmt.Errorf("write the register of the last signed checkpoint: %w", err)
		}
	}
	l.mu.Lock()
	l.head = signed
	if next.sealed {
		l.unpublish = signed
	}
	l.notify()
	l.mu.Unlock()
	if next.sealed {
		select {
		case l.sealed <- struct{}{}:
		default:
		}
	}
	return nil
}

// notify wakes who waits for a receipt. The caller holds mu.
func (l *Log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}
