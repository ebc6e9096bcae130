package mutation

import (
	"slices"
	"testing"

	"github.com/consensys/gnark/frontend"
)

// Case is one that a single assertion refuses: an assignment, and perhaps a lie.
type Case struct {
	Name       string
	Assignment frontend.Circuit
	Lie        *Lie
}

// Score gathers, for each assertion of a circuit, a case that it alone refuses.
type Score struct {
	all    []Assertion
	hints  []Hint
	caught map[Assertion]Case
}

// NewScore starts with a good assignment.
func NewScore(t testing.TB, good []Family) *Score {
	t.Helper()
	record := Evaluate(good, nil)
	if len(record.Failed) != 0 {
		t.Fatalf("the good assignment fails %v", record.Failed)
	}
	return &Score{record.All, record.Hints, make(map[Assertion]Case)}
}

// Catch notes that only this assertion refuses the case.
func (s *Score) Catch(by Assertion, c Case) { s.caught[by] = c }

// LieIn tries all lies about the hints that are asked for, on an assignment with its families.
func (s *Score) LieIn(name string, assignment frontend.Circuit, families []Family, asked func(Hint) bool) {
	honest := Evaluate(families, nil)
	for _, hint := range honest.Hints {
		// The other families do not see the lie: what they say stays.
		elsewhere := func(a Assertion) bool { return a.Family != hint.Family }
		if !asked(hint) || slices.ContainsFunc(honest.Failed, elsewhere) {
			continue
		}
		own := slices.IndexFunc(families, func(f Family) bool { return f.Name == hint.Family })
		for _, lie := range hint.Lies() {
			if _, caught := s.caught[lie.Target]; caught {
				continue
			}
			if failed := Evaluate(families[own:own+1], &lie).Failed; len(failed) == 1 && failed[0] == lie.Target {
				s.Catch(lie.Target, Case{name, assignment, &lie})
			}
		}
	}
}

// Last is the last assertion of a kind in a family.
func (s *Score) Last(family string, kind Kind) Assertion {
	var last Assertion
	for _, a := range s.all {
		if a.Family == family && a.Kind == kind {
			last = a
		}
	}
	return last
}

// Report logs the score and fails below 100 %. Assertions that are implied by the others, as no case can show, count only in
// that none of them may be caught after all.
func (s *Score) Report(t testing.TB, implied func(Assertion) bool) {
	t.Helper()
	assertions, excused := 0, 0
	for _, a := range s.all {
		c, caught := s.caught[a]
		switch {
		case implied(a):
			excused++
			if caught {
				t.Errorf("assertion %v is not implied by the others: %s", a, c.Name)
			}
			continue
		case !caught:
			t.Errorf("assertion %v is violated alone by no case: untested or useless", a)
		}
		assertions++
	}
	t.Logf("assertions: %d, caught: %d (%.1f %%); %d more, inside gnark's gadgets, are implied by the others",
		assertions, len(s.caught), 100*float64(len(s.caught))/float64(assertions), excused)
}

// CheckMutants holds the recorder to the truth, for one assertion in each step: the compiled circuit without it accepts its
// case, and the whole one, which has the published constraints, refuses it.
func (s *Score) CheckMutants(t testing.TB, empty func() frontend.Circuit, published, step int) {
	t.Helper()
	whole, err := Compile(empty(), Whole)
	if err != nil {
		t.Fatal(err)
	}
	want := published
	for _, h := range s.hints {
		if h.Bits == 0 {
			want++ // see Compile
		}
	}
	if got := whole.GetNbConstraints(); got != want {
		t.Errorf("the circuit spelled out has %d constraints, want %d", got, want)
	}
	for dropped := 0; dropped < len(s.all); dropped += step {
		c, ok := s.caught[s.all[dropped]]
		if !ok {
			continue
		}
		at := slices.IndexFunc(s.hints, func(h Hint) bool {
			return c.Lie != nil && h.Family == c.Lie.Hint.Family && h.Call == c.Lie.Hint.Call
		})
		if Solve(whole, c.Assignment, c.Lie, at) == nil {
			t.Errorf("%s satisfies the whole circuit", c.Name)
		}
		mutant, err := Compile(empty(), dropped)
		if err != nil {
			t.Fatal(err)
		}
		if err := Solve(mutant, c.Assignment, c.Lie, at); err != nil {
			t.Errorf("%s is refused without assertion %v too: %v", c.Name, s.all[dropped], err)
		}
	}
}
