package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Period is a calendar period of ISO 8601 with years, months and days, as in P2Y, P1Y6M or P365D.
type Period string

var periodPattern = regexp.MustCompile(`^P(?:([1-9][0-9]{0,3})Y)?(?:([1-9][0-9]{0,3})M)?(?:([1-9][0-9]{0,4})D)?$`)

type calendar struct{ years, months, days int }

func (p Period) parse() (calendar, error) {
	m := periodPattern.FindStringSubmatch(string(p))
	if m == nil || p == "P" {
		return calendar{}, fmt.Errorf("%q is not a period like P2Y or P365D", p)
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n } // the pattern admits digits only
	return calendar{number(m[1]), number(m[2]), number(m[3])}, nil
}

// before is the time that lies p before t: years and months first, staying within the month (29 February minus a year
// is 28 February), then days.
func (p Period) before(t time.Time) (time.Time, error) {
	c, err := p.parse()
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC()
	year, month, day := t.Date()
	first := time.Date(year-c.years, month-time.Month(c.months), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, lastDay)-1-c.days), nil
}

// Text is the period for people.
func (p Period) Text(language string) string {
	c, err := p.parse()
	if err != nil {
		return string(p)
	}
	parts := []struct {
		n                        int
		one, many, chinese, join string
	}{{c.years, "year", "years", "年", ""}, {c.months, "month", "months", "个月", ""}, {c.days, "day", "days", "天", ""}}
	text := ""
	for _, part := range parts {
		switch {
		case part.n == 0:
			continue
		case language == "zh-CN":
			text += fmt.Sprintf("%d%s", part.n, part.chinese)
			continue
		case text != "":
			text += " and "
		}
		name := part.many
		if part.n == 1 {
			name = part.one
		}
		text += fmt.Sprintf("%d %s", part.n, name)
	}
	return text
}
