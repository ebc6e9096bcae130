package statuslist

import (
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
)

const uri = "https://land.example/status/1"

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, alg jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, key *jose.SigningKey, change func(*Token)) string {
	t.Helper()
	l, err := New(Bits, 64)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Set(5, Invalid), l.Set(63, Suspended)); err != nil {
		t.Fatal(err)
	}
	list := &Token{URI: uri, IssuedAt: now, ExpiresAt: now.Add(time.Hour), TTL: 5 * time.Minute, List: l}
	if change != nil {
		change(list)
	}
	token, err := list.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestToken(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		key := newKey(t, alg)
		got, err := Verify(signed(t, key, nil), Expected{URI: uri, Keys: jose.Keys(key.Public()), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if got.URI != uri || !got.IssuedAt.Equal(now) || !got.ExpiresAt.Equal(now.Add(time.Hour)) || got.TTL != 5*time.Minute {
			t.Errorf("%+v", got)
		}
		for index, want := range map[uint64]Status{0: Valid, 4: Valid, 5: Invalid, 6: Valid, 62: Valid, 63: Suspended} {
			if s, err := got.List.At(index); err != nil || s != want {
				t.Errorf("index %d: %s, %v, want %s", index, s, err, want)
			}
		}
		if _, err := got.List.At(64); !errors.Is(err, ErrIndex) {
			t.Errorf("an index outside: %v", err)
		}
	}
}

// Each is refused for what it is named after, and for nothing else.
func TestVerifyRefused(t *testing.T) {
	key, other := newKey(t, jose.EdDSA), newKey(t, jose.EdDSA)
	good := Expected{URI: uri, Keys: jose.Keys(key.Public()), Now: now}
	token := signed(t, key, nil)
	if _, err := Verify(token, good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  func(*Expected)
		err   error
	}{
		"a stranger's key":        {signed(t, other, nil), nil, nil},
		"a changed signature":     {flip(token), nil, jose.ErrSignature},
		"a list of another place": {token, func(e *Expected) { e.URI += "0" }, ErrList},
		"issued later":            {token, func(e *Expected) { e.Now = now.Add(-time.Second) }, ErrTime},
		"expired":                 {token, func(e *Expected) { e.Now = now.Add(time.Hour) }, ErrTime},
	} {
		want := good
		if c.want != nil {
			c.want(&want)
		}
		if _, err := Verify(c.token, want); err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	skewed := good
	skewed.Now, skewed.Skew = now.Add(-time.Second), time.Second
	if _, err := Verify(token, skewed); err != nil {
		t.Errorf("a clock within the skew: %v", err)
	}
	last := good
	last.Now = now.Add(time.Hour - time.Second)
	if _, err := Verify(token, last); err != nil {
		t.Errorf("the last second: %v", err)
	}
}

// flip changes a signature within its middle, where every bit counts.
func flip(token string) string {
	at := len(token) - 40
	changed := byte('A')
	if token[at] == changed {
		changed = 'B'
	}
	return token[:at] + string(changed) + token[at+1:]
}

func TestPayloads(t *testing.T) {
	key := newKey(t, jose.EdDSA)
	list := map[string]any{"bits": 1, "lst": drafts[0].lst}
	base := map[string]any{"sub": uri, "iat": now.Unix(), "status_list": list}
	with := func(name string, value any) map[string]any {
		out := maps.Clone(base)
		if out[name] = value; value == nil {
			delete(out, name)
		}
		return out
	}
	verify := func(typ string, payload any) error {
		token, err := jose.SignCompact(key, "", typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Verify(token, Expected{URI: uri, Keys: jose.Keys(key.Public()), Now: now})
		return err
	}
	for name, payload := range map[string]any{
		"the least":        base,
		"other members":    with("iss", "https://land.example"),
		"other case":       with("SUB", "x"),
		"an aggregation":   with("status_list", map[string]any{"bits": 1, "lst": drafts[0].lst, "aggregation_uri": "https://x"}),
		"a time to live":   with("ttl", 43200),
		"an end":           with("exp", now.Unix()+1),
		"issued long ago":  with("iat", 1),
		"the longest ttl":  with("ttl", maxTTL),
		"the last of ends": with("exp", maxTime),
	} {
		if err := verify(Type, payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, payload := range map[string]any{
		"no sub":                with("sub", nil),
		"no iat":                with("iat", nil),
		"no list":               with("status_list", nil),
		"sub of a number":       with("sub", 1),
		"iat of zero":           with("iat", 0),
		"a fraction for iat":    with("iat", 1.5),
		"iat beyond all":        with("iat", int64(1)<<52),
		"text for iat":          with("iat", "1"),
		"exp of zero":           with("exp", 0),
		"exp before iat":        with("exp", now.Unix()),
		"ttl of zero":           with("ttl", 0),
		"a negative ttl":        with("ttl", -1),
		"ttl that overflows":    with("ttl", int64(1)<<52),
		"three bits":            with("status_list", map[string]any{"bits": 3, "lst": drafts[0].lst}),
		"no bits":               with("status_list", map[string]any{"lst": drafts[0].lst}),
		"bits as text":          with("status_list", map[string]any{"bits": "1", "lst": drafts[0].lst}),
		"no lst":                with("status_list", map[string]any{"bits": 1}),
		"a member of no use":    with("status_list", map[string]any{"bits": 1, "lst": drafts[0].lst, "x": 1}),
		"a list for the object": with("status_list", []int{1}),
		"no object":             []int{1},
		"null":                  nil,
	} {
		if err := verify(Type, payload); !errors.Is(err, ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, typ := range []string{"", "JWT", "statuslist+cwt", "application/statuslist+jwt"} {
		if err := verify(typ, base); !errors.Is(err, jose.ErrToken) {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
}

func TestSignRefused(t *testing.T) {
	l, err := New(Bits, 64)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, jose.EdDSA)
	for name, list := range map[string]Token{
		"no address":       {IssuedAt: now, List: l},
		"half an address":  {URI: "/status/1", IssuedAt: now, List: l},
		"a long address":   {URI: "https://x/" + strings.Repeat("x", MaxURI), IssuedAt: now, List: l},
		"expired at birth": {URI: uri, IssuedAt: now, ExpiresAt: now, List: l},
		"half a second":    {URI: uri, IssuedAt: now, TTL: time.Second / 2, List: l},
		"negative ttl":     {URI: uri, IssuedAt: now, TTL: -time.Second, List: l},
	} {
		if _, err := list.Sign(key); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// A list of our own capacity fits in a token, however little it compresses; one of twice that does not.
func TestCapacityFits(t *testing.T) {
	key := newKey(t, jose.EdDSA)
	r := rand.New(rand.NewPCG(3, 4))
	for _, capacity := range []int{Capacity, 2 * Capacity} {
		l, err := New(Bits, capacity)
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.bytes {
			l.bytes[i] = byte(r.Uint32())
		}
		list := Token{URI: "https://x/" + strings.Repeat("x", MaxURI-10), IssuedAt: now, ExpiresAt: now.Add(time.Hour), TTL: time.Hour, List: l}
		token, err := list.Sign(key)
		if capacity > Capacity {
			if err == nil {
				t.Error("a token that nobody reads was signed")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(token, Expected{URI: list.URI, Keys: jose.Keys(key.Public()), Now: now}); err != nil {
			t.Error(err)
		}
	}
}

func TestReference(t *testing.T) {
	if err := (Reference{1<<53 - 1, uri}).Validate(); err != nil {
		t.Error(err)
	}
	for _, r := range []Reference{{1 << 53, uri}, {0, ""}, {0, "status/1"}, {0, "https://land.example/a b"}, {0, "urn:x:1"}} {
		if r.Validate() == nil {
			t.Errorf("%+v: accepted", r)
		}
	}
}
