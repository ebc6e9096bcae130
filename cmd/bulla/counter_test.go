package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/verifier/counter"
	"github.com/bulla-id/bulla/wallet"
)

// counterAnswer is what wallet present prints for a counter.
type counterAnswer struct {
	shownRequest
	Answer string `json:"answer"`
}

// A counter is opened and synchronised, a wallet answers it, the whole network stops, and the counter checks the answer.
func TestCounterWithoutANetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys and real proofs")
	}
	for variable, value := range map[string]string{passphraseVariable: "dev", walletVariable: "citizen", counterVariable: "clerk", "LC_ALL": "C", tokenVariable: ""} {
		t.Setenv(variable, value)
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "network")
	if _, err := keystore.Open(keystore.Config{Dir: filepath.Join(data, "secrets"), Passphrase: "dev", WorkFactor: 8}); err != nil {
		t.Fatal(err)
	}
	network := serveDev(t, "\n", "--data", data, "--port", ninePorts(t), "--json")
	var in invitation
	decode(t, network.out.String(), &in)
	w := &town{t, data, filepath.Join(data, "first.bulla")}
	succeed(t, w.citizen("init", "--work-factor", "8")...)
	succeed(t, w.citizen("receive", in.Offers.Residency)...)

	desk := func(name string, args ...string) []string {
		return append(append([]string{"verifier", "counter"}, args...), "--data", data, "--folder", filepath.Join(dir, name))
	}
	fails := func(want string, args ...string) {
		t.Helper()
		if out, stderr, code := command(t, "", args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("bulla %s: exit code %d, want %q\n%s%s", strings.Join(args, " "), code, want, out, stderr)
		}
	}
	fails("bulla verifier counter open makes one", desk("desk-3", "ask", demo.PolicyResidency)...)
	for _, name := range []string{"desk-3", "desk-4"} {
		succeed(t, desk(name, "open", name, "--work-factor", "8")...)
	}
	fails("is the folder of counter desk-3", desk("desk-3", "open", "desk-5")...)
	fails("bulla verifier counter sync makes one", desk("desk-3", "ask", demo.PolicyResidency)...)
	for _, name := range []string{"desk-3", "desk-4"} {
		if s := answer[synced](t, desk(name, "sync")...); !s.Dev || len(s.Policies) < 3 {
			t.Errorf("synchronised %+v", s)
		}
	}
	secrets, err := os.ReadFile(filepath.Join(dir, "desk-3", "secrets", "counter.age"))
	if err == nil && strings.Contains(string(secrets), `"d"`) {
		t.Error("the counter's key lies in clear")
	}
	fails("count once per person or thing need a network", desk("desk-3", "ask", demo.PolicySubsidy)...)
	text := succeed(t, desk("desk-3", "ask", demo.PolicyResidency, "--lang", "zh-CN", "--png", filepath.Join(dir, "q.png"), "--svg", filepath.Join(dir, "q.svg"))...)
	if !strings.Contains(text, "bulla-counter:") || !strings.Contains(text, "▀") || !strings.Contains(text, "这是开发链") {
		t.Errorf("ask: %s", text)
	}
	for _, picture := range []string{"q.png", "q.svg"} {
		if info, err := os.Stat(filepath.Join(dir, picture)); err != nil || info.Size() < 500 {
			t.Errorf("%s: %v", picture, err)
		}
	}
	stale := answer[counter.Asked](t, desk("desk-3", "ask", demo.PolicyFresh)...)
	asked := answer[counter.Asked](t, desk("desk-3", "ask", demo.PolicyResidency)...)
	if !asked.Dev || len(asked.Link) > 1200 {
		t.Errorf("asked %+v, %d bytes", asked, len(asked.Link))
	}
	if x := answer[shownRequest](t, w.citizen("explain", asked.Link)...); !x.CanAnswer || !strings.Contains(x.Request.Identified, "desk-3") {
		t.Errorf("explained %+v", x.Request)
	}
	late := answer[counterAnswer](t, w.citizen("present", "--yes", stale.Link)...)
	p := answer[counterAnswer](t, w.citizen("present", "--yes", asked.Link)...)
	if p.Sent != "answer" || !strings.HasPrefix(p.Answer, "BULLA-ANSWER:") || p.Event.Outcome != wallet.OutcomeSent {
		t.Fatalf("presented %+v", p)
	}
	fails("nonce_used", w.citizen("present", "--yes", asked.Link)...)
	again := answer[counter.Asked](t, desk("desk-3", "ask", demo.PolicyResidency)...)
	if text := succeed(t, w.citizen("present", "--yes", again.Link, "--lang", "zh-CN")...); !strings.Contains(text, "请仅向该窗口出示此码") || !strings.Contains(text, "▄") {
		t.Errorf("present: %s", text)
	}
	w.suspendFor(in, answer[counter.Asked](t, desk("desk-3", "ask", demo.PolicyResidency)...).Link)
	if code := network.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}

	// From here on there is no network.
	fails("nobody answers there", desk("desk-3", "sync")...)
	fails("session_unknown", desk("desk-4", "check", p.Answer)...)
	flipped := []byte(p.Answer)
	flipped[len(flipped)/2] ^= 1
	fails("the answer is refused", desk("desk-3", "check", string(flipped))...)
	text = succeed(t, desk("desk-3", "check", p.Answer)...)
	if !strings.Contains(text, "shown at counter desk-3") || !strings.Contains(text, "✓") || !strings.Contains(text, "dev chain") {
		t.Errorf("check: %s", text)
	}
	if _, stderr, code := command(t, p.Answer+"\n", desk("desk-3", "check", "-", "--lang", "zh-CN")...); code == 0 || !strings.Contains(stderr, "该请求已被答复") {
		t.Errorf("again: %d %s", code, stderr)
	}
	// The copy grows older than ten seconds.
	deadline := time.Now().Add(time.Minute)
	for _, args := range [][]string{desk("desk-3", "check", late.Answer), desk("desk-3", "ask", demo.PolicyFresh)} {
		for {
			_, stderr, code := command(t, "", args...)
			if code != 0 && strings.Contains(stderr, "this policy allows 10s: run bulla verifier counter sync") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("with a stale copy: %d %s", code, stderr)
			}
			if code == 0 && args[2] == "check" { // it was fresh still, and is used up now
				break
			}
			time.Sleep(time.Second)
		}
	}
}

// suspendFor suspends the residence credential: then the wallet has nothing to answer a counter with.
func (w *town) suspendFor(in invitation, link string) {
	w.t.Helper()
	page := answer[demo.CredentialPage](w.t, "issuer", "list", "--data", w.data, "--agency", "civil")
	if len(page.Credentials) != 1 {
		w.t.Fatalf("the civil office lists %+v", page)
	}
	if c := answer[issuer.Credential](w.t, "issuer", "suspend", "--data", w.data, "--agency", "civil", page.Credentials[0].ID, "--reason", "lost"); c.Status != issuer.Suspended {
		w.t.Errorf("suspended: %s", c.Status)
	}
	if p := w.cannot(link); p.WhyNot.Code != wallet.CodeRevokedOrSuspended {
		w.t.Errorf("suspended: %s", p.WhyNot.Code)
	}
}
