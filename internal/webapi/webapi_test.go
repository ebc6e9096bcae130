package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/jose"
)

func authority(t *testing.T, now *time.Time) *Authority {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{Key: key, Issuer: "https://a.example", Audience: "https://a.example/api", Clock: func() time.Time { return *now }}
}

func server(t *testing.T, a *Authority, log io.Writer) *httptest.Server {
	t.Helper()
	e := Engine(slog.New(slog.NewTextHandler(log, nil)), 64)
	e.GET("/panic", func(*gin.Context) { panic("a secret in a panic") })
	e.POST("/echo", a.Require("echo"), func(c *gin.Context) {
		body, ok := Body(c)
		if ok {
			c.JSON(http.StatusOK, gin.H{"client": Client(c), "length": len(body)})
		}
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s
}

func TestRequire(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := authority(t, &now)
	s := server(t, a, io.Discard)
	good, err := a.Issue("clerk", []string{"echo", "other"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	narrow, _ := a.Issue("clerk", []string{"other"}, time.Minute)
	stranger := authority(t, &now)
	forged, _ := stranger.Issue("clerk", []string{"echo"}, time.Minute)
	elsewhere := *a
	elsewhere.Audience = "https://a.example/other"
	foreign, _ := elsewhere.Issue("clerk", []string{"echo"}, time.Minute)
	result, _ := jose.SignCompact(a.Key, "", "presentation-result+jwt", map[string]any{"iss": a.Issuer, "aud": a.Audience, "scope": "echo", "exp": now.Unix() + 60})

	for name, c := range map[string]struct {
		token, code string
		at          time.Duration
	}{
		"good": {good, "", 0}, "none": {"", "token-missing", 0}, "garbage": {"x.y.z", "token-invalid", 0},
		"scope": {narrow, "scope-missing", 0}, "another key": {forged, "token-invalid", 0}, "another audience": {foreign, "token-invalid", 0},
		"another type": {result, "token-invalid", 0}, "expired": {good, "token-invalid", time.Minute}, "future": {good, "token-invalid", -2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			began := now
			now = now.Add(c.at)
			defer func() { now = began }()
			var answer struct {
				Client string `json:"client"`
				Length int    `json:"length"`
			}
			err := Call(t.Context(), http.MethodPost, s.URL+"/echo", c.token, "hello", &answer)
			var problem *Problem
			switch {
			case c.code == "" && (err != nil || answer.Client != "clerk" || answer.Length != len(`"hello"`)):
				t.Errorf("answer %+v, %v", answer, err)
			case c.code != "" && (!errors.As(err, &problem) || problem.Code != c.code):
				t.Errorf("error %v, want %s", err, c.code)
			}
		})
	}
}

func TestSchemeIsCaseInsensitive(t *testing.T) {
	now := time.Now()
	a := authority(t, &now)
	s := server(t, a, io.Discard)
	token, _ := a.Issue("clerk", []string{"echo"}, time.Minute)
	for header, want := range map[string]int{"bearer " + token: 200, "BEARER " + token: 200, "Basic " + token: 401, token: 401, "Bearer": 401} {
		request, _ := http.NewRequest(http.MethodPost, s.URL+"/echo", strings.NewReader("x"))
		request.Header.Set("Authorization", header)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%.10q: %d, want %d", header, response.StatusCode, want)
		}
	}
}

func TestBodyIsBounded(t *testing.T) {
	now := time.Now()
	a := authority(t, &now)
	s := server(t, a, io.Discard)
	token, _ := a.Issue("clerk", []string{"echo"}, time.Minute)
	var problem *Problem
	if err := Call(t.Context(), http.MethodPost, s.URL+"/echo", token, strings.Repeat("x", 63), nil); !errors.As(err, &problem) || problem.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("65 bytes: %v", err)
	}
}

func TestPanicSaysNothing(t *testing.T) {
	now := time.Now()
	var log bytes.Buffer
	s := server(t, authority(t, &now), &log)
	var problem *Problem
	err := Call(t.Context(), http.MethodGet, s.URL+"/panic", "", nil, nil)
	if !errors.As(err, &problem) || problem.Code != "internal" {
		t.Errorf("panic: %v", err)
	}
	if log.Len() == 0 || strings.Contains(log.String(), "secret") {
		t.Errorf("log: %s", &log)
	}
}

func TestUnknownPathsAreProblems(t *testing.T) {
	now := time.Now()
	s := server(t, authority(t, &now), io.Discard)
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/nowhere", 404}, {"GET", "/echo", 405}} {
		request, _ := http.NewRequest(c.method, s.URL+c.path, nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var p Problem
		if err := json.NewDecoder(response.Body).Decode(&p); err != nil || p.Status != c.status || response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %+v, %v, %s", c.method, c.path, p, err, response.Header.Get("Content-Type"))
		}
	}
}

// A running request is finished when the server stops.
func TestServeStopsCleanly(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	inside, release := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(inside)
			<-release
			_, _ = io.WriteString(w, "done")
		}))
	}()
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-inside
	stop()
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("the running request got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}
