package dpop_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

const (
	target = "https://agency.example/land/token"
	token  = "an-access-token"
)

var start = time.Unix(1_800_000_000, 0)

type clock struct{ seconds atomic.Int64 }

func (c *clock) Now() time.Time          { return start.Add(time.Duration(c.seconds.Load()) * time.Second) }
func (c *clock) pass(span time.Duration) { c.seconds.Add(int64(span / time.Second)) }

func generated(t testing.TB, a jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verifier begins two minutes before the clock shows its first time.
func verifier(t testing.TB, c *clock, change func(*dpop.Config)) *dpop.Verifier {
	t.Helper()
	early := func() time.Time { return start.Add(-2 * time.Minute) }
	begun := false
	cfg := dpop.Config{Clock: c.Now, Replays: once.NewMemory(100, func() time.Time {
		if !begun {
			begun = true
			return early()
		}
		return c.Now()
	})}
	if change != nil {
		change(&cfg)
	}
	v, err := dpop.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The two proofs of RFC 9449, figures 2 and 12: made by others.
func TestRFC9449(t *testing.T) {
	const (
		thumbprint  = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
		header      = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
		accessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	)
	for name, c := range map[string]struct {
		proof, method, url, token string
		at                        int64
	}{
		"token request": {header + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
			"POST", "https://server.example.com/token", "", 1562262616},
		"resource request": {header + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
			"GET", "https://resource.example.org/protectedresource", accessToken, 1562262618},
	} {
		now := func() time.Time { return time.Unix(c.at, 0) }
		begun := func() time.Time { return time.Unix(c.at-60, 0) }
		v, err := dpop.New(dpop.Config{Clock: now, Replays: once.NewMemory(9, begun)})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := v.Verify(t.Context(), dpop.Request{Proofs: []string{c.proof}, Method: c.method, URL: c.url, AccessToken: c.token, Thumbprint: thumbprint})
		if err != nil || proof.Thumbprint != thumbprint {
			t.Errorf("%s: %+v, %v", name, proof, err)
		}
	}
}

// parts are a proof before it is signed.
type parts struct{ header, claims map[string]any }

func proofParts(key *jose.SigningKey) parts {
	return parts{
		map[string]any{"typ": "dpop+jwt", "alg": key.Public().Algorithm(), "jwk": key.Public()},
		map[string]any{"jti": "0123456789abcdef", "htm": "POST", "htu": target, "iat": start.Unix()},
	}
}

func (p parts) sign(t testing.TB, key *jose.SigningKey) string {
	t.Helper()
	proof, err := jose.SignHeader(key, p.header, p.claims)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func withMember(key jose.PublicKey, name string, value any) map[string]any {
	text, _ := json.Marshal(key)
	var members map[string]any
	_ = json.Unmarshal(text, &members)
	members[name] = value
	return members
}

func TestProofRefused(t *testing.T) {
	key, other := generated(t, jose.ES256), generated(t, jose.ES256)
	edwards := generated(t, jose.EdDSA)
	var c clock
	for name, change := range map[string]func(p parts, r *dpop.Request){
		"typ missing":          func(p parts, _ *dpop.Request) { delete(p.header, "typ") },
		"typ of another token": func(p parts, _ *dpop.Request) { p.header["typ"] = "at+jwt" },
		"typ JWT":              func(p parts, _ *dpop.Request) { p.header["typ"] = "JWT" },
		"alg none":             func(p parts, _ *dpop.Request) { p.header["alg"] = "none" },
		"alg missing":          func(p parts, _ *dpop.Request) { delete(p.header, "alg") },
		"alg of another key":   func(p parts, _ *dpop.Request) { p.header["alg"] = "EdDSA" },
		"jwk missing":          func(p parts, _ *dpop.Request) { delete(p.header, "jwk") },
		"jwk null":             func(p parts, _ *dpop.Request) { p.header["jwk"] = nil },
		"jwk a text":           func(p parts, _ *dpop.Request) { p.header["jwk"] = "x" },
		"jwk of another":       func(p parts, _ *dpop.Request) { p.header["jwk"] = other.Public() },
		"jwk of another type":  func(p parts, _ *dpop.Request) { p.header["jwk"] = edwards.Public() },
		"jwk with a secret":    func(p parts, _ *dpop.Request) { p.header["jwk"] = withMember(key.Public(), "d", "AAAA") },
		"jwk for encryption":   func(p parts, _ *dpop.Request) { p.header["jwk"] = withMember(key.Public(), "use", "enc") },
		"jwk for another alg":  func(p parts, _ *dpop.Request) { p.header["jwk"] = withMember(key.Public(), "alg", "ES384") },
		"jku":                  func(p parts, _ *dpop.Request) { p.header["jku"] = "https://evil.example" },
		"x5u":                  func(p parts, _ *dpop.Request) { p.header["x5u"] = "https://evil.example" },
		"x5c":                  func(p parts, _ *dpop.Request) { p.header["x5c"] = []string{"AAAA"} },
		"crit":                 func(p parts, _ *dpop.Request) { p.header["crit"] = []string{"b64"} },
		"jti missing":          func(p parts, _ *dpop.Request) { delete(p.claims, "jti") },
		"jti a number":         func(p parts, _ *dpop.Request) { p.claims["jti"] = 1234567890123456 },
		"jti too short":        func(p parts, _ *dpop.Request) { p.claims["jti"] = "012345678" },
		"jti too long":         func(p parts, _ *dpop.Request) { p.claims["jti"] = strings.Repeat("x", 129) },
		"htm missing":          func(p parts, _ *dpop.Request) { delete(p.claims, "htm") },
		"htm in lower case":    func(p parts, _ *dpop.Request) { p.claims["htm"] = "post" },
		"another method":       func(_ parts, r *dpop.Request) { r.Method = "PUT" },
		"htu missing":          func(p parts, _ *dpop.Request) { delete(p.claims, "htu") },
		"htu a path":           func(p parts, _ *dpop.Request) { p.claims["htu"] = "/land/token" },
		"another path":         func(_ parts, r *dpop.Request) { r.URL = "https://agency.example/land/tokens" },
		"another host":         func(p parts, _ *dpop.Request) { p.claims["htu"] = "https://agency.example.evil/land/token" },
		"another scheme":       func(p parts, _ *dpop.Request) { p.claims["htu"] = "http://agency.example/land/token" },
		"another port":         func(p parts, _ *dpop.Request) { p.claims["htu"] = "https://agency.example:8443/land/token" },
		"a user in htu":        func(p parts, _ *dpop.Request) { p.claims["htu"] = "https://agency.example@evil.example/land/token" },
		"iat missing":          func(p parts, _ *dpop.Request) { delete(p.claims, "iat") },
		"iat a text":           func(p parts, _ *dpop.Request) { p.claims["iat"] = "1800000000" },
		"too old":              func(p parts, _ *dpop.Request) { p.claims["iat"] = start.Unix() - 61 },
		"from the future":      func(p parts, _ *dpop.Request) { p.claims["iat"] = start.Unix() + 31 },
		"from the far future":  func(p parts, _ *dpop.Request) { p.claims["iat"] = 1e300 },
		"ath missing":          func(_ parts, r *dpop.Request) { r.AccessToken = token },
		"ath of another token": func(p parts, r *dpop.Request) { p.claims["ath"], r.AccessToken = "x", token },
		"a token for others":   func(_ parts, r *dpop.Request) { r.Thumbprint = other.Public().KeyID() },
		"two proofs": func(p parts, r *dpop.Request) {
			good := p.sign(t, key)
			r.Proofs = []string{good, good}
		},
		"no proof":      func(_ parts, r *dpop.Request) { r.Proofs = []string{} },
		"far too large": func(p parts, _ *dpop.Request) { p.claims["more"] = strings.Repeat("x", dpop.MaxProof) },
	} {
		p := proofParts(key)
		r := dpop.Request{Method: "POST", URL: target}
		change(p, &r)
		if r.Proofs == nil {
			r.Proofs = []string{p.sign(t, key)}
		}
		if _, err := verifier(t, &c, nil).Verify(t.Context(), r); !errors.Is(err, dpop.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProofAccepted(t *testing.T) {
	var c clock
	for name, change := range map[string]func(p parts, r *dpop.Request){
		"as it is":                  func(parts, *dpop.Request) {},
		"typ as a media type":       func(p parts, _ *dpop.Request) { p.header["typ"] = "application/DPoP+jwt" },
		"claims of others":          func(p parts, _ *dpop.Request) { p.claims["more"] = true },
		"a nonce nobody asked for":  func(p parts, _ *dpop.Request) { p.claims["nonce"] = "x" },
		"query and fragment":        func(p parts, r *dpop.Request) { r.URL += "?a=b"; p.claims["htu"] = target + "?c#d" },
		"another spelling":          func(p parts, _ *dpop.Request) { p.claims["htu"] = "HTTPS://Agency.EXAMPLE:443/x/../%6Cand/token" },
		"at the edge of the past":   func(p parts, _ *dpop.Request) { p.claims["iat"] = start.Unix() - 60 },
		"at the edge of the future": func(p parts, _ *dpop.Request) { p.claims["iat"] = start.Unix() + 30 },
		"half a second":             func(p parts, _ *dpop.Request) { p.claims["iat"] = float64(start.Unix()) + 0.5 },
		"a key as browsers write it": func(p parts, _ *dpop.Request) {
			p.header["jwk"] = withMember(p.header["jwk"].(jose.PublicKey), "key_ops", []string{"verify"})
		},
	} {
		for _, a := range []jose.Algorithm{jose.ES256, jose.EdDSA} {
			key := generated(t, a)
			p := proofParts(key)
			r := dpop.Request{Method: "POST", URL: target}
			change(p, &r)
			r.Proofs = []string{p.sign(t, key)}
			proof, err := verifier(t, &c, nil).Verify(t.Context(), r)
			if err != nil || proof.Thumbprint != key.Public().KeyID() {
				t.Errorf("%s, %s: %v", name, a, err)
			}
		}
	}
}

// Every algorithm that the library knows is accepted or refused on purpose, whatever the header says of itself.
func TestAlgorithms(t *testing.T) {
	var c clock
	key := generated(t, jose.ES256)
	for _, a := range jwa.SignatureAlgorithms() {
		p := proofParts(key)
		p.header["alg"] = a
		_, err := verifier(t, &c, nil).Verify(t.Context(), dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target})
		if (err == nil) != (a == jwa.ES256) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestReplay(t *testing.T) {
	var c clock
	v := verifier(t, &c, nil)
	key, other := generated(t, jose.EdDSA), generated(t, jose.EdDSA)
	request := func(k *jose.SigningKey) dpop.Request {
		return dpop.Request{Proofs: []string{proofParts(k).sign(t, k)}, Method: "POST", URL: target}
	}
	for range 2 { // looking uses nothing up
		if _, err := v.Inspect(request(key)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Verify(t.Context(), request(key)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), request(key)); !errors.Is(err, dpop.ErrProof) || !errors.Is(err, once.ErrUsed) {
		t.Errorf("again: %v", err)
	}
	if _, err := v.Verify(t.Context(), request(other)); err != nil {
		t.Errorf("the same jti of another key: %v", err)
	}
	c.pass(time.Minute)
	if _, err := v.Verify(t.Context(), request(key)); !errors.Is(err, dpop.ErrProof) {
		t.Errorf("at its last second: %v", err)
	}
	c.pass(time.Second)
	if _, err := v.Verify(t.Context(), request(key)); !errors.Is(err, dpop.ErrProof) || errors.Is(err, once.ErrUsed) {
		t.Errorf("when it is forgotten it is too old: %v", err)
	}
}

// Of many who send one proof at the same time, one is let in.
func TestReplayRace(t *testing.T) {
	var c clock
	v := verifier(t, &c, nil)
	key := generated(t, jose.ES256)
	request := dpop.Request{Proofs: []string{proofParts(key).sign(t, key)}, Method: "POST", URL: target}
	var in atomic.Int32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if _, err := v.Verify(t.Context(), request); err == nil {
				in.Add(1)
			}
		})
	}
	wait.Wait()
	if in.Load() != 1 {
		t.Errorf("%d were let in", in.Load())
	}
}

func TestFullStoreRefuses(t *testing.T) {
	var c clock
	v := verifier(t, &c, func(cfg *dpop.Config) { cfg.Replays = once.NewMemory(1, c.Now) })
	c.pass(time.Minute)
	for i, want := range []error{nil, once.ErrFull} {
		key := generated(t, jose.EdDSA)
		p := proofParts(key)
		p.claims["iat"] = c.Now().Unix()
		if _, err := v.Verify(t.Context(), dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target}); !errors.Is(err, want) || errors.Is(err, dpop.ErrProof) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func nonces(t *testing.T, key []byte, c *clock) *dpop.Nonces {
	t.Helper()
	n, err := dpop.NewNonces(key, 5*time.Minute, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNonces(t *testing.T) {
	var c clock
	key := generated(t, jose.ES256)
	ours, others := nonces(t, nil, &c), nonces(t, nil, &c)
	flipped := []byte(ours.Make())
	flipped[20] ^= 1
	for name, test := range map[string]struct {
		nonce any
		later time.Duration
		want  error
	}{
		"fresh":        {ours.Make(), 0, nil},
		"old":          {ours.Make(), 5 * time.Minute, nil},
		"too old":      {ours.Make(), 5*time.Minute + time.Second, dpop.ErrNonce},
		"of others":    {others.Make(), 0, dpop.ErrNonce},
		"changed":      {string(flipped), 0, dpop.ErrNonce},
		"cut":          {ours.Make()[:40], 0, dpop.ErrNonce},
		"none":         {nil, 0, dpop.ErrNonce},
		"a number":     {7, 0, dpop.ErrProof},
		"an empty one": {"", 0, dpop.ErrProof},
	} {
		t.Run(name, func(t *testing.T) {
			began := c.seconds.Load()
			defer func() { c.seconds.Store(began) }()
			v := verifier(t, &c, func(cfg *dpop.Config) { cfg.Nonces, cfg.RequireNonce = ours, true })
			p := proofParts(key)
			p.claims["iat"] = start.Unix() - 7*3600 // a clock in another time zone
			if test.nonce != nil {
				p.claims["nonce"] = test.nonce
			}
			c.pass(test.later)
			if _, err := v.Verify(t.Context(), dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target}); !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A proof with a nonce is remembered as long as the nonce lives, and a process that forgot refuses nonces from before.
func TestNonceReplay(t *testing.T) {
	var c clock
	key := generated(t, jose.ES256)
	shared := make([]byte, 32)
	n := nonces(t, shared, &c)
	change := func(cfg *dpop.Config) { cfg.Nonces = n; cfg.Replays = once.NewMemory(10, c.Now) }
	v := verifier(t, &c, change)
	p := proofParts(key)
	p.claims["nonce"] = n.Make()
	request := dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target}
	if _, err := v.Verify(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	c.pass(4 * time.Minute)
	if _, err := v.Verify(t.Context(), request); !errors.Is(err, once.ErrUsed) {
		t.Errorf("again: %v", err)
	}
	if _, err := verifier(t, &c, change).Verify(t.Context(), request); !errors.Is(err, once.ErrEarlier) {
		t.Errorf("after a restart: %v", err)
	}
}

// No proof is taken on both sides of a restart, whatever the client's clock says: one without a nonce that the process before may have
// taken is answered with a nonce.
func TestReplayOverRestart(t *testing.T) {
	var c clock
	key := generated(t, jose.ES256)
	n := nonces(t, nil, &c)
	restarted := func() *dpop.Verifier {
		return verifier(t, &c, func(cfg *dpop.Config) { cfg.Nonces, cfg.Replays = n, once.NewMemory(10, c.Now) })
	}
	old := verifier(t, &c, nil)
	for _, ahead := range []int64{-59, -1, 0, 1, 30} {
		p := proofParts(key)
		p.claims["iat"] = c.Now().Unix() + ahead
		p.claims["jti"] = rand.Text()
		request := dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target}
		if _, err := old.Verify(t.Context(), request); err != nil {
			t.Fatalf("%d s ahead: %v", ahead, err)
		}
		if _, err := restarted().Verify(t.Context(), request); !errors.Is(err, once.ErrEarlier) || !errors.Is(err, dpop.ErrNonce) {
			t.Errorf("%d s ahead, after a restart: %v", ahead, err)
		}
		p.claims["nonce"] = n.Make()
		request.Proofs[0] = p.sign(t, key)
		if _, err := restarted().Verify(t.Context(), request); err != nil {
			t.Errorf("%d s ahead, with a nonce: %v", ahead, err)
		}
	}
	v := restarted()
	c.pass(32 * time.Second)
	p := proofParts(key)
	p.claims["iat"] = c.Now().Unix()
	if _, err := v.Verify(t.Context(), dpop.Request{Proofs: []string{p.sign(t, key)}, Method: "POST", URL: target}); err != nil {
		t.Errorf("a while after the restart, without a nonce: %v", err)
	}
}

// The prover is challenged once for each server, and then knows the nonce.
func TestProver(t *testing.T) {
	var c clock
	var s *httptest.Server
	v := verifier(t, &c, func(cfg *dpop.Config) { cfg.Nonces, cfg.RequireNonce = nonces(t, nil, &c), true })
	asked := 0
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := io.ReadAll(r.Body)
		accessToken := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
		_, err := v.Verify(r.Context(), dpop.Request{Proofs: r.Header.Values("DPoP"), Method: r.Method, URL: s.URL + r.URL.Path, AccessToken: accessToken})
		switch {
		case errors.Is(err, dpop.ErrNonce) && accessToken != "":
			w.Header().Set("DPoP-Nonce", v.Nonce())
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.WriteHeader(http.StatusUnauthorized)
		case errors.Is(err, dpop.ErrNonce):
			w.Header().Set("DPoP-Nonce", v.Nonce())
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
		case err != nil:
			w.Header().Set("DPoP-Nonce", v.Nonce())
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_dpop_proof"}`)
		default:
			_, _ = w.Write(body)
		}
	}))
	defer s.Close()
	p := dpop.NewProver(generated(t, jose.ES256), c.Now)
	do := func(body, accessToken string) (int, string) {
		request, _ := http.NewRequest("POST", s.URL+"/token?a=b", strings.NewReader(body))
		response, err := p.Do(http.DefaultClient, request, accessToken)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	if status, text := do("hello", ""); status != 200 || text != "hello" || asked != 2 {
		t.Errorf("%d %q after %d", status, text, asked)
	}
	if status, text := do("again", token); status != 200 || text != "again" || asked != 3 {
		t.Errorf("%d %q after %d", status, text, asked)
	}
	c.pass(6 * time.Minute)
	if status, text := do("later", token); status != 200 || text != "later" || asked != 5 {
		t.Errorf("%d %q after %d", status, text, asked)
	}
	// A refusal of another kind is handed on whole.
	p = dpop.NewProver(generated(t, jose.ES256), c.Now)
	p.Remember(s.URL, http.Header{"Dpop-Nonce": {v.Nonce()}})
	var other http.HandlerFunc = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("DPoP-Nonce", v.Nonce())
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`+strings.Repeat(" ", 40<<10))
	}
	s.Config.Handler = other
	if status, text := do("x", ""); status != 400 || len(text) != 25+40<<10 {
		t.Errorf("%d, %d bytes", status, len(text))
	}
}

// A server that is never content is asked twice; one that has no nonce to give, once.
func TestProverGivesUp(t *testing.T) {
	for nonce, want := range map[string]int{"not one": 1, "one": 2, "": 1} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("DPoP-Nonce", nonce)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
		}))
		p := dpop.NewProver(generated(t, jose.EdDSA), time.Now)
		request, _ := http.NewRequest("POST", s.URL, strings.NewReader("x"))
		response, err := p.Do(http.DefaultClient, request, "")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		s.Close()
		if asked != want || response.StatusCode != 400 || !strings.Contains(string(text), "use_dpop_nonce") {
			t.Errorf("nonce %q: asked %d times, want %d; %q", nonce, asked, want, text)
		}
	}
}

func TestSecretIsNotInTheProof(t *testing.T) {
	key := generated(t, jose.EdDSA)
	secret, err := key.MarshalSecret()
	if err != nil {
		t.Fatal(err)
	}
	var private struct{ D string }
	if err := json.Unmarshal(secret, &private); err != nil {
		t.Fatal(err)
	}
	proof, err := dpop.NewProver(key, time.Now).Proof("POST", target, "")
	if err != nil {
		t.Fatal(err)
	}
	header, _ := base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[0])
	if private.D == "" || strings.Contains(string(header), private.D) || strings.Contains(string(header), `"d"`) {
		t.Errorf("header %s", header)
	}
}

func TestConfig(t *testing.T) {
	good := dpop.Config{Clock: time.Now, Replays: once.NewMemory(1, time.Now)}
	for name, change := range map[string]func(*dpop.Config){
		"no clock":  func(c *dpop.Config) { c.Clock = nil },
		"no store":  func(c *dpop.Config) { c.Replays = nil },
		"no nonces": func(c *dpop.Config) { c.RequireNonce = true },
		"window":    func(c *dpop.Config) { c.Window = time.Hour },
	} {
		cfg := good
		change(&cfg)
		if _, err := dpop.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, size := range []int{0, 16, 33} {
		if _, err := dpop.NewNonces(make([]byte, size), time.Minute, time.Now); err == nil {
			t.Errorf("a nonce key of %d bytes: accepted", size)
		}
	}
}
