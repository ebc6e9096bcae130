package officers_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/officers"
)

// A text signs in nobody but whom a link of ours is for.
func FuzzLink(f *testing.F) {
	seed := newWorld(f)
	link := must(seed.Links().SignIn(chen))(f)
	f.Add(link)
	f.Add(" " + link[strings.Index(link, "#"):] + "\n")
	f.Add(must(seed.Links().Invitation(chen))(f))
	f.Add("#x.y.z")
	f.Add(strings.Repeat("#", 5000))
	f.Fuzz(func(t *testing.T, text string) {
		w := newWorld(t)
		own := must(w.Links().SignIn(chen))(t)
		if strings.Contains(text, own) {
			return
		}
		for _, try := range []func() error{
			func() error { _, err := w.Whom(text); return err },
			func() error { _, err := w.Redeem(text); return err },
			func() error { _, _, err := w.BeginJoin(text); return err },
		} {
			err := try()
			if fuzztest.Refused(t, err); !errors.Is(err, officers.ErrLink) {
				t.Errorf("an error of another kind: %v", err)
			}
		}
		if len(w.notes) > 0 {
			t.Errorf("%v", w.notes)
		}
	})
}

// What a browser answers signs in nobody, and adds no passkey, unless a device of theirs made it for this challenge.
func FuzzPasskey(f *testing.F) {
	seed := newWorld(f)
	d, _ := seed.joined(chen)
	f.Add(d.get(f, must(seed.BeginSignIn())(f)))
	_, options, err := seed.BeginJoin(must(seed.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(newDevice(f).create(f, options))
	f.Add([]byte(`{}`))
	w := newWorld(f)
	w.joined(chen)
	invitation := must(w.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(f)
	f.Fuzz(func(t *testing.T, answer []byte) {
		_, err := w.SignIn(answer)
		if fuzztest.Refused(t, err); !errors.Is(err, officers.ErrPasskey) {
			t.Errorf("an error of another kind: %v", err)
		}
		_, err = w.Join(invitation, "laptop", json.RawMessage(answer))
		if fuzztest.Refused(t, err); !errors.Is(err, officers.ErrPasskey) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}
