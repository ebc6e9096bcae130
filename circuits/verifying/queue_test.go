package verifying_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/verifying"
)

// submit sends items at once and returns what was said of each.
func submit(t *testing.T, q *verifying.Queue, f *forge, items []verifying.Item, origin func(int) string) []error {
	t.Helper()
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i, item := range items {
		wg.Go(func() { errs[i] = q.Verify(t.Context(), origin(i), f.vk, item.Public, item.Proof) })
	}
	wg.Wait()
	return errs
}

func apart(i int) string { return fmt.Sprint(i) }

// Whoever waits together, each hears of its own proof what Verify says of it.
func TestQueueAnswersAsVerify(t *testing.T) {
	one, two := newForge(t, circuits.Enrolment, 11), newForge(t, circuits.Presentation, 12)
	q := verifying.NewQueue(verifying.QueueConfig{Batch: 8})
	var wg sync.WaitGroup
	for _, f := range []*forge{one, two} {
		for i, item := range f.items(24) {
			want := error(nil)
			if i%5 == 0 {
				spoil := spoils[i/5%len(spoils)]
				spoil.spoil(&item)
				want = spoil.want
			}
			wg.Go(func() {
				if err := q.Verify(t.Context(), fmt.Sprintf("%p %d", f, i), f.vk, item.Public, item.Proof); !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("proof %d: %v, want %v", i, err, want)
				}
			})
		}
	}
	wg.Wait()
	if s := q.Stats(); s.Alone+s.Batched != 48 || s.Bad != 10 || s.Batched == 0 {
		t.Errorf("%+v", s)
	}
}

// Proofs under another number of inputs are told so, and hinder nobody in their batch.
func TestQueueRefusesWhatItCouldNotCheck(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 13)
	q := verifying.NewQueue(verifying.QueueConfig{})
	items := f.items(6)
	items[2].Public = items[2].Public[1:]
	for i, err := range submit(t, q, f, items, apart) {
		if (err != nil) != (i == 2) || errors.Is(err, verifying.ErrProofInvalid) {
			t.Errorf("proof %d: %v", i, err)
		}
	}
	if err := q.Verify(t.Context(), "", nil, items[0].Public, items[0].Proof); err == nil || errors.Is(err, verifying.ErrProofInvalid) {
		t.Errorf("without a key: %v", err)
	}
}

// A full queue says so at once, and takes more when there is room again.
func TestQueueIsBounded(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 14)
	q := verifying.NewQueue(verifying.QueueConfig{Waiting: 4, Batch: 2})
	item := f.item()
	busy, good := 0, 0
	for _, err := range submit(t, q, f, slices64(item), apart) {
		switch {
		case err == nil:
			good++
		case errors.Is(err, verifying.ErrBusy):
			busy++
		default:
			t.Error(err)
		}
	}
	if busy == 0 || good == 0 || q.Stats().Busy != uint64(busy) {
		t.Errorf("%d busy, %d good, %+v", busy, good, q.Stats())
	}
	if err := q.Verify(t.Context(), "", f.vk, item.Public, item.Proof); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func slices64(item verifying.Item) []verifying.Item {
	items := make([]verifying.Item, 64)
	for i := range items {
		items[i] = item
	}
	return items
}

// Nothing is checked for callers who left.
func TestQueueDropsWhoLeft(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 15)
	q := verifying.NewQueue(verifying.QueueConfig{})
	item := f.item()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 32 {
		if err := q.Verify(gone, "", f.vk, item.Public, item.Proof); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := q.Verify(t.Context(), "", f.vk, item.Public, item.Proof); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); s.Alone+s.Batched > 2 { // one may be chosen while it leaves
		t.Errorf("%+v", s)
	}
}

// Who sent a bad proof spoils no second batch: its proofs are checked alone until it was good for a while, and it fills
// only a part of the queue.
func TestQueueSuspects(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 16)
	now := time.Unix(0, 0)
	q := verifying.NewQueue(verifying.QueueConfig{Waiting: 64, Clock: func() time.Time { return now }})
	bad := f.item()
	spoils[0].spoil(&bad)
	if err := q.Verify(t.Context(), "mallory", f.vk, bad.Public, bad.Proof); !errors.Is(err, verifying.ErrProofInvalid) {
		t.Fatal(err)
	}
	mallory := func(int) string { return "mallory" }
	before := q.Stats()
	busy := 0
	for _, err := range submit(t, q, f, slices64(f.item()), mallory) {
		if errors.Is(err, verifying.ErrBusy) {
			busy++
		} else if err != nil {
			t.Error(err)
		}
	}
	s := q.Stats()
	if s.Batches != before.Batches || s.Alone-before.Alone != uint64(64-busy) || busy == 0 {
		t.Errorf("%d busy, %+v", busy, s)
	}
	now = now.Add(3 * time.Minute)
	for _, err := range submit(t, q, f, f.items(16), mallory) {
		if err != nil {
			t.Error(err)
		}
	}
	if q.Stats().Batches == s.Batches {
		t.Error("still a suspect")
	}
}

// With bad proofs of ever new origins, batches become small, and large again afterwards.
func TestQueueBatchesShrink(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 17)
	q := verifying.NewQueue(verifying.QueueConfig{Waiting: 1 << 10, Batch: 64})
	round := func(name string, items []verifying.Item) (perBatch float64) {
		before := q.Stats()
		submit(t, q, f, items, func(i int) string { return name + apart(i) })
		s := q.Stats()
		return float64(s.Batched+s.Alone-before.Batched-before.Alone) / float64(s.Batches+s.Alone-before.Batches-before.Alone)
	}
	good, mixed := f.items(128), f.items(128)
	for i := range mixed {
		if i%4 == 0 {
			spoils[0].spoil(&mixed[i])
		}
	}
	for i := range 3 {
		round(fmt.Sprint("mixed ", i, " "), mixed)
	}
	small := round("mixed ", mixed)
	round("good ", good)
	large := round("good ", good)
	if small > 16 || large < 2*small {
		t.Errorf("%.1f proofs a batch among bad ones, %.1f among good ones", small, large)
	}
}
