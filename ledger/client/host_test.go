package client_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

const (
	origin  = "ledger.example/client-test"
	landDID = "did:web:land.example"
	start   = credential.UnixTime(1_700_000_000)
)

// host is a ledger as far as readers see it, in a hundred lines of its own: a second opinion on tiles and bundles, with
// a clock that tests set and hooks that lie.
type host struct {
	t          testing.TB
	mu         sync.Mutex
	rows       rows
	machine    *ledger.Machine
	entries    [][]byte
	hashes     []tlog.Hash
	genesis    credential.Digest
	founding   entry.Genesis
	governance *jose.SigningKey
	operator   *jose.SigningKey
	land       *jose.SigningKey
	schema     credential.Element
	next       map[string]uint64
	logSigner  note.Signer
	cosigner   note.Signer
	cosigners  []string
	checkpoint []byte
	now        credential.UnixTime
	tamper     func(path string, body []byte) []byte // changes answers
	requests   []string
	server     *httptest.Server
}

type rows map[string][]byte

func (r rows) Get(key []byte) ([]byte, error) {
	if value, ok := r[string(key)]; ok {
		return value, nil
	}
	return nil, ledger.ErrAbsent
}

type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seeded(t testing.TB, name string) *jose.SigningKey {
	t.Helper()
	d := credential.DigestOf([]byte(name))
	return must2(jose.FromSeed(d[:]))(t)
}

func must2[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T { t.Helper(); return must(t, v, err) }
}

func cosignerKeys(t testing.TB, seed constant, name string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(seed, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, must2(cosignature.VKeyToCosignatureV1(vkey))(t)
}

// newHost founds a chain. All of them have the same keys and, but for what change does, the same genesis.
func newHost(t testing.TB, change func(*entry.Genesis)) *host {
	t.Helper()
	h := &host{t: t, rows: rows{}, next: map[string]uint64{}, now: start}
	skey, vkey, err := note.GenerateKey(constant(7), origin)
	if err != nil {
		t.Fatal(err)
	}
	h.logSigner = must2(note.NewSigner(skey))(t)
	var cosigner string
	h.cosigner, cosigner = cosignerKeys(t, 8, "cosigner.example")
	h.cosigners = []string{cosigner}
	h.governance, h.operator, h.land = seeded(t, "governance"), seeded(t, "operator"), seeded(t, "land")
	h.founding = entry.Genesis{
		Version: 1, Network: "test", Suite: entry.Suite, Origin: origin, LogKey: vkey, OperatorKey: h.operator.Public(),
		GovernanceKeys: []jose.PublicKey{h.governance.Public()}, GovernanceThreshold: 1, SealIntervalSeconds: 1,
		SealMaximumSeconds: 60, GridSeconds: 100, ClockSkewSeconds: 5, VerifyingKeys: []entry.VerifyingKey{}, Time: start,
	}
	if change != nil {
		change(&h.founding)
	}
	h.machine = must2(ledger.NewMachine(h.rows))(t)
	h.genesis = credential.DigestOf(h.apply(entry.Governance, h.governance, h.founding))
	h.apply(entry.Governance, h.governance, entry.IssuerRegistered{
		DID: landDID, Name: credential.Text{English: "Land"}, Keys: []jose.PublicKey{h.land.Public()}, Quota: 1 << 20, URL: "https://land.example",
	})
	schema := credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
		Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}
	h.schema = must2(schema.ID())(t)
	h.apply(entry.Governance, h.governance, entry.SchemaPublished{Schema: schema, Issuers: []string{landDID}})
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

// apply signs an entry and adds it to the chain.
func (h *host) apply(signer string, key *jose.SigningKey, payload entry.Payload) []byte {
	h.t.Helper()
	e := must2(entry.Sign(entry.Draft{Genesis: h.genesis, Signer: signer, Sequence: h.next[signer], Payload: payload}, key))(h.t)
	must2(h.machine.Apply(e.Bytes()))(h.t)
	for key, value := range must2(h.machine.Changes())(h.t) {
		h.rows[key] = value
	}
	h.machine.Committed()
	h.next[signer]++
	h.add(e.Bytes())
	return e.Bytes()
}

// add appends to the log only, whatever it is.
func (h *host) add(raw []byte) {
	hashes := must2(tlog.StoredHashes(int64(len(h.entries)), raw, tlog.HashReaderFunc(h.readHashes)))(h.t)
	h.entries, h.hashes = append(h.entries, raw), append(h.hashes, hashes...)
}

func (h *host) issue(n int) {
	h.t.Helper()
	h.issueNamed("", n)
}

func (h *host) issueNamed(name string, n int) {
	h.t.Helper()
	p := entry.CredentialsIssued{Schema: h.schema}
	for i := range n {
		p.Commitments = append(p.Commitments, credential.F("test", fmt.Appendf(nil, "%s %d %d", name, len(h.entries), i)))
	}
	h.apply(landDID, h.land, p)
}

// seal closes a block at a time and publishes a checkpoint, cosigned.
func (h *host) seal(at credential.UnixTime) entry.Seal {
	h.t.Helper()
	h.now = at
	seal := must2(h.machine.DraftSeal(at))(h.t)
	h.apply(entry.Operator, h.operator, seal)
	h.publish(h.cosigner)
	return seal
}

func (h *host) publish(cosigners ...note.Signer) {
	h.t.Helper()
	root := h.rootAt(len(h.entries))
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, len(h.entries), base64.StdEncoding.EncodeToString(root[:]))
	signers := append([]note.Signer{h.logSigner}, cosigners...)
	h.checkpoint = must2(note.Sign(&note.Note{Text: text}, signers...))(h.t)
}

func (h *host) rootAt(size int) tlog.Hash {
	root, err := tlog.TreeHash(int64(size), tlog.HashReaderFunc(h.readHashes))
	return must(h.t, root, err)
}

func (h *host) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(h.hashes)) {
			return nil, errors.New("not that many")
		}
		out[i] = h.hashes[x]
	}
	return out, nil
}

func (h *host) clock() time.Time { return h.now.Time() }

func (h *host) policy() client.Policy {
	return client.Policy{LogKey: h.founding.LogKey, Cosigners: h.cosigners, Threshold: 1}
}

func (h *host) config() client.Config {
	return client.Config{URL: h.server.URL, Genesis: h.genesis, Policy: h.policy(), Clock: h.clock}
}

func (h *host) client(change func(*client.Config)) *client.Client {
	h.t.Helper()
	cfg := h.config()
	if change != nil {
		change(&cfg)
	}
	return must2(client.New(cfg))(h.t)
}

// asked are the paths asked for since the last call.
func (h *host) asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.requests
	h.requests = nil
	return out
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r.URL.Path)
	body, ok := h.answer(r)
	if h.tamper != nil {
		if changed := h.tamper(r.URL.Path, body); changed != nil {
			body, ok = changed, true
		}
	}
	if !ok {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"status":404,"code":"not-found","title":"not here"}`)
		return
	}
	w.Write(body)
}

func (h *host) answer(r *http.Request) ([]byte, bool) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch kind {
	case "checkpoint":
		return h.checkpoint, h.checkpoint != nil
	case "genesis":
		return h.entries[0], true
	case "registry", "census":
		var d credential.Digest
		if d.UnmarshalText([]byte(rest)) != nil {
			return nil, false
		}
		body, ok := h.rows["r"+string(d[:])]
		return body, ok
	case "active":
		var e credential.Element
		if _, name, ok := strings.Cut(rest, "/"); !ok || e.UnmarshalText([]byte(name)) != nil {
			return nil, false
		}
		b := e.Bytes()
		body, ok := h.rows["t"+string(b[:])]
		return body, ok
	case "tile":
		return h.tile(rest)
	case "v1":
		return h.api(rest)
	}
	return nil, false
}

func (h *host) tile(rest string) ([]byte, bool) {
	level, rest, _ := strings.Cut(rest, "/")
	path := "tile/8/" + strings.Replace(level, "entries", "data", 1) + "/" + rest
	tile, err := tlog.ParseTilePath(path)
	if err != nil {
		return nil, false
	}
	if tile.L >= 0 {
		body, err := tlog.ReadTileData(tile, tlog.HashReaderFunc(h.readHashes))
		return body, err == nil
	}
	var body []byte
	for i := tile.N * 256; i < tile.N*256+int64(tile.W); i++ {
		if i >= int64(len(h.entries)) {
			return nil, false
		}
		body = binary.BigEndian.AppendUint16(body, uint16(len(h.entries[i])))
		body = append(body, h.entries[i]...)
	}
	return body, true
}

// api answers for receipts and signers.
func (h *host) api(rest string) ([]byte, bool) {
	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "signers":
		body, err := json.Marshal(map[string]any{"signer": rest, "next_seq": h.next[rest]})
		return body, err == nil
	case "receipts":
		index, err := strconv.Atoi(rest)
		if err != nil || index >= len(h.entries) {
			return nil, false
		}
		body, err := json.Marshal(h.receipt(index))
		return body, err == nil
	}
	return nil, false
}

func (h *host) receipt(index int) entry.Receipt {
	r := entry.Receipt{Index: uint64(index), Digest: credential.DigestOf(h.entries[index]), Level: entry.LevelSealed, Checkpoint: string(h.checkpoint)}
	proof := must2(tlog.ProveRecord(int64(len(h.entries)), int64(index), tlog.HashReaderFunc(h.readHashes)))(h.t)
	for _, hash := range proof {
		r.Proof = append(r.Proof, hash[:])
	}
	return r
}
