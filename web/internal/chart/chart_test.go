package chart_test

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/bulla-id/bulla/web/internal/chart"
)

func TestChart(t *testing.T) {
	c := chart.New([]string{"Monday", "Tuesday", "Wednesday", "Thursday"}, func(n uint64) string { return strconv.FormatUint(n, 10) })
	values := []uint64{0, 10, 5, 0}
	c.Add("issued", func(i int) uint64 { return values[i] })
	c.Add("revoked", func(int) uint64 { return 0 })
	want := chart.Chart{Key: "issued", Most: 10, Sum: 15, From: "Monday", To: "Thursday", Bars: []chart.Bar{
		{"27.50", "0.00", "20.00", "100.00", "Tuesday: 10"}, {"52.50", "50.00", "20.00", "50.00", "Wednesday: 5"},
	}}
	if !reflect.DeepEqual(c.Charts[0], want) {
		t.Errorf("%+v, want %+v", c.Charts[0], want)
	}
	if c.Charts[1].Bars != nil || !reflect.DeepEqual(c.Rows[1], chart.Row{Label: "Tuesday", Values: []uint64{10, 0}}) {
		t.Errorf("%+v, rows %+v", c.Charts[1], c.Rows)
	}
}
