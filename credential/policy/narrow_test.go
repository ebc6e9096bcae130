package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// What is counted is compared with all the credentials that fulfil the compiled clauses, over claims of few values.

var smallTypes = []credential.ClaimType{
	{Type: credential.Boolean}, {Type: credential.Enum, Values: []string{"d", "b", "a", "c"}}, {Type: credential.Integer, Scale: 1},
	{Type: credential.Date}, {Type: credential.String},
}

// smallValues are all values that a claim has in these tests: a required clause lets only those pass.
func smallValues(c credential.ClaimType) []any {
	switch c.Type {
	case credential.Boolean:
		return []any{false, true}
	case credential.Integer:
		return []any{"-0.2", "-0.1", "0.0", "0.1", "0.2"}
	case credential.Date:
		return []any{"2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"} // now is the third
	}
	return []any{"a", "b", "c", "d"}
}

// smallest is the clause that lets only the small values pass, if it needs one.
func smallest(c credential.ClaimType) []policy.Clause {
	switch v := smallValues(c); c.Type {
	case credential.Integer, credential.Date:
		return []policy.Clause{{Claim: c.Name, AtLeast: v[0].(string), AtMost: v[len(v)-1].(string)}}
	case credential.String:
		return []policy.Clause{{Claim: c.Name, In: []string{"a", "b", "c", "d"}}}
	}
	return nil
}

func drawSmallSchema(t *rapid.T) *credential.Schema {
	s := &credential.Schema{Type: "urn:x:1", EnrolmentRegister: "people"}
	for i := range rapid.IntRange(1, 3).Draw(t, "claims") {
		c := rapid.SampledFrom(smallTypes).Draw(t, "type")
		if c.Type == credential.String && i > 0 { // there is room for few lists
			c = smallTypes[0]
		}
		c.Name, c.Optional = fmt.Sprintf("c%d", i), rapid.Bool().Draw(t, "optional")
		s.Claims = append(s.Claims, c)
	}
	return s
}

// used counts the clauses of a kind, of which the circuit has few.
type used struct{ bounds, equalities int }

func drawSmallClause(t *rapid.T, s *credential.Schema, n *used) (policy.Clause, bool) {
	c := rapid.SampledFrom(s.Claims).Draw(t, "claim")
	values := smallValues(c)
	clause := policy.Clause{Claim: c.Name, AnyOf: rapid.Bool().Draw(t, "any of"), Not: rapid.Bool().Draw(t, "not")}
	switch form := rapid.SampledFrom([]string{"bounds", "equals", "present"}).Draw(t, "form"); {
	case form == "bounds" && c.Type.Ordered() && n.bounds < credential.Intervals-3: // each of three claims has one already
		n.bounds++
		low := rapid.IntRange(0, len(values)-1).Draw(t, "low")
		high := rapid.IntRange(low, len(values)-1).Draw(t, "high")
		side := rapid.IntRange(0, 3).Draw(t, "side")
		if side != 0 {
			clause.AtLeast = values[low].(string)
		}
		if side != 1 {
			clause.AtMost = values[high].(string)
		}
		return clause, true
	case n.equalities == credential.Equalities:
		return clause, false
	case form == "present":
		clause.Present, clause.Not = true, false
	default:
		clause.Equals = rapid.SampledFrom(values).Draw(t, "value")
	}
	n.equalities++
	return clause, true
}

// fulfilling are all credentials of small values that fulfil a statement.
func fulfilling(t *rapid.T, s *policy.Statement, schema *credential.Schema) (list []credential.Claims) {
	compiled, err := s.Compile(policy.Context{Schema: schema, Issuers: []string{land}})
	if err != nil {
		t.Fatal(err)
	}
	var try func(slot int, claims credential.Claims)
	try = func(slot int, claims credential.Claims) {
		if slot == len(schema.Claims) {
			slots, err := schema.Encode(claims)
			if err != nil {
				t.Fatal(err)
			}
			if isProven(compiled, slots) {
				kept := credential.Claims{}
				for name, v := range claims {
					kept[name] = v
				}
				list = append(list, kept)
			}
			return
		}
		c := schema.Claims[slot]
		if c.Optional {
			try(slot+1, claims)
		}
		for _, v := range smallValues(c) {
			claims[c.Name] = v
			try(slot+1, claims)
		}
		delete(claims, c.Name)
	}
	try(0, credential.Claims{})
	return list
}

// distinct counts the values of a claim.
func distinct(list []credential.Claims, claim string, keep func(credential.Claims) bool) uint64 {
	seen := make(map[any]bool)
	for _, claims := range list {
		if v, present := claims[claim]; present && keep(claims) {
			seen[v] = true
		}
	}
	return uint64(len(seen))
}

func all(credential.Claims) bool { return true }

func smallStatement(t *rapid.T, schema *credential.Schema, clauses []policy.Clause) *policy.Statement {
	p := &policy.Policy{
		Version: 1, ID: "p", Verifier: shop, Name: credential.Text{English: "N"}, Purpose: credential.Text{English: "P"}, FreshnessSeconds: 60,
		Queries: []policy.Query{{ID: "q", Schema: mustID(t, schema), Issuers: []string{land}, Clauses: clauses}},
	}
	statements, err := p.Resolve(now, func(credential.Element) (*credential.Schema, error) { return schema, nil })
	if err != nil {
		t.Fatal(err)
	}
	return &statements[0]
}

func drawSmallClauses(t *rapid.T, schema *credential.Schema) []policy.Clause {
	clauses := []policy.Clause{}
	for _, c := range schema.Claims {
		clauses = append(clauses, smallest(c)...)
	}
	var n used
	for range rapid.IntRange(0, 5).Draw(t, "clauses") {
		if c, ok := drawSmallClause(t, schema, &n); ok {
			clauses = append(clauses, c)
		}
	}
	return clauses
}

func TestNarrowCountsWhatCanBe(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSmallSchema(t)
		clauses := drawSmallClauses(t, schema)
		s := smallStatement(t, schema, clauses)
		n, err := s.Narrow(policy.Context{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		can := fulfilling(t, s, schema)
		nobody := slices.ContainsFunc(n.Claims, func(c policy.ClaimNarrowing) bool { return c.Form == policy.FormNobody })
		if nobody != (len(can) == 0) {
			t.Fatalf("%+v: %d credentials fulfil it, narrowed to %+v", clauses, len(can), n.Claims)
		}
		if nobody {
			seen["nobody"]++
			return
		}
		for _, c := range schema.Claims {
			i := slices.IndexFunc(n.Claims, func(x policy.ClaimNarrowing) bool { return x.Claim == c.Name })
			count := distinct(can, c.Name, all)
			switch {
			case i < 0 && count != uint64(len(smallValues(c))):
				t.Fatalf("%+v: %s has %d values, and is not narrowed down", clauses, c.Name, count)
			case i >= 0 && (n.Claims[i].Open || n.Claims[i].Remaining != count):
				t.Fatalf("%+v: %s has %d values, narrowed to %+v", clauses, c.Name, count, n.Claims[i])
			case i >= 0 && n.Claims[i].Form == policy.FormValue != (count == 1):
				t.Fatalf("%+v: %s has %d values, form %s", clauses, c.Name, count, n.Claims[i].Form)
			case i >= 0:
				seen[string(n.Claims[i].Form)]++
			}
		}
		checkEither(t, s, n, can, schema)
		seen["either"] += len(n.Either)
	})
	for _, form := range []string{"nobody", "either", "value", "range", "some", "stated"} {
		if seen[form] == 0 && !testing.Short() {
			t.Errorf("%s was met %d times", form, seen[form])
		}
	}
}

// checkEither: a group lists the alternatives that can be, each with the values that its claim has then.
func checkEither(t *rapid.T, s *policy.Statement, n *policy.Narrowing, can []credential.Claims, schema *credential.Schema) {
	if len(n.Either) == 0 {
		return
	}
	group := n.Either[0]
	for _, c := range s.Clauses {
		if !c.AnyOf {
			continue
		}
		slot, _ := schema.Slot(c.Claim)
		count := distinct(can, c.Claim, func(claims credential.Claims) bool { return means(c, schema.Claims[slot], claims) })
		if count == 0 {
			continue
		}
		if len(group) == 0 || group[0].Claim != c.Claim || group[0].Remaining != count {
			t.Fatalf("%+v: %+v leaves %d values, the group says %+v", s.Clauses, c, count, group)
		}
		group = group[1:]
	}
	if len(group) != 0 || len(n.Either) != 1 {
		t.Fatalf("%+v: groups %+v have more than can be", s.Clauses, n.Either)
	}
}

// A clause more never leaves more, whether it is asked now or was answered before.
func TestNarrowNeverWidens(t *testing.T) {
	narrower := 0
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSmallSchema(t)
		clauses := drawSmallClauses(t, schema)
		more, ok := drawSmallClause(t, schema, new(used))
		if !ok {
			return
		}
		more.AnyOf = false
		c := policy.Context{Schema: schema}
		s := smallStatement(t, schema, clauses)
		less, err := s.Narrow(c)
		if err != nil {
			t.Fatal(err)
		}
		asked, err := smallStatement(t, schema, append(slices.Clone(clauses), more)).Narrow(c) // not compiled: there may be too many
		if err != nil {
			t.Fatal(err)
		}
		known, err := s.NarrowAfter(c, [][]policy.Clause{nil, {more}})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []*policy.Narrowing{asked, known} {
			if slices.ContainsFunc(n.Claims, func(x policy.ClaimNarrowing) bool { return x.Form == policy.FormNobody }) {
				continue // of the other claims nothing is left, either
			}
			for _, before := range less.Claims {
				i := slices.IndexFunc(n.Claims, func(x policy.ClaimNarrowing) bool { return x.Claim == before.Claim })
				if i < 0 || n.Claims[i].Remaining > before.Remaining || n.Claims[i].Open && !before.Open {
					t.Fatalf("%+v and %+v: %+v becomes %+v", clauses, more, before, n.Claims)
				}
				if n.Claims[i].Remaining < before.Remaining {
					narrower++
				}
			}
		}
	})
	if narrower == 0 {
		t.Errorf("only %d clauses narrowed anything down", narrower)
	}
}

// people is a schema of what offices ask about people.
func people() *credential.Schema {
	s := titles()
	s.Claims = append(s.Claims,
		credential.ClaimType{Name: "born", Type: credential.Date, Display: &credential.Text{English: "Your birth date", Chinese: "您的出生日期"}},
		credential.ClaimType{Name: "county", Type: credential.Enum, Values: counties(200)},
	)
	return s
}

func counties(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%06d", 110101+i))
	}
	return list
}

func TestNarrowTexts(t *testing.T) {
	strong, notice, none := policy.Strong, policy.Notice, policy.None
	type clauses = []policy.Clause
	tests := []struct {
		clauses          clauses
		severity         policy.Severity
		english, chinese string
	}{
		{clauses{{Claim: "born", AtLeast: "1990-01-01", AtMost: "2010-01-03"}}, none,
			"Your birth date lies within 20 years and 3 days (7,308 of 54,788 possible days)", "您的出生日期落在 20 年零 3 天 的范围内（剩余 7308，可能的总数 54788 天）"},
		{clauses{{Claim: "born", AtLeastAgo: "P18Y"}}, none,
			"Your birth date: 48,213 of 54,788 possible days remain", "您的出生日期：剩余 48213，可能的总数 54788 天"},
		{clauses{{Claim: "born", AtLeastAgo: "P18Y"}, {Claim: "born", AtLeast: "2004-01-01"}}, notice,
			"Your birth date lies within 2 years and 59 days (790 of 54,788 possible days)", "您的出生日期落在 2 年零 59 天 的范围内（剩余 790，可能的总数 54788 天）"},
		{clauses{{Claim: "born", AtLeast: "2000-01-01", AtMost: "2000-12-30"}}, strong,
			"Your birth date lies within 365 days (365 of 54,788 possible days)", "您的出生日期落在 365 天 的范围内（剩余 365，可能的总数 54788 天）"},
		{clauses{{Claim: "born", AtLeast: "2000-01-01"}, {Claim: "born", AtMost: "2000-01-01"}}, strong,
			"Your birth date: the verifier knows the value, one of 54,788 possible days", "您的出生日期：验证方得知该值，可能的总数 54788 天"},
		{clauses{{Claim: "born", AtMost: "1700-01-01"}}, strong,
			"Your birth date lies outside the 150 years before and 50 years after today that are counted: few people have such a date, if any",
			"您的出生日期不在所统计的今日之前 150 年至之后 50 年之内：几乎无人有这样的日期"},
		{clauses{{Claim: "since", AtLeast: "2024-03-01"}}, none, "Registered: 18,262 of 73,050 possible days remain", "登记日期：剩余 18262，可能的总数 73050 天"},
		{clauses{{Claim: "since", Not: true, Equals: "2024-02-28"}}, none, "Registered: 73,049 of 73,050 possible days remain", "登记日期：剩余 73049，可能的总数 73050 天"},
		{clauses{{Claim: "seen", WithinLast: "P1D"}}, strong,
			"Inspected lies within 1 day and 1 second (86,401 of 4,733,596,801 possible seconds)", "查验时间落在 1 天零 1 秒 的范围内（剩余 86401，可能的总数 4733596801 秒）"},
		{clauses{{Claim: "area", AtLeast: "500.0"}}, none,
			"Area: how many values remain cannot be counted, as the range has no end on a side", "面积：范围有一端不限，无法计算剩余多少个值"},
		{clauses{{Claim: "floors", AtLeast: "1", AtMost: "4"}}, notice, "floors: 4 values remain; how many are possible, nobody states", "floors：剩余 4 个值；可能的总数未知"},
		{clauses{{Claim: "floors", AtLeast: "1", AtMost: "40"}}, none, "floors: 40 values remain; how many are possible, nobody states", "floors：剩余 40 个值；可能的总数未知"},
		{clauses{{Claim: "floors", Equals: "4"}}, strong, "floors: the verifier knows the value, as only one remains", "floors：只剩一个值，验证方因此得知该值"},
		{clauses{{Claim: "floors", Present: true}}, none, "floors: no more than that it is stated", "floors：仅知其已载明"},
		{clauses{{Claim: "disputed", Equals: false}}, none, "Disputed: the verifier knows the value, one of 2 possible values", "有争议：验证方得知该值，可能的总数 2 个值"},
		{clauses{{Claim: "right", In: []string{"owner", "heir"}}}, none, "Right: 2 of 3 possible values remain", "权利：剩余 2，可能的总数 3 个值"},
		{clauses{{Claim: "right", In: []string{"owner", "heir"}}, {Claim: "right", Not: true, Equals: "heir"}}, none,
			"Right: the verifier knows the value, one of 3 possible values", "权利：验证方得知该值，可能的总数 3 个值"},
		{clauses{{Claim: "county", In: counties(20)}}, notice, "county: 20 of 200 possible values remain", "county：剩余 20，可能的总数 200 个值"},
		{clauses{{Claim: "county", In: counties(21)}}, none, "county: 21 of 200 possible values remain", "county：剩余 21，可能的总数 200 个值"},
		{clauses{{Claim: "county", In: counties(2)}}, strong, "county: 2 of 200 possible values remain", "county：剩余 2，可能的总数 200 个值"},
		{clauses{{Claim: "parcel", Not: true, Equals: "A"}}, none, "Parcel: any text but 1 value", "地块：除 1 个值 之外的任何文字"},
		{clauses{{Claim: "parcel", In: []string{"A", "B"}}}, notice, "Parcel: 2 values remain; how many are possible, nobody states", "地块：剩余 2 个值；可能的总数未知"},
		{clauses{{Claim: "parcel", Equals: "A"}, {Claim: "parcel", Equals: "B"}}, strong, "Parcel: no value is left, nobody can answer this", "地块：没有剩余的值，无人能够应答"},
		{clauses{{Claim: "right", Equals: "owner", AnyOf: true}, {Claim: "born", Equals: "2000-01-01", AnyOf: true}}, none,
			"The verifier learns that one of these is so, and not which: Right: one of 3 possible values; Your birth date: one of 54,788 possible days",
			"验证方得知以下之一成立，但不知是哪一项：权利：一个值（可能的总数 3 个值）；您的出生日期：一个值（可能的总数 54788 天）"},
		{clauses{{Claim: "parcel", Equals: "A", AnyOf: true}, {Claim: "born", Equals: "2000-01-01", AnyOf: true}}, strong,
			"The verifier learns that one of these is so, and not which: Parcel: one value; Your birth date: one of 54,788 possible days",
			"验证方得知以下之一成立，但不知是哪一项：地块：一个值；您的出生日期：一个值（可能的总数 54788 天）"},
	}
	schema := people()
	for _, test := range tests {
		n, err := statement(t, schema, test.clauses...).Narrow(policy.Context{Schema: schema})
		if err != nil {
			t.Errorf("%+v: %v", test.clauses, err)
			continue
		}
		english, chinese := n.ClaimLines(schema, "en"), n.ClaimLines(schema, "zh-CN")
		if len(english) != 1 || english[0].Text != test.english || english[0].Severity != test.severity || chinese[0].Text != test.chinese {
			t.Errorf("%+v:\n%+v\n%+v, want %s\n%s\n%s", test.clauses, english, chinese, test.severity, test.english, test.chinese)
		}
	}
}

// Beside its clauses a statement tells what it discloses, who may have issued, what links visits, and a seal.
func TestNarrowLines(t *testing.T) {
	schema := people()
	s := statement(t, schema, policy.Clause{Claim: "born", AtLeastAgo: "P18Y"})
	s.Disclose = []string{"county", "parcel", "born"}
	s.Scope, s.SubjectScope = &policy.Scope{Service: "counter"}, &policy.Scope{Shared: shared(7)}
	got := func(c policy.Context) string {
		n, err := s.Narrow(c)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, line := range n.Lines(schema, "en") {
			out = append(out, fmt.Sprintf("%s %s %s", line.Severity, line.Code, line.Text))
		}
		return strings.Join(out, "\n")
	}
	want := `strong shown Parcel: the verifier sees the value
strong shown Your birth date: the verifier sees the value, one of 54,788 possible days
strong shown county: the verifier sees the value, one of 200 possible values
notice issuers The issuer is one of 2
notice pseudonym Your visits to the service “counter” can be linked by your pseudonym there
strong subject_tag Visits with the same thing to several verifiers can be linked by its tag (shared scope 7), also by its register and by who held it
none seal The answer tells that the credential was live at a seal of the last 1 hour
none unknown How many people that leaves cannot be known: people are not spread evenly over values, and facts together narrow down more than each of them`
	if got := got(policy.Context{Schema: schema}); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := got(policy.Context{Schema: schema, Issuers: []string{land}}); !strings.Contains(got, "notice issuers The issuer is known, as only one is accepted") {
		t.Error(got)
	}
	s.Scope, s.SubjectScope = &policy.Scope{Shared: shared(7)}, nil
	s.Issuers = []string{"did:web:a.example", land, survey}
	if got := got(policy.Context{Schema: schema}); !strings.Contains(got, "none issuers The issuer is one of 3, and which one is not told\nstrong pseudonym Your visits to several verifiers") {
		t.Error(got)
	}
}

// What does not fit the schema is no narrowing.
func TestNarrowRefuses(t *testing.T) {
	schema := people()
	other := titles()
	for name, change := range map[string]func(*policy.Statement) policy.Context{
		"another schema": func(*policy.Statement) policy.Context { return policy.Context{Schema: other} },
		"no schema":      func(*policy.Statement) policy.Context { return policy.Context{} },
		"unknown claim": func(s *policy.Statement) policy.Context {
			s.Disclose = []string{"height"}
			return policy.Context{Schema: schema}
		},
		"invalid": func(s *policy.Statement) policy.Context { s.Version = 2; return policy.Context{Schema: schema} },
		"forged period": func(s *policy.Statement) policy.Context {
			s.Clauses[0].AtMost = "2020-01-01"
			return policy.Context{Schema: schema}
		},
		"foreign value":  clausesOf(schema, policy.Clause{Claim: "right", Equals: "x"}),
		"foreign member": clausesOf(schema, policy.Clause{Claim: "right", In: []string{"x"}}),
		"bounds on text": clausesOf(schema, policy.Clause{Claim: "parcel", AtLeast: "1"}),
		"no number":      clausesOf(schema, policy.Clause{Claim: "area", AtLeast: "1"}),
		"no date":        clausesOf(schema, policy.Clause{Claim: "born", AtMost: "2020-02-30"}),
		"no such day":    clausesOf(schema, policy.Clause{Claim: "born", In: []string{"2020-02-30"}}),
		"a missing set":  clausesOf(schema, policy.Clause{Claim: "parcel", InSet: credential.DigestOf(nil)}),
		"another claim":  clausesOf(schema, policy.Clause{Claim: "height", Present: true}),
		"missing issuers": func(s *policy.Statement) policy.Context {
			s.Issuers, s.IssuerSet = nil, credential.DigestOf(nil)
			return policy.Context{Schema: schema}
		},
	} {
		s := statement(t, schema, policy.Clause{Claim: "born", AtLeastAgo: "P18Y"})
		c := change(s)
		if n, err := s.Narrow(c); err == nil {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func clausesOf(schema *credential.Schema, clauses ...policy.Clause) func(*policy.Statement) policy.Context {
	return func(s *policy.Statement) policy.Context {
		s.Clauses = clauses
		return policy.Context{Schema: schema}
	}
}

// What was told before is counted together with what is asked now.
func TestNarrowAfter(t *testing.T) {
	schema := people()
	s := statement(t, schema, policy.Clause{Claim: "born", AtLeastAgo: "P18Y"})
	n, err := s.NarrowAfter(policy.Context{Schema: schema}, [][]policy.Clause{
		{{Claim: "born", AtLeast: "2006-02-01"}},
		{{Claim: "right", Equals: "owner"}, {Claim: "born", AtMost: "1950-01-01"}},         // the second cannot be any more
		{{Claim: "right", Not: true, Equals: "heir"}, {Claim: "county", Equals: "110101"}}, // the first is so anyway
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range n.ClaimLines(schema, "en") {
		got = append(got, line.Text)
	}
	want := []string{"Right: the verifier knows the value, one of 3 possible values", "Your birth date lies within 28 days (28 of 54,788 possible days)"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Dates at the ends of the calendar are counted, too.
func TestNarrowAtTheEndsOfTime(t *testing.T) {
	schema := people()
	for _, at := range []time.Time{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		p := purchase(t, schema, policy.Clause{Claim: "born", Present: true}, policy.Clause{Claim: "seen", AtLeast: "0001-01-01T00:00:00Z"})
		statements, err := p.Resolve(at, known(t, schema))
		if err != nil {
			t.Fatal(err)
		}
		n, err := statements[0].Narrow(policy.Context{Schema: schema})
		if err != nil || n.Claims[0].Possible == 0 || n.Claims[1].Possible == 0 {
			t.Errorf("%s: %+v, %v", at, n, err)
		}
		n.Lines(schema, "en")
	}
}
