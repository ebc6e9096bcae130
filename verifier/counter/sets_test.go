package counter_test

import (
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier/counter"
)

// A counter takes along the sets that its policies name, and asks and checks by them without a network.
func TestAskBySets(t *testing.T) {
	w := newWorld(t)
	cfg := w.config("desk-3")
	text := ledgertest.Must(credential.Canonical(cfg.Copy))(t)
	t.Logf("a copy with a set of %d issuers has %d bytes", len(registries.Members()), len(text))
	cfg.Copy = ledgertest.Must(counter.ParseCopy(text))(t)
	if cfg.Copy.Version != 2 || len(cfg.Copy.Sets) != 2 || len(text) > credential.MaxDocument/10 {
		t.Errorf("a copy of version %d with %d sets, %d bytes", cfg.Copy.Version, len(cfg.Copy.Sets), len(text))
	}
	c := ledgertest.Must(counter.New(cfg))(t)
	asked := ledgertest.Must(c.Ask("sets"))(t)
	if len(asked.Link) > 1200 {
		t.Errorf("a request has %d bytes", len(asked.Link))
	}
	answer := w.answer(asked.Link, "sets", w.titles[0])
	w.host.Server.Close()
	r := ledgertest.Must(c.Check(answer))(t)
	if f := r.Facts[0]; f.IssuerSet != registries.Digest() || f.IssuerCount != 1 || !strings.Contains(f.Holds["en"][0], "one of the 2,978 members") {
		t.Errorf("fact %+v", f)
	}
}

// Only the very sets that the policies name are taken, and the version says whether there are any.
func TestCopiesWithOtherSetsRefused(t *testing.T) {
	w := newWorld(t)
	other := mustSet(policy.ValueSet, "912160000A0003").Document()
	for name, change := range map[string]func(*counter.Copy){
		"none":             func(c *counter.Copy) { c.Sets = nil },
		"one":              func(c *counter.Copy) { c.Sets = c.Sets[:1] },
		"in another order": func(c *counter.Copy) { c.Sets = []policy.SetDocument{c.Sets[1], c.Sets[0]} },
		"one more":         func(c *counter.Copy) { c.Sets = append(c.Sets, other) },
		"another":          func(c *counter.Copy) { c.Sets[1] = other },
		"another name":     func(c *counter.Copy) { c.Sets[1].Name.English = "Nothing" },
		"not a set":        func(c *counter.Copy) { c.Sets[1].Members = nil },
	} {
		cfg := w.config("desk-3")
		change(cfg.Copy)
		if _, err := counter.New(cfg); err == nil || !strings.Contains(err.Error(), "carried") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := ledgertest.Must(credential.Canonical(w.config("desk-3").Copy))(t)
	for name, change := range map[string][2]string{
		"version 1 with sets":   {`"version":2}`, `"version":1}`},
		"version 3":             {`"version":2}`, `"version":3}`},
		"an empty list of sets": {`"sets":[`, `"sets":[],"setz":[`},
	} {
		if _, err := counter.ParseCopy([]byte(strings.Replace(string(good), change[0], change[1], -1))); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
