package webapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

func TestClientOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "[::ffff:192.0.2.1]:80": "::ffff:192.0.2.1", "@": "",
	} {
		if got := ClientOf(&http.Request{RemoteAddr: address}); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

// A client has its burst, then its rate; refused requests cost nothing, and other clients are not held up.
func TestRate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := NewRate(RateConfig{PerSecond: 2, Burst: 3}, func() time.Time { return now })
	e := gin.New()
	e.GET("/", r.Limit, func(c *gin.Context) { c.Status(http.StatusOK) })
	testRate(t, &now, e)
	now = time.Unix(1_800_000_000, 0)
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	testRate(t, &now, NewRate(RateConfig{PerSecond: 2, Burst: 3}, func() time.Time { return now }).Handler(page))
}

func testRate(t *testing.T, now *time.Time, e http.Handler) {
	t.Helper()
	ask := func(client string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.RemoteAddr = client
		w := httptest.NewRecorder()
		e.ServeHTTP(w, request)
		return w
	}
	const client, other = "192.0.2.1:1", "192.0.2.2:1"
	for range 3 {
		if w := ask(client); w.Code != http.StatusOK {
			t.Fatalf("in its burst: %d", w.Code)
		}
	}
	for range 5 {
		if w := ask(client); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if w := ask(other); w.Code != http.StatusOK {
		t.Errorf("another client: %d", w.Code)
	}
	*now = now.Add(500 * time.Millisecond)
	if first, next := ask(client), ask(client); first.Code != http.StatusOK || next.Code != http.StatusTooManyRequests {
		t.Errorf("half a second later: %d, then %d", first.Code, next.Code)
	}
}

// More clients than there is room for share one count; those that rested make room.
func TestRateOfACrowd(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := NewRate(RateConfig{PerSecond: 1, Burst: 1}, func() time.Time { return now })
	for i := range maxRated {
		if r.take(fmt.Sprint(i)) != 0 {
			t.Fatalf("client %d waits", i)
		}
	}
	if r.take("late") != 0 || r.take("later") == 0 || len(r.clients) != maxRated {
		t.Error("those without room do not share one count")
	}
	now = now.Add(2 * time.Second)
	if r.take("late") != 0 || r.take("later") != 0 || len(r.clients) != 2 {
		t.Errorf("%d clients after a rest", len(r.clients))
	}
}

func TestRateConfig(t *testing.T) {
	if r := NewRate(RateConfig{}, time.Now); r.take("a") != 0 || len(r.clients) != 0 {
		t.Error("no limit counts")
	}
	for _, bad := range []RateConfig{{PerSecond: 1}, {Burst: 1}, {PerSecond: -1, Burst: 1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is good", bad)
		}
	}
	for _, good := range []RateConfig{{}, {PerSecond: 1, Burst: 1}} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
}
