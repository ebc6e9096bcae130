package console

import (
	"net/http"
	"net/url"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
)

func (c *Console) mountOfficers() {
	c.page("GET /officers", issuer.ScopeOfficers, func(v *visit) error { return v.showOfficers(officersView{}, nil) })
	c.page("POST /officers", issuer.ScopeOfficers, (*visit).invite)
	c.page("POST /officers/{id}", issuer.ScopeOfficers, (*visit).changeOfficer)
}

// officersView is what the page shows.
type officersView struct {
	Officers []officers.Officer `json:"officers"`
	Roles    []string           `json:"roles"`
	Invited  *invited           // just now
	Entered  officers.Officer   // in a form that was refused
}

// invited is an invitation, whose link is shown once.
type invited struct {
	officers.Officer
	Link  string              `json:"link"`
	Until credential.UnixTime `json:"until"`
}

// showOfficers shows all of them, with what was just done or refused.
func (v *visit) showOfficers(data officersView, refused error) error {
	if err := v.call(http.MethodGet, "/officers", nil, &data); err != nil {
		return err
	}
	v.at = "/officers"
	if refused != nil {
		return v.showAgain("officers", data, refused)
	}
	return v.show("officers", data)
}

// invitation is what the API wants to hear.
type invitation struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

func (v *visit) invite() error {
	if err := v.r.ParseForm(); err != nil {
		return err
	}
	in := invitation{v.r.PostForm.Get("id"), v.r.PostForm.Get("name"), append([]string{}, v.r.PostForm["roles"]...)}
	made := invited{Officer: officers.Officer{ID: in.ID, Name: in.Name, Roles: in.Roles}}
	if err := v.call(http.MethodPost, "/officers", in, &made, v.once()); err != nil {
		return v.showOfficers(officersView{Entered: made.Officer}, err)
	}
	return v.showOfficers(officersView{Invited: &made}, nil)
}

func (v *visit) changeOfficer() error {
	if err := v.r.ParseForm(); err != nil {
		return err
	}
	in := struct {
		Roles    []string `json:"roles"`
		Disabled bool     `json:"disabled"`
	}{append([]string{}, v.r.PostForm["roles"]...), v.r.PostForm.Get("disabled") != ""}
	if err := v.call(http.MethodPut, "/officers/"+url.PathEscape(v.r.PathValue("id")), in, nil); err != nil {
		return v.showOfficers(officersView{}, err)
	}
	return v.goTo("/officers", "officer-changed")
}

// choice is a form of roles.
type choice struct {
	Roles  []string
	Chosen officers.Officer
}

// Choose is the form of an officer's roles.
func (o officersView) Choose(chosen officers.Officer) choice { return choice{o.Roles, chosen} }
