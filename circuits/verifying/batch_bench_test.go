package verifying_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/verifying"
)

// BenchmarkVerifyBatch compares batches with one by one, alternating, for the presentation's 54 public inputs: medians
// in ms, and how many times the throughput of one by one a batch has. With -benchtime 15x it takes 15 rounds.
func BenchmarkVerifyBatch(b *testing.B) {
	f := newForge(b, circuits.Presentation, 10)
	all := f.items(256)
	for _, n := range []int{1, 8, 64, 256} {
		items := all[:n]
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			var single, batch, spoiled []time.Duration
			bad := slices.Clone(items)
			spoils[0].spoil(&bad[n/3])
			for b.Loop() {
				single = append(single, timed(func() {
					for _, item := range items {
						if err := verifying.Verify(f.vk, item.Public, item.Proof); err != nil {
							b.Fatal(err)
						}
					}
				}))
				batch = append(batch, timed(func() {
					if err := verifying.VerifyBatch(f.vk, items); err != nil {
						b.Fatal(err)
					}
				}))
				spoiled = append(spoiled, timed(func() {
					if err := verifying.VerifyBatch(f.vk, bad); err == nil {
						b.Fatal("a bad proof is accepted")
					}
				}))
			}
			b.ReportMetric(median(single), "single-ms")
			b.ReportMetric(median(batch), "batch-ms")
			b.ReportMetric(median(spoiled), "one-bad-ms")
			b.ReportMetric(median(single)/median(batch), "ratio")
		})
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// median is in milliseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return d[len(d)/2].Seconds() * 1000
}
