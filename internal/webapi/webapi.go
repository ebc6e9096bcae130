// Package webapi is the HTTP plumbing that the roles share: RFC 9457 problems, access tokens (RFC 9068),
// body limits, and a server with time limits that stops cleanly.
package webapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Problem is an RFC 9457 problem. Code is stable and for programs; Detail is for people and never quotes an inner
// error of ours.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Error makes a problem a Go error, so that handlers can return one.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// NewProblem makes a problem.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Refuse ends a request with a problem.
func Refuse(c *gin.Context, p *Problem) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(p.Status, p)
}

// Engine is a gin engine without gin's own output, that recovers panics as problems, sends safe headers and bounds
// request bodies.
func Engine(logger *slog.Logger, maxBody int64) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, reason any) {
		// The reason may quote a request: log its type only.
		logger.ErrorContext(c, "handler panicked", "path", c.FullPath(), "type", fmt.Sprintf("%T", reason))
		Refuse(c, NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
	}))
	e.Use(func(c *gin.Context) {
		c.Header("X-Content-Type-Options", "nosniff")
		c.Header("Referrer-Policy", "no-referrer")
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	})
	e.NoRoute(func(c *gin.Context) {
		Refuse(c, NewProblem(http.StatusNotFound, "not-found", "there is nothing at this path"))
	})
	e.NoMethod(func(c *gin.Context) {
		Refuse(c, NewProblem(http.StatusMethodNotAllowed, "method", "this path does not answer that method"))
	})
	return e
}

// Body reads the whole request body, or answers with a problem and returns false.
func Body(c *gin.Context) ([]byte, bool) {
	body, err := io.ReadAll(c.Request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		Refuse(c, NewProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body may have %d bytes", tooLarge.Limit)))
		return nil, false
	case err != nil:
		Refuse(c, NewProblem(http.StatusBadRequest, "body", "the body could not be read"))
		return nil, false
	}
	return body, true
}

// Listen opens a TCP listener on an address such as 127.0.0.1:0.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

type closingKey struct{}

// Closing is closed when the server of a request's context stops, so that answers that may take long can end. It is nil
// for requests of other servers.
func Closing(ctx context.Context) <-chan struct{} {
	closing, _ := ctx.Value(closingKey{}).(chan struct{})
	return closing
}

// Serve answers on l until ctx ends, then lets running requests finish for up to five seconds.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	closing := make(chan struct{})
	server.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), closingKey{}, closing)
	}
	server.RegisterOnShutdown(func() { close(closing) })
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return fmt.Errorf("stop serving on %s: %w", l.Addr(), err)
	}
	return nil
}
