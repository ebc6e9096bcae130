package dpop

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

const fuzzURL = "https://a.example/token"

// A proof that counts is by the key in its header, for this request and time; what one key did not sign never counts.
func FuzzProof(f *testing.F) {
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	header := proofHeader{key.Public().Algorithm(), key.Public(), typ}
	claims := proofClaims{ID: "0123456789abcdef", Method: "POST", URL: fuzzURL, IssuedAt: 1_800_000_000}
	good, err := jose.SignHeader(key, header, claims)
	if err != nil {
		f.Fatal(err)
	}
	add := func(header, claims []byte) { f.Add(header, claims, "") }
	headerText, _ := json.Marshal(header)
	claimsText, _ := json.Marshal(claims)
	f.Add([]byte(nil), []byte(nil), good)
	add(headerText, claimsText)
	add([]byte(`{"typ":"dpop+jwt","alg":"none","jwk":{}}`), claimsText)
	add(headerText, []byte(`{"jti":"0123456789abcdef","htm":"POST","htu":"HTTPS://A.example:443/%74oken?x","iat":1.8e9,"nonce":1}`))
	for _, long := range fuzztest.Long(headerText) {
		add(long, claimsText)
	}
	for _, long := range fuzztest.Long(claimsText) {
		add(headerText, long)
	}
	f.Fuzz(func(t *testing.T, header, claims []byte, proof string) {
		signed := json.Valid(header) && json.Valid(claims)
		if signed { // signed by our key, whatever it is
			if proof, err = jose.SignHeader(key, json.RawMessage(header), json.RawMessage(claims)); err != nil {
				t.Fatal(err)
			}
		}
		v, err := New(Config{Clock: now, Replays: once.NewMemory(1, func() time.Time { return now().Add(-time.Hour) })})
		if err == nil {
			_, err = v.Verify(t.Context(), Request{Proofs: []string{proof}, Method: "POST", URL: fuzzURL, Thumbprint: key.Public().KeyID()})
		}
		switch {
		case err != nil:
			if fuzztest.Refused(t, err); !errors.Is(err, ErrProof) {
				t.Errorf("an error of another kind: %v", err)
			}
		case !signed && proof != good:
			t.Errorf("forged: %q", proof)
		default:
			checkCounts(t, proof)
		}
	})
}

// checkCounts reads a proof that counts with another reader.
func checkCounts(t *testing.T, proof string) {
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any // a struct would take HTM for htm
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	at, ok := claims["iat"].(float64)
	if !ok || claims["htm"] != "POST" || at < 1_800_000_000-60 || at >= 1_800_000_000+31 {
		t.Errorf("%s counts", text)
	}
}

// The normal form of a URL is its own normal form, and names the same origin.
func FuzzURL(f *testing.F) {
	for _, text := range []string{
		"https://a.example", "HTTPS://A.example:443/a/../%2e%2E/%7eb/./", "http://[::1]:80//x/%2fy?q#f", "https://a.example:/",
		"https://u@a.example/", "https:a", "https://a.example/%", "https://a.example/ü", strings.Repeat("x", maxURL+1),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		normal, err := normalise(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		again, err := normalise(normal)
		if err != nil || again != normal {
			t.Errorf("%q becomes %q, that %q, %v", text, normal, again, err)
		}
		at, err := origin(text)
		path, ok := strings.CutPrefix(normal, at)
		if err != nil || !ok || !strings.HasPrefix(path, "/") {
			t.Errorf("%q has origin %q, %v", normal, at, err)
		}
		if strings.ContainsAny(path, "?#") || strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
			t.Errorf("%q becomes %q", text, normal)
		}
	})
}

// A nonce counts only if these nonces made it, in time.
func FuzzNonce(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	n, err := NewNonces(make([]byte, 32), time.Minute, func() time.Time { return now })
	if err != nil {
		f.Fatal(err)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	b = append(b, make([]byte, 16)...)
	good := base64.RawURLEncoding.EncodeToString(append(b, n.tag(b)...)) // the one that this test knows
	f.Add(good)
	f.Add(strings.Repeat("A", 54))
	f.Add("")
	f.Fuzz(func(t *testing.T, nonce string) {
		if _, _, err := n.Check(nonce); err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrNonce) {
				t.Errorf("an error of another kind: %v", err)
			}
		} else if nonce != good {
			t.Errorf("%q is a nonce", nonce)
		}
	})
}

// Whatever a server answers, what a prover takes as its nonce can stand in a header.
func FuzzAnswer(f *testing.F) {
	f.Add(400, `{"error":"use_dpop_nonce"}`, "", "abc")
	f.Add(401, ``, `DPoP error="use_dpop_nonce"`, "a b")
	f.Add(401, `{`, `DPoP error="invalid_token"`, strings.Repeat("x", 513))
	key, err := jose.FromSeed(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body, challenge, nonce string) {
		header := http.Header{"Www-Authenticate": {challenge}, "Dpop-Nonce": {nonce}}
		if Challenged(status, header, []byte(body)) && status != 400 && status != 401 {
			t.Errorf("status %d is a challenge", status)
		}
		p := NewProver(key, time.Now)
		if !p.Remember(fuzzURL, header) {
			return
		}
		proof, err := p.Proof("POST", fuzzURL, "")
		if err != nil {
			t.Fatal(err)
		}
		if kept := p.nonce("https://a.example"); kept != nonce || len(nonce) > 512 || len(proof) > MaxProof {
			t.Errorf("nonce %q is kept as %q", nonce, kept)
		}
	})
}
