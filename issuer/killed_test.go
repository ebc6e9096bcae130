package issuer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// fragile is a real ledger on a disk in memory, whose power can be cut. It is reached over HTTP without a network.
type fragile struct {
	t       testing.TB
	cfg     ledger.Config
	first   []byte
	genesis credential.Digest
	logKey  string

	mu      sync.Mutex
	disk    *vfs.MemFS
	log     *ledger.Log
	rows    *store.Pebble
	handler http.Handler // nil: the power is off
	life    int
}

func newFragile(t testing.TB, agencyKey jose.PublicKey) *fragile {
	t.Helper()
	const origin = "bulla.example/killed"
	f := &fragile{t: t, disk: vfs.NewCrashableMem()}
	secret, verifier, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	operator, governance := signingKey(t, "operator"), signingKey(t, "governance")
	first := must(entry.Sign(entry.Draft{Signer: entry.Governance, Payload: ledger.DraftGenesis(entry.Genesis{
		Network: "killed", Dev: true, Origin: origin, LogKey: verifier, OperatorKey: operator.Public(),
		GovernanceKeys: []jose.PublicKey{governance.Public()}, GovernanceThreshold: 1, Time: credential.UnixTimeOf(time.Now().Add(-time.Minute)),
	})}, governance))(t)
	f.first, f.genesis, f.logKey = first.Bytes(), first.Digest(), verifier
	f.cfg = ledger.Config{LogSigner: must(note.NewSigner(secret))(t), Operator: operator, Logger: slog.New(slog.DiscardHandler), ScrubEvery: -1}
	f.on(f.disk)
	for n, payload := range []entry.Payload{
		entry.IssuerRegistered{DID: landDID, Name: credential.Text{English: "Land registry"}, Keys: []jose.PublicKey{agencyKey}, Quota: 1 << 30, URL: agencyURL},
		entry.SchemaPublished{Schema: *titleSchema(), Issuers: []string{landDID}},
	} {
		e := must(entry.Sign(entry.Draft{Genesis: f.genesis, Signer: entry.Governance, Sequence: uint64(n) + 1, Payload: payload}, governance))(t)
		must(f.log.Submit(t.Context(), e.Bytes()))(t)
	}
	return f
}

// on starts the ledger from a disk.
func (f *fragile) on(disk *vfs.MemFS) {
	f.t.Helper()
	cfg := f.cfg
	rows := must(store.Open(store.Config{Dir: "/ledger/store", FS: disk, Logger: cfg.Logger}))(f.t)
	cfg.Store, cfg.Register = rows, must(store.NewFileRegister("/ledger/register/signed", disk))(f.t)
	if err := ledger.Found(cfg, f.first); err != nil {
		f.t.Fatal(err)
	}
	log, err := ledger.Open(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disk, f.log, f.rows, f.handler, f.life = disk, log, rows, log.Handler(), f.life+1
}

// off cuts the power: from then on nobody gets an answer, and what was not synced may be gone. It returns the disk.
func (f *fragile) off(rng *rand.Rand) *vfs.MemFS {
	f.mu.Lock()
	f.handler = nil
	left := f.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	log, rows := f.log, f.rows
	f.mu.Unlock()
	_ = log.Close()                          // a life that nobody sees any more
	f.t.Cleanup(func() { _ = rows.Close() }) // requests of it may still be reading
	return left
}

// RoundTrip implements [http.RoundTripper]: an answer that comes after the power was cut is none.
func (f *fragile) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	handler, life := f.handler, f.life
	f.mu.Unlock()
	if handler == nil {
		return nil, errNetwork
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handler == nil || f.life != life {
		return nil, errNetwork
	}
	return w.Result(), nil
}

func (f *fragile) client() *client.Client {
	f.t.Helper()
	return must(client.New(client.Config{
		URL: "http://127.0.0.1:1", Genesis: f.genesis, Policy: client.Policy{LogKey: f.logKey}, HTTPClient: &http.Client{Transport: f},
	}))(f.t)
}

// bureau is an agency on a disk in memory, whose power can be cut.
type bureau struct {
	*agency
	ledger *fragile

	mu   sync.Mutex
	disk *vfs.MemFS
	rows *records.Pebble
	on   bool
	seen map[string]openid.IssuedCredential // what wallets were given, by access token
}

func (b *bureau) open(disk *vfs.MemFS) {
	b.t.Helper()
	b.rows = must(records.Open(records.Config{Dir: "/agency", Key: recordKey, FS: disk, Logger: slog.New(slog.DiscardHandler)}))(b.t)
	b.cfg.Store, b.cfg.Ledger, b.cfg.Registers = b.rows, b.ledger.client(), nil
	b.cfg.Schemas = []*credential.Schema{titleSchema()}
	b.restart()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disk, b.on = disk, true
}

// kill cuts the power of the agency and starts it from what is left.
func (b *bureau) kill(rng *rand.Rand) {
	b.t.Helper()
	b.mu.Lock()
	b.on = false
	left := b.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	b.mu.Unlock()
	_ = b.stop() // a life that nobody sees any more
	b.stop = nil
	rows := b.rows
	b.t.Cleanup(func() { _ = rows.Close() }) // requests of that life may still be reading
	b.open(left)
}

// give is what a wallet gets for a token, unless the power is cut before the answer is out.
func (b *bureau) give(i *issuer.Issuer, p *person, token string) {
	nonce := i.Nonce().Nonce
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	issued, err := i.Issue(ctx, token, titleType, p.prove(b.t, b.statement(titleType, nonce)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && b.on && i == b.Issuer {
		b.seen[token] = *issued
	}
}

// Ledger and agency are killed at random, under load: an issued credential is never missing from the chain, none on the chain is
// missing from the records, none is there twice, and nothing that a wallet was given is gone. BULLA_SOAK=1: a hundred kills.
func TestKilledAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seals")
	}
	kills, rng := 10, rand.New(rand.NewPCG(4, 2))
	if os.Getenv("BULLA_SOAK") != "" {
		kills, rng = 100, rand.New(rand.NewPCG(rand.Uint64(), 0))
	}
	b := &bureau{ledger: newFragile(t, signingKey(t, landDID).Public()), seen: make(map[string]openid.IssuedCredential)}
	b.agency = newAgency(t, func(c *issuer.Config) {
		c.Genesis, c.Ledger, c.Schemas, c.Registers = b.ledger.genesis, b.ledger.client(), []*credential.Schema{titleSchema()}, nil
		c.Clock, c.RetryPause, c.SealWait = time.Now, 5*time.Millisecond, 800*time.Millisecond
	})
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	b.stop = nil
	b.open(vfs.NewCrashableMem())
	people := make(map[string]*person) // by access token
	for n := range kills {
		var wait sync.WaitGroup
		for m := range 1 + rng.IntN(4) {
			p := newPerson(fmt.Sprintf("person %d-%d", n, m))
			token := b.token(b.title(p, fmt.Sprintf("parcel %d-%d", n, m)))
			people[token] = p
			i := b.Issuer
			wait.Go(func() { b.give(i, p, token) })
		}
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		switch rng.IntN(3) {
		case 0:
			b.ledger.on(b.ledger.off(rng))
		case 1:
			b.kill(rng)
		default:
			left := b.ledger.off(rng)
			b.kill(rng)
			b.ledger.on(left)
		}
		wait.Wait()
	}
	b.settle(people)
}

// settle waits until every accepted request has its credential, and compares records, wallets and chain.
func (b *bureau) settle(people map[string]*person) {
	t := b.t
	given := make(map[uint64]credential.Element) // commitments by leaf
	for token, p := range people {
		var issued *openid.IssuedCredential
		eventually(t, "the credential is there", func() (ok bool) {
			var err error
			if issued, err = b.ask(p, token, titleType); errors.Is(err, issuer.ErrAccessToken) {
				t.Error("a token that was given out is gone") // it was synced before anybody saw it
				return true
			}
			return err == nil
		})
		if issued == nil {
			continue
		}
		if old, had := b.seen[token]; had && old.Leaf != issued.Leaf {
			t.Errorf("a wallet was given leaf %d, and now %d", old.Leaf, issued.Leaf)
		}
		commitment, _, err := issued.Commitment()
		if _, twice := given[issued.Leaf]; twice || err != nil {
			t.Errorf("leaf %d is given twice, or %v", issued.Leaf, err)
		}
		given[issued.Leaf] = commitment
	}
	var chain []credential.Element
	for index := uint64(0); ; index++ {
		receipt, err := b.ledger.log.Receipt(t.Context(), index, entry.LevelAccepted)
		if errors.Is(err, ledger.ErrAbsent) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Leaves > 0 {
			chain = append(chain, b.commitments(index)...)
		}
	}
	if len(chain) != len(given) {
		t.Errorf("%d credentials are on the chain, %d in the records", len(chain), len(given))
	}
	for leaf, want := range given {
		if leaf >= uint64(len(chain)) || chain[leaf] != want {
			t.Errorf("leaf %d on the chain is another", leaf)
		}
	}
	page, _, err := b.Credentials(clerk, issuer.List{Limit: issuer.MaxPage})
	active := slices.DeleteFunc(page, func(c issuer.Credential) bool { return c.Status != issuer.Active })
	if err != nil || len(people) <= issuer.MaxPage && len(active) != len(given) {
		t.Errorf("%d active credentials in the records, %d given, %v", len(active), len(given), err)
	}
	head, err := b.AuditHead()
	if err != nil || head.Records < uint64(3*len(given)) {
		t.Errorf("%d audit records of %d credentials, %v", head.Records, len(given), err)
	}
}

// commitments are those of an entry of the chain.
func (b *bureau) commitments(index uint64) []credential.Element {
	b.t.Helper()
	raw := must(b.ledger.rows.Get(binary.BigEndian.AppendUint64([]byte("e"), index)))(b.t)
	payload := must(must(entry.Parse(raw))(b.t).ParsePayload())(b.t)
	issued, _ := payload.(entry.CredentialsIssued)
	return issued.Commitments
}
