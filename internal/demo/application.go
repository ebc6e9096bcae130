package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/web"
)

// The civil office also keeps vaccination records. Two approvers decide on these, so that there is something to follow.
var civilApprovals = map[string]int{dcc.VaccinationType: 2}

// approvers are the officers who decide in the demo, unless a visitor does so first at the office's console.
var approvers = []issuer.Officer{"demo-approver-1", "demo-approver-2"}

// approvalPause is how long each of them takes.
const approvalPause = 5 * time.Second

// File files an application; link is the address that the person follows it at.
func (c *Clerk) File(ctx context.Context, f issuer.Filing) (id, link string, err error) {
	var filed struct {
		ID   string `json:"id"`
		Link string `json:"link"`
	}
	if err := c.call(ctx, http.MethodPost, issuer.AdminPath+"/applications", f, &filed); err != nil {
		return "", "", fmt.Errorf("file an application: %w", err)
	}
	return filed.ID, filed.Link, nil
}

// OfferCase makes the offer of an application, whose credential is issued once it is approved.
func (c *Clerk) OfferCase(ctx context.Context, id string) (offer issuer.Offer, err error) {
	if err := c.call(ctx, http.MethodPost, issuer.AdminPath+"/applications/"+id+"/offers", struct{}{}, &offer); err != nil {
		return offer, fmt.Errorf("offer application %q: %w", id, err)
	}
	return offer, nil
}

// Apply implements [web.Front].
func (f *front) Apply(ctx context.Context) (string, error) {
	samples, err := dcc.Samples()
	if err != nil {
		return "", err
	}
	a, err := sampled(fmt.Sprintf("applicant-%d", time.Now().UnixNano()), samples[0])
	if err != nil {
		return "", err
	}
	a.ValidUntil = time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	clerk, err := f.network.clerk(CivilDID)
	if err != nil {
		return "", err
	}
	id, link, err := clerk.File(ctx, issuer.Filing{Kind: issuer.CaseIssue, Application: &a})
	if err != nil {
		return "", err
	}
	offer, err := clerk.OfferCase(ctx, id)
	if err != nil {
		return "", err
	}
	agency := f.network.Agencies[CivilDID]
	name, title := agency.Names(dcc.VaccinationType)
	visit := webapi.RandomID()
	f.applications.add(visit, web.FiledApplication{Offer: web.Offer{Agency: name, Title: title, Link: offer.Link}, Status: link})
	f.later(func(ctx context.Context) { f.decide(ctx, agency, id) })
	return visit, nil
}

// Application implements [web.Front].
func (f *front) Application(_ context.Context, application string) (*web.FiledApplication, error) {
	filed, ok := f.applications.get(application)
	if !ok {
		return nil, web.ErrAbsent
	}
	return &filed, nil
}

// decide approves an application, one officer after the other, until it is decided: by them or by somebody else.
func (f *front) decide(ctx context.Context, agency *Agency, id string) {
	for _, officer := range approvers {
		select {
		case <-ctx.Done():
			return
		case <-time.After(approvalPause):
		}
		c, err := agency.Case(officer, id)
		if err == nil && (c.State == issuer.CaseSubmitted || c.State == issuer.CaseInReview) {
			_, err = agency.Approve(officer, id, c.Version)
		}
		if err != nil {
			f.network.logger.WarnContext(ctx, "approve a demo application", slog.Any("error", err)) // somebody else was there first
		}
	}
}
