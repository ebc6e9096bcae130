package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/bulk"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// Clerk uses an agency's admin API over HTTP.
type Clerk struct{ Access }

// clerk is one at an agency of the network.
func (n *Network) clerk(did string) (*Clerk, error) {
	agency := n.Agencies[did]
	token, err := agency.AdminToken("demo-clerk", issuer.Scopes, tokenLifetime)
	return &Clerk{Access{DID: did, URL: agency.URL, Client: "demo-clerk", Token: token}}, err
}

// tokenLifetime is how long the story's API tokens are good for.
const tokenLifetime = time.Hour

// Offer makes an offer. A credential is good for a year if the application does not say.
func (c *Clerk) Offer(ctx context.Context, a issuer.Application) (issuer.Offer, error) {
	if a.ValidUntil == "" {
		a.ValidUntil = time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	}
	var offer issuer.Offer
	if err := c.call(ctx, http.MethodPost, issuer.AdminPath+"/offers", a, &offer); err != nil {
		return offer, fmt.Errorf("offer: %w", err)
	}
	return offer, nil
}

// OfferCompanion makes an offer of an ordinary credential of the same data, for another wallet.
func (c *Clerk) OfferCompanion(ctx context.Context, id string, txCode bool) (offer issuer.Offer, err error) {
	path := issuer.AdminPath + "/credentials/" + url.PathEscape(id) + "/companion-offers"
	if err := c.call(ctx, http.MethodPost, path, map[string]bool{"tx_code": txCode}, &offer); err != nil {
		return offer, fmt.Errorf("offer a companion of credential %q: %w", id, err)
	}
	return offer, nil
}

// CredentialPage is one page of a list, oldest first.
type CredentialPage struct {
	Credentials []issuer.Credential `json:"credentials"`
	Next        string              `json:"next,omitempty"` // give it as after for the next page; none: this is the last
}

// Credentials lists what the agency issued: all of it, or to one person.
func (c *Clerk) Credentials(ctx context.Context, l issuer.List) (page CredentialPage, err error) {
	body := map[string]any{"person": l.Person, "after": l.After, "limit": l.Limit}
	if err := c.call(ctx, http.MethodPost, issuer.AdminPath+"/credentials/search", body, &page); err != nil {
		return page, fmt.Errorf("list credentials: %w", err)
	}
	return page, nil
}

// Import hands in a file of applications. The answer is lines of [issuer.ImportLine], as they come; the caller closes it.
func (c *Clerk) Import(ctx context.Context, file io.Reader, schema string, format bulk.Format, encoding bulk.Encoding, dryRun bool) (io.ReadCloser, error) {
	query := url.Values{"schema": {schema}, "format": {string(format)}, "encoding": {string(encoding)}, "dry_run": {strconv.FormatBool(dryRun)}}
	answer, err := webapi.CallStream(ctx, c.URL+issuer.AdminPath+"/imports?"+query.Encode(), c.Token, file)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return answer, nil
}

// Credential finds one.
func (c *Clerk) Credential(ctx context.Context, id string) (found issuer.Credential, err error) {
	if err := c.call(ctx, http.MethodGet, issuer.AdminPath+"/credentials/"+url.PathEscape(id), nil, &found); err != nil {
		return found, fmt.Errorf("credential %q: %w", id, err)
	}
	return found, nil
}

// Change suspends, reinstates or revokes, and returns when that is sealed.
func (c *Clerk) Change(ctx context.Context, id, action string, reason issuer.Reason) (changed issuer.Credential, err error) {
	path := issuer.AdminPath + "/credentials/" + url.PathEscape(id) + "/" + action
	if err := c.call(ctx, http.MethodPost, path, reason, &changed); err != nil {
		return changed, fmt.Errorf("%s credential %q: %w", action, id, err)
	}
	return changed, nil
}

// newestOf finds the newest credential of a person.
func (c *Clerk) newestOf(ctx context.Context, person string) (string, error) {
	page, err := c.Credentials(ctx, issuer.List{Person: person})
	if err != nil {
		return "", err
	}
	if len(page.Credentials) == 0 {
		return "", fmt.Errorf("%s has issued nothing to %s", c.DID, person)
	}
	return page.Credentials[len(page.Credentials)-1].ID, nil
}

// Counter is a relying party's application: it uses the verifier's API over HTTP.
type Counter struct{ Access }

// counterClient is the story's application, the audience of its results.
const counterClient = "demo-counter"

// counter is an application at a verifier of the network.
func (n *Network) counter(did string) (*Counter, error) {
	v := n.Verifiers[did]
	token, err := v.Authority.Issue(counterClient, verifier.Scopes, tokenLifetime)
	return &Counter{Access{DID: did, URL: v.URL, Client: counterClient, Token: token}}, err
}

// ResultKeys are the keys that the verifier signs results with.
func (c *Counter) ResultKeys(ctx context.Context) ([]jose.PublicKey, error) {
	var set struct {
		Keys []jose.PublicKey `json:"keys"`
	}
	if err := c.call(ctx, http.MethodGet, "/jwks.json", nil, &set); err != nil {
		return nil, fmt.Errorf("result keys: %w", err)
	}
	return set.Keys, nil
}

// Result reads the result of a session, if one of the verifier's keys signed it for this application.
func (c *Counter) Result(ctx context.Context, session, token string) (*check.Result, error) {
	keys, err := c.ResultKeys(ctx)
	if err != nil {
		return nil, err
	}
	return check.VerifyResult(token, jose.Keys(keys...), check.Expected{Verifier: c.DID, Audience: counterClient, Session: session, Now: time.Now()})
}

// Ask starts a session under a policy.
func (c *Counter) Ask(ctx context.Context, policyID string) (started verifier.Started, err error) {
	return c.AskOnDevice(ctx, policyID, "")
}

// AskOnDevice starts a session whose wallet sends its person back to an address, with a response code.
func (c *Counter) AskOnDevice(ctx context.Context, policyID, returnURI string) (started verifier.Started, err error) {
	asked := map[string]string{"policy": policyID}
	if returnURI != "" {
		asked["return_uri"] = returnURI
	}
	if err := c.call(ctx, http.MethodPost, "/v1/sessions", asked, &started); err != nil {
		return started, fmt.Errorf("ask under policy %q: %w", policyID, err)
	}
	return started, nil
}

// Status is what the application sees of a session.
func (c *Counter) Status(ctx context.Context, id string) (status verifier.Status, err error) {
	return c.StatusWith(ctx, id, "")
}

// StatusWith is Status for a browser that came back with a response code.
func (c *Counter) StatusWith(ctx context.Context, id, responseCode string) (status verifier.Status, err error) {
	path := "/v1/sessions/" + url.PathEscape(id)
	if responseCode != "" {
		path += "?" + url.Values{"response_code": {responseCode}}.Encode()
	}
	if err := c.call(ctx, http.MethodGet, path, nil, &status); err != nil {
		return status, fmt.Errorf("session %q: %w", id, err)
	}
	return status, nil
}

// SessionPage is one page of a list.
type SessionPage struct {
	Sessions []verifier.Listed `json:"sessions"`
	Next     string            `json:"next,omitempty"` // place of the next page; empty: there is none
}

// Sessions lists the application's own sessions.
func (c *Counter) Sessions(ctx context.Context, l verifier.List) (page SessionPage, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"after": l.After, "state": string(l.State), "policy": l.Policy} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if l.Limit != 0 {
		query.Set("limit", strconv.Itoa(l.Limit))
	}
	if err := c.call(ctx, http.MethodGet, "/v1/sessions?"+query.Encode(), nil, &page); err != nil {
		return page, fmt.Errorf("list sessions: %w", err)
	}
	return page, nil
}

// Cancel ends a session before it is answered.
func (c *Counter) Cancel(ctx context.Context, id string) (status verifier.Status, err error) {
	if err := c.call(ctx, http.MethodPost, "/v1/sessions/"+url.PathEscape(id)+"/cancel", nil, &status); err != nil {
		return status, fmt.Errorf("cancel session %q: %w", id, err)
	}
	return status, nil
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
	home, err := Residence(person, "110108", "2019-03-01")
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
	health, err := sampled(person, samples[0])
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
		{LandDID, Title(person, parcels[int(time.Now().Unix())%len(parcels)]), &in.Land},
		{HealthDID, health, &in.Vaccination},
	} {
		c, err := n.clerk(o.did)
		if err != nil {
			return Invitation{}, err
		}
		offer, err := c.Offer(ctx, o.application)
		if err != nil {
			return Invitation{}, err
		}
		*o.link = offer.Link
	}
	return in, nil
}
