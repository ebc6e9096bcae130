package verifier_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// response is a good response to the policy "both", to be spoilt.
type response struct {
	w       *world
	token   openid.VPToken
	request *openid.RequestObject
	home    *held
	land    *held
}

func (r *response) residence() *openid.Presentation { return &r.token["residence"][0] }
func (r *response) owned() *openid.Presentation     { return &r.token["land"][0] }

func plusOne(e *credential.Element) {
	x, one := e.Fr(), fr.One()
	x.Add(&x, &one)
	*e = credential.ElementFromFr(x)
}

// Each case spoils one thing of a good response, which the same world accepts if nothing is spoilt.
func TestRefusals(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*response)
		want  check.Code
	}{
		{"nothing", func(*response) {}, "ok"},
		{"a presentation is missing", func(r *response) { delete(r.token, "land") }, check.QueryMismatch},
		{"a presentation too many", func(r *response) { r.token["more"] = r.token["land"] }, check.QueryMismatch},
		{"another query's name", func(r *response) { r.token["other"] = r.token["land"]; delete(r.token, "land") }, check.QueryMismatch},
		{"two presentations for one query", func(r *response) { r.token["land"] = append(r.token["land"], r.token["land"][0]) }, check.QueryMismatch},
		{"no presentation for a query", func(r *response) { r.token["land"] = []openid.Presentation{} }, check.QueryMismatch},
		{"another proof system", func(r *response) { r.owned().System = "other" }, check.QueryMismatch},
		{"answers swapped", func(r *response) { r.token["land"], r.token["residence"] = r.token["residence"], r.token["land"] }, check.DisclosureMismatch},

		{"n is 0", func(r *response) { r.residence().N = credential.Element{} }, check.NumberMalformed},
		{"n has 32 bytes", func(r *response) { r.residence().N = credential.ElementFromFr(minusOne()) }, check.NumberMalformed},
		{"n differs", func(r *response) { plusOne(&r.owned().N) }, check.NumberMismatch},
		{"n changed throughout", func(r *response) { plusOne(&r.owned().N); plusOne(&r.residence().N) }, check.ProofInvalid},
		{"link differs", func(r *response) { plusOne(&r.owned().Link) }, check.LinkMismatch},
		{"link changed throughout", func(r *response) { plusOne(&r.owned().Link); plusOne(&r.residence().Link) }, check.ProofInvalid},
		{"two people's credentials", func(r *response) {
			r.token = r.w.answer(r.request, r.home, r.w.stranger)
		}, check.LinkMismatch},
		{"one credential as two", func(r *response) { r.owned().Item = r.residence().Item }, check.ItemRepeated},
		{"item changed", func(r *response) { plusOne(&r.owned().Item) }, check.ProofInvalid},

		{"an unknown root", func(r *response) { plusOne(&r.owned().Root) }, check.RootUnknown},
		{"root 0", func(r *response) { r.owned().Root = credential.Element{} }, check.RootUnknown},
		{"after the request expired", func(r *response) { r.w.clock.advance(300 * time.Second) }, check.SessionExpired},
		{"another fresh root", func(r *response) {
			r.w.resident(r.w.person())
			r.w.clock.advance(time.Second)
			r.w.seal()
			r.owned().Root = r.w.active.Root()
		}, check.ProofInvalid},

		{"a pseudonym nobody asked for", func(r *response) { plusOne(&r.owned().Pseudonym) }, check.PseudonymMismatch},
		{"a subject tag nobody asked for", func(r *response) { plusOne(&r.owned().SubjectTag) }, check.SubjectTagMismatch},

		{"nothing disclosed", func(r *response) { r.owned().Disclosed = nil }, check.DisclosureMismatch},
		{"another claim disclosed", func(r *response) { r.owned().Disclosed = credential.Claims{"parcel": "91216"} }, check.DisclosureMismatch},
		{"more disclosed", func(r *response) { r.owned().Disclosed["parcel"] = "x" }, check.DisclosureMismatch},
		{"a disclosed number", func(r *response) { r.owned().Disclosed["commune"] = 91216 }, check.DisclosureMismatch},
		{"a disclosed list", func(r *response) { r.owned().Disclosed["commune"] = []string{"91216"} }, check.DisclosureMismatch},
		{"an empty disclosed text", func(r *response) { r.owned().Disclosed["commune"] = "" }, check.DisclosureMismatch},
		{"another disclosed value", func(r *response) { r.owned().Disclosed["commune"] = "91217" }, check.ProofInvalid},
		{"disclosed text not in NFC", func(r *response) { r.owned().Disclosed["commune"] = "e\u0301" }, check.NotCanonical},

		{"no proof", func(r *response) { r.owned().Proof = "" }, check.ProofMalformed},
		{"a proof of 127 bytes", func(r *response) { r.owned().Proof = openid.EncodeBytes(make([]byte, 127)) }, check.ProofMalformed},
		{"a proof with a padded spelling", func(r *response) { r.owned().Proof += "=" }, check.ProofMalformed},
		{"gnark's own 164 bytes", func(r *response) { r.owned().Proof = openid.EncodeBytes(make([]byte, 164)) }, check.ProofMalformed},
		{"a proof of zeros", func(r *response) { r.owned().Proof = openid.EncodeBytes(make([]byte, 128)) }, check.ProofMalformed},
		{"a proof of points at infinity", func(r *response) { r.owned().Proof = openid.EncodeBytes(infinities()) }, check.ProofMalformed},
		{"a tampered proof", func(r *response) { r.owned().Proof = tamper(r.owned().Proof) }, check.ProofInvalid},
		{"the other proof", func(r *response) { r.owned().Proof = r.residence().Proof }, check.ProofInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, id, started := goodResponse(t)
			c.spoil(r)
			if got := codeOf(r.w.respond(id, r.request, r.token)); got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
			status := r.w.status(started)
			if c.want == "ok" {
				return
			}
			if status.Result != "" || status.State == verifier.Verified {
				t.Errorf("there is a result of a refused response: %+v", status)
			}
			if c.want != check.SessionExpired && (status.State != verifier.Rejected || status.Reason.Code != c.want || status.Final) {
				t.Errorf("status %+v", status)
			}
		})
	}
}

func goodResponse(t *testing.T) (r *response, requestID, session string) {
	t.Helper()
	w := newWorld(t)
	me := w.person()
	r = &response{w: w, home: w.resident(me), land: w.owner(me, "91216-A-17")}
	w.stranger = w.owner(w.person(), "91216-B-2")
	w.seal()
	started, request, id := w.begin("both")
	r.request, r.token = request, w.answer(request, r.home, r.land)
	return r, id, started.ID
}

func minusOne() fr.Element {
	x := fr.One()
	x.Neg(&x)
	return x
}

func infinities() []byte {
	proof := make([]byte, 128)
	proof[0], proof[32], proof[96] = 0x40, 0x40, 0x40
	return proof
}

// tamper negates the first point, by the bit that says which of two y it has: a valid point, another proof.
func tamper(proof string) string {
	b, err := base64.RawURLEncoding.DecodeString(proof)
	if err != nil {
		panic(err)
	}
	b[0] ^= 0x40
	return openid.EncodeBytes(b)
}

// Every member of a presentation: left out, null, doubled, plus the modulus, of another type, and an unknown one.
func TestMembersOfPresentation(t *testing.T) {
	r, id, _ := goodResponse(t)
	good := encode(t, r.token)
	post := func(text []byte) check.Code {
		// Straight to the checker: the session would run out of attempts.
		_, err := r.w.check(r.request, text)
		return codeOf(err)
	}
	if got := post(good); got != "ok" {
		t.Fatal(got)
	}
	change := func(f func(p map[string]any)) []byte {
		var token map[string][]map[string]any
		if err := json.Unmarshal(good, &token); err != nil {
			t.Fatal(err)
		}
		f(token["land"][0])
		text, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var token map[string][]map[string]any
	if err := json.Unmarshal(good, &token); err != nil {
		t.Fatal(err)
	}
	members := []string{}
	for name := range token["land"][0] {
		members = append(members, name)
	}
	slices.Sort(members)
	if want := []string{"disclosed", "item", "link", "n", "proof", "pseudonym", "root", "subject_tag", "zk_system"}; !slices.Equal(members, want) {
		t.Fatalf("members are %v, want %v", members, want)
	}
	refused := func(name string, text []byte, want ...check.Code) {
		t.Helper()
		if got := post(text); !slices.Contains(want, got) {
			t.Errorf("%s: %s, want one of %v", name, got, want)
		}
	}
	for _, name := range members {
		refused(name+" left out", change(func(p map[string]any) { delete(p, name) }), check.Malformed, check.DisclosureMismatch)
		refused(name+" null", change(func(p map[string]any) { p[name] = nil }), check.Malformed, check.NotCanonical)
		refused(name+" a number", change(func(p map[string]any) { p[name] = 1 }), check.Malformed)
		refused(name+" in capitals", change(func(p map[string]any) { p[strings.ToUpper(name)] = p[name] }), check.Malformed)
		element, ok := token["land"][0][name].(string)
		if raw, err := base64.RawURLEncoding.DecodeString(element); ok && err == nil && len(raw) == 32 {
			sum := new(big.Int).Add(new(big.Int).SetBytes(raw), fr.Modulus())
			refused(name+" plus the modulus", change(func(p map[string]any) { p[name] = openid.EncodeBytes(sum.FillBytes(make([]byte, 32))) }), check.NotCanonical)
			refused(name+" padded", change(func(p map[string]any) { p[name] = element + "=" }), check.NotCanonical)
			refused(name+" with a line break", change(func(p map[string]any) { p[name] = element + "\n" }), check.NotCanonical)
			refused(name+" with 31 bytes", change(func(p map[string]any) { p[name] = openid.EncodeBytes(raw[1:]) }), check.NotCanonical)
		}
	}
	refused("an unknown member", change(func(p map[string]any) { p["path"] = "x" }), check.Malformed)
	refused("an empty list of disclosed values", []byte(strings.Replace(string(good), `"subject_tag"`, `"disclosed":{},"subject_tag"`, 1)), check.Malformed, check.NotCanonical)
	refused("a doubled member", []byte(strings.Replace(string(good), `"item":`, `"item":"x","item":`, 1)), check.Malformed)
	refused("trailing data", append(slices.Clone(good), "{}"...), check.Malformed)
	refused("cut off", good[:len(good)-1], check.Malformed)
	refused("nothing", nil, check.Malformed)
	refused("null", []byte("null"), check.Malformed, check.NotCanonical)
	refused("a list", []byte("[]"), check.Malformed)
	refused("invalid UTF-8", append(slices.Clone(good[:len(good)-1]), 0xff, '}'), check.NotCanonical)
	refused("too much white space", append(slices.Clone(good), strings.Repeat(" ", openid.MaxResponse)...), check.Malformed)
	if got := post([]byte(" " + string(good) + "\n")); got != "ok" {
		t.Errorf("white space around: %s", got)
	}
	_ = id
}

// Any two public values that travel in a presentation may not stand for each other.
func TestSwappedValues(t *testing.T) {
	r, _, _ := goodResponse(t)
	text := encode(t, r.token)
	names := []string{"root", "n", "link", "item", "pseudonym", "subject_tag"}
	for i, a := range names {
		for _, b := range names[i+1:] {
			var token map[string][]map[string]any
			if err := json.Unmarshal(text, &token); err != nil {
				t.Fatal(err)
			}
			p := token["land"][0]
			if p[a] == p[b] {
				continue // both 0
			}
			p[a], p[b] = p[b], p[a]
			swapped, err := json.Marshal(token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.w.check(r.request, swapped); err == nil || codeOf(err) == check.Unavailable {
				t.Errorf("%s and %s swapped: %v", a, b, err)
			}
		}
	}
}

// A response answers one request: every member that the challenge covers is changed alone.
func TestBoundToRequest(t *testing.T) {
	r, _, _ := goodResponse(t)
	text := encode(t, r.token)
	changes := map[string]func(*openid.RequestObject){
		"nothing":           func(*openid.RequestObject) {},
		"client":            func(o *openid.RequestObject) { o.ClientID += "x" },
		"nonce":             func(o *openid.RequestObject) { o.Nonce += "x" },
		"response URI":      func(o *openid.RequestObject) { o.ResponseURI += "x" },
		"issued at":         func(o *openid.RequestObject) { o.IssuedAt++ },
		"expiry":            func(o *openid.RequestObject) { o.ExpiresAt++ },
		"statement's time":  func(o *openid.RequestObject) { o.Query.Credentials[0].Meta.Statement.Now++ },
		"statement's bound": func(o *openid.RequestObject) { o.Query.Credentials[1].Meta.Statement.Clauses[0].AtLeast = "400" },
		"type":              func(o *openid.RequestObject) { o.Query.Credentials[0].Meta.TypeValues[0] += "x" },
		"system":            func(o *openid.RequestObject) { o.Query.Credentials[0].Meta.Systems[0].System += "x" },
		"circuit digest":    func(o *openid.RequestObject) { o.Query.Credentials[0].Meta.Systems[0].CircuitDigest[0]++ },
		"scope": func(o *openid.RequestObject) {
			o.Query.Credentials[0].Meta.Statement.Scope = &policy.Scope{Service: "x"}
		},
		"freshness": func(o *openid.RequestObject) { o.Query.Credentials[1].Meta.Statement.FreshnessSeconds++ },
	}
	for name, change := range changes {
		var other openid.RequestObject
		copied, err := json.Marshal(r.request)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(copied, &other); err != nil {
			t.Fatal(err)
		}
		change(&other)
		_, err = r.w.check(&other, text)
		switch got := codeOf(err); {
		case name == "nothing" && got != "ok":
			t.Errorf("unchanged: %s", got)
		case name == "scope" && got != check.PseudonymMismatch:
			t.Errorf("scope: %s", got)
		case name == "freshness": // refused as no request of the policy's
			if err == nil {
				t.Error("freshness: accepted")
			}
		case name != "nothing" && name != "scope" && got != check.ProofInvalid:
			t.Errorf("%s changed: %s, want %s", name, got, check.ProofInvalid)
		}
	}
	asked, err := check.NewAsked(credential.DigestOf([]byte("another chain")), r.request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.w.checker().Verify(t.Context(), asked, text); codeOf(err) != check.ProofInvalid {
		t.Errorf("another chain: %v", err)
	}
}

// What the chain says changes between proof and response.
func TestChainMoves(t *testing.T) {
	cases := []struct {
		name string
		move func(*world)
		want check.Code
	}{
		{"another seal with the same root", func(w *world) {}, "ok"},
		{"the issuer is suspended", func(w *world) { w.ledger.registry.Issuers[1].Suspended = true }, check.ProofInvalid},
		{"all issuers are suspended", func(w *world) {
			w.ledger.registry.Issuers[0].Suspended, w.ledger.registry.Issuers[1].Suspended = true, true
		}, check.IssuerSet},
		{"the schema is taken from the issuers", func(w *world) { w.ledger.registry.Schemas[0].Issuers = []string{registry} }, check.IssuerSet},
		{"the verifying key ends", func(w *world) {
			w.ledger.registry.VerifyingKeys[0].NotAfter = credential.UnixTimeOf(w.clock.Now())
		}, check.KeyNotListed},
		{"another verifying key is listed", func(w *world) { w.ledger.registry.VerifyingKeys[0].KeyDigest[0]++ }, check.KeyNotListed},
		{"the key is listed for another circuit", func(w *world) { w.ledger.registry.VerifyingKeys[0].CircuitDigest[0]++ }, check.KeyNotListed},
		{"the chain is no dev chain", func(w *world) { w.ledger.genesis.Dev = false }, check.KeyNotListed},
		{"the root grows old", func(w *world) {
			w.resident(w.person())
			w.clock.advance(200 * time.Second)
			w.seal()
			w.ledger.seals[0].Time = w.ledger.seals[0].Time.Add(-time.Hour)
			w.ledger.seals[1].Time = w.ledger.seals[1].Time.Add(-time.Hour)
		}, check.RootTooOld},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			home := w.resident(w.person())
			w.seal()
			_, request, id := w.begin("residence")
			token := w.answer(request, home)
			w.clock.advance(2 * time.Second)
			c.move(w)
			w.seal()
			if got := codeOf(w.respond(id, request, token)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Who cannot answer honestly answers an easier question: the proof is of that one.
func TestEasierStatement(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.issue(w.person(), civil, residence, credential.Claims{"district": "110101", "since": "2020-05-01"})
	w.seal()
	_, request, id := w.begin("residence")
	easier := *request
	easier.Query.Credentials = slices.Clone(request.Query.Credentials)
	clauses := slices.Clone(request.Query.Credentials[0].Meta.Statement.Clauses)
	clauses[0].In = []string{"110101"}
	easier.Query.Credentials[0].Meta.Statement.Clauses = clauses
	if got := codeOf(w.respond(id, request, w.answer(&easier, elsewhere))); got != check.ProofInvalid {
		t.Errorf("got %s", got)
	}
}

// That we could not check is no refusal, and changes nothing.
func TestLedgerSilent(t *testing.T) {
	w := newWorld(t)
	home := w.resident(w.person())
	w.seal()
	started, request, id := w.begin("residence")
	token := w.answer(request, home)
	w.ledger.fail(errors.New("connection refused"))
	var refusal *check.Refusal
	if err := w.respond(id, request, token); err == nil || errors.As(err, &refusal) {
		t.Fatalf("ledger silent: %v", err)
	}
	if state := w.status(started.ID).State; state != verifier.Fetched {
		t.Errorf("state %s", state)
	}
	w.ledger.fail(nil)
	if err := w.respond(id, request, token); err != nil {
		t.Error(err)
	}
}

// The checker looks at the age of a root itself, whatever the chain's answer.
func TestAgeIsOurs(t *testing.T) {
	r, _, _ := goodResponse(t)
	text := encode(t, r.token)
	for age, want := range map[time.Duration]check.Code{600 * time.Second: "ok", 601 * time.Second: check.RootTooOld} {
		last := len(r.w.ledger.seals) - 1
		r.w.ledger.seals[last].Time = r.w.clock.Now().Add(-age)
		if _, err := r.w.check(r.request, text); codeOf(err) != want {
			t.Errorf("root of %s: %v, want %s", age, err, want)
		}
	}
}

// check runs the pure check, as somebody would who has request, response and chain.
func (w *world) check(request *openid.RequestObject, response []byte) ([]check.Fact, error) {
	w.t.Helper()
	asked, err := check.NewAsked(w.ledger.hash, request)
	if err != nil {
		return nil, err
	}
	return w.checker().Verify(w.t.Context(), asked, response)
}

func (w *world) checker() *check.Checker {
	return &check.Checker{Chain: plainChain{w}, Keys: w.keys(), Clock: w.clock.Now}
}

// plainChain is a chain for who has no ledger client: the seals at hand.
type plainChain struct{ w *world }

func (c plainChain) VerifyingKeys(ctx context.Context) ([]entry.VerifyingKey, error) {
	view, err := c.w.ledger.Update(ctx)
	if err != nil {
		return nil, err
	}
	return view.Registry.VerifyingKeys, nil
}

func (c plainChain) FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (check.Sealed, error) {
	at, err := c.w.ledger.FindRoot(ctx, root, 10*freshness)
	if err != nil {
		return check.Sealed{}, check.Refuse(check.RootUnknown, "", err)
	}
	r, err := c.w.ledger.RegistryAt(ctx, at.Seal)
	return check.Sealed{Height: at.Seal.Height, Time: at.Time, Registry: r}, err
}
