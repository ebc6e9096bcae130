package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
)

func TestDelivery(t *testing.T) {
	store, r := newMemory(), newReceiver(t, nil)
	o := open(t, store)
	e := addEndpoint(t, o, Endpoint{URL: r.URL + "/hook"})
	stop := run(t, o)
	happen(t, o, store, "one")
	m := r.next(t)
	if id, err := Verify(e.Secrets, m.header, []byte(m.body), time.Now()); err != nil || id != m.id {
		t.Errorf("%s: %v", id, err)
	}
	var payload struct {
		Type, Data string
		Timestamp  time.Time
	}
	if err := json.Unmarshal([]byte(m.body), &payload); err != nil {
		t.Fatal(err)
	}
	if payload.Type != "credential.revoked" || payload.Data != "one" || time.Since(payload.Timestamp) > time.Minute {
		t.Errorf("payload %s", m.body)
	}
	if got := m.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %s", got)
	}
	eventually(t, "nothing is due", func() bool { return len(store.keys(tableDue)) == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	log, err := o.Log(e.ID)
	if err != nil || len(log) != 1 || log[0].Code != codeArrived || log[0].Status != 200 || log[0].ID != m.id || log[0].Attempt != 1 {
		t.Errorf("log %+v, %v", log, err)
	}
}

// TestEndpointsGetWhatTheyWant adds events of two types for endpoints with several tastes.
func TestEndpointsGetWhatTheyWant(t *testing.T) {
	o := open(t, newMemory())
	for _, c := range []struct {
		e    Endpoint
		want map[string]int
	}{
		{Endpoint{}, map[string]int{"credential.issued": 1, "credential.revoked": 1}},
		{Endpoint{Types: []string{"credential.issued"}}, map[string]int{"credential.issued": 1}},
		{Endpoint{Disabled: true}, nil},
	} {
		c.e.URL = "https://example.com/"
		e := addEndpoint(t, o, c.e)
		for _, name := range testTypes {
			rows := make(map[string][]byte)
			if err := o.Add(rows, Event{Type: name}); err != nil {
				t.Fatal(err)
			}
			if len(rows) != c.want[name] {
				t.Errorf("%+v: %d rows of %s", c.e, len(rows), name)
			}
		}
		if err := o.RemoveEndpoint(e.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	o := open(t, newMemory())
	addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
	for name, e := range map[string]Event{
		"unknown type": {Type: "credential.lost"},
		"no type":      {},
		"too long":     {Type: testTypes[0], Data: strings.Repeat("x", maxPayload)},
		"not JSON":     {Type: testTypes[0], Data: make(chan int)},
	} {
		rows := make(map[string][]byte)
		if err := o.Add(rows, e); err == nil || len(rows) != 0 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}

// TestNothingWithoutItsCommit adds an event to a change that is then given up.
func TestNothingWithoutItsCommit(t *testing.T) {
	store, r := newMemory(), newReceiver(t, nil)
	o := open(t, store)
	addEndpoint(t, o, Endpoint{URL: r.URL})
	run(t, o)
	if err := o.Add(make(map[string][]byte), Event{Type: "credential.revoked", Data: "given up"}); err != nil {
		t.Fatal(err)
	}
	o.Wake()
	happen(t, o, store, "kept")
	if m := r.next(t); !strings.Contains(m.body, "kept") {
		t.Errorf("got %s", m.body)
	}
}

// TestSlowEndpoint has an endpoint that answers nothing while another one gets everything.
func TestSlowEndpoint(t *testing.T) {
	store, release := newMemory(), make(chan struct{})
	slow := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	quick := newReceiver(t, nil)
	o := open(t, store)
	addEndpoint(t, o, Endpoint{URL: slow.URL})
	addEndpoint(t, o, Endpoint{URL: quick.URL})
	run(t, o)
	happen(t, o, store, "first")
	slow.next(t)
	for i := range 5 * batchSize {
		happen(t, o, store, fmt.Sprint(i))
	}
	for range 5*batchSize + 1 {
		quick.next(t)
	}
	if n := len(slow.got); n > batchSize {
		t.Errorf("%d requests are under way to the slow one, at most %d", n, batchSize)
	}
}

func TestRotation(t *testing.T) {
	store, r := newMemory(), newReceiver(t, nil)
	o := open(t, store)
	e := addEndpoint(t, o, Endpoint{URL: r.URL})
	old, fresh := e.Secrets[0], NewSecret()
	run(t, o)
	for _, c := range []struct{ secrets, right, wrong []Secret }{
		{[]Secret{old}, []Secret{old}, []Secret{fresh}},
		{[]Secret{fresh, old}, []Secret{old, fresh}, []Secret{NewSecret()}},
		{[]Secret{fresh}, []Secret{fresh}, []Secret{old}},
	} {
		e.Secrets = c.secrets
		if err := update(o, e); err != nil {
			t.Fatal(err)
		}
		happen(t, o, store, "x")
		m := r.next(t)
		for _, s := range c.right {
			if _, err := Verify([]Secret{s}, m.header, []byte(m.body), time.Now()); err != nil {
				t.Error(err)
			}
		}
		for _, s := range c.wrong {
			if _, err := Verify([]Secret{s}, m.header, []byte(m.body), time.Now()); err == nil {
				t.Error("verified under a secret that is not used")
			}
		}
	}
}

// TestCrash kills the process between the moment a message arrived and the moment that is known: it comes again, the same.
func TestCrash(t *testing.T) {
	store := newMemory()
	var disk atomic.Pointer[memory]
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { disk.CompareAndSwap(nil, store.copy()) })
	o := open(t, store)
	e := addEndpoint(t, o, Endpoint{URL: r.URL})
	stop := run(t, o)
	happen(t, o, store, "once")
	first := r.next(t)
	eventually(t, "nothing is due", func() bool { return len(store.keys(tableDue)) == 0 })
	stop()

	restarted := open(t, disk.Load())
	run(t, restarted)
	second := r.next(t)
	if second.id != first.id || second.body != first.body {
		t.Errorf("first %s %s, then %s %s", first.id, first.body, second.id, second.body)
	}
	if _, err := Verify(e.Secrets, second.header, []byte(second.body), time.Now()); err != nil {
		t.Error(err)
	}
	eventually(t, "nothing is due after the restart", func() bool { return len(disk.Load().keys(tableDue)) == 0 })
}

// TestFailingStore fails each commit in turn, written or not, until all goes well. What is on disk then is delivered after
// a restart at the latest, and what is not never is.
func TestFailingStore(t *testing.T) {
	for _, wrote := range []bool{false, true} {
		failures := 0
		for failOnce(t, failures+1, wrote) {
			failures++
		}
		if failures != 6 { // three changes, and what became of each
			t.Errorf("only %d commits failed: the test proves little", failures)
		}
	}
}

// failOnce says whether a commit failed.
func failOnce(t *testing.T, failAt int, wrote bool) bool {
	store, r := newMemory(), newReceiver(t, nil)
	o := open(t, store)
	addEndpoint(t, o, Endpoint{URL: r.URL})
	store.failAt, store.wrote = failAt, wrote
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	for i := range 3 {
		rows := map[string][]byte{fmt.Sprintf("change/%d", i): {}}
		if err := o.Add(rows, Event{Type: "credential.revoked", Data: fmt.Sprintf("change/%d", i)}); err != nil {
			t.Fatal(err)
		}
		if store.Commit(rows) == nil {
			o.Wake()
		}
		eventually(t, "nothing is due, or the store failed", func() bool { // so that the order of commits is fixed
			return len(store.keys(tableDue)) == 0 || store.isBroken()
		})
	}
	broken := store.isBroken()
	if !broken {
		cancel()
	}
	o.Wake()
	if err := <-ended; broken != errors.Is(err, errPower) || !broken && err != nil {
		t.Errorf("commit %d: Run returned %v", failAt, err)
	}
	cancel()

	disk := store.copy()
	stop := run(t, open(t, disk))
	eventually(t, "nothing is due after the restart", func() bool { return len(disk.keys(tableDue)) == 0 })
	stop()
	checkArrived(t, r, disk)
	return broken
}

// checkArrived compares what arrived with the changes on disk.
func checkArrived(t *testing.T, r *receiver, disk *memory) {
	t.Helper()
	arrived := make(map[string]bool)
	for len(r.got) > 0 {
		var payload struct{ Data string }
		if err := json.Unmarshal([]byte(r.next(t).body), &payload); err != nil {
			t.Fatal(err)
		}
		arrived[payload.Data] = true
	}
	if got, want := slices.Sorted(maps.Keys(arrived)), disk.keys("change/"); !slices.Equal(got, want) {
		t.Errorf("arrived %q, on disk %q", got, want)
	}
}

// TestForbiddenAddress opens rows of a time when loopback was allowed.
func TestForbiddenAddress(t *testing.T) {
	store, r := newMemory(), newReceiver(t, nil)
	e := addEndpoint(t, open(t, store), Endpoint{URL: r.URL})
	o, err := New(Config{Store: store, Types: testTypes, Egress: egress.Config{AllowHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, o)
	happen(t, o, store, "x")
	eventually(t, "an attempt is logged", func() bool {
		log, err := o.Log(e.ID)
		return err == nil && len(log) == 1 && log[0].Code == codeForbidden
	})
	if len(r.got) != 0 {
		t.Error("it arrived")
	}
}

func TestCodes(t *testing.T) {
	closed := newReceiver(t, nil)
	closed.Close()
	hangsUp := newReceiver(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	status := func(status int) string {
		return newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}).URL
	}
	selfSigned := httptest.NewUnstartedServer(nil)
	selfSigned.Config.ErrorLog = log.New(io.Discard, "", 0)
	selfSigned.StartTLS()
	defer selfSigned.Close()
	for _, c := range []struct {
		url    string
		status int
		code   Code
	}{
		{status(200), 200, codeArrived}, {status(204), 204, codeArrived}, {status(299), 299, codeArrived},
		{status(301), 301, codeRefused}, {status(308), 308, codeRefused}, {status(400), 400, codeRefused},
		{status(410), 410, codeGone}, {status(500), 500, codeRefused},
		{closed.URL, 0, codeUnreachable}, {hangsUp.URL, 0, codeUnreachable}, {selfSigned.URL, 0, codeTLS},
		{"http://10.0.0.1/", 0, codeForbidden},
	} {
		out := open(t, newMemory()).attempt(t.Context(), Endpoint{URL: c.url}, delivery{ID: "msg_1"})
		if out.status != c.status || out.code != c.code {
			t.Errorf("%s: %+v, want %d %s", c.url, out, c.status, c.code)
		}
	}
}

func TestTimeoutHasItsCode(t *testing.T) {
	release := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	quick := local
	quick.Timeout = 50 * time.Millisecond
	o, err := New(Config{Store: newMemory(), Egress: quick})
	if err != nil {
		t.Fatal(err)
	}
	if out := o.attempt(t.Context(), Endpoint{URL: r.URL}, delivery{ID: "msg_1"}); out.code != codeTimeout {
		t.Errorf("%+v", out)
	}
}

// TestInterrupted stops while a message is under way: it stays due, and no attempt counts.
func TestInterrupted(t *testing.T) {
	store, release := newMemory(), make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	o := open(t, store)
	e := addEndpoint(t, o, Endpoint{URL: r.URL})
	stop := run(t, o)
	happen(t, o, store, "x")
	r.next(t)
	before := store.keys(tableDue)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if after := store.keys(tableDue); len(after) != 1 || after[0] != before[0] {
		t.Errorf("due before %q, after %q", before, after)
	}
	if log, err := o.Log(e.ID); err != nil || len(log) != 0 {
		t.Errorf("log %+v, %v", log, err)
	}
}

func TestOnlyOneRun(t *testing.T) {
	o := open(t, newMemory())
	run(t, o)
	eventually(t, "it runs", o.running.Load)
	if err := o.Run(t.Context()); err == nil {
		t.Error("it runs twice")
	}
}

// TestNothingSecretIsLogged lets a message die and looks for its payload, the URL and the secret.
func TestNothingSecretIsLogged(t *testing.T) {
	store := newMemory()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "confidential answer", http.StatusGone) })
	var out bytes.Buffer
	o, err := New(Config{Store: store, Types: testTypes, Egress: local, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	e := addEndpoint(t, o, Endpoint{URL: r.URL + "/hidden"})
	stop := run(t, o)
	happen(t, o, store, "confidential")
	eventually(t, "it is dead", func() bool { return len(store.keys(tableDead)) == 1 })
	stop()
	kept := out.String() + string(store.copy().rows[tableLog+e.ID])
	if !strings.Contains(kept, "given up") || !strings.Contains(kept, "gone") {
		t.Errorf("the log tells too little: %s", kept)
	}
	for _, secret := range []string{"confidential", "hidden", e.Secrets[0].Reveal()} {
		if strings.Contains(kept, secret) {
			t.Errorf("%q is in the log: %s", secret, kept)
		}
	}
}
