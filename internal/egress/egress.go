// Package egress is an HTTP client for addresses that somebody else chose, as those of webhooks are. Whoever chooses one
// must not reach through us what only we can reach: our own machine, its network, a cloud's metadata service. So the
// address is judged when the connection is made, after the name was resolved: a name that resolves to a good address
// when it is stored and to another one later (rebinding) gains nothing.
package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// ErrForbidden is wrapped by every refusal of an address or URL.
var ErrForbidden = errors.New("address is not one we call")

// ErrTooLong is what reading an answer ends with that is longer than allowed.
var ErrTooLong = errors.New("answer is too long")

// Bounds of an exchange, where Config names no others.
const (
	defaultTimeout   = 15 * time.Second
	defaultMaxAnswer = 64 << 10
	maxHeader        = 16 << 10
	connectTimeout   = 5 * time.Second
	idleTimeout      = 60 * time.Second
	idlePerHost      = 8
)

const (
	httpsPort = 443
	httpPort  = 80
	maxPorts  = 16
)

// Config says whom a client may call. The zero value allows https to port 443 of public addresses.
type Config struct {
	// Allowed are ranges that may be called though they are not public, for example a cluster's own network. An IPv4 range
	// covers the IPv6 spellings of its addresses, too.
	Allowed []netip.Prefix
	// Ports may be called besides 443 and, where http is allowed, 80: so that nobody speaks through us to a mail server or a database, nor
	// learns which are there. Loopback has no such limit where it is allowed.
	Ports     []uint16
	AllowHTTP bool           // plain http besides https
	Timeout   time.Duration  // of a whole exchange, reading the answer included; 15 s if 0
	MaxAnswer int64          // bytes of an answer's body; 64 KiB if 0
	RootCAs   *x509.CertPool // whom servers' certificates must come from; the system's if nil
}

// Validate refuses what could not be meant.
func (cfg Config) Validate() error {
	for _, prefix := range cfg.Allowed {
		if !prefix.IsValid() || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return fmt.Errorf("allowed range %s is not a range in its one spelling", prefix)
		}
	}
	if len(cfg.Ports) > maxPorts {
		return fmt.Errorf("%d ports, at most %d", len(cfg.Ports), maxPorts)
	}
	for i, port := range cfg.Ports {
		if port == 0 || slices.Contains(cfg.Ports[:i], port) {
			return fmt.Errorf("port %d is 0 or stands twice", port)
		}
	}
	if cfg.Timeout < 0 || cfg.MaxAnswer < 0 {
		return errors.New("time-out and length of an answer must not be negative")
	}
	return nil
}

// New makes a client. It follows no redirects (the caller gets the answer that redirects), uses no proxy of the
// environment, since a proxy would resolve names out of our sight, and keeps no cookies.
func New(cfg Config) (*http.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxAnswer == 0 {
		cfg.MaxAnswer = defaultMaxAnswer
	}
	return &http.Client{
		Transport:     &guard{cfg, cfg.transport(net.DefaultResolver)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       cfg.Timeout,
	}, nil
}

func (cfg Config) transport(resolver *net.Resolver) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: cfg.control, Resolver: resolver}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  cfg.Timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idlePerHost,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a small answer must not become a great one
		ForceAttemptHTTP2:      true,
	}
}

// control is asked by the dialer for every address it is about to connect to, names being resolved already.
func (cfg Config) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network is not TCP: %w", ErrForbidden)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address is not numeric: %w", ErrForbidden)
	}
	if err := cfg.judge(at.Addr()); err != nil {
		return err
	}
	return cfg.judgePort(at.Addr(), at.Port())
}

// guard holds each request to the rules for URLs, and each answer to its length.
type guard struct {
	cfg  Config
	next http.RoundTripper
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.cfg.ValidateURL(r.URL.String()); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	answer, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &bounded{answer.Body, g.cfg.MaxAnswer}
	return answer, nil
}

// CloseIdleConnections is what http.Client looks for.
func (g *guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// bounded reads a body of at most left bytes, and then says [ErrTooLong] rather than that it ended.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLong
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more, to tell an answer that just fits from one that is too long
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, ErrTooLong
	}
	return n, err
}
