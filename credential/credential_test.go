package credential_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"text/template"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
)

// traces are the spellings that a leaked element could have.
func traces(e credential.Element) []string {
	v, b := e.Fr(), e.Bytes()
	return []string{e.String(), e.Hex(), strings.ToUpper(e.Hex()), e.BigInt().String(), fmt.Sprint(b[:]), fmt.Sprint([4]uint64(v)), fmt.Sprintf("%x", [4]uint64(v))}
}

func checkRedacted(t *testing.T, what, text string, secret credential.Element) {
	t.Helper()
	for _, trace := range traces(secret) {
		if strings.Contains(text, trace) {
			t.Errorf("%s prints the secret: %s", what, text)
			return
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Errorf("%s does not say that it is redacted: %s", what, text)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	secret := credential.Secret{Element: credential.RandomElement()}
	type inside struct {
		Name   string
		Secret credential.Secret
	}
	values := map[string]any{
		"secret":        secret,
		"pointer":       &secret,
		"struct":        inside{"s", secret},
		"struct by ref": &inside{"s", secret},
		"embedded":      struct{ credential.Secret }{secret},
		"slice":         []credential.Secret{secret},
		"array":         [1]credential.Secret{secret},
		"map":           map[string]credential.Secret{"s": secret},
		"map key":       map[credential.Secret]int{secret: 1},
		"interface":     []any{secret},
		"envelope":      credential.Envelope{SubjectKey: secret, Salt: secret},
		"envelope ref":  &credential.Envelope{SubjectKey: secret, Salt: secret},
	}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q", "%o", "%b", "%t", "%10.3v", "%!"} {
			checkRedacted(t, name+" with "+verb, fmt.Sprintf(verb+" [redacted]", v), secret.Element) // the words: for %! and the like
		}
		for _, verb := range []string{"%v", "%+v", "%s", "%x", "%d", "%q"} {
			checkRedacted(t, name+" with "+verb, fmt.Sprintf(verb, v), secret.Element)
		}
		checkRedacted(t, name+" with Sprint", fmt.Sprint(v), secret.Element)
		checkRedacted(t, name+" in an error", fmt.Errorf("prove: %v", v).Error(), secret.Element)
	}
	if secret.GoString() != "[redacted]" || secret.String() != "[redacted]" {
		t.Error("String or GoString prints the secret")
	}
	var out strings.Builder
	if err := template.Must(template.New("").Parse("{{.}} {{.String}}")).Execute(&out, secret); err != nil {
		t.Fatal(err)
	}
	checkRedacted(t, "a template", out.String(), secret.Element)
}

func TestSecretNeverLogged(t *testing.T) {
	secret := credential.Secret{Element: credential.RandomElement()}
	claims := credential.Claims{"birth": "1999-12-31"}
	handlers := map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	}
	for name, handler := range handlers {
		var out bytes.Buffer
		log := slog.New(handler(&out)).With("master", secret)
		log.Info("m", "secret", secret)
		log.Info("m", "pointer", &secret)
		log.Info("m", slog.Any("secret", secret), slog.Group("g", slog.Any("s", secret)))
		log.Info("m", "envelope", credential.Envelope{SubjectKey: secret, Salt: secret})
		log.Info("m", "envelope", &credential.Envelope{SubjectKey: secret, Salt: secret})
		log.Info("m", "claims", claims)
		checkRedacted(t, name+" handler", out.String(), secret.Element)
		if strings.Contains(out.String(), "1999") {
			t.Errorf("%s handler logs claims: %s", name, out.String())
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "struct", struct{ S credential.Secret }{secret})
	checkRedacted(t, "a struct in the text handler", out.String(), secret.Element)
}

// Secrets are stored in encrypted files, as JSON.
func TestSecretIsStored(t *testing.T) {
	type stored struct {
		Secret credential.Secret `json:"secret"`
	}
	before := stored{credential.Secret{Element: credential.RandomElement()}}
	text, err := json.Marshal(before)
	if err != nil || string(text) != `{"secret":"`+before.Secret.Element.String()+`"}` {
		t.Fatalf("%v", err)
	}
	var after stored
	if err := json.Unmarshal(text, &after); err != nil || after != before {
		t.Fatalf("does not come back: %v", err)
	}
	if err := credential.ParseStrict(text, &after); err != nil {
		t.Fatal(err)
	}
}

func secretOf(u uint64) credential.Secret {
	return credential.Secret{Element: credential.ElementFromUint64(u)}
}

// The commitments, spelled out over C4 and F.
func TestCommitments(t *testing.T) {
	n, zero := credential.ElementFromUint64, credential.Element{}
	tag := func(name string) credential.Element { return credential.F("tag", []byte(name)) }
	var slots [credential.Slots]credential.Element
	for i := range slots {
		slots[i] = n(uint64(100 + i))
	}
	quarter := func(i int) credential.Element {
		return credential.C4(slots[4*i], slots[4*i+1], slots[4*i+2], slots[4*i+3])
	}
	genesis := credential.DigestOf([]byte("g"))
	tests := []struct {
		name      string
		got, want credential.Element
	}{
		{"issuer", credential.IssuerID("did:web:a"), credential.F("issuer", []byte("did:web:a"))},
		{"holder", credential.HolderCommitment(secretOf(1), secretOf(2)), credential.C4(tag("HOLDER"), n(1), n(2), zero)},
		{"claims", credential.ClaimsRoot(slots), credential.C4(quarter(0), quarter(1), quarter(2), quarter(3))},
		{"envelope", credential.Envelope{ValidFrom: 1, ValidUntil: 2, SubjectKey: secretOf(3), Salt: secretOf(4)}.Root(), credential.C4(n(1), n(2), n(3), n(4))},
		{"commitment", credential.Commitment(n(1), n(2), n(3)), credential.C4(tag("CRED"), n(1), n(2), n(3))},
		{"leaf", credential.Leaf(n(1), n(2), n(3)), credential.C4(tag("LEAF"), n(1), n(2), n(3))},
		{"link", credential.Link(secretOf(1), n(2), n(3)), credential.C4(tag("LINK"), n(1), n(2), n(3))},
		{"item", credential.Item(secretOf(1), n(2), n(3)), credential.C4(tag("ITEM"), n(1), n(2), n(3))},
		{"pseudonym", credential.Pseudonym(secretOf(1), n(2)), credential.C4(tag("PSEUDONYM"), n(1), n(2), zero)},
		{"no pseudonym", credential.Pseudonym(secretOf(1), zero), zero},
		{"subject tag", credential.SubjectTag(secretOf(1), n(2)), credential.C4(tag("SUBJECT"), n(1), n(2), zero)},
		{"no subject tag", credential.SubjectTag(secretOf(1), zero), zero},
		{"enrolment scope", credential.EnrolmentScope("did:web:a"), credential.F("scope", []byte(`["did:web:a","enrol"]`))},
		{"verifier scope", credential.VerifierScope("did:web:v", "s"), credential.F("scope", []byte(`["verifier","did:web:v","s"]`))},
		{"shared scope", credential.SharedScope(genesis, 17), credential.F("scope", []byte(`["shared","`+genesis.String()+`",17]`))},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s is %s, want %s", test.name, test.got.Hex(), test.want.Hex())
		}
	}
}

func TestSubjectKey(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(`["parcels","A-12"]`))
	want := credential.ElementFrom31([31]byte(mac.Sum(nil)[:31]))
	if got, err := credential.SubjectKey(key, "parcels", "A-12"); err != nil || got.Element != want {
		t.Errorf("subject key is another, %v", err)
	}
	for name, f := range map[string]func() (credential.Secret, error){
		"short key":   func() (credential.Secret, error) { return credential.SubjectKey(key[1:], "parcels", "A") },
		"no key":      func() (credential.Secret, error) { return credential.SubjectKey(nil, "parcels", "A") },
		"broken text": func() (credential.Secret, error) { return credential.SubjectKey(key, "parcels", "\xff") },
		"not NFC":     func() (credential.Secret, error) { return credential.SubjectKey(key, "parcels", "e\u0301") },
		"U+FFFD":      func() (credential.Secret, error) { return credential.SubjectKey(key, "parcels", "\ufffd") },
		"broken name": func() (credential.Secret, error) { return credential.SubjectKey(key, "\xfe", "A") },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestEnvelopeValidate(t *testing.T) {
	day := func(s string) uint64 {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return credential.EncodeTime(at)
	}
	long := credential.Secret{Element: fromInt(t, credential.Random31().BigInt().SetBit(credential.Random31().BigInt(), 250, 1))}
	good := credential.Envelope{ValidFrom: day("2026-01-01T00:00:00Z"), ValidUntil: day("2027-01-01T00:00:00Z"), Salt: secretOf(1)}
	tests := []struct {
		name   string
		change func(*credential.Envelope)
		good   bool
	}{
		{"as it is", func(*credential.Envelope) {}, true},
		{"one day", func(e *credential.Envelope) { e.ValidUntil = e.ValidFrom }, true},
		{"before 1970", func(e *credential.Envelope) { e.ValidFrom = day("1969-12-31T00:00:00Z") }, true},
		{"with subject", func(e *credential.Envelope) { e.SubjectKey = secretOf(9) }, true},
		{"not midnight", func(e *credential.Envelope) { e.ValidFrom++ }, false},
		{"not midnight UTC", func(e *credential.Envelope) { e.ValidUntil = day("2027-01-01T00:00:00+08:00") }, false},
		{"in reverse", func(e *credential.Envelope) { e.ValidFrom, e.ValidUntil = e.ValidUntil, e.ValidFrom }, false},
		{"no beginning", func(e *credential.Envelope) { e.ValidFrom = 0 }, false},
		{"no end", func(e *credential.Envelope) { e.ValidUntil = 0 }, false},
		{"no salt", func(e *credential.Envelope) { e.Salt = credential.Secret{} }, false},
		{"long salt", func(e *credential.Envelope) { e.Salt = long }, false},
		{"long subject key", func(e *credential.Envelope) { e.SubjectKey = long }, false},
	}
	for _, test := range tests {
		e := good
		test.change(&e)
		if err := e.Validate(); (err == nil) != test.good {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestClausesValidate(t *testing.T) {
	one := credential.ElementFromUint64(1)
	interval := func(v credential.Interval) credential.Clauses {
		return credential.Clauses{Intervals: [credential.Intervals]credential.Interval{2: v}}
	}
	equality := func(v credential.Equality) credential.Clauses {
		return credential.Clauses{Equalities: [credential.Equalities]credential.Equality{3: v}}
	}
	membership := func(v credential.Membership) credential.Clauses {
		return credential.Clauses{Memberships: [credential.Memberships]credential.Membership{1: v}}
	}
	tests := []struct {
		name    string
		clauses credential.Clauses
		good    bool
	}{
		{"all off", credential.Clauses{}, true},
		{"interval", interval(credential.Interval{Mode: credential.Required, Slot: 15, Low: 1, High: 1<<64 - 1}), true},
		{"one value", interval(credential.Interval{Mode: credential.AnyOf | credential.Negated, Low: 5, High: 5}), true},
		{"equality", equality(credential.Equality{Mode: credential.Required | credential.Negated, Value: one}), true},
		{"membership", membership(credential.Membership{Mode: credential.AnyOf, Root: one}), true},
		{"low 0", interval(credential.Interval{Mode: credential.Required, Low: 0, High: 5}), false},
		{"empty", interval(credential.Interval{Mode: credential.Required, Low: 6, High: 5}), false},
		{"slot 16", interval(credential.Interval{Mode: credential.Required, Slot: 16, Low: 1, High: 5}), false},
		{"both groups", interval(credential.Interval{Mode: credential.Required | credential.AnyOf, Low: 1, High: 5}), false},
		{"negation alone", interval(credential.Interval{Mode: credential.Negated, Low: 1, High: 5}), false},
		{"all bits", interval(credential.Interval{Mode: 7, Low: 1, High: 5}), false},
		{"unknown bit", interval(credential.Interval{Mode: 8, Low: 1, High: 5}), false},
		{"off with slot", interval(credential.Interval{Slot: 1}), false},
		{"off with low", interval(credential.Interval{Low: 1}), false},
		{"off with high", interval(credential.Interval{High: 1}), false},
		{"equality with 0", equality(credential.Equality{Mode: credential.Required}), false},
		{"off with value", equality(credential.Equality{Value: one}), false},
		{"equality, slot 16", equality(credential.Equality{Mode: credential.Required, Slot: 16, Value: one}), false},
		{"negated set", membership(credential.Membership{Mode: credential.Required | credential.Negated, Root: one}), false},
		{"set 0", membership(credential.Membership{Mode: credential.Required}), false},
		{"off with root", membership(credential.Membership{Root: one}), false},
		{"set, slot 255", membership(credential.Membership{Mode: credential.Required, Slot: 255, Root: one}), false},
	}
	for _, test := range tests {
		if err := test.clauses.Validate(); (err == nil) != test.good {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestUnixTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond"))
		u := credential.UnixTimeOf(at)
		if !u.Time().Equal(at.Truncate(time.Second)) && at.Unix() >= 0 || int64(u) != at.Unix() {
			t.Fatalf("%s is %s", at, u)
		}
	})
	text, err := json.Marshal(credential.UnixTime(1700000000))
	if err != nil || string(text) != "1700000000" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestChallengeDependsOnAll(t *testing.T) {
	a, err := credential.Challenge(map[string]any{"nonce": "1", "client": "v"})
	b, errB := credential.Challenge(map[string]any{"nonce": "2", "client": "v"})
	if err := errors.Join(err, errB); err != nil || a == b {
		t.Errorf("challenges %s and %s, %v", a, b, err)
	}
}

func ExamplePseudonym() {
	master := credential.Secret{Element: credential.ElementFromUint64(1)}
	library := credential.Pseudonym(master, credential.VerifierScope("did:web:city.example", "library"))
	pool := credential.Pseudonym(master, credential.VerifierScope("did:web:city.example", "pool"))
	fmt.Println(master, library == pool, library == credential.Pseudonym(master, credential.VerifierScope("did:web:city.example", "library")))
	// Output: [redacted] false true
}
