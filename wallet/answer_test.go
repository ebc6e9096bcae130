package wallet_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// TestAnswer follows one person through a response of two credentials, what it tells, and what is remembered.
func TestAnswer(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	for _, link := range []string{w.offer(&residence, livesThere), w.offer(&landTitle, smallPlot)} {
		ledgertest.Must(person.Receive(t.Context(), link, ""))(t)
	}
	r := ledgertest.Must(person.Read(t.Context(), w.request("both")))(t)
	candidates := ledgertest.Must(person.Candidates(t.Context(), r))(t)
	choice := ledgertest.Must(r.DefaultChoice(candidates))(t)

	e := ledgertest.Must(person.Explain(r, candidates, choice, "en"))(t)
	text := strings.Join(e.Lines(), "\n")
	for _, want := range []string{
		"bank.example", "registered on the chain", "a loan", "30 days", "Resident since", "at least 2 years ago", "310101",
		"area is at least 500", "sees the value of: commune", "pseudonym", "everyone who ever held it", "at most 601 seconds",
		"  · What the answer narrows down:\n", "Resident since: ", "possible days remain", "    ! commune: the verifier sees the value", "can be linked by your pseudonym",
		"few live credentials are of this kind (2)", "development chain", "has learned nothing", "commune is Igny", "Live credentials in the group: 4",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, text)
		}
	}
	chinese := strings.Join(ledgertest.Must(person.Explain(r, candidates, choice, "zh-CN"))(t).Lines(), "\n")
	for _, want := range []string{"贷款", "居住起始日", "开发链", "吊销最迟在 601 秒内", "此应答将范围缩小为", "此前未从您处得知"} {
		if !strings.Contains(chinese, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, chinese)
		}
	}
	if posts := w.posted(); len(posts) != 0 {
		t.Fatal("something was sent before a person acted")
	}

	var stages []wallet.Stage
	ctx := wallet.WithProgress(t.Context(), func(s wallet.Stage, _, _ int) { stages = append(stages, s) })
	answer, err := person.Answer(ctx, r.Consent(choice))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(answer.RedirectURI, "/bank/done") || !slices.Contains(stages, wallet.StageProve) || stages[len(stages)-1] != wallet.StageDone {
		t.Errorf("answer %+v, stages %v", answer, stages)
	}
	posts := w.posted()
	if len(posts) != 1 || posts[0].Get("state") != "state" || len(posts[0]) != 2 {
		t.Fatalf("posted %v", posts)
	}
	token := ledgertest.Must(openid.ParseVPToken([]byte(posts[0].Get("vp_token"))))(t)
	home, land := token["residence"][0], token["land"][0]
	switch {
	case len(token) != 2 || home.N != land.N || home.Link != land.Link || home.Root != land.Root || home.Item == land.Item:
		t.Error("the presentations do not share n, link and root, or share their item")
	case home.N.IsZero() || !home.N.Fits31() || home.Pseudonym.IsZero() || !home.SubjectTag.IsZero() || !land.Pseudonym.IsZero() || land.SubjectTag.IsZero():
		t.Error("n or tags are not as they must be")
	case home.Disclosed != nil || len(land.Disclosed) != 1 || land.Disclosed["commune"] != "Igny":
		t.Errorf("disclosed %v and %v", home.Disclosed, land.Disclosed)
	}

	// The nonce is spent; another request of the same verifier adds little.
	_, err = person.Answer(t.Context(), r.Consent(choice))
	wantCode(t, err, wallet.CodeNonceUsed)
	wantCode(t, person.Refuse(t.Context(), r), wallet.CodeNonceUsed)
	r2 := ledgertest.Must(person.Read(t.Context(), w.request("land")))(t)
	candidates = ledgertest.Must(person.Candidates(t.Context(), r2))(t)
	e = ledgertest.Must(person.Explain(r2, candidates, ledgertest.Must(r2.DefaultChoice(candidates))(t), "en"))(t)
	if len(e.Adds) != 0 || len(e.Before) != 6 || !slices.ContainsFunc(e.Before, func(s string) bool { return strings.Contains(s, "commune is Igny") }) {
		t.Errorf("adds %q to %q", e.Adds, e.Before)
	}

	if err := person.Refuse(t.Context(), r2); err != nil {
		t.Fatal(err)
	}
	events := person.History()
	last := events[len(events)-1]
	if len(events) != 4 || last.Kind != wallet.EventRefused || events[2].Outcome != wallet.OutcomeDone || events[2].Party != bank || len(events[2].Facts) == 0 {
		t.Errorf("history %+v", events)
	}
	second := w.posted()
	if len(second) != 1 || second[0].Encode() != "error=access_denied&state=state" {
		t.Errorf("refusing sent %v", second)
	}
}

// TestAnswerUnlinkable: each response draws its own n, and links to no other.
func TestAnswerUnlinkable(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	ledgertest.Must(person.Receive(t.Context(), w.offer(&landTitle, smallPlot), ""))(t)
	seen := map[credential.Element]bool{}
	for range 2 {
		r := ledgertest.Must(person.Read(t.Context(), w.request("land")))(t)
		ledgertest.Must(person.Answer(t.Context(), r.Consent(nil)))(t)
		p := ledgertest.Must(openid.ParseVPToken([]byte(w.posted()[0].Get("vp_token"))))(t)["land"][0]
		for _, e := range []credential.Element{p.N, p.Link, p.Item} {
			if seen[e] {
				t.Error("two responses have a value in common")
			}
			seen[e] = true
		}
	}
}

// TestTwoOfAKind: two queries of one kind are answered with two credentials, and one query takes one that can.
func TestTwoOfAKind(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	small := credential.Claims{"parcel": "AB 11", "commune": "Igny", "area": "90"}
	for _, claims := range []credential.Claims{small, smallPlot, smallPlot} {
		ledgertest.Must(person.Receive(t.Context(), w.offer(&landTitle, claims), ""))(t)
	}
	r := ledgertest.Must(person.Read(t.Context(), w.request("two-parcels")))(t)
	answer := ledgertest.Must(person.Answer(t.Context(), r.Consent(nil)))(t)
	if used := answer.Event.Credentials; len(used) != 2 || used[0] == used[1] || slices.Contains(used, "1") {
		t.Errorf("answered with %v", used)
	}
}

// TestCannotAnswer has every reason why an honest wallet refuses by itself. Nothing is sent; and what a person then
// sends is, to the byte, what one sends who does not want to.
func TestCannotAnswer(t *testing.T) {
	w := newWorld(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	cases := []struct {
		name, policy string
		code         wallet.Code
		schema       *credential.Schema
		claims       credential.Claims
		change       func(*offered)
		then         func(leaf uint64)
	}{
		{"none of the kind", "land", wallet.CodeNoCredential, &residence, livesThere, nil, nil},
		{"expired", "residence", wallet.CodeExpired, &residence, livesThere, func(o *offered) { o.until = today.AddDate(0, 0, -1) }, nil},
		{"not yet valid", "residence", wallet.CodeNotYetValid, &residence, livesThere, func(o *offered) { o.from = today.AddDate(0, 0, 1) }, nil},
		{"out of range", "land", wallet.CodeClauseFalse, &landTitle, credential.Claims{"parcel": "1", "commune": "Igny", "area": "499"}, nil, nil},
		{"not in the set", "residence", wallet.CodeClauseFalse, &residence, credential.Claims{"district": "999999", "since": "2015-06-01"}, nil, nil},
		{"suspended", "residence", wallet.CodeRevokedOrSuspended, &residence, livesThere, nil, func(leaf uint64) {
			w.chain.Submit(civil, entry.CredentialsSuspended{Leaves: []uint64{leaf}}, w.issuer)
		}},
		{"revoked", "residence", wallet.CodeRevokedOrSuspended, &residence, livesThere, nil, func(leaf uint64) {
			w.chain.Submit(civil, entry.CredentialsRevoked{Leaves: []uint64{leaf}}, w.issuer)
		}},
		{"one credential for two queries", "two-parcels", wallet.CodeSameCredential, &landTitle, smallPlot, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			person := w.wallet()
			if c.change == nil {
				c.change = func(*offered) {}
			}
			summary := ledgertest.Must(person.Receive(t.Context(), w.offer(c.schema, c.claims, c.change), ""))(t)
			r := ledgertest.Must(person.Read(t.Context(), w.request(c.policy)))(t)
			if c.then != nil { // after the request was read, before it is answered
				c.then(summary.Leaf)
				w.chain.Settle()
			}
			_, err := person.Answer(t.Context(), r.Consent(nil))
			wantCode(t, err, c.code)
			var refusal *wallet.Refusal
			if errors.As(err, &refusal) && (refusal.Text("zh-CN") == "" || refusal.Text("en") == refusal.Text("zh-CN")) {
				t.Error("the refusal has no text")
			}
			if posts := w.posted(); len(posts) != 0 {
				t.Fatalf("sent %v without a person's doing", posts)
			}
			if c.code == wallet.CodeSameCredential {
				_, err := person.Answer(t.Context(), r.Consent(wallet.Choice{"land": summary.ID, "land2": summary.ID}))
				wantCode(t, err, wallet.CodeSameCredential)
			}
			if err := person.Refuse(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if posts := w.posted(); len(posts) != 1 || posts[0].Encode() != "error=access_denied&state=state" {
				t.Errorf("refusing sent %v", posts)
			}
		})
	}
}

func TestSuspendedAndReinstated(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	summary := ledgertest.Must(person.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	state := func() wallet.State { return ledgertest.Must(person.Sync(t.Context()))(t)[0].State }
	if got := state(); got != wallet.StateActive {
		t.Errorf("state is %s", got)
	}
	w.chain.Submit(civil, entry.CredentialsSuspended{Leaves: []uint64{summary.Leaf}}, w.issuer)
	w.chain.Settle()
	if got := state(); got != wallet.StateRevokedOrSuspended {
		t.Errorf("state is %s", got)
	}
	w.chain.Submit(civil, entry.CredentialsReinstated{Leaves: []uint64{summary.Leaf}}, w.issuer)
	w.chain.Settle()
	if got := state(); got != wallet.StateActive {
		t.Errorf("state is %s", got)
	}
	r := ledgertest.Must(person.Read(t.Context(), w.request("residence")))(t)
	if _, err := person.Answer(t.Context(), r.Consent(nil)); err != nil {
		t.Errorf("reinstated, but refused: %v", err)
	}
	w.chain.Govern(entry.IssuerSuspended{DID: civil, Reason: "test"})
	w.chain.Settle()
	if got := state(); got != wallet.StateIssuerSuspended {
		t.Errorf("state is %s", got)
	}
}

// TestRootAfterReinstatement: the oldest roots that the freshness allows are from the time of the suspension.
func TestRootAfterReinstatement(t *testing.T) {
	w := newWorld(t)
	q := w.policies["residence"].Queries[0]
	w.addPolicy("fresh", q)
	p := *w.policies["fresh"]
	p.FreshnessSeconds = 8
	w.policies["fresh"] = &p
	w.chain.Submit(bank, entry.PolicyRegistered{Policy: ledgertest.Must(p.Canonical())(t)}, w.verifier)
	person := w.wallet()
	summary := ledgertest.Must(person.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	w.chain.Submit(civil, entry.CredentialsSuspended{Leaves: []uint64{summary.Leaf}}, w.issuer)
	w.chain.Settle()
	time.Sleep(8 * time.Second)
	w.chain.Submit(civil, entry.CredentialsReinstated{Leaves: []uint64{summary.Leaf}}, w.issuer)
	w.chain.Settle()
	r := ledgertest.Must(person.Read(t.Context(), w.request("fresh")))(t)
	if _, err := person.Answer(t.Context(), r.Consent(nil)); err != nil {
		t.Error(err)
	}
}

// TestChangedRegistration: what was read is answered only if it still stands on the chain.
func TestChangedRegistration(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	ledgertest.Must(person.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	r := ledgertest.Must(person.Read(t.Context(), w.request("residence")))(t)
	p := *w.policies["residence"]
	p.RetentionDays++
	w.chain.Submit(bank, entry.PolicyRegistered{Policy: ledgertest.Must(p.Canonical())(t)}, w.verifier)
	w.chain.Settle()
	_, err := person.Answer(t.Context(), r.Consent(nil))
	wantCode(t, err, wallet.CodeWider)
	_, err = person.Answer(t.Context(), wallet.Consent{})
	wantCode(t, err, wallet.CodeConsent)
	if len(w.posted()) != 0 {
		t.Error("something was sent")
	}
}

// TestOutcomes: the nonce is spent whatever the verifier says, and the history knows what it said.
func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	ledgertest.Must(person.Receive(t.Context(), w.offer(&landTitle, smallPlot), ""))(t)
	for _, c := range []struct {
		name    string
		reply   http.HandlerFunc
		code    wallet.Code
		outcome wallet.Outcome
	}{
		{"refused", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadRequest)
			answerJSON(rw, map[string]string{"error": "invalid_request", "error_description": "root is too old"})
		}, wallet.CodeRemote, wallet.OutcomeRejected},
		{"broken off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, wallet.CodeNetwork, wallet.OutcomeUnknown},
		{"redirected", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, wallet.CodeAddress, wallet.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.reply = c.reply
			r := ledgertest.Must(person.Read(t.Context(), w.request("land")))(t)
			_, err := person.Answer(t.Context(), r.Consent(nil))
			wantCode(t, err, c.code)
			_, err = person.Answer(t.Context(), r.Consent(nil))
			wantCode(t, err, wallet.CodeNonceUsed)
			events := person.History()
			if last := events[len(events)-1]; last.Outcome != c.outcome {
				t.Errorf("history %+v, want the outcome %s", last, c.outcome)
			}
		})
	}
	if slices.Contains(w.paths, "/elsewhere") {
		t.Error("the response was redirected")
	}
}

// TestNonceAcrossProcesses: two wallets on one vault answer a request once.
func TestNonceAcrossProcesses(t *testing.T) {
	w := newWorld(t)
	cfg := w.vaultConfig()
	first := w.walletOf(ledgertest.Must(wallet.CreateVault(cfg))(t))
	ledgertest.Must(first.Receive(t.Context(), w.offer(&landTitle, smallPlot), ""))(t)
	second := w.walletOf(ledgertest.Must(wallet.OpenVault(cfg))(t))
	link := w.request("land")
	r1, r2 := ledgertest.Must(first.Read(t.Context(), link))(t), ledgertest.Must(second.Read(t.Context(), link))(t)
	ledgertest.Must(first.Answer(t.Context(), r1.Consent(nil)))(t)
	_, err := second.Answer(t.Context(), r2.Consent(nil))
	wantCode(t, err, wallet.CodeNonceUsed)
	if posts := w.posted(); len(posts) != 1 {
		t.Errorf("%d answers were sent", len(posts))
	}
}

// TestGrid: on a chain with a grid a new credential waits for the next grid root, and all wallets take the oldest.
func TestGrid(t *testing.T) {
	const grid = 6
	w := newWorld(t, func(g *entry.Genesis) { g.GridSeconds = grid })
	person := w.wallet()
	ledgertest.Must(person.Receive(t.Context(), w.offer(&landTitle, smallPlot), ""))(t)
	r := ledgertest.Must(person.Read(t.Context(), w.request("land")))(t)
	synced := ledgertest.Must(person.Sync(t.Context()))(t)
	if synced[0].State == wallet.StateWaiting {
		_, err := person.Answer(t.Context(), r.Consent(nil))
		wantCode(t, err, wallet.CodeNotOnGrid)
		candidates := ledgertest.Must(person.Candidates(t.Context(), r))(t)
		if !candidates[0].Newer {
			t.Error("nobody says that the credential is newer than the grid")
		}
	}
	deadline := time.Now().Add(3 * grid * time.Second)
	for synced[0].State != wallet.StateActive && time.Now().Before(deadline) {
		time.Sleep(500 * time.Millisecond)
		synced = ledgertest.Must(person.Sync(t.Context()))(t)
	}
	if _, err := person.Answer(t.Context(), r.Consent(nil)); err != nil {
		t.Fatal(err)
	}
	p := ledgertest.Must(openid.ParseVPToken([]byte(w.posted()[0].Get("vp_token"))))(t)["land"][0]
	chain := w.chain.Client()
	view := ledgertest.Must(chain.Update(t.Context()))(t)
	seals := ledgertest.Must(chain.GridSeals(t.Context(), view, 10*time.Minute, 0))(t)
	receipt := person.Credentials()[0]
	for _, s := range seals {
		group := ledgertest.Must(chain.Group(t.Context(), s.Seal.ActiveRoot, receipt.Leaf))(t)
		if _, leaf, _ := group.Path(receipt.Leaf); !leaf.IsZero() {
			if p.Root != s.Seal.ActiveRoot {
				t.Error("the root is not the oldest on the grid that holds the credential")
			}
			return
		}
	}
	t.Error("no root on the grid holds the credential")
}

// TestKeepFresh: the wallet notices by itself.
func TestKeepFresh(t *testing.T) {
	w := newWorld(t, func(g *entry.Genesis) { g.GridSeconds = 1 })
	person := w.wallet()
	summary := ledgertest.Must(person.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		person.KeepFresh(ctx)
		close(done)
	}()
	w.chain.Submit(civil, entry.CredentialsRevoked{Leaves: []uint64{summary.Leaf}}, w.issuer)
	w.chain.Settle()
	deadline := time.Now().Add(20 * time.Second)
	for person.Credentials()[0].State != wallet.StateRevokedOrSuspended && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	if got := person.Credentials()[0].State; got != wallet.StateRevokedOrSuspended {
		t.Errorf("state is %s", got)
	}
	cancel()
	<-done
}
