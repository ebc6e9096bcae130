package egress

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		addr string
		ok   bool
	}{
		{"8.8.8.8", true}, {"9.255.255.255", true}, {"11.0.0.0", true}, {"100.63.255.255", true}, {"100.128.0.0", true},
		{"172.15.255.255", true}, {"172.32.0.0", true}, {"192.0.1.0", true}, {"198.17.255.255", true}, {"198.20.0.0", true},
		{"223.255.255.255", true}, {"2606:4700::1111", true}, {"2001:4860:4860::8888", true},
		{"::ffff:8.8.8.8", true}, {"64:ff9b::8.8.8.8", true}, {"2002:808:808::1", true},

		{"0.0.0.0", false}, {"0.1.2.3", false}, {"127.0.0.1", false}, {"127.255.255.254", false},
		{"10.0.0.1", false}, {"172.16.0.1", false}, {"172.31.255.255", false}, {"192.168.1.1", false},
		{"100.64.0.1", false}, {"100.127.255.255", false}, {"169.254.169.254", false},
		{"192.0.0.8", false}, {"192.0.2.1", false}, {"192.88.99.1", false}, {"198.18.0.1", false}, {"198.19.255.255", false},
		{"198.51.100.1", false}, {"203.0.113.1", false}, {"224.0.0.1", false}, {"239.255.255.255", false},
		{"240.0.0.1", false}, {"255.255.255.255", false},
		{"168.63.129.16", false}, {"::ffff:168.63.129.16", false}, {"64:ff9b::168.63.129.16", false}, {"2002:a83f:8110::1", false},
		{"168.63.129.15", true}, {"168.63.129.17", true},

		{"::", false}, {"::1", false}, {"::127.0.0.1", false}, {"::8.8.8.8", false}, {"100::1", false}, {"5f00::1", false},
		{"fc00::1", false}, {"fd12:3456::1", false}, {"fe80::1", false}, {"fe80::1%eth0", false}, {"fec0::1", false},
		{"ff02::1", false}, {"2001::1", false}, {"2001:2::1", false}, {"2001:20::1", false}, {"2001:db8::1", false},
		{"3fff::1", false}, {"4000::1", false}, {"::1%lo", false},
		{"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false}, {"::ffff:169.254.169.254", false},
		{"64:ff9b::127.0.0.1", false}, {"64:ff9b::a9fe:a9fe", false}, {"64:ff9b::10.1.1.1", false},
		{"64:ff9b:1::8.8.8.8", false}, {"2002:7f00:1::1", false}, {"2002:a9fe:a9fe::", false}, {"2002:c0a8:101::", false},
	} {
		err := Config{}.judge(netip.MustParseAddr(c.addr))
		if c.ok != (err == nil) || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want allowed %v", c.addr, err, c.ok)
		}
	}
}

func TestAllowedRanges(t *testing.T) {
	cfg := Config{Allowed: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32"), netip.MustParsePrefix("fe80::/10")}}
	for addr, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "2002:a01:203::": true, "fd00:1::9": true, "fe80::1%eth0": true,
		"10.2.0.1": false, "::ffff:10.2.0.1": false, "fd00:2::9": false, "127.0.0.1": false, "64:ff9b::10.2.0.1": false,
	} {
		if err := cfg.judge(netip.MustParseAddr(addr)); ok != (err == nil) {
			t.Errorf("%s: %v, want allowed %v", addr, err, ok)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no range":         {Allowed: []netip.Prefix{{}}},
		"bits beyond mask": {Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}},
		"mapped":           {Allowed: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
		"time-out":         {Timeout: -1},
		"length":           {MaxAnswer: -1},
		"port 0":           {Ports: []uint16{8443, 0}},
		"a port twice":     {Ports: []uint16{8443, 8443}},
		"many ports":       {Ports: make([]uint16, maxPorts+1)},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestValidateURL(t *testing.T) {
	for _, good := range []string{
		"https://example.com", "https://example.com/", "https://a.example.com:443/hook?x=1&y=%20", "https://8.8.8.8/",
		"https://[2606:4700::1111]:443/", "https://xn--fiqs8s.example/", "https://receiver/hook", "https://1.example.com/",
	} {
		if err := (Config{}).ValidateURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "x", "example.com", "//example.com/", "https:", "https://", "https:///x", "https:example.com",
		"http://example.com/", "HTTPS://example.com/", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)",
		"https://user@example.com/", "https://user:pw@example.com/", "https://@example.com/", "https://example.com@127.0.0.1/",
		"https://example.com/#x", "https://example.com/#", "https://example.com/ x", "https://example.com/\n", "https://exämple.com/",
		"https://example.com\\@127.0.0.1/", "https://EXAMPLE.com/", "https://example.com./", "https://.example.com/",
		"https://a..b/", "https://-a.example/", "https://a_b.example/", "https://a%2eb/", "https://%31/",
		"https://example.com:/", "https://example.com:0/", "https://example.com:00443/", "https://example.com:65536/",
		"https://example.com:+1/", "https://localhost/", "https://a.localhost/", "https://LOCALHOST/",
		"https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/",
		"https://0177.0.0.1/", "https://127.0.0.01/", "https://017700000001/", "https://127.0.0.1./", "https://0/",
		"https://1.2.3.4.5/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/",
		"https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/",
		"https://[2606:4700:0::1111]/", "https://[2606:4700::1111%25x]/", "https://[8.8.8.8]/", "https://[v1.x]/",
		"https://example.com:80/", "https://example.com:25/", "https://example.com:8443/", "https://8.8.8.8:8443/", "https://[2606:4700::1111]:22/",
		"https://168.63.129.16/", "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://①②⑦.0.0.1/", "https://127。0。0。1/",
		"https://" + strings.Repeat("a", maxLabel+1) + ".example/", "https://" + strings.Repeat("a.", 127) + "bc/",
		"https://example.com/" + strings.Repeat("a", maxURL),
	} {
		if err := (Config{}).ValidateURL(bad); !errors.Is(err, ErrForbidden) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	local := Config{AllowHTTP: true, Allowed: loopback}
	for _, good := range []string{"http://127.0.0.1:8080/", "http://localhost:8080/x", "https://[::1]/"} {
		if err := local.ValidateURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestPorts(t *testing.T) {
	inside := Config{Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Ports: []uint16{8443}}
	plain := Config{AllowHTTP: true}
	local := Config{AllowHTTP: true, Allowed: loopback}
	for _, c := range []struct {
		cfg Config
		url string
		ok  bool
	}{
		{inside, "https://example.com:8443/", true}, {inside, "https://8.8.8.8:8443/", true}, {inside, "https://10.1.2.3:8443/", true}, {inside, "https://10.1.2.3/", true},
		{inside, "https://example.com:8444/", false}, {inside, "https://10.1.2.3:5432/", false}, {inside, "https://10.1.2.3:80/", false}, {inside, "https://127.0.0.1:8443/", false},
		{plain, "http://example.com/", true}, {plain, "http://example.com:443/", true}, {plain, "http://example.com:8080/", false}, {Config{}, "https://example.com:80/", false},
		{local, "http://127.0.0.1:1/", true}, {local, "http://localhost:65535/", true}, {local, "https://[::1]:25/", true}, {local, "http://example.com:8080/", false},
	} {
		if err := c.cfg.ValidateURL(c.url); c.ok != (err == nil) || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want allowed %v", c.url, err, c.ok)
		}
	}
	// What is connected to is judged again, as a name does not tell.
	for address, ok := range map[string]bool{"8.8.8.8:443": true, "8.8.8.8:8443": true, "8.8.8.8:22": false, "10.1.2.3:5432": false, "127.0.0.1:8443": false} {
		if err := inside.control("tcp4", address, nil); ok != (err == nil) || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want allowed %v", address, err, ok)
		}
	}
	if err := local.control("tcp6", "[::1]:5432", nil); err != nil {
		t.Errorf("this machine, which is allowed: %v", err)
	}
}

// A name that is this machine's, asked at a port that is not allowed for names: nothing may arrive.
func TestPortOfAName(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	dns := &nameServer{answers: [][4]byte{{127, 0, 0, 1}}}
	for ports, want := range map[uint16]int32{8443: 0, portNumber(t, port): 1} {
		cfg := Config{AllowHTTP: true, Allowed: loopback, Ports: []uint16{ports}, Timeout: time.Second, MaxAnswer: 1}
		transport := cfg.transport(dns.resolver())
		client := &http.Client{Transport: &guard{cfg, transport}}
		answer, err := client.Get("http://inside.test:" + port + "/")
		if err == nil {
			answer.Body.Close()
		}
		if (err == nil) != (want == 1) || err != nil && !errors.Is(err, ErrForbidden) || asked.Load() != want {
			t.Errorf("allowed port %d: %v, %d requests arrived", ports, err, asked.Load())
		}
		asked.Store(0)
		transport.CloseIdleConnections()
	}
}

func portNumber(t *testing.T, text string) uint16 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

// The header of an answer is bounded, whichever version of HTTP it comes by, and before any of it is looked at.
func TestHeadersAreBounded(t *testing.T) {
	length := 0
	for _, second := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if (r.ProtoMajor == 2) != second {
				t.Errorf("asked by %s", r.Proto)
			}
			w.Header().Set("Padding", strings.Repeat("x", length))
		}))
		server.EnableHTTP2 = second
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		cfg := Config{Allowed: loopback, RootCAs: roots, Timeout: 10 * time.Second, MaxAnswer: 1}
		transport := cfg.transport(net.DefaultResolver)
		if !second {
			transport.ForceAttemptHTTP2 = false
		}
		client := &http.Client{Transport: &guard{cfg, transport}}
		for _, c := range []struct {
			length int
			ok     bool
		}{{0, true}, {maxHeader / 2, true}, {2 * maxHeader, false}, {64 * maxHeader, false}} {
			length = c.length
			answer, err := client.Get(server.URL)
			if err == nil {
				answer.Body.Close()
			}
			if c.ok != (err == nil) {
				t.Errorf("HTTP/2 %v, %d bytes: %v", second, c.length, err)
			}
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

// TestUnallowedLoopback asks a server that is there, by each of its spellings: nothing may arrive.
func TestUnallowedLoopback(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	client := newClient(t, Config{AllowHTTP: true})
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		_, err := client.Get("http://" + host + ":" + port + "/")
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	get(t, newClient(t, Config{AllowHTTP: true, Allowed: loopback}), server.URL)
	if asked.Load() != 1 {
		t.Error("the server cannot be reached at all: the test proves nothing")
	}
}

// TestRebinding resolves one name to an allowed address first and to a forbidden one from then on.
func TestRebinding(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	dns := &nameServer{answers: [][4]byte{{127, 0, 0, 1}, {127, 0, 0, 2}}}
	cfg := Config{AllowHTTP: true, Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: time.Second, MaxAnswer: 1}
	cfg.Ports = []uint16{portNumber(t, port)} // of a name nobody knows beforehand that it is this machine's
	transport := cfg.transport(dns.resolver())
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: &guard{cfg, transport}}
	url := "http://rebinding.test:" + port + "/"

	get(t, client, url)
	if _, err := client.Get(url); !errors.Is(err, ErrForbidden) {
		t.Errorf("after rebinding: %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests arrived, want 1", n)
	}
}

// nameServer answers each question for an IPv4 address with its next answer, the last one for ever.
type nameServer struct {
	mu      sync.Mutex
	answers [][4]byte
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // a stream: messages have their length before them
		go s.serve(theirs)
		return ours, nil
	}}
}

func (s *nameServer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := s.answer(question)
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

func (s *nameServer) answer(message []byte) []byte {
	end := 12 + bytes.IndexByte(message[12:], 0) + 5
	question := message[12:end]
	answer := append(bytes.Clone(message[:2]), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	answer = append(answer, question...)
	if question[len(question)-3] != 1 { // AAAA: there is none
		return answer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer[7] = 1
	answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
	answer = append(answer, s.answers[0][:]...)
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	if got := get(t, newClient(t, Config{AllowHTTP: true, Allowed: loopback}), server.URL); got != http.StatusTemporaryRedirect {
		t.Errorf("status %d", got)
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	client := newClient(t, Config{})
	if client.Transport.(*guard).next.(*http.Transport).Proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	length := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, length))
	}))
	defer server.Close()
	client := newClient(t, Config{AllowHTTP: true, Allowed: loopback, MaxAnswer: 100})
	for _, c := range []struct {
		length int
		want   error
	}{{0, nil}, {99, nil}, {100, nil}, {101, ErrTooLong}, {100_000, ErrTooLong}} {
		length = c.length
		answer, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if !errors.Is(err, c.want) || len(got) != min(c.length, 100) {
			t.Errorf("%d bytes: read %d, %v", c.length, len(got), err)
		}
	}
}

func TestTimeout(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush() // headers come, the body never ends
		<-stop
	}))
	defer server.Close()
	defer close(stop)
	client := newClient(t, Config{AllowHTTP: true, Allowed: loopback, Timeout: 50 * time.Millisecond})
	answer, err := client.Get(server.URL)
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	get(t, newClient(t, Config{Allowed: loopback, RootCAs: roots}), server.URL)
	if _, err := newClient(t, Config{Allowed: loopback}).Get(server.URL); err == nil {
		t.Error("a certificate of nobody was accepted")
	}
}

func newClient(t *testing.T, cfg Config) *http.Client {
	t.Helper()
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
