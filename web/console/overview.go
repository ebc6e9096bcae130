package console

import (
	"net/http"
	"net/url"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/web/internal/chart"
)

func (c *Console) mountOverview() {
	c.page("GET /overview", issuer.ScopeCredentials, (*visit).overview)
}

// period is a time that charts show, and the stretches that it is cut into.
type period struct {
	Key   string
	days  int
	label string // layout of the day that a stretch begins with
	begin func(day time.Time) time.Time
}

var periods = []period{
	{"month", 30, time.DateOnly, func(day time.Time) time.Time { return day }},
	{"quarter", 91, time.DateOnly, func(day time.Time) time.Time { return day.AddDate(0, 0, -(int(day.Weekday())+6)%7) }},
	{"year", 365, "2006-01", func(day time.Time) time.Time { return day.AddDate(0, 0, 1-day.Day()) }},
}

// periodOf is the period of that name; the first if there is none.
func periodOf(key string) period {
	for _, p := range periods {
		if p.Key == key {
			return p
		}
	}
	return periods[0]
}

// statistics is the API's answer.
type statistics struct {
	Days []struct {
		Day, Schema string
		Counts      map[string]uint64
	}
	Now []standing
}

// standing is how many there are in each state under one schema.
type standing struct {
	Schema       string
	Title        string
	Applications map[string]int
	Credentials  map[string]int
}

// overviewView is what the page shows.
type overviewView struct {
	Now     []standing
	Periods []period
	Period  period
	Schemas []schema
	Schema  string // only this one, if not empty
	Charts  *chart.Charts
	Oldest  string // how long the oldest application waits; empty: none does
}

// Waiting are the applications that nobody has decided on.
func (s standing) Waiting() int { return s.Applications["submitted"] + s.Applications["in-review"] }

// series are what the charts show, each the sum of some types of events.
var series = []struct {
	key    string
	events []string
}{
	{"overview.filed", []string{"application.submitted"}},
	{"overview.issued", []string{"credential.issued"}},
	{"overview.revoked", []string{"credential.revoked"}},
	{"overview.suspended", []string{"credential.suspended"}},
	{"overview.refused", []string{"application.refused", "application.withdrawn"}},
}

func (v *visit) overview() error {
	query := v.r.URL.Query()
	data := overviewView{Periods: periods, Period: periodOf(query.Get("period"))}
	var err error
	if data.Schemas, err = v.schemas(); err != nil {
		return err
	}
	titles := make(map[string]string)
	for _, s := range data.Schemas {
		titles[s.Schema.Type] = s.Schema.Title(v.language)
	}
	if _, known := titles[query.Get("schema")]; known {
		data.Schema = query.Get("schema")
	}
	today := v.c.cfg.Clock().UTC().Truncate(24 * time.Hour)
	first := data.Period.begin(today.AddDate(0, 0, 1-data.Period.days))
	var counted statistics
	in := url.Values{"from": {first.Format(time.DateOnly)}, "to": {today.Format(time.DateOnly)}}
	if err := v.call(http.MethodGet, "/statistics?"+in.Encode(), nil, &counted); err != nil {
		return err
	}
	for _, now := range counted.Now {
		now.Title = titles[now.Schema]
		data.Now = append(data.Now, now)
	}
	var oldest caseList
	if err := v.call(http.MethodGet, "/applications?limit=1&state="+string(issuer.CaseUndecided), nil, &oldest); err != nil {
		return err
	}
	if len(oldest.Applications) > 0 {
		data.Oldest = v.age(oldest.Applications[0].Steps[0].At)
	}
	data.Charts = v.draw(counted, data.Period, data.Schema, first, today)
	return v.show("overview", data)
}

// draw draws what was counted, of one schema or of all.
func (v *visit) draw(counted statistics, p period, schema string, first, last time.Time) *chart.Charts {
	var labels []string
	at := make(map[string]int) // stretch by day
	var begun time.Time
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		if begin := p.begin(day); begin != begun {
			labels, begun = append(labels, begin.Format(p.label)), begin
		}
		at[day.Format(time.DateOnly)] = len(labels) - 1
	}
	sums := make([]map[string]uint64, len(labels))
	for _, d := range counted.Days {
		stretch, within := at[d.Day]
		if !within || schema != "" && d.Schema != schema {
			continue
		}
		if sums[stretch] == nil {
			sums[stretch] = make(map[string]uint64)
		}
		for event, n := range d.Counts {
			sums[stretch][event] += n
		}
	}
	printer := message.NewPrinter(language.Make(v.language))
	charts := chart.New(labels, func(n uint64) string { return printer.Sprint(n) })
	for _, s := range series {
		charts.Add(s.key, func(stretch int) (n uint64) {
			for _, event := range s.events {
				n += sums[stretch][event]
			}
			return n
		})
	}
	return charts
}

// N is a number with separators.
func (v view) N(n any) string { return message.NewPrinter(language.Make(v.Language)).Sprint(n) }
