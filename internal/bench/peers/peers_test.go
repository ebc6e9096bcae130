package main

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A turn is one proof and three verifications, and a line has their medians.
func TestTable(t *testing.T) {
	scripted := `echo '{"ready":true}'; while read what; do echo "{\"ms\":5,\"size\":7}"; done`
	p, err := startPeer(t.Context(), ".", "sh", "-c", scripted)
	if err != nil {
		t.Skip(err)
	}
	defer p.Close()
	done, err := p.Turn(t.Context())
	if err != nil || done.prove != 5 || !slices.Equal(done.verify, []float64{5, 5, 5}) || done.size != 7 {
		t.Errorf("%+v, %v", done, err)
	}
	var table bytes.Buffer
	done.prove = 9
	err = print(&table, []*line{{Name: "a", Does: "this", Turns: []turn{done, done}}})
	want := strings.Fields("prove ms verify ms proof bytes proves  a 9 9 … 9 5.0 5.0 … 5.0 7 this")
	if got := strings.Fields(table.String()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s", err, &table)
	}
}

// A peer that took no time is an error and no figure.
func TestPeerRefused(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	for name, script := range map[string]string{"no time": "read line; echo '{}'", "ends while it verifies": `read line; echo '{"ms":1,"size":2}'; read line`} {
		p, err := startPeer(t.Context(), ".", "sh", "-c", `echo '{"ready":true}'; `+script)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Turn(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		p.Close()
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
