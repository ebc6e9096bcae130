package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxURL   = 2048
	maxName  = 253 // RFC 1035
	maxLabel = 63
)

// ValidateURL says whether a URL is one to store and call: https (or http, where that is allowed), with a name or an
// address that is allowed, and a port that is, in the one spelling that every reader understands alike. A name that it accepts can still lead
// to a forbidden address: only the client can tell, when it connects. Errors wrap [ErrForbidden] and quote nothing.
func (cfg Config) ValidateURL(text string) error {
	if len(text) > maxURL {
		return refuse("URL is longer than %d bytes", maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return refuse("URL has spaces, control characters, backslashes or characters beyond ASCII")
	}
	u, err := url.Parse(text)
	if err != nil {
		return refuse("URL is malformed") // the cause would quote it
	}
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && cfg.AllowHTTP):
		return refuse("URL is not https")
	case u.Opaque != "" || u.Host == "":
		return refuse("URL has no host")
	case u.User != nil:
		return refuse("URL has a user")
	case strings.Contains(text, "#"):
		return refuse("URL has a fragment")
	case u.String() != text:
		return refuse("URL is not in its one spelling")
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	if err := cfg.validateHost(u); err != nil {
		return err
	}
	return cfg.validatePort(u, port)
}

// portOf is the port that a URL leads to.
func portOf(u *url.URL) (uint16, error) {
	port := u.Port()
	switch {
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return 0, refuse("port is empty")
	case port == "" && u.Scheme == "http":
		return httpPort, nil
	case port == "":
		return httpsPort, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return 0, refuse("port is not one in its one spelling")
	}
	return uint16(n), nil
}

// validatePort judges a port as far as the URL tells whose it is. The name of this machine was accepted only where its loopback is allowed.
func (cfg Config) validatePort(u *url.URL, port uint16) error {
	addr, err := netip.ParseAddr(u.Hostname())
	switch host := u.Hostname(); {
	case err == nil:
		return cfg.judgePort(addr, port)
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return nil
	case !cfg.allowsPort(port):
		return refuse("port is not one that we call")
	}
	return nil
}

func (cfg Config) validateHost(u *url.URL) error {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		switch {
		case addr.Zone() != "":
			return refuse("address has a zone")
		case addr.String() != host || addr.Is4In6() || addr.Is6() != strings.HasPrefix(u.Host, "["):
			return refuse("address is not in its one spelling")
		}
		return cfg.judge(addr)
	}
	if strings.HasPrefix(u.Host, "[") {
		return refuse("host in brackets is no address")
	}
	return cfg.validateName(host)
}

// validateName takes names as DNS has them, in lower case. What ends in a number is refused: some resolvers read
// 2130706433, 127.1 and 0x7f.1 as addresses.
func (cfg Config) validateName(name string) error {
	if len(name) > maxName {
		return refuse("name is longer than %d bytes", maxName)
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return refuse("name is not one of DNS in lower case")
		}
	}
	last := labels[len(labels)-1]
	if last[0] >= '0' && last[0] <= '9' {
		return refuse("name ends in a number")
	}
	if last == "localhost" && !cfg.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) && !cfg.allows(netip.IPv6Loopback()) {
		return refuse("name is this machine's")
	}
	return nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

func refuse(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrForbidden)...)
}
