package issuer

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/internal/outbox"
)

// Webhooks over the admin API. The format of what they send is doc/spec/webhooks.md's.

func (a *adminAPI) mountWebhooks() {
	tags, hooks := []string{"Webhooks"}, a.i.webhooks.Of("")
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/webhooks", Tags: tags, Summary: "Where events are sent",
	}, func(context.Context, Officer, *struct{}) (*body[outbox.WebhookList], error) {
		return &body[outbox.WebhookList]{hooks.List()}, nil
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
	}, func(_ context.Context, by Officer, in *add) (*body[outbox.Webhook], error) {
		if err := a.i.noteRead(by, DidChangeWebhooks, "add"); err != nil {
			return nil, err
		}
		made, err := hooks.Add(in.Body.URL, in.Body.Types)
		return &body[outbox.Webhook]{made}, webhookRefusal(err)
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
		return nil, webhookRefusal(hooks.Remove(in.ID))
	})
	operation(a, ScopeWebhooks, huma.Operation{
		OperationID: "read-webhook-log", Method: http.MethodGet, Path: "/webhooks/{id}/log", Tags: tags, Summary: "What was tried, and what was given up",
	}, func(_ context.Context, _ Officer, in *one) (*body[outbox.AttemptList], error) {
		list, err := hooks.Attempts(in.ID)
		return &body[outbox.AttemptList]{list}, webhookRefusal(err)
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
