package verifying_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/verifying"
)

// BenchmarkVerifyBatch compares batches with one by one, alternating, for the presentation's 54 public inputs: medians
// in ms of one by one, of as many at once as there are processors, of a batch, and of batches with one bad proof and of bad
// ones only. The ratios are the throughput of a batch to those of the first two. With -benchtime 9x it takes 9 rounds.
func BenchmarkVerifyBatch(b *testing.B) {
	f := newForge(b, circuits.Presentation, 10)
	all := f.items(256)
	for _, n := range []int{1, 8, 64, 256} {
		items := all[:n]
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			oneBad, allBad := slices.Clone(items), slices.Clone(items)
			spoils[0].spoil(&oneBad[n/3])
			for i := range allBad {
				spoils[0].spoil(&allBad[i])
			}
			single := func(items []verifying.Item) {
				for _, item := range items {
					if err := verifying.Verify(f.vk, item.Public, item.Proof); err != nil {
						b.Error(err)
					}
				}
			}
			batch := func(items []verifying.Item, good bool) func() {
				return func() {
					if err := verifying.VerifyBatch(f.vk, items); (err == nil) != good {
						b.Error(err)
					}
				}
			}
			var times [5][]time.Duration
			for b.Loop() {
				for i, run := range []func(){
					func() { single(items) },
					func() { atOnce(items, single) },
					batch(items, true), batch(oneBad, false), batch(allBad, false),
				} {
					start := time.Now()
					run()
					times[i] = append(times[i], time.Since(start))
				}
			}
			for i, unit := range []string{"single-ms", "at-once-ms", "batch-ms", "one-bad-ms", "all-bad-ms"} {
				b.ReportMetric(median(times[i]), unit)
			}
			b.ReportMetric(median(times[0])/median(times[2]), "ratio")
			b.ReportMetric(median(times[1])/median(times[2]), "ratio-at-once")
		})
	}
}

// atOnce gives each processor its part of the items.
func atOnce(items []verifying.Item, do func([]verifying.Item)) {
	var all sync.WaitGroup
	for part := range slices.Chunk(items, (len(items)-1)/runtime.GOMAXPROCS(0)+1) {
		all.Go(func() { do(part) })
	}
	all.Wait()
}

// median is in milliseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return d[len(d)/2].Seconds() * 1000
}
