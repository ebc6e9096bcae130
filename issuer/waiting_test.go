package issuer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bulla-id/bulla/issuer"
)

// found are the numbers of the cases that a query finds, over all its pages.
func (a *agency) found(q issuer.CaseQuery) (numbers []string) {
	a.t.Helper()
	for {
		page, next, err := a.Cases(second, q)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, c := range page {
			numbers = append(numbers, c.ExternalID)
		}
		if next == "" {
			slices.Sort(numbers) // those of one millisecond have no order
			return numbers
		}
		q.After = next
	}
}

// Cases that wait are found wherever they wait, as often as they move, and also in records of before that have no rows of them.
func TestWaiting(t *testing.T) {
	a := careful(t, 1)
	cases := make(map[string]issuer.Case)
	for n := range 6 {
		number := fmt.Sprint(n)
		cases[number] = a.file(newPerson("Li "+number), number)
	}
	must(a.Withdraw(clerk, cases["0"].ID, 1))(t)
	must(a.Review(second, cases["1"].ID, 1))(t)
	must(a.Approve(second, cases["2"].ID, 1))(t)
	must(a.Refuse(second, cases["3"].ID, 1, issuer.Reason{Code: issuer.ReasonError}))(t)
	must(a.Review(second, cases["4"].ID, 1))(t)
	must(a.Edit(clerk, cases["4"].ID, 2, *cases["4"].Application))(t)
	check := func(when string) {
		t.Helper()
		for _, q := range []struct {
			issuer.CaseQuery
			want string
		}{
			{issuer.CaseQuery{State: issuer.CaseUndecided}, "[file 1 file 4 file 5]"}, {issuer.CaseQuery{State: issuer.CaseUndecided, Limit: 1}, "[file 1 file 4 file 5]"},
			{issuer.CaseQuery{State: issuer.CaseInReview}, "[file 1 file 4]"}, {issuer.CaseQuery{State: issuer.CaseSubmitted}, "[file 5]"},
			{issuer.CaseQuery{State: issuer.CaseApproved}, "[file 2]"}, {issuer.CaseQuery{State: issuer.CaseUndecided, Person: "Li 4"}, "[file 4]"},
			{issuer.CaseQuery{State: issuer.CaseUndecided, Schema: residenceType}, "[]"}, {issuer.CaseQuery{State: issuer.CaseWithdrawn}, "[file 0]"},
			{issuer.CaseQuery{ExternalID: "file 3"}, "[file 3]"}, {issuer.CaseQuery{ExternalID: "file 3", State: issuer.CaseUndecided}, "[]"},
		} {
			if got := fmt.Sprint(a.found(q.CaseQuery)); got != q.want {
				t.Errorf("%s: %+v finds %s, want %s", when, q.CaseQuery, got, q.want)
			}
		}
	}
	check("as they came")
	rows := map[string][]byte{"waiting": nil}
	err := a.cfg.Store.Scan("waiting/", "", func(key string, _ []byte) bool { rows[key] = nil; return true })
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if err := a.cfg.Store.Commit(rows); err != nil {
		t.Fatal(err)
	}
	a.restart()
	check("in records of before")
	must(a.Withdraw(clerk, cases["5"].ID, 1))(t)
	if got := fmt.Sprint(a.found(issuer.CaseQuery{State: issuer.CaseUndecided})); got != "[file 1 file 4]" {
		t.Errorf("after the last moved: %s", got)
	}
}

// BenchmarkWaiting finds 20 cases that wait among 2,000 that have ended, and, beside it, looks through all.
func BenchmarkWaiting(b *testing.B) {
	a := careful(b, 1)
	for n := range 2_020 {
		c := a.file(newPerson("Li"), fmt.Sprint(n))
		if n < 2_000 {
			must(a.Withdraw(clerk, c.ID, 1))(b)
		}
	}
	for name, q := range map[string]issuer.CaseQuery{"waiting": {State: issuer.CaseUndecided}, "all": {Person: "Li", Schema: residenceType}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a.found(q)
			}
		})
	}
}
