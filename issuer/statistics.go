package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// What happened is counted by day and schema in the commit in which it happens, and so is how things stand. The counts say nothing of
// any person. A store from before there were counts is counted once, when it is opened.

// counts are numbers by what is counted: in rows of days the types of events ([EventTypes]), in rows of standing the states.
type counts map[string]int

// maxPeriod is how many days one question for statistics may span.
const maxPeriod = 3660

// Statistics is what happened in a period, and how things stand now.
type Statistics struct {
	From string     `json:"from"` // first day, UTC
	To   string     `json:"to"`   // last day
	Days []DayCount `json:"days"` // those on which something happened, ascending
	Now  []Standing `json:"now"`  // by schema
}

// DayCount is what happened on one day under one schema.
type DayCount struct {
	Day    string         `json:"day"`
	Schema string         `json:"schema"`
	Counts map[string]int `json:"counts" doc:"by type of event, as webhooks call them: credential.issued, application.submitted, …"`
}

// Standing is how many there are in each state under one schema.
type Standing struct {
	Schema       string            `json:"schema"`
	Applications map[CaseState]int `json:"applications"`
	Credentials  map[Status]int    `json:"credentials"`
}

// Statistics counts what happened from one day to another, both YYYY-MM-DD. Refused with [ErrRequest].
func (i *Issuer) Statistics(from, to string) (s Statistics, err error) {
	first, err1 := time.Parse(time.DateOnly, from)
	last, err2 := time.Parse(time.DateOnly, to)
	if err1 != nil || err2 != nil || last.Before(first) || last.Sub(first) >= maxPeriod*24*time.Hour {
		return s, refuse(ErrRequest, "from and to are days as 2026-11-27, in this order and at most %d apart", maxPeriod)
	}
	s = Statistics{From: from, To: to, Days: []DayCount{}, Now: []Standing{}}
	var failed error
	err = i.cfg.Store.Scan(tableCount, tableCount+from, func(key string, value []byte) bool {
		day, schema, _ := strings.Cut(strings.TrimPrefix(key, tableCount), "/")
		if day > to {
			return false
		}
		d := DayCount{Day: day, Schema: schema}
		failed = json.Unmarshal(value, &d.Counts)
		s.Days = append(s.Days, d)
		return failed == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return s, fmt.Errorf("read statistics: %w", err)
	}
	for _, schema := range slices.Sorted(maps.Keys(i.schemas)) {
		now, err := i.standing(schema)
		if err != nil {
			return s, err
		}
		s.Now = append(s.Now, now)
	}
	return s, nil
}

func (i *Issuer) standing(schema string) (Standing, error) {
	s := Standing{schema, make(map[CaseState]int), make(map[Status]int)}
	var row counts
	if err := begin(i.cfg.Store).get(tableStanding+schema, &row); err != nil && !errors.Is(err, ErrAbsent) {
		return s, err
	}
	for name, n := range row {
		if state, isCase := strings.CutPrefix(name, standingCase); isCase {
			s.Applications[CaseState(state)] = n
		} else {
			s.Credentials[Status(strings.TrimPrefix(name, standingCredential))] = n
		}
	}
	return s, nil
}

// Prefixes of states in rows of standing.
const (
	standingCase       = "application."
	standingCredential = "credential."
)

// happening is something that is counted: an event on a day, and a state that was left for another.
type happening struct {
	schema        string
	at            credential.UnixTime
	event         string
	left, entered string // of standing; left is empty at first
}

// rows are the keys of the two rows that a happening changes, with what is added to each.
func (h happening) rows() map[string]counts {
	standing := counts{h.entered: 1}
	if h.left != "" {
		standing[h.left]--
	}
	return map[string]counts{
		tableCount + h.at.Time().UTC().Format(time.DateOnly) + "/" + h.schema: {h.event: 1},
		tableStanding + h.schema: standing,
	}
}

// count adds what happened in the commit in which it happens.
func (tx *transaction) count(all ...happening) error {
	for _, h := range all {
		for key, more := range h.rows() {
			row := make(counts)
			if err := tx.get(key, &row); err != nil && !errors.Is(err, ErrAbsent) {
				return err
			}
			row.add(more)
			tx.put(key, row)
		}
	}
	return nil
}

// add adds, and forgets what there is none of.
func (c counts) add(more counts) {
	for name, n := range more {
		if c[name] += n; c[name] == 0 {
			delete(c, name)
		}
	}
}

// happened are the steps of a case behind the first that were counted, but for those that left its state as it was.
func (c *caseFile) happened(counted int) (all []happening) {
	for n := counted; n < len(c.Steps); n++ {
		h := happening{schema: c.Schema, at: c.Steps[n].At, event: caseEvents[c.Steps[n].State], entered: standingCase + string(c.Steps[n].State)}
		if n > 0 {
			h.left = standingCase + string(c.Steps[n-1].State)
		}
		if h.left != h.entered {
			all = append(all, h)
		}
	}
	return all
}

// news are the steps of a case that the commit which tells of it adds: the last, or both of one that needs no approval and was just filed.
func (c *caseFile) news() []happening {
	if c.Needed == 0 && len(c.Steps) == 2 {
		return c.happened(0)
	}
	return c.happened(len(c.Steps) - 1)
}

// statusAfter is the status that a change leads to.
var statusAfter = map[entry.Kind]Status{
	entry.KindCredentialsIssued: Active, entry.KindCredentialsReinstated: Active, entry.KindCredentialsSuspended: Suspended, entry.KindCredentialsRevoked: Revoked,
}

// happened are the changes of a credential behind the first that were counted.
func (r *record) happened(counted int) (all []happening) {
	for n := counted; n < len(r.History); n++ {
		e := r.History[n]
		h := happening{schema: r.Schema, at: e.At, event: credentialEvents[e.Kind], entered: standingCredential + string(statusAfter[e.Kind])}
		if n > 0 {
			h.left = standingCredential + string(statusAfter[r.History[n-1].Kind])
		}
		all = append(all, h)
	}
	return all
}

// openCounts counts what an older store has, once.
func (i *Issuer) openCounts() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var counted bool
	if err := begin(i.cfg.Store).get(rowCounted, &counted); !errors.Is(err, ErrAbsent) {
		return err
	}
	all := make(map[string]counts)
	rows := 0
	add := func(happened []happening) {
		rows++
		for _, h := range happened {
			for key, more := range h.rows() {
				if all[key] == nil {
					all[key] = make(counts)
				}
				all[key].add(more)
			}
		}
	}
	err := errors.Join(
		eachRow(i.cfg.Store, tableCase, func(_ string, c caseFile) { add(c.happened(0)) }),
		eachRow(i.cfg.Store, tableCredential, func(_ string, r record) { add(r.happened(0)) }),
	)
	if err != nil {
		return fmt.Errorf("count the records: %w", err)
	}
	tx := begin(i.cfg.Store)
	tx.put(rowCounted, true)
	for key, row := range all {
		tx.put(key, row)
	}
	i.cfg.Logger.Info("the records were counted", slog.Int("rows", rows))
	return tx.commit()
}
