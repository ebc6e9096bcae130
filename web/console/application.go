package console

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/web/internal/page"
)

// One application: what is in it, who did what with it, and what the officer who looks may do now.

// casePage is what its page shows.
type casePage struct {
	issuer.Case
	Title    string
	Lines    []line // what is applied for; of a change what the credential says
	Erased   bool
	Replaces bool
	History  []stepLine
	Signed   []string // who approved; empty where an approval is missing
	Writer   string
	Standing string
	Can      actions
	Refusal  reasonForm
}

// stepLine is one step, for people.
type stepLine struct {
	State issuer.CaseState
	At    credential.UnixTime
	By    string
}

// actions are what the officer may try. Whether it is done is the API's to say.
type actions struct{ Review, Approve, Refuse, Withdraw, Edit, Offer bool }

// Any tells whether there is one.
func (a actions) Any() bool { return a != actions{} }

// caseAt is the path of a case below the console's, or of what follows there.
func caseAt(id string, rest ...string) string {
	return "/applications/" + url.PathEscape(id) + strings.Join(rest, "")
}

// credentialAt is the path of a credential below the console's.
func credentialAt(id string, rest ...string) string {
	return "/credentials/" + url.PathEscape(id) + strings.Join(rest, "")
}

// showCase shows the application of the path, with what a step was refused for, if one was.
func (v *visit) showCase(refused error) error {
	var c issuer.Case
	id := v.r.PathValue("id")
	if err := v.call(http.MethodGet, caseAt(id), nil, &c); err != nil {
		return err
	}
	schemas, err := v.schemas()
	if err != nil {
		return err
	}
	p := casePage{Case: c, Standing: v.standing(&c), Can: v.actions(&c), Writer: v.officer(c.Author)}
	p.Refusal, _ = v.reason()
	for _, s := range c.Steps {
		p.History = append(p.History, stepLine{s.State, s.At, v.officer(s.By)})
	}
	p.Signed = make([]string, max(c.Needed, len(c.Approvals)))
	for n, o := range c.Approvals {
		p.Signed[n] = v.officer(o)
	}
	s := schemaNamed(schemas, c.Schema).Schema
	p.Title = s.Title(v.language)
	old, err := v.concerned(&c)
	if err != nil {
		return err
	}
	switch {
	case c.Application != nil:
		p.Lines, p.Erased, p.Replaces = v.lines(s, c.Application, old), c.Application.Person == "", old != nil
	case old != nil:
		p.Lines, p.Erased = v.lines(s, applicationOf(old), nil), old.Erased != 0
	}
	if refused != nil {
		v.at = caseAt(id)
		return v.showAgain("application", p, refused)
	}
	return v.show("application", p)
}

// concerned is the credential that a case is about, or nil.
func (v *visit) concerned(c *issuer.Case) (*issuer.Credential, error) {
	if c.Credential == "" || !v.session.may(issuer.ScopeCredentials) {
		return nil, nil
	}
	old := new(issuer.Credential)
	err := v.call(http.MethodGet, credentialAt(c.Credential), nil, old)
	var gone *Problem
	if errors.As(err, &gone) && gone.Status == http.StatusNotFound || err == nil && old.Erased != 0 && c.Application != nil {
		return nil, nil
	}
	return old, err
}

func (v *visit) actions(c *issuer.Case) actions {
	undecided := c.State == issuer.CaseSubmitted || c.State == issuer.CaseInReview
	decides, files := v.session.may(issuer.ScopeDecide), v.session.may(issuer.ScopeFile)
	me := issuer.Officer(v.session.Officer)
	offered := c.State == issuer.CaseApproved
	if c.Application != nil {
		offered = offered || undecided
	}
	return actions{
		Review:   undecided && decides && c.State == issuer.CaseSubmitted,
		Approve:  undecided && decides && c.Author != me && !slices.Contains(c.Approvals, me),
		Refuse:   undecided && decides,
		Withdraw: undecided && files,
		Edit:     undecided && files && c.Application != nil,
		Offer:    files && offered && c.Kind != issuer.CaseRevoke && c.Kind != issuer.CaseReinstate,
	}
}

// decide takes a step of the version that the officer has read.
func (v *visit) decide(verb string, in any) error {
	id := v.r.PathValue("id")
	if err := v.call(http.MethodPost, caseAt(id, "/", verb), in, nil, v.version(), v.once()); err != nil {
		return v.showCase(err)
	}
	return v.goTo(caseAt(id), verb)
}

// offerPage is an offer that was made, shown once.
type offerPage struct {
	issuer.Offer
	Open  template.URL // in a wallet on this device
	Code  template.URL // image
	Back  string
	Early bool // it is not decided yet
}

// offerCase makes an offer of an application.
func (v *visit) offerCase() error {
	id := v.r.PathValue("id")
	var offer issuer.Offer
	if err := v.call(http.MethodPost, caseAt(id, "/offers"), map[string]any{"tx_code": v.entered("tx_code") != ""}, &offer, v.once()); err != nil {
		return v.showCase(err)
	}
	return v.showOffer(offer, caseAt(id), v.entered("early") != "")
}

// walletScheme is that of links which wallets open.
const walletScheme = "openid-credential-offer://"

// showOffer hands an offer on. Its links are the person's secrets: they are in no address of ours.
func (v *visit) showOffer(offer issuer.Offer, back string, early bool) (err error) {
	if !strings.HasPrefix(offer.Reference, walletScheme) {
		return errors.New("the offer's link is none of ours")
	}
	p := offerPage{Offer: offer, Open: template.URL(offer.Reference), Back: back, Early: early}
	if p.Code, err = page.CodeURL(offer.Reference); err != nil {
		return err
	}
	v.at = back
	return v.show("offer", p)
}
