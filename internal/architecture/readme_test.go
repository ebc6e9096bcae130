package architecture

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	inline  = regexp.MustCompile("`[^`\n]+`")
	figures = regexp.MustCompile(`[0-9][0-9,.]*`)
)

// section is what both languages of a part of the page must have alike.
type section struct {
	Commands []string // fenced blocks, in order
	Names    []string // what is quoted as code, sorted, as sentences have another order
	Rows     int      // of tables
	Points   int      // of lists
	Figures  []string // in the last column of tables, in order
}

func sections(t *testing.T, path string) (list []section) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(text), "\n## ") {
		s := section{Commands: fenced.FindAllString(part, -1)}
		rest := fenced.ReplaceAllString(part, "")
		s.Names = inline.FindAllString(rest, -1)
		slices.Sort(s.Names)
		for line := range strings.SplitSeq(rest, "\n") {
			switch {
			case strings.HasPrefix(line, "| "):
				s.Rows++
				cells := strings.Split(strings.Trim(line, "| "), "|")
				s.Figures = append(s.Figures, figures.FindAllString(cells[len(cells)-1], -1)...)
			case strings.HasPrefix(line, "- "):
				s.Points++
			}
		}
		list = append(list, s)
	}
	return list
}

// The README is in two languages: the same sections, with the same commands, names, rows and figures.
func TestReadmeInTwoLanguages(t *testing.T) {
	english, chinese := sections(t, "../../README.md"), sections(t, "../../README.zh-CN.md")
	if len(english) != len(chinese) || len(english) < 8 {
		t.Fatalf("%d sections in English, %d in Chinese", len(english), len(chinese))
	}
	for i, want := range english {
		got := chinese[i]
		if !slices.Equal(got.Commands, want.Commands) || got.Rows != want.Rows || got.Points != want.Points || !slices.Equal(got.Figures, want.Figures) {
			t.Errorf("section %d differs:\n%+v\n%+v", i, want, got)
		}
		if !slices.Equal(got.Names, want.Names) {
			t.Errorf("section %d names in English %q, in Chinese %q", i, want.Names, got.Names)
		}
	}
}
