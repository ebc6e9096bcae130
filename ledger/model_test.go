package ledger_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// model is what the chain is about, in ten lines: who may act, and what became of each leaf.
type model struct {
	suspended [2]bool
	quota     [2]int
	owner     []int  // of each leaf
	status    []byte // 'a'ctive, 's'uspended, 'r'evoked
}

func (m *model) issue(who, n int) bool {
	good := !m.suspended[who] && n <= m.quota[who]
	for range n * of(good) {
		m.owner, m.status, m.quota[who] = append(m.owner, who), append(m.status, 'a'), m.quota[who]-1
	}
	return good
}

func (m *model) change(who int, leaves []uint64, from string, to byte) bool {
	good := !m.suspended[who]
	for _, i := range leaves {
		good = good && i < uint64(len(m.owner)) && m.owner[i] == who && slices.Contains([]byte(from), m.status[i])
	}
	for _, i := range leaves[:len(leaves)*of(good)] {
		m.status[i] = to
	}
	return good
}

func (m *model) suspend(who int, to bool) bool {
	good := m.suspended[who] != to
	m.suspended[who] = to
	return good
}

func of(b bool) int {
	if b {
		return 1
	}
	return 0
}

// walk is a run of random operations on a log whose machine may lose power at any write.
type walk struct {
	*world
	r     *rapid.T
	rng   *rand.Rand
	model model
	old   [2]*jose.SigningKey // each issuer's key before the last rotation
	disk  *cutter
	cfg   ledger.Config
	rows  *store.Pebble
	log   *ledger.Log
	taken [][]byte // entries that were acknowledged
	turns int
}

var issuers = [2]string{landDID, healthDID}

// open starts a process on a disk, as often as the power goes off meanwhile.
func (k *walk) open(fs *vfs.MemFS) {
	for {
		k.disk = &cutter{mem: fs, percent: k.rng.IntN(101), rng: rand.New(rand.NewPCG(k.rng.Uint64(), 0))}
		if k.rng.IntN(3) == 0 { // it crashes again, while it opens or soon after
			k.disk.at = 1 + k.rng.Int64N(80)
		}
		err := k.start()
		if err == nil {
			return
		}
		if k.disk.alive() {
			k.r.Fatalf("open: %v", err)
		}
		k.stop()
		fs = k.disk.left()
	}
}

func (k *walk) start() (err error) {
	k.log, k.rows = nil, nil
	if k.cfg, k.rows, err = k.live(errorfs.Wrap(k.disk.mem, k.disk), k.disk.alive); err != nil {
		return err
	}
	if err := ledger.Found(k.cfg, k.first); err != nil {
		return err
	}
	k.log, err = ledger.Open(k.cfg)
	return err
}

func (k *walk) stop() {
	if k.log != nil {
		k.log.Close()
	}
	if k.rows != nil {
		k.rows.Close()
	}
}

// submit hands in an entry until there is an answer, over crashes, and compares it with the model's.
func (k *walk) submit(raw []byte, good bool, what string) {
	k.clock.Add(int64(k.rng.IntN(4)))
	for {
		_, err := k.log.Submit(k.t.Context(), raw)
		if !k.disk.alive() {
			k.stop()
			k.open(k.disk.left())
			continue
		}
		var refusal *ledger.Refusal
		if err != nil && !errors.As(err, &refusal) {
			k.r.Fatalf("%s: %v", what, err)
		}
		if taken := err == nil || errors.Is(err, ledger.ErrAlreadyLogged); taken != good {
			k.r.Fatalf("%s: %v, the model says %t", what, err, good)
		}
		if good {
			k.taken = append(k.taken, raw)
		}
		return
	}
}

// send submits the next entry of a signer.
func (k *walk) send(signer string, p entry.Payload, good bool, what string) {
	k.submit(k.numbered(signer, k.next[signer], p), good, what)
	if good {
		k.next[signer]++
	}
}

// step is one random operation.
func (k *walk) step(r *rapid.T) {
	k.turns++
	who := rapid.IntRange(0, 1).Draw(r, "who")
	did := issuers[who]
	leaves := slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.Uint64Range(0, uint64(len(k.model.owner))), 1, 3, rapid.ID).Draw(r, "leaves")))
	switch what := rapid.SampledFrom([]string{
		"issue", "issue", "issue", "suspend", "reinstate", "revoke", "rotate", "old key", "suspend issuer", "reinstate issuer", "time", "restart", "crash",
	}).Draw(r, "what"); what {
	case "issue":
		n := rapid.IntRange(1, 4).Draw(r, "n")
		k.send(did, entry.CredentialsIssued{Schema: k.land, Commitments: k.commitments(n)}, k.model.issue(who, n), what)
	case "suspend":
		k.send(did, entry.CredentialsSuspended{Leaves: leaves}, k.model.change(who, leaves, "a", 's'), what)
	case "reinstate":
		k.send(did, entry.CredentialsReinstated{Leaves: leaves}, k.model.change(who, leaves, "s", 'a'), what)
	case "revoke":
		k.send(did, entry.CredentialsRevoked{Leaves: leaves}, k.model.change(who, leaves, "as", 'r'), what)
	case "rotate":
		key := seeded(k.t, did+strconv.Itoa(k.turns))
		k.send(entry.Governance, entry.IssuerRotated{DID: did, Keys: []jose.PublicKey{key.Public()}, Quota: [2]uint64{100_000, 5}[who]}, true, what)
		k.old[who], k.keys[did] = k.keys[did], key
	case "old key":
		if k.old[who] != nil {
			p := entry.CredentialsIssued{Schema: k.land, Commitments: k.commitments(1)}
			k.submit(k.with(did, k.next[did], p, k.old[who]), false, what)
		}
	case "suspend issuer":
		k.send(entry.Governance, entry.IssuerSuspended{DID: did, Reason: "test"}, k.model.suspend(who, true), what)
	case "reinstate issuer":
		k.send(entry.Governance, entry.IssuerReinstated{DID: did}, k.model.suspend(who, false), what)
	case "time":
		k.clock.Add(10)
	case "restart":
		k.stop()
		k.open(k.disk.left())
	case "crash":
		k.disk.off()
		k.stop()
		k.open(k.disk.left())
	}
}

// Random operations, restarts and crashes against the model.
func TestLogAgainstModel(t *testing.T) {
	check(t, 12, 5000, func(r *rapid.T) {
		w := newWorld(t, r)
		w.next = map[string]uint64{entry.Governance: 5}
		w.issued = 0
		k := &walk{world: w, r: r, model: model{quota: [2]int{100_000, 5}}}
		k.rng = rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "crashes"), 0))
		k.open(vfs.NewCrashableMem())
		defer func() { k.stop() }()
		for _, raw := range w.script[:4] { // issuers, schema, verifier
			k.submit(raw, true, "opening")
		}
		k.send(entry.Governance, entry.SchemaPublished{Schema: w.schema(), Issuers: []string{healthDID, landDID}}, true, "schema for both")
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			k.step(r)
		}
		k.finish()
	})
}

// finish compares what the log has with the model, and with itself in other batches.
func (k *walk) finish() {
	k.stop()
	k.disk = &cutter{mem: k.disk.left()}
	if err := k.start(); err != nil {
		k.r.Fatalf("open at the end: %v", err)
	}
	k.script, k.acked = k.taken, len(k.taken)
	if err := k.log.Close(); err != nil {
		k.r.Fatalf("close: %v", err)
	}
	k.holds(k.cfg)
	m, err := ledger.NewMachine(k.rows)
	if err != nil {
		k.r.Fatalf("load: %v", err)
	}
	for who, did := range issuers {
		live := uint64(0)
		for i, status := range k.model.status {
			live += uint64(of(status == 'a' && k.model.owner[i] == who))
		}
		if got := m.Census().Live(k.land, []string{did}); got != live {
			k.r.Fatalf("%s has %d live leaves, the model %d", did, got, live)
		}
	}
	k.rebatch(m.Size())
}

// rebatch applies the log's entries in other batches, with restarts: the same rows come out, so the same log root at each
// size that was signed, and the same active root at each seal.
func (k *walk) rebatch(size uint64) {
	again := store.NewMemory()
	for index := uint64(0); index < size; {
		m, err := ledger.NewMachine(again)
		if err != nil {
			k.r.Fatalf("%v", err)
		}
		for range 1 + k.rng.IntN(12) {
			if index < size {
				apply(k.t, m, mustEntry(k.t, k.rows, index))
				index++
			}
		}
		rows, err := m.Changes()
		if err := errors.Join(err, again.Commit(rows)); err != nil {
			k.r.Fatalf("%v", err)
		}
	}
	want, got := allRows(k.t, k.rows), allRows(k.t, again)
	delete(want, "c")
	if !maps.EqualFunc(want, got, slices.Equal[[]byte]) {
		k.r.Fatalf("other batches give other rows")
	}
	for size, root := range k.history.roots {
		if got, err := ledger.RootAt(again, size); err != nil || tlog.Hash([]byte(root)) != got {
			k.r.Fatalf("other batches give another root of %d entries: %v", size, err)
		}
	}
}
