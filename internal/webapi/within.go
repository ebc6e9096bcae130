package webapi

import (
	"bytes"
	"io"
	"maps"
	"net/http"
)

// Within is a transport to a handler in this process. The answer comes as a whole.
type Within struct{ Handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t Within) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := NewRecorded()
	t.Handler.ServeHTTP(answer, arrived(r))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := responseOf(r, answer.Status, answer.header, io.NopCloser(&answer.Body))
	response.ContentLength = int64(answer.Body.Len())
	return response, nil
}

// arrived is a request as a server gets it.
func arrived(r *http.Request) *http.Request {
	request := r.Clone(r.Context())
	request.RequestURI = r.URL.RequestURI()
	if request.Body == nil {
		request.Body = http.NoBody
	}
	return request
}

func responseOf(r *http.Request, status int, header http.Header, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: body, ContentLength: -1, Request: r,
	}
}

// Recorded is an answer of a handler that is looked at before it is given.
type Recorded struct {
	Status int
	Body   bytes.Buffer
	header http.Header
}

// NewRecorded is an answer of nothing yet.
func NewRecorded() *Recorded { return &Recorded{Status: http.StatusOK, header: make(http.Header)} }

// Header implements [http.ResponseWriter].
func (a *Recorded) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *Recorded) WriteHeader(status int) { a.Status = status }

// Write implements [http.ResponseWriter].
func (a *Recorded) Write(p []byte) (int, error) { return a.Body.Write(p) }

// Release gives the answer.
func (a *Recorded) Release(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body.Bytes()) // who asked may be gone
}

// StreamWithin is a transport to a handler in this process, whose answer is read while the handler goes on. The handler must not panic:
// gin's engines of ours do not.
type StreamWithin struct{ Handler http.Handler }

// RoundTrip implements [http.RoundTripper]. Closing the answer's body ends what the handler writes.
func (t StreamWithin) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	s := &stream{header: make(http.Header), to: writer, begun: make(chan int, 1)}
	go func() {
		t.Handler.ServeHTTP(s, arrived(r))
		s.WriteHeader(http.StatusOK) // if it said nothing
		_ = writer.Close()
	}()
	select {
	case status := <-s.begun:
		return responseOf(r, status, s.sent, reader), nil
	case <-r.Context().Done():
		_ = reader.Close()
		return nil, r.Context().Err()
	}
}

// stream passes on what a handler says. One goroutine writes.
type stream struct {
	header http.Header
	sent   http.Header
	to     *io.PipeWriter
	begun  chan int
}

func (s *stream) Header() http.Header { return s.header }

func (s *stream) WriteHeader(status int) {
	if s.sent == nil {
		s.sent = s.header.Clone()
		s.begun <- status
	}
}

func (s *stream) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return s.to.Write(p)
}

// Flush implements [http.Flusher]: nothing is held back.
func (s *stream) Flush() { s.WriteHeader(http.StatusOK) }
