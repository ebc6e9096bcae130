package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// narrowWords are the phrases of one language that say how much is narrowed down.
type narrowWords struct {
	within, counted, listed, value, valueOf, shown, shownOf          string
	open, except, stated, outside, nobody, either, comma, one, oneOf string
	oneIssuer, fewIssuers, issuers                                   string
	pseudonym, sharedPseudonym, subjectTag, sharedTag                string
	seal, unknown                                                    string
	and, years, year, days, day, hours, hour, minutes, minute        string
	seconds, second                                                  string
	possibleDays, possibleSeconds, possibleValues                    string
	retention, freshness, someNumber, someNumbers                    string
}

var narrowPhrases = map[string]narrowWords{
	"en": {
		within:  "%s lies within %s (%s of %s possible %s)",
		counted: "%s: %s of %s possible %s remain",
		listed:  "%s: %s %s remain; how many are possible, nobody states",
		value:   "%s: the verifier knows the value, as only one remains", valueOf: "%s: the verifier knows the value, one of %s possible %s",
		shown: "%s: the verifier sees the value", shownOf: "%s: the verifier sees the value, one of %s possible %s",
		open:   "%s: how many values remain cannot be counted, as the range has no end on a side",
		except: "%s: any text but %s", stated: "%s: no more than that it is stated",
		outside: "%s lies outside the %s years before and %s years after today that are counted: few people have such a date, if any",
		nobody:  "%s: no value is left, nobody can answer this",
		either:  "The verifier learns that one of these is so, and not which: %s", comma: "; ", one: "%s: one value", oneOf: "%s: one of %s possible %s",
		oneIssuer:  "The issuer is known, as only one is accepted",
		fewIssuers: "The issuer is one of %s", issuers: "The issuer is one of %s, and which one is not told",
		pseudonym:       "Your visits to the service “%s” can be linked by your pseudonym there",
		sharedPseudonym: "Your visits to several verifiers can be linked by one pseudonym (shared scope %s)",
		subjectTag:      "Visits with the same thing can be linked by its tag for “%s”, also by its register and by who held it",
		sharedTag:       "Visits with the same thing to several verifiers can be linked by its tag (shared scope %s), also by its register and by who held it",
		seal:            "The answer tells that the credential was live at a seal of the last %s",
		unknown:         "How many people that leaves cannot be known: people are not spread evenly over values, and facts together narrow down more than each of them",
		and:             " and ", years: "%s years", year: "1 year", days: "%s days", day: "1 day", hours: "%s hours", hour: "1 hour",
		minutes: "%s minutes", minute: "1 minute", seconds: "%s seconds", second: "1 second",
		possibleDays: "days", possibleSeconds: "seconds", possibleValues: "values",
		retention: "The verifier keeps the result for %s", freshness: "Somebody whose credential was revoked can still answer for up to %s beyond the seal interval",
		someNumber: "1 value", someNumbers: "%s values",
	},
	"zh-CN": {
		within:  "%s落在 %s 的范围内（剩余 %s，可能的总数 %s %s）",
		counted: "%s：剩余 %s，可能的总数 %s %s",
		listed:  "%s：剩余 %s %s；可能的总数未知",
		value:   "%s：只剩一个值，验证方因此得知该值", valueOf: "%s：验证方得知该值，可能的总数 %s %s",
		shown: "%s：验证方看到该值", shownOf: "%s：验证方看到该值，可能的总数 %s %s",
		open:   "%s：范围有一端不限，无法计算剩余多少个值",
		except: "%s：除 %s 之外的任何文字", stated: "%s：仅知其已载明",
		outside: "%s不在所统计的今日之前 %s 年至之后 %s 年之内：几乎无人有这样的日期",
		nobody:  "%s：没有剩余的值，无人能够应答",
		either:  "验证方得知以下之一成立，但不知是哪一项：%s", comma: "；", one: "%s：一个值", oneOf: "%s：一个值（可能的总数 %s %s）",
		oneIssuer:  "只接受一个签发机构，因此签发机构为对方所知",
		fewIssuers: "签发机构为 %s 个之一", issuers: "签发机构为 %s 个之一，但不告知是哪一个",
		pseudonym:       "您在服务“%s”的各次出示可凭您的假名相互关联",
		sharedPseudonym: "您向多个验证方的出示可凭同一假名相互关联（共用范围 %s）",
		subjectTag:      "同一物的各次出示可凭其在“%s”的标签相互关联，其登记机构和曾经的持有人也能做到",
		sharedTag:       "同一物向多个验证方的出示可凭其标签相互关联（共用范围 %s），其登记机构和曾经的持有人也能做到",
		seal:            "应答表明该凭证在最近 %s内的某次封块时有效",
		unknown:         "由此剩下多少人无法得知：人在各个值上的分布并不均匀，多项事实合在一起比单独一项缩小得更多",
		and:             "零 ", years: "%s 年", year: "1 年", days: "%s 天", day: "1 天", hours: "%s 小时", hour: "1 小时",
		minutes: "%s 分钟", minute: "1 分钟", seconds: "%s 秒", second: "1 秒",
		possibleDays: "天", possibleSeconds: "秒", possibleValues: "个值",
		retention: "验证方将结果保留 %s", freshness: "凭证被吊销的人在封块间隔之外最多 %s内仍可应答",
		someNumber: "1 个值", someNumbers: "%s 个值",
	},
}

func narrowWordsIn(language string) *narrowWords {
	w, ok := narrowPhrases[language]
	if !ok {
		w = narrowPhrases["en"]
	}
	return &w
}

// Narrowed is one thing that is narrowed down, in words, without a full stop.
type Narrowed struct {
	// Code is the form of a claim ([Form]), or "either", "issuers", "pseudonym", "subject_tag", "seal", "unknown"; in a preview
	// also "retention", "freshness" and "companion".
	Code     string   `json:"code"`
	Claim    string   `json:"claim,omitempty"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
}

// Flagged tells whether a person should notice.
func (n *Narrowed) Flagged() bool { return n.Severity != None }

// Lines says in a language ("zh-CN" or "en") what is narrowed down, and last what cannot be known. schema is that of the
// statement.
func (n *Narrowing) Lines(schema *credential.Schema, language string) []Narrowed {
	w := narrowWordsIn(language)
	lines := n.ClaimLines(schema, language)
	lines = append(lines, Narrowed{Code: "issuers", Severity: n.Issuers.Severity, Text: w.ofIssuers(n.Issuers.Good, language)})
	for _, s := range n.Scopes {
		code := "pseudonym"
		if s.Subject {
			code = "subject_tag"
		}
		lines = append(lines, Narrowed{Code: code, Severity: s.Severity, Text: w.ofScope(&s)})
	}
	return append(lines,
		Narrowed{Code: "seal", Severity: None, Text: fmt.Sprintf(w.seal, w.duration(time.Duration(n.SealSeconds)*time.Second, language))},
		Narrowed{Code: "unknown", Severity: None, Text: w.unknown})
}

// ClaimLines are the first of Lines: those about claims.
func (n *Narrowing) ClaimLines(schema *credential.Schema, language string) []Narrowed {
	w := narrowWordsIn(language)
	alternative := *w // nobody learns which of several values it is
	alternative.value, alternative.valueOf = w.one, w.oneOf
	var lines []Narrowed
	for i := range n.Claims {
		c := &n.Claims[i]
		lines = append(lines, Narrowed{Code: string(c.Form), Claim: c.Claim, Severity: c.Severity, Text: c.text(w, schema, language)})
	}
	for _, group := range n.Either {
		var parts []string
		for i := range group {
			parts = append(parts, group[i].text(&alternative, schema, language))
		}
		lines = append(lines, Narrowed{Code: "either", Severity: weakest(group), Text: fmt.Sprintf(w.either, strings.Join(parts, w.comma))})
	}
	return lines
}

func (w *narrowWords) ofIssuers(n int, language string) string {
	switch {
	case n == 1:
		return w.oneIssuer
	case n < FewIssuers:
		return fmt.Sprintf(w.fewIssuers, grouped(uint64(n), language))
	}
	return fmt.Sprintf(w.issuers, grouped(uint64(n), language))
}

func (w *narrowWords) ofScope(s *ScopeNarrowing) string {
	if s.Subject {
		return s.Scope.text(w.subjectTag, w.sharedTag)
	}
	return s.Scope.text(w.pseudonym, w.sharedPseudonym)
}

// text is what is left of a claim, in words.
func (n *ClaimNarrowing) text(w *narrowWords, schema *credential.Schema, language string) string {
	name := title(schema, n.Claim, language)
	unit := map[Unit]string{Days: w.possibleDays, Seconds: w.possibleSeconds, Values: w.possibleValues}[n.Unit]
	remaining, possible := grouped(n.Remaining, language), grouped(n.Possible, language)
	switch {
	case n.Form == FormNobody:
		return fmt.Sprintf(w.nobody, name)
	case n.Outside:
		return fmt.Sprintf(w.outside, name, strconv.Itoa(PastYears), strconv.Itoa(FutureYears))
	case n.Form == FormShown && n.Possible == 0:
		return fmt.Sprintf(w.shown, name)
	case n.Form == FormShown:
		return fmt.Sprintf(w.shownOf, name, possible, unit)
	case n.Form == FormValue && n.Possible == 0:
		return fmt.Sprintf(w.value, name)
	case n.Form == FormValue:
		return fmt.Sprintf(w.valueOf, name, possible, unit)
	case n.Form == FormStated:
		return fmt.Sprintf(w.stated, name)
	case n.Form == FormExcept:
		return fmt.Sprintf(w.except, name, w.values(n.Excluded, language))
	case n.Open:
		return fmt.Sprintf(w.open, name)
	case n.Possible == 0:
		return fmt.Sprintf(w.listed, name, remaining, unit)
	}
	if length, ok := n.length(w, language); ok {
		return fmt.Sprintf(w.within, name, length, remaining, possible, unit)
	}
	return fmt.Sprintf(w.counted, name, remaining, possible, unit)
}

// length is how long a range of dates or times is that has both ends and is counted whole.
func (n *ClaimNarrowing) length(w *narrowWords, language string) (string, bool) {
	if n.Low == "" || n.High == "" || n.Unit == Values {
		return "", false
	}
	layout, step := time.DateOnly, 24*time.Hour
	if n.Unit == Seconds {
		layout, step = "2006-01-02T15:04:05Z", time.Second
	}
	low, err1 := time.Parse(layout, n.Low)
	high, err2 := time.Parse(layout, n.High)
	if err1 != nil || err2 != nil || uint64(high.Sub(low)/step)+1 != n.Remaining { // a part of it is not counted
		return "", false
	}
	return w.span(low, high.Add(step), language), true
}

// span is the time between two times: whole years, then days and less.
func (w *narrowWords) span(from, to time.Time, language string) string {
	n := to.Year() - from.Year()
	for n > 0 && years(from, n).After(to) {
		n--
	}
	if n == 0 {
		return w.duration(to.Sub(from), language)
	}
	text := w.many(n, w.year, w.years, language)
	if rest := to.Sub(years(from, n)); rest > 0 {
		text += w.and + w.duration(rest, language)
	}
	return text
}

// duration is a duration of whole seconds, in days and less.
func (w *narrowWords) duration(d time.Duration, language string) string {
	var parts []string
	for _, u := range []struct {
		length    time.Duration
		one, many string
	}{{24 * time.Hour, w.day, w.days}, {time.Hour, w.hour, w.hours}, {time.Minute, w.minute, w.minutes}, {time.Second, w.second, w.seconds}} {
		if n := int(d / u.length); n > 0 {
			parts = append(parts, w.many(n, u.one, u.many, language))
			d -= time.Duration(n) * u.length
		}
	}
	return strings.Join(parts, w.and)
}

func (w *narrowWords) values(n int, language string) string {
	return w.many(n, w.someNumber, w.someNumbers, language)
}

func (w *narrowWords) many(n int, one, many, language string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, grouped(uint64(n), language))
}

// grouped writes a number as the language does: in English with a comma before each three digits.
func grouped(n uint64, language string) string {
	text := strconv.FormatUint(n, 10)
	if language == "zh-CN" {
		return text
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
