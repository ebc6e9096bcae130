package presentation_test

import (
	"fmt"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// A statement that holds, and what the twin says once the credential is absent, expired, or lacks the claim.
func ExampleHolds() {
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(1))
	fmt.Println(presentation.Holds(public, private))

	revoked := public
	revoked.Root = credential.ElementFromUint64(1)
	fmt.Println(presentation.Holds(revoked, private))

	later := public
	later.Now = private.Envelope.ValidUntil + 1
	fmt.Println(presentation.Holds(later, private))

	asked := public
	asked.Clauses = credential.Clauses{}
	asked.Clauses.Intervals[2] = credential.Interval{Mode: credential.Required, Slot: 0, Low: 1, High: 1}
	private.Claims[0] = credential.Element{}
	fmt.Println(presentation.Holds(asked, private)) // the leaf changed with the claim
	// Output:
	// <nil>
	// P1: the credential is not in the active tree under this root and schema
	// P3: the credential has expired
	// P1: the credential is not in the active tree under this root and schema
}
