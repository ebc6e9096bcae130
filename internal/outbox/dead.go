package outbox

import (
	"strings"
	"time"
)

const (
	deadRetention = 30 * 24 * time.Hour
	purgeLimit    = 500 // rows in a commit
	maxDeadPage   = 100
)

// Dead is a message that was given up.
type Dead struct {
	ID       string
	Type     string
	Created  time.Time
	Died     time.Time
	Attempts int
}

// DeadMessages lists messages of an endpoint that were given up, the oldest first, after the one named, at most 100; or
// returns [ErrUnknown] for an endpoint that is not there.
func (o *Outbox) DeadMessages(endpoint, after string) ([]Dead, error) {
	if _, ok := o.endpoint(endpoint); !ok {
		return nil, ErrUnknown
	}
	var all []Dead
	err := o.scan(keyDead(endpoint, ""), keyDead(endpoint, after), func(_ string, value []byte) (bool, error) {
		var d delivery
		err := decode(tableDead, value, &d)
		all = append(all, Dead{d.ID, d.Type, time.UnixMilli(d.Created), time.UnixMilli(d.Died), d.Attempts})
		return len(all) < maxDeadPage, err
	})
	return all, err
}

// Replay has a dead message sent again, under the same identifier, for as long as a new one; or returns [ErrUnknown].
func (o *Outbox) Replay(endpoint, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.endpoints[endpoint]; !ok {
		return ErrUnknown
	}
	key, now := keyDead(endpoint, id), time.Now()
	var d *delivery
	err := o.scan(key, "", func(found string, value []byte) (bool, error) {
		if found != key {
			return false, nil
		}
		d = new(delivery)
		return false, decode(tableDead, value, d)
	})
	if err != nil {
		return err
	}
	if d == nil {
		return ErrUnknown
	}
	d.Attempts, d.Died, d.Deadline = 0, 0, now.Add(o.retry).UnixMilli()
	if err := o.commit(map[string][]byte{key: nil, keyDue(endpoint, now, d.ID): encode(d)}); err != nil {
		return err
	}
	o.Wake()
	return nil
}

// Purge deletes messages that have been dead or waiting at a disabled endpoint for 30 days, and rows of endpoints that are no more, and says how many.
// [Outbox.Run] does so every hour.
func (o *Outbox) Purge() (int, error) {
	total := 0
	for {
		o.mu.Lock()
		n, err := o.purgeSome()
		o.mu.Unlock()
		if total += n; err != nil || n < purgeLimit {
			return total, err
		}
	}
}

// purgeSome deletes at most purgeLimit rows. It needs o.mu.
func (o *Outbox) purgeSome() (int, error) {
	rows := make(map[string][]byte)
	for _, table := range []string{tableDue, tableDead, tableLog} {
		if err := o.orphans(table, rows); err != nil {
			return 0, err
		}
	}
	end := time.Now().Add(-deadRetention)
	for id, e := range o.endpoints {
		if err := o.expired(id, end, rows); err != nil {
			return 0, err
		}
		if e.Disabled {
			if err := o.abandoned(id, end, rows); err != nil {
				return 0, err
			}
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	return len(rows), o.commit(rows)
}

// orphans finds rows of endpoints that are no more: left by a crash while one was removed, or committed after it was. It
// jumps over the rows of those that are.
func (o *Outbox) orphans(table string, rows map[string][]byte) error {
	for after, jumped := "", true; jumped; {
		jumped = false
		err := o.scan(table, after, func(key string, _ []byte) (bool, error) {
			id, _, _ := strings.Cut(strings.TrimPrefix(key, table), "/")
			if _, ok := o.endpoints[id]; ok {
				after, jumped = table+id+last, true
				return false, nil
			}
			if len(rows) >= purgeLimit {
				return false, nil
			}
			rows[key] = nil
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expired finds messages that died before end.
func (o *Outbox) expired(endpoint string, end time.Time, rows map[string][]byte) error {
	return o.scan(keyDead(endpoint, ""), "", func(key string, value []byte) (bool, error) {
		var d delivery
		if err := decode(tableDead, value, &d); err != nil {
			return false, err
		}
		// Keys rise with the time of creation, which is before that of death.
		if len(rows) >= purgeLimit || d.Created > end.UnixMilli() {
			return false, nil
		}
		if d.Died <= end.UnixMilli() {
			rows[key] = nil
		}
		return true, nil
	})
}

// abandoned finds messages that should have been sent before end, had the endpoint not been disabled.
func (o *Outbox) abandoned(endpoint string, end time.Time, rows map[string][]byte) error {
	return o.scan(tableDue+endpoint+"/", "", func(key string, _ []byte) (bool, error) {
		at, err := dueAt(key)
		if err != nil || len(rows) >= purgeLimit || at.After(end) {
			return false, err
		}
		rows[key] = nil
		return true, nil
	})
}
