package policy_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// What a clause means to a clerk, on the claims as they are written, and what the compiled clauses mean to the circuit,
// on the encoded slots, must be the same. Values come from small pools, so that all outcomes are frequent.

var types = []credential.Type{credential.Integer, credential.Date, credential.DateTime, credential.Boolean, credential.String, credential.Enum}

func drawSchema(t *rapid.T) *credential.Schema {
	s := &credential.Schema{Type: "urn:x:1", EnrolmentRegister: "people", OnePerPerson: true, SubjectRegister: "things"}
	for i := range rapid.IntRange(1, credential.Slots).Draw(t, "claims") {
		c := credential.ClaimType{Name: fmt.Sprintf("c%d", i), Type: rapid.SampledFrom(types).Draw(t, "type"), Optional: rapid.Bool().Draw(t, "optional")}
		switch c.Type {
		case credential.Integer:
			c.Scale = rapid.IntRange(0, 3).Draw(t, "scale")
		case credential.Enum:
			c.Values = []string{"a", "b", "中"}
		}
		s.Claims = append(s.Claims, c)
	}
	return s
}

func drawText(t *rapid.T, c credential.ClaimType) string {
	switch c.Type {
	case credential.Integer:
		number := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.SampledFrom([]int64{1<<63 - 1, -(1<<63 - 1)})).Draw(t, "number")
		encoded, err := credential.EncodeNumber(number)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.FormatNumber(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return text
	case credential.Date:
		return rapid.SampledFrom([]string{"1969-12-31", "2023-02-28", "2023-03-01", "2024-02-28", "2024-02-29", "2024-03-01", "9999-12-31"}).Draw(t, "date")
	case credential.DateTime:
		return rapid.SampledFrom([]string{"0000-01-01T00:00:00Z", "2023-02-28T10:30:00Z", "2024-02-29T10:29:59Z", "2024-02-29T10:30:00Z", "2024-02-29T10:30:01Z"}).Draw(t, "time")
	}
	return rapid.SampledFrom([]string{"a", "b", "中"}).Draw(t, "text")
}

func drawValue(t *rapid.T, c credential.ClaimType) any {
	if c.Type == credential.Boolean {
		return rapid.Bool().Draw(t, "boolean")
	}
	return drawText(t, c)
}

func drawClaims(t *rapid.T, s *credential.Schema) credential.Claims {
	claims := credential.Claims{}
	for _, c := range s.Claims {
		if !c.Optional || rapid.Bool().Draw(t, "present") {
			claims[c.Name] = drawValue(t, c)
		}
	}
	return claims
}

// drawClauses draws as many clauses as the circuit has room for.
func drawClauses(t *rapid.T, s *credential.Schema) []policy.Clause {
	intervals, equalities, memberships := 0, 0, 0
	clauses := []policy.Clause{}
	for range rapid.IntRange(0, 12).Draw(t, "clauses") {
		c := rapid.SampledFrom(s.Claims).Draw(t, "claim")
		clause := policy.Clause{Claim: c.Name, Not: rapid.Bool().Draw(t, "not"), AnyOf: rapid.Bool().Draw(t, "any of")}
		switch form := rapid.SampledFrom([]string{"bounds", "period", "equals", "in", "present"}).Draw(t, "form"); {
		case form == "bounds" && c.Type.Ordered() && intervals < credential.Intervals:
			intervals++
			clause.AtLeast, clause.AtMost = drawText(t, c), drawText(t, c)
			if !atMost(c, clause.AtLeast, clause.AtMost) {
				clause.AtLeast, clause.AtMost = clause.AtMost, clause.AtLeast
			}
			switch rapid.IntRange(0, 2).Draw(t, "side") {
			case 0:
				clause.AtLeast = ""
			case 1:
				clause.AtMost = ""
			}
		case form == "period" && (c.Type == credential.Date || c.Type == credential.DateTime) && intervals < credential.Intervals:
			intervals++
			period := policy.Period(rapid.SampledFrom([]string{"P1Y", "P1D", "P366D", "P12M"}).Draw(t, "period"))
			if rapid.Bool().Draw(t, "ago") {
				clause.AtLeastAgo = period
			} else {
				clause.WithinLast = period
			}
		case form == "in" && c.Type != credential.Boolean && memberships < credential.Memberships:
			memberships++
			clause.Not = false
			for range rapid.IntRange(1, 5).Draw(t, "members") {
				clause.In = append(clause.In, drawText(t, c))
			}
		case form == "present" && equalities < credential.Equalities:
			equalities++
			clause.Not, clause.Present = false, true
		case equalities < credential.Equalities:
			equalities++
			clause.Equals = drawValue(t, c)
		default:
			continue
		}
		clauses = append(clauses, clause)
	}
	return clauses
}

// atMost tells whether a <= b as people read them.
func atMost(c credential.ClaimType, a, b string) bool {
	if c.Type == credential.Integer {
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		return x.Cmp(y) <= 0
	}
	return a <= b // dates and times of the years 0000 to 9999 are written in their order
}

// means is the clause in plain words: true if the claim is there and the condition is as wanted.
func means(c policy.Clause, claim credential.ClaimType, claims credential.Claims) bool {
	value, present := claims[c.Claim]
	if !present {
		return false
	}
	text, _ := value.(string)
	ago := func(p policy.Period) string { // now less p, for the periods above and the leap day that now is
		then := map[policy.Period]time.Time{
			"P1Y": time.Date(2023, 2, 28, 10, 30, 0, 0, time.UTC), "P12M": time.Date(2023, 2, 28, 10, 30, 0, 0, time.UTC),
			"P1D": now.Add(-24 * time.Hour), "P366D": now.Add(-366 * 24 * time.Hour),
		}[p]
		if claim.Type == credential.Date {
			return then.Format(time.DateOnly)
		}
		return then.Format("2006-01-02T15:04:05Z")
	}
	today := now.Format("2006-01-02T15:04:05Z")
	if claim.Type == credential.Date {
		today = now.Format(time.DateOnly)
	}
	var holds bool
	switch {
	case c.Present:
		return true
	case c.AtLeastAgo != "":
		holds = text <= ago(c.AtLeastAgo)
	case c.WithinLast != "":
		holds = ago(c.WithinLast) <= text && text <= today
	case c.Equals != nil:
		holds = value == c.Equals
	case len(c.In) > 0:
		holds = slices.Contains(c.In, text)
	default:
		holds = (c.AtLeast == "" || atMost(claim, c.AtLeast, text)) && (c.AtMost == "" || atMost(claim, text, c.AtMost))
	}
	return holds != c.Not
}

// isMeant tells whether all clauses are fulfilled: each that must be, and one of the others.
func isMeant(clauses []policy.Clause, s *credential.Schema, claims credential.Claims) bool {
	anyOf, one := false, false
	for _, c := range clauses {
		slot, _ := s.Slot(c.Claim)
		holds := means(c, s.Claims[slot], claims)
		if !c.AnyOf && !holds {
			return false
		}
		anyOf, one = anyOf || c.AnyOf, one || c.AnyOf && holds
	}
	return one || !anyOf
}

// isProven evaluates compiled clauses on encoded slots as the statement of the circuit has them.
func isProven(compiled *policy.Compiled, slots [credential.Slots]credential.Element) bool {
	required, anyOf, one := true, false, false
	count := func(mode credential.Mode, slot uint8, condition bool) {
		holds := !slots[slot].IsZero() && condition != (mode&credential.Negated != 0)
		required = required && (mode&credential.Required == 0 || holds)
		if mode&credential.AnyOf != 0 {
			anyOf, one = true, one || holds
		}
	}
	for _, c := range compiled.Clauses.Intervals {
		v := slots[c.Slot].BigInt()
		count(c.Mode, c.Slot, v.Cmp(new(big.Int).SetUint64(c.Low)) >= 0 && v.Cmp(new(big.Int).SetUint64(c.High)) <= 0)
	}
	for _, c := range compiled.Clauses.Equalities {
		count(c.Mode, c.Slot, slots[c.Slot] == c.Value)
	}
	for i, c := range compiled.Clauses.Memberships {
		if c.Mode != 0 {
			path, err := compiled.Sets[i].Path(slots[c.Slot])
			count(c.Mode, c.Slot, err == nil && path.Verify(slots[c.Slot], c.Root, credential.SetDepth) == nil)
		}
	}
	return required && (one || !anyOf)
}

func TestCompiledClausesMeanWhatTheySay(t *testing.T) {
	outcomes := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		schema := drawSchema(t)
		claims := drawClaims(t, schema)
		clauses := drawClauses(t, schema)
		slots, err := schema.Encode(claims)
		if err != nil {
			t.Fatal(err)
		}
		p := &policy.Policy{
			Version: 1, ID: "p", Verifier: shop, Name: credential.Text{English: "N"}, Purpose: credential.Text{English: "P"}, FreshnessSeconds: 60,
			Queries: []policy.Query{{ID: "q", Schema: mustID(t, schema), Issuers: []string{land}, Clauses: clauses}},
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		statements, err := p.Resolve(now, func(credential.Element) (*credential.Schema, error) { return schema, nil })
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := statements[0].Compile(policy.Context{Schema: schema, Issuers: []string{land}})
		if err != nil {
			t.Fatal(err)
		}
		want := isMeant(clauses, schema, claims)
		if got := isProven(compiled, slots); got != want {
			t.Fatalf("clauses %+v on %v: proven %t, meant %t", clauses, claims, got, want)
		}
		outcomes[want]++
		// Each clause alone as well, so that no other one hides it.
		for i := range clauses {
			one := statements[0]
			one.Clauses = one.Clauses[i : i+1]
			compiled, err := one.Compile(policy.Context{Schema: schema, Issuers: []string{land}})
			if err != nil {
				t.Fatal(err)
			}
			want := isMeant(clauses[i:i+1], schema, claims)
			if got := isProven(compiled, slots); got != want {
				t.Fatalf("clause %+v on %v: proven %t, meant %t", clauses[i], claims, got, want)
			}
			outcomes[want]++
		}
		// What is disclosed is proven to be the value, and nothing else is.
		if value, ok := claims["c0"]; ok {
			disclosing := statements[0]
			disclosing.Clauses, disclosing.Disclose = []policy.Clause{}, []string{"c0"}
			c := policy.Context{Schema: schema, Issuers: []string{land}, Disclosed: credential.Claims{"c0": value}}
			compiled, err := disclosing.Compile(c)
			if err != nil || !isProven(compiled, slots) {
				t.Fatalf("disclosure of %v: %v", value, err)
			}
			c.Disclosed = credential.Claims{"c0": drawValue(t, schema.Claims[0])}
			if compiled, err = disclosing.Compile(c); err != nil || isProven(compiled, slots) != (c.Disclosed["c0"] == value) {
				t.Fatalf("disclosure of %v for %v: %v", c.Disclosed["c0"], value, err)
			}
			c.Disclosed = nil
			if compiled, err = disclosing.Compile(c); err != nil || isProven(compiled, slots) {
				t.Fatalf("a statement without its disclosures is fulfilled, %v", err)
			}
		}
	})
	least := 50
	if testing.Short() { // a fifth of the cases
		least = 10
	}
	if outcomes[true] < least || outcomes[false] < least {
		t.Errorf("too few of an outcome: %v", outcomes)
	}
}
