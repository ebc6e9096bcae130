package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// fake counts up, so that every time tells when it was taken.
type fake struct {
	name  string
	order *[]string
}

func (f fake) Prove(context.Context) (float64, int, error) {
	*f.order = append(*f.order, f.name)
	return float64(len(*f.order)), 7, nil
}
func (f fake) Verify(context.Context) (float64, error) { return 1, nil }
func (fake) Close()                                    {}

func TestTurns(t *testing.T) {
	var order []string
	one := func(name string) *entry {
		return &entry{name: name, start: func(context.Context) (contestant, error) { return fake{name, &order}, nil }}
	}
	missing := &entry{name: "c", start: func(context.Context) (contestant, error) { return nil, errors.New("nowhere") }}
	entries := start(t.Context(), []*entry{one("a"), missing, one("b")})
	if len(entries) != 2 {
		t.Fatalf("%d started, want 2", len(entries))
	}
	if err := rounds(t.Context(), entries, 2); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "ababab" {
		t.Errorf("order %s", got)
	}
	if e := entries[0]; !slices.Equal(e.prove, []float64{3, 5}) || len(e.verify) != 6 || e.size != 7 {
		t.Errorf("the first round counts, or another does not: %+v", e)
	}
	var table bytes.Buffer
	if err := print(&table, entries); err != nil || strings.Count(table.String(), "\n") != 3 {
		t.Errorf("%v\n%s", err, &table)
	}
}

// A peer that breaks off, or speaks something else, is an error and no figure.
func TestPeerRefused(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	ready := `echo '{"ready":true}'; read line; `
	for name, script := range map[string]string{
		"never ready": "true", "speaks first": `echo '{"ms":1}'`, "no JSON": ready + "echo fast", "no time": ready + "echo '{}'", "ends": ready,
	} {
		p, err := startPeer(t.Context(), ".", "sh", "-c", script)
		if err == nil {
			_, _, err = p.Prove(t.Context())
			p.Close()
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The lock file pins by digest and leaves the registry to the person who installs.
func TestLockNamesNoRegistry(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || !bytes.Contains(lock, []byte(`"integrity"`)) {
		t.Error("make it by npm install --omit-lockfile-registry-resolved")
	}
}
