package policy

import "fmt"

// CheckCounter refuses a policy that a counter without a network cannot ask by. It cannot know what was used elsewhere, so
// nothing may count once; one person stands before it; and it has no sets with it, however long they are.
func (p *Policy) CheckCounter() error {
	if p.SeveralPersons {
		return fmt.Errorf("policy %s allows several persons: at a counter there is one", p.ID)
	}
	if uses := p.SetUses(); len(uses) > 0 {
		return fmt.Errorf("policy %s, %s: it names the set %s, which a counter without a network does not have", p.ID, uses[0].Where, uses[0].Digest)
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
