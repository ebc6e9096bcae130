package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Cases that have not ended are few among all that there ever were, and officers look for them all day: they have rows of their own, which
// are written in the commit of the case.

// Where cases wait, by id.
const (
	waitDecision = tableWaiting + "decision/" // for officers
	waitEffect   = tableWaiting + "effect/"   // for a wallet or the chain
)

// rowWaiting says that the rows above are complete: records of before have none.
const rowWaiting = "waiting"

// wait is where cases in a state wait; empty: they have ended.
func (s CaseState) wait() string {
	switch {
	case s.undecided() || s == CaseUndecided:
		return waitDecision
	case s == CaseApproved:
		return waitEffect
	}
	return ""
}

// putCase writes a case, and where it waits.
func (t *transaction) putCase(c *caseFile) {
	t.put(tableCase+c.ID, c)
	here := c.State.wait()
	if here != "" {
		t.put(here+c.ID, true)
	}
	if here != waitDecision { // it was there before
		t.delete(waitDecision + c.ID)
	}
	if c.State.ended() {
		t.delete(waitEffect + c.ID)
	}
}

// findWaiting writes the rows of what waits, for records that have none.
func (i *Issuer) findWaiting() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var complete bool
	if err := tx.get(rowWaiting, &complete); !errors.Is(err, ErrAbsent) {
		return err
	}
	err := eachRow(i.cfg.Store, tableCase, func(_ string, c caseFile) {
		if at := c.State.wait(); at != "" {
			tx.put(at+c.ID, true)
		}
	})
	if err != nil {
		return fmt.Errorf("find the cases that wait: %w", err)
	}
	tx.put(rowWaiting, true)
	return tx.commit()
}

// candidates visits the cases among which those of a query are, oldest first, until visit says false.
func (i *Issuer) candidates(q CaseQuery, visit func(*caseFile) bool) error {
	switch {
	case q.ExternalID != "":
		ids, err := i.numbered(q)
		if err != nil {
			return err
		}
		_, err = i.visitCases(ids, visit)
		return err
	case q.State.wait() != "":
		return i.eachWaiting(q, visit)
	}
	var failed error
	err := i.cfg.Store.Scan(tableCase, tableCase+q.After, func(_ string, value []byte) bool {
		c := new(caseFile)
		if json.Unmarshal(value, c) != nil {
			failed = errors.New("row of case is damaged") // the cause could quote it
			return false
		}
		return visit(c)
	})
	return errors.Join(err, failed)
}

// numbered are the cases with the agency's own number: one of a schema at most.
func (i *Issuer) numbered(q CaseQuery) (ids []string, err error) {
	tx := begin(i.cfg.Store)
	for _, s := range i.cfg.Schemas {
		var id string
		switch err := tx.get(i.externalRow(s.Type, q.ExternalID), &id); {
		case err == nil && id > q.After:
			ids = append(ids, id)
		case err != nil && !errors.Is(err, ErrAbsent):
			return nil, err
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// eachWaiting visits the cases that wait where those of a query do.
func (i *Issuer) eachWaiting(q CaseQuery, visit func(*caseFile) bool) error {
	const atOnce = 256
	at, after := q.State.wait(), q.After
	for {
		var ids []string
		err := i.cfg.Store.Scan(at, at+after, func(key string, _ []byte) bool {
			ids = append(ids, strings.TrimPrefix(key, at))
			return len(ids) < atOnce
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		if goOn, err := i.visitCases(ids, visit); err != nil || !goOn {
			return err
		}
	}
}

func (i *Issuer) visitCases(ids []string, visit func(*caseFile) bool) (goOn bool, err error) {
	tx := begin(i.cfg.Store)
	for _, id := range ids {
		c := new(caseFile)
		if err := tx.get(tableCase+id, c); err != nil {
			return false, err
		}
		if !visit(c) {
			return false, nil
		}
	}
	return true, nil
}
