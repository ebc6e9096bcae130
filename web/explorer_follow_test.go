package web

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// stream follows the overview, as a browser does.
type stream struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	leave  context.CancelFunc
}

func (x *town) followLive(t *testing.T, after string) *stream {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	r := ledgertest.Must(http.NewRequestWithContext(ctx, http.MethodGet, x.server.URL+"/explore/live/events?lang=en", nil))(t)
	r.Header.Set("Last-Event-ID", after)
	answer := ledgertest.Must(http.DefaultClient.Do(r))(t)
	t.Cleanup(func() { answer.Body.Close() })
	return &stream{t, answer, bufio.NewScanner(answer.Body), leave}
}

// next is the next event: its id and its data.
func (s *stream) next() (id, data string) {
	s.t.Helper()
	var lines []string
	for s.lines.Scan() {
		line := s.lines.Text()
		if after, ok := strings.CutPrefix(line, "id: "); ok {
			id = after
		}
		if after, ok := strings.CutPrefix(line, "data: "); ok {
			lines = append(lines, after)
		}
		if line == "" && id != "" {
			return id, strings.Join(lines, "\n")
		}
	}
	s.t.Fatalf("the stream ends: %v", s.lines.Err())
	return "", ""
}

// Followers get the newest state, what comes then, and nothing again that they have; of whom there is a bound.
func TestExplorerFollow(t *testing.T) {
	x := newTown(t)
	first := x.followLive(t, "")
	tag, data := first.next()
	live, body := x.get("/live?lang=en", english)
	if data+"\n" != body && data != body || tag != live.Header.Get("ETag") {
		t.Errorf("the stream has %s, asking gives %s", tag, live.Header.Get("ETag"))
	}
	if cache := first.answer.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
		t.Errorf("Cache-Control %q", cache)
	}
	resumed := x.followLive(t, tag)
	x.Apply(ledgertest.LandDID, x.Land, entry.CredentialsRevoked{Leaves: []uint64{9}})
	x.Seal(ledgertest.Start + 6*3600)
	x.sync()
	for _, s := range []*stream{first, resumed} {
		if next, data := s.next(); next == tag || !strings.Contains(data, `data-key="e19"`) || !strings.Contains(data, `href="./entry/19?lang=en"`) {
			t.Errorf("%s: %s", next, data)
		}
	}
	for range maxFollowersPerClient - 2 {
		x.followLive(t, "")
	}
	full := x.followLive(t, "")
	if full.answer.StatusCode != http.StatusServiceUnavailable || full.answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", full.answer.Status)
	}
	first.leave()
	for x.followLive(t, "").answer.StatusCode != http.StatusOK { // its place becomes free
		if t.Context().Err() != nil {
			t.Fatal("no place becomes free")
		}
	}
}
