package wallet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// counterRequest is what a counter of the bank shows. change may spoil pass and request before they are signed.
func (w *world) counterRequest(policyID string, change ...func(*openid.CounterPass, *openid.CounterRequest)) string {
	w.t.Helper()
	return w.counterRequestSigned(policyID, w.verifier, ledgertest.Key(w.t, "counter"), change...)
}

func (w *world) counterRequestSigned(policyID string, registered, key *jose.SigningKey, change ...func(*openid.CounterPass, *openid.CounterRequest)) string {
	w.t.Helper()
	now := credential.UnixTimeOf(time.Now())
	digest := ledgertest.Must(w.policies[policyID].Digest())(w.t)
	view := ledgertest.Must(w.writer.Update(w.t.Context()))(w.t)
	pass := openid.CounterPass{
		Genesis: w.chain.Genesis, Verifier: bank, Counter: "desk-3", Key: ledgertest.Key(w.t, "counter").Public(), IssuedAt: now - 600, NotAfter: now + 3600,
	}
	request := openid.CounterRequest{
		Policy: policyID, Digest: digest, Keys: []credential.Digest{presentationKey}, Seals: [2]uint64{0, view.Seal.Height},
		Nonce: openid.NewCounterNonce(), IssuedAt: now, ExpiresAt: now + 300,
	}
	for _, f := range change {
		f(&pass, &request)
	}
	return ledgertest.Must(openid.SignCounterAsk(key, ledgertest.Must(openid.SignCounterPass(registered, pass))(w.t), request))(w.t)
}

func TestAnswerAtACounter(t *testing.T) {
	w := newWorld(t)
	me := w.wallet()
	ledgertest.Must(me.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	w.chain.Settle()
	link := w.counterRequest("residence")
	if !wallet.IsCounterRequest(link) || wallet.IsCounterRequest(w.request("residence")) {
		t.Error("requests of counters are not told from others")
	}
	w.posted()
	r := ledgertest.Must(me.ReadCounter(t.Context(), " "+link+"\n"))(t)
	if name, ok := r.AtCounter(); !ok || name != "desk-3" {
		t.Errorf("counter %q, %t", name, ok)
	}
	candidates := ledgertest.Must(me.Candidates(t.Context(), r))(t)
	choice := ledgertest.Must(r.DefaultChoice(candidates))(t)
	for _, language := range []string{"en", "zh-CN"} {
		e := ledgertest.Must(me.Explain(r, candidates, choice, language))(t)
		if !strings.Contains(e.Identified, "desk-3") || !strings.Contains(e.Identified, w.verifier.Public().KeyID()) || len(e.Notices) == 0 {
			t.Errorf("%s: %q %q", language, e.Identified, e.Notices)
		}
	}
	if _, err := me.Answer(t.Context(), r.Consent(choice)); wallet.CodeOf(err) != wallet.CodeConsent {
		t.Errorf("a counter's request was answered over a network: %v", err)
	}
	a := ledgertest.Must(me.AnswerCounter(t.Context(), r.Consent(choice)))(t)
	packed := ledgertest.Must(openid.ParseCounterAnswer(a.Text))(t)
	if len(packed.Presentations) != 1 || packed.Presentations[0].Pseudonym.IsZero() || a.Event.Outcome != wallet.OutcomeSent || a.Event.Party != bank {
		t.Errorf("answer %+v, event %+v", packed, a.Event)
	}
	if _, err := me.AnswerCounter(t.Context(), r.Consent(choice)); wallet.CodeOf(err) != wallet.CodeNonceUsed {
		t.Errorf("answered twice: %v", err)
	}
	if _, err := me.ReadCounter(t.Context(), link); wallet.CodeOf(err) != wallet.CodeNonceUsed {
		t.Errorf("read after it was answered: %v", err)
	}
	if posts := w.posted(); len(posts) != 0 {
		t.Errorf("the verifier was sent %v", posts)
	}
	// Saying no is written down and sent to nobody.
	r = ledgertest.Must(me.ReadCounter(t.Context(), w.counterRequest("residence")))(t)
	if err := me.Refuse(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	events := me.History()
	if last := events[len(events)-1]; last.Kind != wallet.EventRefused || len(w.posted()) != 0 {
		t.Errorf("after a refusal: %+v", last)
	}
	online := ledgertest.Must(me.Read(t.Context(), w.request("residence")))(t)
	if _, err := me.AnswerCounter(t.Context(), online.Consent(nil)); wallet.CodeOf(err) != wallet.CodeConsent {
		t.Errorf("a request over a network was answered at a counter: %v", err)
	}
}

// A counter whose copy is from before the credential cannot find its root.
func TestCounterBehind(t *testing.T) {
	w := newWorld(t)
	me := w.wallet()
	stale := w.counterRequest("residence")
	ledgertest.Must(me.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	w.chain.Settle()
	r := ledgertest.Must(me.ReadCounter(t.Context(), stale))(t)
	_, err := me.AnswerCounter(t.Context(), r.Consent(nil))
	wantCode(t, err, wallet.CodeCounterBehind)
	r = ledgertest.Must(me.ReadCounter(t.Context(), w.counterRequest("residence")))(t)
	ledgertest.Must(me.AnswerCounter(t.Context(), r.Consent(nil)))(t)
}

func TestCounterRequestsRefused(t *testing.T) {
	w := newWorld(t)
	me := w.wallet()
	good := w.counterRequest("residence")
	stranger := ledgertest.Key(t, "stranger")
	type (
		pass    = *openid.CounterPass
		request = *openid.CounterRequest
	)
	asked := func(policyID string, change func(pass, request)) string { return w.counterRequest(policyID, change) }
	other := "A"
	if strings.HasSuffix(good, other) {
		other = "Q"
	}
	for name, c := range map[string]struct {
		link string
		want wallet.Code
	}{
		"another scheme":        {w.request("residence"), wallet.CodeRequest},
		"too long":              {good + strings.Repeat("A", openid.MaxCounterLink), wallet.CodeRequest},
		"no pass":               {strings.Replace(good, "~", "", 1), wallet.CodeRequest},
		"signature":             {good[:len(good)-10] + strings.Repeat(other, 9) + good[len(good)-1:], wallet.CodeSignature},
		"by a stranger":         {w.counterRequestSigned("residence", stranger, ledgertest.Key(t, "counter")), wallet.CodeSignature},
		"by another key":        {w.counterRequestSigned("residence", w.verifier, stranger), wallet.CodeSignature},
		"unregistered verifier": {asked("residence", func(p pass, _ request) { p.Verifier = "did:web:x.example" }), wallet.CodeNotRegistered},
		"another chain": {asked("residence", func(p pass, _ request) {
			p.Genesis = credential.DigestOf([]byte("live"))
		}), wallet.CodeSignature},
		"unregistered policy": {asked("residence", func(_ pass, r request) { r.Policy = "secret" }), wallet.CodeNotRegistered},
		"another policy": {asked("residence", func(_ pass, r request) {
			r.Digest = credential.DigestOf([]byte("wider"))
		}), wallet.CodeWider},
		"once per thing": {w.counterRequest("land"), wallet.CodeUnsupported},
		"a key of nobody's": {asked("residence", func(_ pass, r request) {
			r.Keys[0] = credential.DigestOf([]byte("trapdoor"))
		}), wallet.CodeWider},
		"a key of another circuit": {asked("residence", func(_ pass, r request) { r.Keys[0] = enrolmentKey }), wallet.CodeWider},
		"two keys":                 {asked("residence", func(_ pass, r request) { r.Keys = append(r.Keys, r.Keys[0]) }), wallet.CodeWider},
		"expired": {asked("residence", func(_ pass, r request) {
			r.IssuedAt, r.ExpiresAt = r.IssuedAt-301, r.ExpiresAt-301
		}), wallet.CodeExpiredRequest},
		"of tomorrow": {asked("residence", func(p pass, r request) {
			p.NotAfter += 86400
			r.IssuedAt, r.ExpiresAt = r.IssuedAt+86400, r.ExpiresAt+86400
		}), wallet.CodeClock},
	} {
		_, err := me.ReadCounter(t.Context(), c.link)
		if got := wallet.CodeOf(err); got != c.want {
			t.Errorf("%s: %v, want the code %s", name, err, c.want)
		}
	}
	// What cannot even be signed.
	for name, change := range map[string]func(pass, request){
		"six minutes":        func(_ pass, r request) { r.ExpiresAt += 60 },
		"outlives the pass":  func(p pass, r request) { p.NotAfter = r.ExpiresAt - 1 },
		"before the pass":    func(p pass, r request) { p.IssuedAt = r.IssuedAt + 1 },
		"short nonce":        func(_ pass, r request) { r.Nonce = r.Nonce[:21] },
		"seals out of order": func(_ pass, r request) { r.Seals = [2]uint64{2, 1} },
		"no keys":            func(_ pass, r request) { r.Keys = []credential.Digest{} },
	} {
		p := openid.CounterPass{Genesis: w.chain.Genesis, Verifier: bank, Counter: "desk-3", Key: stranger.Public(), IssuedAt: 1000, NotAfter: 90_000}
		r := openid.CounterRequest{
			Policy: "residence", Keys: []credential.Digest{presentationKey}, Nonce: openid.NewCounterNonce(), IssuedAt: 2000, ExpiresAt: 2300,
		}
		change(&p, &r)
		signed, err := openid.SignCounterPass(w.verifier, p)
		if err == nil {
			_, err = openid.SignCounterAsk(stranger, signed, r)
		}
		if err == nil {
			t.Errorf("%s: a link was made", name)
		}
	}
	if len(w.posted()) != 0 {
		t.Error("something was sent")
	}
}
