package webapi

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// Whatever our own key signed as an access token: it counts for the right issuer, audience and time only.
func FuzzAccessToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	a := &Authority{Key: key, Issuer: "https://a.example", Audience: "https://a.example/api", Clock: func() time.Time { return now }}
	f.Add([]byte(`{"iss":"https://a.example","aud":"https://a.example/api","client_id":"clerk","scope":"a b","iat":1800000000,"exp":1800000060}`))
	f.Add([]byte(`{"iss":"https://a.example","aud":["https://a.example/api"],"exp":1800000060}`))
	f.Add([]byte(`{"iss":"https://a.example","aud":"https://a.example/api","exp":18000000600000000000}`))
	f.Add([]byte(`{"iss":"https://a.example","AUD":"https://a.example/api","iat":1900000000,"exp":1900000001}`))
	f.Add([]byte(`null`))
	for _, long := range fuzztest.Long([]byte(`{"iss":"https://a.example","aud":"https://a.example/api","exp":1800000060}`)) {
		f.Add(long)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !json.Valid(payload) {
			return // our key signs JSON only
		}
		token, err := jose.SignCompact(key, "", TokenType, json.RawMessage(payload))
		if err != nil {
			t.Fatal(err)
		}
		claims, err := a.Verify(token)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, errToken) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if claims.Issuer != a.Issuer || claims.Audience != a.Audience || !claims.ExpiresAt.Time().After(now) || claims.IssuedAt.Time().Sub(now) > time.Minute {
			t.Errorf("%s counts at %s", payload, now)
		}
	})
}
