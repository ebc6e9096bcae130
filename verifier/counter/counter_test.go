package counter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/base45"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/counter"
	"github.com/bulla-id/bulla/verifier/offline"
)

func codeOf(err error) check.Code {
	var refusal *check.Refusal
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refusal):
		return refusal.Code
	}
	return check.Code(err.Error())
}

// A counter asks, its ledger goes away, somebody answers, and that counts once.
func TestAskAndCheck(t *testing.T) {
	w := newWorld(t)
	c := w.open("desk-3")
	asked := ledgertest.Must(c.Ask("reader"))(t)
	if len(asked.Link) > 1200 || asked.ExpiresAt != credential.UnixTimeOf(w.now)+300 || asked.Dev || asked.Counter != "desk-3" {
		t.Errorf("asked %+v, %d bytes", asked, len(asked.Link))
	}
	text := w.answer(asked.Link, "reader", w.titles[0])
	if len(text) > 700 {
		t.Errorf("an answer has %d characters", len(text))
	}
	w.host.Server.Close()
	w.at(60)
	r := ledgertest.Must(c.Check(text + "\n"))(t)
	if r.Counter != "desk-3" || r.Verifier != bank || r.Policy != "reader" || r.Dev || len(r.Facts) != 1 || r.NotConsumed {
		t.Errorf("result %+v", r)
	}
	if f := r.Facts[0]; f.Disclosed["parcel"] != "912160000A0001" || f.Tags.Pseudonym == nil || f.Seal.Height != 1 {
		t.Errorf("fact %+v", f)
	}
	if _, err := c.Check(text); codeOf(err) != check.SessionAnswered {
		t.Errorf("again: %v", err)
	}
}

// A counter asks by a policy that also accepts companions, and takes the proof.
func TestCounterTakesNoCompanion(t *testing.T) {
	w := newWorld(t)
	w.register("any-wallet", func(q *policy.Query) { q.Companion = true })
	w.host.Seal(ledgertest.Start + 30)
	w.at(40)
	c := w.open("desk-3")
	asked := ledgertest.Must(c.Ask("any-wallet"))(t)
	r := ledgertest.Must(c.Check(w.answer(asked.Link, "any-wallet", w.titles[0])))(t)
	if len(r.Facts) != 1 || r.Facts[0].Linkable || r.Facts[0].VerifyingKey.IsZero() {
		t.Errorf("result %+v", r)
	}
}

// Of many who show one answer at a time, one passes.
func TestOneAnswerCountsOnce(t *testing.T) {
	w := newWorld(t)
	c := w.open("desk-3")
	asked := ledgertest.Must(c.Ask("owner"))(t)
	text := w.answer(asked.Link, "owner", w.titles[0])
	var wait sync.WaitGroup
	codes := make([]check.Code, 4)
	for i := range codes {
		wait.Go(func() {
			_, err := c.Check(text)
			codes[i] = codeOf(err)
		})
	}
	wait.Wait()
	passed := 0
	for _, code := range codes {
		switch code {
		case "ok":
			passed++
		case check.SessionAnswered:
		default:
			t.Errorf("refused with %s", code)
		}
	}
	if passed != 1 {
		t.Errorf("%d of 4 passed", passed)
	}
}

func TestAnswersRefused(t *testing.T) {
	w := newWorld(t)
	c := w.open("desk-3")
	asked := ledgertest.Must(c.Ask("reader"))(t)
	good := w.answer(asked.Link, "reader", w.titles[0])
	packed := func() *openid.CounterAnswer { return ledgertest.Must(openid.ParseCounterAnswer(good))(t) }
	other := ledgertest.Must(c.Ask("reader"))(t)
	spoilt := func(f func(*openid.CounterAnswer)) string {
		a := packed()
		f(a)
		return ledgertest.Must(a.Text())(t)
	}
	for name, x := range map[string]struct {
		text string
		want check.Code
	}{
		"not an answer":         {asked.Link, check.Malformed},
		"cut off":               {good[:len(good)-3], check.Malformed},
		"another nonce":         {spoilt(func(a *openid.CounterAnswer) { a.Nonce = other.Nonce }), check.ProofInvalid},
		"nobody's nonce":        {spoilt(func(a *openid.CounterAnswer) { a.Nonce = openid.NewCounterNonce() }), check.SessionUnknown},
		"proof":                 {spoilt(func(a *openid.CounterAnswer) { copy(a.Presentations[0].Proof[96:], a.Presentations[0].Proof[:32]) }), check.ProofInvalid},
		"proof is no point":     {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].Proof[0] = 0 }), check.ProofMalformed},
		"value":                 {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].Disclosed["parcel"] = "912160000A0002" }), check.ProofInvalid},
		"no value":              {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].Disclosed = nil }), check.DisclosureMismatch},
		"pseudonym":             {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].Pseudonym = a.Link }), check.ProofInvalid},
		"no pseudonym":          {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].Pseudonym = credential.Element{} }), check.PseudonymMismatch},
		"a tag nobody asked":    {spoilt(func(a *openid.CounterAnswer) { a.Presentations[0].SubjectTag = a.Link }), check.SubjectTagMismatch},
		"n":                     {spoilt(func(a *openid.CounterAnswer) { a.N = credential.Random31() }), check.ProofInvalid},
		"n is 0":                {spoilt(func(a *openid.CounterAnswer) { a.N = credential.Element{} }), check.NumberMalformed},
		"root":                  {spoilt(func(a *openid.CounterAnswer) { a.Root = a.Link }), check.RootUnknown},
		"one more presentation": {spoilt(func(a *openid.CounterAnswer) { a.Presentations = append(a.Presentations, a.Presentations[0]) }), check.QueryMismatch},
	} {
		if _, err := c.Check(x.text); codeOf(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	// One flipped bit anywhere: refused, and nothing is used up by it.
	data := ledgertest.Must(base45.Decode(strings.TrimPrefix(good, openid.CounterAnswerPrefix)))(t)
	for at := 0; at < len(data); at += 7 {
		data[at] ^= 1 << (at % 8)
		if _, err := c.Check(openid.CounterAnswerPrefix + base45.Encode(data)); err == nil {
			t.Fatalf("bit %d of byte %d flipped: accepted", at%8, at)
		}
		data[at] ^= 1 << (at % 8)
	}
	// Another counter of the same bank did not ask that.
	if _, err := w.open("desk-4").Check(good); codeOf(err) != check.SessionUnknown {
		t.Errorf("at another counter: %v", err)
	}
	// Even if it had drawn the same nonce, the proof is bound to the counter's name.
	twin := w.config("desk-4")
	twin.Key = w.counter
	desk4 := ledgertest.Must(counter.New(twin))(t)
	theirs := ledgertest.Must(desk4.Ask("reader"))(t)
	if _, err := desk4.Check(spoilt(func(a *openid.CounterAnswer) { a.Nonce = theirs.Nonce })); codeOf(err) != check.ProofInvalid {
		t.Errorf("at a counter of another name: %v", err)
	}
	w.at(330)
	if _, err := c.Check(good); codeOf(err) != check.SessionExpired {
		t.Errorf("after five minutes: %v", err)
	}
	w.at(300)
	ledgertest.Must(c.Check(good))(t)
}

// What is revoked does not pass, except under roots of before, as long as the policy takes those for fresh.
func TestRevoked(t *testing.T) {
	w := newWorld(t)
	before := w.open("desk-3")
	w.host.Apply(ledgertest.LandDID, w.host.Land, entry.CredentialsRevoked{Leaves: []uint64{0}})
	old, now := w.active, w.active.Clone()
	now.Set(0, credential.Element{})
	w.host.Seal(ledgertest.Start + 40)
	w.at(50)
	after := w.open("desk-4")
	show := func(c *counter.Counter, active *circuitstest.Tree, title int) check.Code {
		w.active = active
		_, err := c.Check(w.answer(ledgertest.Must(c.Ask("owner"))(t).Link, "owner", w.titles[title]))
		return codeOf(err)
	}
	if code := show(after, now, 1); code != "ok" {
		t.Errorf("another one than the revoked: %s", code)
	}
	if code := show(after, old, 0); code != "ok" {
		t.Errorf("the revoked one, under a root that is still fresh: %s", code)
	}
	if code := show(before, now, 1); code != check.RootUnknown {
		t.Errorf("a root that is newer than the counter's copy: %s", code)
	}
	w.host.Seal(ledgertest.Start + 620)
	w.at(630)
	later := w.open("desk-5")
	if code := show(later, old, 0); code != check.RootTooOld {
		t.Errorf("the revoked one, ten minutes later: %s", code)
	}
	if code := show(later, now, 1); code != "ok" {
		t.Errorf("another one than the revoked, ten minutes later: %s", code)
	}
}

func TestStaleCopy(t *testing.T) {
	w := newWorld(t)
	c := w.open("desk-3")
	w.at(500)
	asked := ledgertest.Must(c.Ask("owner"))(t)
	text := w.answer(asked.Link, "owner", w.titles[0])
	w.at(621) // the newest seal is of second 20, the policy allows 600
	var stale *counter.StaleError
	if _, err := c.Check(text); !errors.As(err, &stale) || stale.Age != 601*time.Second || !strings.Contains(err.Error(), "synchronise it where there is a network") {
		t.Errorf("checked with a stale copy: %v", err)
	}
	if _, err := c.Ask("owner"); !errors.As(err, &stale) {
		t.Errorf("asked with a stale copy: %v", err)
	}
	w.at(600)
	ledgertest.Must(c.Check(text))(t)
	w.at(5)
	if _, err := c.Ask("owner"); !errors.Is(err, counter.ErrClock) {
		t.Errorf("asked with a clock that is behind: %v", err)
	}
}

func TestWhatCountersCannotAsk(t *testing.T) {
	w := newWorld(t)
	w.register("once", func(q *policy.Query) { q.Scope = &policy.Scope{Service: "subsidy", Once: true} })
	w.register("thing", func(q *policy.Query) { q.SubjectScope = &policy.Scope{Service: "pledge", Once: true} })
	w.host.Seal(ledgertest.Start + 30)
	w.at(40)
	c := w.open("desk-3")
	if got := len(c.Policies()); got != 3 {
		t.Errorf("the counter has %d policies", got)
	}
	for _, id := range []string{"once", "thing", "nonsense"} {
		if _, err := c.Ask(id); !errors.Is(err, counter.ErrPolicy) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// A copy with such a policy in it is refused, too, and so is what is not registered in these words.
	view := ledgertest.Must(w.host.Client(nil).Update(t.Context()))(t)
	registered, _ := view.Registry.Policy(bank, "once")
	once := ledgertest.Must(policy.Parse(ledgertest.Must(w.host.Client(nil).RegisteredPolicy(t.Context(), view, registered))(t)))(t)
	changed := *c.Policies()[0]
	changed.RetentionDays++
	for name, p := range map[string]*policy.Policy{"once": once, "changed": &changed, "nothing": nil} {
		cfg := w.config("desk-3")
		cfg.Copy.Policies = []*policy.Policy{p}
		if _, err := counter.New(cfg); !errors.Is(err, counter.ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPassesRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*counter.Config){
		"not a pass":    func(c *counter.Config) { c.Pass = "pass" },
		"another's key": func(c *counter.Config) { c.Key = ledgertest.Key(t, "thief") },
		"by a stranger": func(c *counter.Config) {
			pass := openid.CounterPass{Genesis: w.host.Genesis, Verifier: bank, Counter: "x", Key: w.counter.Public(), IssuedAt: ledgertest.Start, NotAfter: ledgertest.Start + 86400}
			c.Pass = ledgertest.Must(openid.SignCounterPass(ledgertest.Key(t, "stranger"), pass))(t)
		},
		"of another chain": func(c *counter.Config) {
			c.Pass = w.pass("desk-3", func(p *openid.CounterPass) { p.Genesis = credential.DigestOf([]byte("other")) })
		},
		"of another verifier": func(c *counter.Config) {
			c.Pass = w.pass("desk-3", func(p *openid.CounterPass) { p.Verifier = "did:web:x.example" })
		},
		"past its end": func(c *counter.Config) {
			c.Pass = w.pass("desk-3", func(p *openid.CounterPass) { p.NotAfter = p.IssuedAt + 5 })
		},
		"not yet good": func(c *counter.Config) {
			c.Pass = w.pass("desk-3", func(p *openid.CounterPass) { p.IssuedAt, p.NotAfter = p.IssuedAt+1000, p.NotAfter+1000 })
		},
	} {
		cfg := w.config("desk-3")
		change(&cfg)
		c, err := counter.New(cfg)
		if err == nil {
			_, err = c.Ask("owner")
		}
		if !errors.Is(err, counter.ErrPass) && !(name == "of another verifier" && errors.Is(err, counter.ErrPolicy)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pass := openid.CounterPass{Genesis: w.host.Genesis, Verifier: bank, Counter: "x", Key: w.counter.Public(), IssuedAt: 1, NotAfter: 2 + openid.MaxCounterPass}
	if _, err := openid.SignCounterPass(w.bank, pass); err == nil {
		t.Error("a pass was made for more than 30 days")
	}
	// A pass that ends soon makes requests that end with it.
	short := w.config("desk-3")
	short.Pass = w.pass("desk-3", func(p *openid.CounterPass) { p.NotAfter = credential.UnixTimeOf(w.now) + 100 })
	if asked := ledgertest.Must(ledgertest.Must(counter.New(short))(t).Ask("owner"))(t); asked.ExpiresAt != credential.UnixTimeOf(w.now)+100 {
		t.Errorf("a request outlives its pass: %s", asked.ExpiresAt)
	}
}

// A live chain's counter takes neither a dev chain's copy nor its answers.
func TestCountersOfDevAndLiveChains(t *testing.T) {
	live := newWorld(t)
	dev := newWorld(t, func(g *entry.Genesis) { g.Dev = true; g.Network = "dev" })
	mixed := live.config("desk-3")
	mixed.Copy = dev.config("desk-3").Copy
	if _, err := counter.New(mixed); !errors.Is(err, offline.ErrChain) {
		t.Errorf("a dev chain's copy: %v", err)
	}
	c := dev.open("desk-3")
	asked := ledgertest.Must(c.Ask("owner"))(t)
	if !asked.Dev || asked.Network != "dev" {
		t.Errorf("a dev chain's request does not say so: %+v", asked)
	}
	text := dev.answer(asked.Link, "owner", dev.titles[0])
	if r := ledgertest.Must(c.Check(text))(t); !r.Dev || r.Network != "dev" {
		t.Errorf("a dev chain's result does not say so: %+v", r)
	}
	// The same counter name, key, time and even nonce on the live chain: the challenge has the genesis hash.
	liveCounter := live.open("desk-3")
	theirs := ledgertest.Must(liveCounter.Ask("owner"))(t)
	a := ledgertest.Must(openid.ParseCounterAnswer(text))(t)
	a.Nonce = theirs.Nonce
	if _, err := liveCounter.Check(ledgertest.Must(a.Text())(t)); codeOf(err) != check.ProofInvalid {
		t.Errorf("a dev chain's answer: %v", err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f := ledgertest.Must(counter.OpenFolder(dir))(t)
	for _, nonce := range []string{"old", "new"} {
		if err := f.Put(nonce, "link of "+nonce); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Put("old", "again"); err == nil {
		t.Error("a nonce was asked twice")
	}
	if err := errors.Join(f.Spend("old"), f.Spend("new")); err != nil {
		t.Fatal(err)
	}
	again := ledgertest.Must(counter.OpenFolder(dir))(t)
	if err := again.Spend("new"); !errors.Is(err, counter.ErrSpent) {
		t.Errorf("spent twice: %v", err)
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	for _, sub := range []string{"asked", "spent"} {
		if err := os.Chtimes(filepath.Join(dir, sub, "old"), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Put("newer", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get("old"); !errors.Is(err, counter.ErrAbsent) {
		t.Errorf("a request of yesterday is kept: %v", err)
	}
	if link, err := f.Get("new"); err != nil || link != "link of new" {
		t.Errorf("%q, %v", link, err)
	}
	if files := ledgertest.Must(os.ReadDir(filepath.Join(dir, "spent")))(t); len(files) != 1 {
		t.Errorf("%d used nonces are kept", len(files))
	}
	if err := os.WriteFile(filepath.Join(dir, "outside"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, nonce := range []string{"../outside", "..", ""} {
		if link, err := f.Get(nonce); err == nil {
			t.Errorf("the nonce %q leads to %q", nonce, link)
		}
	}
}
