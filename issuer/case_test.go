package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

const (
	second issuer.Officer = "https://agency.example|second"
	third  issuer.Officer = "https://agency.example|third"
)

// careful is an agency whose titles need so many approvals.
func careful(t testing.TB, approvals int, change ...func(*issuer.Config)) *agency {
	return newAgency(t, append(change, func(c *issuer.Config) { c.Approvals = map[string]int{titleType: approvals} })...)
}

func (a *agency) file(p *person, parcel string) issuer.Case {
	a.t.Helper()
	application := a.title(p, parcel)
	c, link, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseIssue, ExternalID: "file " + parcel, Application: &application})
	if err != nil || link == "" {
		a.t.Fatal(err)
	}
	return c
}

// offered is an access token for the offer of a case.
func (a *agency) offered(c issuer.Case) string {
	a.t.Helper()
	offer := must(a.OfferCase(a.t.Context(), clerk, c.ID, false))(a.t)
	return must(a.Token(a.t.Context(), issuer.TokenRequest{Code: codeOf(a.t, offer)}))(a.t).AccessToken
}

// A credential comes once two other officers approved, and never by less.
func TestFourEyes(t *testing.T) {
	a, p := careful(t, 2), newPerson("Li Wei")
	_, err := a.Offer(t.Context(), clerk, a.title(p, "1"))
	wantRefusal(t, err, issuer.ErrApproval)
	c := a.file(p, "1")
	if c.State != issuer.CaseSubmitted || c.Needed != 2 || c.Author != clerk {
		t.Fatalf("%+v", c)
	}
	token := a.offered(c)
	deferred := func() error { _, err := a.ask(p, token, titleType); return err }
	var deferral *issuer.Deferral
	if err := deferred(); !errors.As(err, &deferral) {
		t.Fatalf("before it is decided: %v", err)
	}
	c = must(a.Review(second, c.ID, 0))(t)
	_, err = a.Approve(clerk, c.ID, c.Version)
	wantRefusal(t, err, issuer.ErrSameOfficer)
	_, err = a.Approve(second, c.ID, c.Version-1)
	wantRefusal(t, err, issuer.ErrVersion)
	_, err = a.Approve(second, c.ID, 0)
	wantRefusal(t, err, issuer.ErrVersion)
	c = must(a.Approve(second, c.ID, c.Version))(t)
	if c.State != issuer.CaseInReview {
		t.Errorf("after one approval: %s", c.State)
	}
	_, err = a.Approve(second, c.ID, c.Version)
	wantRefusal(t, err, issuer.ErrSameOfficer)
	a.restart()
	if a.ledger.count() != 0 {
		t.Fatal("it was issued by one approval")
	}
	c = must(a.Approve(third, c.ID, c.Version))(t)
	if c.State != issuer.CaseApproved {
		t.Errorf("after two approvals: %s", c.State)
	}
	eventually(t, "the credential is there", func() bool { _, err := a.Deferred(t.Context(), token, deferral.Transaction); return err == nil })
	c = must(a.Case(clerk, c.ID))(t)
	if c.State != issuer.CaseIssued || c.Issued == "" || len(c.Steps) != 5 {
		t.Errorf("%+v", c)
	}
	_, err = a.Approve("fourth", c.ID, c.Version)
	wantRefusal(t, err, issuer.ErrState)
	_, err = a.OfferCase(t.Context(), clerk, c.ID, false)
	wantRefusal(t, err, issuer.ErrState)

	_, err = a.Revoke(t.Context(), clerk, c.Issued, because("sold"))
	wantRefusal(t, err, issuer.ErrApproval)
	must(a.Suspend(t.Context(), clerk, c.Issued, because("looked into")))(t) // at once
}

// slowOpen takes its time to say whether an order is open, so that the order is meanwhile put into an intent.
type slowOpen struct{ records.Memory }

func (s *slowOpen) Get(key string) ([]byte, error) {
	if strings.HasPrefix(key, "open/") {
		time.Sleep(200 * time.Millisecond)
	}
	return s.Memory.Get(key)
}

// What was approved before the wallet asked comes at once, also if it is on its way before we look whether it waits for officers.
func TestApprovedBefore(t *testing.T) {
	a, p := careful(t, 1, func(c *issuer.Config) { c.Store = new(slowOpen) }), newPerson("Li Wei")
	c := a.file(p, "1")
	must(a.Approve(second, c.ID, c.Version))(t)
	must(a.ask(p, a.offered(c), titleType))(t)
}

// What is edited loses its approvals, and its new author cannot approve it; what is issued is what was approved.
func TestEditedCase(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	c := a.file(p, "1")
	token := a.offered(c)
	if _, err := a.ask(p, token, titleType); !errors.Is(err, issuer.ErrUnavailable) { // the wallet asks before the edit
		t.Fatal(err)
	}
	edited := a.title(p, "1")
	edited.ValidUntil = "2027-05-05"
	c = must(a.Edit(second, c.ID, c.Version, edited))(t)
	_, err := a.Approve(second, c.ID, c.Version)
	wantRefusal(t, err, issuer.ErrSameOfficer)
	bad := edited
	bad.Schema = residenceType
	_, err = a.Edit(second, c.ID, c.Version, bad)
	if err == nil {
		t.Error("the schema of a case was changed")
	}
	must(a.Approve(clerk, c.ID, c.Version))(t) // no longer its author
	var issued string
	eventually(t, "the credential is there", func() bool {
		got, err := a.ask(p, token, titleType)
		if err == nil {
			issued = got.ValidUntil
		}
		return err == nil
	})
	if issued != edited.ValidUntil {
		t.Errorf("valid until %s, approved was %s", issued, edited.ValidUntil)
	}
	_, err = a.Edit(second, c.ID, 0, edited)
	wantRefusal(t, err, issuer.ErrState)
}

// A wallet that waits learns that it was refused; the person sees it at the link, and not why.
func TestRefusedCase(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	application := a.title(p, "1")
	c, link, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseIssue, Application: &application})
	if err != nil {
		t.Fatal(err)
	}
	token := a.offered(c)
	_, err = a.ask(p, token, titleType)
	var deferral *issuer.Deferral
	if !errors.As(err, &deferral) {
		t.Fatal(err)
	}
	before := must(a.Progress(t.Context(), link, 0))(t)
	followed := make(chan issuer.Progress, 1)
	go func() {
		p, _ := a.Progress(context.Background(), link, before.Version)
		followed <- p
	}()
	time.Sleep(20 * time.Millisecond)
	c = must(a.Case(clerk, c.ID))(t)
	must(a.Refuse(second, c.ID, c.Version, issuer.Reason{Code: issuer.ReasonFraud, Note: "forged deed"}))(t)
	if got := <-followed; got.State != issuer.CaseRefused || len(got.Steps) != 2 || fmt.Sprint(got) == "" {
		t.Errorf("%+v", got)
	}
	_, err = a.Deferred(t.Context(), token, deferral.Transaction)
	wantRefusal(t, err, issuer.ErrDenied)
	_, err = a.ask(p, token, titleType)
	wantRefusal(t, err, issuer.ErrDenied)
	if a.ledger.count() != 0 {
		t.Error("something reached the chain")
	}
	_, err = a.Progress(t.Context(), "x", 0)
	wantRefusal(t, err, issuer.ErrNotFound)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if same := must(a.Progress(ctx, link, 1000))(t); same.State != issuer.CaseRefused {
		t.Errorf("%+v", same)
	}
}

// One case is filed once under its number, and listed by what officers look for.
func TestFiledTwice(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	c := a.file(p, "1")
	application := a.title(p, "1")
	filing := issuer.Filing{Kind: issuer.CaseIssue, ExternalID: "file 1", Application: &application}
	if again, link, err := a.File(second, filing); err != nil || again.ID != c.ID || link != "" || again.Author != clerk {
		t.Errorf("%+v, %q, %v", again, link, err)
	}
	application.ValidUntil = "2028-01-01"
	_, _, err := a.File(clerk, filing)
	wantRefusal(t, err, issuer.ErrExternalID)
	a.clock.Advance(time.Millisecond) // ids rise with time
	other := a.file(newPerson("Wang Fang"), "2")
	for _, q := range []struct {
		issuer.CaseQuery
		want int
	}{
		{issuer.CaseQuery{}, 2}, {issuer.CaseQuery{Person: "Li Wei"}, 1}, {issuer.CaseQuery{ExternalID: "file 2"}, 1}, {issuer.CaseQuery{State: issuer.CaseApproved}, 0},
		{issuer.CaseQuery{Schema: residenceType}, 0}, {issuer.CaseQuery{After: c.ID}, 1}, {issuer.CaseQuery{After: other.ID}, 0},
	} {
		if page, next, err := a.Cases(clerk, q.CaseQuery); err != nil || len(page) != q.want || next != "" {
			t.Errorf("%+v: %d, %q, %v", q.CaseQuery, len(page), next, err)
		}
	}
	if page, next, err := a.Cases(clerk, issuer.CaseQuery{Limit: 1}); err != nil || len(page) != 1 || next != c.ID {
		t.Errorf("%d, %q, %v", len(page), next, err)
	}
}

// Two offers of one case give one credential.
func TestCaseOfferedTwice(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	c := a.file(p, "1")
	first, other := a.offered(c), a.offered(c)
	if _, err := a.ask(p, first, titleType); !errors.Is(err, issuer.ErrUnavailable) {
		t.Fatal(err)
	}
	_, err := a.ask(p, other, titleType)
	wantRefusal(t, err, issuer.ErrOffer)
	c = must(a.Case(clerk, c.ID))(t)
	must(a.Approve(second, c.ID, c.Version))(t)
	eventually(t, "the credential is there", func() bool { _, err := a.ask(p, first, titleType); return err == nil })
	_, err = a.ask(p, other, titleType)
	wantRefusal(t, err, issuer.ErrOffer)
}

// A parcel is sold: the old title ends before the new one begins, with the same subject key; over a restart in between.
func TestTransfer(t *testing.T) {
	a := newAgency(t)
	seller, buyer := newPerson("Li Wei"), newPerson("Wang Fang")
	issued, old := a.mustIssue(seller, a.title(seller, "1"))
	sold := a.title(buyer, "1")
	for name, wrong := range map[string]issuer.Filing{
		"to oneself":      {Kind: issuer.CaseTransfer, Credential: old.ID, Application: application(a.title(seller, "1"))},
		"another parcel":  {Kind: issuer.CaseTransfer, Credential: old.ID, Application: application(a.title(buyer, "2"))},
		"as a correction": {Kind: issuer.CaseCorrect, Credential: old.ID, Application: &sold},
		"of nothing":      {Kind: issuer.CaseTransfer, Application: &sold},
		"with a reason":   {Kind: issuer.CaseTransfer, Credential: old.ID, Application: &sold, Reason: &issuer.Reason{Code: issuer.ReasonOther}},
		"unknown kind":    {Kind: "gift", Credential: old.ID, Application: &sold},
	} {
		if _, _, err := a.File(clerk, wrong); err == nil {
			t.Errorf("%s: filed", name)
		}
	}
	c, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseTransfer, Credential: old.ID, Application: &sold})
	if err != nil || c.State != issuer.CaseApproved { // no approval is needed
		t.Fatalf("%+v, %v", c, err)
	}
	if got := must(a.Credential(clerk, old.ID))(t); got.Status != issuer.Active {
		t.Errorf("the old title is %s before the buyer asked", got.Status)
	}
	token := a.offered(c)
	if _, err := a.ask(buyer, token, titleType); err != nil && !errors.Is(err, issuer.ErrUnavailable) {
		t.Fatal(err)
	}
	a.restart()
	var next issuer.Credential
	eventually(t, "the new title is there", func() bool {
		got, err := a.ask(buyer, token, titleType)
		if err == nil && got.SubjectKey != issued.SubjectKey {
			t.Error("the subject key changed")
		}
		return err == nil
	})
	former := must(a.Credential(clerk, old.ID))(t)
	next = must(a.Credential(clerk, must(a.Case(clerk, c.ID))(t).Issued))(t)
	if former.Status != issuer.Revoked || former.History[1].Reason.Code != issuer.ReasonTransferred || next.Status != issuer.Active {
		t.Errorf("old %+v, new %s", former, next.Status)
	}
	if former.History[1].Entry >= next.History[0].Entry {
		t.Error("the new title was issued before the old one ended")
	}
}

func application(a issuer.Application) *issuer.Application { return &a }

// Renewing keeps one live credential where the schema demands that.
func TestRenewOnePerPerson(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, old := a.mustIssue(p, a.residence(p, "2026-01-01", "2028-01-01"))
	renewed := a.residence(p, "2026-01-01", "2028-01-01")
	renewed.ValidUntil = "2029-01-01"
	_, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseIssue, Application: &renewed})
	wantRefusal(t, err, issuer.ErrOnePerPerson)
	c, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseRenew, Credential: old.ID, Application: &renewed})
	if err != nil {
		t.Fatal(err)
	}
	token := a.offered(c)
	p.renew()
	eventually(t, "the new credential is there", func() bool { _, err := a.ask(p, token, residenceType); return err == nil })
	if got := must(a.Credential(clerk, old.ID))(t); got.Status != issuer.Revoked || got.History[1].Reason.Code != issuer.ReasonReplaced {
		t.Errorf("%+v", got)
	}
}

// Changes go through cases, too; one that comes too late is refused by itself.
func TestChangeByCase(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	c := a.file(p, "1")
	token := a.offered(c)
	must(a.Approve(second, c.ID, c.Version))(t)
	eventually(t, "the credential is there", func() bool { _, err := a.ask(p, token, titleType); return err == nil })
	id := must(a.Case(clerk, c.ID))(t).Issued
	why := because("demolished")
	file := func() issuer.Case {
		c, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseRevoke, Credential: id, Reason: &why})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, late := file(), file()
	must(a.Approve(second, first.ID, first.Version))(t)
	eventually(t, "it is revoked", func() bool { return must(a.Case(clerk, first.ID))(t).State == issuer.CaseDone })
	must(a.Approve(second, late.ID, late.Version))(t)
	eventually(t, "the second is refused", func() bool { return must(a.Case(clerk, late.ID))(t).State == issuer.CaseRefused })
	if got := must(a.Credential(clerk, id))(t); got.Status != issuer.Revoked || got.History[1].Reason.Note != "demolished" {
		t.Errorf("%+v", got)
	}
}

func TestApprovalsConfigured(t *testing.T) {
	a := newAgency(t)
	for name, approvals := range map[string]map[string]int{"an unknown schema": {"x": 1}, "too many": {titleType: 9}, "fewer than none": {titleType: -1}} {
		cfg := a.cfg
		cfg.Approvals = approvals
		cfg.Schemas = []*credential.Schema{titleSchema(), residenceSchema()}
		if _, err := issuer.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
