package ledgertest

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
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Names and times of every [Host].
const (
	Origin  = "ledger.example/test"
	LandDID = "did:web:land.example"
	Start   = credential.UnixTime(1_700_000_000) // the genesis' time; a multiple of its grid, 100 s
)

// Host is a ledger as far as readers see it, on code of its own: a second opinion on tiles and bundles, with a clock
// that tests set, and with everything in the open, so that tests can make it lie. Its chain is no dev chain: one
// issuer, one schema, one governance key, one cosigner that signs anything. All hosts have the same keys and, but for
// what the test changes, the same genesis. Tests change it only between requests.
type Host struct {
	Founding   entry.Genesis
	Genesis    credential.Digest
	Governance *jose.SigningKey
	Operator   *jose.SigningKey
	Land       *jose.SigningKey // of [LandDID]
	Schema     credential.Element
	LogSigner  note.Signer
	Cosigner   note.Signer
	Cosigners  []string // its verifier key
	Entries    [][]byte // of the log
	Checkpoint []byte   // served at /checkpoint
	Now        credential.UnixTime
	Server     *httptest.Server
	// Tamper, if not nil, may replace the answer for a path; nil keeps it, and nothing is not there.
	Tamper func(path string, body []byte) []byte

	t        testing.TB
	machine  *ledger.Machine
	rows     rows
	hashes   []tlog.Hash // in tlog's order
	next     map[string]uint64
	mu       sync.Mutex
	requests []string
}

type rows map[string][]byte

// Get makes rows a ledger.Reader.
func (r rows) Get(key []byte) ([]byte, error) {
	if value, ok := r[string(key)]; ok {
		return value, nil
	}
	return nil, ledger.ErrAbsent
}

// Must stops a test at an error.
func Must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Key is an Ed25519 key that depends on its name only.
func Key(t testing.TB, name string) *jose.SigningKey {
	t.Helper()
	seed := credential.DigestOf([]byte(name))
	return Must(jose.FromSeed(seed[:]))(t)
}

// constant is a source of randomness for keys that tests need again.
type constant byte

// Read fills p.
func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

// CosignerKey is a cosigner's signer and verifier key that depend on seed and name only.
func CosignerKey(t testing.TB, seed byte, name string) (note.Signer, string) {
	t.Helper()
	secret, plain, err := note.GenerateKey(constant(seed), name)
	if err != nil {
		t.Fatal(err)
	}
	return Must(cosignature.NewSignerForCosignatureV1(secret))(t), Must(cosignature.VKeyToCosignatureV1(plain))(t)
}

// NewHost founds a chain and serves it, unsealed. change may be nil.
func NewHost(t testing.TB, change func(*entry.Genesis)) *Host {
	t.Helper()
	h := &Host{
		t: t, rows: rows{}, next: map[string]uint64{}, Now: Start,
		Governance: Key(t, "governance"), Operator: Key(t, "operator"), Land: Key(t, "land"),
	}
	secret, logKey, err := note.GenerateKey(constant(7), Origin)
	if err != nil {
		t.Fatal(err)
	}
	h.LogSigner = Must(note.NewSigner(secret))(t)
	var cosigner string
	h.Cosigner, cosigner = CosignerKey(t, 8, "cosigner.example")
	h.Cosigners = []string{cosigner}
	h.Founding = entry.Genesis{
		Version: 1, Network: "test", Suite: entry.Suite, Origin: Origin, LogKey: logKey, OperatorKey: h.Operator.Public(),
		GovernanceKeys: []jose.PublicKey{h.Governance.Public()}, GovernanceThreshold: 1, SealIntervalSeconds: 1,
		SealMaximumSeconds: 60, GridSeconds: 100, ClockSkewSeconds: 5, VerifyingKeys: []entry.VerifyingKey{}, Time: Start,
	}
	if change != nil {
		change(&h.Founding)
	}
	h.machine = Must(ledger.NewMachine(h.rows))(t)
	h.open()
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Server.Close)
	return h
}

// open writes the first three entries.
func (h *Host) open() {
	h.t.Helper()
	h.Genesis = credential.DigestOf(h.Apply(entry.Governance, h.Governance, h.Founding))
	h.Apply(entry.Governance, h.Governance, entry.IssuerRegistered{
		DID: LandDID, Name: credential.Text{English: "Land registry"}, Keys: []jose.PublicKey{h.Land.Public()},
		Quota: 1 << 20, URL: "https://land.example",
	})
	schema := credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
		Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}
	h.Schema = Must(schema.ID())(h.t)
	h.Apply(entry.Governance, h.Governance, entry.SchemaPublished{Schema: schema, Issuers: []string{LandDID}})
}

// Sign is the signer's next entry.
func (h *Host) Sign(signer string, key *jose.SigningKey, payload entry.Payload) []byte {
	h.t.Helper()
	e := Must(entry.Sign(entry.Draft{Genesis: h.Genesis, Signer: signer, Sequence: h.next[signer], Payload: payload}, key))(h.t)
	h.next[signer]++
	return e.Bytes()
}

// Apply signs an entry and adds it to the chain.
func (h *Host) Apply(signer string, key *jose.SigningKey, payload entry.Payload) []byte {
	h.t.Helper()
	raw := h.Sign(signer, key, payload)
	Must(h.machine.Apply(raw))(h.t)
	for key, value := range Must(h.machine.Changes())(h.t) {
		h.rows[key] = value
	}
	h.machine.Committed()
	h.Append(raw)
	return raw
}

// Append puts anything at the end of the log, whatever the state machine would say.
func (h *Host) Append(raw []byte) {
	h.t.Helper()
	hashes := Must(tlog.StoredHashes(int64(len(h.Entries)), raw, tlog.HashReaderFunc(h.readHashes)))(h.t)
	h.Entries, h.hashes = append(h.Entries, raw), append(h.hashes, hashes...)
}

// Issue issues n credentials whose commitments depend on name and place.
func (h *Host) Issue(name string, n int) {
	h.t.Helper()
	p := entry.CredentialsIssued{Schema: h.Schema}
	for i := range n {
		p.Commitments = append(p.Commitments, credential.F("test", fmt.Appendf(nil, "%s %d %d", name, len(h.Entries), i)))
	}
	h.Apply(LandDID, h.Land, p)
}

// Draft is the seal that follows from the entries.
func (h *Host) Draft(at credential.UnixTime) entry.Seal {
	h.t.Helper()
	return Must(h.machine.DraftSeal(at))(h.t)
}

// Seal sets the clock, closes a block and publishes it with the cosigner's signature.
func (h *Host) Seal(at credential.UnixTime) entry.Seal {
	h.t.Helper()
	h.Now = at
	seal := h.Draft(at)
	h.Apply(entry.Operator, h.Operator, seal)
	h.Publish(h.Cosigner)
	return seal
}

// Publish serves a checkpoint of the whole log with those cosignatures.
func (h *Host) Publish(cosigners ...note.Signer) {
	h.t.Helper()
	root := Must(tlog.TreeHash(int64(len(h.Entries)), tlog.HashReaderFunc(h.readHashes)))(h.t)
	text := fmt.Sprintf("%s\n%d\n%s\n", Origin, len(h.Entries), base64.StdEncoding.EncodeToString(root[:]))
	signers := append([]note.Signer{h.LogSigner}, cosigners...)
	h.Checkpoint = Must(note.Sign(&note.Note{Text: text}, signers...))(h.t)
}

// Proof is the consistency proof from an older size to the whole log.
func (h *Host) Proof(old int) tlog.TreeProof {
	h.t.Helper()
	if old == 0 || old == len(h.Entries) {
		return nil
	}
	return Must(tlog.ProveTree(int64(len(h.Entries)), int64(old), tlog.HashReaderFunc(h.readHashes)))(h.t)
}

func (h *Host) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(h.hashes)) {
			return nil, errors.New("not that many hashes")
		}
		out[i] = h.hashes[x]
	}
	return out, nil
}

// Clock is the time that the host's readers have.
func (h *Host) Clock() time.Time { return h.Now.Time() }

// Config is for a client that demands the cosigner.
func (h *Host) Config() client.Config {
	return client.Config{
		URL: h.Server.URL, Genesis: h.Genesis, Clock: h.Clock,
		Policy: client.Policy{LogKey: h.Founding.LogKey, Cosigners: h.Cosigners, Threshold: 1},
	}
}

// Client is a client that demands the cosigner, with what change makes different.
func (h *Host) Client(change func(*client.Config)) *client.Client {
	h.t.Helper()
	cfg := h.Config()
	if change != nil {
		change(&cfg)
	}
	return Must(client.New(cfg))(h.t)
}

// Asked are the paths asked for since it was called last.
func (h *Host) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.requests
	h.requests = nil
	return out
}

// ServeHTTP answers as a ledger does.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r.URL.Path)
	body, ok := h.Answer(r.URL.Path)
	if h.Tamper != nil {
		if changed := h.Tamper(r.URL.Path, body); changed != nil {
			body, ok = changed, len(changed) > 0
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

// Answer is the honest answer for a path.
func (h *Host) Answer(path string) ([]byte, bool) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch kind {
	case "checkpoint":
		return h.Checkpoint, h.Checkpoint != nil
	case "genesis":
		return h.Entries[0], true
	case "registry", "census":
		var digest credential.Digest
		err := digest.UnmarshalText([]byte(rest))
		body, ok := h.rows["r"+string(digest[:])]
		return body, ok && err == nil
	case "active":
		var name credential.Element
		_, text, _ := strings.Cut(rest, "/")
		err := name.UnmarshalText([]byte(text))
		b := name.Bytes()
		body, ok := h.rows["t"+string(b[:])]
		return body, ok && err == nil
	case "set":
		return h.set(rest)
	case "tile":
		return h.tile(rest)
	case "seal", "seals":
		return h.sealed(kind, rest)
	case "v1":
		return h.api(rest)
	}
	return nil, false
}

// set puts a set together from its parts.
func (h *Host) set(rest string) ([]byte, bool) {
	d := policy.SetDocument{Version: 1}
	for _, raw := range h.Entries {
		e, err := entry.Parse(raw)
		if err != nil {
			return nil, false
		}
		payload, err := e.ParsePayload()
		if part, ok := payload.(entry.SetRegistered); ok && err == nil && part.Set.String() == rest {
			d.Kind, d.Name, d.Members = policy.SetKind(part.Kind), part.Name, append(d.Members, part.Members...)
		}
	}
	set, err := policy.NewSet(d)
	if err != nil {
		return nil, false
	}
	return set.Canonical(), true
}

func (h *Host) tile(rest string) ([]byte, bool) {
	level, rest, _ := strings.Cut(rest, "/")
	tile, err := tlog.ParseTilePath("tile/8/" + strings.Replace(level, "entries", "data", 1) + "/" + rest)
	if err != nil {
		return nil, false
	}
	if tile.L >= 0 {
		body, err := tlog.ReadTileData(tile, tlog.HashReaderFunc(h.readHashes))
		return body, err == nil
	}
	var body []byte
	for i := tile.N * 256; i < tile.N*256+int64(tile.W); i++ {
		if i >= int64(len(h.Entries)) {
			return nil, false
		}
		body = binary.BigEndian.AppendUint16(body, uint16(len(h.Entries[i])))
		body = append(body, h.Entries[i]...)
	}
	return body, true
}

// OldHost makes a host that does not offer seals apart from entry bundles; it is a Tamper.
func OldHost(path string, _ []byte) []byte {
	if strings.HasPrefix(path, "/seal") {
		return []byte{}
	}
	return nil
}

// sealed answers with the newest seal and its proof, or with a bundle of seals.
func (h *Host) sealed(kind, rest string) ([]byte, bool) {
	if kind == "seal" {
		if rest != strconv.Itoa(len(h.Entries)) {
			return nil, false
		}
		receipt := h.Receipt(len(h.Entries) - 1)
		proof := make([]string, len(receipt.Proof))
		for i, hash := range receipt.Proof {
			proof[i] = base64.RawURLEncoding.EncodeToString(hash)
		}
		body, err := json.Marshal(map[string]any{"entry": string(h.Entries[receipt.Index]), "index": receipt.Index, "proof": proof})
		return body, err == nil
	}
	tile, err := tlog.ParseTilePath("tile/8/data/" + rest)
	if err != nil {
		return nil, false
	}
	var seals [][]byte
	for _, raw := range h.Entries {
		if e, err := entry.Parse(raw); err == nil && e.Header().Kind == entry.KindSeal {
			seals = append(seals, raw)
		}
	}
	var body []byte
	for i := tile.N * 256; i < tile.N*256+int64(tile.W); i++ {
		if i >= int64(len(seals)) {
			return nil, false
		}
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(seals[i]))), seals[i]...)
	}
	return body, true
}

// api answers for signers and receipts.
func (h *Host) api(rest string) ([]byte, bool) {
	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "signers":
		body, err := json.Marshal(map[string]any{"signer": rest, "next_seq": h.next[rest]})
		return body, err == nil
	case "receipts":
		index, err := strconv.Atoi(rest)
		if err != nil || index >= len(h.Entries) {
			return nil, false
		}
		body, err := json.Marshal(h.Receipt(index))
		return body, err == nil
	}
	return nil, false
}

// Receipt is a sealed receipt in the published checkpoint, which must be of the whole log.
func (h *Host) Receipt(index int) entry.Receipt {
	h.t.Helper()
	r := entry.Receipt{
		Index: uint64(index), Digest: credential.DigestOf(h.Entries[index]), Level: entry.LevelSealed, Checkpoint: string(h.Checkpoint),
	}
	for _, hash := range Must(tlog.ProveRecord(int64(len(h.Entries)), int64(index), tlog.HashReaderFunc(h.readHashes)))(h.t) {
		r.Proof = append(r.Proof, hash[:])
	}
	return r
}
