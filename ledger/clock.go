package ledger

import (
	"log/slog"
	"time"
)

// Seals have times, and a seal is never before the last one. A clock that went backwards therefore stops sealing until it
// has caught up, for however long that is: nothing that is issued then takes effect. Entries are still taken. It must not
// stay unnoticed: it is logged when it happens, [Log.Status] says so, and the ledger is not ready.
//
// How much clocks may differ is one setting, in genesis: clock_skew_seconds. Cosigners and readers use it as well.

// wake is how often the sequencer looks at the clock at least: a timer that was set while the clock was wrong would sleep
// as long as the clock was wrong.
const wake = 5 * time.Second

// clock is what the sequencer saw of it. The log's mu guards it.
type clock struct {
	sealed time.Time // of the last seal; genesis before the first
	behind bool      // more than the skew, when it was looked at last
}

// watchClock compares the clock with the last seal, and says when it falls behind or has caught up.
func (l *Log) watchClock(now time.Time) {
	last, _ := l.machine.Sealed()
	l.mu.Lock()
	was := l.clock.behind
	l.clock.sealed = last.Time.Time()
	by := l.clockBehind(now)
	l.clock.behind = by > 0
	l.mu.Unlock()
	switch {
	case !was && by > 0:
		l.cfg.Logger.Error("the clock is behind the last seal: nothing is sealed until it has caught up. Set the clock right",
			slog.Time("clock", now), slog.Time("last_seal", last.Time.Time()), slog.Duration("behind", by))
	case was && by == 0:
		l.cfg.Logger.Info("the clock has caught up with the last seal", slog.Time("clock", now))
	}
}

// clockBehind is by how much a clock is behind the last seal; what the skew allows counts as nothing. The caller holds mu.
func (l *Log) clockBehind(now time.Time) time.Duration {
	behind := l.clock.sealed.Sub(now)
	if behind <= time.Duration(l.genesis.ClockSkewSeconds)*time.Second {
		return 0
	}
	return behind
}
