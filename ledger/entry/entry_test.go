package entry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

const agency = "did:web:land.example"

func seeded(t testing.TB, name string) *jose.SigningKey {
	t.Helper()
	d := credential.DigestOf([]byte(name))
	key, err := jose.FromSeed(d[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sample(t testing.TB, keys ...*jose.SigningKey) *entry.Entry {
	t.Helper()
	e, err := entry.Sign(entry.Draft{
		Genesis: credential.DigestOf([]byte("chain")), Signer: agency, Sequence: 3,
		Payload: entry.CredentialsRevoked{Leaves: []uint64{1, 5}},
	}, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSignParseVerify(t *testing.T) {
	hardware, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	keys := []*jose.SigningKey{seeded(t, "one"), hardware, seeded(t, "two")}
	e := sample(t, keys...)
	again, err := entry.Parse(e.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != e.Digest() || !bytes.Equal(again.Bytes(), e.Bytes()) || len(again.Signatures) != 3 {
		t.Error("parsing changed the entry")
	}
	if h := again.Header(); h.Kind != entry.KindCredentialsRevoked || h.Signer != agency || h.Sequence != 3 {
		t.Errorf("header %+v", h)
	}
	p, err := again.ParsePayload()
	if revoked, ok := p.(entry.CredentialsRevoked); err != nil || !ok || len(revoked.Leaves) != 2 {
		t.Errorf("payload %+v, %v", p, err)
	}
	for i, s := range again.Signatures {
		for _, key := range keys {
			err := again.Verify(i, key.Public())
			if mine := key.Public().KeyID() == s.Header.KeyID; (err == nil) != mine {
				t.Errorf("signature %d under key %s: %v", i, key, err)
			}
		}
	}
}

// Ed25519 entries are deterministic, so their bytes can be fixed.
func TestGoldenEntry(t *testing.T) {
	const want = "CVTSrM1FcgCurMo7Ka6dlu7H2m2RkGdQE1uh4ImXUj0"
	if got := sample(t, seeded(t, "one")).Digest().String(); got != want {
		t.Errorf("digest %s, want %s: the format changed", got, want)
	}
}

// wire takes an entry apart, lets a test change it, and puts it together in canonical form.
type wire struct {
	Payload    string `json:"payload"`
	Signatures []struct {
		Protected string `json:"protected"`
		Signature string `json:"signature"`
	} `json:"signatures"`
}

func (w *wire) header(t *testing.T, i int, change func(map[string]any)) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(w.Signatures[i].Protected)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	change(h)
	if text, err = credential.Canonical(h); err != nil {
		t.Fatal(err)
	}
	w.Signatures[i].Protected = base64.RawURLEncoding.EncodeToString(text)
}

func TestParseRefuses(t *testing.T) {
	set := func(name string, value any) func(*testing.T, *wire) {
		return func(t *testing.T, w *wire) { w.header(t, 0, func(h map[string]any) { h[name] = value }) }
	}
	// spell changes the text of a header, which then need not be canonical.
	spell := func(old, new string) func(*testing.T, *wire) {
		return func(t *testing.T, w *wire) {
			text, err := base64.RawURLEncoding.DecodeString(w.Signatures[0].Protected)
			if err != nil || !strings.Contains(string(text), old) {
				t.Fatalf("header %s: %v", text, err)
			}
			w.Signatures[0].Protected = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), old, new, 1)))
			w.Signatures = w.Signatures[:1]
		}
	}
	tests := map[string]func(*testing.T, *wire){
		"no signature":               func(_ *testing.T, w *wire) { w.Signatures = w.Signatures[:0] },
		"a key twice":                func(_ *testing.T, w *wire) { w.Signatures[1] = w.Signatures[0] },
		"keys descending":            func(_ *testing.T, w *wire) { w.Signatures[0], w.Signatures[1] = w.Signatures[1], w.Signatures[0] },
		"a short signature":          func(_ *testing.T, w *wire) { w.Signatures[0].Signature = "AAAA" },
		"padded base64":              func(_ *testing.T, w *wire) { w.Payload += "=" },
		"payload not base64":         func(_ *testing.T, w *wire) { w.Payload = "!!" },
		"another typ":                set("typ", "JWT"),
		"an empty signer":            set("signer", ""),
		"a signer with a space":      set("signer", "did:web:a b"),
		"a sequence of 2^53":         spell(`"seq":3`, `"seq":9007199254740992`),
		"a sequence as 3.0":          spell(`"seq":3`, `"seq":3.0`),
		"a negative sequence":        set("seq", -1),
		"a fraction":                 set("seq", 1.5),
		"jwk in the header":          set("jwk", map[string]any{"kty": "OKP"}),
		"jku in the header":          set("jku", "https://evil.example"),
		"x5c in the header":          set("x5c", []string{"AAAA"}),
		"crit in the header":         set("crit", []string{"b64"}),
		"signatures that disagree":   set("seq", 4),
		"a short genesis":            set("genesis", "AAAA"),
		"a null":                     set("kid", nil),
		"different kinds":            set("kind", "seal"),
		"a header that is not JSON":  func(_ *testing.T, w *wire) { w.Signatures[0].Protected = "AAAA" },
		"a non-minimal base64 digit": func(_ *testing.T, w *wire) { w.Signatures[0].Signature = w.Signatures[0].Signature[:85] + "B" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			var w wire
			if err := json.Unmarshal(sample(t, seeded(t, "one"), seeded(t, "two")).Bytes(), &w); err != nil {
				t.Fatal(err)
			}
			change(t, &w)
			raw, err := credential.Canonical(w)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := entry.Parse(raw); !errors.Is(err, entry.ErrMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
	good := string(sample(t, seeded(t, "one")).Bytes())
	for name, raw := range map[string]string{
		"white space":       good + "\n",
		"a member more":     strings.Replace(good, `{"payload"`, `{"header":{},"payload"`, 1),
		"a duplicate":       strings.Replace(good, `{"payload"`, `{"payload":"","payload"`, 1),
		"upper-case member": strings.Replace(good, `"payload"`, `"Payload"`, 1),
		"empty":             "",
		"an array":          "[]",
		"too large":         good + strings.Repeat(" ", entry.MaxSize),
	} {
		if _, err := entry.Parse([]byte(raw)); !errors.Is(err, entry.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every algorithm name but the key's is refused, none and HS256 with the public key among them.
func TestAlgorithmIsTheKeys(t *testing.T) {
	key := seeded(t, "one")
	for _, alg := range []string{"none", "HS256", "RS256", "PS256", "ES256", "ES256K", "ES384", "ES512", "Ed25519", "eddsa", ""} {
		var w wire
		if err := json.Unmarshal(sample(t, key).Bytes(), &w); err != nil {
			t.Fatal(err)
		}
		w.header(t, 0, func(h map[string]any) { h["alg"] = alg })
		raw, err := credential.Canonical(w)
		if err != nil {
			t.Fatal(err)
		}
		e, err := entry.Parse(raw)
		if err != nil {
			continue
		}
		if err := e.Verify(0, key.Public()); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("alg %q: %v", alg, err)
		}
	}
}

func TestPayloadsRefused(t *testing.T) {
	key := seeded(t, "one").Public()
	did, name := agency, credential.Text{English: "Land"}
	many := make([]uint64, entry.MaxBatch+1)
	for i := range many {
		many[i] = uint64(i)
	}
	genesis := entry.Genesis{
		Version: 1, Network: "test", Dev: true, Suite: entry.Suite, Origin: "ledger.example", LogKey: "ledger.example+00000000+AQAA",
		OperatorKey: key, GovernanceKeys: []jose.PublicKey{key}, GovernanceThreshold: 1, SealIntervalSeconds: 1, SealMaximumSeconds: 600,
		VerifyingKeys: []entry.VerifyingKey{}, Time: 1,
	}
	if err := genesis.Validate(); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*entry.Genesis)) entry.Genesis {
		g := genesis
		change(&g)
		return g
	}
	tests := map[string]entry.Payload{
		"leaves descending":       entry.CredentialsRevoked{Leaves: []uint64{2, 1}},
		"a leaf twice":            entry.CredentialsSuspended{Leaves: []uint64{2, 2}},
		"no leaves":               entry.CredentialsReinstated{Leaves: []uint64{}},
		"too many leaves":         entry.CredentialsRevoked{Leaves: many},
		"no audit records":        entry.AuditAnchored{Head: credential.DigestOf(nil)},
		"no audit head":           entry.AuditAnchored{Records: 1},
		"a leaf beyond 2^53":      entry.CredentialsRevoked{Leaves: []uint64{1 << 53}},
		"no commitments":          entry.CredentialsIssued{Commitments: []credential.Element{}},
		"the commitment 0":        entry.CredentialsIssued{Commitments: []credential.Element{{}}},
		"a DID that is none":      entry.IssuerRegistered{DID: "land", Name: name, Keys: []jose.PublicKey{key}, URL: "https://land.example"},
		"no keys":                 entry.IssuerRegistered{DID: did, Name: name, URL: "https://land.example"},
		"a key twice":             entry.IssuerRegistered{DID: did, Name: name, Keys: []jose.PublicKey{key, key}, URL: "https://land.example"},
		"no name":                 entry.IssuerRegistered{DID: did, Keys: []jose.PublicKey{key}, URL: "https://land.example"},
		"a URL that is none":      entry.IssuerRegistered{DID: did, Name: name, Keys: []jose.PublicKey{key}, URL: "land"},
		"a URL with a user":       entry.IssuerRegistered{DID: did, Name: name, Keys: []jose.PublicKey{key}, URL: "https://a@land.example"},
		"a huge quota":            entry.IssuerRotated{DID: did, Keys: []jose.PublicKey{key}, Quota: 1 << 53},
		"no reason":               entry.IssuerSuspended{DID: did},
		"a set without digest":    entry.SetRegistered{Kind: "values", Name: name, Parts: 1, Members: []string{"a"}},
		"a set of no parts":       entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Members: []string{"a"}},
		"a set of 17 parts":       entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Parts: 17, Members: []string{"a"}},
		"part 1 of 1":             entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Part: 1, Parts: 1, Members: []string{"a"}},
		"part -1":                 entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Part: -1, Parts: 1, Members: []string{"a"}},
		"a part without members":  entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Parts: 1},
		"a part of 4,097 members": entry.SetRegistered{Set: credential.DigestOf(nil), Kind: "values", Name: name, Parts: 1, Members: make([]string, 4097)},
		"consumer not a verifier": entry.ScopeRegistered{Service: "s", Consumer: did, Verifiers: []string{"did:web:a"}},
		"DIDs descending":         entry.ScopeRegistered{Service: "s", Consumer: "did:web:a", Verifiers: []string{"did:web:b", "did:web:a"}},
		"a response URI that is no prefix": entry.VerifierRegistered{DID: did, Name: name, Keys: []jose.PublicKey{key},
			ResponseURIs: []string{"https://a.example"}},
		"version 2":                with(func(g *entry.Genesis) { g.Version = 2 }),
		"another suite":            with(func(g *entry.Genesis) { g.Suite = "bls12-381" }),
		"threshold above the keys": with(func(g *entry.Genesis) { g.GovernanceThreshold = 2 }),
		"threshold 0":              with(func(g *entry.Genesis) { g.GovernanceThreshold = 0 }),
		"seals too rare":           with(func(g *entry.Genesis) { g.SealMaximumSeconds = 601 }),
		"no grid outside dev":      with(func(g *entry.Genesis) { g.Dev = false }),
		"log key of another":       with(func(g *entry.Genesis) { g.LogKey = "other+00000000+AQAA" }),
		"no time":                  with(func(g *entry.Genesis) { g.Time = 0 }),
		"a seal without time":      entry.Seal{},
	}
	for name, p := range tests {
		if err := p.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	var w wire
	if err := json.Unmarshal(sample(t, seeded(t, "one")).Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	w.header(t, 0, func(h map[string]any) { h["kind"] = "lottery" })
	raw, err := credential.Canonical(w)
	if err != nil {
		t.Fatal(err)
	}
	e, err := entry.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ParsePayload(); !errors.Is(err, entry.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// A largest batch must fit into an entry.
func TestLargestBatchFits(t *testing.T) {
	commitments := make([]credential.Element, entry.MaxBatch)
	for i := range commitments {
		commitments[i] = credential.RandomElement()
	}
	key := seeded(t, "one")
	e, err := entry.Sign(entry.Draft{Signer: agency, Payload: entry.CredentialsIssued{Schema: credential.RandomElement(), Commitments: commitments}}, key)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(e.Bytes()); n > entry.MaxSize {
		t.Errorf("%d bytes", n)
	}
}

func TestReceiptValidate(t *testing.T) {
	good := entry.Receipt{Digest: credential.DigestOf(nil), Level: entry.LevelLogged, Checkpoint: "x", Proof: [][]byte{make([]byte, 32)}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*entry.Receipt){
		"level":      func(r *entry.Receipt) { r.Level = "done" },
		"checkpoint": func(r *entry.Receipt) { r.Checkpoint = "" },
		"hash":       func(r *entry.Receipt) { r.Proof = [][]byte{make([]byte, 31)} },
		"length":     func(r *entry.Receipt) { r.Proof = make([][]byte, 65) },
		"digest":     func(r *entry.Receipt) { r.Digest = credential.Digest{} },
		"leaves":     func(r *entry.Receipt) { r.Leaves = -1 },
	} {
		r := good
		change(&r)
		if r.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What parses is what we would have written, and its payload too.
func FuzzParse(f *testing.F) {
	f.Add(sample(f, seeded(f, "one")).Bytes())
	f.Add(sample(f, seeded(f, "one"), seeded(f, "two")).Bytes())
	f.Add([]byte(`{"payload":"","signatures":[]}`))
	for _, header := range fuzztest.Long([]byte(`{"alg":"EdDSA","genesis":"","kind":"seal","kid":"k","seq":1,"signer":"s","typ":"t"}`)) {
		f.Add([]byte(`{"payload":"","signatures":[{"protected":"` + base64.RawURLEncoding.EncodeToString(header) + `","signature":""}]}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := entry.Parse(raw)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, entry.ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(e.Bytes(), raw) || e.Digest() != credential.DigestOf(raw) {
			t.Fatal("the entry has other bytes")
		}
		canonical, err := credential.CanonicalJSON(raw)
		if err != nil || !bytes.Equal(canonical, raw) {
			t.Fatalf("accepted what is not canonical: %v", err)
		}
		p, err := e.ParsePayload()
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		text, err := credential.Canonical(p)
		if err != nil || !bytes.Equal(text, e.Payload) {
			t.Fatalf("payload has a second spelling: %v", err)
		}
	})
}

func ExampleSign() {
	seed := credential.DigestOf([]byte("an example, not a secret"))
	key, err := jose.FromSeed(seed[:])
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := entry.Sign(entry.Draft{
		Genesis: credential.DigestOf([]byte("a genesis entry")), Signer: "did:web:land.example", Sequence: 7,
		Payload: entry.CredentialsRevoked{Leaves: []uint64{12}},
	}, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Header().Kind, string(e.Payload), e.Verify(0, key.Public()))
	// Output: credentials-revoked {"leaves":[12]} <nil>
}
