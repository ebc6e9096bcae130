package webapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

func TestParseProxies(t *testing.T) {
	if p, err := ParseProxies([]string{"10.1.2.0/24", "fd00::7/128", "127.0.0.1/32"}); err != nil || len(p) != 3 {
		t.Errorf("%v, %v", p, err)
	}
	for text, want := range map[string]string{
		"10.1.2.3":               "is not a prefix",
		"":                       "is not a prefix",
		"proxy.example/24":       "is not a prefix",
		"10.1.2.3/33":            "is not a prefix",
		"fe80::1%eth0/64":        "is not a prefix",
		"10.1.2.3/24":            "is written 10.1.2.0/24",
		"FD00::7/128":            "is written fd00::7/128",
		"::ffff:10.1.2.0/120":    "is written 10.1.2.0/24",
		"0.0.0.0/0":              "is everybody",
		"::/0":                   "is everybody",
		strings.Repeat("1", 999): "is not a prefix",
	} {
		if p, err := ParseProxies([]string{"10.1.2.0/24", text}); err == nil || !strings.Contains(err.Error(), want) || p != nil {
			t.Errorf("%.30q: %v, %v, want that it %s", text, p, err, want)
		}
	}
}

// Whom a request counts for, by the peer of the connection and what the headers say.
func TestClientBehindProxies(t *testing.T) {
	p, err := ParseProxies([]string{"10.0.0.0/8", "fd00::/16"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"no proxy":                         {"192.0.2.1:99", nil, "192.0.2.1:99"},
		"no proxy, spoofed":                {"192.0.2.1:99", []string{"198.51.100.7"}, "192.0.2.1:99"},
		"no proxy, spoofed proxy":          {"192.0.2.1:99", []string{"198.51.100.7, 10.0.0.1"}, "192.0.2.1:99"},
		"a proxy":                          {"10.0.0.1:99", []string{"192.0.2.1"}, "192.0.2.1:0"},
		"a proxy, spoofed":                 {"10.0.0.1:99", []string{"198.51.100.7, 192.0.2.1"}, "192.0.2.1:0"},
		"a proxy, spoofed in a line":       {"10.0.0.1:99", []string{"198.51.100.7", "192.0.2.1"}, "192.0.2.1:0"},
		"a proxy, spoofed as a proxy":      {"10.0.0.1:99", []string{"10.9.9.9, 192.0.2.1"}, "192.0.2.1:0"},
		"two proxies":                      {"10.0.0.1:99", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1:0"},
		"two proxies, spoofed":             {"10.0.0.1:99", []string{"198.51.100.7,10.0.0.3,192.0.2.1, 10.0.0.2"}, "192.0.2.1:0"},
		"a proxy that says nothing":        {"10.0.0.1:99", nil, "10.0.0.1:0"},
		"a proxy that says an empty line":  {"10.0.0.1:99", []string{""}, "10.0.0.1:0"},
		"a proxy that says unknown":        {"10.0.0.1:99", []string{"192.0.2.1, unknown"}, "10.0.0.1:0"},
		"two proxies, one says unknown":    {"10.0.0.1:99", []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2:0"},
		"an office's own proxy asks":       {"10.0.0.1:99", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3:0"},
		"with a port":                      {"10.0.0.1:99", []string{"192.0.2.1:4711"}, "192.0.2.1:0"},
		"IPv6":                             {"[fd00::1]:99", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		"IPv6 with a port":                 {"[fd00::1]:99", []string{"[2001:db8::1]:4711"}, "[2001:db8::1]:0"},
		"IPv6 in brackets":                 {"[fd00::1]:99", []string{"[2001:db8::1]"}, "[2001:db8::1]:0"},
		"IPv6 in another spelling":         {"[fd00::1]:99", []string{"2001:DB8:0::1"}, "[2001:db8::1]:0"},
		"IPv4 in IPv6 is one client":       {"[::ffff:10.0.0.1]:99", []string{"::ffff:192.0.2.1"}, "192.0.2.1:0"},
		"zones are no clients":             {"[fd00::1%eth0]:99", []string{"fe80::1%anything"}, "[fe80::1]:0"},
		"no address":                       {"@", []string{"192.0.2.1"}, "@"},
		"a peer next to the proxies":       {"11.0.0.1:99", []string{"192.0.2.1"}, "11.0.0.1:99"},
		"a header of tabs and blanks only": {"10.0.0.1:99", []string{" \t"}, "10.0.0.1:0"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.headers
		var got string
		p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(nil, r)
		if got != c.want || r.RemoteAddr != c.peer {
			t.Errorf("%s: counts for %s, want %s", name, got, c.want)
		}
		Proxies(nil).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(nil, r)
		if got != c.peer {
			t.Errorf("%s: without trusted proxies it counts for %s", name, got)
		}
	}
}

// Whatever stands left of the hop that the proxy added changes nothing.
func FuzzForwardedFor(f *testing.F) {
	p, err := ParseProxies([]string{"10.0.0.0/8", "fd00::/16"})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "198.51.100.7", "10.0.0.2, 10.0.0.3", "[fd00::1]:1,fd00::2%eth0", "unknown, _hidden", ",,,", "::ffff:10.0.0.1"} {
		f.Add(text)
	}
	for _, long := range fuzztest.Long([]byte("10.0.0.2, 10.0.0.3")) {
		f.Add(string(long))
	}
	f.Fuzz(func(t *testing.T, said string) {
		if got := p.client("10.0.0.1:99", []string{said + ", 192.0.2.1"}); got != "192.0.2.1:0" {
			t.Errorf("%q in front: %s", said, got)
		}
		if got := p.client("192.0.2.1:99", []string{said}); got != "192.0.2.1:99" {
			t.Errorf("%q of a stranger: %s", said, got)
		}
		if _, err := netip.ParseAddrPort(p.client("10.0.0.1:99", []string{said})); err != nil {
			t.Errorf("%q: %v", said, err)
		}
	})
}
