package verifier

import (
	"errors"
	"net/url"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/verifier/check"
)

// A form is read as it was meant, or refused; it never fails in another way.
func FuzzParseForm(f *testing.F) {
	f.Add("vp_token=%7B%7D&state=x")
	f.Add("error=access_denied&state=x&error_description=no")
	f.Add("state=x&state=y&vp_token=1")
	f.Add("vp_token=1;state=x")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, body string) {
		r, err := parseForm(body)
		if err != nil {
			var refusal *check.Refusal
			if !errors.As(err, &refusal) || refusal.Code != check.Malformed {
				t.Fatal(err)
			}
			fuzztest.Refused(t, err)
			return
		}
		form := url.Values{"state": {r.State}}
		if r.Error != "" {
			form.Set("error", r.Error)
		} else {
			form.Set("vp_token", string(r.Token))
		}
		again, err := parseForm(form.Encode())
		if err != nil || again.State != r.State || again.Error != r.Error || string(again.Token) != string(r.Token) {
			t.Fatalf("%q reads as %+v, which reads as %+v: %v", body, r, again, err)
		}
	})
}
