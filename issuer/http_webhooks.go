package issuer

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/internal/outbox"
)

// Webhooks over the admin API. The format of what they send is doc/spec/webhooks.md's.

// webhook is an endpoint as officers see it. Its secret is shown when it is made, and never again.
type webhook struct {
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Types    []string `json:"types"` // none: all
	Disabled bool     `json:"disabled"`
	Secret   string   `json:"secret,omitempty" doc:"whsec_…, shown once"`
}

func webhookOf(e outbox.Endpoint) webhook {
	return webhook{ID: e.ID, URL: e.URL, Types: append([]string{}, e.Types...), Disabled: e.Disabled}
}

type webhookList struct {
	Webhooks []webhook `json:"webhooks"`
	Types    []string  `json:"types" doc:"of all events there are"`
}

type attemptList struct {
	Attempts []outbox.Attempt `json:"attempts" doc:"the newest first, at most 100"`
	Dead     []outbox.Dead    `json:"dead" doc:"messages that were given up, at most 100"`
}

func (a *adminAPI) mountWebhooks() {
	tags, hooks := []string{"Webhooks"}, a.i.webhooks
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/webhooks", Tags: tags, Summary: "Where events are sent",
	}, func(context.Context, Officer, *struct{}) (*body[webhookList], error) {
		list := webhookList{Webhooks: []webhook{}, Types: slices.Sorted(slices.Values(EventTypes()))}
		for _, e := range hooks.Endpoints() {
			list.Webhooks = append(list.Webhooks, webhookOf(e))
		}
		return &body[webhookList]{list}, nil
	})
	type add struct {
		Body struct {
			URL   string   `json:"url" maxLength:"2048"`
			Types []string `json:"types,omitempty" doc:"none: all"`
		}
	}
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "add-webhook", Method: http.MethodPost, Path: "/webhooks", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Send events to an address", Description: "Addresses that are not public, and ports other than 443, must be allowed by the agency's configuration.",
	}, func(_ context.Context, by Officer, in *add) (*body[webhook], error) {
		if err := a.i.noteRead(by, DidChangeWebhooks, "add"); err != nil {
			return nil, err
		}
		e, err := hooks.AddEndpoint(outbox.Endpoint{URL: in.Body.URL, Types: in.Body.Types})
		if err != nil {
			return nil, webhookRefusal(err)
		}
		made := webhookOf(e)
		made.Secret = e.Secrets[0].Reveal()
		return &body[webhook]{made}, nil
	})
	type one struct {
		ID string `path:"id"`
	}
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "remove-webhook", Method: http.MethodDelete, Path: "/webhooks/{id}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Send no more events there, and forget what waits",
	}, func(_ context.Context, by Officer, in *one) (*struct{}, error) {
		if err := a.i.noteRead(by, DidChangeWebhooks, in.ID); err != nil {
			return nil, err
		}
		return nil, webhookRefusal(hooks.RemoveEndpoint(in.ID))
	})
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "read-webhook-log", Method: http.MethodGet, Path: "/webhooks/{id}/log", Tags: tags, Summary: "What was tried, and what was given up",
	}, func(_ context.Context, _ Officer, in *one) (*body[attemptList], error) {
		attempts, err := hooks.Log(in.ID)
		if err != nil {
			return nil, webhookRefusal(err)
		}
		dead, err := hooks.DeadMessages(in.ID, "")
		return &body[attemptList]{attemptList{append([]outbox.Attempt{}, attempts...), append([]outbox.Dead{}, dead...)}}, webhookRefusal(err)
	})
	type replay struct {
		ID      string `path:"id"`
		Message string `path:"message"`
	}
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "replay-message", Method: http.MethodPost, Path: "/webhooks/{id}/dead/{message}/replay", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Try a message again that was given up",
	}, func(_ context.Context, _ Officer, in *replay) (*struct{}, error) {
		return nil, webhookRefusal(hooks.Replay(in.ID, in.Message))
	})
}

// webhookRefusal is what an officer is told of an outbox's errors.
func webhookRefusal(err error) error {
	switch {
	case errors.Is(err, outbox.ErrUnknown):
		return refuse(ErrNotFound, "there is no such webhook or message")
	case errors.Is(err, outbox.ErrEndpoint):
		return refuse(ErrRequest, "the webhook cannot be used: want https to port 443 of a public address, or what the agency's configuration allows, known types, and at most %d webhooks", outbox.MaxEndpoints)
	}
	return err
}
