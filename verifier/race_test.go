package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

// onDisk puts the verifier over a store in Pebble.
func (w *world) onDisk() {
	w.t.Helper()
	s, err := store.Open(store.Config{Dir: w.t.TempDir()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.store = s
	w.start()
}

// raceOverHTTP posts every answer from its own connection, all at once, and counts what the clients are told.
func (w *world) raceOverHTTP(list []posting) map[check.Code]int {
	w.t.Helper()
	server := httptest.NewServer(w.handler)
	defer server.Close()
	return together(len(list), func(i int) error {
		client := &http.Client{Transport: new(http.Transport)}
		defer client.CloseIdleConnections()
		r, err := client.Post(server.URL+list[i].path, formType, strings.NewReader(list[i].form))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		var e openid.Error
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.Code == "" {
			return err
		}
		return check.Refuse(check.Code(e.Code), "", nil)
	})
}

// verified counts the sessions that have a result.
func (w *world) verified(list []posting) int {
	w.t.Helper()
	sessions := make(map[string]bool)
	for _, p := range list {
		if status := w.status(p.session); status.State == verifier.Verified && status.Result != "" {
			sessions[p.session] = true
		}
	}
	return len(sessions)
}

// 64 clients with one credential, or with credentials of one thing, each in a session of its own: one is verified.
func TestRaceOverHTTP(t *testing.T) {
	for _, c := range []struct {
		policy string
		code   check.Code
		who    func(*world) []*held
	}{
		{"subsidy", check.PseudonymUsed, func(w *world) []*held { return []*held{w.resident(w.person())} }},
		{"pledge", check.SubjectTagUsed, func(w *world) []*held {
			return []*held{w.owner(w.person(), "91216-A-17"), w.owner(w.person(), "91216-A-17"), w.owner(w.person(), "91216-A-17")}
		}},
	} {
		t.Run(c.policy, func(t *testing.T) {
			w := newWorld(t)
			w.onDisk()
			who := c.who(w)
			w.seal()
			list := make([]posting, 64)
			for i := range list {
				list[i] = w.posting(c.policy, who[i%len(who)])
			}
			if codes := w.raceOverHTTP(list); codes["ok"] != 1 || codes[c.code] != 63 {
				t.Errorf("%v, want one ok and 63 %s", codes, c.code)
			}
			if n := w.verified(list); n != 1 {
				t.Errorf("%d sessions are verified", n)
			}
		})
	}
}

// The same with real proofs of one credential: 64 clients in 8 sessions, as a proof takes a fifth of a second; clients of one
// session send the same bytes. BULLA_SOAK=1: in 64 sessions.
func TestRaceProven(t *testing.T) {
	if testing.Short() {
		t.Skip("proves")
	}
	sessions := 8
	if os.Getenv("BULLA_SOAK") != "" {
		sessions = 64
	}
	prover := circuitstest.Prover(t, circuits.Presentation, true)
	w := newWorldWith(t, circuitstest.VerifyingKey(t, circuits.Presentation), func(public presentation.Public, private presentation.Private) ([]byte, error) {
		return prover.ProvePresentation(t.Context(), public, private)
	})
	w.onDisk()
	me := w.resident(w.person())
	w.seal()
	var list []posting
	for range sessions {
		p := w.posting("subsidy", me)
		for range 64 / sessions {
			list = append(list, p)
		}
	}
	same := 64 / sessions
	if codes := w.raceOverHTTP(list); codes["ok"] != same || codes[check.PseudonymUsed]+codes[check.SessionExhausted] != 64-same {
		t.Errorf("%v, want %d ok, those of one session", codes, same)
	}
	if n := w.verified(list); n != 1 {
		t.Errorf("%d sessions are verified", n)
	}
}

// Stores that fail or fall behind make nobody's tag count twice: the commits of half of the results fail, before or after they are
// applied, and every wallet sends again until it is told something.
func TestRaceOverAFailingStore(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t)
		w.store = &failing{Store: w.store, failures: 20, applied: applied}
		w.start()
		people := w.residents(8)
		var list []posting
		for i := range 32 {
			list = append(list, w.posting("subsidy", people[i%len(people)]))
		}
		var told sync.Map
		for range 10 {
			for code, n := range w.raceOverHTTP(list) {
				told.Store(code, n)
			}
		}
		if n := w.verified(list); n != len(people) {
			t.Errorf("applied %v: %d people were verified in %d sessions", applied, len(people), n)
		}
		told.Range(func(code, _ any) bool {
			if code != check.Code("ok") && code != check.PseudonymUsed && code != check.Unavailable && code != check.SessionExhausted {
				t.Errorf("applied %v: told %v", applied, code)
			}
			return true
		})
	}
}
