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

	"github.com/gin-gonic/gin"
)

func server(t *testing.T, log io.Writer) *httptest.Server {
	t.Helper()
	e := Engine(slog.New(slog.NewTextHandler(log, nil)), 64)
	e.GET("/panic", func(*gin.Context) { panic("a secret in a panic") })
	e.POST("/echo", func(c *gin.Context) {
		body, ok := Body(c)
		if ok {
			c.JSON(http.StatusOK, gin.H{"length": len(body), "token": c.GetHeader("Authorization")})
		}
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s
}

func TestCall(t *testing.T) {
	var answer struct {
		Length int    `json:"length"`
		Token  string `json:"token"`
	}
	if err := Call(t.Context(), http.MethodPost, server(t, io.Discard).URL+"/echo", "t", "hello", &answer); err != nil || answer.Length != len(`"hello"`) || answer.Token != "Bearer t" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestBodyIsBounded(t *testing.T) {
	s := server(t, io.Discard)
	var problem *Problem
	if err := Call(t.Context(), http.MethodPost, s.URL+"/echo", "", strings.Repeat("x", 63), nil); !errors.As(err, &problem) || problem.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("65 bytes: %v", err)
	}
}

func TestPanicSaysNothing(t *testing.T) {
	var log bytes.Buffer
	s := server(t, &log)
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
	s := server(t, io.Discard)
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
