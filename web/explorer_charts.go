package web

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
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

// charts draws what happened on the chain.
func (p *explorerPage) charts() (*charted, error) {
	c, counts, err := p.stretches(p.x.chain.Hours)
	if c == nil || err != nil {
		return nil, err
	}
	c.Add("chart.issued", func(i int) uint64 { return counts[i].By[explore.CountIssued] })
	c.Add("chart.revoked", func(i int) uint64 { return counts[i].By[explore.CountRevoked] + counts[i].By[explore.CountSuspended] })
	c.Add("chart.entries", func(i int) uint64 { return work(counts[i].By) })
	return c, nil
}

// chartOfLive is the chart of what there is, where the others are of what happened.
const chartOfLive = "chart.live"

// maxSchemaCharts is for how many kinds of credentials an issuer's page has a chart, if there is more than one.
const maxSchemaCharts = 4

// chartsOf draws what one issuer did.
func (p *explorerPage) chartsOf(did string) (*charted, error) {
	c, counts, err := p.stretches(func(from time.Time, limit int) ([]explore.Counts, error) { return p.x.chain.HoursOf(did, from, limit) })
	if c == nil || err != nil {
		return nil, err
	}
	c.Add(chartOfLive, func(i int) uint64 { return counts[i].Live })
	for _, own := range [][2]string{
		{"chart.issued", explore.CountIssued}, {"chart.only-revoked", explore.CountRevoked}, {"chart.suspended", explore.CountSuspended}, {"chart.reinstated", explore.CountReinstated},
	} {
		c.Add(own[0], func(i int) uint64 { return counts[i].By[own[1]] })
	}
	if schemas := issuedUnder(counts); len(schemas) > 1 {
		for _, name := range schemas[:min(len(schemas), maxSchemaCharts)] {
			c.Add(name, func(i int) uint64 { return counts[i].By[name] })
		}
	}
	return c, nil
}

// issuedUnder are the names of counts by schema, of which there are most first.
func issuedUnder(counts []explore.Counts) (names []string) {
	sums := make(map[string]uint64)
	for _, c := range counts {
		for name, n := range c.By {
			if strings.HasPrefix(name, explore.IssuedOf) {
				sums[name] += n
			}
		}
	}
	return slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
}

// ChartTitle is what a chart shows.
func (p *explorerPage) ChartTitle(key string) string {
	schema, ok := strings.CutPrefix(key, explore.IssuedOf)
	if !ok {
		return p.T(key)
	}
	var id credential.Element
	if id.UnmarshalText([]byte(schema)) == nil {
		schema = p.schemaTitle(id)
	}
	return p.T("chart.issued") + p.T("chart.colon") + schema
}

// ChartNumbers sums a chart up.
func (p *explorerPage) ChartNumbers(c chart.Chart, rows []chart.Row, at int) string {
	if c.Key == chartOfLive {
		return p.T("chart.now") + " " + p.N(rows[len(rows)-1].Values[at]) + " · " + p.T("chart.most") + " " + p.N(c.Most)
	}
	return p.T("chart.sum") + " " + p.N(c.Sum) + " · " + p.T("chart.most") + " " + p.N(c.Most)
}

// stretches begins charts: by hours on a young chain, by days on others. There are none before the first seal.
func (p *explorerPage) stretches(read func(time.Time, int) ([]explore.Counts, error)) (*charted, []explore.Counts, error) {
	if p.Head.Seals == 0 {
		return nil, nil, nil
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
	counts, err := read(begin, limit)
	if err != nil || len(counts) == 0 {
		return nil, nil, err
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
	return c, counts, nil
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
		list[len(list)-1].Live = h.Live
	}
	return list
}
