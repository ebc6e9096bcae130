package issuer

import (
	"net/url"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// An issuer's URL has one spelling, and claims do not travel in clear under it.
func FuzzURL(f *testing.F) {
	for _, text := range []string{
		"https://agency.example/agencies/land", "http://127.0.0.1:8101", "http://localhost/a", "http://agency.example", "https://agency.example/", "https://a/b?c",
		"https://u@a", "https://a/%2e", "https://a/..", "http://127.0.0.1.example", "https://A", "https://a:/", strings.Repeat("x", fuzztest.MaxError),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURL(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if clean, err := url.JoinPath(text); err != nil || clean != text && clean != text+"/" {
			t.Errorf("%q is %q to others, %v", text, clean, err)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.String() != text || strings.HasSuffix(text, "/") || strings.ContainsAny(text, "?#@% \\\"") || u.Scheme != "https" && !strings.HasPrefix(text, "http://") {
			t.Errorf("%q is taken for an issuer's URL", text)
		}
	})
}
