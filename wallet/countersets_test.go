package wallet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// The sets that a counter asks by come from the chain: nothing is fetched from the verifier, and the person is told who learned it.
func TestCounterAsksBySets(t *testing.T) {
	w := newWorld(t)
	me := w.wallet()
	ledgertest.Must(me.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	issuers, values := w.addSet(policy.IssuerSet, civil, "did:web:x.example"), w.addSet(policy.ValueSet, "310101", "310104")
	w.addPolicy("sets", policy.Query{
		ID: "residence", Schema: schemaID(&residence), IssuerSet: issuers.Digest(), Clauses: []policy.Clause{{Claim: "district", InSet: values.Digest()}},
	})
	w.chain.Settle()
	r := ledgertest.Must(me.ReadCounter(t.Context(), w.counterRequest("sets")))(t)
	choice := ledgertest.Must(r.DefaultChoice(ledgertest.Must(me.Candidates(t.Context(), r))(t)))(t)
	e := ledgertest.Must(me.Explain(r, nil, choice, "en"))(t)
	q := e.Queries[0]
	if len(q.Sets) != 2 || !slices.Equal(q.Sets[1].Members, values.Members()) || !strings.Contains(strings.Join(e.Notices, "\n"), "it learned which ones") {
		t.Errorf("%+v", e)
	}
	if !slices.ContainsFunc(q.Narrows, func(n policy.Narrowed) bool {
		return n.Claim == "district" && strings.Contains(n.Text, ": 2 values remain")
	}) {
		t.Errorf("%+v", q.Narrows)
	}
	a := ledgertest.Must(me.AnswerCounter(t.Context(), r.Consent(choice)))(t)
	if a.Text == "" || a.Event.Kind != wallet.EventPresented || len(w.posted()) != 0 {
		t.Errorf("%+v", a)
	}
	// What was learned by a set counts when the counter asks again.
	r = ledgertest.Must(me.ReadCounter(t.Context(), w.counterRequest("sets")))(t)
	if e = ledgertest.Must(me.Explain(r, nil, choice, "en"))(t); len(e.Adds) != 0 {
		t.Errorf("asked again, it adds %q", e.Adds)
	}
}
