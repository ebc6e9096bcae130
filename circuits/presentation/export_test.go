package presentation

import "github.com/consensys/gnark/frontend"

// Families are the constraint families of Define, for tests that look at one at a time.
var Families = []struct {
	Name   string
	Define func(*Circuit, frontend.API)
}{
	{"P1", (*Circuit).membership},
	{"P2", (*Circuit).issuer},
	{"P3", (*Circuit).validity},
	{"P4", (*Circuit).clauses},
	{"P5", (*Circuit).linkAndItem},
	{"P6", (*Circuit).pseudonym},
	{"P7", (*Circuit).subjectTag},
}
