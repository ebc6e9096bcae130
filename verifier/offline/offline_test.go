package offline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/offline"
)

// answered is when the kept responses were made.
const answered = 40

func at(seconds int) func() time.Time {
	return func() time.Time { return (ledgertest.Start + credential.UnixTime(seconds)).Time() }
}

func (f files) config() offline.Config {
	return offline.Config{Profile: checkpoint.Profile(f.profile), VerifyingKeys: [][]byte{f.key}, Clock: at(answered)}
}

func (f files) parse(t testing.TB) *offline.Bundle {
	t.Helper()
	return ledgertest.Must(offline.ParseBundle(f.bundle))(t)
}

// outcome is the layer that refused: "ok", "chain", "request" or the code of a refusal.
func outcome(err error) string {
	var refusal *check.Refusal
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, offline.ErrChain):
		return "chain"
	case errors.Is(err, offline.ErrRequest):
		return "request"
	case errors.As(err, &refusal):
		return string(refusal.Code)
	}
	return err.Error()
}

func TestVerify(t *testing.T) {
	f := read(t, "live")
	v := ledgertest.Must(offline.New(f.config()))(t)
	r := ledgertest.Must(v.Verify(f.parse(t)))(t)
	if r.Verifier != bank || r.Policy != "owner" || r.Dev || r.Network != "live" || r.NotConsumed || !slices.Equal(r.Cosigners, []string{"cosigner.example"}) {
		t.Errorf("result %+v", r)
	}
	if len(r.Facts) != 1 || r.Facts[0].Disclosed["parcel"] != "912160000A0001" || r.Facts[0].Tags.Pseudonym == nil || r.Facts[0].RevocationDelaySeconds != 601 {
		t.Errorf("facts %+v", r.Facts)
	}
	// The newest seal with the root counts, and what was seen goes on.
	if r.Facts[0].Seal.Height != 1 {
		t.Errorf("seal %d", r.Facts[0].Seal.Height)
	}
	cfg := f.config()
	cfg.Seen = []byte(r.Checkpoint)
	ledgertest.Must(ledgertest.Must(offline.New(cfg))(t).Verify(f.parse(t)))(t)
}

// A dev chain and a live one under the very same proving key: no presentation of the one passes on the other, and what
// passes on the dev chain says so.
func TestDevAndLiveNeverMix(t *testing.T) {
	live, dev := read(t, "live"), read(t, "dev")
	if r := ledgertest.Must(ledgertest.Must(offline.New(dev.config()))(t).Verify(dev.parse(t)))(t); !r.Dev || r.Network != "dev" {
		t.Errorf("the result of a dev chain says dev: %t, network %s", r.Dev, r.Network)
	}
	for name, c := range map[string]struct {
		believed files
		shown    *offline.Bundle
		want     string
	}{
		"dev bundle on the live chain":    {live, dev.parse(t), "chain"},
		"live bundle on the dev chain":    {dev, live.parse(t), "chain"},
		"dev response to a live request":  {live, &offline.Bundle{Version: 1, Request: live.parse(t).Request, Response: dev.parse(t).Response, Chain: live.parse(t).Chain}, "proof_invalid"},
		"live response to a dev request":  {dev, &offline.Bundle{Version: 1, Request: dev.parse(t).Request, Response: live.parse(t).Response, Chain: dev.parse(t).Chain}, "proof_invalid"},
		"dev request shown on live chain": {live, &offline.Bundle{Version: 1, Request: dev.parse(t).Request, Response: dev.parse(t).Response, Chain: live.parse(t).Chain}, "proof_invalid"},
	} {
		_, err := ledgertest.Must(offline.New(c.believed.config()))(t).Verify(c.shown)
		if got := outcome(err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	// A live chain's profile cannot do without a cosigner; a dev chain's may.
	for _, f := range []files{live, dev} {
		f.profile.Policy.Threshold = 0
		_, err := ledgertest.Must(offline.New(f.config()))(t).Verify(f.parse(t))
		if want := map[string]string{"live": "chain", "dev": "ok"}[networkOf(t, f)]; outcome(err) != want {
			t.Errorf("%s without cosigner: %v", networkOf(t, f), err)
		}
	}
}

func networkOf(t *testing.T, f files) string {
	g := ledgertest.Must(checkpoint.ParseGenesis([]byte(f.parse(t).Chain.Genesis), f.profile.Genesis))(t)
	return g.Network
}

func TestRefused(t *testing.T) {
	f := read(t, "live")
	signing := ledgertest.Key(t, "bank")
	// resign changes the request and has the bank, or somebody, sign it anew.
	resign := func(key *jose.SigningKey, change func(*openid.RequestObject)) func(*offline.Bundle) {
		return func(b *offline.Bundle) {
			_, payload, err := jose.PeekCompact(b.Request)
			if err != nil {
				t.Fatal(err)
			}
			r := ledgertest.Must(openid.ParseRequestObject(payload))(t)
			change(r)
			b.Request = ledgertest.Must(jose.SignCompact(key, openid.RequestKeyID(bank, key.Public().KeyID()), openid.RequestType, r))(t)
		}
	}
	same := func(*openid.RequestObject) {}
	respond := func(change func(*openid.Presentation)) func(*offline.Bundle) {
		return func(b *offline.Bundle) {
			token := ledgertest.Must(openid.ParseVPToken(b.Response))(t)
			change(&token["title"][0])
			b.Response = ledgertest.Must(json.Marshal(token))(t)
		}
	}
	for name, c := range map[string]struct {
		change func(*offline.Bundle)
		clock  int
		want   string
	}{
		"nothing changed":          {want: "ok"},
		"signed again":             {change: resign(signing, same), want: "ok"},
		"a stranger's key":         {change: resign(ledgertest.Key(t, "stranger"), same), want: "request"},
		"signature":                {change: func(b *offline.Bundle) { b.Request = b.Request[:len(b.Request)-4] + "AAAA" }, want: "request"},
		"another client":           {change: resign(signing, func(r *openid.RequestObject) { r.ClientID = openid.ClientIDPrefix + "did:web:x.example" }), want: "request"},
		"another nonce":            {change: resign(signing, func(r *openid.RequestObject) { r.Nonce = "m" }), want: "proof_invalid"},
		"longer life":              {change: resign(signing, func(r *openid.RequestObject) { r.ExpiresAt += 1000 }), want: "request"},
		"another statement":        {change: resign(signing, func(r *openid.RequestObject) { r.Query.Credentials[0].Meta.Statement.FreshnessSeconds = 601 }), want: "request"},
		"wider than registered":    {change: resign(signing, func(r *openid.RequestObject) { r.Query.Credentials[0].Meta.Statement.Disclose = nil }), want: "request"},
		"statement of another day": {change: resign(signing, func(r *openid.RequestObject) { r.Query.Credentials[0].Meta.Statement.Now += 86400 }), want: "request"},
		"another policy": {change: resign(signing, func(r *openid.RequestObject) {
			r.VerifierInfo[0].Data = bytes.Replace(r.VerifierInfo[0].Data, []byte("Mortgage"), []byte("Marriage"), 1)
		}), want: "request"},
		"too late":              {clock: 330, want: "session_expired"},
		"before it was asked":   {clock: -600, want: "request"},
		"before the root":       {clock: 0, want: "root_unknown"},
		"another value":         {change: respond(func(p *openid.Presentation) { p.Disclosed["parcel"] = "912160000A0002" }), want: "proof_invalid"},
		"nothing disclosed":     {change: respond(func(p *openid.Presentation) { p.Disclosed = nil }), want: "disclosure_mismatch"},
		"another pseudonym":     {change: respond(func(p *openid.Presentation) { p.Pseudonym = p.Link }), want: "proof_invalid"},
		"another root":          {change: respond(func(p *openid.Presentation) { p.Root = p.Link }), want: "root_unknown"},
		"no response":           {change: func(b *offline.Bundle) { b.Response = json.RawMessage("{}") }, want: "query_mismatch"},
		"a seal of another log": {change: func(b *offline.Bundle) { b.Chain.Index-- }, want: "chain"},
	} {
		b, cfg := f.parse(t), f.config()
		if c.change != nil {
			c.change(b)
		}
		if c.clock != 0 || name == "before the root" {
			cfg.Clock = at(c.clock)
		}
		_, err := ledgertest.Must(offline.New(cfg))(t).Verify(b)
		if got := outcome(err); got != c.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, c.want, err)
		}
	}
	other := f.config()
	other.Profile.Genesis[0] ^= 1
	if _, err := ledgertest.Must(offline.New(other))(t).Verify(f.parse(t)); outcome(err) != "chain" {
		t.Errorf("another genesis: %v", err)
	}
	if _, err := ledgertest.Must(offline.New(f.config()))(t).Verify(&offline.Bundle{Version: 1}); err == nil {
		t.Error("an empty bundle is taken")
	}
	for name, change := range map[string]func(*offline.Config){
		"no genesis": func(c *offline.Config) { c.Profile.Genesis = credential.Digest{} },
		"no keys":    func(c *offline.Config) { c.VerifyingKeys = nil },
		"bad key":    func(c *offline.Config) { c.VerifyingKeys = [][]byte{f.key[1:]} },
		"bad policy": func(c *offline.Config) { c.Profile.Policy.LogKey = "" },
	} {
		cfg := f.config()
		change(&cfg)
		if _, err := offline.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzParseBundle: what is read is canonical, and whatever it is, checking it refuses or finds the kept facts.
func FuzzParseBundle(f *testing.F) {
	kept := read(f, "live")
	f.Add(kept.bundle)
	f.Add(read(f, "dev").bundle)
	f.Add(read(f, "sets").bundle)
	f.Add(bytes.Replace(kept.bundle, []byte(`"seals":[`), []byte(`"seals":["{}",`), 1))
	f.Add([]byte(strings.Replace(string(kept.bundle), `"registries":[`, `"registries":[null,`, 1)))
	f.Add([]byte(`{"chain":null,"request":"","response":null,"version":1}`))
	v, err := offline.New(kept.config())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := offline.ParseBundle(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again := ledgertest.Must(b.Bytes())(t); !bytes.Equal(again, data) {
			t.Fatal("a second spelling was read")
		}
		r, err := v.Verify(b)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if r.Genesis != kept.profile.Genesis || r.Policy != "owner" || r.Facts[0].Disclosed["parcel"] != "912160000A0001" {
			t.Errorf("%s proves %+v", data, r)
		}
	})
}
