package office

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/verifier"
)

// party is a relying party's key store.
type party struct {
	t       *testing.T
	dir     string
	secrets *keystore.Store
}

func newParty(t *testing.T) *party {
	dir := filepath.Join(t.TempDir(), "city")
	makeKeys(t, dir, Verifier, "did:web:city.example")
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return &party{t, dir, secrets}
}

// serve is the ring as a service has it that starts at a time.
func (p *party) serve(at time.Time) (now, next string, retired []string) {
	p.t.Helper()
	var cfg verifier.Config
	if err := openResultKeys(p.secrets, &cfg, at); err != nil {
		p.t.Fatal(err)
	}
	for _, r := range cfg.RetiredResultKeys {
		retired = append(retired, r.Key.KeyID())
	}
	return cfg.ResultKey.Public().KeyID(), cfg.NextResultKey.KeyID(), retired
}

func (p *party) renew(at time.Time) {
	p.t.Helper()
	if err := renewResult(p.secrets, at); err != nil {
		p.t.Fatal(err)
	}
}

// A renewal moves each key of the ring on by one place; the old one is kept until what it signed is over, counted from when
// the office served again, as it may have served meanwhile.
func TestKeysOfResults(t *testing.T) {
	p, start := newParty(t), time.Now()
	first, second, retired := p.serve(start)
	if first == second || len(retired) != 0 {
		t.Fatalf("%s, %s, %v", first, second, retired)
	}
	if again, next, _ := p.serve(start); again != first || next != second {
		t.Error("the ring is another after a restart")
	}
	if err := RenewKey(p.dir, passphrase, "result"); err != nil {
		t.Fatal(err)
	}
	refused(t, RenewKey(p.dir, passphrase, "result"), "applications may not have the next key yet")
	served := start.Add(10 * time.Hour)
	now, third, retired := p.serve(served)
	if now != second || third == first || third == second || !slices.Equal(retired, []string{first}) {
		t.Errorf("%s, %s, %v", now, third, retired)
	}
	p.renew(start.Add(11 * time.Hour))
	if now, _, retired := p.serve(served.Add(verifier.RetiredFor(verifier.DefaultResultLifetime) - time.Second)); now != third || !slices.Equal(retired, []string{first, second}) {
		t.Errorf("%s, %v", now, retired)
	}
	if _, _, retired := p.serve(served.Add(verifier.RetiredFor(verifier.DefaultResultLifetime))); !slices.Equal(retired, []string{second}) {
		t.Errorf("retired %v", retired)
	}
	if err := ReplaceResultKeys(p.dir, passphrase); err != nil {
		t.Fatal(err)
	}
	if a, b, retired := p.serve(start); len(retired) != 0 || a == b || slices.ContainsFunc([]string{first, second, third}, func(k string) bool { return k == a || k == b }) {
		t.Errorf("replaced: %s, %s, %v", a, b, retired)
	}
	land := filepath.Join(t.TempDir(), "land")
	makeKeys(t, land, Issuer, "did:web:land.example")
	refused(t, ReplaceResultKeys(land, passphrase), "has no such key")
}

// A renewal that breaks off anywhere loses no key that signed, and the next one goes on.
func TestRenewalOfResultsBreaksOff(t *testing.T) {
	for name, serves := range map[string]bool{"renewed at once": false, "served before": true} {
		// After the old key was noted.
		p, at := newParty(t), time.Now()
		first, second, _ := p.serve(at)
		current, err := signer(p.secrets, resultKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := retireResult(p.secrets, current.Public(), at); err != nil {
			t.Fatal(err)
		}
		if serves {
			if now, next, retired := p.serve(at); now != first || next != second || len(retired) != 0 {
				t.Errorf("%s: %s, %s, %v", name, now, next, retired)
			}
			at = at.Add(time.Hour)
		}
		p.renew(at)
		if now, next, retired := p.serve(at); now != second || next == second || !slices.Equal(retired, []string{first}) {
			t.Errorf("%s: %s, %s, %v", name, now, next, retired)
		}
		// After the next one began.
		at = at.Add(time.Hour)
		second, third, _ := p.serve(at)
		if current, err = signer(p.secrets, resultKey); err == nil {
			err = retireResult(p.secrets, current.Public(), at)
		}
		if err != nil {
			t.Fatal(err)
		}
		secret, err := p.secrets.Get(nextResult)
		if err == nil {
			err = p.secrets.Put(resultKey, secret)
		}
		if err != nil {
			t.Fatal(err)
		}
		if serves {
			p.serve(at)
		} else {
			p.renew(at)
		}
		now, next, retired := p.serve(at)
		if now != third || next == third || !slices.Contains(retired, second) {
			t.Errorf("%s: %s, %s, %v", name, now, next, retired)
		}
		if serves { // its next key is new, too
			refused(t, renewResult(p.secrets, at.Add(time.Minute)), "applications may not have the next key yet")
		}
	}
}

// An office of before has no next key: it gets one when it serves, and renews later.
func TestKeysOfResultsOfBefore(t *testing.T) {
	p, at := newParty(t), time.Now()
	if err := p.secrets.Delete(nextResult); err != nil {
		t.Fatal(err)
	}
	refused(t, renewResult(p.secrets, at), "let the office serve")
	_, next, _ := p.serve(at)
	refused(t, renewResult(p.secrets, at.Add(time.Minute)), "applications may not have the next key yet")
	p.renew(at.Add(verifier.ResultKeysCached))
	if now, _, retired := p.serve(at); now != next || len(retired) != 1 {
		t.Errorf("%s, %v", now, retired)
	}
	if err := p.secrets.Put(retiredResults, []byte(`{"renewed":1,"retired":[{}]`)); err != nil {
		t.Fatal(err)
	}
	refused(t, openResultKeys(p.secrets, new(verifier.Config), at), "damaged")
	if key, err := signer(p.secrets, nextResult); err != nil || key.Public().Algorithm() != jose.ES256 {
		t.Errorf("%v", err)
	}
}
