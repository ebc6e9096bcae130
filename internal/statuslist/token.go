package statuslist

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

const (
	// Type is the typ of a signed list.
	Type = "statuslist+jwt"
	// MediaType is its Content-Type over HTTP.
	MediaType = "application/" + Type
	// MaxURI bounds the address of a list, in bytes.
	MaxURI = 1024
)

// ErrTime is returned for a signed list of another time.
var ErrTime = errors.New("status list is of another time")

// Reference is where a credential's status stands: the member status_list of its claim status (section 6.2).
type Reference struct {
	Index uint64 `json:"idx"`
	URI   string `json:"uri"`
}

// Validate refuses addresses that nobody could fetch a list from, and indices that two readers of JSON could read
// differently.
func (r Reference) Validate() error {
	if r.Index > credential.MaxJSONInteger {
		return fmt.Errorf("index %d: %w", r.Index, ErrIndex)
	}
	return validateURI(r.URI)
}

func validateURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || len(uri) > MaxURI || !u.IsAbs() || u.Host == "" || u.String() != uri {
		return fmt.Errorf("%.100q is not the address of a status list: %w", uri, ErrList)
	}
	return nil
}

// Token is a signed list.
type Token struct {
	URI       string    // sub: where the list is served, as the credentials name it
	IssuedAt  time.Time // whole seconds
	ExpiresAt time.Time // nobody must believe the list from then on; zero for never
	// TTL is for how long a copy may be kept before a newer one should be fetched; zero where the list does not say.
	TTL  time.Duration
	List *List
}

type payload struct {
	Subject   string              `json:"sub"`
	IssuedAt  credential.UnixTime `json:"iat"`
	ExpiresAt credential.UnixTime `json:"exp,omitempty"`
	TTL       int64               `json:"ttl,omitempty"` // seconds
	List      compressed          `json:"status_list"`
}

type compressed struct {
	Bits        int    `json:"bits"`
	Statuses    string `json:"lst"`
	Aggregation string `json:"aggregation_uri,omitempty"` // where to find other lists: not used here
}

// Sign makes the token that is served. Its size tells nothing but how many statuses are not Valid.
func (t *Token) Sign(key *jose.SigningKey) (string, error) {
	if err := validateURI(t.URI); err != nil {
		return "", err
	}
	if t.TTL < 0 || t.TTL%time.Second != 0 || !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(t.IssuedAt) {
		return "", fmt.Errorf("a list of %s that expires %s, to be kept for %s: %w", t.IssuedAt, t.ExpiresAt, t.TTL, ErrTime)
	}
	lst, err := t.List.encode()
	if err != nil {
		return "", fmt.Errorf("compress status list: %w", err)
	}
	p := payload{
		Subject: t.URI, IssuedAt: credential.UnixTimeOf(t.IssuedAt), TTL: int64(t.TTL / time.Second),
		List: compressed{Bits: t.List.bits, Statuses: lst},
	}
	if !t.ExpiresAt.IsZero() {
		p.ExpiresAt = credential.UnixTimeOf(t.ExpiresAt)
	}
	token, err := jose.SignCompact(key, "", Type, p)
	if err != nil {
		return "", err
	}
	if len(token) > jose.MaxToken {
		return "", fmt.Errorf("the token of a list of %d bytes has %d, at most %d are read", len(t.List.bytes), len(token), jose.MaxToken)
	}
	return token, nil
}

// Expected is what a verifier knows of a list before it reads it.
type Expected struct {
	URI  string      // of the credential's reference
	Keys jose.LookUp // of the credential's issuer, or whom it trusts with statuses
	Now  time.Time
	Skew time.Duration // how far the issuer's clock may be ahead
}

// Verify reads a signed list: signed by a key that the verifier trusts for it, served under that address, and of this
// time. Members that the draft does not know are ignored, as it asks.
func Verify(token string, want Expected) (*Token, error) {
	text, err := jose.VerifyCompact(token, Type, want.Keys)
	if err != nil {
		return nil, fmt.Errorf("status list: %w", err)
	}
	p, err := parsePayload(text)
	if err != nil {
		return nil, err
	}
	// SPEC (section 8.3): sub is the uri of the credential's reference, byte for byte. Else a list of another
	// purpose could stand in.
	if p.Subject != want.URI {
		return nil, fmt.Errorf("the list is that of %.100q, want %.100q: %w", p.Subject, want.URI, ErrList)
	}
	t := &Token{URI: p.Subject, IssuedAt: p.IssuedAt.Time(), TTL: time.Duration(p.TTL) * time.Second}
	if t.IssuedAt.After(want.Now.Add(want.Skew)) {
		return nil, fmt.Errorf("the list was issued at %s: %w", p.IssuedAt, ErrTime)
	}
	if p.ExpiresAt != 0 {
		if t.ExpiresAt = p.ExpiresAt.Time(); !want.Now.Before(t.ExpiresAt) {
			return nil, fmt.Errorf("the list expired at %s: %w", p.ExpiresAt, ErrTime)
		}
	}
	t.List, err = decode(p.List.Bits, p.List.Statuses)
	return t, err
}

// maxTTL and maxTime keep durations and times far from where they overflow.
const (
	maxTTL  = 100 * 365 * 24 * 60 * 60
	maxTime = 253402300799 // the end of the year 9999
)

// parsePayload takes the members that we know out of a payload with others.
func parsePayload(text []byte) (*payload, error) {
	if _, err := credential.CanonicalJSON(text); err != nil { // duplicate members
		return nil, fmt.Errorf("%w: %w", err, ErrList)
	}
	var members map[string]json.RawMessage // json.Unmarshal would take SUB for sub
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("the payload is not an object: %w", ErrList)
	}
	var p payload
	for name, target := range map[string]any{"sub": &p.Subject, "iat": &p.IssuedAt, "status_list": &p.List, "exp": &p.ExpiresAt, "ttl": &p.TTL} {
		value, ok := members[name]
		if !ok {
			continue
		}
		if err := credential.ParseStrict(value, target); err != nil || string(value) == "null" {
			return nil, fmt.Errorf("member %s is not of its form: %w", name, ErrList)
		}
	}
	_, expires := members["exp"]
	_, kept := members["ttl"]
	switch {
	case p.Subject == "" || members["iat"] == nil || members["status_list"] == nil:
		return nil, fmt.Errorf("sub, iat or status_list is missing: %w", ErrList)
	case p.IssuedAt < 1 || p.IssuedAt > maxTime || expires && (p.ExpiresAt <= p.IssuedAt || p.ExpiresAt > maxTime):
		return nil, fmt.Errorf("iat or exp is out of range: %w", ErrList)
	case kept && (p.TTL < 1 || p.TTL > maxTTL):
		return nil, fmt.Errorf("ttl is out of range: %w", ErrList)
	}
	return &p, nil
}
