package verifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// The log outlives sessions and says nothing of persons: no value, result or tag, no address, and no number that another row
// has. An entry is written in the commit that ends its session, or drops it if nobody ended it.

// LogEntry is one entry of the log. Members that its kind does not have are left out.
type LogEntry struct {
	Number string              `json:"number"` // random
	Kind   EntryKind           `json:"kind"`
	At     credential.UnixTime `json:"at"` // when it was written

	// Of a session.
	StartedAt    credential.UnixTime `json:"started_at,omitzero"`
	EndedAt      credential.UnixTime `json:"ended_at,omitzero"`
	Client       string              `json:"client,omitempty"` // the application
	Policy       string              `json:"policy,omitempty"`
	PolicyDigest credential.Digest   `json:"policy_digest,omitzero"`
	State        State               `json:"state,omitempty"`
	Code         check.Code          `json:"code,omitempty"` // of the check that refused, if the session ended refused
	Attempts     int                 `json:"attempts,omitempty"`
	Once         bool                `json:"once,omitempty"` // the policy counts once per person or thing

	// Of a purge.
	Sessions int `json:"sessions,omitempty"`
	Tags     int `json:"tags,omitempty"` // of closed scopes
	Entries  int `json:"entries,omitempty"`

	// Of a scope that was closed, and of a store that was put back.
	Scope   *credential.Element `json:"scope,omitempty"`
	Service string              `json:"service,omitempty"`
	Why     Cause               `json:"why,omitempty"`
	Scopes  int                 `json:"scopes,omitempty"` // that were closed
}

// EntryKind is what an entry of the log is about.
type EntryKind string

// The kinds.
const (
	SessionEnded     EntryKind = "session"
	RowsWerePurged   EntryKind = "purge"
	ScopeWasClosed   EntryKind = "scope_closed"
	StoreWasRestored EntryKind = "restored"
)

// logged is what a session keeps for its entry.
type logged struct {
	StartedAt    credential.UnixTime `json:"started_at"`
	PolicyDigest credential.Digest   `json:"policy_digest"`
	Once         bool                `json:"once,omitempty"`
}

func loggedOf(p *policy.Policy, now time.Time) (*logged, error) {
	digest, err := p.Digest()
	return &logged{credential.UnixTimeOf(now), digest, countsOnce(p)}, err
}

const (
	logPrefix  = "log/"
	timeDigits = 16
)

func logKey(at credential.UnixTime, number string) string {
	return fmt.Sprintf("%s%0*x/%s", logPrefix, timeDigits, uint64(at), number)
}

// addEntry puts an entry into a batch, under a number of its own.
func addEntry(b *Batch, e LogEntry) error {
	e.Number = webapi.RandomID()
	row, err := credential.Canonical(e)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	b.Set[logKey(e.At, e.Number)] = row
	return nil
}

// logs tells whether a log is kept.
func (v *Verifier) logs() bool { return v.cfg.LogRetention > 0 }

// logEnd puts the entry of a session that ends into the batch that ends it.
func (v *Verifier) logEnd(b *Batch, s *session, ended credential.UnixTime) error {
	if !v.logs() {
		return nil
	}
	e := LogEntry{
		Kind: SessionEnded, At: credential.UnixTimeOf(v.cfg.Clock()), EndedAt: ended, Client: s.Client, Policy: s.Policy, State: s.State, Attempts: s.Attempts,
	}
	if s.Log != nil {
		e.StartedAt, e.PolicyDigest, e.Once = s.Log.StartedAt, s.Log.PolicyDigest, s.Log.Once
	}
	if s.State == Rejected {
		e.Code = s.Reason
	}
	return addEntry(b, e)
}

// logExpired is logEnd for a session that nobody ended before it is dropped.
func (v *Verifier) logExpired(b *Batch, s session) error {
	if s.Final || s.Lapsed {
		return nil // it is in the log
	}
	if s.State != Rejected {
		s.State = Expired
	}
	return v.logEnd(b, &s, s.ExpiresAt)
}

// purged counts what one purge dropped.
type purged struct{ sessions, tags, entries int }

func (v *Verifier) logPurge(done purged) error {
	if !v.logs() || done == (purged{}) {
		return nil
	}
	b := Batch{Set: make(map[string][]byte)}
	if err := addEntry(&b, LogEntry{
		Kind: RowsWerePurged, At: credential.UnixTimeOf(v.cfg.Clock()), Sessions: done.sessions, Tags: done.tags, Entries: done.entries,
	}); err != nil {
		return err
	}
	return v.cfg.Store.Commit(b)
}

// purgeLog drops entries that are older than the log's retention.
func (v *Verifier) purgeLog(ctx context.Context, done *purged) error {
	end := logKey(credential.UnixTimeOf(v.cfg.Clock().Add(-max(v.cfg.LogRetention, 0))), "")
	n, err := v.dropAll(ctx, logPrefix, func(key string) bool { return key < end })
	done.entries += n
	return err
}

// LogQuery says which entries are wanted.
type LogQuery struct {
	Client string // whose sessions
	All    bool   // those of everybody, and what is not of a session
	// After is [LogPage.Next] of the page before; empty: from Since on.
	After string
	Since credential.UnixTime
	Limit int // 1 to MaxLogPage; 0: 100
}

// MaxLogPage bounds the entries of a page.
const MaxLogPage = 1000

// maxLooked bounds the entries that are looked at for a page.
const maxLooked = 20 * MaxLogPage

// LogPage is some entries, in the order they were written in.
type LogPage struct {
	Entries []LogEntry `json:"entries"`
	Next    string     `json:"next,omitempty"` // where the next page begins; empty: this is the last
}

// ErrLogQuery is returned for a query that is none.
var ErrLogQuery = fmt.Errorf("want limit 1 to %d, and after as the last page gave it as next", MaxLogPage)

// Log reads a page of the log.
func (k *Keeper) Log(q LogQuery) (*LogPage, error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	from := logKey(q.Since, "")
	if q.After != "" {
		from = logPrefix + q.After
	}
	if q.Limit < 1 || q.Limit > MaxLogPage || len(from) > 100 || !isLogKey(from) {
		return nil, ErrLogQuery
	}
	page, last, looked := &LogPage{Entries: []LogEntry{}}, "", 0
	err := eachAfter(k.Store, from, func(key string, row []byte) error {
		if len(page.Entries) == q.Limit || looked == maxLooked {
			page.Next = strings.TrimPrefix(last, logPrefix)
			return errEnough
		}
		last = key
		looked++
		var e LogEntry
		if err := credential.ParseCanonical(row, &e); err != nil {
			return err
		}
		if q.All || e.Kind == SessionEnded && e.Client == q.Client {
			page.Entries = append(page.Entries, e)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return page, nil
}

const hexDigits = "0123456789abcdef"

// isLogKey tells whether a key has a time where entries have it.
func isLogKey(key string) bool {
	at, _, ok := strings.Cut(strings.TrimPrefix(key, logPrefix), "/")
	return ok && len(at) == timeDigits && strings.Trim(at, hexDigits) == ""
}

// eachAfter visits the entries behind a key, ascending.
func eachAfter(s Store, from string, visit func(key string, row []byte) error) error {
	return s.EachFrom(logPrefix, from+"\x00", visit) // the least key behind it
}

// Log is as [Keeper.Log].
func (v *Verifier) Log(q LogQuery) (*LogPage, error) {
	return v.keeper(credential.Digest{}).Log(q)
}

// LogCount counts sessions that ended on one day in one way.
type LogCount struct {
	Day      string     `json:"day"` // UTC
	Policy   string     `json:"policy"`
	State    State      `json:"state"`
	Code     check.Code `json:"code,omitempty"`
	Sessions int        `json:"sessions"`
}

// CountLog counts the sessions among entries, by day, policy, state and code.
func CountLog(entries []LogEntry) []LogCount {
	counts := make(map[LogCount]int)
	for _, e := range entries {
		if e.Kind == SessionEnded {
			counts[LogCount{Day: e.EndedAt.Time().UTC().Format(time.DateOnly), Policy: e.Policy, State: e.State, Code: e.Code}]++
		}
	}
	list := make([]LogCount, 0, len(counts))
	for c, n := range counts {
		c.Sessions = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b LogCount) int {
		return strings.Compare(a.Day+a.Policy+string(a.State)+string(a.Code), b.Day+b.Policy+string(b.State)+string(b.Code))
	})
	return list
}
