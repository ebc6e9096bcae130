package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/ceremony"
)

// setupRun runs bulla setup and returns what it printed.
func setupRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), append([]string{"setup"}, args...), console{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

// The steps work from the command line, on a published circuit: a truncated contribution is named by verify and by the
// next contributor, and dropped.
func TestSetupCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("contributions to a published circuit take seconds")
	}
	dir := filepath.Join(t.TempDir(), "ceremony")
	if code, _, stderr := setupRun(t, "init", "--dir", dir, "--title", "a test", "--circuit", circuits.Enrolment); code != 0 {
		t.Fatal(stderr)
	}
	var made struct {
		Phase  int    `json:"phase"`
		Number int    `json:"number"`
		Digest string `json:"digest"`
	}
	code, stdout, stderr := setupRun(t, "contribute", "--dir", dir, "--name", "Ada", "--json")
	if code != 0 || json.Unmarshal([]byte(stdout), &made) != nil || made.Phase != 1 || made.Number != 1 {
		t.Fatalf("%d %s %s", code, stdout, stderr)
	}
	code, stdout, _ = setupRun(t, "verify", dir)
	if code != 0 || !strings.Contains(stdout, made.Digest+"  Ada") || !strings.Contains(stdout, "not finished") {
		t.Errorf("%d %s", code, stdout)
	}
	if code, _, stderr = setupRun(t, "next", "--dir", dir, "--beacon", strings.Repeat("ab", 32), "--source", "a test"); code == 0 || !strings.Contains(stderr, "at least 2") {
		t.Errorf("%d %s", code, stderr)
	}
	if err := os.Truncate(filepath.Join(dir, "phase1-0001.state"), 1000); err != nil {
		t.Fatal(err)
	}
	var report verifiedCeremony
	code, stdout, stderr = setupRun(t, "verify", filepath.Join(dir, ceremony.TranscriptFile), "--json")
	if code != 1 || json.Unmarshal([]byte(stdout), &report) != nil || report.Verified || report.Fault == nil || report.Fault.Name != "Ada" {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
	if code, _, stderr = setupRun(t, "contribute", "--dir", dir, "--name", "Bo"); code != 1 || !strings.Contains(stderr, `contribution 1 to phase 1, by "Ada"`) {
		t.Errorf("%d %s", code, stderr)
	}
	if code, stdout, _ = setupRun(t, "drop", "--dir", dir); code != 0 || !strings.Contains(stdout, "Ada") {
		t.Errorf("%d %s", code, stdout)
	}
	if code, _, stderr = setupRun(t, "contribute", "--dir", dir, "--name", "Bo"); code != 0 {
		t.Error(stderr)
	}
}

func TestSetupRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"init", "--dir", filepath.Join(t.TempDir(), "x"), "--circuit", "none-1"},
		{"verify", t.TempDir()},
		{"verify"},
		{"contribute", "--dir", t.TempDir(), "--name", "Ada"},
		{"contribute", "--dir", t.TempDir()},
		{"finish", "--dir", t.TempDir()},
	} {
		if code, _, stderr := setupRun(t, args...); code != 1 || stderr == "" {
			t.Errorf("%q: %d %q", args, code, stderr)
		}
	}
}
