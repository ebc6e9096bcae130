package wallet_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// addSet puts a set onto the chain, in one part.
func (w *world) addSet(kind policy.SetKind, members ...string) *policy.Set {
	w.t.Helper()
	slices.Sort(members)
	d := policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: "Set of " + string(kind)}, Members: members}
	s := ledgertest.Must(policy.NewSet(d))(w.t)
	w.chain.Submit(bank, entry.SetRegistered{Set: s.Digest(), Kind: string(kind), Name: d.Name, Parts: 1, Members: members}, w.verifier)
	return s
}

// setReadChecks spoils, one thing at a time, what a verifier says and serves of the sets that its policy names.
func setReadChecks(t *testing.T, w *world, person *wallet.Wallet) {
	t.Helper()
	issuers, values := w.addSet(policy.IssuerSet, civil, "did:web:x.example"), w.addSet(policy.ValueSet, "310101", "310104")
	query := policy.Query{ID: "residence", Schema: schemaID(&residence), IssuerSet: issuers.Digest(), Clauses: []policy.Clause{{Claim: "district", InSet: values.Digest()}}}
	w.addPolicy("sets", query)
	w.chain.Settle()
	served := map[string][]byte{issuers.Digest().String(): issuers.Canonical(), values.Digest().String(): values.Canonical()}
	w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
		digest, found := strings.CutPrefix(r.URL.Path, "/bank/sets/")
		if found && served[digest] == nil {
			http.NotFound(rw, r)
		} else if found {
			_, _ = rw.Write(served[digest])
		}
		return found
	}
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	located := func(o *openid.RequestObject, data string) {
		o.VerifierInfo = append(o.VerifierInfo, openid.VerifierInfo{Format: openid.SetsInfo, Data: []byte(data)})
	}
	here := func(o *openid.RequestObject) { located(o, `{"uri":"`+w.server.URL+`/bank/sets/"}`) }

	r := ledgertest.Must(person.Read(t.Context(), w.request("sets", here)))(t)
	if got := r.Policy().Queries[0].IssuerSet; got != issuers.Digest() {
		t.Errorf("read a policy with the set %s", got)
	}
	at := func(uri string) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) { located(o, `{"uri":"`+uri+`"}`) }
	}
	for name, c := range map[string]struct {
		code  wallet.Code
		spoil func(*openid.RequestObject)
	}{
		"nowhere":              {wallet.CodeRequest, func(*openid.RequestObject) {}},
		"in two places":        {wallet.CodeRequest, func(o *openid.RequestObject) { here(o); here(o) }},
		"in another format":    {wallet.CodeRequest, func(o *openid.RequestObject) { here(o); o.VerifierInfo[1].Format = "jwt" }},
		"no address":           {wallet.CodeRequest, at("")},
		"no slash":             {wallet.CodeRequest, at(w.server.URL + "/bank/sets")},
		"more in the place":    {wallet.CodeRequest, func(o *openid.RequestObject) { located(o, `{"uri":"`+w.server.URL+`/bank/sets/","x":1}`) }},
		"at another's address": {wallet.CodeAddress, at(other.URL + "/bank/sets/")},
		"in a query":           {wallet.CodeAddress, at(w.server.URL + "/bank/sets?x=/")},
		"in no safe place":     {wallet.CodeAddress, at("http://bank.example/sets/")},
		"they are not there":   {wallet.CodeRemote, at(w.server.URL + "/bank/none/")},
		"a place, but no sets": {wallet.CodeRequest, nil},
		"not on the chain":     {wallet.CodeNotRegistered, nil},
		"statement of another": {wallet.CodeWider, func(o *openid.RequestObject) { here(o); o.Query.Credentials[0].Meta.Statement.IssuerSet[0] ^= 1 }},
		"statement with a list": {wallet.CodeWider, func(o *openid.RequestObject) {
			here(o)
			s := &o.Query.Credentials[0].Meta.Statement
			s.IssuerSet, s.Issuers = credential.Digest{}, issuers.Members()
		}},
	} {
		t.Run("sets: "+name, func(t *testing.T) {
			link := ""
			switch name {
			case "a place, but no sets":
				link = w.request("residence", here)
			case "not on the chain": // nor is a policy that names it: the ledger takes none
				unknown := ledgertest.Must(policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.IssuerSet, Name: credential.Text{English: "x"}, Members: []string{civil}}))(t)
				p := *w.policies["sets"]
				p.ID, p.Queries = "unknown", []policy.Query{query}
				p.Queries[0].IssuerSet = unknown.Digest()
				w.policies["unknown"] = &p
				served[unknown.Digest().String()] = unknown.Canonical()
				link = w.request("unknown", here)
			default:
				link = w.request("sets", c.spoil)
			}
			_, err := person.Read(t.Context(), link)
			wantCode(t, err, c.code)
		})
	}
	for name, bad := range map[string][]byte{
		"another set": values.Canonical(), "a member more": bytes.Replace(issuers.Canonical(), []byte(`["`), []byte(`["did:web:a.example","`), 1),
		"another spelling": append(issuers.Canonical(), ' '), "nothing": {}, "far too much": bytes.Repeat([]byte("x"), policy.MaxSetSize+1),
	} {
		served[issuers.Digest().String()] = bad
		_, err := person.Read(t.Context(), w.request("sets", here))
		t.Run("served: "+name, func(t *testing.T) { wantCode(t, err, wallet.CodeAnswer) })
	}
	served[issuers.Digest().String()] = issuers.Canonical()

	// Each reading asks for each set once, whatever was asked before, and asks the verifier only.
	w.mu.Lock()
	w.paths = nil
	w.mu.Unlock()
	ledgertest.Must(person.Read(t.Context(), w.request("sets", here)))(t)
	w.mu.Lock()
	asked := slices.DeleteFunc(slices.Clone(w.paths), func(path string) bool { return !strings.HasPrefix(path, "/bank/sets/") })
	w.mu.Unlock()
	if !slices.Equal(asked, []string{"/bank/sets/" + issuers.Digest().String(), "/bank/sets/" + values.Digest().String()}) || elsewhere != 0 {
		t.Errorf("asked the verifier for %q, and others %d times", asked, elsewhere)
	}
	w.onPath = nil
}
