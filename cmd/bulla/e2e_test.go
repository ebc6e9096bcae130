package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/wallet"
)

// command runs one command as a terminal would, but for the terminal.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	code = run(ctx, args, console{strings.NewReader(stdin), &out, &err})
	return out.String(), err.String(), code
}

// succeed runs a command that must work.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, code := command(t, "", args...)
	if code != 0 {
		t.Fatalf("bulla %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, stderr)
	}
	return out
}

// answer runs a command that must work with --json, and decodes what it printed.
func answer[T any](t *testing.T, args ...string) (value T) {
	t.Helper()
	decode(t, succeed(t, append(args, "--json")...), &value)
	return value
}

func decode(t *testing.T, text string, target any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), target); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// servedNetwork is a running bulla serve --dev.
type servedNetwork struct {
	out  *bytes.Buffer
	stop func() int
}

// serveDev starts bulla serve --dev and returns once it has said what to try, which ends with last.
func serveDev(t *testing.T, last string, args ...string) servedNetwork {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"serve", "--dev"}, args...), console{strings.NewReader(""), writer, &stderr})
		writer.Close()
		ended <- code
	}()
	s := servedNetwork{out: new(bytes.Buffer)}
	s.stop = func() int {
		cancel()
		go io.Copy(io.Discard, reader)
		return <-ended
	}
	t.Cleanup(cancel)
	buffer := make([]byte, 4096)
	for !strings.HasSuffix(s.out.String(), last) || s.out.Len() == 0 {
		n, err := reader.Read(buffer)
		s.out.Write(buffer[:n])
		if err != nil {
			t.Fatalf("serve ended with %d: %s%s", <-ended, s.out, stderr.String())
		}
	}
	return s
}

// ninePorts finds a first port with free ones behind it.
func ninePorts(t *testing.T) string {
	t.Helper()
next:
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		l.Close()
		for i := range 9 {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return strconv.Itoa(first)
	}
	t.Fatal("no nine free ports in a row")
	return ""
}

// invitation is what serve --json prints.
type invitation struct {
	Chain  string            `json:"chain"`
	Places map[string]string `json:"places"`
	Offers demo.Invitation   `json:"offers"`
}

// shownRequest is what wallet explain and present print.
type shownRequest struct {
	Request   *wallet.Explanation `json:"request"`
	CanAnswer bool                `json:"can_answer"`
	WhyNot    *whyNot             `json:"why_not"`
	Sent      string              `json:"sent"`
	Event     *wallet.Event       `json:"event"`

	RedirectURI string `json:"redirect_uri"`
}

// shownSession is what verifier status prints.
type shownSession struct {
	verifier.Status
	Checked *check.Result `json:"checked"`
}

// town is a served network with a citizen's wallet.
type town struct {
	t            *testing.T
	data, wallet string
}

func (w *town) citizen(args ...string) []string {
	return append([]string{"wallet", "--data", w.data, "--wallet", w.wallet}, args...)
}

func (w *town) ask(policy string) verifier.Started {
	return answer[verifier.Started](w.t, "verifier", "ask", "--data", w.data, policy)
}

func (w *town) status(id string) shownSession {
	return answer[shownSession](w.t, "verifier", "status", "--data", w.data, id)
}

// cannot presents what the wallet cannot answer, and returns why.
func (w *town) cannot(link string) shownRequest {
	w.t.Helper()
	out, stderr, code := command(w.t, "", w.citizen("present", "--yes", "--json", link)...)
	if code == 0 || !strings.Contains(stderr, "Nothing was sent") {
		w.t.Fatalf("exit code %d, %s%s", code, out, stderr)
	}
	var p shownRequest
	decode(w.t, out, &p)
	if p.Sent != "nothing" || p.CanAnswer || p.WhyNot == nil || p.Event != nil {
		w.t.Errorf("presented %s", out)
	}
	return p
}

// One data folder, from its first start to its second, all through the commands.
func TestEveryCommandOnADevNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys and real proofs")
	}
	for variable, value := range map[string]string{passphraseVariable: "dev", walletVariable: "citizen", backupVariable: "backup", "LC_ALL": "C", tokenVariable: ""} {
		t.Setenv(variable, value)
	}
	data := filepath.Join(t.TempDir(), "network")
	// A key store that is there is opened as it is: this one costs less to open.
	if _, err := keystore.Open(keystore.Config{Dir: filepath.Join(data, "secrets"), Passphrase: "dev", WorkFactor: 8}); err != nil {
		t.Fatal(err)
	}
	port := ninePorts(t)
	network := serveDev(t, "\n", "--data", data, "--port", port, "--json")
	var in invitation
	decode(t, network.out.String(), &in)
	w := &town{t, data, filepath.Join(data, "first.bulla")}

	w.receive(in)
	first := w.prove()
	w.refuse()
	w.suspend(in)
	if report := answer[map[string]any](t, "ledger", "verify", "--chain", in.Chain); report["verified"] != true || report["leaves"] != 2.0 {
		t.Errorf("chain: %v", report)
	}
	w.backUp()
	if code := network.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	if report := answer[map[string]any](t, "ledger", "verify", "--data", filepath.Join(data, "ledger")); report["verified"] != true || report["leaves"] != 2.0 {
		t.Errorf("store: %v", report)
	}

	network = serveDev(t, "was.\n", "--data", data, "--port", port)
	if s := w.status(first); s.State != verifier.Verified || s.Checked == nil {
		t.Errorf("after the second start the session is %s", s.State)
	}
	for _, s := range answer[[]wallet.Summary](t, w.citizen("sync")...) {
		if s.State != wallet.StateActive {
			t.Errorf("after the second start credential %s is %s", s.ID, s.State)
		}
	}
	paste(t, network.out.String())
	if code := network.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	out, stderr, code := command(t, "", "verifier", "ask", "--data", data, "residency")
	if code == 0 || !strings.Contains(stderr, "is bulla serve --dev running on this data folder?") {
		t.Errorf("nobody serves: %d %s%s", code, out, stderr)
	}
}

func (w *town) receive(in invitation) {
	t := w.t
	succeed(t, w.citizen("init", "--work-factor", "8")...)
	for _, link := range []string{in.Offers.Residency, in.Offers.Land} {
		if s := answer[wallet.Summary](t, w.citizen("receive", link)...); s.State != wallet.StateActive || len(s.Claims) == 0 {
			t.Errorf("received %+v", s)
		}
	}
	if _, stderr, code := command(t, "", w.citizen("receive", in.Offers.Land)...); code == 0 || !strings.Contains(stderr, "The other side refused") {
		t.Errorf("an offer works twice: %d %s", code, stderr)
	}
	for _, verb := range []string{"list", "sync"} {
		list := answer[[]wallet.Summary](t, w.citizen(verb)...)
		if len(list) != 2 || list[0].Type != "urn:bulla:schema:residence:1" || list[1].State != wallet.StateActive {
			t.Errorf("%s: %+v", verb, list)
		}
	}
	if text := succeed(t, w.citizen("list", "--lang", "zh-CN")...); !strings.Contains(text, "居住证明") || !strings.Contains(text, "民政局") {
		t.Errorf("list in Chinese: %s", text)
	}
	if text := succeed(t, w.citizen("show", "1")...); !strings.Contains(text, "北京市海淀区") {
		t.Errorf("show: %s", text)
	}
}

// companion offers a companion, which our own wallet leaves to others.
func (w *town) companion(id string) {
	t := w.t
	offer := answer[issuer.Offer](t, "issuer", "offer-companion", id, "--data", w.data, "--agency", "civil", "--tx-code")
	if text := succeed(t, "issuer", "offer-companion", id, "--data", w.data, "--agency", "civil"); !strings.Contains(text, "openid-credential-offer://?credential_offer=") {
		t.Errorf("offered: %s", text)
	}
	for range 2 { // the code is not used up
		if _, stderr, code := command(t, "", w.citizen("receive", offer.Link, "--tx-code", offer.TxCode)...); code == 0 || !strings.Contains(stderr, "for other wallets") {
			t.Errorf("our wallet takes it: %d %s", code, stderr)
		}
	}
}

// prove answers a request, and returns the session.
func (w *town) prove() string {
	t := w.t
	policies := answer[[]publicPolicy](t, "verifier", "policies", "--data", w.data, "--verifier", "clinic")
	asked := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(asked, ledgertest.Must(credential.Canonical(policies[0].Policy))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := answer[policy.Preview](t, "verifier", "preview", asked, "--data", w.data); p.Digest != policies[0].Digest || len(p.Queries) == 0 || !slices.Contains(policies[0].Text, p.Queries[0].Facts[0]) {
		t.Errorf("preview %+v", p)
	}
	if len(policies) != 1 || policies[0].ID != demo.PolicyVaccination || len(policies[0].Text) < 4 {
		t.Errorf("policies of the clinic: %+v", policies)
	}
	started := w.ask(demo.PolicyResidency)
	x := answer[shownRequest](t, w.citizen("explain", started.RequestLink)...)
	if !x.CanAnswer || x.Request.DID != demo.CityDID || len(x.Request.Queries) != 1 || x.Request.Queries[0].Credential != "1" {
		t.Errorf("explained %+v", x)
	}
	if s := w.status(started.ID); s.State != verifier.Fetched {
		t.Errorf("after explain the session is %s", s.State)
	}
	if _, stderr, code := command(t, "yes\n", w.citizen("present", started.RequestLink)...); code == 0 || !strings.Contains(stderr, "give --yes to agree or --refuse to refuse") {
		t.Errorf("a pipe agreed: %d %s", code, stderr)
	}
	p := answer[shownRequest](t, w.citizen("present", "--yes", started.RequestLink)...)
	if p.Sent != "answer" || p.Event == nil || p.Event.Outcome != wallet.OutcomeDone {
		t.Errorf("presented %+v", p)
	}
	s := w.status(started.ID)
	if s.State != verifier.Verified || s.Checked == nil || !s.Checked.Dev || s.Checked.Session != started.ID || len(s.Checked.Facts) != 1 {
		t.Fatalf("status %+v", s)
	}
	if text := succeed(t, "verifier", "status", "--data", w.data, started.ID); !strings.Contains(text, "takes effect here after at most 61 seconds") || !strings.Contains(text, "dev chain") {
		t.Errorf("status: %s", text)
	}
	w.verifyFile(s)
	w.cancel()
	w.comeBack()
	w.keep()
	if _, stderr, code := command(t, "", w.citizen("present", "--yes", started.RequestLink)...); code == 0 || !strings.Contains(stderr, "session_answered") {
		t.Errorf("a request was answered twice: %d %s", code, stderr)
	}
	return started.ID
}

// cancel ends a session that nobody answered, and finds it among the others.
func (w *town) cancel() {
	t := w.t
	unwanted := w.ask(demo.PolicyResidency)
	if s := answer[shownSession](t, "verifier", "cancel", "--data", w.data, unwanted.ID); s.State != verifier.Cancelled || !s.Final {
		t.Errorf("%+v", s)
	}
	list := answer[demo.SessionPage](t, "verifier", "sessions", "--data", w.data, "--state", "cancelled", "--policy", demo.PolicyResidency)
	if len(list.Sessions) == 0 || list.Sessions[0].ID != unwanted.ID || list.Next != "" {
		t.Errorf("%+v", list)
	}
	if text := succeed(t, "verifier", "sessions", "--data", w.data, "--limit", "1"); !strings.Contains(text, demo.PolicyResidency) || !strings.Contains(text, "--after") {
		t.Errorf("sessions: %s", text)
	}
}

// comeBack answers on the device of the browser: the result is for who brings the response code.
func (w *town) comeBack() {
	t := w.t
	started := answer[verifier.Started](t, "verifier", "ask", "--data", w.data, "--return-uri", "http://localhost:3000/back", demo.PolicyResidency)
	p := answer[shownRequest](t, w.citizen("present", "--yes", started.RequestLink)...)
	back, err := url.Parse(p.RedirectURI)
	if err != nil || back.Host != "localhost:3000" {
		t.Fatalf("the wallet goes on at %q, %v", p.RedirectURI, err)
	}
	if s := w.status(started.ID); s.State != verifier.Responded || s.Result != "" {
		t.Errorf("without the code: %+v", s)
	}
	if s := answer[shownSession](t, "verifier", "status", "--data", w.data, "--response-code", back.Query().Get("response_code"), started.ID); s.State != verifier.Verified || s.Checked == nil {
		t.Errorf("with the code: %+v", s)
	}
	if _, stderr, code := command(t, "", "verifier", "status", "--data", w.data, "--response-code", "x", started.ID); code == 0 || !strings.Contains(stderr, "response_code") {
		t.Errorf("with another code: %d %s", code, stderr)
	}
	if _, stderr, code := command(t, "", "verifier", "ask", "--data", w.data, "--return-uri", "https://evil.example/", demo.PolicyResidency); code == 0 || !strings.Contains(stderr, "return_uri") {
		t.Errorf("sent back to anywhere: %d %s", code, stderr)
	}
}

// keep is what who keeps the verifier sees: how sessions ended, and what counts, which is closed for good.
func (w *town) keep() {
	t := w.t
	log := answer[logOutput](t, "verifier", "log", "--data", w.data)
	if !slices.ContainsFunc(log.Counts, func(c verifier.LogCount) bool {
		return c.Policy == demo.PolicyResidency && c.State == verifier.Verified && c.Sessions == 2
	}) {
		t.Errorf("log: %+v", log)
	}
	if text := succeed(t, "verifier", "log", "--data", w.data, "--entries", "--since", "2020-01-01"); !strings.Contains(text, "  session  bulla-cli  "+demo.PolicyResidency+"  verified") {
		t.Errorf("log: %s", text)
	}
	list := answer[[]verifier.CountedScope](t, "verifier", "scopes", "--data", w.data)
	i := slices.IndexFunc(list, func(s verifier.CountedScope) bool { return slices.Equal(s.Policies, []string{demo.PolicySubsidy}) })
	if i < 0 || !list[i].Open {
		t.Fatalf("scopes: %+v", list)
	}
	args := []string{"verifier", "close-scope", "--data", w.data, list[i].Service}
	if _, stderr, code := command(t, "yes\n", args...); code == 0 || !strings.Contains(stderr, "give --yes to go on") {
		t.Errorf("a pipe agreed: %d %s", code, stderr)
	}
	succeed(t, append(args, "--yes")...)
	if _, stderr, code := command(t, "", "verifier", "ask", "--data", w.data, demo.PolicySubsidy); code == 0 || !strings.Contains(stderr, "scope_closed") {
		t.Errorf("asked under a closed scope: %d %s", code, stderr)
	}
	for text, args := range map[string][]string{
		"nothing counts under a scope \"x\"": {"close-scope", "x", "--yes"}, "no folder for backups": {"backup"}, "none for a verifier that runs": {"backup", "copy"},
		"is not a day such as": {"log", "--since", "today"},
	} {
		if _, stderr, code := command(t, "", append([]string{"verifier", "--data", w.data}, args...)...); code == 0 || !strings.Contains(stderr, text) {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}

// verifyFile checks a result outside the session, with the published keys only.
func (w *town) verifyFile(s shownSession) {
	t := w.t
	args := []string{"verifier", "verify", "-", "--data", w.data, "--session", s.ID}
	if out, stderr, code := command(t, s.Result+"\n", args...); code != 0 || !strings.Contains(out, "the result is genuine") {
		t.Errorf("verify: %d %s%s", code, out, stderr)
	}
	if _, stderr, code := command(t, s.Result, append(args, "--audience", "somebody")...); code == 0 || !strings.Contains(stderr, fmt.Sprintf("result is by %q", demo.CityDID)) {
		t.Errorf("another's result: %d %s", code, stderr)
	}
	parts := strings.Split(s.Result, ".")
	parts[2] = strings.Repeat("A", len(parts[2]))
	if _, _, code := command(t, strings.Join(parts, "."), args...); code == 0 {
		t.Error("a forged result was taken")
	}
}

// refuse says no, once without need and once because there is no credential.
func (w *town) refuse() {
	t := w.t
	started := w.ask(demo.PolicyLand)
	if p := answer[shownRequest](t, w.citizen("present", "--refuse", started.RequestLink)...); p.Sent != "refusal" || !p.CanAnswer {
		t.Errorf("refused %+v", p)
	}
	if s := w.status(started.ID); s.State != verifier.Rejected || !s.Final || s.Reason == nil || s.Reason.Code != check.RefusedByHolder {
		t.Errorf("refused: %+v", s.Status)
	}
	started = w.ask(demo.PolicyVaccination)
	if p := w.cannot(started.RequestLink); p.WhyNot.Code != wallet.CodeNoCredential {
		t.Errorf("without a credential: %s", p.WhyNot.Code)
	}
	if s := w.status(started.ID); s.State != verifier.Fetched {
		t.Errorf("the verifier learned that the wallet cannot: %s", s.State)
	}
	succeed(t, w.citizen("present", "--refuse", started.RequestLink)...)
	if s := w.status(started.ID); s.Reason == nil || s.Reason.Code != check.RefusedByHolder {
		t.Errorf("refused: %+v", s.Status)
	}
	kinds := ""
	for _, e := range answer[[]wallet.Event](t, w.citizen("history")...) {
		kinds += string(e.Kind) + " "
	}
	if kinds != "received received presented presented refused refused " {
		t.Errorf("history: %s", kinds)
	}
}

// suspend takes the residence credential away for a while, with a token and a URL as at any agency.
func (w *town) suspend(in invitation) {
	t := w.t
	token := strings.TrimSpace(succeed(t, "issuer", "token", "--data", w.data, "--agency", "civil", "--lifetime", "5m"))
	civil := func(args ...string) []string {
		return append(append([]string{"issuer"}, args...), "--url", in.Places[demo.CivilDID], "--token", token)
	}
	page := answer[demo.CredentialPage](t, civil("list")...)
	if len(page.Credentials) != 1 || page.Credentials[0].Status != issuer.Active {
		t.Fatalf("the civil office lists %+v", page)
	}
	id := page.Credentials[0].ID
	if c := answer[issuer.Credential](t, civil("suspend", id, "--reason", "lost")...); c.Status != issuer.Suspended {
		t.Errorf("suspended: %s", c.Status)
	}
	if p := w.cannot(w.ask(demo.PolicyResidency).RequestLink); p.WhyNot.Code != wallet.CodeRevokedOrSuspended {
		t.Errorf("suspended: %s", p.WhyNot.Code)
	}
	if list := answer[[]wallet.Summary](t, w.citizen("sync")...); list[0].State != wallet.StateRevokedOrSuspended {
		t.Errorf("suspended: %s", list[0].State)
	}
	if _, stderr, code := command(t, "", civil("offer-companion", id)...); code == 0 || !strings.Contains(stderr, "suspended") {
		t.Errorf("a companion of a suspended credential: %d %s", code, stderr)
	}
	if c := answer[issuer.Credential](t, "issuer", "reinstate", "--data", w.data, "--agency", "civil", id, "--reason", "found"); c.Status != issuer.Active {
		t.Errorf("reinstated: %s", c.Status)
	}
	started := w.ask(demo.PolicyResidency)
	succeed(t, w.citizen("present", "--yes", started.RequestLink)...)
	if s := w.status(started.ID); s.State != verifier.Verified {
		t.Errorf("reinstated: %s", s.State)
	}
	shown := answer[issuer.Credential](t, civil("show", id)...)
	if len(shown.History) != 3 || shown.History[1].Reason.Note != "lost" {
		t.Errorf("history at the agency: %+v", shown.History)
	}
	w.companion(id)
	w.readingRoom(id)
	scope := succeed(t, "issuer", "token", "--data", w.data, "--agency", "civil", "--scope", issuer.ScopeCredentials)
	if _, stderr, code := command(t, "", "issuer", "revoke", id, "--reason", "no", "--url", in.Places[demo.CivilDID], "--token", strings.TrimSpace(scope)); code == 0 || !strings.Contains(stderr, "scope-missing") {
		t.Errorf("a reader revoked: %d %s", code, stderr)
	}
	if _, stderr, code := command(t, "", "issuer", "list", "--url", in.Places[demo.LandDID], "--token", token); code == 0 || !strings.Contains(stderr, "make a new token") {
		t.Errorf("another agency's token: %d %s", code, stderr)
	}
}

func (w *town) backUp() {
	t := w.t
	file, other := filepath.Join(w.data, "backup.bulla"), filepath.Join(w.data, "other.bulla")
	succeed(t, w.citizen("backup", file, "--work-factor", "8")...)
	restored := &town{t, w.data, other}
	if m := answer[made](t, restored.citizen("restore", file, "--work-factor", "8")...); m.Credentials != 2 {
		t.Errorf("restored %+v", m)
	}
	succeed(t, restored.citizen("remove", "2", "--yes")...)
	if list := answer[[]wallet.Summary](t, restored.citizen("list")...); len(list) != 1 {
		t.Errorf("restored wallet lists %d", len(list))
	}
}

var (
	pasted = regexp.MustCompile(`(?m)^  bin/bulla (.*)$`)
	word   = regexp.MustCompile(`'([^']*)'|(\S+)`)
	link   = regexp.MustCompile(`openid4vp://\S+`)
)

// paste runs each command that serve prints, in order and as printed, the placeholder filled with the link that was
// printed last.
func paste(t *testing.T, text string) {
	t.Helper()
	lines := pasted.FindAllStringSubmatch(text, -1)
	if len(lines) != 9 {
		t.Fatalf("serve prints %d commands:\n%s", len(lines), text)
	}
	asked := ""
	for _, line := range lines {
		var args []string
		for _, w := range word.FindAllStringSubmatch(line[1], -1) {
			args = append(args, w[1]+w[2])
		}
		switch args[1] {
		case "init": // what a terminal's user pays
			args = append(args, "--work-factor", "8")
		case "present":
			if args[len(args)-1] != "openid4vp://…" || asked == "" {
				t.Fatalf("serve prints %q", line[1])
			}
			args[len(args)-1] = asked
			args = append(args, "--yes")
		}
		out := succeed(t, args...)
		if args[1] == "ask" {
			asked = link.FindString(out)
		}
	}
}
