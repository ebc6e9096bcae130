package openid

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
)

// ParseAddress reads an address that a wallet may talk to or send somebody to: absolute, in its one spelling, over https or
// on this machine, without user and fragment.
func ParseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.String() != text {
		return nil, fmt.Errorf("%.200q is not a plain absolute URL", text)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return u, nil
	}
	return nil, fmt.Errorf("%.200q is neither https nor on this machine", text)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// LiesUnder tells whether an address is below a registered one, which ends in a slash. Paths that a server could read in
// another way (dots, escapes, backslashes) lie nowhere.
func LiesUnder(u *url.URL, registered string) bool {
	prefix, err := url.Parse(registered)
	if err != nil || u.Scheme != prefix.Scheme || u.Host != prefix.Host || u.RawPath != "" || strings.ContainsAny(u.Path, "%\\;") {
		return false
	}
	clean := path.Clean(u.Path)
	return (clean == u.Path || clean+"/" == u.Path) && strings.HasPrefix(u.Path, prefix.Path) && strings.HasSuffix(prefix.Path, "/")
}
