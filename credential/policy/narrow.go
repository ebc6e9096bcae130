package policy

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Severity says how much something narrows a person down.
type Severity string

// The severities. What is strong may single somebody out by itself.
const (
	None   Severity = "none"
	Notice Severity = "notice"
	Strong Severity = "strong"
)

// When something narrows down much. No wallet refuses by these numbers: a person who is told decides. They count values, as
// nobody but the census knows people.
const (
	// NarrowDays: an interval shorter than a year is finer than a year of birth, the finest date that stays in records which the
	// Safe Harbor rule of HIPAA (45 CFR 164.514(b)(2)) takes as those of nobody.
	NarrowDays = 366
	// NoticeDays: five years, the groups in which statistical offices publish ages.
	NoticeDays = 5 * 366
	// FewValues: of a number or text whose possible values nobody states, so few are told one by one.
	FewValues = 10
	// NoticeShare and StrongShare: of a list of possible values a tenth, or a hundredth, remain. With values spread evenly, of the
	// thousand people below which a wallet warns of a small crowd ten would be left by the second.
	NoticeShare = 10
	StrongShare = 100
	// FewIssuers: of fewer agencies than this one knows nearly which it was, and agencies stand for places.
	FewIssuers = 3
	// PastYears and FutureYears bound the dates that are counted, as schemas state none: longer than anybody lives, and longer
	// than most documents are good for.
	PastYears   = 150
	FutureYears = 50
)

// Form says what is left of a claim.
type Form string

// The forms of what is left of a claim.
const (
	FormShown  Form = "shown"  // the verifier sees the value
	FormValue  Form = "value"  // one value is left: the verifier knows it
	FormRange  Form = "range"  // an interval, which may be open on a side
	FormSome   Form = "some"   // several values or intervals
	FormExcept Form = "except" // text: all but some
	FormStated Form = "stated" // every value: no more than that it is there
	FormNobody Form = "nobody" // no value: nobody can answer
)

// Narrowing says what an answer to a statement tells about the person, at most, as a number of possible values. What it cannot
// say is how many people that leaves: values are not spread evenly over people, and who reads several facts together
// narrows down more than by each of them.
type Narrowing struct {
	// Claims are those that are narrowed down whatever else holds, in the order of the schema.
	Claims []ClaimNarrowing `json:"claims"`
	// Either are groups of claims, of each of which one is as it says there; which one is not told.
	Either  [][]ClaimNarrowing `json:"either,omitempty"`
	Issuers IssuerNarrowing    `json:"issuers"`
	Scopes  []ScopeNarrowing   `json:"scopes,omitempty"`
	// SealSeconds is how far back the seal may lie that the answer names by its root: the credential was live then.
	SealSeconds int `json:"seal_seconds"`
}

// ClaimNarrowing is what is left of a claim. Booleans, enums, dates and times are counted against what is possible. Of numbers
// and text nobody states that, so Possible is 0 there.
type ClaimNarrowing struct {
	Claim string `json:"claim"`
	Form  Form   `json:"form"`
	// Low and High are the ends of a range, as in credentials; empty where it has none.
	Low  string `json:"low,omitempty"`
	High string `json:"high,omitempty"`
	// Remaining is the number of values that are left, of those that are counted; 0 if Open or Outside.
	Remaining uint64 `json:"remaining"`
	Possible  uint64 `json:"possible,omitempty"`
	Unit      Unit   `json:"unit"`
	// Open says that the values that are left cannot be counted: a number without an end, text.
	Open bool `json:"open,omitempty"`
	// Outside says that all dates that are left lie outside those that are counted: an unusual one.
	Outside  bool     `json:"outside,omitempty"`
	Excluded int      `json:"excluded,omitempty"` // of text: the values that are not
	Severity Severity `json:"severity"`
}

// Unit is what is counted.
type Unit string

// The units.
const (
	Days    Unit = "days"
	Seconds Unit = "seconds"
	Values  Unit = "values"
)

// IssuerNarrowing says how well the issuer is hidden.
type IssuerNarrowing struct {
	Accepted int      `json:"accepted"`
	Good     int      `json:"good"` // of these, in good standing: one of them it is
	Severity Severity `json:"severity"`
}

// ScopeNarrowing is a tag by which visits can be linked.
type ScopeNarrowing struct {
	Scope    *Scope   `json:"scope"`
	Subject  bool     `json:"subject,omitempty"` // of the thing, not of the person
	Severity Severity `json:"severity"`
}

// Narrow says what an answer tells about the person. Of the context it takes schema, sets, and issuers: those in good standing,
// or nil for all that are accepted.
//
// Clauses on one claim are taken together, so that two bounds which meet in a point count as that point; an alternative that
// the other clauses exclude is not counted, and one that they imply makes its group say nothing. For a statement alone the counts
// are exact: Remaining is the number of values of the claim with which all clauses can hold.
func (s *Statement) Narrow(c Context) (*Narrowing, error) { return s.NarrowAfter(c, nil) }

// NarrowAfter is Narrow for who knows earlier facts about the same credential: of each list one clause held. With these the counts
// are upper bounds: several groups of alternatives may exclude more together.
func (s *Statement) NarrowAfter(c Context, earlier [][]Clause) (*Narrowing, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("narrow: %w", err)
	}
	if err := s.validateSchema(c.Schema); err != nil {
		return nil, fmt.Errorf("narrow: %w", err)
	}
	accepted, err := s.Accepted(c.Sets)
	if err != nil {
		return nil, fmt.Errorf("narrow: %w", err)
	}
	n := &narrower{schema: c.Schema, sets: c.Sets, left: make(map[int]admitted), shown: make(map[int]bool)}
	for _, group := range slices.Concat(earlier, s.groups()) {
		if len(group) == 0 {
			continue
		}
		if err := n.add(group); err != nil {
			return nil, fmt.Errorf("narrow query %.100q: %w", s.Query, err)
		}
	}
	for _, name := range s.Disclose {
		if err := n.show(name); err != nil {
			return nil, fmt.Errorf("narrow query %.100q: %w", s.Query, err)
		}
	}
	n.settle()
	out := &Narrowing{Claims: []ClaimNarrowing{}, Issuers: issuersNarrowed(len(accepted), c.Issuers), Scopes: s.scopesNarrowed(), SealSeconds: s.FreshnessSeconds}
	return out, n.count(s.Now.Time(), out)
}

// groups are the clauses of the statement: lists of which one must hold.
func (s *Statement) groups() (groups [][]Clause) {
	var either []Clause
	for _, c := range s.Clauses {
		if c.AnyOf {
			either = append(either, c)
			continue
		}
		groups = append(groups, []Clause{c})
	}
	if len(either) > 0 {
		groups = append(groups, either)
	}
	return groups
}

func issuersNarrowed(accepted int, good []string) IssuerNarrowing {
	n := IssuerNarrowing{Accepted: accepted, Good: accepted, Severity: None}
	if good != nil {
		n.Good = len(good)
	}
	if n.Good < FewIssuers {
		n.Severity = Notice
	}
	return n
}

// scopesNarrowed: a pseudonym is recognised by one verifier at one service; what others get too, or can compute, is known to others.
func (s *Statement) scopesNarrowed() (list []ScopeNarrowing) {
	if s.Scope != nil {
		n := ScopeNarrowing{Scope: s.Scope, Severity: Notice}
		if s.Scope.Shared != nil {
			n.Severity = Strong
		}
		list = append(list, n)
	}
	if s.SubjectScope != nil {
		list = append(list, ScopeNarrowing{Scope: s.SubjectScope, Subject: true, Severity: Strong})
	}
	return list
}

// narrower keeps what is left of each claim, by slot. A slot that is in no map is not narrowed down.
type narrower struct {
	schema *credential.Schema
	sets   Sets
	left   map[int]admitted
	shown  map[int]bool
	groups [][]alternative
}

type alternative struct {
	slot int
	set  admitted
}

// add takes clauses of which one holds.
func (n *narrower) add(group []Clause) error {
	var list []alternative
	for i := range group {
		slot, err := n.slot(group[i].Claim)
		if err != nil {
			return err
		}
		set, err := group[i].leaves(n.schema.Claims[slot], n.sets)
		if err != nil {
			return fmt.Errorf("clause on %.100q: %w", group[i].Claim, err)
		}
		list = append(list, alternative{slot, set})
	}
	n.groups = append(n.groups, list)
	return nil
}

func (n *narrower) slot(claim string) (int, error) {
	slot, ok := n.schema.Slot(claim)
	if !ok {
		return 0, fmt.Errorf("schema %s has no claim %.100q", n.schema.Type, claim)
	}
	return slot, nil
}

// show takes a claim whose value is disclosed.
func (n *narrower) show(claim string) error {
	slot, err := n.slot(claim)
	if err != nil {
		return err
	}
	n.shown[slot] = true
	whole, err := universe(n.schema.Claims[slot])
	if err != nil {
		return err
	}
	n.groups = append(n.groups, []alternative{{slot, whole}})
	return nil
}

// settle applies the groups to each other until nothing changes. Each round but the last resolves a group.
func (n *narrower) settle() {
	for changed := true; changed; {
		changed = false
		var open [][]alternative
		for _, group := range n.groups {
			kept, implied := n.possible(group)
			switch {
			case implied:
			case sameSlot(kept):
				n.restrict(kept, group[0].slot)
				changed = true
			default:
				open = append(open, kept)
			}
		}
		n.groups = open
	}
}

// possible are the alternatives that can hold still, each with what it leaves; implied if one of them holds anyway.
func (n *narrower) possible(group []alternative) (kept []alternative, implied bool) {
	for _, a := range group {
		before, stated := n.left[a.slot]
		if stated {
			a.set = a.set.and(before)
		}
		if a.set.empty() {
			continue
		}
		if stated && a.set.equal(before) {
			return nil, true
		}
		kept = append(kept, a)
	}
	return kept, false
}

// sameSlot also holds for none: then nothing is left of the first claim.
func sameSlot(group []alternative) bool {
	return !slices.ContainsFunc(group, func(a alternative) bool { return a.slot != group[0].slot })
}

func (n *narrower) restrict(kept []alternative, slot int) {
	if len(kept) == 0 {
		n.left[slot] = admitted{ordered: n.schema.Claims[slot].Type.Ordered()}
		return
	}
	union := kept[0].set
	for _, a := range kept[1:] {
		union = union.or(a.set)
	}
	n.left[kept[0].slot] = union
}

// count measures what is left.
func (n *narrower) count(now time.Time, out *Narrowing) error {
	for slot, claim := range n.schema.Claims {
		set, stated := n.left[slot]
		if !stated {
			continue
		}
		c, err := measure(claim, set, now, n.shown[slot])
		if err != nil {
			return err
		}
		out.Claims = append(out.Claims, c)
	}
	for _, group := range n.groups {
		var list []ClaimNarrowing
		for _, a := range group {
			c, err := measure(n.schema.Claims[a.slot], a.set, now, false)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		out.Either = append(out.Either, list)
	}
	return nil
}

// measure counts the values that are left of a claim.
func measure(claim credential.ClaimType, set admitted, now time.Time, shown bool) (ClaimNarrowing, error) {
	out := ClaimNarrowing{Claim: claim.Name, Unit: Values}
	whole, err := universe(claim)
	if err != nil {
		return out, err
	}
	out.Form = formOf(set, whole, shown)
	counted := set
	switch claim.Type {
	case credential.Date, credential.DateTime:
		usual, err := usualTimes(claim, set, now)
		if err != nil {
			return out, err
		}
		counted = set.and(usual)
		out.Possible, out.Outside = usual.size(), counted.empty() && !set.empty()
		if out.Unit = Days; claim.Type == credential.DateTime {
			out.Unit = Seconds
		}
	case credential.Integer:
		out.Open = !set.empty() && (set.spans[0].low == 1 || set.spans[len(set.spans)-1].high == math.MaxUint64 || set.size() > credential.MaxJSONInteger)
	case credential.String:
		if out.Open = set.all; set.all {
			out.Excluded = len(set.values)
		}
	default:
		out.Possible = whole.size()
	}
	if !out.Open {
		out.Remaining = counted.size()
	}
	if shown && !set.empty() {
		out.Remaining, out.Open, out.Outside, out.Excluded = 1, false, false, 0
	}
	if err := out.bounds(claim, set, whole); err != nil {
		return out, err
	}
	out.Severity = out.severity(claim.Type)
	return out, nil
}

func formOf(set, whole admitted, shown bool) Form {
	switch {
	case set.empty():
		return FormNobody
	case shown:
		return FormShown
	case set.size() == 1:
		return FormValue
	case set.equal(whole):
		return FormStated
	case set.all:
		return FormExcept
	case len(set.spans) == 1:
		return FormRange
	}
	return FormSome
}

// bounds writes the ends of a range that has them.
func (n *ClaimNarrowing) bounds(claim credential.ClaimType, set, whole admitted) (err error) {
	if n.Form != FormRange {
		return nil
	}
	if s := set.spans[0]; s.low > whole.spans[0].low {
		if n.Low, err = claim.FormatNumber(s.low); err != nil {
			return err
		}
	}
	if s := set.spans[0]; s.high < whole.spans[0].high {
		n.High, err = claim.FormatNumber(s.high)
	}
	return err
}

// usualTimes are the dates that are counted: up to today if what is left lies before, as with a date of birth, else later
// ones, too. What is left of those is the same number in both.
func usualTimes(claim credential.ClaimType, set admitted, now time.Time) (admitted, error) {
	last := now
	today, err := claim.Number(formatTime(claim.Type, now))
	if err != nil {
		return admitted{}, err
	}
	if len(set.spans) > 0 && set.spans[len(set.spans)-1].high > today {
		last = years(now, FutureYears)
	}
	return spanOf(claim, formatTime(claim.Type, years(now, -PastYears)), formatTime(claim.Type, last))
}

// years is a time that lies some years later, or earlier, within the years 0000 to 9999; 29 February becomes the 28th in years
// without it.
func years(t time.Time, n int) time.Time {
	year := t.Year() + n
	switch {
	case year < 0:
		return time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case year > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	then := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	if then.Month() != t.Month() {
		then = then.AddDate(0, 0, -1)
	}
	return then
}

// severity judges by the number of values that are left.
func (n *ClaimNarrowing) severity(t credential.Type) Severity {
	days := n.Remaining
	if n.Unit == Seconds {
		days = (n.Remaining + 86399) / 86400
	}
	switch {
	case n.Form == FormNobody || n.Outside:
		return Strong
	case t == credential.Boolean || t == credential.Enum:
		return byShare(n.Remaining, n.Possible)
	case n.Form == FormShown || n.Form == FormValue:
		return Strong
	case n.Form == FormStated || n.Open:
		return None
	case n.Unit == Values && n.Remaining <= FewValues, n.Unit != Values && days < NoticeDays && days >= NarrowDays:
		return Notice
	case n.Unit != Values && days < NarrowDays:
		return Strong
	}
	return None
}

func byShare(remaining, possible uint64) Severity {
	switch {
	case remaining*StrongShare <= possible:
		return Strong
	case remaining*NoticeShare <= possible:
		return Notice
	}
	return None
}

// weakest is what a group of alternatives narrows down at least: nobody learns which of them it was.
func weakest(group []ClaimNarrowing) Severity {
	worst := []Severity{None, Notice, Strong}
	rank := len(worst) - 1
	for _, c := range group {
		rank = min(rank, slices.Index(worst, c.Severity))
	}
	return worst[rank]
}
