package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Period is a calendar period of ISO 8601 with years, months and days, as in P2Y, P1Y6M or P365D.
type Period string

var periodPattern = regexp.MustCompile(`^P(?:([1-9][0-9]{0,3})Y)?(?:([1-9][0-9]{0,3})M)?(?:([1-9][0-9]{0,4})D)?$`)

type calendar struct{ years, months, days int }

func (p Period) parse() (calendar, error) {
	m := periodPattern.FindStringSubmatch(string(p))
	if m == nil || p == "P" {
		return calendar{}, fmt.Errorf("%.100q is not a period like P2Y or P365D", p)
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n } // the pattern admits digits only
	return calendar{number(m[1]), number(m[2]), number(m[3])}, nil
}

// before is the time that lies p before t: years and months first, staying within the month (29 February minus a year
// is 28 February), then days. It refuses to leave the years 0000 to 9999, which claims are written in.
func (p Period) before(t time.Time) (time.Time, error) {
	c, err := p.parse()
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC()
	year, month, day := t.Date()
	first := time.Date(year-c.years, month-time.Month(c.months), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	then := first.AddDate(0, 0, min(day, lastDay)-1-c.days)
	if then.Year() < 0 || then.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%s before %s is outside the years 0000 to 9999", p, t.Format(time.DateOnly))
	}
	return then, nil
}

// Text is the period for people.
func (p Period) Text(language string) string {
	c, err := p.parse()
	if err != nil {
		return string(p)
	}
	var parts []string
	for _, part := range []struct {
		n                  int
		one, many, chinese string
	}{{c.years, "year", "years", "年"}, {c.months, "month", "months", "个月"}, {c.days, "day", "days", "天"}} {
		switch {
		case part.n == 0:
		case language == "zh-CN":
			parts = append(parts, fmt.Sprintf("%d%s", part.n, part.chinese))
		case part.n == 1:
			parts = append(parts, "1 "+part.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.many))
		}
	}
	last := len(parts) - 1
	if language == "zh-CN" || last == 0 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}
