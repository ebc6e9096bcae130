package wallet_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// A verifier that also takes companions is answered with a proof, and the person reads what others would show. It may ask nobody for more
// than its registered policy says, though what it asks of others does not concern us.
func TestRequestsWithCompanions(t *testing.T) {
	w := newWorld(t)
	q := w.policies["residence"].Queries[0]
	q.Scope, q.Companion = nil, true
	w.addPolicy("reading-room", q)
	w.chain.Settle()
	person := w.wallet()
	ledgertest.Must(person.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	asking := func(o *openid.RequestObject) {
		o.Query.AcceptCompanions()
		o.ClientMetadata.Formats[openid.CompanionFormat] = openid.CompanionAlgorithms()
	}
	for _, c := range []struct {
		name, policy string
		spoil        func(*openid.RequestObject)
		code         wallet.Code
	}{
		{"a claim more", "reading-room", func(o *openid.RequestObject) {
			o.Query.Companions[0].Claims = append(o.Query.Companions[0].Claims, openid.ClaimQuery{Path: []string{"rooms"}})
		}, wallet.CodeWider},
		{"another type", "reading-room", func(o *openid.RequestObject) { o.Query.Companions[0].Meta.Types = []string{landTitle.Type} }, wallet.CodeWider},
		{"both at once", "reading-room", func(o *openid.RequestObject) {
			o.Query.Sets[0].Options = [][]string{{"residence", "residence-companion"}}
		}, wallet.CodeWider},
		{"a companion only", "reading-room", func(o *openid.RequestObject) { o.Query.Credentials = nil }, wallet.CodeUnsupported},
		{"by a policy without", "residence", func(o *openid.RequestObject) {
			other := *w.object("reading-room")
			asking(&other)
			o.Query.Companions, o.Query.Sets = other.Query.Companions, other.Query.Sets
		}, wallet.CodeWider},
		{"a statement that says so by a policy that does not", "residence", func(o *openid.RequestObject) {
			o.Query.Credentials[0].Meta.Statement.Companion = true
			asking(o)
		}, wallet.CodeWider},
	} {
		_, err := person.Read(t.Context(), w.request(c.policy, asking, c.spoil))
		wantCode(t, err, c.code)
	}
	for _, change := range []func(*openid.RequestObject){asking, func(*openid.RequestObject) {}} {
		r := ledgertest.Must(person.Read(t.Context(), w.request("reading-room", change)))(t)
		candidates := ledgertest.Must(person.Candidates(t.Context(), r))(t)
		x := ledgertest.Must(person.Explain(r, candidates, nil, "en"))(t)
		if !strings.Contains(strings.Join(x.Queries[0].Shown, " "), "companion") {
			t.Errorf("the person reads %q", x.Queries[0].Shown)
		}
		ledgertest.Must(person.Answer(t.Context(), r.Consent(nil)))(t)
	}
	posted := w.posted()
	if len(posted) != 2 {
		t.Fatalf("%d responses", len(posted))
	}
	var token map[string][]json.RawMessage
	if err := json.Unmarshal([]byte(posted[0].Get("vp_token")), &token); err != nil || len(token) != 1 || len(token["residence"]) != 1 {
		t.Errorf("sent %s, %v", posted[0].Get("vp_token"), err)
	}
}
