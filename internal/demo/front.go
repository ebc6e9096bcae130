package demo

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/web"
)

// shop is a relying party's counter in the demo.
type shop struct {
	web.Shop
	did, policy string
}

var shops = []shop{
	{web.Shop{ID: "library", Name: credential.Text{English: "City library", Chinese: "市图书馆"}, Wants: credential.Text{English: "a card for residents of two years", Chinese: "为居住满两年的居民办证"}}, CityDID, PolicyResidency},
	{web.Shop{ID: "building", Name: credential.Text{English: "Building office", Chinese: "建设局"}, Wants: credential.Text{English: "a permit to build on land of one's own", Chinese: "自有土地建设许可"}}, CityDID, PolicyLand},
	{web.Shop{ID: "ward", Name: credential.Text{English: "Hospital ward", Chinese: "住院部"}, Wants: credential.Text{English: "admission of those who are vaccinated", Chinese: "已接种疫苗者入院"}}, ClinicDID, PolicyVaccination},
}

// maxRemembered bounds visits and purchases that the front door remembers; the oldest go first.
const maxRemembered = 1024

// recent remembers the newest values by name.
type recent[T any] struct {
	mu    sync.Mutex
	names []string
	of    map[string]T
}

func (r *recent[T]) add(name string, value T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = make(map[string]T)
	}
	if len(r.names) == maxRemembered {
		delete(r.of, r.names[0])
		r.names = r.names[1:]
	}
	r.names, r.of[name] = append(r.names, name), value
}

func (r *recent[T]) get(name string) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, ok := r.of[name]
	return value, ok
}

// front is the first page's way to the network: offers as clerks make them, sessions over the verifiers' API.
type front struct {
	network      *Network
	later        func(work func(context.Context)) // goes on after a request, until the network is closed
	visits       recent[Invitation]
	purchases    recent[verifier.Started]
	applications recent[web.FiledApplication]
}

// Welcome implements [web.Front].
func (f *front) Welcome(ctx context.Context) (string, error) {
	invitation, err := f.network.Invite(ctx)
	if err != nil {
		return "", err
	}
	visit := webapi.RandomID()
	f.visits.add(visit, invitation)
	return visit, nil
}

// Offers implements [web.Front].
func (f *front) Offers(_ context.Context, visit string) ([]web.Offer, error) {
	in, ok := f.visits.get(visit)
	if !ok {
		return nil, web.ErrAbsent
	}
	var list []web.Offer
	for _, o := range []struct {
		did    string
		schema *credential.Schema
		link   string
	}{{CivilDID, f.network.schemas.residence, in.Residency}, {LandDID, f.network.schemas.land, in.Land}, {HealthDID, f.network.schemas.vaccination, in.Vaccination}} {
		_, title := f.network.Agencies[o.did].Names(o.schema.Type)
		list = append(list, web.Offer{Agency: f.network.Agencies[o.did].Name, Title: title, Link: o.link})
	}
	return list, nil
}

// counterOf is a shop's application at its relying party.
func (f *front) counterOf(name string) (*Counter, string, error) {
	for _, s := range shops {
		if s.ID == name {
			c, err := f.network.counter(s.did)
			return c, s.policy, err
		}
	}
	return nil, "", web.ErrAbsent
}

// Ask implements [web.Front].
func (f *front) Ask(ctx context.Context, name string) (string, error) {
	c, policy, err := f.counterOf(name)
	if err != nil {
		return "", err
	}
	started, err := c.Ask(ctx, policy)
	if err != nil {
		return "", err
	}
	f.purchases.add(started.ID, started)
	return started.ID, nil
}

// Purchase implements [web.Front]. The result is believed as an application should: by the keys of its verifier.
func (f *front) Purchase(ctx context.Context, name, id string) (*web.Purchase, error) {
	started, ok := f.purchases.get(id)
	c, _, err := f.counterOf(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, web.ErrAbsent
	}
	status, err := c.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &web.Purchase{RequestLink: started.RequestLink, Page: started.PageURI, State: string(status.State), Final: status.Final}
	if status.Reason != nil {
		p.Reason = &status.Reason.Text
	}
	if status.State != verifier.Verified {
		return p, nil
	}
	result, err := c.Result(ctx, id, status.Result)
	if err != nil {
		return nil, err
	}
	p.Holds, p.Hidden = facts(result)
	return p, nil
}

// SignIn implements [web.Front].
func (f *front) SignIn(agency, officer string) (string, error) {
	for _, a := range agencies {
		if a.role == agency && slices.ContainsFunc(Staff, func(o officers.Officer) bool { return o.ID == officer }) {
			return f.network.Agencies[a.did].Console(officer)
		}
	}
	return "", web.ErrAbsent
}

// staff are the officers of each agency, as the first page names them.
func staff() (list []web.Staff) {
	for _, o := range Staff {
		list = append(list, web.Staff{ID: o.ID, Name: o.Name, Role: o.Roles[0]})
	}
	return list
}

// facts are the sentences of a result, by language.
func facts(r *check.Result) (holds, hidden map[string][]string) {
	holds, hidden = make(map[string][]string), make(map[string][]string)
	for _, fact := range r.Facts {
		for language := range fact.Holds {
			holds[language] = append(holds[language], fact.Holds[language]...)
			hidden[language] = append(hidden[language], fact.Learned[language]...)
		}
	}
	return holds, hidden
}

// startFront serves the first page, from an origin of its own.
func (n *Network) startFront(serving context.Context, l net.Listener) error {
	cfg := web.FrontConfig{Front: &front{network: n, later: func(work func(context.Context)) { n.running.Go(func() { work(serving) }) }}, Wallet: n.Wallet, Explorer: n.ExplorerURL(), Logger: n.logger}
	for _, s := range shops {
		cfg.Shops = append(cfg.Shops, s.Shop)
	}
	for _, a := range agencies {
		cfg.Consoles = append(cfg.Consoles, web.Console{ID: a.role, Agency: a.name, Officers: staff()})
	}
	n.Front = urlOf(l)
	n.serve(serving, l, web.NewFrontDoor(cfg).Handler())
	return nil
}
