package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/internal/webapi"
)

type newHook struct {
	Body struct {
		URL   string   `json:"url" maxLength:"2048"`
		Types []string `json:"types,omitempty" doc:"none: all"`
	}
}

type oneHook struct {
	ID string `path:"id" maxLength:"64"`
}

type changedHook struct {
	ID   string `path:"id" maxLength:"64"`
	Body outbox.WebhookChange
}

type deadHook struct {
	ID      string `path:"id" maxLength:"64"`
	Message string `path:"message" maxLength:"64"`
}

// mountWebhooks adds the operations on an application's webhooks. Those of others are not there for it.
func (a *appAPI) mountWebhooks() {
	v := a.v
	hookOperation(a, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/webhooks", Summary: "Where the ends of your sessions are announced",
	}, v.listWebhooks)
	hookOperation(a, huma.Operation{
		OperationID: "add-webhook", Method: http.MethodPost, Path: "/webhooks", DefaultStatus: http.StatusCreated, Summary: "Announce them at an address",
		Description: "Addresses that are not public, and ports other than 443, must be allowed by the verifier's configuration. The secret is shown here only.",
	}, v.addWebhook)
	hookOperation(a, huma.Operation{
		OperationID: "change-webhook", Method: http.MethodPatch, Path: "/webhooks/{id}", Summary: "Change address or types, disable or enable",
		Description: "What is left out stays. What happens while a webhook is disabled is not sent later.",
	}, v.changeWebhook)
	hookOperation(a, huma.Operation{
		OperationID: "remove-webhook", Method: http.MethodDelete, Path: "/webhooks/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Announce nothing there any more, and forget what waits",
	}, v.removeWebhook)
	hookOperation(a, huma.Operation{
		OperationID: "rotate-webhook-secret", Method: http.MethodPost, Path: "/webhooks/{id}/secret", Summary: "Make another secret",
		Description: "Messages are signed under both until the old one is retired. Asked again before that, the new one is replaced and the old one stays.",
	}, v.rotateWebhookSecret)
	hookOperation(a, huma.Operation{
		OperationID: "retire-webhook-secret", Method: http.MethodDelete, Path: "/webhooks/{id}/secret/old", DefaultStatus: http.StatusNoContent,
		Summary: "Sign no longer under the old secret",
	}, v.retireWebhookSecret)
	hookOperation(a, huma.Operation{
		OperationID: "read-webhook-log", Method: http.MethodGet, Path: "/webhooks/{id}/log", Summary: "What was tried, and what was given up",
	}, v.readWebhookLog)
	hookOperation(a, huma.Operation{
		OperationID: "replay-message", Method: http.MethodPost, Path: "/webhooks/{id}/dead/{message}/replay", DefaultStatus: http.StatusNoContent,
		Summary: "Try a message again that was given up",
	}, v.replayMessage)
}

// hookOperation adds one. Those that make a secret take no Idempotency-Key, as their answers would have to be kept.
func hookOperation[In, Out any](a *appAPI, op huma.Operation, do func(ctx context.Context, client string, in *In) (*Out, error)) {
	op.Tags = []string{"Webhooks"}
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusNotFound)
	appOperation(a, ScopeWebhooks, op, do)
}

func (v *Verifier) listWebhooks(_ context.Context, client string, _ *struct{}) (*answer[outbox.WebhookList], error) {
	return &answer[outbox.WebhookList]{v.webhooks.Of(client).List()}, nil
}

func (v *Verifier) addWebhook(_ context.Context, client string, in *newHook) (*answer[outbox.Webhook], error) {
	made, err := v.webhooks.Of(client).Add(in.Body.URL, in.Body.Types)
	return &answer[outbox.Webhook]{made}, err
}

func (v *Verifier) changeWebhook(_ context.Context, client string, in *changedHook) (*answer[outbox.Webhook], error) {
	changed, err := v.webhooks.Of(client).Change(in.ID, in.Body)
	return &answer[outbox.Webhook]{changed}, err
}

func (v *Verifier) removeWebhook(_ context.Context, client string, in *oneHook) (*struct{}, error) {
	return nil, v.webhooks.Of(client).Remove(in.ID)
}

func (v *Verifier) rotateWebhookSecret(_ context.Context, client string, in *oneHook) (*answer[outbox.Webhook], error) {
	made, err := v.webhooks.Of(client).RotateSecret(in.ID)
	return &answer[outbox.Webhook]{made}, err
}

func (v *Verifier) retireWebhookSecret(_ context.Context, client string, in *oneHook) (*struct{}, error) {
	return nil, v.webhooks.Of(client).RetireSecret(in.ID)
}

func (v *Verifier) readWebhookLog(_ context.Context, client string, in *oneHook) (*answer[outbox.AttemptList], error) {
	list, err := v.webhooks.Of(client).Attempts(in.ID)
	return &answer[outbox.AttemptList]{list}, err
}

func (v *Verifier) replayMessage(_ context.Context, client string, in *deadHook) (*struct{}, error) {
	return nil, v.webhooks.Of(client).Replay(in.ID, in.Message)
}

// hookProblem is what an application is told of an outbox's errors; nil for all others.
func hookProblem(err error) *webapi.Problem {
	switch {
	case errors.Is(err, outbox.ErrUnknown):
		return webapi.NewProblem(http.StatusNotFound, "webhook_unknown", "there is no such webhook or message of yours")
	case errors.Is(err, outbox.ErrEndpoint):
		return webapi.NewProblem(http.StatusBadRequest, "webhook", fmt.Sprintf(
			"the webhook cannot be used: want https to port 443 of a public address, or what the verifier's configuration allows, known types, and at most %d webhooks of yours", maxWebhooksPerClient))
	}
	return nil
}
