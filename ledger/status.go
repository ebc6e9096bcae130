package ledger

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Status is how the log is doing, for operators and their monitors. It holds nothing secret.
type Status struct {
	Ready    bool   `json:"ready"`
	Problem  string `json:"problem,omitempty"` // why it is not ready, and what to do
	Entries  uint64 `json:"entries"`           // in the newest signed checkpoint
	Covered  uint64 `json:"published"`         // entries in the published checkpoint
	LastSeal string `json:"last_seal"`         // time; of genesis before the first
	// ClockBehindSeconds is by how much our clock is behind the last seal, beyond the skew: nothing is sealed meanwhile.
	ClockBehindSeconds int64       `json:"clock_behind_seconds"`
	Scrub              ScrubStatus `json:"scrub"`
}

// ScrubStatus is what the scrub found, and how far it is.
type ScrubStatus struct {
	Running     bool   `json:"running"`
	Entries     uint64 `json:"entries"` // compared in this pass, or in the last one
	Of          uint64 `json:"of"`
	LastPass    string `json:"last_pass,omitempty"` // when the last pass ended that found everything in order
	NeedsRepair string `json:"needs_repair,omitempty"`
}

// ErrClock is in what [Log.Ready] returns while the clock is behind the last seal.
var ErrClock = errors.New("the clock is behind the last seal")

// Ready tells whether the log takes entries and seals them; the error says why not.
func (l *Log) Ready() error {
	select {
	case <-l.stopped:
		return l.stopError()
	default:
	}
	if s, ok := l.cfg.Store.(interface{ Err() error }); ok { // a store can break by itself, behind the scenes
		if err := s.Err(); err != nil {
			return err
		}
	}
	if missing := l.cosigners.hearings.missing(); missing > 0 {
		return fmt.Errorf("%w: %d more must, or the ledger may have been put back to an earlier day; entries wait until then", ErrUnheard, missing)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if behind := l.clockBehind(l.cfg.Now()); behind > 0 {
		return fmt.Errorf("%w by %s: entries are taken, but nothing is sealed until it has caught up", ErrClock, behind.Round(time.Second))
	}
	return nil
}

// Status is how the log is doing as of now.
func (l *Log) Status() Status {
	problem := l.Ready()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{
		Ready: problem == nil, Entries: l.head.size, Covered: l.published.size,
		LastSeal:           credential.UnixTimeOf(l.clock.sealed).String(),
		ClockBehindSeconds: int64(l.clockBehind(l.cfg.Now()) / time.Second), Scrub: l.scrub,
	}
	switch {
	case problem == nil:
	case errors.Is(problem, ErrClock), errors.Is(problem, ErrUnheard):
		s.Problem = problem.Error()
	case l.scrub.NeedsRepair != "":
		s.Problem = l.scrub.NeedsRepair + ". " + repairAdvice
	default:
		s.Problem = "it takes no entries; its log says why"
	}
	return s
}

// getStatus answers GET /v1/status: always 200, as it could be asked.
func (l *Log) getStatus(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, l.Status())
}

// getReady answers GET /readyz.
func (l *Log) getReady(c *gin.Context) {
	err := l.Ready()
	switch {
	case err == nil:
		c.String(http.StatusOK, "ready\n")
	case errors.Is(err, ErrClock):
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "clock", err.Error()))
	case errors.Is(err, ErrUnheard):
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "cosigners", err.Error()))
	default:
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "stopped", "the ledger takes no entries; its log says why"))
	}
}
