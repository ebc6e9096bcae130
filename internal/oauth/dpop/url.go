package dpop

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const maxURL = 2048 // bytes

// sameURL compares htu with the URL of a request.
//
// SPEC: section 4.3, 9: htu matches the request's URI without query and fragment; syntax-based and scheme-based
// normalisation (RFC 3986 sections 6.2.2, 6.2.3) should be employed.
func sameURL(claimed, own string) error {
	a, err := normalise(claimed)
	if err != nil {
		return fmt.Errorf("htu: %w", err)
	}
	b, err := normalise(own)
	if err != nil {
		return fmt.Errorf("the request's own URL: %w", err)
	}
	if a != b {
		return errors.New("htu is another URL")
	}
	return nil
}

// normalise writes an http or https URL in one way, without query and fragment.
func normalise(text string) (string, error) {
	if len(text) > maxURL {
		return "", fmt.Errorf("URL of %d bytes, at most %d", len(text), maxURL)
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", errors.New("not an absolute URL without a user")
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > 0x7e || !unreserved(byte(r)) && !strings.ContainsRune(":[]", r) }) {
		return "", errors.New("not a plain host") // an IPv6 zone, an escape, a name that is not in its ASCII form
	}
	scheme := strings.ToLower(u.Scheme)
	port, ok := map[string]string{"https": "443", "http": "80"}[scheme]
	if !ok {
		return "", errors.New("neither https nor http")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":"+port), ":")
	return scheme + "://" + host + normalPath(u.EscapedPath()), nil
}

// normalPath removes dot segments and unescapes what needs no escape. A slash at the end stays, and so do two in a row:
// those are other paths.
func normalPath(escaped string) string {
	escaped = unescapeUnreserved(escaped)
	var out []string
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// unescapeUnreserved decodes the escapes of letters, digits and -._~ and writes others in upper case.
func unescapeUnreserved(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			out.WriteByte(s[i])
			continue
		}
		c, ok := unhex(s[i+1], s[i+2])
		switch {
		case ok && unreserved(c):
			out.WriteByte(c)
		default:
			out.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return out.String()
}

func unhex(high, low byte) (byte, bool) {
	digits := "0123456789abcdef"
	h := strings.IndexByte(digits, high|0x20)
	l := strings.IndexByte(digits, low|0x20)
	return byte(h<<4 | l), h >= 0 && l >= 0
}

func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// origin is what nonces are kept for: scheme, host and port.
func origin(target string) (string, error) {
	text, err := normalise(target)
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host, nil
}
