package cosign_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/cosign"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/ledger/store"
)

const start = ledgertest.Start

// rig is a cosigner of a host's chain, with the parts that survive a restart.
type rig struct {
	t        *testing.T
	host     *ledgertest.Host
	key      string
	verifier string
	store    ledger.Store
	register ledger.Register
	cosigner *cosign.Cosigner
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, host: ledgertest.NewHost(t, nil), store: store.NewMemory()}
	var err error
	if r.key, r.verifier, err = cosign.GenerateKey("cosigner.example/rig"); err != nil {
		t.Fatal(err)
	}
	r.register = ledgertest.Must(store.NewFileRegister(filepath.Join(t.TempDir(), "cosigned"), nil))(t)
	r.restart()
	return r
}

func (r *rig) config() cosign.Config {
	return cosign.Config{
		Key: r.key, Genesis: r.host.Genesis, LedgerURL: r.host.Server.URL, Store: r.store, Register: r.register,
		Clock: r.host.Clock, Logger: slog.New(slog.DiscardHandler),
	}
}

func (r *rig) restart() {
	r.t.Helper()
	r.cosigner = ledgertest.Must(cosign.New(r.config()))(r.t)
}

// wantFork checks that the one finding convinces, and is about those checkpoints.
func (r *rig) wantFork(checkpoints ...[]byte) {
	r.t.Helper()
	e := r.evidence()
	if len(e) != 1 {
		r.t.Fatalf("evidence is %s", e)
	}
	fork, err := client.CheckEvidence(e[0], r.host.Founding.LogKey)
	if err != nil {
		r.t.Errorf("evidence %s: %v", e[0], err)
	}
	for _, text := range checkpoints {
		bare, _, _ := strings.Cut(string(text), "\n\n")
		if !strings.HasPrefix(string(fork[0].Text), bare) && !strings.HasPrefix(string(fork[1].Text), bare) {
			r.t.Errorf("evidence %s is not about %s", e[0], text)
		}
	}
	if status, answer := r.get("/evidence"); status != http.StatusOK || answer != "["+string(e[0])+"]" {
		r.t.Errorf("over HTTP: %d %s", status, answer)
	}
}

// get reads over HTTP.
func (r *rig) get(path string) (int, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.cosigner.Handler().ServeHTTP(w, httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func body(old int, proof tlog.TreeProof, checkpoint []byte) string {
	text := fmt.Sprintf("old %d\n", old)
	for _, hash := range proof {
		text += base64.StdEncoding.EncodeToString(hash[:]) + "\n"
	}
	return text + "\n" + string(checkpoint)
}

// post sends a request over HTTP.
func (r *rig) post(text string) (int, string) {
	r.t.Helper()
	server := httptest.NewServer(r.cosigner.Handler())
	defer server.Close()
	response := ledgertest.Must(http.Post(server.URL+"/add-checkpoint", "text/plain", strings.NewReader(text)))(r.t)
	defer response.Body.Close()
	return response.StatusCode, string(ledgertest.Must(io.ReadAll(response.Body))(r.t))
}

// add asks for the host's checkpoint, with an honest proof.
func (r *rig) add(old int) (int, string) {
	r.t.Helper()
	return r.post(body(old, r.host.Proof(old), r.host.Checkpoint))
}

func (r *rig) wantSigned(old int) {
	r.t.Helper()
	status, line := r.add(old)
	if status != http.StatusOK {
		r.t.Fatalf("status %d: %s", status, line)
	}
	logKey := ledgertest.Must(note.NewVerifier(r.host.Founding.LogKey))(r.t)
	c := r.host.Client(func(cfg *client.Config) {
		cfg.Policy = client.Policy{LogKey: r.host.Founding.LogKey, Cosigners: []string{r.verifier}, Threshold: 1}
	})
	bare := ledgertest.Must(note.Open(r.host.Checkpoint, note.VerifierList(logKey)))(r.t)
	bare.UnverifiedSigs = nil
	published := r.host.Checkpoint
	r.host.Checkpoint = append(ledgertest.Must(note.Sign(bare))(r.t), line...)
	if _, err := c.Update(r.t.Context()); err != nil {
		r.t.Errorf("a client does not take the cosignature: %v", err)
	}
	r.host.Checkpoint = published
}

func (r *rig) wantRefused(old, status int, code string) {
	r.t.Helper()
	got, answer := r.add(old)
	if got != status || !strings.Contains(answer, code) {
		r.t.Errorf("status %d %s, want %d %s", got, answer, status, code)
	}
}

func (r *rig) evidence() [][]byte {
	r.t.Helper()
	return ledgertest.Must(r.cosigner.Evidence())(r.t)
}

func TestCosign(t *testing.T) {
	r := newRig(t)
	if r.cosigner.VerifierKey() != r.verifier {
		t.Errorf("verifier key is %s, want %s", r.cosigner.VerifierKey(), r.verifier)
	}
	r.host.Issue("", 3)
	r.host.Seal(start + 10)
	r.wantSigned(0)
	first := len(r.host.Entries)
	r.wantSigned(first) // again, for another time stamp
	r.host.Issue("", 300)
	r.host.Seal(start + 20)
	r.wantRefused(0, http.StatusConflict, fmt.Sprintf("%d\n", first))
	r.wantSigned(first)
	second := len(r.host.Entries)
	r.restart()
	r.host.Seal(start + 30)
	r.wantSigned(second)
	if r.cosigner.VerifierKey() != r.verifier || len(r.evidence()) != 0 {
		t.Error("after a restart it is another, or holds something against an honest log")
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 10)
	old := len(r.host.Entries)
	smaller := r.host.Checkpoint
	r.wantSigned(0)
	r.host.Issue("", 1)
	r.host.Seal(start + 20)
	proof := r.host.Proof(old)
	bad := append(tlog.TreeProof{{1}}, proof[1:]...)
	stranger := ledgertest.Must(note.NewSigner(ledgertest.Must(generate("ledger.example/test"))(t)))(t)
	text, _, _ := strings.Cut(string(r.host.Checkpoint), "\n\n")
	forged := ledgertest.Must(note.Sign(&note.Note{Text: text + "\n"}, stranger))(t)
	other := ledgertest.Must(note.Sign(&note.Note{Text: strings.Replace(text, ledgertest.Origin, "other.example", 1) + "\n"}, r.host.LogSigner))(t)
	tests := []struct {
		name, body string
		status     int
		answer     string
	}{
		{"bad proof", body(old, bad, r.host.Checkpoint), http.StatusUnprocessableEntity, "proof"},
		{"no proof", body(old, nil, r.host.Checkpoint), http.StatusUnprocessableEntity, "proof"},
		{"proof too long", body(old, append(proof, proof...), r.host.Checkpoint), http.StatusUnprocessableEntity, "proof"},
		{"from the beginning, with a proof", body(0, proof, r.host.Checkpoint), http.StatusConflict, fmt.Sprint(old)},
		{"old too large", body(old+9, proof, r.host.Checkpoint), http.StatusBadRequest, "malformed"},
		{"smaller", body(old-1, nil, smaller), http.StatusConflict, fmt.Sprint(old)},
		{"not signed by the log", body(old, proof, forged), http.StatusForbidden, "signature"},
		{"signature changed", body(old, proof, bytes.Replace(r.host.Checkpoint, []byte(" "), []byte(" AAAA"), 1)), http.StatusForbidden, "signature"},
		{"another log", body(old, proof, other), http.StatusNotFound, "unknown-log"},
		{"no checkpoint", "old 0\n", http.StatusBadRequest, "malformed"},
		{"too large", strings.Repeat("x", cosign.MaxRequest+1), http.StatusRequestEntityTooLarge, "too-large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, answer := r.post(test.body)
			if status != test.status || !strings.Contains(answer, test.answer) {
				t.Errorf("status %d %s, want %d %s", status, answer, test.status, test.answer)
			}
		})
	}
	r.wantSigned(old)
}

func generate(name string) (string, error) {
	secret, _, err := note.GenerateKey(nil, name)
	return secret, err
}

// TestReplayRefuses gives the cosigner logs that are consistent and signed, but break the rules.
func TestReplayRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(h *ledgertest.Host)
		reason string
	}{
		"a seal with another active root": {func(h *ledgertest.Host) {
			seal := h.Draft(start + 20)
			seal.ActiveRoot = credential.ElementFromUint64(7)
			h.Append(h.Sign(entry.Operator, h.Operator, seal))
		}, "active root"},
		"a seal with another registry": {func(h *ledgertest.Host) {
			seal := h.Draft(start + 20)
			seal.Registry[0] ^= 1
			h.Append(h.Sign(entry.Operator, h.Operator, seal))
		}, "registry"},
		"a seal that another signed": {func(h *ledgertest.Host) {
			h.Append(h.Sign(entry.Operator, h.Land, h.Draft(start+20)))
		}, "authority"},
		"a seal before the last one": {func(h *ledgertest.Host) {
			seal := h.Draft(start + 20)
			seal.Time = start + 5
			h.Append(h.Sign(entry.Operator, h.Operator, seal))
		}, "seal"},
		"an issuance by another key": {func(h *ledgertest.Host) {
			h.Append(h.Sign(ledgertest.LandDID, h.Operator, entry.CredentialsIssued{
				Schema: h.Schema, Commitments: []credential.Element{credential.ElementFromUint64(1)},
			}))
		}, "authority"},
		"an entry twice": {func(h *ledgertest.Host) {
			h.Append(h.Entries[len(h.Entries)-2])
		}, "already-logged"},
		"no entry at all": {func(h *ledgertest.Host) { h.Append([]byte("hello")) }, "malformed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.host.Issue("", 1)
			r.host.Seal(start + 10)
			r.wantSigned(0)
			old, bad := len(r.host.Entries), len(r.host.Entries)+1
			r.host.Issue("", 1)
			test.change(r.host)
			r.host.Publish()
			r.host.Now = start + 20
			r.wantRefused(old, http.StatusUnprocessableEntity, "replay-refused")
			evidence := r.evidence()
			if len(evidence) != 1 {
				t.Fatalf("evidence is %s", evidence)
			}
			broken, err := client.CheckBroken(evidence[0], r.host.Founding.LogKey)
			if err != nil || !strings.Contains(broken.Reason, test.reason) || broken.Index != uint64(bad) ||
				!bytes.Equal(broken.Entry, r.host.Entries[bad]) || broken.Checkpoint != string(r.host.Checkpoint) {
				t.Errorf("evidence is %s: %v", evidence, err)
			}
			r.wantRefused(old, http.StatusUnprocessableEntity, "replay-refused")
			if len(r.evidence()) != 1 {
				t.Error("the same finding is kept twice")
			}
			r.restart()
			r.host.Append(r.host.Entries[0])
			r.host.Publish()
			r.wantRefused(old, http.StatusUnprocessableEntity, "replay-refused")
		})
	}
}

func TestTwoTreesOfOneSize(t *testing.T) {
	r := newRig(t)
	other := ledgertest.NewHost(t, nil)
	for host, name := range map[*ledgertest.Host]string{r.host: "one", other: "other"} {
		host.Issue(name, 1)
		host.Seal(start + 10)
	}
	r.wantSigned(0)
	size := len(r.host.Entries)
	if status, answer := r.post(body(size, nil, other.Checkpoint)); status != http.StatusConflict || !strings.Contains(answer, `"fork"`) {
		t.Errorf("status %d %s", status, answer)
	}
	r.wantFork(other.Checkpoint)
	other.Seal(start + 20)
	if status, _ := r.post(body(size, other.Proof(size), other.Checkpoint)); status != http.StatusUnprocessableEntity {
		t.Errorf("status %d for a tree that does not extend the one cosigned", status)
	}
}

func TestClock(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 100)
	r.host.Now = start + 94 // the chain allows five seconds
	r.wantRefused(0, http.StatusServiceUnavailable, "ahead-of-clock")
	r.wantRefused(0, http.StatusServiceUnavailable, "ahead-of-clock")
	r.host.Now = start + 95
	r.wantSigned(0)
	if len(r.evidence()) != 0 {
		t.Error("a slow clock is no evidence")
	}
}

func TestUnreadableLedger(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 10)
	r.host.Tamper = func(path string, body []byte) []byte {
		if strings.HasPrefix(path, "/tile/entries/") {
			return append(bytes.Clone(body[:len(body)-1]), '!')
		}
		return nil
	}
	r.wantRefused(0, http.StatusServiceUnavailable, "ledger-unreachable")
	r.host.Tamper = nil
	r.wantSigned(0)
	if len(r.evidence()) != 0 {
		t.Error("a host that serves the wrong bytes is no evidence against the log")
	}
}

// TestInterrupted replays part of a log that then turns out to be another one.
func TestInterrupted(t *testing.T) {
	for _, more := range []int{0, 40} {
		t.Run(fmt.Sprintf("%d more", more), func(t *testing.T) { interrupted(t, more) })
	}
}

func interrupted(t *testing.T, more int) {
	r := newRig(t)
	other := ledgertest.NewHost(t, nil)
	for range 300 { // more than are committed at once
		r.host.Issue("one", 1)
		other.Issue("other", 1)
	}
	r.host.Seal(start + 100)
	r.host.Now = start + 10
	r.wantRefused(0, http.StatusServiceUnavailable, "ahead-of-clock")
	first := r.host.Checkpoint

	for range more {
		other.Issue("other", 1)
	}
	other.Seal(start + 9)
	r.host.Tamper = func(path string, _ []byte) []byte { b, _ := other.Answer(path); return b }
	if status, answer := r.post(body(0, nil, other.Checkpoint)); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "replay-refused") {
		t.Fatalf("status %d %s", status, answer)
	}
	r.wantFork(first, other.Checkpoint)
	r.host.Tamper, r.host.Now = nil, start+100
	r.host.Asked()
	r.wantSigned(0)
}

func TestStoreAndRegister(t *testing.T) {
	r := newRig(t)
	r.host.Issue("", 1)
	r.host.Seal(start + 10)
	r.wantSigned(0)
	old := len(r.host.Entries)
	r.host.Seal(start + 20)

	// The store is lost: it is filled again, and the register still knows where we were.
	r.store = store.NewMemory()
	r.restart()
	r.wantRefused(0, http.StatusConflict, fmt.Sprint(old))
	r.wantSigned(old)

	// The store is of another history.
	other := ledgertest.NewHost(t, nil)
	other.Issue("other", 1)
	other.Seal(start + 10)
	other.Seal(start + 20)
	r2 := *r
	r2.host, r2.store = other, store.NewMemory()
	r2.register = ledgertest.Must(store.NewFileRegister(filepath.Join(t.TempDir(), "cosigned"), nil))(t)
	r2.restart()
	r2.wantSigned(0)
	cfg := r.config()
	cfg.Store = r2.store
	if _, err := cosign.New(cfg); err == nil || !strings.Contains(err.Error(), "never the register") {
		t.Errorf("error is %v, want that store and register do not fit", err)
	}
	cfg = r.config()
	cfg.Genesis = credential.DigestOf([]byte("another"))
	if _, err := cosign.New(cfg); err == nil {
		t.Error("took the store of another chain")
	}
	cfg = r.config()
	cfg.Store = store.NewMemory()
	if err := cfg.Store.Commit(map[string][]byte{"v": {0, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.New(cfg); err == nil || !strings.Contains(err.Error(), "remove its folder, not the register") {
		t.Errorf("a store of an older format: %v", err)
	}
}

// failing is a register that cannot be written.
type failing struct{ ledger.Register }

func (failing) Swap([]byte, []byte) error { return errors.New("disk is full") }

func TestNothingIsSignedUnregistered(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 10)
	good := r.register
	r.register = failing{good}
	r.restart()
	if status, answer := r.add(0); status != http.StatusInternalServerError || strings.Contains(answer, "—") || strings.Contains(answer, "disk") {
		t.Errorf("status %d %s", status, answer)
	}
	r.register = good
	r.restart()
	r.wantSigned(0)
}

func TestConfig(t *testing.T) {
	r := newRig(t)
	for name, change := range map[string]func(*cosign.Config){
		"no key":      func(c *cosign.Config) { c.Key = "" },
		"public key":  func(c *cosign.Config) { c.Key = r.verifier },
		"no genesis":  func(c *cosign.Config) { c.Genesis = credential.Digest{} },
		"no URL":      func(c *cosign.Config) { c.LedgerURL = "" },
		"no store":    func(c *cosign.Config) { c.Store = nil },
		"no register": func(c *cosign.Config) { c.Register = nil },
	} {
		cfg := r.config()
		change(&cfg)
		if _, err := cosign.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), r.key) {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
}

func TestPebble(t *testing.T) {
	if testing.Short() {
		t.Skip("opens stores on disk")
	}
	r := newRig(t)
	folder := t.TempDir()
	for i := range 3 {
		old := 0
		if i > 0 {
			old = len(r.host.Entries)
		}
		r.host.Issue("", 2)
		r.host.Seal(start + credential.UnixTime(10*i+10))
		kept := ledgertest.Must(store.Open(store.Config{Dir: folder, Logger: slog.New(slog.DiscardHandler)}))(t)
		r.store = kept
		r.restart()
		r.wantSigned(old)
		r.cosigner.Close()
		if err := kept.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add([]byte("old 0\n\nnote"))
	f.Add([]byte("old 5\n" + hash + "\n\nnote\n\nsignatures\n"))
	f.Add([]byte("old 05\n\nnote"))
	f.Add([]byte("old +5\n\nnote"))
	f.Add([]byte("old 5\n" + hash + "\r\n\nnote"))
	f.Add([]byte("old 9223372036854775808\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := cosign.ParseRequest(data)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, cosign.ErrRequest) {
				t.Errorf("error is %v", err)
			}
			return
		}
		if again := body(int(r.Old), r.Proof, r.Checkpoint); again != string(data) {
			t.Errorf("%q is written as %q", data, again)
		}
	})
}
