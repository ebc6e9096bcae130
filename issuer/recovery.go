package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/bulla-id/bulla/ledger/entry"
)

// Reasons for Run to stop.
var (
	// ErrLost is returned if the chain has entries of ours that the records lack: a backup that is too old, or files
	// that were lost. Credentials may exist that we do not know. Restore a newer backup; [Config.AcceptLoss] goes on
	// without them.
	ErrLost = errors.New("the chain has entries of ours that the records lack")
	// ErrForeignEntry is returned if somebody else signed entries with our key, or the ledger contradicts itself.
	ErrForeignEntry = errors.New("the signing key is used elsewhere, or the ledger contradicts itself")
)

// recover sends again what was not known to be sealed, compares our numbers with the chain's, and drops holdings of
// credentials that were never written down.
func (i *Issuer) recover(ctx context.Context) error {
	intents, err := i.intents()
	if err != nil {
		return err
	}
	for n, f := range intents {
		refusal, err := i.submit(ctx, f)
		if err != nil {
			return err
		}
		if refusal == nil {
			i.cfg.Logger.InfoContext(ctx, "entry taken up again", slog.Uint64("sequence", f.Sequence), slog.Uint64("entry", f.receipt.Index))
			if err := i.awaitSeal(ctx, f); err != nil {
				return err
			}
			continue
		}
		if n != len(intents)-1 { // the later one was prepared after this one had been accepted
			return fmt.Errorf("entry %d, once accepted, is refused as %s: %w", f.Sequence, refusal.Ledger, ErrForeignEntry)
		}
		if err := i.refused(f, refusal); err != nil {
			return err
		}
	}
	if err := i.compareNumbers(ctx); err != nil {
		return err
	}
	return i.reconcile()
}

// intents reads the open intents, in the order of their numbers, as flights.
func (i *Issuer) intents() ([]*flight, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var found []*flight
	var failed error
	err := i.cfg.Store.Scan(tableIntent, "", func(_ string, value []byte) bool {
		var in intent
		if failed = json.Unmarshal(value, &in); failed != nil {
			return false
		}
		signed, err := entry.Parse(in.Entry)
		if failed = err; failed != nil {
			return false
		}
		f := newFlight(in, signed)
		i.flights.add(f)
		found = append(found, f)
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("read intents: %w", err)
	}
	return found, nil
}

// compareNumbers asks the ledger for our next number, until it answers.
func (i *Issuer) compareNumbers(ctx context.Context) error {
	var next uint64
	for pause := i.cfg.RetryPause; ; pause = min(2*pause, maxPause) {
		var err error
		if next, err = i.cfg.Ledger.NextSequence(ctx, i.cfg.DID); err == nil {
			break
		}
		i.cfg.Logger.WarnContext(ctx, "ledger did not answer", slog.Any("error", err))
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var s state
	if err := tx.get(rowState, &s); err != nil {
		return err
	}
	switch {
	case next == s.Next:
		return nil
	case next < s.Next:
		return fmt.Errorf("our next number is %d, the ledger says %d: %w", s.Next, next, ErrForeignEntry)
	case !i.cfg.AcceptLoss:
		return fmt.Errorf("our next number is %d, the ledger says %d: %w", s.Next, next, ErrLost)
	}
	i.cfg.Logger.WarnContext(ctx, "going on without entries that the records lack", slog.Uint64("first", s.Next), slog.Uint64("next", next))
	s.Next = next
	tx.put(rowState, s)
	if err := abandonLists(tx); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	i.lists.forget()
	return nil
}

// reconcile drops holdings in the enrolment registers whose credential we do not have, or have revoked.
func (i *Issuer) reconcile() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	for _, register := range i.registers {
		err := register.Reconcile(i.cfg.DID, func(id string) (bool, error) {
			var r record
			err := tx.get(tableCredential+id, &r)
			if errors.Is(err, ErrAbsent) {
				return i.cfg.AcceptLoss, nil // better a holding too many than a person with two credentials
			}
			return r.Status != Revoked, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
