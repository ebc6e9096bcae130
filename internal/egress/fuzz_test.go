package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// FuzzValidateURL demands that what is accepted has one spelling, one host, no user, the port of https, and no forbidden address.
func FuzzValidateURL(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if err := (Config{}).ValidateURL(text); err != nil {
			fuzztest.Refused(t, err)
			if !errors.Is(err, ErrForbidden) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.String() != text || u.Scheme != "https" || u.User != nil || u.Hostname() == "" || u.Port() != "" && u.Port() != "443" {
			t.Fatalf("%q was accepted", text)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && public(addr) != nil {
			t.Errorf("%q leads to a forbidden address", text)
		}
	})
}
