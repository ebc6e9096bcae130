package oauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

const fuzzIssuer = "https://a.example"

func fuzzClock() time.Time { return time.Unix(1_800_000_000, 0) }

func fuzzServer(t testing.TB, key *jose.SigningKey) *Server {
	ring, err := NewKeyRing(time.Hour, fuzzClock, RingKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := NewFixed(Client{ID: "desk", Keys: []foreign.Key{foreign.Own(key.Public())}, Scopes: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(ServerConfig{
		Mint: Mint{fuzzIssuer, fuzzIssuer, ring, fuzzClock}, Clients: clients, Scopes: []string{"a", "b"}, Clock: fuzzClock,
		Assertions: once.NewMemory(10, func() time.Time { return fuzzClock() }), TokenURL: fuzzIssuer + "/token", KeysURL: fuzzIssuer + "/jwks.json",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fuzzKey(f *testing.F) *jose.SigningKey {
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	return key
}

// checkRefusal fails on what may not stand in an answer of a token endpoint.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *Error
	if fuzztest.Refused(t, err); !errors.As(err, &refusal) || refusal.Status < 400 || refusal.Status > 503 {
		t.Fatalf("an error of another kind: %v", err)
	}
	if printable(refusal.Description) != refusal.Description {
		t.Errorf("description %q", refusal.Description)
	}
}

// Whatever the body, each parameter stands once, and none is empty.
func FuzzForm(f *testing.F) {
	for _, body := range []string{"grant_type=client_credentials&scope=a+b", "a=b&a=b", "a=&a", "%", "a;b", strings.Repeat("a&", 40), "=b", "a=%00"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := ParseForm(body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		values := url.Values{}
		for name, value := range form {
			if value == "" {
				t.Errorf("%q: %q is empty", body, name)
			}
			values.Set(name, value)
		}
		again, err := ParseForm(values.Encode())
		if len(values.Encode()) <= maxForm && (err != nil || len(again) != len(form)) {
			t.Errorf("%q is read as %v, then as %v, %v", body, form, again, err)
		}
	})
}

// Credentials of HTTP Basic are none, or an id and a secret; nothing but the right ones authenticates.
func FuzzBasic(f *testing.F) {
	for _, header := range []string{"Basic ZGVzazpz", "basic ZGVzaw==", "Basic", "Bearer x", "Basic ZGUlenpzazpz", strings.Repeat("x", 2000)} {
		f.Add(header)
	}
	s := fuzzServer(f, fuzzKey(f))
	f.Fuzz(func(t *testing.T, header string) {
		basic, err := readBasic([]string{header})
		if err == nil {
			_, err = s.Authenticate(t.Context(), TokenRequest{Basic: basic})
		}
		if err == nil {
			t.Fatalf("%q authenticates a client without a secret", header)
		}
		checkRefusal(t, err)
	})
}

// Whatever the client's key signed: it authenticates that client for this server only, in time, once.
func FuzzAssertion(f *testing.F) {
	key := fuzzKey(f)
	header := []byte(`{"alg":"EdDSA","kid":"` + key.Public().KeyID() + `","typ":"JWT","x5t":"x"}`)
	claims := []byte(`{"iss":"desk","sub":"desk","aud":"https://a.example","iat":1800000000,"exp":1800000060,"jti":"12345678"}`)
	f.Add(header, claims)
	f.Add([]byte(`{"alg":"none"}`), claims)
	f.Add([]byte(`{"alg":"EdDSA"}`), []byte(`{"iss":"desk","sub":"desk","aud":["https://a.example/token"],"iat":1.8e9,"exp":1800000300,"nbf":0,"jti":"12345678"}`))
	f.Add([]byte(`{"alg":"EdDSA"}`), []byte(`{"iss":"desk","SUB":"desk","aud":[],"iat":1e400,"exp":-1,"jti":null}`))
	for _, long := range fuzztest.Long(header) {
		f.Add(long, claims)
	}
	for _, long := range fuzztest.Long(claims) {
		f.Add(header, long)
	}
	f.Fuzz(func(t *testing.T, header, claims []byte) {
		if !json.Valid(header) || !json.Valid(claims) {
			return
		}
		text, err := jose.SignHeader(key, json.RawMessage(header), json.RawMessage(claims))
		if err != nil {
			t.Fatal(err)
		}
		s := fuzzServer(t, key)
		request := TokenRequest{Form: map[string]string{"grant_type": ClientCredentials, "client_assertion": text, "client_assertion_type": AssertionType}}
		answer, err := s.Token(t.Context(), request)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		var c map[string]any
		if err := json.Unmarshal(claims, &c); err != nil || c["iss"] != "desk" || c["sub"] != "desk" || answer.Scope != "a b" {
			t.Errorf("%s authenticates, %v", claims, err)
		}
		if expires, ok := c["exp"].(float64); !ok || expires <= 1_800_000_000-30 || expires >= 1_800_000_000+331 {
			t.Errorf("%s counts", claims)
		}
		if _, err := s.Token(t.Context(), request); err == nil {
			t.Errorf("%s counts twice", claims)
		}
	})
}

// Whatever a provider's key signed: it counts for its issuer, audience, type and time only, and gives no scope that the
// table lacks.
func FuzzAccessToken(f *testing.F) {
	key := fuzzKey(f)
	r, err := NewResource(ResourceConfig{Clock: fuzzClock, Logger: slog.New(slog.DiscardHandler), Providers: []Provider{{
		Issuer: fuzzIssuer, Audience: "api", Keys: fuzzServer(f, key).cfg.Mint.Keys,
		Roles: &Roles{Claim: []string{"realm", "roles"}, Scopes: map[string][]string{"clerk": {"a"}}},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	header := []byte(`{"alg":"EdDSA","kid":"` + key.Public().KeyID() + `","typ":"at+jwt","x5t":"x"}`)
	claims := []byte(`{"iss":"https://a.example","sub":"x","aud":["api"],"client_id":"c","iat":1800000000,"exp":1800000060,"realm":{"roles":["clerk"]},"cnf":{"jkt":"x"}}`)
	f.Add(header, claims)
	f.Add([]byte(`{"alg":"none","kid":"x","typ":"at+jwt"}`), claims)
	f.Add(header, []byte(`{"iss":"https://a.example","sub":"x","aud":"api","azp":"c","iat":1.8e9,"exp":1800007200,"nbf":1,"realm":[]}`))
	f.Add(header, []byte(`{"iss":"https://a.example","sub":"x","AUD":"api"}`))
	for _, long := range fuzztest.Long(header) {
		f.Add(long, claims)
	}
	for _, long := range fuzztest.Long(claims) {
		f.Add(header, long)
	}
	f.Fuzz(func(t *testing.T, header, claims []byte) {
		if !json.Valid(header) || !json.Valid(claims) {
			return
		}
		text, err := jose.SignHeader(key, json.RawMessage(header), json.RawMessage(claims))
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := r.Verify(t.Context(), text)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrToken) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		var h, c map[string]any
		if json.Unmarshal(header, &h) != nil || json.Unmarshal(claims, &c) != nil || h["alg"] != "EdDSA" || c["iss"] != fuzzIssuer || c["sub"] != p.Subject {
			t.Errorf("%s %s is %+v", header, claims, p)
		}
		if expires, ok := c["exp"].(float64); !ok || expires <= 1_800_000_000-30 {
			t.Errorf("%s counts", claims)
		}
		if len(p.Scopes) > 1 || len(p.Scopes) == 1 && p.Scopes[0] != "a" {
			t.Errorf("%s gives %q", claims, p.Scopes)
		}
	})
}

// What a provider says of itself leads to its keys over https, or on this machine, and only if it is that provider.
func FuzzDiscovery(f *testing.F) {
	good := []byte(`{"issuer":"https://a.example","jwks_uri":"https://a.example/keys?v=1","more":[]}`)
	f.Add(good)
	f.Add([]byte(`{"issuer":"https://a.example","issuer":"https://b.example","jwks_uri":"http://127.0.0.1/"}`))
	f.Add([]byte(`{"Issuer":"https://a.example","jwks_uri":"http://a.example/"}`))
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		address, err := parseDiscovery(text, fuzzIssuer)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
			t.Errorf("%s leads to %q", text, address)
		}
		if !strings.Contains(string(text), "issuer") {
			t.Errorf("%s is of %s", text, fuzzIssuer)
		}
	})
}

// Where browsers and codes are sent is https, or this machine, and what the provider itself says.
func FuzzEndpoints(f *testing.F) {
	good := `{"issuer":"` + fuzzIssuer + `","authorization_endpoint":"https://a.example/auth?x=1","token_endpoint":"https://a.example/token","authorization_response_iss_parameter_supported":true}`
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "https://a.example/token", "http://a.example/token", 1)))
	for _, long := range fuzztest.Long([]byte(good)) {
		f.Add(long)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		at, err := parseEndpoints(text, fuzzIssuer)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for _, address := range []string{at.authorization, at.token} {
			u, err := url.Parse(address)
			if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !isLoopback(u.Hostname()) {
				t.Errorf("%s leads to %s", text, address)
			}
		}
	})
}

// What a browser brings back is a code only with our state, and from our provider.
func FuzzAnswer(f *testing.F) {
	f.Add("code=c&state=s&iss=" + url.QueryEscape(fuzzIssuer))
	f.Add("code=c&state=s")
	f.Add("code=c&state=s&iss=x")
	f.Add("code=a&code=b&state=s")
	f.Add("error=access_denied&state=s")
	f.Add("code=" + strings.Repeat("c", 5000) + "&state=s")
	s := &SignIn{cfg: SignInConfig{Provider: Provider{Issuer: fuzzIssuer}}}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		for _, names := range []bool{false, true} {
			code, err := s.answer(endpoints{namesItself: names}, Pending{State: "s"}, query)
			if err != nil {
				if fuzztest.Refused(t, err); !errors.Is(err, ErrSignIn) {
					t.Errorf("an error of another kind: %v", err)
				}
				continue
			}
			if code == "" || query.Get("state") != "s" || query.Has("error") || query.Has("iss") && query.Get("iss") != fuzzIssuer || names && !query.Has("iss") {
				t.Errorf("%q gives a code", text)
			}
		}
	})
}
