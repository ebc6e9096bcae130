package outbox

// Owned is an outbox as one owner of endpoints sees it over an API: of others there is nothing.
type Owned struct {
	o     *Outbox
	owner string
}

// Of is the outbox of an owner: a client of the role, or the role itself if the name is empty.
func (o *Outbox) Of(owner string) Owned { return Owned{o, owner} }

// Webhook is an endpoint as its owner sees it. A secret is shown when it is made, and never again.
type Webhook struct {
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Types    []string `json:"types"` // none: all
	Disabled bool     `json:"disabled"`
	Secret   string   `json:"secret,omitempty" doc:"whsec_…, shown once"`
	// Exchanging says that messages are signed under an old secret, too.
	Exchanging bool `json:"exchanging,omitempty" doc:"messages are signed under the old secret, too"`
}

// WebhookList are the endpoints of an owner.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
	Types    []string  `json:"types" doc:"of all events there are"`
}

// AttemptList is what became of messages to an endpoint.
type AttemptList struct {
	Attempts []Attempt     `json:"attempts" doc:"the newest first, at most 100"`
	Dead     []DeadMessage `json:"dead" doc:"messages that were given up, the oldest first, at most 100"`
}

// DeadMessage is a message that was given up. Times are seconds since 1970.
type DeadMessage struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Created  int64  `json:"created"`
	Died     int64  `json:"died"`
	Attempts int    `json:"attempts"`
}

// WebhookChange is what an owner changes about an endpoint; what is nil stays.
type WebhookChange struct {
	URL      *string   `json:"url,omitempty" maxLength:"2048"`
	Types    *[]string `json:"types,omitempty" doc:"none: all"`
	Disabled *bool     `json:"disabled,omitempty" doc:"what happens meanwhile is not sent later"`
}

func webhookOf(e Endpoint) Webhook {
	return Webhook{ID: e.ID, URL: e.URL, Types: append([]string{}, e.Types...), Disabled: e.Disabled, Exchanging: len(e.Secrets) > 1}
}

// revealed shows the newest secret.
func revealed(e Endpoint) Webhook {
	w := webhookOf(e)
	w.Secret = e.Secrets[0].Reveal()
	return w
}

// List are the owner's endpoints, by identifier, and the types of events that there are.
func (w Owned) List() WebhookList {
	list := WebhookList{Webhooks: []Webhook{}, Types: append([]string{}, w.o.types...)}
	for _, e := range w.o.Endpoints() {
		if e.Owner == w.owner {
			list.Webhooks = append(list.Webhooks, webhookOf(e))
		}
	}
	return list
}

// Add makes an endpoint and shows its secret, or returns [ErrEndpoint].
func (w Owned) Add(url string, types []string) (Webhook, error) {
	e, err := w.o.AddEndpoint(Endpoint{Owner: w.owner, URL: url, Types: types})
	if err != nil {
		return Webhook{}, err
	}
	return revealed(e), nil
}

// Change changes an endpoint, or returns [ErrUnknown] or [ErrEndpoint]. To enable one sends what waited at once.
func (w Owned) Change(id string, c WebhookChange) (Webhook, error) {
	e, err := w.o.change(w.owner, id, func(e *Endpoint) {
		if c.URL != nil {
			e.URL = *c.URL
		}
		if c.Types != nil {
			e.Types = append([]string{}, *c.Types...)
		}
		if c.Disabled != nil {
			e.Disabled = *c.Disabled
		}
	})
	return webhookOf(e), err
}

// RotateSecret makes another secret and shows it. Messages are signed under it and under the one before until
// [Owned.RetireSecret]; asked again before that, the new one is replaced and the old one stays, as the answer may have been lost.
func (w Owned) RotateSecret(id string) (Webhook, error) {
	e, err := w.o.change(w.owner, id, func(e *Endpoint) {
		e.Secrets = []Secret{NewSecret(), e.Secrets[len(e.Secrets)-1]}
	})
	if err != nil {
		return Webhook{}, err
	}
	return revealed(e), nil
}

// RetireSecret signs messages no longer under the old secret.
func (w Owned) RetireSecret(id string) error {
	_, err := w.o.change(w.owner, id, func(e *Endpoint) { e.Secrets = e.Secrets[:1] })
	return err
}

// Remove forgets an endpoint with all that waits for it, or returns [ErrUnknown].
func (w Owned) Remove(id string) error {
	if !w.has(id) {
		return ErrUnknown
	}
	return w.o.RemoveEndpoint(id)
}

// Attempts are the last attempts at an endpoint, and what was given up; or [ErrUnknown].
func (w Owned) Attempts(id string) (AttemptList, error) {
	if !w.has(id) {
		return AttemptList{}, ErrUnknown
	}
	attempts, err := w.o.Log(id)
	if err != nil {
		return AttemptList{}, err
	}
	dead, err := w.o.DeadMessages(id, "")
	list := AttemptList{append([]Attempt{}, attempts...), []DeadMessage{}}
	for _, d := range dead {
		list.Dead = append(list.Dead, DeadMessage{d.ID, d.Type, d.Created.Unix(), d.Died.Unix(), d.Attempts})
	}
	return list, err
}

// Replay has a message sent again that was given up, or returns [ErrUnknown].
func (w Owned) Replay(id, message string) error {
	if !w.has(id) {
		return ErrUnknown
	}
	return w.o.Replay(id, message)
}

// has tells whether an endpoint is the owner's. Identifiers are random and owners never change, so what is asked afterwards
// speaks of the same one.
func (w Owned) has(id string) bool {
	e, ok := w.o.endpoint(id)
	return ok && e.Owner == w.owner
}
