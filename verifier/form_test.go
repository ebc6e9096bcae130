package verifier

import (
	"errors"
	"net/url"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/verifier/check"
)

func readBody(body string) (Response, error) {
	values, err := parseForm(body)
	if err != nil {
		return Response{}, err
	}
	return responseOf(values)
}

// A form is read as it was meant, or refused; it never fails in another way.
func FuzzParseForm(f *testing.F) {
	f.Add("vp_token=%7B%7D&state=x")
	f.Add("error=access_denied&state=x&error_description=no")
	f.Add("state=x&state=y&vp_token=1")
	f.Add("vp_token=1;state=x")
	f.Add("response=a.b.c.d.e")
	f.Add("response=a.b.c.d.e&vp_token=1&state=x")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, body string) {
		r, err := readBody(body)
		if err != nil {
			var refusal *check.Refusal
			if !errors.As(err, &refusal) || refusal.Code != check.Malformed {
				t.Fatal(err)
			}
			fuzztest.Refused(t, err)
			return
		}
		form := url.Values{"state": {r.State}}
		switch {
		case r.Encrypted:
			form = url.Values{"response": {string(r.Token)}}
		case r.Error != "":
			form.Set("error", r.Error)
		default:
			form.Set("vp_token", string(r.Token))
		}
		again, err := readBody(form.Encode())
		if err != nil || again.Encrypted != r.Encrypted || again.State != r.State || again.Error != r.Error || string(again.Token) != string(r.Token) {
			t.Fatalf("%q reads as %+v, which reads as %+v: %v", body, r, again, err)
		}
	})
}
