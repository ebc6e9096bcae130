package verifier_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
)

// stalled is a ledger that keeps whoever looks for a root.
type stalled struct {
	verifier.Ledger
	waiting atomic.Int32
	release chan struct{}
}

func (s *stalled) RegistryAt(ctx context.Context, seal entry.Seal) (*entry.Registry, error) {
	s.waiting.Add(1)
	<-s.release
	return s.Ledger.RegistryAt(ctx, seal)
}

var _ verifier.Ledger = (*client.Client)(nil)

// counted is a body that counts what is read of it.
type counted struct {
	io.Reader
	read atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what + " did not happen in 10 s")
}

// A verifier that has as much to do as it takes on says so before it reads anything, and forgets nothing of what it has.
func TestOverload(t *testing.T) {
	w := newWorld(t)
	slow := &stalled{Ledger: w.ledger, release: make(chan struct{})}
	cfg := w.config()
	cfg.Ledger, cfg.Responses = slow, 3
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.verifier, w.handler = v, v.Handler()
	list := w.postings("subsidy", 4)
	codes := make(chan int, 3)
	for _, p := range list[:3] {
		go func() { codes <- w.call("POST", p.path, "", formType, p.form).Code }()
	}
	eventually(t, "all places taken", func() bool { return slow.waiting.Load() == 3 })
	for range 50 {
		body := &counted{Reader: strings.NewReader(list[3].form)}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, list[3].path, body)
		r.Header.Set("Content-Type", formType)
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		if e := decode[openid.Error](t, out, http.StatusServiceUnavailable); e.Code != "unavailable" || out.Header().Get("Retry-After") == "" || body.read.Load() > 0 {
			t.Fatalf("%+v %v, %d bytes read", e, out.Header(), body.read.Load())
		}
	}
	if w.call("GET", "/healthz", "", "", "").Code != http.StatusOK {
		t.Error("health is not told under load")
	}
	close(slow.release)
	for range 3 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one that was let in: %d", code)
		}
	}
	if r := w.call("POST", list[3].path, "", formType, list[3].form); r.Code != http.StatusOK {
		t.Errorf("sent again: %d %s", r.Code, r.Body)
	}
	if bodies, places := v.Held(); bodies != 0 || places != 0 {
		t.Errorf("%d bytes and %d places are kept", bodies, places)
	}
}

// Bodies have a bound together, of what has arrived and not of what was announced.
func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t)
	p := w.postings("subsidy", 1)[0]
	w.verifier.Impatient(time.Minute, 256<<10)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	var bodies []*io.PipeWriter
	send := func(bytes int) {
		r, body := io.Pipe()
		bodies = append(bodies, body)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+p.path, r)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = 150 << 10
		go func() {
			if answer, err := http.DefaultClient.Do(request); err == nil {
				answer.Body.Close()
			}
		}()
		if _, err := io.WriteString(body, strings.Repeat("x", bytes)); err != nil {
			t.Error(err)
		}
	}
	for range 8 { // who only announces holds nothing
		send(16)
	}
	if r := w.call("POST", p.path, "", formType, "state=x&error=x"); r.Code != http.StatusBadRequest {
		t.Fatalf("beside slow ones: %d", r.Code)
	}
	send(140 << 10)
	send(100 << 10)
	eventually(t, "bodies that wait", func() bool { held, _ := w.verifier.Held(); return held >= 230<<10 })
	if r := w.call("POST", p.path, "", formType, p.form+"&x="+strings.Repeat("x", 40<<10)); r.Code != http.StatusServiceUnavailable || r.Header().Get("Retry-After") == "" {
		t.Errorf("beyond the bound: %d", r.Code)
	}
	if held, _ := w.verifier.Held(); held > 256<<10 {
		t.Errorf("%d bytes are held", held)
	}
	for _, body := range bodies {
		_ = body.CloseWithError(io.ErrUnexpectedEOF)
	}
	eventually(t, "nothing held", func() bool { held, _ := w.verifier.Held(); return held == 0 })
	if r := w.call("POST", p.path, "", formType, p.form); r.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s", r.Code, r.Body)
	}
}

// Wallets that send their bodies drop by drop are cut off, hinder nobody meanwhile, and leave nothing behind.
func TestSlowBodies(t *testing.T) {
	w := newWorld(t)
	list := w.postings("subsidy", 2)
	w.verifier.Impatient(300*time.Millisecond, 1<<20)
	listener, err := webapi.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- webapi.Serve(ctx, listener, w.handler) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	before := runtime.NumGoroutine()
	var slow []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\nstate=", list[0].path, formType)
		slow = append(slow, c)
	}
	if r := w.call("POST", list[1].path, "", formType, list[1].form); r.Code != http.StatusOK {
		t.Errorf("beside slow ones: %d", r.Code)
	}
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("a slow one hears nothing: %v", err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Fatalf("a slow one is told %d", answer.StatusCode)
		}
		c.Close()
	}
	eventually(t, "all slow ones left", func() bool {
		held, _ := w.verifier.Held()
		return held == 0 && runtime.NumGoroutine() <= before+5
	})
	w.verifier.Impatient(time.Minute, 1<<20)
	server := "http://" + listener.Addr().String()
	r, err := http.Post(server+list[0].path, formType, strings.NewReader(list[0].form)) // one that is not slow, on a connection that is kept
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", r, err)
	}
	r.Body.Close()
}

// hostile is what no wallet of good will posts, and what it is answered.
type hostile struct {
	path, body string
	status     int
}

// costLittle posts them: each is refused before a proof is looked at, and what is read of it and allocated for it is bounded.
func (w *world) costLittle(t *testing.T, posts map[string]hostile) {
	t.Helper()
	for name, c := range posts {
		body := &counted{Reader: strings.NewReader(c.body)}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, body)
		r.Header.Set("Content-Type", formType)
		out := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.handler.ServeHTTP(out, r)
		runtime.ReadMemStats(&after)
		if out.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, out.Code, out.Body, c.status)
		}
		if read := body.read.Load(); read > verifier.MaxForm+1 {
			t.Errorf("%s: %d bytes were read", name, read)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 12<<20 {
			t.Errorf("%s: %d bytes were allocated", name, allocated)
		} else {
			t.Logf("%s: %d KiB allocated", name, allocated>>10)
		}
	}
	if s := w.verifier.Proofs(); s.Alone+s.Batched > 0 {
		t.Errorf("a proof was looked at: %+v", s)
	}
	if bodies, places := w.verifier.Held(); bodies != 0 || places != 0 {
		t.Errorf("%d bytes and %d places are kept", bodies, places)
	}
}

func TestHostileResponsesCostLittle(t *testing.T) {
	w := newWorld(t)
	_, request, id := w.begin("residence")
	path, state := "/oid4vp/responses/"+id, "state="+url.QueryEscape(request.State)+"&vp_token="
	w.costLittle(t, map[string]hostile{
		"a huge body":                 {path, strings.Repeat("x", 64<<20), http.StatusRequestEntityTooLarge},
		"many parameters":             {path, strings.Repeat("a=&", verifier.MaxForm/3), http.StatusBadRequest},
		"a huge token":                {path, state + strings.Repeat("%20", openid.MaxResponse+1), http.StatusBadRequest},
		"lists in lists":              {path, state + strings.Repeat("[", openid.MaxResponse), http.StatusBadRequest},
		"objects in objects":          {path, state + url.QueryEscape(strings.Repeat(`{"a":`, openid.MaxResponse/5)), http.StatusBadRequest},
		"many queries":                {path, state + url.QueryEscape("{"+strings.Repeat(`"a":[],`, 9000)+`"b":[]}`), http.StatusBadRequest},
		"many presentations":          {path, state + url.QueryEscape(`{"residence":[`+strings.Repeat(`{},`, 20_000)+`{}]}`), http.StatusBadRequest},
		"a number of many digits":     {path, state + url.QueryEscape(`{"residence":[{"n":`+strings.Repeat("9", 60_000)), http.StatusBadRequest},
		"no such request":             {"/oid4vp/responses/x", state + "{}", http.StatusNotFound},
		"no such request, deep":       {"/oid4vp/responses/x", state + strings.Repeat("[", openid.MaxResponse), http.StatusNotFound},
		"another state, and deep":     {path, "state=x&vp_token=" + strings.Repeat("[", openid.MaxResponse), http.StatusBadRequest},
		"an encrypted one, malformed": {path, "response=" + strings.Repeat("e.", 30_000), http.StatusBadRequest},
	})
}

// Encrypted responses are no way around that: neither messages that do not decrypt, nor hostile ones that do.
func TestHostileEncryptedResponsesCostLittle(t *testing.T) {
	w, _ := encrypting(t)
	_, request, id := w.begin("residence")
	key, err := request.ResponseKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(payload string) string {
		text, err := jose.Encrypt(*key, "A128GCM", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	message := func(header, key, nonce, content, tag string) string {
		return strings.Join([]string{header, key, nonce, content, tag}, ".")
	}
	good := strings.Split(sealed("{}"), ".")
	deep := strings.Repeat("[", openid.MaxResponse-100)
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	posts := make(map[string]hostile)
	for name, text := range map[string]string{
		"four parts":                 strings.Join(good[:4], "."),
		"many parts":                 strings.Repeat(".", openid.MaxResponse),
		"a huge header":              message(b64(strings.Repeat(" ", openid.MaxResponse)), "", good[2], good[3], good[4]),
		"a deep header":              message(b64(strings.Repeat("[", 3000)), "", good[2], good[3], good[4]),
		"a header of another":        message(b64(`{"alg":"dir","enc":"A128GCM"}`), "", good[2], good[3], good[4]),
		"a wrapped key":              message(good[0], b64(strings.Repeat("k", 40)), good[2], good[3], good[4]),
		"a long nonce":               message(good[0], "", b64(strings.Repeat("n", 1000)), good[3], good[4]),
		"another nonce":              message(good[0], "", b64(strings.Repeat("n", 12)), good[3], good[4]),
		"a short tag":                message(good[0], "", good[2], good[3], good[4][:8]),
		"another content":            message(good[0], "", good[2], b64(strings.Repeat("x", 40_000)), good[4]),
		"content without end":        message(good[0], "", good[2], strings.Repeat("A", openid.MaxResponse*4/3), good[4]),
		"decrypts to nothing":        sealed(""),
		"decrypts to text":           sealed("x"),
		"decrypts to lists in lists": sealed(deep),
		"decrypts to a deep token":   sealed(`{"state":"` + request.State + `","vp_token":` + deep),
		"decrypts to many queries":   sealed(`{"state":"` + request.State + `","vp_token":{` + strings.Repeat(`"a":[],`, 9000) + `"b":[]}}`),
		"decrypts to two states":     sealed(`{"state":"a","state":"` + request.State + `","vp_token":{}}`),
		"decrypts to a deep state":   sealed(`{"state":` + deep),
	} {
		posts[name] = hostile{"/oid4vp/responses/" + id, "response=" + url.QueryEscape(text), http.StatusBadRequest}
	}
	w.costLittle(t, posts)
}

// A client that asks too often is told when to come back; others are served.
func TestWalletRate(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.WalletRate = webapi.RateConfig{PerSecond: 1, Burst: 3}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(address string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oid4vp/responses/x", strings.NewReader("state=x&error=x"))
		r.Header.Set("Content-Type", formType)
		r.RemoteAddr = address
		out := httptest.NewRecorder()
		v.Handler().ServeHTTP(out, r)
		return out
	}
	handler := v.Handler()
	for i := range 5 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/oid4vp/requests/x", nil)
		r.RemoteAddr = "192.0.2.1:1000"
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		if limited := out.Code == http.StatusTooManyRequests; limited != (i >= 3) || limited && out.Header().Get("Retry-After") == "" {
			t.Errorf("request %d: %d", i, out.Code)
		}
	}
	if out := ask("192.0.2.2:1000"); out.Code != http.StatusNotFound {
		t.Errorf("another client: %d", out.Code)
	}
}

// Bad proofs cost their sender, not those who come at the same time: an honest crowd among them is verified, whole.
func TestBadProofsAmongGood(t *testing.T) {
	w := newWorld(t)
	list := w.postings("subsidy", 64)
	mallory := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("subsidy")
	bad := w.answer(request, mallory)
	bad["residence"][0].Proof = tamper(bad["residence"][0].Proof)
	spoilt := posting{"", "/oid4vp/responses/" + id, url.Values{"vp_token": {string(encode(t, bad))}, "state": {request.State}}.Encode()}
	server := httptest.NewServer(w.handler)
	defer server.Close()
	all := append(list, spoilt, spoilt, spoilt, spoilt)
	codes := together(len(all), func(i int) error {
		return w.verifier.Respond(t.Context(), strings.TrimPrefix(all[i].path, "/oid4vp/responses/"), responseOf(t, all[i], fmt.Sprint(min(i, len(list)))))
	})
	if codes["ok"] != 64 || codes["proof_invalid"] != 4 {
		t.Errorf("%v", codes)
	}
	if s := w.verifier.Proofs(); s.Bad != 4 {
		t.Errorf("%+v", s)
	}
}

func responseOf(t *testing.T, p posting, client string) verifier.Response {
	t.Helper()
	values, err := url.ParseQuery(p.form)
	if err != nil {
		t.Error(err)
	}
	return verifier.Response{State: values.Get("state"), Token: []byte(values.Get("vp_token")), Client: client}
}
