package openid

import (
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/base45"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// counterLink is a good request of a counter, with the keys that signed it.
func counterLink(t testing.TB) (link string, verifier, counter *jose.SigningKey) {
	t.Helper()
	seed := make([]byte, 32)
	verifier, err := jose.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	seed[0] = 1
	if counter, err = jose.FromSeed(seed); err != nil {
		t.Fatal(err)
	}
	pass, err := SignCounterPass(verifier, CounterPass{
		Genesis: credential.DigestOf(nil), Verifier: "did:web:bank.example", Counter: "desk-3", Key: counter.Public(), IssuedAt: 1000, NotAfter: 90_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	link, err = SignCounterAsk(counter, pass, CounterRequest{
		Policy: "owner", Digest: credential.DigestOf([]byte("p")), Keys: []credential.Digest{credential.DigestOf([]byte("k"))}, Seals: [2]uint64{1, 9},
		Nonce: EncodeBytes(make([]byte, counterNonceSize)), IssuedAt: 2000, ExpiresAt: 2300,
	})
	if err != nil {
		t.Fatal(err)
	}
	return link, verifier, counter
}

// What is read as a counter's request lives five minutes at most, within its pass, and is written again as the same text.
func FuzzParseCounterAsk(f *testing.F) {
	link, _, _ := counterLink(f)
	f.Add(link)
	f.Add(strings.Replace(link, "~", "", 1))
	f.Add(strings.Replace(link, "~", "~~", 1))
	f.Add(CounterScheme + "a.b.c~a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseCounterAsk(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if a.Link() != strings.TrimSpace(text) {
			t.Errorf("%q and %q are one", text, a.Link())
		}
		r, p := a.Request, a.Pass
		if r.ExpiresAt-r.IssuedAt > MaxCounterLifetime || r.ExpiresAt > p.NotAfter || r.IssuedAt < p.IssuedAt || p.NotAfter-p.IssuedAt > MaxCounterPass {
			t.Errorf("%+v goes by %+v", r, p)
		}
	})
}

func counterAnswer() *CounterAnswer {
	one, two := credential.ElementFromUint64(1), credential.ElementFromUint64(2)
	return &CounterAnswer{
		Nonce: EncodeBytes(make([]byte, counterNonceSize)), N: one, Link: two, Root: one, Presentations: []CounterPresentation{
			{Item: one}, {Item: two, Pseudonym: one, SubjectTag: two, Disclosed: credential.Claims{"commune": "Épinay", "owned": true}},
		},
	}
}

// What is read as an answer is written again as the same text.
func FuzzParseCounterAnswer(f *testing.F) {
	text, err := counterAnswer().Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)-3])
	f.Add(CounterAnswerPrefix + base45.Encode(make([]byte, 400)))
	f.Add(CounterAnswerPrefix)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseCounterAnswer(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		again, err := a.Text()
		if err != nil && len(text) <= base45.MaxText {
			t.Fatal(err)
		}
		if err == nil && again != strings.Trim(text, "\r\n") {
			t.Errorf("%q and %q are one", text, again)
		}
	})
}

// Each way to spoil the bytes of an answer, and what is too much for one QR code.
func TestCounterAnswerHasOneSpelling(t *testing.T) {
	text, err := counterAnswer().Text()
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseCounterAnswer(text + "\r\n")
	if err != nil || len(a.Presentations) != 2 || a.Presentations[1].Disclosed["commune"] != "Épinay" {
		t.Fatalf("%+v, %v", a, err)
	}
	data, err := base45.Decode(strings.TrimPrefix(text, CounterAnswerPrefix))
	if err != nil {
		t.Fatal(err)
	}
	const flags = 1 + counterNonceSize + 31 + 2*32 + 1 + ProofSize + 32 // of the first presentation
	for name, change := range map[string]func([]byte) []byte{
		"version":         func(b []byte) []byte { b[0] = 2; return b },
		"trailing":        func(b []byte) []byte { return append(b, 0) },
		"short":           func(b []byte) []byte { return b[:len(b)-1] },
		"empty":           func(b []byte) []byte { return nil },
		"no presentation": func(b []byte) []byte { b[flags-ProofSize-33] = 0; return b[:flags-ProofSize-32] },
		"five":            func(b []byte) []byte { b[flags-ProofSize-33] = 5; return b },
		"unknown flag":    func(b []byte) []byte { b[flags] = 8; return b },
		"root above p":    func(b []byte) []byte { b[1+counterNonceSize+31+32] = 0xff; return b },
		"tag is 0": func(b []byte) []byte {
			copy(b[flags+1+ProofSize+32+1:], make([]byte, 32))
			return b
		},
		"other JSON": func(b []byte) []byte { return []byte(strings.Replace(string(b), `"owned"`, `"aaaaa"`, 1)) },
	} {
		if _, err := ParseCounterAnswer(CounterAnswerPrefix + base45.Encode(change([]byte(string(data))))); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if _, err := ParseCounterAnswer(strings.ToLower(text)); err == nil {
		t.Error("lower case is read")
	}
	long := counterAnswer()
	long.Presentations[1].Disclosed["commune"] = strings.Repeat("x", 3000)
	if _, err := long.Text(); err == nil {
		t.Error("an answer was made that fits into no QR code")
	}
}

// An answer at a counter is bound to everything that the counter and its request are, and is none over a network.
func TestCounterChallenge(t *testing.T) {
	link, _, _ := counterLink(t)
	read := func() *CounterAsk {
		a, err := ParseCounterAsk(link)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	queries := []CredentialQuery{{ID: "q"}}
	genesis := credential.DigestOf([]byte("g"))
	want, err := read().Challenge(genesis, queries)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[credential.Element]string{want: "as it is"}
	for name, change := range map[string]func(*CounterAsk){
		"counter": func(a *CounterAsk) { a.Pass.Counter = "desk-4" }, "verifier": func(a *CounterAsk) { a.Pass.Verifier = "did:web:x.example" },
		"pass": func(a *CounterAsk) { a.Request.Pass[0] ^= 1 }, "nonce": func(a *CounterAsk) { a.Request.Nonce = "x" },
		"issued": func(a *CounterAsk) { a.Request.IssuedAt++ }, "expires": func(a *CounterAsk) { a.Request.ExpiresAt++ },
	} {
		a := read()
		change(a)
		got, err := a.Challenge(genesis, queries)
		if other, twice := seen[got]; err != nil || twice {
			t.Errorf("%s: the challenge is that of %s (%v)", name, other, err)
		}
		seen[got] = name
	}
	if got, _ := read().Challenge(credential.DigestOf(nil), queries); got == want {
		t.Error("the challenge is the same on another chain")
	}
	if got, _ := read().Challenge(genesis, []CredentialQuery{{ID: "r"}}); got == want {
		t.Error("the challenge is the same for other queries")
	}
	r := &RequestObject{ClientID: ClientIDPrefix + "did:web:bank.example", Nonce: read().Request.Nonce, IssuedAt: 2000, ExpiresAt: 2300, Query: DCQL{Credentials: queries}}
	if got, _ := r.Challenge(genesis); got == want {
		t.Error("the challenge is that of a request over a network")
	}
}
