package issuer_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/entry"
)

// recount counts what officers can read, one by one.
func (a *agency) recount() (days map[string]int, applications map[issuer.CaseState]int, credentials map[issuer.Status]int) {
	a.t.Helper()
	days, applications, credentials = map[string]int{}, map[issuer.CaseState]int{}, map[issuer.Status]int{}
	count := func(at credential.UnixTime, event string) { days[at.Time().UTC().Format(time.DateOnly)+" "+event]++ }
	cases, _, err := a.Cases(clerk, issuer.CaseQuery{Limit: issuer.MaxPage})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, c := range cases {
		applications[c.State]++
		for n, step := range c.Steps {
			if n == 0 || step.State != c.Steps[n-1].State {
				count(step.At, "application."+strings.ReplaceAll(string(step.State), "-", "_"))
			}
		}
	}
	all, _, err := a.Credentials(clerk, issuer.List{Limit: issuer.MaxPage})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, c := range all {
		credentials[c.Status]++
		for _, e := range c.History {
			count(e.At, map[entry.Kind]string{
				entry.KindCredentialsIssued: "credential.issued", entry.KindCredentialsSuspended: "credential.suspended",
				entry.KindCredentialsReinstated: "credential.reinstated", entry.KindCredentialsRevoked: "credential.revoked",
			}[e.Kind])
		}
	}
	return days, applications, credentials
}

func (a *agency) wantCounted() {
	a.t.Helper()
	days, applications, credentials := a.recount()
	s := must(a.Statistics("2026-03-01", "2027-03-01"))(a.t)
	got := map[string]int{}
	for _, d := range s.Days {
		for event, n := range d.Counts {
			got[d.Day+" "+event] += n
		}
	}
	if !maps.Equal(got, days) {
		a.t.Errorf("counted %v, there are %v", got, days)
	}
	for _, now := range s.Now {
		if now.Schema == titleType && (!maps.Equal(now.Applications, applications) || !maps.Equal(now.Credentials, credentials)) {
			a.t.Errorf("counted %+v, there are %v and %v", now, applications, credentials)
		}
	}
}

// Whatever officers do, the counts are those of a count one by one; and an older store is counted to the same.
func TestStatistics(t *testing.T) {
	store := new(records.Memory)
	a := careful(t, 1, func(c *issuer.Config) { c.Store = store })
	random := rand.New(rand.NewPCG(7, 7))
	var open []issuer.Case
	for n := range 24 {
		a.clock.Advance(9 * time.Hour)
		p := newPerson(fmt.Sprint("person ", n))
		c := a.file(p, fmt.Sprint(n))
		switch random.IntN(6) {
		case 0:
			must(a.Review(second, c.ID, c.Version))(t)
		case 1:
			must(a.Refuse(second, c.ID, c.Version, because("no")))(t)
		case 2:
			must(a.Withdraw(clerk, c.ID, c.Version))(t)
		case 3:
			must(a.Edit(clerk, c.ID, c.Version, a.title(p, fmt.Sprint(n))))(t)
		default:
			must(a.Approve(second, c.ID, c.Version))(t)
			must(a.ask(p, a.offered(c), titleType))(t)
			open = append(open, must(a.Case(clerk, c.ID))(t))
		}
	}
	for n, c := range open {
		a.clock.Advance(7 * time.Hour)
		must(a.Suspend(t.Context(), clerk, c.Issued, because("looked into")))(t)
		if n%2 == 0 {
			f, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseRevoke, Credential: c.Issued, Reason: &issuer.Reason{Code: issuer.ReasonFraud}})
			if err != nil {
				t.Fatal(err)
			}
			must(a.Approve(third, f.ID, f.Version))(t)
			eventually(t, "it is revoked", func() bool { return must(a.Case(clerk, f.ID))(t).State == issuer.CaseDone })
		}
	}
	if len(open) < 4 {
		t.Fatalf("only %d were issued: the test would prove little", len(open))
	}
	a.wantCounted()
	before := must(a.Statistics("2026-03-01", "2027-03-01"))(t)
	older := map[string][]byte{"counted": nil}
	for _, table := range []string{"count/", "standing/"} {
		if err := store.Scan(table, "", func(key string, _ []byte) bool { older[key] = nil; return true }); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Commit(older); err != nil || len(older) < 10 {
		t.Fatalf("%d rows, %v", len(older), err)
	}
	a.restart()
	if after := must(a.Statistics("2026-03-01", "2027-03-01"))(t); !reflect.DeepEqual(before, after) {
		t.Errorf("an older store is counted to %+v, want %+v", after, before)
	}
	a.restart() // and only once
	a.wantCounted()
}

// An agency without approvals files and approves in one step.
func TestStatisticsWithoutApprovals(t *testing.T) {
	a := newAgency(t)
	a.file(newPerson("Li Wei"), "1")
	a.wantCounted()
}

func TestStatisticsOfNoPeriod(t *testing.T) {
	a := newAgency(t)
	for _, period := range [][2]string{{"", ""}, {"2026-3-1", "2026-03-02"}, {"2026-03-02", "2026-03-01"}, {"2000-01-01", "2026-01-01"}, {"2026-03-01", "2026-02-30"}} {
		_, err := a.Statistics(period[0], period[1])
		wantRefusal(t, err, issuer.ErrRequest)
	}
}
