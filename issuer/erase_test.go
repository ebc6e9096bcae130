package issuer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

// Nothing of the person is left in any row, and what the agency needs to know is.
func TestErase(t *testing.T) {
	store := new(records.Memory)
	a, p := careful(t, 1, func(c *issuer.Config) { c.Store = store }), newPerson("Li Wei the Elder")
	c := a.file(p, "parcel-77")
	token := a.offered(c)
	must(a.OfferCase(t.Context(), clerk, c.ID, false))(t) // one that nobody answers
	must(a.Approve(second, c.ID, c.Version))(t)
	eventually(t, "the credential is there", func() bool { _, err := a.ask(p, token, titleType); return err == nil })
	id := must(a.Case(clerk, c.ID))(t).Issued
	why := because("requested by letter")
	wantRefusal(t, a.Erase(t.Context(), clerk, id, why), issuer.ErrState)
	wantRefusal(t, a.Erase(t.Context(), clerk, "x", why), issuer.ErrNotFound)
	revoke, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseRevoke, Credential: id, Reason: &issuer.Reason{Code: issuer.ReasonOther, Note: "Li Wei the Elder died"}})
	if err != nil {
		t.Fatal(err)
	}
	must(a.Approve(second, revoke.ID, revoke.Version))(t)
	eventually(t, "it is revoked", func() bool { return must(a.Case(clerk, revoke.ID))(t).State == issuer.CaseDone })
	for range 2 { // again changes nothing
		if err := a.Erase(t.Context(), clerk, id, why); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	err = store.Scan("", "", func(key string, value []byte) bool {
		rows++
		for _, secret := range []string{"Li Wei", "parcel-77", "file parcel", "died", "letter"} {
			if strings.Contains(string(value), secret) || strings.Contains(key, secret) {
				t.Errorf("row %s has %q", key, secret)
			}
		}
		return true
	})
	if err != nil || rows == 0 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	left := must(a.Credential(clerk, id))(t)
	if left.Status != issuer.Revoked || left.Erased == 0 || len(left.History) != 2 || left.History[1].Reason.Code != issuer.ReasonOther {
		text, _ := json.Marshal(left)
		t.Errorf("%s", text)
	}
	a.restart() // what is left opens
	if found, _, err := a.Credentials(clerk, issuer.List{Person: p.name}); err != nil || len(found) != 0 {
		t.Errorf("%d found by name, %v", len(found), err)
	}
}

// A lost wallet: what the person holds ends, and a new one can be enrolled; another agency's credential is named and in the way.
func TestReplaceWallet(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	a.mustIssue(p, a.title(p, "2"))
	got := must(a.ReplaceWallet(t.Context(), clerk, landDID, p.name, "lost on a train"))(t)
	if len(got.Revoked) != 2 || len(got.Others) != 0 || !got.Reset {
		t.Errorf("%+v", got)
	}
	found := newPerson("Li Wei")
	a.mustIssue(found, a.title(found, "1"))

	shared := a.cfg.Registers[0]
	_, mine := a.mustIssue(found, a.residence(found, "2026-01-01", "2028-01-01"))
	held := issuer.Admission{Person: found.name, Pseudonym: sharedPseudonym(found), Holding: issuer.Holding{Issuer: townDID, Credential: "theirs", Schema: "x"}}
	if refusals := must(shared.Admit([]issuer.Admission{held}))(t); refusals[0] != nil {
		t.Fatal(refusals)
	}
	got = must(a.ReplaceWallet(t.Context(), clerk, sharedName, found.name, "again"))(t)
	if len(got.Revoked) != 1 || got.Revoked[0] != mine.ID || len(got.Others) != 1 || got.Others[0].Issuer != townDID || got.Reset {
		t.Errorf("%+v", got)
	}
	if err := shared.Release(townDID, map[string]string{"theirs": found.name}); err != nil {
		t.Fatal(err)
	}
	if got = must(a.ReplaceWallet(t.Context(), clerk, sharedName, found.name, "again"))(t); !got.Reset {
		t.Errorf("%+v", got)
	}
	_, err := a.ReplaceWallet(t.Context(), clerk, "x", found.name, "again")
	wantRefusal(t, err, issuer.ErrNotFound)
}
