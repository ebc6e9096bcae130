package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// An accusation, alone or in a list, shows that the log signed the entry; changed, it shows nothing.
func TestCheckEvidenceOfAnEntry(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 3)
	h.Seal(ledgertest.Start + 10)
	key := h.Founding.LogKey
	checkpoint := ledgertest.Must(client.ParseCheckpoint(h.Checkpoint, ledgertest.Must(note.NewVerifier(key))(t)))(t)
	log := ledgertest.Must(client.NewLog(h.Server.URL, nil, nil, client.Limits{}))(t)
	finding := ledgertest.Must(log.ProveBroken(t.Context(), key, checkpoint, 2, h.Entries[2], "it is \x1b[31mbad"))(t)
	good := ledgertest.Must(finding.Bytes())(t)
	finding.Index = 1
	bad := ledgertest.Must(finding.Bytes())(t)
	list := func(parts ...[]byte) []byte {
		return append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
	}
	for name, test := range map[string]struct {
		data []byte
		code int
		says string
	}{
		"one":           {good, 0, "signed entry 2"},
		"a list":        {list(good, good), 0, "signed entry 2"},
		"another index": {bad, 1, "does not show"},
		"a bad one too": {list(good, bad), 1, "does not show"},
		"an empty list": {[]byte("[]"), 1, "no fork"},
		"no list":       {[]byte("[{]"), 1, "list"},
	} {
		file := filepath.Join(t.TempDir(), "evidence.json")
		if err := os.WriteFile(file, test.data, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := bulla(t, "ledger", "check-evidence", file, "--log-key", key)
		if (code == 0) != (test.code == 0) || !strings.Contains(out+errs, test.says) || strings.Contains(out+errs, "\x1b[31m") {
			t.Errorf("%s: %d %s %s", name, code, out, errs)
		}
	}
}
