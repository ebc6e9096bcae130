package oauth_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/webapi"
)

var start = time.Unix(1_800_000_000, 0)

type clock struct{ passed atomic.Int64 }

func (c *clock) Now() time.Time          { return start.Add(time.Duration(c.passed.Load())) }
func (c *clock) pass(span time.Duration) { c.passed.Add(int64(span)) }

const (
	read  = "issuer:audit.read"
	write = "issuer:offers.write"
	gone  = "issuer:old.write" // clients may have it still, the server does not
)

// world is an agency: its authorization server and its API on one origin.
type world struct {
	t         testing.TB
	clock     *clock
	url       string
	ring      *oauth.KeyRing
	mint      oauth.Mint
	server    *oauth.Server
	clientKey *jose.SigningKey
	secret    string
	log       *bytes.Buffer
	logger    *slog.Logger
	serve     func(oauth.ResourceConfig) // puts another API in the place of the one that is
}

func generated(t testing.TB, a jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: new(clock), log: new(bytes.Buffer), clientKey: generated(t, jose.ES256)}
	w.logger = slog.New(slog.NewTextHandler(w.log, nil))
	var handler atomic.Pointer[gin.Engine]
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(rw, r) }))
	t.Cleanup(s.Close)
	w.url = s.URL
	var err error
	if w.ring, err = oauth.NewKeyRing(time.Hour, w.clock.Now, oauth.RingKey{Key: generated(t, jose.EdDSA)}); err != nil {
		t.Fatal(err)
	}
	w.mint = oauth.Mint{Issuer: s.URL, Audience: s.URL + "/api", Keys: w.ring, Clock: w.clock.Now}
	endpoint := w.newServer()
	w.serve = func(cfg oauth.ResourceConfig) { handler.Store(w.engine(endpoint, cfg)) }
	w.serve(w.resource())
	return w
}

func (w *world) newServer() *oauth.Endpoint {
	w.t.Helper()
	var err error
	if w.server, err = oauth.NewServer(w.serverConfig()); err != nil {
		w.t.Fatal(err)
	}
	return &oauth.Endpoint{Server: w.server, Logger: w.logger}
}

func (w *world) serverConfig() oauth.ServerConfig {
	w.t.Helper()
	secret, first := oauth.NewSecret()
	_, second := oauth.NewSecret()
	w.secret = secret
	keys := []foreign.Key{foreign.Own(w.clientKey.Public())}
	client := func(id string, change func(*oauth.Client)) oauth.Client {
		c := oauth.Client{ID: id, Name: "Front desk", Secrets: []credential.Digest{second, first}, Keys: keys, Scopes: []string{read, write, gone}}
		change(&c)
		return c
	}
	clients, err := oauth.NewFixed(
		client("desk", func(*oauth.Client) {}),
		client("retired", func(c *oauth.Client) { c.Disabled = true }),
		client("bound", func(c *oauth.Client) { c.RequireDPoP = true }),
		client("useless", func(c *oauth.Client) { c.Scopes = []string{gone} }),
	)
	if err != nil {
		w.t.Fatal(err)
	}
	return oauth.ServerConfig{
		Mint: w.mint, Clients: clients, Scopes: []string{read, write}, Assertions: once.NewMemory(100, w.clock.Now), DPoP: w.proofs(false),
		TokenURL: w.url + "/token", KeysURL: w.url + "/jwks.json", Clock: w.clock.Now,
	}
}

func (w *world) proofs(requireNonce bool) *dpop.Verifier {
	w.t.Helper()
	nonces, err := dpop.NewNonces(nil, 5*time.Minute, w.clock.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := dpop.New(dpop.Config{Clock: w.clock.Now, Replays: once.NewMemory(100, w.clock.Now), Nonces: nonces, RequireNonce: requireNonce})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) resource() oauth.ResourceConfig {
	return oauth.ResourceConfig{Providers: []oauth.Provider{oauth.OwnProvider(w.mint)}, DPoP: w.proofs(false), URL: w.url, Clock: w.clock.Now, Logger: w.logger}
}

func (w *world) engine(endpoint *oauth.Endpoint, cfg oauth.ResourceConfig) *gin.Engine {
	w.t.Helper()
	resource, err := oauth.NewResource(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	e := webapi.Engine(w.logger, 64<<10)
	e.POST("/token", endpoint.PostToken)
	e.GET("/jwks.json", endpoint.GetKeys)
	e.GET("/.well-known/oauth-authorization-server", endpoint.GetMetadata)
	e.GET("/api/who", resource.Require(read), func(c *gin.Context) { c.JSON(http.StatusOK, oauth.PrincipalOf(c)) })
	e.GET("/api/nobody", func(c *gin.Context) { c.JSON(http.StatusOK, oauth.PrincipalOf(c)) })
	return e
}

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// member is one of the body's, as text.
func (a answer) member(name string) string {
	var members map[string]any
	if json.Unmarshal([]byte(a.body), &members) != nil {
		return ""
	}
	text, _ := members[name].(string)
	return text
}

func (w *world) do(method, path, body string, change func(*http.Request)) answer {
	w.t.Helper()
	request, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// ask asks for a token with a form and, unless id is empty, the secret of the clients.
func (w *world) ask(id string, values url.Values) answer {
	w.t.Helper()
	return w.do("POST", "/token", values.Encode(), func(r *http.Request) {
		if id != "" {
			r.SetBasicAuth(id, w.secret)
		}
	})
}

// who calls the API with a token.
func (w *world) who(scheme, token, proof string) answer {
	w.t.Helper()
	return w.do("GET", "/api/who", "", func(r *http.Request) {
		r.Header.Set("Authorization", scheme+" "+token)
		if proof != "" {
			r.Header.Set("DPoP", proof)
		}
	})
}

func form(pairs ...string) url.Values {
	values := url.Values{"grant_type": {oauth.ClientCredentials}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}
