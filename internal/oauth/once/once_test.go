package once_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

func key(s string) credential.Digest { return credential.DigestOf([]byte(s)) }

func TestMemory(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	now := start
	m := once.NewMemory(2, func() time.Time { return now })
	steps := []struct {
		after       time.Duration // since start
		key         string
		made, until time.Duration
		want        error
	}{
		{0, "a", 0, 10 * time.Second, nil},
		{0, "a", 0, 10 * time.Second, once.ErrUsed},
		{0, "a", time.Second, time.Minute, once.ErrUsed},
		{0, "b", -time.Second, 20 * time.Second, once.ErrEarlier},
		{0, "b", 0, 5 * time.Second, nil},
		{0, "c", 0, 5 * time.Second, once.ErrFull},
		{0, "b", 0, 5 * time.Second, once.ErrUsed}, // still said of what is known
		{5 * time.Second, "b", 0, 5 * time.Second, once.ErrUsed},
		{6 * time.Second, "c", 0, 30 * time.Second, nil}, // b is forgotten
		{6 * time.Second, "a", 0, 10 * time.Second, once.ErrUsed},
		{11 * time.Second, "d", 0, 12 * time.Second, nil}, // a is forgotten
		{11 * time.Second, "e", 0, 12 * time.Second, once.ErrFull},
	}
	for i, s := range steps {
		now = start.Add(s.after)
		if err := m.Use(t.Context(), key(s.key), start.Add(s.made), start.Add(s.until)); !errors.Is(err, s.want) {
			t.Errorf("step %d, %s: %v, want %v", i, s.key, err, s.want)
		}
	}
}

func TestOneOfManyIsFirst(t *testing.T) {
	m := once.NewMemory(1000, time.Now)
	until := time.Now().Add(time.Minute)
	var first atomic.Int32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for _, k := range []string{"a", "b", "c", "d"} {
				if m.Use(t.Context(), key(k), time.Now(), until) == nil {
					first.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if first.Load() != 4 {
		t.Errorf("%d were first, want 4", first.Load())
	}
}
