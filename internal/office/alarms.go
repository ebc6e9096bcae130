package office

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
)

// Alarms tell an operator in time what expires or wears out, and say what keeps the office from its work: /readyz has them by name, and
// metrics have the figures behind them. doc/operations.md has a table of all.

// lead is how long before its end something is warned of.
const lead = 30 * 24 * time.Hour

// Alarm is something that an operator should look at.
type Alarm struct {
	Name   string     `json:"name"`
	Detail string     `json:"detail"`
	Until  *time.Time `json:"until,omitempty"` // when it ends, or ended

	problem bool // the office cannot do its work
}

func warning(name, format string, args ...any) Alarm {
	return Alarm{Name: name, Detail: fmt.Sprintf(format, args...)}
}

func problem(name, format string, args ...any) Alarm {
	return Alarm{Name: name, Detail: fmt.Sprintf(format, args...), problem: true}
}

// expiry is the alarm of something that is good until end; nil while that is far off.
func expiry(name, what string, end, now time.Time) []Alarm {
	if end.Sub(now) > lead {
		return nil
	}
	a := warning(name, "%s ends at %s", what, end.UTC().Format(time.RFC3339))
	if !now.Before(end) {
		a = problem(name, "%s ended at %s", what, end.UTC().Format(time.RFC3339))
	}
	a.Until = &end
	return []Alarm{a}
}

// check looks at one thing.
type check func(now time.Time) []Alarm

// alarms looks at everything: what keeps the office from its work, and what will or might.
func (s *Service) alarms() (problems, warnings []Alarm) {
	problems, warnings = []Alarm{}, []Alarm{}
	now := s.clock()
	for _, look := range s.checks {
		for _, a := range look(now) {
			if a.problem {
				problems = append(problems, a)
			} else {
				warnings = append(warnings, a)
			}
		}
	}
	return problems, warnings
}

// watchCertificate looks at what TLS serves.
func (s *Service) watchCertificate(end time.Time) {
	s.checks = append(s.checks, func(now time.Time) []Alarm { return expiry("certificate", "the TLS certificate", end, now) })
	s.gauge("bulla_certificate_expiry_timestamp_seconds", "When the TLS certificate that is served ends.", func() float64 { return timestamp(end) })
}

// endOf is when the first of a certificate and those that it brings along ends.
func endOf(chain tls.Certificate) (end time.Time, err error) {
	for _, der := range chain.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return end, err
		}
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end, nil
}

// timestamp is a time as Prometheus has it; one that is not known is none, so that no rule takes it for long ago.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return math.NaN()
	}
	return float64(t.UnixMilli()) / 1000
}

// lookEvery is how often the chain is looked at for alarms.
const lookEvery = time.Minute

// chainWatch is what was last seen of the chain, and whether somebody showed us another.
type chainWatch struct {
	chain  *client.Client
	every  time.Duration
	logger *slog.Logger
	bad    atomic.Bool
}

// run looks at the chain now and then, whether or not the role has a reason to.
func (w *chainWatch) run(ctx context.Context) error {
	for {
		_, err := w.chain.Update(ctx)
		w.bad.Store(client.IsBad(err))
		if err != nil && ctx.Err() == nil {
			w.logger.WarnContext(ctx, "the chain could not be read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.every):
		}
	}
}

// sealed is the time of the newest seal that was seen; zero if none was.
func (w *chainWatch) sealed() time.Time {
	if v := w.chain.Latest(); v != nil {
		return v.At().Time
	}
	return time.Time{}
}

// alarms are those that every reader of the chain has. A ledger that stands still is none of our faults, and clerks can go on.
func (w *chainWatch) alarms(now time.Time) []Alarm {
	if w.bad.Load() {
		return []Alarm{problem("chain", "the ledger shows another chain than before, or one that too few cosigners signed: the log says which")}
	}
	v := w.chain.Latest()
	if v == nil {
		return []Alarm{warning("chain", "the chain was not read since the start")}
	}
	longest := time.Duration(v.Genesis.SealMaximumSeconds) * time.Second
	if age := v.At().Age(now); age > 2*longest+time.Minute {
		return []Alarm{warning("chain", "the newest seal is %s old, and there should be one every %s: nothing takes effect meanwhile", age.Round(time.Second), longest)}
	}
	return nil
}

// watchChain adds the alarms of a reader of the chain. look gets what was seen.
func (s *Service) watchChain(chain *client.Client, o Options, look func(v *client.View, now time.Time) []Alarm) {
	w := &chainWatch{chain: chain, every: o.lookEvery, logger: o.logger()}
	if w.every <= 0 {
		w.every = lookEvery
	}
	s.work = append(s.work, w.run)
	s.checks = append(s.checks, func(now time.Time) []Alarm {
		list := w.alarms(now)
		if v := chain.Latest(); v != nil {
			list = append(list, look(v, now)...)
		}
		return list
	})
	s.gauge("bulla_chain_seal_timestamp_seconds", "Time of the newest seal that was seen.", func() float64 { return timestamp(w.sealed()) })
}

// readyAnswer is what /readyz answers: to a problem of RFC 9457, if there is one, it adds what is wrong.
type readyAnswer struct {
	*webapi.Problem
	Ready    bool    `json:"ready"`
	Problems []Alarm `json:"problems"`
	Warnings []Alarm `json:"warnings"`
}

// withAlarms answers /readyz below a path for the role: as it does while it is not ready by itself, else with the alarms.
func (s *Service) withAlarms(path string, role http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || r.Method != http.MethodGet {
			role.ServeHTTP(w, r)
			return
		}
		inner := webapi.NewRecorded()
		role.ServeHTTP(inner, r)
		if inner.Status != http.StatusOK {
			inner.Release(w)
			return
		}
		s.answerReady(w)
	})
}

func (s *Service) answerReady(w http.ResponseWriter) {
	problems, warnings := s.alarms()
	answer := readyAnswer{Ready: len(problems) == 0, Problems: problems, Warnings: warnings}
	status, mediaType := http.StatusOK, "application/json"
	if !answer.Ready {
		status, mediaType = http.StatusServiceUnavailable, "application/problem+json"
		answer.Problem = webapi.NewProblem(status, problems[0].Name, problems[0].Detail)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // our own types always encode
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who asked has gone
}
