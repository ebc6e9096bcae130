package offline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier/offline"
)

// A bundle carries the sets that its policy names.
func TestVerifyBySets(t *testing.T) {
	f := read(t, "sets")
	b := f.parse(t)
	if again := ledgertest.Must(b.Bytes())(t); !bytes.Equal(again, f.bundle) || b.Version != 2 || len(b.Sets) != 2 {
		t.Errorf("version %d with %d sets, %d bytes", b.Version, len(b.Sets), len(again))
	}
	r := ledgertest.Must(ledgertest.Must(offline.New(f.config()))(t).Verify(b))(t)
	registries, _ := someSets(t)
	if fact := r.Facts[0]; fact.IssuerSet != registries.Digest() || fact.IssuerCount != 1 || fact.Disclosed["parcel"] != "912160000A0001" ||
		!strings.Contains(fact.Holds["en"][0], "one of the 41 members of “Set of issuers”") {
		t.Errorf("%+v", fact)
	}
}

// Nothing but those very sets will do, and none without a policy that names them.
func TestBundlesWithOtherSetsRefused(t *testing.T) {
	f := read(t, "sets")
	for name, change := range map[string]func(*offline.Bundle){
		"none":             func(b *offline.Bundle) { b.Sets, b.Version = nil, 1 },
		"one":              func(b *offline.Bundle) { b.Sets = b.Sets[:1] },
		"in another order": func(b *offline.Bundle) { b.Sets[0], b.Sets[1] = b.Sets[1], b.Sets[0] },
		"twice":            func(b *offline.Bundle) { b.Sets = append(b.Sets, b.Sets[1]) },
		"a member more":    func(b *offline.Bundle) { b.Sets[1].Members = append(b.Sets[1].Members, "912160000A0003") },
		"another name":     func(b *offline.Bundle) { b.Sets[0].Name.Chinese = "无" },
		"another kind":     func(b *offline.Bundle) { b.Sets[1].Kind = policy.IssuerSet },
		"another version":  func(b *offline.Bundle) { b.Sets[1].Version = 2 },
		"too many members": func(b *offline.Bundle) { b.Sets[1].Members = make([]string, policy.MaxSetMembers+1) },
		"members in no order": func(b *offline.Bundle) {
			b.Sets[1].Members = []string{"912160000A0002", "912160000A0001"}
		},
	} {
		b := f.parse(t)
		change(b)
		if _, err := ledgertest.Must(offline.New(f.config()))(t).Verify(b); outcome(err) != "request" {
			t.Errorf("%s: %v", name, err)
		}
	}
	live := read(t, "live")
	b := live.parse(t)
	b.Version, b.Sets = 2, f.parse(t).Sets
	if _, err := ledgertest.Must(offline.New(live.config()))(t).Verify(b); outcome(err) != "request" {
		t.Errorf("sets that nobody named: %v", err)
	}
	for name, c := range map[string]struct {
		bundle  []byte
		version string
	}{"version 1 with sets": {f.bundle, "1"}, "version 3": {f.bundle, "3"}, "version 2 without sets": {live.bundle, "2"}, "version 0": {live.bundle, "0"}} {
		end := bytes.LastIndex(c.bundle, []byte(`"version":`))
		text := append(bytes.Clone(c.bundle[:end]), `"version":`+c.version+"}"...)
		if len(text) != len(c.bundle) {
			t.Fatal("the bundle does not end with its version")
		}
		if _, err := offline.ParseBundle(text); err == nil || !strings.Contains(err.Error(), "this program reads") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// As many sets as can be proven, as long as they may be, fit into a bundle, and leave a megabyte for the rest.
func TestBundleHoldsTheLargestSets(t *testing.T) {
	b := read(t, "live").parse(t)
	b.Version = 2
	for i := range policy.MaxCarriedSets {
		d := policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "n"}}
		for j := range policy.MaxSetMembers {
			d.Members = append(d.Members, fmt.Sprintf("%02d-%05d-%s", i, j, strings.Repeat("x", 51)))
		}
		set := ledgertest.Must(policy.NewSet(d))(t)
		if size := len(set.Canonical()); size < policy.MaxSetSize*98/100 {
			t.Fatalf("a set of %d bytes is not one of the largest", size)
		}
		b.Sets = append(b.Sets, set.Document())
	}
	text := ledgertest.Must(b.Bytes())(t)
	t.Logf("%d sets of %d members: %d bytes", len(b.Sets), policy.MaxSetMembers, len(text))
	if len(text) > offline.MaxBundle-1<<20 {
		t.Errorf("a bundle of %d bytes", len(text))
	}
	ledgertest.Must(offline.ParseBundle(text))(t)
	b.Sets = append(b.Sets, b.Sets[:5]...)
	if _, err := b.Bytes(); err == nil {
		t.Error("a bundle of more than 4 MiB is made")
	}
	if _, err := offline.ParseBundle(append(text, bytes.Repeat([]byte(" "), offline.MaxBundle)...)); err == nil {
		t.Error("a bundle of more than 4 MiB is read")
	}
}
