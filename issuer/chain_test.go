package issuer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

func TestStatusChanges(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	type change func(ctx context.Context, by issuer.Officer, id string, reason issuer.Reason) (issuer.Credential, error)
	for n, step := range []struct {
		change change
		want   issuer.Status // "" if refused
	}{
		{a.Reinstate, ""},
		{a.Suspend, issuer.Suspended},
		{a.Suspend, ""},
		{a.Reinstate, issuer.Active},
		{a.Suspend, issuer.Suspended},
		{a.Revoke, issuer.Revoked},
		{a.Reinstate, ""},
		{a.Suspend, ""},
		{a.Revoke, ""},
	} {
		got, err := step.change(t.Context(), clerk, c.ID, because(fmt.Sprint("reason ", n)))
		if step.want == "" {
			wantRefusal(t, err, issuer.ErrState)
		} else if err != nil || got.Status != step.want || got.Change != "" {
			t.Errorf("step %d: %+v, %v", n, got, err)
		}
	}
	history := must(a.Credential(clerk, c.ID))(t).History
	if len(history) != 5 || history[4].Kind != entry.KindCredentialsRevoked || *history[4].Reason != because("reason 5") {
		t.Errorf("history %+v", history)
	}
	if a.ledger.count() != 5 {
		t.Errorf("%d entries, want 5: refused ones must not reach the chain", a.ledger.count())
	}
	_, err := a.Revoke(t.Context(), clerk, "unknown", because("r"))
	wantRefusal(t, err, issuer.ErrNotFound)
	_, err = a.Revoke(t.Context(), clerk, c.ID, because(""))
	wantRefusal(t, err, issuer.ErrRequest)
}

// While one change is on its way, another of the same credential is refused, and nothing settles before the seal.
func TestOneChangeAtATime(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	gate := make(chan struct{})
	a.ledger.set(func(l *fakeLedger) { l.gate = gate })
	first := make(chan error, 1)
	go func() {
		_, err := a.Suspend(t.Context(), clerk, c.ID, because("r"))
		first <- err
	}()
	eventually(t, "the change is on its way", func() bool { return must(a.Credential(clerk, c.ID))(t).Change != "" })
	_, err := a.Revoke(t.Context(), clerk, c.ID, because("r"))
	wantRefusal(t, err, issuer.ErrState)
	if known := must(a.Credential(clerk, c.ID))(t); known.Status != issuer.Active {
		t.Errorf("suspended before the seal")
	}
	close(gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// prepared is a wallet that has everything but the answer.
type prepared struct {
	*person
	token string
	proof openid.EnrolmentProof
}

func (a *agency) prepare(n int) []prepared {
	a.t.Helper()
	out := make([]prepared, n)
	for k := range out {
		p := newPerson(fmt.Sprint("person ", k))
		out[k] = prepared{p, a.token(a.title(p, fmt.Sprint(k))), p.prove(a.t, a.statement(titleType, a.Nonce().Nonce))}
	}
	return out
}

func (a *agency) answerAll(all []prepared) (errs []error) {
	errs = make([]error, len(all))
	var wait sync.WaitGroup
	for k, w := range all {
		wait.Go(func() {
			issued, err := a.Issue(a.t.Context(), w.token, titleType, w.proof)
			if err == nil && issued.HolderCommitment != w.proof.HolderCommitment {
				err = errors.New("a credential of somebody else")
			}
			errs[k] = err
		})
	}
	wait.Wait()
	return errs
}

// Wallets that ask at once share entries: while one is being sent, the others gather.
func TestWalletsShareEntries(t *testing.T) {
	a := newAgency(t)
	all := a.prepare(12)
	a.ledger.set(func(l *fakeLedger) {
		l.before = func(*entry.Entry) error { time.Sleep(100 * time.Millisecond); return nil }
	})
	for k, err := range a.answerAll(all) {
		if err != nil {
			t.Errorf("wallet %d: %v", k, err)
		}
	}
	if n := a.ledger.count(); n > 5 {
		t.Errorf("%d entries for 12 wallets", n)
	}
	leaves := map[uint64]bool{}
	page, _, err := a.Credentials(clerk, issuer.List{Limit: 200})
	for _, c := range page {
		leaves[c.Leaf] = true
	}
	if err != nil || len(leaves) != 12 {
		t.Errorf("%d leaves, %v", len(leaves), err)
	}
}

// busy occupies the sender with a credential of somebody, until release is called: what is asked meanwhile gathers.
func (a *agency) busy() (release func()) {
	a.t.Helper()
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.ledger.set(func(l *fakeLedger) {
		l.before = func(*entry.Entry) error {
			once.Do(func() { close(held) })
			<-hold
			return nil
		}
	})
	first, done := a.prepare(1), make(chan []error, 1)
	go func() { done <- a.answerAll(first) }()
	<-held
	return func() {
		close(hold)
		if err := errors.Join(<-done...); err != nil {
			a.t.Error(err)
		}
	}
}

// One offer gives one credential, also to a wallet that asks twice at once, with two commitments.
func TestOneOfferAskedTwiceAtOnce(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	var twice []prepared
	for range 2 {
		p.renew()
		twice = append(twice, prepared{p, token, p.prove(t, a.statement(titleType, a.Nonce().Nonce))})
	}
	release, done := a.busy(), make(chan []error, 1)
	go func() { done <- a.answerAll(twice) }()
	time.Sleep(100 * time.Millisecond) // both are queued
	release()
	errs := <-done
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("want one credential: %v", errs)
	}
	if found, _, err := a.Credentials(clerk, issuer.List{Person: p.name}); err != nil || len(found) != 1 {
		t.Errorf("%d credentials, %v", len(found), err)
	}
}

// A wallet that went away once its request was accepted finds its credential, by the transaction that it was told or by asking
// anew; the nonce is used.
func TestWalletGoesAway(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	proof := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	release := a.busy()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := a.Issue(ctx, token, titleType, proof)
	wantRefusal(t, err, issuer.ErrUnavailable)
	var deferral *issuer.Deferral
	if !errors.As(err, &deferral) || deferral.Transaction == "" || deferral.Interval <= 0 {
		t.Fatalf("got %v, want a deferral", err)
	}
	release()
	first := must(a.Deferred(t.Context(), token, deferral.Transaction))(t)
	_, err = a.Issue(t.Context(), token, titleType, proof)
	wantRefusal(t, err, issuer.ErrNonce)
	if again := must(a.ask(p, token, titleType))(t); again.Leaf != first.Leaf || a.ledger.count() != 2 { // one is that of busy
		t.Errorf("leaves %d and %d, %d entries", first.Leaf, again.Leaf, a.ledger.count())
	}
	other := a.token(a.title(newPerson("Wang Fang"), "2"))
	for _, wrong := range []struct{ token, transaction string }{{token, "x"}, {other, deferral.Transaction}} {
		_, err := a.Deferred(t.Context(), wrong.token, wrong.transaction)
		wantRefusal(t, err, issuer.ErrTransaction)
	}
	_, err = a.Deferred(t.Context(), "x", deferral.Transaction)
	wantRefusal(t, err, issuer.ErrAccessToken)
}

// What was accepted is brought onto the chain after a restart, though nobody asks again.
func TestAcceptedAndRestarted(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	proof := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	first := newPerson("Wang Fang")
	other := a.token(a.title(first, "2"))
	before := first.prove(t, a.statement(titleType, a.Nonce().Nonce))
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return errNetwork } })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	go a.Issue(ctx, other, titleType, before) // is written as an intent
	time.Sleep(50 * time.Millisecond)
	_, err := a.Issue(ctx, token, titleType, proof) // is an order only
	var deferral *issuer.Deferral
	if !errors.As(err, &deferral) {
		t.Fatalf("got %v, want a deferral", err)
	}
	a.ledger.set(func(l *fakeLedger) { l.before = nil })
	a.restart()
	eventually(t, "the credential is active", func() bool {
		page, _, err := a.Credentials(clerk, issuer.List{Person: p.name})
		return err == nil && len(page) == 1 && page[0].Status == issuer.Active
	})
	must(a.Deferred(t.Context(), token, deferral.Transaction))(t)
}

// A refusal by the register is what a wallet is told that asks again, and another wallet may then answer.
func TestDeferredRefusal(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	stranger := newPerson("Li Wei") // the same name with another master secret
	token := a.token(a.title(p, "2"))
	proof := stranger.prove(t, a.statement(titleType, a.Nonce().Nonce))
	release := a.busy()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := a.Issue(ctx, token, titleType, proof)
	var deferral *issuer.Deferral
	if !errors.As(err, &deferral) {
		t.Fatalf("got %v, want a deferral", err)
	}
	release()
	_, err = a.Deferred(t.Context(), token, deferral.Transaction)
	wantRefusal(t, err, issuer.ErrOtherSecret)
	a.restart()
	_, err = a.Deferred(t.Context(), token, deferral.Transaction)
	wantRefusal(t, err, issuer.ErrOtherSecret)
	must(a.ask(p, token, titleType))(t)
}

func TestNotify(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	if err := a.Notify(token, "x", "credential_accepted"); !errors.Is(err, issuer.ErrNotification) {
		t.Errorf("before the credential: %v", err)
	}
	must(a.ask(p, token, titleType))(t)
	id, err := a.Notification(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"credential_accepted", "credential_accepted", "credential_deleted"} {
		if err := a.Notify(token, id, event); err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
	wantRefusal(t, a.Notify(token, id, "credential_liked"), issuer.ErrEvent)
	wantRefusal(t, a.Notify(token, "x", "credential_accepted"), issuer.ErrNotification)
	wantRefusal(t, a.Notify("x", id, "credential_accepted"), issuer.ErrAccessToken)
}

// A refusal without a code is not the ledger's but some proxy's: the entry may be on the chain, so it is sent again.
func TestAnswersOfOthers(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	answers := []error{
		&client.Problem{Status: 404}, &client.Problem{Status: 429, Code: "busy"}, &client.Problem{Status: 503, Code: "quota"}, errNetwork,
	}
	a.ledger.set(func(l *fakeLedger) {
		l.before = func(*entry.Entry) error {
			if len(answers) == 0 {
				return nil
			}
			err := answers[0]
			answers = answers[1:]
			return err
		}
	})
	a.mustIssue(p, a.title(p, "1"))
	if a.ledger.submits != 5 {
		t.Errorf("%d submissions, want 5", a.ledger.submits)
	}
}

// Of a batch that exceeds the quota, as many are issued as it allows.
func TestQuota(t *testing.T) {
	a := newAgency(t)
	all := a.prepare(6)
	var issued atomic.Int64
	a.ledger.set(func(l *fakeLedger) {
		l.before = func(e *entry.Entry) error {
			time.Sleep(20 * time.Millisecond)
			payload, _ := e.ParsePayload()
			n := int64(len(payload.(entry.CredentialsIssued).Commitments))
			if issued.Load()+n > 3 {
				return problem("quota")
			}
			issued.Add(n)
			return nil
		}
	})
	good := 0
	errs := a.answerAll(all)
	for _, err := range errs {
		if err == nil {
			good++
			continue
		}
		wantRefusal(t, err, issuer.ErrLedger)
		var refusal *issuer.Refusal
		if !errors.As(err, &refusal) || refusal.Ledger != "quota" {
			t.Errorf("refused with %v", err)
		}
	}
	if good != 3 {
		t.Errorf("%d issued, the quota is 3", good)
	}
	a.ledger.set(func(l *fakeLedger) { l.before = nil }) // governance raises it: the same offers are good
	for k, err := range errs {
		if err == nil {
			continue
		}
		if _, err := a.ask(all[k].person, all[k].token, titleType); err != nil {
			t.Errorf("after the quota was raised: %v", err)
		}
	}
	page, _, _ := a.Credentials(clerk, issuer.List{Limit: 200})
	if len(page) != 6 {
		t.Errorf("%d credentials, want 6", len(page))
	}
}

func TestSuspendedIssuer(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return problem("issuer-suspended") } })
	token := a.token(a.title(p, "2"))
	p.renew()
	_, err := a.ask(p, token, titleType)
	wantRefusal(t, err, issuer.ErrLedger)
	_, err = a.Revoke(t.Context(), clerk, c.ID, because("r"))
	wantRefusal(t, err, issuer.ErrLedger)
	if known := must(a.Credential(clerk, c.ID))(t); known.Status != issuer.Active || known.Change != "" {
		t.Errorf("a refused change leaves %+v", known)
	}
	a.ledger.set(func(l *fakeLedger) { l.before = nil })
	must(a.ask(p, token, titleType))(t)
	must(a.Revoke(t.Context(), clerk, c.ID, because("r")))(t)
}

// A credential that the ledger refused holds no place in the register.
func TestRefusedCredentialIsReleased(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return problem("quota") } })
	token := a.token(a.residence(p, "", "2030-01-01"))
	_, err := a.ask(p, token, residenceType)
	wantRefusal(t, err, issuer.ErrLedger)
	a.ledger.set(func(l *fakeLedger) { l.before = nil })
	must(a.ask(p, token, residenceType))(t)
}

// What is sealed is settled once, however often the process starts.
func TestSettledOnce(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	submits := a.ledger.submits
	a.restart()
	eventually(t, "the issuer is ready", a.Ready)
	must(a.Reinstate(t.Context(), clerk, c.ID, because("r")))(t)
	if again := must(a.Credential(clerk, c.ID))(t); len(again.History) != 3 || a.ledger.submits != submits+1 {
		t.Errorf("%d events, %d entries were sent again", len(again.History), a.ledger.submits-submits-1)
	}
}

// The process stops after the intent was written: before the ledger got the entry, or after, with the answer lost.
func TestCrashAfterIntent(t *testing.T) {
	for name, fail := range map[string]func(l *fakeLedger, f func(*entry.Entry) error){
		"before the ledger has it":   func(l *fakeLedger, f func(*entry.Entry) error) { l.before = f },
		"before the answer got back": func(l *fakeLedger, f func(*entry.Entry) error) { l.after = f },
	} {
		t.Run(name, func(t *testing.T) {
			a, p := newAgency(t), newPerson("Li Wei")
			_, old := a.mustIssue(p, a.title(p, "0"))
			p.renew()
			a.clock.Advance(time.Millisecond)
			token := a.token(a.title(p, "1"))
			var sent atomic.Pointer[[]byte]
			a.ledger.set(func(l *fakeLedger) {
				fail(l, func(e *entry.Entry) error {
					raw := e.Bytes()
					if before := sent.Swap(&raw); before != nil && !bytes.Equal(*before, raw) {
						t.Error("other bytes are sent the second time")
					}
					return errNetwork
				})
			})
			proof := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
			ctx, cancel := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				_, err := a.Issue(ctx, token, titleType, proof)
				answered <- err
			}()
			eventually(t, "the entry is sent", func() bool { return sent.Load() != nil })
			if err := a.stop(); err != nil {
				t.Fatal(err)
			}
			cancel()
			wantRefusal(t, <-answered, issuer.ErrUnavailable)

			a.ledger.set(func(l *fakeLedger) { l.before, l.after = nil, nil })
			a.restart()
			eventually(t, "the credential is active", func() bool { return a.newest().Status == issuer.Active && a.newest().ID != old.ID })
			issued := must(a.ask(p, token, titleType))(t) // the wallet asks again
			if !bytes.Equal(must(credential.ParseBase64(issued.Entry, -1))(t), *sent.Load()) || a.ledger.count() != 2 {
				t.Errorf("%d entries; the one that was sent must be the one on the chain", a.ledger.count())
			}
			must(a.Revoke(t.Context(), clerk, a.newest().ID, because("r")))(t) // numbers go on
		})
	}
}

// The process stops before the seal, and the ledger refuses what was never accepted.
func TestRefusedAfterRestart(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return errNetwork } })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := a.Issue(ctx, token, titleType, p.prove(t, a.statement(titleType, a.Nonce().Nonce)))
	wantRefusal(t, err, issuer.ErrUnavailable)
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return problem("quota") } })
	a.restart()
	eventually(t, "the issuer is ready", a.Ready)
	if page, _, _ := a.Credentials(clerk, issuer.List{}); len(page) != 0 {
		t.Errorf("a refused credential is kept: %+v", page[0].Status)
	}
	a.ledger.set(func(l *fakeLedger) { l.before = nil })
	must(a.ask(p, token, titleType))(t)
}

func TestWalletAsksAgainWhileItWaits(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	gate := make(chan struct{})
	a.ledger.set(func(l *fakeLedger) { l.gate = gate })
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	proof := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	go func() {
		_, err := a.Issue(ctx, token, titleType, proof)
		first <- err
	}()
	eventually(t, "the entry is accepted", func() bool { return a.ledger.count() == 1 })
	cancel() // the connection breaks
	wantRefusal(t, <-first, issuer.ErrUnavailable)
	second := make(chan error, 1)
	again := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	go func() {
		_, err := a.Issue(t.Context(), token, titleType, again)
		second <- err
	}()
	time.Sleep(50 * time.Millisecond)
	close(gate)
	if err := <-second; err != nil {
		t.Error(err)
	}
	if a.ledger.count() != 1 {
		t.Errorf("%d entries, want 1", a.ledger.count())
	}
}

// Records that are older than the chain are not taken: credentials may exist that they do not know.
func TestLostRecords(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	a.mustIssue(p, a.title(p, "2"))
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	cfg := a.cfg
	cfg.Store, cfg.Registers = new(records.Memory), nil
	cfg.Schemas = []*credential.Schema{titleSchema()}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	fresh := must(issuer.New(cfg))(t)
	if err := fresh.Run(ctx); !errors.Is(err, issuer.ErrLost) {
		t.Errorf("ran on lost records: %v", err)
	}
	a.cfg = cfg
	a.cfg.AcceptLoss = true
	a.restart()
	a.mustIssue(p, a.title(p, "3"))
	a.cfg.AcceptLoss = false // from then on they fit again
	a.restart()
	a.mustIssue(p, a.title(p, "4"))

	a.stop()
	a.ledger.set(func(l *fakeLedger) { l.entries, l.next = nil, 0 }) // another ledger, or one that lost entries
	if err := must(issuer.New(a.cfg))(t).Run(ctx); !errors.Is(err, issuer.ErrForeignEntry) {
		t.Errorf("ran on a shorter chain: %v", err)
	}
}

// Somebody else signs entries with our key.
func TestForeignEntry(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	a.ledger.set(func(l *fakeLedger) { l.next++ })
	_, err := a.issue(p, a.title(p, "2"))
	wantRefusal(t, err, issuer.ErrLedger)
	eventually(t, "the issuer stops", func() bool { return !a.Ready() })
	if err := a.stop(); !errors.Is(err, issuer.ErrForeignEntry) {
		t.Errorf("stopped with %v", err)
	}
}

// The ledger seals another entry than the one that it accepted.
func TestSealOfAnother(t *testing.T) {
	a, p := newAgency(t, func(c *issuer.Config) { c.SealWait = 300 * time.Millisecond }), newPerson("Li Wei")
	a.ledger.set(func(l *fakeLedger) { l.sealsOther = true })
	_, err := a.issue(p, a.title(p, "1"))
	wantRefusal(t, err, issuer.ErrUnavailable)
	if err := a.stop(); !errors.Is(err, issuer.ErrForeignEntry) {
		t.Errorf("stopped with %v", err)
	}
}

// brokenStore fails once so many commits were made.
type brokenStore struct {
	records.Memory
	broken atomic.Bool
	left   atomic.Int64
}

func (s *brokenStore) Commit(rows map[string][]byte) error {
	if s.broken.Load() && s.left.Add(-1) < 0 {
		return errors.New("disk is full")
	}
	return s.Memory.Commit(rows)
}

func TestStoreFails(t *testing.T) {
	store := new(brokenStore)
	a := newAgency(t, func(c *issuer.Config) { c.Store, c.SealWait = store, 200*time.Millisecond })
	p := newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	store.broken.Store(true)
	if _, err := a.Offer(t.Context(), clerk, a.title(p, "2")); err == nil {
		t.Error("an offer that is not stored was made")
	}
	var refusal *issuer.Refusal
	if _, err := a.ask(p, token, titleType); err == nil || errors.As(err, &refusal) || errors.Is(err, issuer.ErrUnavailable) {
		t.Errorf("a request that is not stored was answered with %v", err)
	}
	store.left.Store(1) // the order is written, the intent is not
	_, err := a.ask(p, token, titleType)
	wantRefusal(t, err, issuer.ErrUnavailable)
	if a.ledger.count() != 0 {
		t.Error("an entry was sent whose intent was not written")
	}
	if err := a.stop(); err == nil {
		t.Error("Run went on without its store")
	}
	store.broken.Store(false)
	a.stop = nil
	a.restart()
	must(a.ask(p, token, titleType))(t)
	if a.ledger.count() != 1 {
		t.Errorf("%d entries, want 1", a.ledger.count())
	}
}
