package client

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A reader that takes gzip must not be filled up by it.
func TestCompressedBodiesAreBounded(t *testing.T) {
	zip := func(body []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(body)
		_ = z.Close()
		return out.Bytes()
	}
	text := []byte("one and one and one")
	for name, test := range map[string]struct {
		encoding string
		body     []byte
		want     bool
	}{
		"plain":             {"", text, true},
		"gzip":              {"gzip", zip(text), true},
		"a bomb":            {"gzip", zip(make([]byte, 10<<20)), false},
		"endless members":   {"gzip", bytes.Repeat(zip(nil), 10_000), false},
		"cut short":         {"gzip", zip(text)[:20], false},
		"not gzip at all":   {"gzip", text, false},
		"an unknown coding": {"br", text, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if test.encoding != "" {
				w.Header().Set("Content-Encoding", test.encoding)
			}
			_, _ = w.Write(test.body)
		}))
		f, err := newFetcher(server.URL, nil, Limits{}.orDefaults())
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.get(t.Context(), "/x", 100, 0)
		if (err == nil) != test.want || test.want && !bytes.Equal(got, text) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		server.Close()
	}
}

func TestNotKeptIsToldApart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":"not-kept"}`)
	}))
	defer server.Close()
	f, err := newFetcher(server.URL, nil, Limits{}.orDefaults())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.get(t.Context(), "/active/4/x", 100, 0); !errors.Is(err, ErrNotKept) {
		t.Error(err)
	}
}
