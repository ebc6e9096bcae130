package outbox

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// timed opens an outbox in a bubble of synctest, with one endpoint and answers from a function, which is called once at a
// time.
func timed(t *testing.T, store *memory, answers transport) (*Outbox, Endpoint) {
	t.Helper()
	o := open(t, store)
	var mu sync.Mutex
	o.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		return answers(r)
	})
	return o, addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
}

// pass lets time pass and waits until what is due then is done, so that the test may look at what the answers wrote.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestGivesUp refuses a message for ever: attempts come less and less often for three days, then it is dead. It is
// replayed for three more, arrives, and nothing is left of it.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, status := newMemory(), http.StatusInternalServerError
		var times []time.Time
		ids := make(map[string]bool)
		o, e := timed(t, store, func(r *http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			ids[r.Header.Get(headerID)] = true
			if r.Header.Get(headerTimestamp) != fmt.Sprint(time.Now().Unix()) {
				t.Error("the timestamp is not of the attempt")
			}
			return answer(status), nil
		})
		run(t, o)
		begin := time.Now()
		happen(t, o, store, "x")
		pass(DefaultRetry + time.Hour)

		for i := 1; i < len(times); i++ {
			least := min(maxBackoff, firstBackoff<<min(i-1, 16)) / 2
			if wait := times[i].Sub(times[i-1]); wait < least-time.Second || wait > 2*least+maxPause {
				t.Errorf("attempt %d after %s, want %s to %s", i+1, wait, least, 2*least)
			}
		}
		if last := times[len(times)-1].Sub(begin); last > DefaultRetry || last < DefaultRetry-maxBackoff {
			t.Errorf("the last attempt was after %s", last)
		}
		dead, err := o.DeadMessages(e.ID, "")
		if err != nil || len(dead) != 1 || dead[0].Attempts != len(times) || !ids[dead[0].ID] || len(store.keys(tableDue)) != 0 {
			t.Fatalf("dead %+v, %v", dead, err)
		}

		status = http.StatusOK
		if err := o.Replay(e.ID, dead[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := o.Replay(e.ID, dead[0].ID); !errors.Is(err, ErrUnknown) {
			t.Errorf("replayed twice: %v", err)
		}
		pass(maxPause)
		if len(times) != dead[0].Attempts+1 || len(ids) != 1 {
			t.Errorf("%d attempts, %d identifiers", len(times), len(ids))
		}
		if len(store.keys(tableDue)) != 0 || len(store.keys(tableDead)) != 0 {
			t.Error("it is still there")
		}
	})
}

// TestReplayHasTimeAgain lets a replayed message fail: it must not die at once for being old.
func TestReplayHasTimeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int32
		store := newMemory()
		o, e := timed(t, store, func(*http.Request) (*http.Response, error) {
			attempts.Add(1)
			return answer(500), nil
		})
		run(t, o)
		happen(t, o, store, "x")
		pass(4 * 24 * time.Hour)
		dead, err := o.DeadMessages(e.ID, "")
		if err != nil || len(dead) != 1 {
			t.Fatalf("%+v, %v", dead, err)
		}
		before := attempts.Load()
		if err := o.Replay(e.ID, dead[0].ID); err != nil {
			t.Fatal(err)
		}
		pass(DefaultRetry - time.Hour - maxBackoff)
		if n := attempts.Load() - before; n < 10 {
			t.Errorf("%d attempts after the replay", n)
		}
		pass(maxBackoff + 2*time.Hour)
		if again, err := o.DeadMessages(e.ID, ""); err != nil || len(again) != 1 || again[0].ID != dead[0].ID {
			t.Errorf("%+v, %v", again, err)
		}
		if next, err := o.DeadMessages(e.ID, dead[0].ID); err != nil || len(next) != 0 {
			t.Errorf("after the last: %+v, %v", next, err)
		}
	})
}

// TestGone answers 410: the endpoint is disabled and gets nothing until it is enabled. What waited is sent then.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, status, attempts := newMemory(), 503, 0
		o, e := timed(t, store, func(*http.Request) (*http.Response, error) {
			attempts++
			return answer(status), nil
		})
		run(t, o)
		happen(t, o, store, "waits")
		synctest.Wait()
		status = http.StatusGone
		happen(t, o, store, "is told")
		pass(time.Hour)
		if got := o.Endpoints(); !got[0].Disabled {
			t.Error("it is not disabled")
		}
		before, rows := attempts, make(map[string][]byte)
		if err := o.Add(rows, Event{Type: testTypes[0]}); err != nil || len(rows) != 0 {
			t.Errorf("%d rows for it, %v", len(rows), err)
		}
		pass(24 * time.Hour)
		if attempts != before {
			t.Errorf("%d attempts while it was disabled", attempts-before)
		}
		if got := open(t, store.copy()).Endpoints(); !got[0].Disabled {
			t.Error("it is not disabled after a restart")
		}
		if dead := len(store.keys(tableDead)); dead == 0 {
			t.Error("what it answered 410 to is not dead")
		}

		due := len(store.keys(tableDue))
		status = 200
		if err := update(o, e); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if attempts != before+due || len(store.keys(tableDue)) != 0 {
			t.Errorf("%d attempts, %d were due", attempts-before, due)
		}
	})
}

// TestGoneElsewhere answers 410 at a URL that is replaced meanwhile: the new one is not disabled.
func TestGoneElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		o, e := timed(t, store, func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return answer(http.StatusGone), nil
		})
		run(t, o)
		happen(t, o, store, "x")
		synctest.Wait()
		e.URL = "https://other.example/"
		if err := update(o, e); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if got := o.Endpoints(); got[0].Disabled || got[0].URL != e.URL {
			t.Errorf("%+v", got)
		}
	})
}

// TestRetryAfter has an endpoint ask for time, for messages that come meanwhile, too.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status      int
		value       string
		least, most time.Duration
	}{
		{429, "3600", time.Hour, time.Hour + time.Minute},
		{503, "600", 10 * time.Minute, 11 * time.Minute},
		{503, "1", 2 * time.Second, 6 * time.Second}, // not sooner than we would
		{503, "99999999999999999999999999", maxRetryAfter, maxRetryAfter + time.Minute},
		{503, "Sat, 01 Jan 2000 02:00:00 GMT", 2 * time.Hour, 2*time.Hour + time.Minute}, // a bubble begins at midnight
		{503, "Sat, 01 Jan 2050 00:00:00 GMT", maxRetryAfter, maxRetryAfter + time.Minute},
		{503, "Fri, 31 Dec 1999 00:00:00 GMT", 2 * time.Second, 6 * time.Second},
		{503, "-5", 2 * time.Second, 6 * time.Second},
		{503, "soon", 2 * time.Second, 6 * time.Second},
		{500, "3600", 2 * time.Second, 6 * time.Second}, // says nothing of later
	} {
		synctest.Test(t, func(t *testing.T) {
			store, begin := newMemory(), time.Now()
			var second time.Duration
			attempts := 0
			o, _ := timed(t, store, func(*http.Request) (*http.Response, error) {
				if attempts++; attempts == 1 {
					return answer(c.status, "Retry-After", c.value), nil
				}
				if attempts == 2 {
					second = time.Since(begin)
				}
				return answer(200), nil
			})
			run(t, o)
			happen(t, o, store, "asked to wait")
			synctest.Wait()
			happen(t, o, store, "comes meanwhile")
			pass(12 * time.Hour)
			if second < c.least || second > c.most || attempts != 3 {
				t.Errorf("%d %q: next attempt after %s, want %s to %s; %d attempts", c.status, c.value, second, c.least, c.most, attempts)
			}
		})
	}
}

// TestForgottenWake commits an event and says nothing.
func TestForgottenWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, attempts := newMemory(), 0
		o, _ := timed(t, store, func(*http.Request) (*http.Response, error) { attempts++; return answer(200), nil })
		run(t, o)
		synctest.Wait()
		rows := make(map[string][]byte)
		if err := o.Add(rows, Event{Type: testTypes[0]}); err != nil {
			t.Fatal(err)
		}
		if err := store.Commit(rows); err != nil {
			t.Fatal(err)
		}
		pass(2 * maxIdle)
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// TestBacklog lets an endpoint be down while a thousand messages come: it is not stormed, and gets all when it is back.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 1000
		var down atomic.Bool
		down.Store(true)
		store, attempts := newMemory(), make(chan string, 100*messages)
		o, _ := timed(t, store, func(r *http.Request) (*http.Response, error) {
			attempts <- r.Header.Get(headerID)
			if down.Load() {
				return nil, errors.New("connection refused")
			}
			return answer(200), nil
		})
		run(t, o)
		for i := range messages {
			happen(t, o, store, fmt.Sprint(i))
		}
		pass(time.Hour)
		if n := len(attempts); n > 150*batchSize {
			t.Errorf("%d attempts in an hour", n)
		}
		down.Store(false)
		for len(attempts) > 0 {
			<-attempts
		}
		pass(maxBackoff)
		arrived := make(map[string]bool)
		for len(attempts) > 0 {
			arrived[<-attempts] = true
		}
		if len(arrived) != messages || len(store.keys(tableDue)) != 0 {
			t.Errorf("%d arrived, %d are due", len(arrived), len(store.keys(tableDue)))
		}
	})
}

// TestPurge lets a message die, and one wait at a disabled endpoint: both are forgotten a month later, and not before.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		o, e := timed(t, store, func(*http.Request) (*http.Response, error) { return answer(500), nil })
		run(t, o)
		happen(t, o, store, "dies")
		pass(DefaultRetry + time.Hour)
		happen(t, o, store, "waits")
		synctest.Wait()
		e.Disabled = true
		if err := update(o, e); err != nil {
			t.Fatal(err)
		}
		count := func() int { return len(store.keys(tableDead)) + len(store.keys(tableDue)) }
		pass(deadRetention - maxBackoff - 2*time.Hour)
		if n := count(); n != 2 {
			t.Errorf("%d are left too early, want 2", n)
		}
		pass(2*maxBackoff + 4*time.Hour)
		if n := count(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		o, e := timed(t, store, func(*http.Request) (*http.Response, error) { return answer(200), nil })
		run(t, o)
		for i := range maxLog + 50 {
			happen(t, o, store, fmt.Sprint(i))
			pass(time.Second)
		}
		for name, box := range map[string]*Outbox{"at once": o, "after a restart": open(t, store.copy())} {
			log, err := box.Log(e.ID)
			if err != nil || len(log) != maxLog || log[0].Time-log[maxLog-1].Time != maxLog-1 {
				t.Errorf("%s: %d lines, %v", name, len(log), err)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		attempts int
		most     time.Duration
	}{{1, firstBackoff}, {2, 2 * firstBackoff}, {5, 16 * firstBackoff}, {15, maxBackoff}, {16, maxBackoff}, {1000, maxBackoff}} {
		seen := make(map[time.Duration]bool)
		for range 50 {
			got := backoff(c.attempts)
			if seen[got] = true; got < c.most/2 || got > c.most {
				t.Errorf("after %d attempts %s, want %s to %s", c.attempts, got, c.most/2, c.most)
			}
		}
		if len(seen) < 10 {
			t.Errorf("only %d values: no jitter", len(seen))
		}
	}
}

// TestRetryPeriod tries a message for as long as the operator says, and no longer.
func TestRetryPeriod(t *testing.T) {
	for _, period := range []time.Duration{MinRetry, 10 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			o, err := New(Config{Store: store, Types: testTypes, Egress: local, RetryFor: period})
			if err != nil {
				t.Fatal(err)
			}
			var last time.Time
			o.client.Transport = transport(func(*http.Request) (*http.Response, error) {
				last = time.Now() // the one message is tried once at a time
				return answer(http.StatusInternalServerError), nil
			})
			addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
			run(t, o)
			begin := time.Now()
			happen(t, o, store, "x")
			pass(period + time.Hour)
			if tried := last.Sub(begin); tried > period || tried < min(period/4, period-maxBackoff) || len(store.keys(tableDead)) != 1 {
				t.Errorf("a period of %s: tried for %s, %d dead", period, tried, len(store.keys(tableDead)))
			}
		})
	}
	for _, period := range []time.Duration{-1, MinRetry - 1, MaxRetry + 1} {
		if _, err := New(Config{Store: newMemory(), Types: testTypes, RetryFor: period}); err == nil {
			t.Errorf("a period of %s is taken", period)
		}
	}
}
