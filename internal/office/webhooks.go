package office

import "github.com/bulla-id/bulla/internal/outbox"

// watchWebhooks adds figures of the webhooks of an agency or of a relying party's applications.
func (s *Service) watchWebhooks(counts func() outbox.Counts) {
	s.gauge("bulla_webhooks_arrived", "Attempts at webhooks that arrived, since the office started.", func() float64 { return float64(counts().Arrived) })
	s.gauge("bulla_webhooks_failed", "Attempts at webhooks that did not arrive, since the office started.", func() float64 { return float64(counts().Failed) })
	s.gauge("bulla_webhooks_given_up", "Messages that were given up, since the office started.", func() float64 { return float64(counts().GivenUp) })
	s.gauge("bulla_webhooks_endpoints", "Webhooks that there are.", func() float64 { return float64(counts().Endpoints) })
	s.gauge("bulla_webhooks_disabled", "Webhooks that are disabled, by whoever added them or because they are gone.", func() float64 { return float64(counts().Disabled) })
}
