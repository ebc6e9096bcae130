package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/verifier"
)

// tokenLifetime is how long the demo's API tokens are good for.
const tokenLifetime = time.Hour

// clerk uses an agency's admin API over HTTP.
type clerk struct {
	agency *Agency
	token  string
}

func (n *Network) clerk(did string) (*clerk, error) {
	agency := n.Agencies[did]
	token, err := agency.AdminToken("demo-clerk", issuer.Scopes, tokenLifetime)
	return &clerk{agency, token}, err
}

// offer makes an offer and returns its link.
func (c *clerk) offer(ctx context.Context, a issuer.Application) (string, error) {
	if a.ValidUntil == "" {
		a.ValidUntil = time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	}
	var offer issuer.Offer
	if err := webapi.Call(ctx, http.MethodPost, c.agency.URL+"/admin/v1/offers", c.token, a, &offer); err != nil {
		return "", fmt.Errorf("offer by %s: %w", c.agency.Name.English, err)
	}
	return offer.Link, nil
}

// credentialOf finds the newest credential of a person.
func (c *clerk) credentialOf(ctx context.Context, person string) (string, error) {
	var page struct {
		Credentials []issuer.Credential `json:"credentials"`
	}
	err := webapi.Call(ctx, http.MethodPost, c.agency.URL+"/admin/v1/credentials/search", c.token, map[string]any{"person": person}, &page)
	if err != nil {
		return "", err
	}
	if len(page.Credentials) == 0 {
		return "", fmt.Errorf("%s has issued nothing to %s", c.agency.Name.English, person)
	}
	return page.Credentials[len(page.Credentials)-1].ID, nil
}

// change suspends, reinstates or revokes, and returns when that is sealed.
func (c *clerk) change(ctx context.Context, id, action, reason string) error {
	url := fmt.Sprintf("%s/admin/v1/credentials/%s/%s", c.agency.URL, id, action)
	return webapi.Call(ctx, http.MethodPost, url, c.token, map[string]string{"reason": reason}, nil)
}

// residence is an application for residency of a district.
func residence(person, district, since string) (issuer.Application, error) {
	china, err := divisions.China()
	if err != nil {
		return issuer.Application{}, err
	}
	d, ok := china.Lookup(district)
	if !ok {
		return issuer.Application{}, fmt.Errorf("there is no district %s", district)
	}
	return issuer.Application{Person: person, Schema: divisions.ResidenceType, Claims: d.Claims(since)}, nil
}

// title is an application for a parcel's title.
func title(person string, p cadastre.Parcel) issuer.Application {
	return issuer.Application{Person: person, Schema: cadastre.TitleType, Claims: cadastre.Claims(p), Subject: p.Subject()}
}

// vaccination is an application from the QR code of a health certificate, checked as of its own time: the samples are
// from 2021 and signed with the member states' test keys.
func vaccination(person string, sample dcc.Sample) (issuer.Application, error) {
	checker := dcc.New(dcc.Config{Signers: []*dcc.Signer{sample.Signer}, Clock: func() time.Time { return sample.Clock }})
	result := checker.Check(sample.Text)
	if !result.Accepted {
		return issuer.Application{}, fmt.Errorf("certificate %s is refused at %s: %s", sample.Name, result.Step, result.Reason)
	}
	claims, err := dcc.Claims(result.Certificate)
	if err != nil {
		return issuer.Application{}, err
	}
	return issuer.Application{Person: person, Schema: dcc.VaccinationType, Claims: claims}, nil
}

// largeParcels are the parcels that fulfil the demo's policy, in the order of the export.
func largeParcels() ([]cadastre.Parcel, error) {
	all, err := cadastre.Epinay()
	if err != nil {
		return nil, err
	}
	var large []cadastre.Parcel
	for _, p := range all {
		if p.Area != nil && *p.Area >= 500 && p.Created != "" {
			large = append(large, p)
		}
	}
	return large, nil
}

// counter is a relying party's application: it uses the verifier's API over HTTP.
type counter struct {
	verifier *Verifier
	token    string
}

func (n *Network) counter(did string) (*counter, error) {
	v := n.Verifiers[did]
	token, err := v.Authority.Issue(counterClient, []string{verifier.ScopeWrite, verifier.ScopeRead}, tokenLifetime)
	return &counter{v, token}, err
}

// counterClient is the application's client id, the audience of its results.
const counterClient = "demo-counter"

// resultKeys are the keys that the verifier signs results with.
func (c *counter) resultKeys(ctx context.Context) ([]jose.PublicKey, error) {
	var set struct {
		Keys []jose.PublicKey `json:"keys"`
	}
	err := webapi.Call(ctx, http.MethodGet, c.verifier.URL+"/jwks.json", "", nil, &set)
	return set.Keys, err
}

// ask starts a session under a policy.
func (c *counter) ask(ctx context.Context, policyID string) (verifier.Started, error) {
	var started verifier.Started
	err := webapi.Call(ctx, http.MethodPost, c.verifier.URL+"/v1/sessions", c.token, map[string]string{"policy": policyID}, &started)
	if err != nil {
		return started, fmt.Errorf("ask under policy %s: %w", policyID, err)
	}
	return started, nil
}

// status is what the application sees of a session.
func (c *counter) status(ctx context.Context, id string) (verifier.Status, error) {
	var status verifier.Status
	err := webapi.Call(ctx, http.MethodGet, c.verifier.URL+"/v1/sessions/"+id, c.token, nil, &status)
	return status, err
}

// Invitation is what a newcomer can try.
type Invitation struct {
	Residency   string `json:"residency"` // offer links
	Land        string `json:"land"`
	Vaccination string `json:"vaccination"`
}

// newcomer is the person that invitations are for. Each start of a network may invite again: who has a live residence
// credential already is refused a second one.
const newcomer = "newcomer"

// Invite makes one offer of each agency for a new person, from real data.
func (n *Network) Invite(ctx context.Context) (Invitation, error) {
	person := fmt.Sprintf("%s-%d", newcomer, time.Now().UnixNano())
	home, err := residence(person, "110108", "2019-03-01")
	if err != nil {
		return Invitation{}, err
	}
	parcels, err := largeParcels()
	if err != nil {
		return Invitation{}, err
	}
	samples, err := dcc.Samples()
	if err != nil {
		return Invitation{}, err
	}
	health, err := vaccination(person, samples[0])
	if err != nil {
		return Invitation{}, err
	}
	var in Invitation
	for _, o := range []struct {
		did         string
		application issuer.Application
		link        *string
	}{
		{CivilDID, home, &in.Residency},
		{LandDID, title(person, parcels[int(time.Now().Unix())%len(parcels)]), &in.Land},
		{HealthDID, health, &in.Vaccination},
	} {
		c, err := n.clerk(o.did)
		if err != nil {
			return Invitation{}, err
		}
		if *o.link, err = c.offer(ctx, o.application); err != nil {
			return Invitation{}, err
		}
	}
	return in, nil
}
