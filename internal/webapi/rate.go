package webapi

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"
)

// ClientOf is what clients are told apart by: the address that a request comes from or, for IPv6, the network of 64 bits, as one customer
// has all of it. Behind a proxy that is the proxy, unless it is trusted to say for whom it asks ([Proxies]). Requests without an address
// are one client's.
func ClientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address, err := netip.ParseAddr(host)
	if err != nil || address.Unmap().Is4() {
		return host
	}
	network, err := address.Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}

// RateConfig is how much a client may ask for. The zero value sets no limit.
type RateConfig struct {
	PerSecond int `json:"per_second"`
	Burst     int `json:"burst"` // at once, after a rest
}

// Validate checks that something gets through.
func (c RateConfig) Validate() error {
	if c != (RateConfig{}) && (c.PerSecond < 1 || c.Burst < 1) {
		return fmt.Errorf("a rate of %d a second and %d at once lets nobody in: both are at least 1", c.PerSecond, c.Burst)
	}
	return nil
}

// maxRated is how many clients have a count of their own. When there are more, new ones share one until others have rested.
const maxRated = 1 << 16

// sweepPause is how often counts of clients that rested are forgotten.
const sweepPause = time.Second

// Rate bounds how often each client asks. It is safe for concurrent use.
type Rate struct {
	cfg   RateConfig
	clock func() time.Time

	mu      sync.Mutex
	clients map[string]*rate.Limiter
	others  *rate.Limiter // of those who found no room
	swept   time.Time
}

// NewRate makes one; clock is time.Now in production.
func NewRate(cfg RateConfig, clock func() time.Time) *Rate {
	r := &Rate{cfg: cfg, clock: clock, clients: make(map[string]*rate.Limiter)}
	r.others = r.fresh()
	return r
}

func (r *Rate) fresh() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(r.cfg.PerSecond), r.cfg.Burst)
}

// Limit is a middleware: a client that asks too often is told 429, and in Retry-After when to come back.
func (r *Rate) Limit(c *gin.Context) {
	if r.refuses(c.Writer, c.Request) {
		Refuse(c, NewProblem(http.StatusTooManyRequests, "rate", "too many requests from your network: wait as long as Retry-After says"))
	}
}

// Handler is Limit for what people open in a browser.
func (r *Rate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.refuses(w, request) {
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, request)
	})
}

// refuses counts a request, or says in the header when to come back.
func (r *Rate) refuses(w http.ResponseWriter, request *http.Request) bool {
	wait := r.take(ClientOf(request))
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	return wait > 0
}

// take counts a request, or returns how long to wait.
func (r *Rate) take(client string) time.Duration {
	if r.cfg == (RateConfig{}) {
		return 0
	}
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	counted := r.of(client, now).ReserveN(now, 1)
	wait := counted.DelayFrom(now)
	if wait > 0 {
		counted.CancelAt(now)
	}
	return wait
}

func (r *Rate) of(client string, now time.Time) *rate.Limiter {
	if l, ok := r.clients[client]; ok {
		return l
	}
	if len(r.clients) >= maxRated && now.Sub(r.swept) >= sweepPause {
		r.swept = now
		for name, l := range r.clients {
			if l.TokensAt(now) >= float64(r.cfg.Burst) { // as one that is new
				delete(r.clients, name)
			}
		}
	}
	if len(r.clients) >= maxRated {
		return r.others
	}
	l := r.fresh()
	r.clients[client] = l
	return l
}
