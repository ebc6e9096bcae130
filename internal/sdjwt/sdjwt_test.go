package sdjwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
)

const (
	landType = "https://land.example/types/title/1"
	issuer   = "did:web:land.example"
	bank     = "x509_hash:bank"
	nonce    = "n-0S6_WzA2Mj0S6_WzA2Mj"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, alg jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// scene is an issuer and a holder.
type scene struct{ issuer, holder *jose.SigningKey }

func newScene(t testing.TB) scene {
	return scene{newKey(t, jose.EdDSA), newKey(t, jose.EdDSA)}
}

func (s scene) issuance() Issuance {
	holder := s.holder.Public()
	return Issuance{
		Credential: Credential{
			Type: landType, Issuer: issuer, IssuedAt: credential.UnixTimeOf(now.Add(-time.Hour)), NotBefore: credential.UnixTimeOf(now),
			ExpiresAt: credential.UnixTimeOf(now.Add(24 * time.Hour)), HolderKey: &holder,
			Status: &statuslist.Reference{Index: 7, URI: "https://land.example/status/1"},
			Claims: Claims{
				"district": "110101", "area": 523, "owner": "张三", "joint": false,
				"address": map[string]any{"street": "Long Street 1", "city": "Beijing", "flat": nil},
				"uses":    []any{"living", "trade"},
			},
		},
		Disclosable: []Path{{"area"}, {"owner"}, {"joint"}, {"address"}, {"address", "street"}, {"address", "flat"}},
		Decoys:      2,
	}
}

func (s scene) issue(t testing.TB) *SDJWT {
	t.Helper()
	text, err := s.issuance().Issue(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(text)
	if err != nil || parsed.String() != text {
		t.Fatalf("%v, written again as %s", err, parsed)
	}
	return parsed
}

func (s scene) expected() Expected {
	return Expected{
		Types: []string{landType}, Now: now, Binding: &Challenge{Audience: bank, Nonce: nonce},
		Keys: func(by, keyID string) (jose.PublicKey, error) {
			if by != issuer {
				return jose.PublicKey{}, fmt.Errorf("issuer %q is not trusted", by)
			}
			return jose.Keys(s.issuer.Public())(keyID)
		},
	}
}

func (s scene) binding() Binding {
	return Binding{Key: s.holder, Audience: bank, Nonce: nonce, Now: now}
}

func TestIssuePresentVerify(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		s := scene{newKey(t, alg), newKey(t, alg)}
		held := s.issue(t)
		always := Claims{"district": "110101", "uses": []any{"living", "trade"}}
		for _, c := range []struct {
			name  string
			paths []Path
			want  Claims
		}{
			{"nothing", nil, Claims{}},
			{"what is open anyway", []Path{{"district"}}, Claims{}},
			{"one claim", []Path{{"area"}}, Claims{"area": json.Number("523")}},
			{"two, in another order", []Path{{"owner"}, {"area"}}, Claims{"owner": "张三", "area": json.Number("523")}},
			{"false is a value", []Path{{"joint"}}, Claims{"joint": false}},
			{"an object", []Path{{"address"}}, Claims{"address": map[string]any{"city": "Beijing"}}},
			{"a part of it", []Path{{"address", "street"}}, Claims{"address": map[string]any{"city": "Beijing", "street": "Long Street 1"}}},
			{"null is a value", []Path{{"address", "flat"}}, Claims{"address": map[string]any{"city": "Beijing", "flat": nil}}},
		} {
			text, err := held.Present(s.binding(), c.paths...)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := Verify(text, s.expected())
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			want := maps.Clone(always)
			maps.Copy(want, c.want)
			if !reflect.DeepEqual(got.Claims, want) {
				t.Errorf("%s: %v, want %v", c.name, got.Claims, want)
			}
			asIssued := s.issuance().Credential
			asIssued.Claims, got.Claims = nil, nil
			if !reflect.DeepEqual(*got, asIssued) {
				t.Errorf("%s: %+v, want %+v", c.name, *got, asIssued)
			}
		}
	}
}

// The holder checks what it gets, without a key binding.
func TestHolderVerifies(t *testing.T) {
	s := newScene(t)
	held := s.issue(t)
	want := s.expected()
	want.Binding = nil
	c, err := Verify(held.String(), want)
	if err != nil || len(c.Claims) != 6 {
		t.Errorf("%v, %v", c, err)
	}
	var paths []string
	for _, p := range held.Disclosable() {
		paths = append(paths, strings.Join(p, "/"))
	}
	slices.Sort(paths)
	if got := strings.Join(paths, " "); got != "address address/flat address/street area joint owner" {
		t.Errorf("disclosable: %s", got)
	}
}

// Nothing of a hidden claim, not even its name, is in the issuer's JWT; salts are never the same; decoys are there.
func TestHidden(t *testing.T) {
	s := newScene(t)
	salts := map[string]bool{}
	for range 3 {
		held := s.issue(t)
		_, payload, err := jose.PeekCompact(held.token)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"area", "523", "owner", "张三", "joint", "Long Street", "Beijing", "address"} {
			if bytes.Contains(payload, []byte(text)) {
				t.Errorf("%s is in the payload %s", text, payload)
			}
		}
		var object struct {
			Digests   []string `json:"_sd"`
			Algorithm string   `json:"_sd_alg"`
		}
		if err := json.Unmarshal(payload, &object); err != nil {
			t.Fatal(err)
		}
		if len(object.Digests) != 4+2 || !slices.IsSorted(object.Digests) || object.Algorithm != "sha-256" {
			t.Errorf("%+v", object)
		}
		for _, d := range held.disclosures {
			content, err := base64.RawURLEncoding.DecodeString(d.text)
			if err != nil {
				t.Fatal(err)
			}
			var parts []any
			if err := json.Unmarshal(content, &parts); err != nil {
				t.Fatal(err)
			}
			salt := parts[0].(string)
			if raw, err := base64.RawURLEncoding.DecodeString(salt); err != nil || len(raw) != 16 || salts[salt] {
				t.Errorf("salt %q, seen before: %v", salt, salts[salt])
			}
			salts[salt] = true
		}
	}
}

func TestIssueRefused(t *testing.T) {
	s := newScene(t)
	for name, change := range map[string]func(*Issuance){
		"no type":              func(i *Issuance) { i.Credential.Type = "" },
		"no issuer":            func(i *Issuance) { i.Credential.Issuer = "" },
		"a claim called iss":   func(i *Issuance) { i.Credential.Claims["iss"] = "x" },
		"a claim called aud":   func(i *Issuance) { i.Credential.Claims["aud"] = bank },
		"a claim called iat":   func(i *Issuance) { i.Credential.Claims["iat"] = 1 },
		"a claim called _sd":   func(i *Issuance) { i.Credential.Claims["_sd"] = []string{} },
		"a claim called ...":   func(i *Issuance) { i.Credential.Claims["address"].(map[string]any)["..."] = "x" },
		"a claim _sd_alg":      func(i *Issuance) { i.Credential.Claims["_sd_alg"] = "sha-256" },
		"reserved in a list":   func(i *Issuance) { i.Credential.Claims["uses"] = []any{map[string]any{"_sd": 1}} },
		"no such claim":        func(i *Issuance) { i.Disclosable = append(i.Disclosable, Path{"aera"}) },
		"no such part":         func(i *Issuance) { i.Disclosable = append(i.Disclosable, Path{"address", "x"}) },
		"an element of a list": func(i *Issuance) { i.Disclosable = append(i.Disclosable, Path{"uses", "0"}) },
		"vct to be disclosed":  func(i *Issuance) { i.Disclosable = append(i.Disclosable, Path{"vct"}) },
		"a number too large":   func(i *Issuance) { i.Credential.Claims["area"] = 1 << 60 },
		"text not in NFC":      func(i *Issuance) { i.Credential.Claims["owner"] = "e\u0301" },
		"not JSON":             func(i *Issuance) { i.Credential.Claims["owner"] = func() {} },
		"a bad holder key":     func(i *Issuance) { i.Credential.HolderKey = &jose.PublicKey{Type: "OKP"} },
		"a bad status":         func(i *Issuance) { i.Credential.Status = &statuslist.Reference{URI: "x"} },
		"an index too large":   func(i *Issuance) { i.Credential.Status.Index = 1 << 60 },
		"a negative time":      func(i *Issuance) { i.Credential.IssuedAt = -1 },
		"too many decoys":      func(i *Issuance) { i.Decoys = maxDigests },
		"no randomness":        func(i *Issuance) { i.Random = strings.NewReader("short") },
		"too large": func(i *Issuance) {
			i.Credential.Claims["owner"] = strings.Repeat("x", MaxSize)
		},
		"too deep": func(i *Issuance) {
			var v any = "x"
			for range maxDepth + 1 {
				v = []any{v}
			}
			i.Credential.Claims["uses"] = v
		},
	} {
		i := s.issuance()
		change(&i)
		if _, err := i.Issue(s.issuer); err == nil {
			t.Errorf("%s: issued", name)
		} else if strings.Contains(err.Error(), "张三") || strings.Contains(err.Error(), "Long Street") {
			t.Errorf("%s: the error quotes a claim: %v", name, err)
		}
	}
}

func TestPresentRefused(t *testing.T) {
	s := newScene(t)
	held := s.issue(t)
	stranger, nobody, never := s.binding(), s.binding(), s.binding()
	stranger.Key, nobody.Audience, never.Nonce = newKey(t, jose.EdDSA), "", ""
	for name, b := range map[string]Binding{"a stranger's key": stranger, "no audience": nobody, "no nonce": never} {
		if _, err := held.Present(b); !errors.Is(err, ErrBinding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, p := range []Path{{"aera"}, {}, {"address", "x"}, {"area", "x"}, {"uses", "2"}} {
		if _, err := held.Present(s.binding(), p); !errors.Is(err, ErrDisclosure) {
			t.Errorf("%q: %v", p, err)
		}
	}
	i := s.issuance()
	i.Credential.HolderKey = nil
	text, err := i.Issue(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	if bearer, err := Parse(text); err != nil {
		t.Error(err)
	} else if _, err := bearer.Present(s.binding()); !errors.Is(err, ErrBinding) {
		t.Errorf("a credential bound to no key: %v", err)
	}
}

// A credential without anything to choose has neither digests nor an algorithm for them.
func TestAllOpen(t *testing.T) {
	s := newScene(t)
	i := s.issuance()
	i.Disclosable = nil
	text, err := i.Issue(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	held, err := Parse(text)
	if err != nil || len(held.disclosures) != 0 || strings.Count(text, "~") != 1 {
		t.Fatalf("%s, %v", text, err)
	}
	if _, payload, _ := jose.PeekCompact(held.token); bytes.Contains(payload, []byte("_sd")) {
		t.Errorf("payload %s", payload)
	}
}

func TestNothingIsLogged(t *testing.T) {
	s := newScene(t)
	held := s.issue(t)
	c := s.issuance().Credential
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "held", held, "credential", &c, "claims", c.Claims)
	for _, secret := range []string{"张三", "owner", "status/1", held.disclosures[0].text, s.holder.Public().X} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, &out)
		}
	}
}
