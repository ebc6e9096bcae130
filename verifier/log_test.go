package verifier_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// log is all of the log, page by page.
func (w *world) log(q verifier.LogQuery) (list []verifier.LogEntry) {
	w.t.Helper()
	q.All = q.Client == ""
	for {
		page, err := w.verifier.Log(q)
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, page.Entries...)
		if page.Next == "" {
			return list
		}
		q.After = page.Next
	}
}

func (w *world) rows() map[string]string {
	w.t.Helper()
	rows := make(map[string]string)
	if err := w.store.Each("", func(key string, row []byte) error { rows[key] = string(row); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// Each session leaves one entry, however it ends, and the entry says nothing of the person.
func TestLog(t *testing.T) {
	w := newWorld(t)
	me, owner := w.resident(w.person()), w.owner(w.person(), "91216-A-17")
	w.seal()
	begun := credential.UnixTimeOf(w.clock.Now())
	var secrets []string
	begin := func(policy string) (started *verifier.Started, respond func(*held) check.Code) {
		started, request, id := w.begin(policy)
		secrets = append(secrets, started.ID, id, request.State, request.Nonce, started.PageURI[strings.LastIndex(started.PageURI, "/")+1:])
		w.clock.advance(2 * time.Second)
		return started, func(c *held) check.Code {
			token := w.answer(request, c)
			for _, list := range token {
				for _, p := range list {
					secrets = append(secrets, string(p.Proof), p.N.String(), p.Link.String(), p.Item.String())
					if !p.Pseudonym.IsZero() {
						secrets = append(secrets, p.Pseudonym.String())
					}
					for _, value := range p.Disclosed {
						secrets = append(secrets, fmt.Sprint(value))
					}
				}
			}
			return codeOf(w.respond(id, request, token))
		}
	}
	_, respond := begin("subsidy")
	respond(me)
	_, respond = begin("land")
	respond(owner)
	_, respond = begin("subsidy")
	for range 16 {
		respond(me) // who was here before
	}
	started, _ := begin("residence")
	if err := w.verifier.CancelPage(t.Context(), started.PageURI[strings.LastIndex(started.PageURI, "/")+1:]); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Second) // entries of one second are in no order
	_, request, id := w.begin("residence")
	_ = w.verifier.Respond(t.Context(), id, verifier.Response{State: request.State, Error: "access_denied"})
	begin("residence") // nobody answers
	_, respond = begin("subsidy")
	respond(me) // once, and leaves it
	if n := len(w.log(verifier.LogQuery{})); n != 5 {
		t.Errorf("%d entries before the rest expired", n)
	}
	w.clock.advance(2 * time.Hour)
	w.purge()
	w.purge()
	want := []verifier.LogEntry{
		{Policy: "subsidy", State: verifier.Verified, Once: true},
		{Policy: "land", State: verifier.Verified},
		{Policy: "subsidy", State: verifier.Rejected, Code: check.PseudonymUsed, Attempts: 16, Once: true},
		{Policy: "residence", State: verifier.Cancelled},
		{Policy: "residence", State: verifier.Rejected, Code: check.RefusedByHolder, Attempts: 1},
		{Policy: "residence", State: verifier.Expired},
		{Policy: "subsidy", State: verifier.Rejected, Code: check.PseudonymUsed, Attempts: 1, Once: true},
		{Kind: verifier.RowsWerePurged, Sessions: 5},
	}
	got := w.log(verifier.LogQuery{})
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	sorted := slices.Clone(got) // those that expired have one time
	slices.SortStableFunc(sorted[5:], func(a, b verifier.LogEntry) int { return strings.Compare(a.Policy+"~", b.Policy+"~") })
	for _, e := range sorted[:7] {
		if e.Kind != verifier.SessionEnded || e.Client != "app" || e.StartedAt < begun || e.EndedAt < e.StartedAt || e.EndedAt > e.At || e.PolicyDigest.IsZero() || len(e.Number) != 43 {
			t.Errorf("%+v", e)
		}
	}
	for i, e := range sorted {
		if w := want[i]; e.Policy != w.Policy || e.State != w.State || e.Code != w.Code || e.Attempts != w.Attempts || e.Once != w.Once || e.Sessions != w.Sessions {
			t.Errorf("entry %d is %+v, want %+v", i, e, w)
		}
	}
	if len(secrets) < 30 {
		t.Fatalf("%d secrets: nothing is tested", len(secrets))
	}
	rows := w.rows()
	for key, row := range rows {
		if !strings.HasPrefix(key, "log/") {
			continue
		}
		for _, secret := range secrets {
			if strings.Contains(key+row, secret) {
				t.Errorf("the log has %q: %s %s", secret, key, row)
			}
		}
		number := key[strings.LastIndex(key, "/")+1:]
		for other, text := range rows {
			if other != key && strings.Contains(other+text, number) {
				t.Errorf("the number of an entry is in another row: %s", other)
			}
		}
	}
	counts := verifier.CountLog(got)
	if i := slices.IndexFunc(counts, func(c verifier.LogCount) bool { return c.Code == check.PseudonymUsed }); len(counts) != 6 || i < 0 || counts[i].Sessions != 2 || counts[i].Day != "2026-11-22" {
		t.Errorf("%+v", counts)
	}
	w.clock.advance(364 * day)
	w.purge() // verified sessions end here
	if n := len(w.log(verifier.LogQuery{})); n != len(want)+1 {
		t.Errorf("%d entries after a year", n)
	}
	w.clock.advance(2 * day)
	w.purge()
	if left := w.log(verifier.LogQuery{}); len(left) != 2 || left[1].Entries != len(want) {
		t.Errorf("after its retention: %+v", left)
	}
}

// A tag says the day that it was used on and no more, as the log has the second.
func TestTagsAreOfADay(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("subsidy")
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	for key, row := range w.rows() {
		if want := fmt.Sprintf(`{"at":%d}`, w.clock.Now().Truncate(day).Unix()); strings.HasPrefix(key, "tag/") && row != want {
			t.Errorf("%s, want %s", row, want)
		}
	}
}

func TestNoLog(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.LogRetention = -1
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.verifier = v
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("subsidy")
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	w.begin("residence")
	w.clock.advance(40 * day)
	w.purge()
	for key := range w.rows() {
		if strings.HasPrefix(key, "log/") {
			t.Errorf("there is an entry: %s", key)
		}
	}
}

// Pages follow each other without holes, over seconds whose digits carry.
func TestLogPages(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		const n = 40
		for i := range n {
			client := []string{"app", "other"}[i%2]
			started, err := w.verifier.Start(t.Context(), client, "residence", 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.verifier.CancelPage(t.Context(), started.PageURI[strings.LastIndex(started.PageURI, "/")+1:]); err != nil {
				t.Fatal(err)
			}
			if i%3 != 0 {
				w.clock.advance(time.Duration(1<<(i%14)) * time.Second)
			}
		}
		whole := w.log(verifier.LogQuery{Limit: verifier.MaxLogPage})
		if len(whole) != n {
			t.Fatalf("%d entries", len(whole))
		}
		for _, limit := range []int{1, 3, 7} {
			if got := w.log(verifier.LogQuery{Limit: limit}); !slices.EqualFunc(got, whole, func(a, b verifier.LogEntry) bool { return a.Number == b.Number }) {
				t.Errorf("pages of %d: %d entries, or others", limit, len(got))
			}
		}
		for i, e := range whole {
			want := slices.IndexFunc(whole, func(o verifier.LogEntry) bool { return o.At >= e.At })
			if got := w.log(verifier.LogQuery{Since: e.At}); len(got) != n-want {
				t.Errorf("since entry %d: %d entries, want %d", i, len(got), n-want)
			}
		}
		if got := w.log(verifier.LogQuery{Client: "other", Limit: 4}); len(got) != n/2 || slices.ContainsFunc(got, func(e verifier.LogEntry) bool { return e.Client != "other" }) {
			t.Errorf("%d entries of one client", len(got))
		}
		for _, q := range []verifier.LogQuery{{Limit: -1}, {Limit: verifier.MaxLogPage + 1}, {After: "x"}, {After: "../session/"}, {After: strings.Repeat("g", 16) + "/"}, {After: strings.Repeat("0", 16) + "/" + strings.Repeat("x", 200)}} {
			if _, err := w.verifier.Log(q); !errors.Is(err, verifier.ErrLogQuery) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}
