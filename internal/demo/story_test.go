package demo

import (
	"os"
	"slices"
	"testing"
)

// cases are what the story must try, by the words of the report.
var cases = []string{
	"revoked", "suspended", "expired", "wrong issuer", "claim out of range", "claim absent", "another verifier's request",
	"a replayed presentation", "a root older than the freshness", "two people's credentials in one response",
	"one credential shown as two", "second use of a pseudonym, once per person", "second use of a subject tag, after a sale",
	"second enrolment with another master secret", "a tampered proof", "a public input plus the field's modulus",
	"a tile changed by the ledger's host", "an entry replayed", "an entry signed by an agency for another",
	"a key that the chain does not list",
}

// The whole story comes out as it must: it fails by itself where something is accepted that must not be. Here we look
// that nothing was left out.
func TestTell(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys and many proofs")
	}
	n, err := Start(t.Context(), Config{Dir: t.TempDir(), Passphrase: "test", WorkFactor: 10})
	if err != nil {
		t.Fatal(err)
	}
	report, err := Tell(t.Context(), n, t.TempDir(), os.Stderr)
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Facts) != 3 || report.Issued != 8 || report.Checkpoint == "" || report.Constraints == 0 {
		t.Errorf("report: %d facts, %d issued, %d constraints", len(report.Facts), report.Issued, report.Constraints)
	}
	for _, f := range report.Facts {
		if !f.Accepted || f.ProofBytes != 128 || f.ProveMS <= 0 || f.VerifyMS <= 0 {
			t.Errorf("fact %+v", f)
		}
	}
	for _, name := range cases {
		if !slices.ContainsFunc(report.Refusals, func(r Refusal) bool { return r.Case == name && r.Refused && r.Reason != "" }) {
			t.Errorf("%q was not tried", name)
		}
	}
}
