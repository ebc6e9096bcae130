package policy

import (
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// words are the phrases of one language. Sentences are put together from the statement that is compiled, so that what
// a person reads is what is proven.
type words struct {
	between, atLeast, atMost, notBefore, notAfter       string
	equals, in, present, not, either                    string
	inSet, ofSet, standing, issuerSet                   string
	ago, within                                         string
	yes, no, comma, colon                               string
	disclosed, pseudonym, oncePerPerson, sharedScope    string
	subjectTag, sharedTag, oncePerThing                 string
	nothingElse, unlinkable                             string
	issuedBy, freshness, samePerson, retention, purpose string
}

var phrases = map[string]words{
	"en": {
		between: "%s is between %s and %s", atLeast: "%s is at least %s", atMost: "%s is at most %s",
		notBefore: "%s is %s or later", notAfter: "%s is %s or earlier",
		equals: "%s is %s", in: "%s is one of: %s", present: "%s is stated",
		inSet: "%s is one of the %s values of “%s” (set %s…)", ofSet: "%s (all of “%s”, set %s…)",
		issuerSet: "one of the %s members of “%s” (set %s…)", standing: "%s, of which %s may be accepted today",
		not:    "it is not true that %s (but it is stated)",
		either: "at least one of these holds: %s",
		ago:    "%s (at least %s ago)", within: "%s (within the last %s)",
		yes: "yes", no: "no", comma: "; ", colon: ": ",
		disclosed: "The verifier sees the value of: %s.", pseudonym: "The verifier receives a pseudonym of yours for the service “%s”: it will recognise you there.",
		oncePerPerson: "This works once per person.", sharedScope: "The verifier receives a pseudonym of yours that other verifiers receive too (shared scope %s): they will recognise you.",
		subjectTag:   "The verifier receives a tag of the thing itself for “%s”. Its register and everyone who ever held it can compute that tag.",
		sharedTag:    "The verifier receives a tag of the thing itself that other verifiers receive too (shared scope %s). Its register and everyone who ever held it can compute that tag.",
		oncePerThing: "This works once per thing.", nothingElse: "Nothing else of the credential is shown.",
		unlinkable: "This visit cannot be linked to others by what is sent, beyond what these facts narrow down.",
		issuedBy:   "Issued by %s, valid today and not revoked", freshness: "A revocation takes effect here after at most %d seconds beyond the seal interval.",
		samePerson: "All credentials belong to the same person.", retention: "The verifier keeps the result for %d days.", purpose: "Purpose: %s",
	},
	"zh-CN": {
		between: "%s在 %s 与 %s 之间", atLeast: "%s不少于 %s", atMost: "%s不多于 %s",
		notBefore: "%s不早于 %s", notAfter: "%s不晚于 %s",
		equals: "%s为 %s", in: "%s为以下之一：%s", present: "已载明%s",
		inSet: "%s为所列 %s 项之一：“%s”（集合 %s…）", ofSet: "%s（即“%s”的全部，集合 %s…）",
		issuerSet: " %s 个“%s”成员之一（集合 %s…）", standing: "%s，其中目前可接受 %s 个",
		not:    "以下不成立（但已载明）：%s",
		either: "以下至少一项成立：%s",
		ago:    "%s（至少 %s前）", within: "%s（最近 %s内）",
		yes: "是", no: "否", comma: "；", colon: "：",
		disclosed: "验证方将看到以下内容的值：%s。", pseudonym: "验证方将得到您在服务“%s”中的假名，并能在该服务中再次认出您。",
		oncePerPerson: "每人仅限一次。", sharedScope: "验证方将得到您的假名；其他验证方也会得到同一假名（共用范围 %s），并能再次认出您。",
		subjectTag:   "验证方将得到该物在“%s”中的标签；其登记机构以及曾经的持有人都能计算出此标签。",
		sharedTag:    "验证方将得到该物的标签；其他验证方也会得到同一标签（共用范围 %s）。其登记机构以及曾经的持有人都能计算出此标签。",
		oncePerThing: "每物仅限一次。", nothingElse: "凭证的其他内容均不出示。",
		unlinkable: "除上述事实所缩小的范围外，本次出示无法与其他出示相关联。",
		issuedBy:   "由%s签发，今日有效且未被吊销", freshness: "吊销最迟在封块间隔之外 %d 秒内在此生效。",
		samePerson: "所有凭证属于同一人。", retention: "验证方将结果保留 %d 天。", purpose: "用途：%s",
	},
}

func wordsIn(language string) words {
	if w, ok := phrases[language]; ok {
		return w
	}
	return phrases["en"]
}

// Languages are those that texts exist in.
func Languages() []string { return []string{"zh-CN", "en"} }

// Explanation is a statement in words.
type Explanation struct {
	Facts []string `json:"facts"` // what is proven
	Shown []string `json:"shown"` // what the verifier sees, and whether visits can be linked
	// Companion says what the verifier sees of whoever answers with a companion instead, in some other wallet; empty: it takes none.
	Companion string `json:"companion,omitempty"`
}

// Explain says in a language ("zh-CN" or "en") what the statement proves and shows. Of the context it takes schema, sets
// and issuers: those in good standing, or nil for all that are accepted. issuerName gives the name of an issuer for people.
func (s *Statement) Explain(c Context, issuerName func(did string) string, language string) (Explanation, error) {
	schema := c.Schema
	if err := s.Validate(); err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	if err := s.validateSchema(schema); err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	w := wordsIn(language)
	var e Explanation
	var either []string
	issuers, err := s.issuersText(c, w, issuerName, language)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain: %w", err)
	}
	e.Facts = append(e.Facts, fmt.Sprintf(w.issuedBy, issuers))
	for i := range s.Clauses {
		text, err := s.Clauses[i].Text(schema, c.Sets, language)
		if err != nil {
			return Explanation{}, fmt.Errorf("explain query %q, clause %d: %w", s.Query, i+1, err)
		}
		if s.Clauses[i].AnyOf {
			either = append(either, text)
			continue
		}
		e.Facts = append(e.Facts, text)
	}
	if len(either) > 0 {
		e.Facts = append(e.Facts, fmt.Sprintf(w.either, strings.Join(either, w.comma)))
	}
	e.Shown, e.Companion = s.shown(w, schema, language), s.companionText(schema, language)
	return e, nil
}

// maxListed is how many members of a set are listed in a sentence. A name alone could hide that there is only one.
const maxListed = 20

// issuersText names the issuers, or the set of them where they are many.
func (s *Statement) issuersText(c Context, w words, issuerName func(did string) string, language string) (string, error) {
	accepted, err := s.Accepted(c.Sets)
	if err != nil {
		return "", err
	}
	good := c.Issuers
	if good == nil {
		good = accepted
	}
	var names []string
	if s.IssuerSet.IsZero() || len(good) <= maxListed {
		for _, did := range good {
			names = append(names, issuerName(did))
		}
	}
	listed := strings.Join(names, w.comma)
	if s.IssuerSet.IsZero() {
		return listed, nil
	}
	set, err := c.Sets.get(s.IssuerSet, IssuerSet)
	if err != nil {
		return "", err
	}
	name, digest := set.Name().In(language), short(set.digest)
	text := fmt.Sprintf(w.issuerSet, number(len(accepted), language), name, digest)
	switch {
	case len(good) == len(accepted) && listed != "":
		return fmt.Sprintf(w.ofSet, listed, name, digest), nil
	case len(good) == len(accepted):
		return text, nil
	case listed != "":
		return fmt.Sprintf(w.standing, text, number(len(good), language)) + w.colon + listed, nil
	}
	return fmt.Sprintf(w.standing, text, number(len(good), language)), nil
}

// short is the beginning of a digest, for people; whoever lists the members sees the whole.
func short(d credential.Digest) string { return d.String()[:12] }

// number writes a count as the language does.
func number(n int, language string) string { return grouped(uint64(n), language) }

func (s *Statement) shown(w words, schema *credential.Schema, language string) []string {
	var shown []string
	if len(s.Disclose) > 0 {
		var titles []string
		for _, name := range s.Disclose {
			titles = append(titles, title(schema, name, language))
		}
		shown = append(shown, fmt.Sprintf(w.disclosed, strings.Join(titles, w.comma)))
	}
	shown = append(shown, w.nothingElse)
	if s.Scope == nil && s.SubjectScope == nil {
		shown = append(shown, w.unlinkable)
	}
	if s.Scope != nil {
		shown = append(shown, s.Scope.text(w.pseudonym, w.sharedScope))
		if s.Scope.Once {
			shown = append(shown, w.oncePerPerson)
		}
	}
	if s.SubjectScope != nil {
		shown = append(shown, s.SubjectScope.text(w.subjectTag, w.sharedTag))
		if s.SubjectScope.Once {
			shown = append(shown, w.oncePerThing)
		}
	}
	return append(shown, fmt.Sprintf(w.freshness, s.FreshnessSeconds))
}

func (s *Scope) text(service, shared string) string {
	if s.Shared != nil {
		return fmt.Sprintf(shared, fmt.Sprint(*s.Shared))
	}
	return fmt.Sprintf(service, s.Service)
}

// Explain is what a person reads about the whole policy, beside its statements.
func (p *Policy) Explain(language string) []string {
	w := wordsIn(language)
	lines := []string{fmt.Sprintf(w.purpose, p.Purpose.In(language)), fmt.Sprintf(w.retention, p.RetentionDays)}
	if len(p.Queries) > 1 && !p.SeveralPersons {
		lines = append(lines, w.samePerson)
	}
	return lines
}

// Text is the resolved clause in words, without a full stop. sets has the set that it names, if it names one.
func (c *Clause) Text(schema *credential.Schema, sets Sets, language string) (string, error) {
	claim, err := claimOf(schema, c.Claim)
	if err != nil {
		return "", err
	}
	w := wordsIn(language)
	text, err := c.condition(claim, sets, w, language)
	if err != nil || !c.Not {
		return text, err
	}
	return fmt.Sprintf(w.not, text), nil
}

func (c *Clause) condition(claim credential.ClaimType, sets Sets, w words, language string) (string, error) {
	name := claim.Title(language)
	value := func(s string) string {
		if claim.Unit != nil && claim.Unit.In(language) != "" {
			return claim.Label(s, language) + " " + claim.Unit.In(language)
		}
		return claim.Label(s, language)
	}
	low, high := w.atLeast, w.atMost
	if claim.Type != credential.Integer {
		low, high = w.notBefore, w.notAfter
	}
	switch {
	case c.AtLeastAgo != "":
		return fmt.Sprintf(w.ago, fmt.Sprintf(high, name, c.AtMost), c.AtLeastAgo.Text(language)), nil
	case c.WithinLast != "":
		return fmt.Sprintf(w.within, fmt.Sprintf(w.between, name, c.AtLeast, c.AtMost), c.WithinLast.Text(language)), nil
	case c.AtLeast != "" && c.AtMost != "":
		return fmt.Sprintf(w.between, name, value(c.AtLeast), value(c.AtMost)), nil
	case c.AtLeast != "":
		return fmt.Sprintf(low, name, value(c.AtLeast)), nil
	case c.AtMost != "":
		return fmt.Sprintf(high, name, value(c.AtMost)), nil
	case c.Equals != nil:
		return fmt.Sprintf(w.equals, name, valueText(c.Equals, value, w)), nil
	case len(c.In) > 0:
		return fmt.Sprintf(w.in, name, listText(c.In, value, w)), nil
	case !c.InSet.IsZero():
		set, err := sets.get(c.InSet, ValueSet)
		if err != nil {
			return "", err
		}
		return set.condition(name, value, w, language), nil
	case c.Present:
		return fmt.Sprintf(w.present, name), nil
	}
	return "", fmt.Errorf("clause on %q says nothing", c.Claim)
}

// condition says of a claim that its value is a member.
func (s *Set) condition(claim string, value func(string) string, w words, language string) string {
	name, digest, members := s.Name().In(language), short(s.digest), s.Members()
	if len(members) <= maxListed {
		return fmt.Sprintf(w.ofSet, fmt.Sprintf(w.in, claim, listText(members, value, w)), name, digest)
	}
	return fmt.Sprintf(w.inSet, claim, number(len(members), language), name, digest)
}

func listText(values []string, text func(string) string, w words) string {
	var out []string
	for _, v := range values {
		out = append(out, text(v))
	}
	return strings.Join(out, w.comma)
}

func valueText(v any, text func(string) string, w words) string {
	switch v := v.(type) {
	case bool:
		if v {
			return w.yes
		}
		return w.no
	case string:
		return text(v)
	}
	return fmt.Sprint(v)
}

func title(schema *credential.Schema, name, language string) string {
	if slot, ok := schema.Slot(name); ok {
		return schema.Claims[slot].Title(language)
	}
	return name
}
