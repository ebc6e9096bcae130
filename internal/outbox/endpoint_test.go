package outbox

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestEndpointsAreKept(t *testing.T) {
	store := newMemory()
	o := open(t, store)
	a := addEndpoint(t, o, Endpoint{URL: "https://a.example/", Types: []string{"credential.issued"}})
	b := addEndpoint(t, o, Endpoint{URL: "https://b.example/", Secrets: []Secret{NewSecret(), NewSecret()}})
	b.Disabled = true
	if err := update(o, b); err != nil {
		t.Fatal(err)
	}
	c := addEndpoint(t, o, Endpoint{URL: "https://c.example/"})
	if err := o.RemoveEndpoint(c.ID); err != nil {
		t.Fatal(err)
	}
	want := []Endpoint{a, b}
	if a.ID > b.ID {
		want = []Endpoint{b, a}
	}
	for name, box := range map[string]*Outbox{"at once": o, "after a restart": open(t, store)} {
		if got := box.Endpoints(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	o.Endpoints()[0].Secrets[0] = Secret{}
	if got := o.Endpoints(); !reflect.DeepEqual(got, want) {
		t.Error("a caller changed an endpoint by its list")
	}
}

func TestEndpointsAreRefused(t *testing.T) {
	o := open(t, newMemory())
	kept := addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
	three := []Secret{NewSecret(), NewSecret(), NewSecret()}
	for name, e := range map[string]Endpoint{
		"no URL":         {},
		"private":        {URL: "https://10.0.0.1/"},
		"user":           {URL: "https://user:pw@example.com/"},
		"unknown type":   {URL: "https://example.com/", Types: []string{"credential.lost"}},
		"type twice":     {URL: "https://example.com/", Types: []string{testTypes[0], testTypes[0]}},
		"three secrets":  {URL: "https://example.com/", Secrets: three},
		"a secret of no": {URL: "https://example.com/", Secrets: []Secret{{}}},
	} {
		if _, err := o.AddEndpoint(e); !errors.Is(err, ErrEndpoint) || strings.Contains(err.Error(), "pw") {
			t.Errorf("add, %s: %v", name, err)
		}
		e.ID = kept.ID
		if err := update(o, e); !errors.Is(err, ErrEndpoint) {
			t.Errorf("update, %s: %v", name, err)
		}
	}
	kept.Secrets = nil
	if err := update(o, kept); !errors.Is(err, ErrEndpoint) {
		t.Errorf("update without a secret: %v", err)
	}
	if got := o.Endpoints(); len(got) != 1 || len(got[0].Secrets) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestUnknownEndpoint(t *testing.T) {
	o := open(t, newMemory())
	_, ofLog := o.Log("ep_1")
	_, ofDead := o.DeadMessages("ep_1", "")
	for i, err := range []error{
		update(o, Endpoint{ID: "ep_1", URL: "https://example.com/"}), o.RemoveEndpoint("ep_1"), o.Replay("ep_1", "msg_1"),
		ofLog, ofDead,
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestEndpointsAreFew(t *testing.T) {
	o := open(t, newMemory())
	for i := range MaxEndpoints {
		addEndpoint(t, o, Endpoint{URL: fmt.Sprintf("https://example.com/%d", i)})
	}
	if _, err := o.AddEndpoint(Endpoint{URL: "https://example.com/"}); !errors.Is(err, ErrEndpoint) {
		t.Errorf("%v", err)
	}
}

// TestStoreThatFails lets each change of endpoints fail: what is listed must not be ahead of what is kept.
func TestStoreThatFails(t *testing.T) {
	for name, change := range map[string]func(o *Outbox, e Endpoint) error{
		"add":    func(o *Outbox, e Endpoint) error { _, err := o.AddEndpoint(e); return err },
		"update": func(o *Outbox, e Endpoint) error { e.URL = "https://other.example/"; return update(o, e) },
		"remove": func(o *Outbox, e Endpoint) error { return o.RemoveEndpoint(e.ID) },
	} {
		store := newMemory()
		o := open(t, store)
		e := addEndpoint(t, o, Endpoint{URL: "https://example.com/"})
		store.failAt = 1
		if err := change(o, e); !errors.Is(err, errPower) {
			t.Errorf("%s: %v", name, err)
		}
		if got := o.Endpoints(); !reflect.DeepEqual(got, []Endpoint{e}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRemoved removes an endpoint with messages due and dead, one of which is committed after it: all go, those of another
// endpoint stay.
func TestRemoved(t *testing.T) {
	store := newMemory()
	o := open(t, store)
	gone := addEndpoint(t, o, Endpoint{URL: "https://gone.example/"})
	addEndpoint(t, o, Endpoint{URL: "https://stays.example/"})
	for i := range purgeLimit + 10 {
		happen(t, o, store, fmt.Sprint(i))
	}
	late := make(map[string][]byte)
	if err := o.Add(late, Event{Type: testTypes[0]}); err != nil {
		t.Fatal(err)
	}
	late[keyDead(gone.ID, "msg_1")] = encode(delivery{ID: "msg_1"})
	if err := o.RemoveEndpoint(gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(late); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Purge(); err != nil {
		t.Fatal(err)
	}
	for key := range store.copy().rows {
		if strings.Contains(key, gone.ID) {
			t.Errorf("%s is still there", key)
		}
	}
	if n := len(store.keys(tableDue)); n != purgeLimit+11 {
		t.Errorf("%d messages are due to the other, want %d", n, purgeLimit+11)
	}
}

func TestDamagedRows(t *testing.T) {
	for key, value := range map[string]string{
		tableEndpoint + "ep_1": `{"url":`,
		tableEndpoint + "ep_2": `{"url":"https://example.com/","secrets":["whsec_"]}`,
		tableLog + "ep_1":      `{}`,
	} {
		store := newMemory()
		store.rows[key] = []byte(value)
		if _, err := New(Config{Store: store}); err == nil {
			t.Errorf("%s: opened", key)
		}
	}
}

func TestTypes(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "credential.issued": true, "a_1.b.c": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "A": false, "a b": false, "ä": false, "a-b": false,
		strings.Repeat("a", 65): false,
	} {
		if _, err := New(Config{Store: newMemory(), Types: []string{name}}); ok != (err == nil) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
