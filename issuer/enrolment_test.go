package issuer_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

func TestOnePersonHasOneMasterSecret(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))

	secondWallet := newPerson("Li Wei")
	_, err := a.issue(secondWallet, a.title(secondWallet, "2"))
	wantRefusal(t, err, issuer.ErrOtherSecret)

	friend := newPerson("Zhang Min")
	friend.master = p.master // lends the wallet
	_, err = a.issue(friend, a.title(friend, "3"))
	wantRefusal(t, err, issuer.ErrOtherPerson)

	other := newPerson("Wang Fang")
	a.mustIssue(other, a.title(other, "4"))
	other.master = p.master // enrolled already, and with another's wallet
	_, err = a.issue(other, a.title(other, "5"))
	wantRefusal(t, err, issuer.ErrOtherPerson)
}

func TestResetNeedsEveryCredentialRevoked(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, first := a.mustIssue(p, a.title(p, "1"))
	_, second := a.mustIssue(p, a.title(p, "2"))
	lost := newPerson("Li Wei") // the old wallet is lost
	reset := func() error { return a.ResetEnrolment(clerk, landDID, p.name) }

	wantRefusal(t, reset(), issuer.ErrHeld)
	must(a.Revoke(t.Context(), clerk, first.ID, because("wallet lost")))(t)
	must(a.Suspend(t.Context(), clerk, second.ID, because("wallet lost")))(t)
	wantRefusal(t, reset(), issuer.ErrHeld)
	must(a.Revoke(t.Context(), clerk, second.ID, because("wallet lost")))(t)
	_, err := a.issue(lost, a.title(lost, "1"))
	wantRefusal(t, err, issuer.ErrOtherSecret)
	if err := reset(); err != nil {
		t.Fatal(err)
	}
	a.mustIssue(lost, a.title(lost, "1"))
	_, err = a.issue(p, a.title(p, "1"))
	wantRefusal(t, err, issuer.ErrOtherSecret)

	wantRefusal(t, a.ResetEnrolment(clerk, landDID, "nobody"), issuer.ErrNotFound)
	wantRefusal(t, a.ResetEnrolment(clerk, "", p.name), issuer.ErrNotFound) // there are two registers
	wantRefusal(t, a.ResetEnrolment(clerk, "other", p.name), issuer.ErrNotFound)
}

func TestOneLiveCredentialPerPerson(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	now, later := a.residence(p, "", "2028-01-01"), a.residence(p, "2028-01-02", "2030-01-01")
	overlapping := a.residence(p, "2028-01-01", "2030-01-01")
	early := a.token(overlapping) // offered before the person has one
	_, first := a.mustIssue(p, now)

	_, err := a.Offer(t.Context(), clerk, overlapping)
	wantRefusal(t, err, issuer.ErrOnePerPerson)
	_, err = a.ask(p, early, residenceType)
	wantRefusal(t, err, issuer.ErrOnePerPerson)
	must(a.Suspend(t.Context(), clerk, first.ID, because("moved?")))(t)
	_, err = a.ask(p, early, residenceType)
	wantRefusal(t, err, issuer.ErrOnePerPerson)

	a.mustIssue(p, later) // renewal ahead of time: they are never valid on the same day
	must(a.Revoke(t.Context(), clerk, first.ID, because("moved")))(t)
	a.mustIssue(p, now)
	p.renew()
	_, err = a.ask(p, early, residenceType)
	wantRefusal(t, err, issuer.ErrOnePerPerson)
}

// Two agencies share a register: the person is one person, and has one live credential, at both.
func TestAgenciesShareARegister(t *testing.T) {
	a := newAgency(t)
	b := newAgency(t, func(c *issuer.Config) {
		c.DID, c.URL, c.Registers = townDID, "https://agency.example/agencies/town", a.cfg.Registers
	})
	p := newPerson("Li Wei")
	_, first := a.mustIssue(p, a.residence(p, "", "2028-01-01"))

	_, err := b.Offer(t.Context(), clerk, b.residence(p, "", "2028-01-01"))
	wantRefusal(t, err, issuer.ErrOnePerPerson)
	secondWallet := newPerson("Li Wei")
	_, err = b.issue(secondWallet, b.residence(secondWallet, "2029-01-01", "2030-01-01"))
	wantRefusal(t, err, issuer.ErrOtherSecret)
	wantRefusal(t, b.ResetEnrolment(clerk, sharedName, p.name), issuer.ErrHeld)

	must(a.Revoke(t.Context(), clerk, first.ID, because("moved to the other town")))(t)
	b.mustIssue(p, b.residence(p, "", "2028-01-01"))
	a.restart() // must not release what the other holds
	_, err = a.Offer(t.Context(), clerk, a.residence(p, "", "2028-01-01"))
	wantRefusal(t, err, issuer.ErrOnePerPerson)
}

// A crash between the register's commit and ours leaves a holding without credential, which the next start drops.
func TestReconcile(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	eventually(t, "the issuer is ready", a.Ready) // its own start has reconciled
	register := a.cfg.Registers[0]
	pseudonym := credential.Pseudonym(p.master, credential.EnrolmentScope(sharedName))
	orphan := issuer.Admission{
		Person: p.name, Pseudonym: pseudonym, Exclusive: true,
		Holding: issuer.Holding{Issuer: landDID, Credential: "lost in the crash", Schema: residenceType, From: "2026-01-01", Until: "2030-01-01"},
	}
	foreign := orphan
	foreign.Person, foreign.Issuer, foreign.Pseudonym = "Zhang Min", townDID, newPerson("").master.Element
	if refusals := must(register.Admit([]issuer.Admission{orphan, foreign}))(t); errors.Join(refusals...) != nil {
		t.Fatal(refusals)
	}
	_, err := a.Offer(t.Context(), clerk, a.residence(p, "", "2028-01-01"))
	wantRefusal(t, err, issuer.ErrOnePerPerson)
	a.restart()
	eventually(t, "the issuer is ready", a.Ready)
	a.mustIssue(p, a.residence(p, "", "2028-01-01"))
	_, err = a.Offer(t.Context(), clerk, a.residence(newPerson("Zhang Min"), "", "2028-01-01"))
	wantRefusal(t, err, issuer.ErrOnePerPerson)
}

// The register against a model in a few lines: persons to pseudonyms, one to one, and what each holds.
func TestRegisterAgainstModel(t *testing.T) {
	type held struct{ pseudonym, credentials map[string]string } // by person; by credential, its person
	rapid.Check(t, func(rt *rapid.T) {
		store := new(records.Memory)
		open := func() *issuer.Register {
			r, err := issuer.NewRegister(issuer.RegisterConfig{Name: "r", Store: store, RecordKey: recordKey})
			if err != nil {
				rt.Fatal(err)
			}
			return r
		}
		register, model := open(), held{map[string]string{}, map[string]string{}}
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		count := func(person string) (n int) {
			for _, p := range model.credentials {
				if p == person {
					n++
				}
			}
			return n
		}
		rt.Repeat(map[string]func(*rapid.T){
			"admit": func(rt *rapid.T) {
				person, wallet, id := name.Draw(rt, "person"), name.Draw(rt, "wallet"), fmt.Sprint("c", len(model.credentials))
				exclusive := rapid.Bool().Draw(rt, "exclusive")
				var want *issuer.Refusal
				owner := ""
				for p, w := range model.pseudonym {
					if w == wallet {
						owner = p
					}
				}
				switch mine := model.pseudonym[person]; {
				case owner != "" && owner != person:
					want = issuer.ErrOtherPerson
				case mine != "" && mine != wallet:
					want = issuer.ErrOtherSecret
				case exclusive && count(person) > 0:
					want = issuer.ErrOnePerPerson
				default:
					model.pseudonym[person], model.credentials[id] = wallet, person
				}
				refusals, err := register.Admit([]issuer.Admission{{
					Person: person, Pseudonym: credential.F("test", []byte(wallet)), Exclusive: exclusive,
					Holding: issuer.Holding{Issuer: landDID, Credential: id, Schema: "s", From: "2026-01-01", Until: "2027-01-01"},
				}})
				if err != nil || want == nil && refusals[0] != nil || want != nil && !errors.Is(refusals[0], want) {
					rt.Fatalf("admit %s with %s: %v %v, want %v", person, wallet, refusals, err, want)
				}
			},
			"release": func(rt *rapid.T) {
				for id, person := range model.credentials {
					if err := register.Release(landDID, map[string]string{id: person}); err != nil {
						rt.Fatal(err)
					}
					model.credentials[id] = "" // keeps the number of ids rising
					return
				}
			},
			"reset": func(rt *rapid.T) {
				person := name.Draw(rt, "person")
				err := register.Reset(person)
				switch {
				case model.pseudonym[person] == "":
					if !errors.Is(err, issuer.ErrNotFound) {
						rt.Fatalf("reset of nobody: %v", err)
					}
				case count(person) > 0:
					if !errors.Is(err, issuer.ErrHeld) {
						rt.Fatalf("reset of a holder: %v", err)
					}
				default:
					if err != nil {
						rt.Fatal(err)
					}
					delete(model.pseudonym, person)
				}
			},
			"reopen": func(*rapid.T) { register = open() },
		})
	})
}

func sharedPseudonym(p *person) credential.Element {
	return credential.Pseudonym(p.master, credential.EnrolmentScope(sharedName))
}
