package ledger

// Leaves is how many leaves were computed before the entry took its turn, for tests.
func (p *Prepared) Leaves() int { return len(p.leaves) }
