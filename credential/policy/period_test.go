package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPeriodBefore(t *testing.T) {
	tests := []struct {
		from   string
		period Period
		want   string // empty: refused
	}{
		{"2024-02-29", "P1Y", "2023-02-28"},
		{"2024-02-29", "P4Y", "2020-02-29"},
		{"2024-02-29", "P124Y", "1900-02-28"}, // no leap year
		{"2024-03-31", "P1M", "2024-02-29"},
		{"2023-03-31", "P1M", "2023-02-28"},
		{"2024-05-31", "P1M", "2024-04-30"},
		{"2024-03-30", "P1M", "2024-02-29"},
		{"2024-01-15", "P1M", "2023-12-15"},
		{"2024-01-31", "P11M", "2023-02-28"},
		{"2024-03-31", "P13M", "2023-02-28"},
		{"2024-03-31", "P1Y1M", "2023-02-28"},
		{"2024-03-31", "P1Y1M1D", "2023-02-27"}, // days last
		{"2024-03-01", "P1D", "2024-02-29"},
		{"2024-03-01", "P366D", "2023-03-01"},
		{"2024-02-29", "P730D", "2022-03-01"},
		{"2024-06-15", "P2Y", "2022-06-15"},
		{"2024-06-15", "P2024Y", "0000-06-15"},
		{"2024-06-15", "P2025Y", ""},
		{"2026-01-01", "P9999Y", ""},
		{"2026-01-01", "P9999Y9999M99999D", ""},
		{"0000-01-01", "P1D", ""},
		{"2024-01-01", "P99999D", "1750-03-19"},
		{"2024-01-01", "", ""},
		{"2024-01-01", "P", ""},
		{"2024-01-01", "P0Y", ""},
		{"2024-01-01", "P1W", ""},
		{"2024-01-01", "P1D1Y", ""},
		{"2024-01-01", "P1M1Y", ""},
		{"2024-01-01", "-P1Y", ""},
		{"2024-01-01", "P-1Y", ""},
		{"2024-01-01", "P01Y", ""},
		{"2024-01-01", "P1.5Y", ""},
		{"2024-01-01", "P10000Y", ""},
		{"2024-01-01", "PT1H", ""},
		{"2024-01-01", "p1y", ""},
		{"2024-01-01", "P1Y\n", ""},
		{"2024-01-01", "P１Y", ""},
	}
	for _, test := range tests {
		from, err := time.Parse(time.DateOnly, test.from)
		if err != nil {
			t.Fatal(err)
		}
		then, err := test.period.before(from)
		if got := then.Format(time.DateOnly); (err != nil) != (test.want == "") || err == nil && got != test.want {
			t.Errorf("%q before %s is %s, %v, want %s", test.period, test.from, got, err, test.want)
		}
	}
}

// A period is taken in UTC and keeps the time of day.
func TestPeriodKeepsTheTimeOfDay(t *testing.T) {
	shanghai := time.FixedZone("", 8*3600)
	then, err := Period("P1Y").before(time.Date(2024, 3, 1, 7, 30, 15, 0, shanghai)) // 29 February, 23:30:15 UTC
	if want := time.Date(2023, 2, 28, 23, 30, 15, 0, time.UTC); err != nil || !then.Equal(want) || then.Location() != time.UTC {
		t.Errorf("%s, %v, want %s", then, err, want)
	}
}

// Later days never reach further back: "at least two years ago" must not become false by waiting.
func TestPeriodIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := Period(rapid.SampledFrom([]string{"P1M", "P1Y", "P1Y1M", "P13M", "P1D", "P365D", "P1M1D", "P18Y", "P1Y11M30D"}).Draw(t, "period"))
		day := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 40000).Draw(t, "day"))
		a, errA := period.before(day)
		b, errB := period.before(day.AddDate(0, 0, 1))
		if errA != nil || errB != nil || b.Before(a) || !a.Before(day) {
			t.Fatalf("%s before %s is %s, a day later %s, %v, %v", period, day, a, b, errA, errB)
		}
	})
}

func TestPeriodText(t *testing.T) {
	for _, test := range []struct {
		period           Period
		english, chinese string
	}{
		{"P1Y", "1 year", "1年"},
		{"P2Y", "2 years", "2年"},
		{"P1Y6M", "1 year and 6 months", "1年6个月"},
		{"P1M", "1 month", "1个月"},
		{"P1Y1M1D", "1 year, 1 month and 1 day", "1年1个月1天"},
		{"P365D", "365 days", "365天"},
	} {
		if got := test.period.Text("en"); got != test.english {
			t.Errorf("%s is %q, want %q", test.period, got, test.english)
		}
		if got := test.period.Text("zh-CN"); got != test.chinese {
			t.Errorf("%s is %q, want %q", test.period, got, test.chinese)
		}
	}
}
