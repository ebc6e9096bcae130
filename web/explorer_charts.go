package web

import (
	"time"

	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/web/internal/chart"
)

// charted is the activity over time: charts, and the same as a table.
type charted struct {
	Daily bool
	*chart.Charts
}

// Stretches of time that charts show: at least and at most. A single bar would say nothing.
const (
	fewestHours = 24
	chartHours  = 48
	fewestDays  = 30
	chartDays   = 60
)

// charts draws what happened: by hours on a young chain, by days on others.
func (p *explorerPage) charts() (*charted, error) {
	if p.Head.Seals == 0 {
		return nil, nil
	}
	c := &charted{}
	begin := p.Head.Genesis.Time.Time()
	last := p.Head.LastSeal.Time.Time()
	limit, fewest := chartHours, fewestHours*time.Hour
	if last.Sub(begin) > chartHours*time.Hour {
		c.Daily, limit, fewest = true, 24*chartDays, fewestDays*24*time.Hour
	}
	if at := last.Add(-fewest); at.Before(begin) {
		begin = at
	}
	counts, err := p.x.chain.Hours(begin, limit)
	if err != nil {
		return nil, err
	}
	form := "01-02 15:00"
	if c.Daily {
		counts, form = days(counts), "2006-01-02"
	}
	labels := make([]string, len(counts))
	for i, stretch := range counts {
		labels[i] = stretch.From.Format(form)
	}
	c.Charts = chart.New(labels, func(n uint64) string { return p.N(n) })
	c.Add("chart.issued", func(i int) uint64 { return counts[i].By[explore.CountIssued] })
	c.Add("chart.revoked", func(i int) uint64 { return counts[i].By[explore.CountRevoked] + counts[i].By[explore.CountSuspended] })
	c.Add("chart.entries", func(i int) uint64 { return work(counts[i].By) })
	return c, nil
}

// work counts entries that are no seals.
func work(by map[string]uint64) (n uint64) {
	for _, kind := range kinds {
		n += by[string(kind)]
	}
	return n
}

// days adds hours up to days.
func days(hours []explore.Counts) (list []explore.Counts) {
	for _, h := range hours {
		day := h.From.Truncate(24 * time.Hour)
		if len(list) == 0 || !list[len(list)-1].From.Equal(day) {
			list = append(list, explore.Counts{From: day, By: map[string]uint64{}})
		}
		for name, n := range h.By {
			list[len(list)-1].By[name] += n
		}
	}
	return list
}
