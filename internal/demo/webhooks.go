package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/bulla-id/bulla/internal/outbox"
)

const webhooksPath = "/v1/webhooks"

// AddWebhook has the ends of sessions announced at an address. The answer shows the secret, once.
func (c *Counter) AddWebhook(ctx context.Context, address string, types []string) (made outbox.Webhook, err error) {
	err = c.webhook(ctx, http.MethodPost, "", map[string]any{"url": address, "types": append([]string{}, types...)}, &made)
	return made, err
}

// Webhooks lists the application's own.
func (c *Counter) Webhooks(ctx context.Context) (list outbox.WebhookList, err error) {
	err = c.webhook(ctx, http.MethodGet, "", nil, &list)
	return list, err
}

// RotateWebhookSecret makes another secret, beside the old one.
func (c *Counter) RotateWebhookSecret(ctx context.Context, id string) (made outbox.Webhook, err error) {
	err = c.webhook(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/secret", nil, &made)
	return made, err
}

// RetireWebhookSecret ends the old one.
func (c *Counter) RetireWebhookSecret(ctx context.Context, id string) error {
	return c.webhook(ctx, http.MethodDelete, "/"+url.PathEscape(id)+"/secret/old", nil, nil)
}

// WebhookLog is what was tried, and what was given up.
func (c *Counter) WebhookLog(ctx context.Context, id string) (list outbox.AttemptList, err error) {
	err = c.webhook(ctx, http.MethodGet, "/"+url.PathEscape(id)+"/log", nil, &list)
	return list, err
}

// RemoveWebhook ends one.
func (c *Counter) RemoveWebhook(ctx context.Context, id string) error {
	return c.webhook(ctx, http.MethodDelete, "/"+url.PathEscape(id), nil, nil)
}

func (c *Counter) webhook(ctx context.Context, method, path string, body, answer any) error {
	if err := c.call(ctx, method, webhooksPath+path, body, answer); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	return nil
}
