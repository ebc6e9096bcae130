package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/bulla-id/bulla/credential"
)

// admitted is the set of values that some clauses leave to a claim. Two that are the same set are the same value.
type admitted struct {
	ordered bool
	spans   []span   // of an ordered claim: ascending, with a gap between one and the next
	values  []string // of another claim: ascending, each once; booleans are "false" and "true"
	all     bool     // text only: every one but values
}

// span is an interval of encoded numbers, ends included.
type span struct{ low, high uint64 }

// universe is the set of all values that a claim can have.
func universe(claim credential.ClaimType) (admitted, error) {
	switch claim.Type {
	case credential.Integer:
		return admitted{ordered: true, spans: []span{{1, math.MaxUint64}}}, nil
	case credential.Date:
		return spanOf(claim, "0000-01-01", "9999-12-31")
	case credential.DateTime:
		return spanOf(claim, "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
	case credential.Boolean:
		return admitted{values: []string{"false", "true"}}, nil
	case credential.Enum:
		return admitted{values: sorted(claim.Values)}, nil
	case credential.String:
		return admitted{all: true}, nil
	}
	return admitted{}, fmt.Errorf("unknown type %.100q", claim.Type)
}

func spanOf(claim credential.ClaimType, low, high string) (admitted, error) {
	from, err := claim.Number(low)
	if err != nil {
		return admitted{}, err
	}
	to, err := claim.Number(high)
	if err != nil {
		return admitted{}, err
	}
	if from > to {
		return admitted{ordered: true}, nil
	}
	return admitted{ordered: true, spans: []span{{from, to}}}, nil
}

// leaves is the set of values with which a resolved clause holds.
func (c *Clause) leaves(claim credential.ClaimType, sets Sets) (admitted, error) {
	whole, err := universe(claim)
	if err != nil || c.Present {
		return whole, err
	}
	set, err := c.condensed(claim, sets, whole)
	if err != nil {
		return admitted{}, err
	}
	if c.Not {
		set = set.complement()
	}
	return whole.and(set), nil
}

// condensed is the set of values that the clause names, before a negation.
func (c *Clause) condensed(claim credential.ClaimType, sets Sets, whole admitted) (admitted, error) {
	switch {
	case c.AtLeast != "" || c.AtMost != "":
		return c.bounded(claim, whole)
	case c.Equals != nil:
		if _, err := claim.Encode(c.Equals); err != nil {
			return admitted{}, err
		}
		return valuesOf(claim, []string{fmt.Sprint(c.Equals)})
	case len(c.In) > 0 || !c.InSet.IsZero():
		members, err := c.Values(sets)
		if err != nil {
			return admitted{}, err
		}
		return valuesOf(claim, members)
	}
	return admitted{}, fmt.Errorf("clause on %.100q says nothing", c.Claim)
}

func (c *Clause) bounded(claim credential.ClaimType, whole admitted) (admitted, error) {
	if !claim.Type.Ordered() {
		return admitted{}, fmt.Errorf("bounds are for numbers and dates, but the claim is of type %s", claim.Type)
	}
	limits := whole.spans[0]
	var err error
	if c.AtLeast != "" {
		if limits.low, err = claim.Number(c.AtLeast); err != nil {
			return admitted{}, err
		}
	}
	if c.AtMost != "" {
		if limits.high, err = claim.Number(c.AtMost); err != nil {
			return admitted{}, err
		}
	}
	if limits.low > limits.high {
		return admitted{ordered: true}, nil
	}
	return admitted{ordered: true, spans: []span{limits}}, nil
}

// valuesOf is the set of single values.
func valuesOf(claim credential.ClaimType, values []string) (admitted, error) {
	if !claim.Type.Ordered() {
		for _, v := range values {
			if claim.Type == credential.Enum && !slices.Contains(claim.Values, v) {
				return admitted{}, fmt.Errorf("value %.100q is not one of the schema's", v)
			}
		}
		return admitted{values: sorted(values)}, nil
	}
	out := admitted{ordered: true}
	for _, v := range values {
		n, err := claim.Number(v)
		if err != nil {
			return admitted{}, err
		}
		out.spans = append(out.spans, span{n, n})
	}
	out.spans = joined(out.spans)
	return out, nil
}

func sorted(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// joined brings spans into the form that [admitted] has.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.low, b.low) })
	var out []span
	for _, s := range spans {
		if last := len(out) - 1; last >= 0 && (out[last].high == math.MaxUint64 || s.low <= out[last].high+1) {
			out[last].high = max(out[last].high, s.high)
			continue
		}
		out = append(out, s)
	}
	return out
}

// complement is every other value: on numbers, every other one of 64 bits but 0, which means absent.
func (a admitted) complement() admitted {
	if !a.ordered {
		return admitted{values: a.values, all: !a.all}
	}
	out, next := admitted{ordered: true}, uint64(1)
	for _, s := range a.spans {
		if s.low > next {
			out.spans = append(out.spans, span{next, s.low - 1})
		}
		if s.high == math.MaxUint64 {
			return out
		}
		next = s.high + 1
	}
	out.spans = append(out.spans, span{next, math.MaxUint64})
	return out
}

// and is the set of values in both.
func (a admitted) and(b admitted) admitted {
	if a.ordered {
		return admitted{ordered: true, spans: overlap(a.spans, b.spans)}
	}
	switch {
	case a.all && b.all:
		return admitted{all: true, values: sorted(slices.Concat(a.values, b.values))}
	case a.all:
		return admitted{values: picked(b.values, a.values, false)}
	}
	return admitted{values: picked(a.values, b.values, !b.all)}
}

// or is the set of values in one of them.
func (a admitted) or(b admitted) admitted {
	if a.ordered {
		return admitted{ordered: true, spans: joined(slices.Concat(a.spans, b.spans))}
	}
	return a.complement().and(b.complement()).complement()
}

// picked are the values that are in a list, or those that are not.
func picked(values, list []string, wanted bool) (out []string) {
	for _, v := range values {
		if _, found := slices.BinarySearch(list, v); found == wanted {
			out = append(out, v)
		}
	}
	return out
}

func overlap(a, b []span) (out []span) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if low, high := max(a[i].low, b[j].low), min(a[i].high, b[j].high); low <= high {
			out = append(out, span{low, high})
		}
		if a[i].high < b[j].high {
			i++
		} else {
			j++
		}
	}
	return out
}

func (a admitted) empty() bool { return len(a.spans) == 0 && len(a.values) == 0 && !a.all }

func (a admitted) equal(b admitted) bool {
	return a.ordered == b.ordered && a.all == b.all && slices.Equal(a.spans, b.spans) && slices.Equal(a.values, b.values)
}

// size is the number of values, at most 2^64−1; of text without an end it is that.
func (a admitted) size() uint64 {
	if a.all {
		return math.MaxUint64
	}
	total := uint64(len(a.values))
	for _, s := range a.spans {
		n := s.high - s.low
		if n >= math.MaxUint64-total {
			return math.MaxUint64
		}
		total += n + 1
	}
	return total
}
