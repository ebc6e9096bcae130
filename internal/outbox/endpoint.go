package outbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxEndpoints bounds an outbox, unless its configuration says otherwise.
	MaxEndpoints = 32
	maxSecrets   = 2 // the new one and the old one, while they are exchanged
)

var (
	// ErrUnknown is returned for an endpoint or a message that is not there.
	ErrUnknown = errors.New("there is no such endpoint or message")
	// ErrEndpoint is wrapped by every refusal of an endpoint.
	ErrEndpoint = errors.New("endpoint cannot be used")
)

// Endpoint is where messages go.
type Endpoint struct {
	ID  string
	URL string
	// Owner is whose events it gets, and nobody else's: a client of the role, or empty for the role itself. It never changes.
	Owner string
	// Types are those of the events it gets; all if there are none.
	Types []string
	// Secrets are one or two. Each message is signed under all, so that a receiver can exchange its own at leisure.
	Secrets []Secret
	// Disabled endpoints get no messages. What happens meanwhile they never get; what waited before waits on.
	Disabled bool
}

func (e Endpoint) wants(event Event) bool {
	return !e.Disabled && e.Owner == event.Owner && (len(e.Types) == 0 || slices.Contains(e.Types, event.Type))
}

func (e Endpoint) clone() Endpoint {
	e.Types, e.Secrets = slices.Clone(e.Types), slices.Clone(e.Secrets)
	return e
}

// Endpoints lists all, by identifier.
func (o *Outbox) Endpoints() []Endpoint {
	var all []Endpoint
	for _, e := range *o.view.Load() {
		all = append(all, e.clone())
	}
	return all
}

// AddEndpoint gives an endpoint an identifier, and a secret if it has none, and keeps it.
func (o *Outbox) AddEndpoint(e Endpoint) (Endpoint, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.room(e.Owner); err != nil {
		return Endpoint{}, err
	}
	e = e.clone()
	e.ID = "ep_" + strings.ToLower(rand.Text())
	if len(e.Secrets) == 0 {
		e.Secrets = []Secret{NewSecret()}
	}
	return e, o.keepEndpoint(e)
}

// room needs o.mu.
func (o *Outbox) room(owner string) error {
	owned := 0
	for _, e := range o.endpoints {
		if e.Owner == owner {
			owned++
		}
	}
	if owned >= o.perOwner || len(o.endpoints) >= o.most {
		return fmt.Errorf("there are %d already, %d of them of the owner: %w", len(o.endpoints), owned, ErrEndpoint)
	}
	return nil
}

// change changes an endpoint of an owner, or returns [ErrUnknown]. To enable one sends what it did not get at once.
func (o *Outbox) change(owner, id string, do func(*Endpoint)) (Endpoint, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.endpoints[id]
	if !ok || e.Owner != owner {
		return Endpoint{}, ErrUnknown
	}
	e = e.clone()
	do(&e)
	return e.clone(), o.keepEndpoint(e)
}

// keepEndpoint needs o.mu.
func (o *Outbox) keepEndpoint(e Endpoint) error {
	if err := o.validate(e); err != nil {
		return err
	}
	if err := o.commit(map[string][]byte{tableEndpoint + e.ID: encodeEndpoint(e)}); err != nil {
		return err
	}
	o.endpoints[e.ID] = e
	o.publish()
	o.Wake()
	return nil
}

// RemoveEndpoint forgets an endpoint with its log and all that waits for it, or returns [ErrUnknown].
func (o *Outbox) RemoveEndpoint(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.endpoints[id]; !ok {
		return ErrUnknown
	}
	if err := o.commit(map[string][]byte{tableEndpoint + id: nil, tableLog + id: nil}); err != nil {
		return err
	}
	delete(o.endpoints, id)
	delete(o.logs, id)
	o.publish()
	_, err := o.purgeSome() // at most so many rows; the rest, which nobody sends, is for the next purge
	return err
}

func (o *Outbox) validate(e Endpoint) error {
	if err := o.egress.ValidateURL(e.URL); err != nil {
		return fmt.Errorf("%w: %w", ErrEndpoint, err)
	}
	if len(e.Secrets) < 1 || len(e.Secrets) > maxSecrets || slices.Contains(e.Secrets, Secret{}) {
		return fmt.Errorf("it has not one or two secrets: %w", ErrEndpoint)
	}
	for i, name := range e.Types {
		if !slices.Contains(o.types, name) {
			return fmt.Errorf("type %d of its events is unknown: %w", i+1, ErrEndpoint)
		}
		if slices.Contains(e.Types[:i], name) {
			return fmt.Errorf("type %d of its events is there twice: %w", i+1, ErrEndpoint)
		}
	}
	return nil
}

// publish lets Add see the endpoints without o.mu: its caller may hold a lock that the store waits for.
func (o *Outbox) publish() {
	var all []Endpoint
	for _, e := range o.endpoints {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Endpoint) int { return strings.Compare(a.ID, b.ID) })
	o.view.Store(&all)
}
