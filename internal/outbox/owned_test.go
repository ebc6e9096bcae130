package outbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Each owner has its own endpoints, which hear of its own events, and nothing can be done to those of others.
func TestOwners(t *testing.T) {
	m := newMemory()
	o := open(t, m)
	a, b := o.Of("a"), o.Of("b")
	ours, err1 := a.Add("https://a.example/", nil)
	theirs, err2 := b.Add("https://b.example/", []string{testTypes[1]})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if list := a.List(); len(list.Webhooks) != 1 || list.Webhooks[0].ID != ours.ID || list.Webhooks[0].Secret != "" || !slices.Equal(list.Types, testTypes) {
		t.Errorf("a sees %+v", list)
	}
	if list := o.Of("").List(); len(list.Webhooks) != 0 {
		t.Errorf("the role sees %+v", list)
	}
	for owner, want := range map[string]int{"a": 1, "b": 0, "": 0} { // b wants other types
		rows := make(map[string][]byte)
		if err := o.Add(rows, Event{Type: testTypes[0], Owner: owner}); err != nil || len(rows) != want {
			t.Errorf("an event of %q: %d rows, want %d, %v", owner, len(rows), want, err)
		}
		for key := range rows {
			if !strings.HasPrefix(key, tableDue+ours.ID+"/") {
				t.Errorf("an event of a goes to %s", key)
			}
		}
	}
	off := true
	_, changed := a.Change(theirs.ID, WebhookChange{Disabled: &off})
	_, rotated := a.RotateSecret(theirs.ID)
	_, log := a.Attempts(theirs.ID)
	for name, err := range map[string]error{
		"change": changed, "rotate": rotated, "retire": a.RetireSecret(theirs.ID), "log": log, "remove": a.Remove(theirs.ID), "replay": a.Replay(theirs.ID, "msg_1"),
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s another's: %v", name, err)
		}
	}
	// Owners come back from the store.
	again := open(t, m)
	if list := again.Of("b").List(); len(list.Webhooks) != 1 || list.Webhooks[0].ID != theirs.ID || list.Webhooks[0].Disabled {
		t.Errorf("after a restart b sees %+v", list)
	}
	if err := again.Of("b").Remove(theirs.ID); err != nil || len(again.Of("b").List().Webhooks) != 0 || len(again.Endpoints()) != 1 {
		t.Errorf("removed: %v, %+v", err, again.Endpoints())
	}
}

// One owner cannot take up all the room, and all of them no more than there is.
func TestRoom(t *testing.T) {
	o, err := New(Config{Store: newMemory(), Types: testTypes, Egress: local, Endpoints: 5, PerOwner: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, owner := range []string{"a", "a", "b", "b", "c"} {
		if _, err := o.Of(owner).Add("https://example.com/", nil); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if i == 1 {
			if _, err := o.Of("a").Add("https://example.com/", nil); !errors.Is(err, ErrEndpoint) {
				t.Errorf("the third of an owner: %v", err)
			}
		}
	}
	if _, err := o.Of("c").Add("https://example.com/", nil); !errors.Is(err, ErrEndpoint) {
		t.Errorf("the sixth of all: %v", err)
	}
	if _, err := New(Config{Store: newMemory(), Endpoints: -1}); err == nil {
		t.Error("a negative number of endpoints is taken")
	}
}

// The old secret stays until it is retired, however often the new one is asked for.
func TestSecretsAreExchanged(t *testing.T) {
	o := open(t, newMemory())
	a := o.Of("a")
	first, err := a.Add("https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := a.RotateSecret(first.ID) // the answer was lost
	second, err2 := a.RotateSecret(first.ID)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	has := func(want ...string) {
		t.Helper()
		e, _ := o.endpoint(first.ID)
		var got []string
		for _, s := range e.Secrets {
			got = append(got, s.Reveal())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d secrets, want %d: the new one, then the old one", len(got), len(want))
		}
	}
	has(second.Secret, first.Secret)
	if !second.Exchanging || !a.List().Webhooks[0].Exchanging {
		t.Error("does not say that a secret is being exchanged")
	}
	for range 2 {
		if err := a.RetireSecret(first.ID); err != nil {
			t.Fatal(err)
		}
		has(second.Secret)
	}
	// A change says what changes, and the rest stays.
	url, types := "https://elsewhere.example/", []string{testTypes[1]}
	changed, err := a.Change(first.ID, WebhookChange{URL: &url, Types: &types})
	if err != nil || changed.URL != url || !slices.Equal(changed.Types, types) || changed.Disabled || changed.Secret != "" {
		t.Errorf("%+v, %v", changed, err)
	}
	has(second.Secret)
	bad := "http://169.254.169.254/"
	if _, err := a.Change(first.ID, WebhookChange{URL: &bad, Types: &[]string{"x"}}); !errors.Is(err, ErrEndpoint) || a.List().Webhooks[0].URL != url {
		t.Errorf("%v, %+v", err, a.List())
	}
}

// With more endpoints than can be sent to at a time each has its turn.
func TestTurns(t *testing.T) {
	o := open(t, newMemory())
	for range 5 {
		addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
	}
	r := &runner{o: o}
	seen := make(map[string]int)
	for range 15 {
		e := r.turns()[0]
		seen[e.ID]++
		r.last = e.ID
	}
	if len(seen) != 5 || len(r.turns()) != 5 {
		t.Errorf("turns: %v", seen)
	}
	for id, n := range seen {
		if n != 3 {
			t.Errorf("%s had %d turns of 15", id, n)
		}
	}
	if err := o.RemoveEndpoint(r.last); err != nil {
		t.Fatal(err)
	}
	if got := len(r.turns()); got != 4 {
		t.Errorf("%d turns after the last one was removed, want 4", got)
	}
}
