package console

import (
	"net/http"

	"github.com/bulla-id/bulla/issuer"
)

// Lost wallets, and the end of an enrolment: for the role that may, and asked for once more before it is done.

func (c *Console) mountEnrolments() {
	c.page("GET /enrolments", issuer.ScopeEnrolments, func(v *visit) error { return v.show("enrolments", enrolmentPage{}) })
	c.form("POST /enrolments", issuer.ScopeEnrolments, (*visit).endEnrolment)
}

// enrolmentPage is what was entered, and what came of it.
type enrolmentPage struct {
	Do       string // replace or reset
	Person   string
	Register string
	Note     string
	Missing  bool // nobody was named
	Lost     *issuer.LostWallet
}

// endEnrolment asks once more, and does it then.
func (v *visit) endEnrolment() error {
	p := enrolmentPage{Do: v.entered("do"), Person: v.entered("person"), Register: v.entered("register"), Note: v.entered("note")}
	v.at = "/enrolments"
	switch {
	case p.Do != "replace" && p.Do != "reset":
		return &Problem{Status: http.StatusNotFound, Code: "not-found"}
	case p.Person == "":
		p.Missing = true
		return v.showAgain("enrolments", p, errEntries)
	case v.entered("confirmed") == "":
		return v.show("enrolments-confirm", p)
	}
	in := map[string]string{"person": p.Person, "register": p.Register}
	if p.Do == "reset" {
		if err := v.call(http.MethodPost, "/enrolments/reset", in, nil, v.once()); err != nil {
			return v.showAgain("enrolments", p, err)
		}
		return v.goTo("/enrolments", "reset")
	}
	in["note"] = p.Note
	p.Lost = new(issuer.LostWallet)
	if err := v.call(http.MethodPost, "/enrolments/replace", in, p.Lost, v.once()); err != nil {
		return v.showAgain("enrolments", p, err)
	}
	return v.show("enrolments-done", p)
}

// enrolment is what the form for one of both shows: what was entered into it.
func enrolment(p enrolmentPage, do string) enrolmentPage {
	if p.Do != do {
		return enrolmentPage{Do: do}
	}
	return p
}
