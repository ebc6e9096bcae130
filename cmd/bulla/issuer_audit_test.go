package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
)

func TestVerifyAudit(t *testing.T) {
	var log []byte
	var head credential.Digest
	for n := range uint64(3) {
		line, err := credential.Canonical(issuer.AuditRecord{Number: n + 1, At: 1_700_000_000, By: "clerk", Verb: issuer.DidList, Previous: head})
		if err != nil {
			t.Fatal(err)
		}
		head = credential.DigestOf(line)
		log = append(append(log, line...), '\n')
	}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, log, 0o600); err != nil {
		t.Fatal(err)
	}
	anchor := fmt.Sprintf("3:%s", head)
	if stdout, stderr, code := command(t, "", "issuer", "verify-audit", file, "--anchor", anchor); code != 0 || !strings.Contains(stdout, "3 records, head "+head.String()+", 1 anchors found") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	for name, args := range map[string][]string{
		"anchor of more": {"--anchor", strings.Replace(anchor, "3:", "4:", 1)}, "another anchor": {"--anchor", "2:" + head.String()},
		"no anchor": {"--anchor", "x"}, "anchor of nothing": {"--anchor", "0:" + head.String()},
	} {
		if _, _, code := command(t, "", append([]string{"issuer", "verify-audit", file}, args...)...); code == 0 {
			t.Errorf("%s: verified", name)
		}
	}
	if err := os.WriteFile(file, log[:len(log)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, code := command(t, "", "issuer", "verify-audit", file); code == 0 {
		t.Error("a log that breaks off was verified")
	}
}
