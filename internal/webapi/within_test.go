package webapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/webapi"
)

// A handler in this process hears and says what it would over a connection.
func TestWithin(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Method", r.Method+" "+r.RequestURI)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "you said %s", text)
	})
	for name, transport := range map[string]http.RoundTripper{"whole": webapi.Within{Handler: echo}, "stream": webapi.StreamWithin{Handler: echo}} {
		client := &http.Client{Transport: transport}
		response, err := client.Post("http://within.invalid/path?q=1", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(name, err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusTeapot || string(text) != "you said hello" || response.Header.Get("X-Method") != "POST /path?q=1" {
			t.Errorf("%s: %d, %q, %v", name, response.StatusCode, text, err)
		}
	}
}

// A streamed answer is read while the handler goes on, and the handler notices that nobody reads any longer.
func TestStreamWithin(t *testing.T) {
	next, gone := make(chan bool), make(chan error, 1)
	client := &http.Client{Transport: webapi.StreamWithin{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "first")
		<-next
		fmt.Fprintln(w, "second")
		<-next
		_, err := fmt.Fprintln(w, "third")
		gone <- err
	})}}
	response, err := client.Get("http://within.invalid/")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{"first\n", "second\n"} {
		line, err := lines.ReadString('\n')
		if err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
		if want == "first\n" {
			next <- true
		}
	}
	response.Body.Close()
	next <- true
	if <-gone == nil {
		t.Error("the handler wrote on to nobody")
	}
}

// Who does not wait for an answer is let go.
func TestStreamWithinCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan bool)
	defer close(release)
	client := &http.Client{Transport: webapi.StreamWithin{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-release })}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://within.invalid/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(request); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
