package demo

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/web/browsertest"
)

// proving is how long the proof took that the page says it sent.
func (p page) proving() time.Duration {
	p.t.Helper()
	milliseconds := browsertest.Evaluate[string](p.Browser, `document.querySelector("[data-proving]").dataset.proving`)
	n, err := strconv.Atoi(milliseconds)
	if err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(n) * time.Millisecond
}

// counted passes the wallet's page on and counts the bytes of its answers.
func counted(t *testing.T, origin string) (address string, sent *atomic.Int64) {
	at, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	sent = new(atomic.Int64)
	proxy := httputil.NewSingleHostReverseProxy(at)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy.ServeHTTP(counting{w, sent}, r) }))
	t.Cleanup(server.Close)
	return server.URL, sent
}

type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c counting) Write(data []byte) (int, error) {
	c.sent.Add(int64(len(data)))
	return c.ResponseWriter.Write(data)
}

// TestWalletSpeed measures the wallet's page in Chromium, on a machine with nothing else to do: `make bench-browser`. BULLA_ROUNDS is how many
// proofs it makes with no helper and with as many as the browser would have, in turns.
func TestWalletSpeed(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("BULLA_ROUNDS"))
	if err != nil || rounds < 1 || rounds > 100 {
		t.Skip("a measurement: make bench-browser")
	}
	n, err := Start(t.Context(), Config{Dir: t.TempDir(), Passphrase: "test", WorkFactor: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	address, sent := counted(t, n.Wallet)
	p := page{browsertest.Open(t), t}
	n.Wallet = address
	p.Screen(390, false)
	p.create(n)
	t.Logf("first load: interactive after %s, %d bytes", p.interactive(), sent.Swap(0))
	p.receive(n)
	p.prove(n)
	t.Logf("first proof: %d bytes more", sent.Swap(0))
	for range 3 {
		p.Open(address + "/?lang=en")
		p.at("unlock")
		t.Logf("repeat load: interactive after %s, %d bytes", p.interactive(), sent.Swap(0))
	}
	measured := map[string][]time.Duration{}
	for range rounds {
		for _, helpers := range []string{"0", "undefined"} { // undefined is what the browser would have
			p.Open(address + "/?lang=en")
			p.at("unlock")
			browsertest.Evaluate[any](p.Browser, `{ const post = Worker.prototype.postMessage;
				Worker.prototype.postMessage = function (message, ...more) { if (message.start) message.start.helpers = `+helpers+`; return post.call(this, message, ...more); } }`)
			p.fill("passphrase", ourPassphrase)
			p.submit("passphrase") // the worker that runs has the browser's number: lock ends it
			p.at("home")
			p.press("Lock")
			p.at("unlock")
			p.fill("passphrase", ourPassphrase)
			p.submit("passphrase")
			p.at("home")
			p.asked(n)
			time.Sleep(3 * time.Second) // that a person reads
			begin := time.Now()
			p.press("Prove it")
			p.at("answered")
			measured["proving, helpers "+helpers] = append(measured["proving, helpers "+helpers], p.proving())
			measured["consent to answered, helpers "+helpers] = append(measured["consent to answered, helpers "+helpers], time.Since(begin))
		}
	}
	cores := browsertest.Evaluate[int](p.Browser, "navigator.hardwareConcurrency")
	for name, times := range measured {
		slices.Sort(times)
		t.Logf("%s: median %s of %d, %s to %s; %d cores", name, times[len(times)/2].Round(time.Millisecond), len(times), times[0].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond), cores)
	}
	p.WantNoErrors()
}

// interactive is when the page that is open could be used.
func (p page) interactive() time.Duration {
	p.t.Helper()
	milliseconds := browsertest.Evaluate[float64](p.Browser, `performance.getEntriesByName("interactive")[0].startTime`)
	return time.Duration(milliseconds * float64(time.Millisecond)).Round(time.Millisecond)
}
