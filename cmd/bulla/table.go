package main

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/width"
)

// table aligns columns on a terminal, where a Chinese character takes two places.
type table struct {
	rows   [][]string
	widths []int
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], places(cell))
	}
	t.rows = append(t.rows, cells)
}

func (t *table) print(out io.Writer) {
	for _, cells := range t.rows {
		var line strings.Builder
		for i, cell := range cells {
			line.WriteString(cell)
			if i < len(cells)-1 {
				line.WriteString(strings.Repeat(" ", t.widths[i]-places(cell)+2))
			}
		}
		fmt.Fprintln(out, line.String())
	}
}

// places is how many columns a text takes.
func places(text string) int {
	n := 0
	for _, r := range text {
		n++
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n++
		}
	}
	return n
}
