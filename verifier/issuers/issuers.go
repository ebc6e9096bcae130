// Package issuers reads what issuers publish beside the chain, for companions: the keys that sign them, and the status lists that say which
// are revoked. Only addresses below those that the chain registers for an issuer are called, through the guard of internal/egress: an issuer
// could name one that leads inside our network.
//
// Whoever answers at an issuer's address, as its certificate says, can sign companions in its name, and bring back revoked ones.
package issuers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/verifier/check"
)

// How long what was read is believed, and how much of it is read.
const (
	keysLife  = time.Minute      // a key that the issuer voids is good here for so long
	keysPause = 10 * time.Second // a key that is not among those read may be a new one: they are read again, but not sooner
	listLife  = 5 * time.Minute  // at most, whatever a list says
	failPause = 2 * time.Second  // whoever did not answer is not asked again sooner
	timeout   = 5 * time.Second  // of a call
	maxKeys   = 64 << 10         // bytes of an issuer's keys
	maxLists  = 32               // that are kept, of 1 MiB each at most
	skew      = time.Minute      // that clocks of issuers may be ahead
)

// Config says whom a client may call.
type Config struct {
	// Egress has the networks and ports besides https at public addresses. Its other members are ours: http is for this machine only.
	Egress egress.Config
	Clock  func() time.Time // nil: time.Now
}

// Client is part of a [check.Companions]. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	clock func() time.Time

	mu    sync.Mutex // guards the maps, not what is in them
	keys  map[string]*kept[map[string]jose.PublicKey]
	lists map[string]*kept[*statuslist.Token]
}

// New makes a client that has read nothing yet.
func New(cfg Config) (*Client, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	cfg.Egress.Timeout, cfg.Egress.MaxAnswer = timeout, jose.MaxToken
	cfg.Egress.AllowHTTP = true // on this machine, where that is allowed: see call
	client, err := egress.New(cfg.Egress)
	if err != nil {
		return nil, fmt.Errorf("issuers: %w", err)
	}
	return &Client{
		http: client, clock: cfg.Clock,
		keys: make(map[string]*kept[map[string]jose.PublicKey]), lists: make(map[string]*kept[*statuslist.Token]),
	}, nil
}

// kept is something that was read, or why it was not. Its mutex is held while it is read, so that one call serves all who wait.
type kept[T any] struct {
	mu    sync.Mutex
	value T
	err   error
	read  time.Time
	until time.Time
}

// get reads anew what is no longer good, or was read before notBefore.
func (k *kept[T]) get(now, notBefore time.Time, read func() (value T, life time.Duration, err error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.read.IsZero() && now.Before(k.until) && !now.Before(k.read) && !k.read.Before(notBefore) {
		return k.value, k.err
	}
	var life time.Duration
	if k.value, life, k.err = read(); k.err != nil {
		life = failPause
	}
	k.read, k.until = now, now.Add(life)
	return k.value, k.err
}

// Key implements [check.Companions].
func (c *Client) Key(ctx context.Context, issuer, keyID string) (jose.PublicKey, error) {
	now := c.clock()
	for _, notBefore := range []time.Time{{}, now.Add(-keysPause)} {
		keys, err := c.keysOf(issuer).get(now, notBefore, func() (map[string]jose.PublicKey, time.Duration, error) {
			keys, err := c.readKeys(ctx, issuer)
			return keys, keysLife, err
		})
		if err != nil {
			return jose.PublicKey{}, err
		}
		if key, ok := keys[keyID]; ok {
			return key, nil
		}
	}
	return jose.PublicKey{}, fmt.Errorf("key of %s: %w", issuer, check.ErrNotPublished)
}

func (c *Client) keysOf(issuer string) *kept[map[string]jose.PublicKey] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[issuer] == nil { // as many as the chain has issuers
		c.keys[issuer] = new(kept[map[string]jose.PublicKey])
	}
	return c.keys[issuer]
}

// readKeys reads the keys of an issuer. SPEC (SD-JWT VC, JWT VC issuer metadata): issuer is the iss of its credentials, or nothing of it
// is used.
func (c *Client) readKeys(ctx context.Context, issuer string) (map[string]jose.PublicKey, error) {
	address, err := openid.WellKnown(issuer, openid.KeysWellKnown)
	if err != nil {
		return nil, err
	}
	text, err := c.call(ctx, address, "application/json", maxKeys)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", issuer, err)
	}
	keys, err := parseKeys(issuer, text)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", issuer, err)
	}
	return keys, nil
}

// parseKeys takes the keys that we can use, by kid. Members that we do not know are ignored, and so are keys of other kinds.
func parseKeys(issuer string, text []byte) (map[string]jose.PublicKey, error) {
	if _, err := credential.CanonicalJSON(text); err != nil { // duplicate members
		return nil, err
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   struct {
			Keys []struct {
				jose.PublicKey
				KeyID string `json:"kid"`
				Use   string `json:"use"`
			} `json:"keys"`
		} `json:"jwks"`
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		return nil, errors.New("they are not a key set")
	}
	if metadata.Issuer != issuer {
		return nil, errors.New("they are another issuer's")
	}
	keys := make(map[string]jose.PublicKey)
	for _, k := range metadata.Keys.Keys {
		if _, twice := keys[k.KeyID]; twice {
			return nil, errors.New("two keys have one kid")
		}
		if k.KeyID != "" && (k.Use == "" || k.Use == "sig") && k.Validate() == nil {
			keys[k.KeyID] = k.PublicKey
		}
	}
	return keys, nil
}

// Status implements [check.Companions].
func (c *Client) Status(ctx context.Context, issuer string, at statuslist.Reference) (check.Standing, error) {
	u, err := openid.ParseAddress(at.URI)
	if err != nil || u.RawQuery != "" || u.ForceQuery || !openid.LiesUnder(u, strings.TrimSuffix(issuer, "/")+"/") {
		return check.Standing{}, fmt.Errorf("status list: its address is not below that of %s: %w", issuer, check.ErrNotPublished)
	}
	now := c.clock()
	list, err := c.listAt(issuer, at.URI).get(now, time.Time{}, func() (*statuslist.Token, time.Duration, error) { return c.readList(ctx, issuer, at.URI, now) })
	if err != nil {
		return check.Standing{}, err
	}
	status, err := list.List.At(at.Index)
	if err != nil {
		return check.Standing{}, fmt.Errorf("status list of %s: %w", issuer, check.ErrNotPublished)
	}
	// What changed since the list was made is not in it; and it may be believed for as long as it says.
	return check.Standing{Status: status, Delay: max(list.TTL, now.Sub(list.IssuedAt))}, nil
}

// listAt is the place of a list. One is for one issuer: whose keys signed it is part of what is kept.
func (c *Client) listAt(issuer, uri string) *kept[*statuslist.Token] {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := issuer + " " + uri
	if c.lists[name] == nil {
		if len(c.lists) >= maxLists {
			clear(c.lists)
		}
		c.lists[name] = new(kept[*statuslist.Token])
	}
	return c.lists[name]
}

// readList reads a list, and for how long it is good.
func (c *Client) readList(ctx context.Context, issuer, uri string, now time.Time) (*statuslist.Token, time.Duration, error) {
	text, err := c.call(ctx, uri, statuslist.MediaType, jose.MaxToken)
	if err != nil {
		return nil, 0, fmt.Errorf("status list of %s: %w", issuer, err)
	}
	list, err := statuslist.Verify(string(text), statuslist.Expected{
		URI: uri, Now: now, Skew: skew, Keys: func(keyID string) (jose.PublicKey, error) { return c.Key(ctx, issuer, keyID) },
	})
	if err != nil { // that the list is bad says nothing about the companion
		return nil, 0, fmt.Errorf("status list of %s is not one that is good now", issuer)
	}
	life := listLife
	if list.TTL > 0 {
		life = min(life, list.TTL)
	}
	if !list.ExpiresAt.IsZero() {
		life = min(life, list.ExpiresAt.Sub(now))
	}
	return list, life, nil
}

// call gets what is at an address, at most limit bytes. That there is nothing is [check.ErrNotPublished].
func (c *Client) call(ctx context.Context, address, accept string, limit int64) ([]byte, error) {
	if _, err := openid.ParseAddress(address); err != nil { // https, or http on this machine
		return nil, err
	}
	// Others wait for the same answer: it does not depend on whether the first one stays.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	answer, err := c.http.Do(r)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return nil, failed.Err // without the address of a list, which is a part of where a credential's status stands
	}
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, check.ErrNotPublished
	default:
		return nil, fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = egress.ErrTooLong
	}
	return text, err
}
