package verifier_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

func TestOncePerPerson(t *testing.T) {
	w := newWorld(t)
	me, other := w.resident(w.person()), w.resident(w.person())
	w.seal()
	ask := func(c *held) (check.Code, *verifier.Status) {
		started, request, id := w.begin("subsidy")
		err := w.respond(id, request, w.answer(request, c))
		return codeOf(err), w.status(started.ID)
	}
	if code, _ := ask(me); code != "ok" {
		t.Fatal(code)
	}
	if code, status := ask(me); code != check.PseudonymUsed || status.State != verifier.Rejected || status.Reason.Query != "residence" {
		t.Errorf("the same person again: %s, %+v", code, status)
	}
	if code, _ := ask(other); code != "ok" {
		t.Errorf("another person: %s", code)
	}
	w.clock.advance(400 * day) // nothing is forgotten, also over a restart
	if _, err := w.verifier.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ledger.registry.VerifyingKeys[0].NotAfter += 1 << 30
	w.seal()
	w.start()
	if code, _ := ask(me); code != check.PseudonymUsed {
		t.Errorf("the same person after a year: %s", code)
	}
}

// The parcel changes hands; its tag does not.
func TestOncePerThing(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.owner(w.person(), "91216-A-17"), w.owner(w.person(), "91216-A-17")
	neighbour := w.owner(w.person(), "91216-A-18")
	w.seal()
	for _, step := range []struct {
		who  *held
		want check.Code
	}{{seller, "ok"}, {buyer, check.SubjectTagUsed}, {neighbour, "ok"}, {seller, check.SubjectTagUsed}} {
		_, request, id := w.begin("pledge")
		if got := codeOf(w.respond(id, request, w.answer(request, step.who))); got != step.want {
			t.Errorf("got %s, want %s", got, step.want)
		}
	}
}

// A pseudonym that is asked for without "once" recognises a person and hinders nobody.
func TestReturningReader(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	var seen []string
	for range 2 {
		started, request, id := w.begin("reader")
		if err := w.respond(id, request, w.answer(request, me)); err != nil {
			t.Fatal(err)
		}
		result, err := check.VerifyResult(w.status(started.ID).Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, result.Facts[0].Tags.Pseudonym.String())
	}
	if seen[0] != seen[1] {
		t.Error("the pseudonym changed")
	}
}

// In a response by several persons each counts once, too.
func TestOnceWithinOneResponse(t *testing.T) {
	w := newWorld(t)
	me := w.person()
	mine, again, other := w.resident(me), w.resident(me), w.resident(w.person())
	w.seal()
	_, request, id := w.begin("couple")
	if got := codeOf(w.respond(id, request, w.answer(request, mine, again))); got != check.PseudonymUsed {
		t.Errorf("one person twice: %s", got)
	}
	if got := codeOf(w.respond(id, request, w.answer(request, mine, mine))); got != check.ItemRepeated {
		t.Errorf("one credential twice: %s", got)
	}
	if got := codeOf(w.respond(id, request, w.answer(request, mine, other))); got != "ok" {
		t.Errorf("two persons: %s", got)
	}
	_, request, id = w.begin("subsidy")
	if got := codeOf(w.respond(id, request, w.answer(request, other))); got != check.PseudonymUsed {
		t.Errorf("one of the two alone: %s", got)
	}
}

// together runs f n times at once and counts the codes.
func together(n int, f func(i int) error) map[check.Code]int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := make(map[check.Code]int)
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			code := codeOf(f(i))
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	close(start)
	wg.Wait()
	return codes
}

func stores(t *testing.T, f func(*testing.T, *world)) {
	t.Run("memory", func(t *testing.T) { f(t, newWorld(t)) })
	t.Run("pebble", func(t *testing.T) {
		w := newWorld(t)
		s, err := store.Open(store.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		w.store = s
		w.start()
		f(t, w)
	})
}

// counting counts the results that are committed.
type counting struct {
	verifier.Store
	results atomic.Int32
}

func (c *counting) Commit(b verifier.Batch) error {
	err := c.Store.Commit(b)
	if err == nil && isResult(b) {
		c.results.Add(1)
	}
	return err
}

// isResult knows the batches of the policy "subsidy" by their tag.
func isResult(b verifier.Batch) bool {
	return slices.ContainsFunc(b.Absent, func(key string) bool { return strings.HasPrefix(key, "tag/") })
}

// One response sent many times, as by a wallet that does not wait, is one presentation: all are told that it was taken.
func TestOneResponseManyTimesAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		counted := &counting{Store: w.store}
		w.store = counted
		w.start()
		me := w.resident(w.person())
		w.seal()
		started, request, id := w.begin("subsidy")
		token := w.answer(request, me)
		codes := together(64, func(int) error { return w.respond(id, request, token) })
		if codes["ok"] != 64 || counted.results.Load() != 1 {
			t.Errorf("codes %v, %d results", codes, counted.results.Load())
		}
		if status := w.status(started.ID); status.State != verifier.Verified || status.Reason != nil {
			t.Errorf("status %+v", status)
		}
	})
}

// Many responses to one request, of one credential, with proofs and numbers of their own: one is taken.
func TestManyResponsesToOneRequestAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		me := w.resident(w.person())
		w.seal()
		started, request, id := w.begin("subsidy")
		var tokens [64]openid.VPToken
		for i := range tokens {
			tokens[i] = w.answer(request, me)
		}
		codes := together(64, func(i int) error { return w.respond(id, request, tokens[i]) })
		if codes["ok"] != 1 || codes[check.SessionAnswered] != 63 {
			t.Errorf("codes %v, want one ok and 63 %s", codes, check.SessionAnswered)
		}
		if status := w.status(started.ID); status.State != verifier.Verified || status.Reason != nil {
			t.Errorf("status %+v", status)
		}
	})
}

func TestOnePersonInManySessionsAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		const n = 32
		me := w.resident(w.person())
		w.seal()
		var ids, sessions [n]string
		var requests [n]*openid.RequestObject
		var tokens [n]openid.VPToken
		for i := range n {
			var started *verifier.Started
			started, requests[i], ids[i] = w.begin("subsidy")
			sessions[i], tokens[i] = started.ID, w.answer(requests[i], me)
		}
		codes := together(n, func(i int) error { return w.respond(ids[i], requests[i], tokens[i]) })
		if codes["ok"] != 1 || codes[check.PseudonymUsed] != n-1 {
			t.Errorf("codes %v, want one ok and %d %s", codes, n-1, check.PseudonymUsed)
		}
		results := 0
		for _, id := range sessions {
			if w.status(id).Result != "" {
				results++
			}
		}
		if results != 1 {
			t.Errorf("%d results", results)
		}
	})
}

// Bad and good responses to one request, at once: refusals are noted, and never undo the result.
func TestGoodAmongBad(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		me := w.resident(w.person())
		w.seal()
		started, request, id := w.begin("residence")
		good, bad := w.answer(request, me), w.answer(request, me)
		bad["residence"][0].Proof = tamper(bad["residence"][0].Proof)
		codes := together(12, func(i int) error {
			if i%4 == 0 {
				return w.respond(id, request, good)
			}
			return w.respond(id, request, bad)
		})
		if codes["ok"] != 3 || codes[check.SessionAnswered]+codes[check.ProofInvalid] != 9 {
			t.Errorf("codes %v", codes)
		}
		if status := w.status(started.ID); status.State != verifier.Verified || status.Result == "" {
			t.Errorf("status %+v", status)
		}
	})
}

// failing is a store whose next commits of a result fail, before or after they were applied.
type failing struct {
	verifier.Store
	mu       sync.Mutex
	failures int
	applied  bool
}

var errDisk = errors.New("disk is full")

func (f *failing) Commit(b verifier.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isResult(b) || f.failures == 0 {
		return f.Store.Commit(b)
	}
	f.failures--
	if f.applied {
		if err := f.Store.Commit(b); err != nil {
			return err
		}
	}
	return errDisk
}

// A crash between the check of the proof and the commit loses nothing and doubles nothing.
func TestCrashBeforeCommit(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t)
		w.store = &failing{Store: w.store, failures: 1, applied: applied}
		w.start()
		me := w.resident(w.person())
		w.seal()
		started, request, id := w.begin("subsidy")
		token := w.answer(request, me)
		if err := w.respond(id, request, token); !errors.Is(err, errDisk) {
			t.Fatalf("applied %v: %v", applied, err)
		}
		w.start() // as after a restart
		state := verifier.Fetched
		if applied {
			state = verifier.Verified
		}
		if got := w.status(started.ID); got.State != state || (got.Result != "") != applied {
			t.Errorf("applied %v: status %+v", applied, got)
		}
		if got := codeOf(w.respond(id, request, token)); got != "ok" {
			t.Errorf("applied %v: sent again: %s", applied, got)
		}
		if status := w.status(started.ID); status.State != verifier.Verified || status.Result == "" {
			t.Errorf("applied %v: status %+v", applied, status)
		}
		_, request, id = w.begin("subsidy")
		if got := codeOf(w.respond(id, request, w.answer(request, me))); got != check.PseudonymUsed {
			t.Errorf("applied %v: second use: %s", applied, got)
		}
	}
}

// A refused response consumes nothing: the wallet takes a fresher root and is accepted. After too many it ends.
func TestAttempts(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	started, request, id := w.begin("subsidy")
	bad := w.answer(request, me)
	plusOne(&bad["residence"][0].Root)
	for range 15 {
		if got := codeOf(w.respond(id, request, bad)); got != check.RootUnknown {
			t.Fatal(got)
		}
	}
	if status := w.status(started.ID); status.Final || status.State != verifier.Rejected {
		t.Errorf("status %+v", status)
	}
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Errorf("good after 15 bad: %v", err)
	}

	started, request, id = w.begin("residence")
	bad = w.answer(request, me)
	plusOne(&bad["residence"][0].Root)
	for range 16 {
		_ = w.respond(id, request, bad)
	}
	if got := codeOf(w.respond(id, request, w.answer(request, me))); got != check.SessionExhausted {
		t.Errorf("good after 16 bad: %s", got)
	}
	if status := w.status(started.ID); !status.Final || status.Reason.Code != check.RootUnknown {
		t.Errorf("status %+v", status)
	}
}

func TestHolderDeclines(t *testing.T) {
	w := newWorld(t)
	for sent, want := range map[string]check.Code{"access_denied": check.RefusedByHolder, "invalid_request": check.WalletError, "x": check.WalletError} {
		started, request, id := w.begin("residence")
		if got := codeOf(w.verifier.Respond(t.Context(), id, verifier.Response{State: "x", Error: sent})); got != check.StateMismatch {
			t.Errorf("wrong state: %s", got)
		}
		if got := codeOf(w.verifier.Respond(t.Context(), id, verifier.Response{State: request.State, Error: sent})); got != want {
			t.Errorf("%s: %s, want %s", sent, got, want)
		}
		if status := w.status(started.ID); status.State != verifier.Rejected || !status.Final || status.Reason.Code != want {
			t.Errorf("%s: status %+v", sent, status)
		}
	}
}

func TestExpiryAndPurge(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	unanswered, _, unansweredID := w.begin("residence")
	answered, request, id := w.begin("residence")
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(5 * time.Minute)
	if status := w.status(unanswered.ID); status.State != verifier.Expired || !status.Final {
		t.Errorf("status %+v", status)
	}
	if _, err := w.verifier.Request(t.Context(), unansweredID); codeOf(err) != check.SessionExpired {
		t.Errorf("fetch: %v", err)
	}
	purge := func(want int) {
		t.Helper()
		if n, err := w.verifier.Purge(t.Context()); err != nil || n != want {
			t.Errorf("purged %d, %v; want %d", n, err, want)
		}
	}
	purge(0)
	w.clock.advance(time.Hour)
	purge(1)
	if _, err := w.verifier.Status(t.Context(), "app", unanswered.ID); !errors.Is(err, verifier.ErrAbsent) {
		t.Errorf("purged session: %v", err)
	}
	if w.status(answered.ID).Result == "" {
		t.Error("the result is gone before its retention ended")
	}
	w.clock.advance(30 * day)
	purge(1)
	if _, err := w.verifier.Status(t.Context(), "app", answered.ID); !errors.Is(err, verifier.ErrAbsent) {
		t.Errorf("result after its retention: %v", err)
	}
	if _, err := w.verifier.Request(t.Context(), id); codeOf(err) != check.SessionUnknown {
		t.Errorf("request of a purged session: %v", err)
	}
}
