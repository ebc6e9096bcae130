package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// profileOf writes the profile of a host.
func profileOf(t *testing.T, h *ledgertest.Host) string {
	t.Helper()
	cfg := h.Config()
	path := filepath.Join(t.TempDir(), "chain.json")
	data := ledgertest.Must(json.Marshal(client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}))(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func bulla(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), args, console{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

func TestDoctor(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(credential.UnixTimeOf(time.Now()))
	chain := profileOf(t, h)
	states := func(want int) map[string]string {
		t.Helper()
		code, out, errs := bulla(t, "doctor", "--chain", chain, "--json")
		var findings []finding
		if err := json.Unmarshal([]byte(out), &findings); err != nil || code != want {
			t.Fatalf("%d %s %s", code, out, errs)
		}
		all := make(map[string]string)
		for _, f := range findings {
			all[f.Check] = f.State
		}
		return all
	}
	if s := states(0); s["checkpoint"] != stateOK || s["cosigner"] != stateOK || s["seal"] != stateOK || s["clock"] != stateOK || s["verifying key"] != stateWarning {
		t.Errorf("%v", s)
	}
	h.Seal(credential.UnixTimeOf(time.Now().Add(time.Hour)))
	if s := states(1); s["seal"] != stateProblem {
		t.Errorf("a seal ahead of the clock: %v", s)
	}
	h.Publish()
	if s := states(1); s["checkpoint"] != stateProblem {
		t.Errorf("no cosignature: %v", s)
	}
	h.Server.Close()
	if s := states(1); s["ledger"] != stateProblem {
		t.Errorf("no ledger: %v", s)
	}
	if code, out, _ := bulla(t, "doctor", "--data", t.TempDir()); code == 0 || !strings.Contains(out, "there is no file") {
		t.Errorf("an empty folder: %d %s", code, out)
	}
}

func TestCheckReceiptCommand(t *testing.T) {
	h, other := ledgertest.NewHost(t, nil), ledgertest.NewHost(t, nil)
	h.Issue("one", 1)
	h.Seal(ledgertest.Start + 10)
	chain, folder := profileOf(t, h), t.TempDir()
	receipt, evidence := filepath.Join(folder, "receipt.json"), filepath.Join(folder, "omission.json")
	if err := os.WriteFile(receipt, ledgertest.Must(json.Marshal(h.Receipt(3)))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := bulla(t, "ledger", "check-receipt", receipt, "--chain", chain, "--evidence", evidence); code != 0 || !strings.Contains(out, "keeps its promise") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	other.Issue("other", 2)
	other.Issue("another", 1)
	other.Seal(ledgertest.Start + 10)
	h.Tamper = func(path string, _ []byte) []byte { b, _ := other.Answer(path); return append([]byte{}, b...) }
	code, _, errs := bulla(t, "ledger", "check-receipt", receipt, "--chain", chain, "--evidence", evidence)
	if code == 0 || !strings.Contains(errs, "does not hold what it promised") {
		t.Errorf("%d %s", code, errs)
	}
	if code, out, errs := bulla(t, "ledger", "check-evidence", evidence, "--chain", chain); code != 0 || !strings.Contains(out, "proves a fork") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, _, _ := bulla(t, "ledger", "check-evidence", receipt, "--chain", chain); code == 0 {
		t.Error("a receipt is no evidence")
	}
}

func TestMirrorAndExportCommands(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("one", 3)
	h.Seal(credential.UnixTimeOf(time.Now()))
	chain, folder := profileOf(t, h), t.TempDir()
	data := filepath.Join(folder, "mirror")
	if code, out, errs := bulla(t, "ledger", "mirror", "--chain", chain, "--data", data, "--once"); code != 0 || !strings.HasPrefix(out, "5 entries") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	www := filepath.Join(folder, "www")
	if code, out, errs := bulla(t, "ledger", "export", www, "--data", data); code != 0 || !strings.HasPrefix(out, "5 entries") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if exported := ledgertest.Must(os.ReadFile(filepath.Join(www, "checkpoint")))(t); !bytes.Equal(exported, h.Checkpoint) {
		t.Errorf("exported checkpoint %q", exported)
	}
	other := ledgertest.NewHost(t, nil)
	other.Issue("other", 4)
	other.Issue("another", 4)
	other.Seal(credential.UnixTimeOf(time.Now()))
	h.Tamper = func(path string, _ []byte) []byte { b, _ := other.Answer(path); return append([]byte{}, b...) }
	if code, _, errs := bulla(t, "ledger", "mirror", "--chain", chain, "--data", data, "--once"); code == 0 || !strings.Contains(errs, "alarm: fork") || !strings.Contains(errs, "evidence: "+data) {
		t.Errorf("a fork: %d %s", code, errs)
	}
}
