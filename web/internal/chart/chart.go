// Package chart draws numbers over time as bars, for pages that need no script, and keeps the same numbers as the rows of a table.
package chart

import "strconv"

// Charts are some series over the same stretches of time.
type Charts struct {
	Charts []Chart
	Rows   []Row // by stretch, with a value of each chart
	number func(uint64) string
}

// Chart is one series.
type Chart struct {
	Key      string // of a page's texts
	Most     uint64
	Sum      uint64
	Bars     []Bar
	From, To string // the first and the last stretch
}

// Bar is a rectangle in a chart of 100 by 100, which the page stretches.
type Bar struct {
	X, Y, Width, Height string
	Label               string
}

// Row is one stretch of time.
type Row struct {
	Label  string
	Values []uint64
}

// New begins charts over stretches of time, at least one, by their labels. number writes a number for people.
func New(labels []string, number func(uint64) string) *Charts {
	c := &Charts{number: number}
	for _, label := range labels {
		c.Rows = append(c.Rows, Row{Label: label})
	}
	return c
}

// Add draws a series: a value for each stretch.
func (c *Charts) Add(key string, value func(stretch int) uint64) {
	drawn := Chart{Key: key, From: c.Rows[0].Label, To: c.Rows[len(c.Rows)-1].Label}
	for i := range c.Rows {
		n := value(i)
		drawn.Most, drawn.Sum = max(drawn.Most, n), drawn.Sum+n
		c.Rows[i].Values = append(c.Rows[i].Values, n)
	}
	width := 100 / float64(len(c.Rows))
	for i, row := range c.Rows {
		n := row.Values[len(row.Values)-1]
		if n == 0 {
			continue
		}
		height := 100 * float64(n) / float64(drawn.Most)
		drawn.Bars = append(drawn.Bars, Bar{
			X: decimal(float64(i)*width + width*.1), Y: decimal(100 - height), Width: decimal(width * .8), Height: decimal(height), Label: row.Label + ": " + c.number(n),
		})
	}
	c.Charts = append(c.Charts, drawn)
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
