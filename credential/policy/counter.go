package policy

import "fmt"

// CheckCounter refuses a policy that a counter without a network cannot ask by. It cannot know what was used elsewhere, so
// nothing may count once; and one person stands before it.
func (p *Policy) CheckCounter() error {
	if p.SeveralPersons {
		return fmt.Errorf("policy %s allows several persons: at a counter there is one", p.ID)
	}
	for _, q := range p.Queries {
		switch {
		case q.Scope != nil && q.Scope.Once:
			return fmt.Errorf("policy %s, query %q: once per person cannot be kept at a counter without a network", p.ID, q.ID)
		case q.SubjectScope != nil && q.SubjectScope.Once:
			return fmt.Errorf("policy %s, query %q: once per thing cannot be kept at a counter without a network", p.ID, q.ID)
		}
	}
	return nil
}
