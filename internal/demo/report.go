package demo

// Report is what the demo found, as `bulla demo --json` prints it.
type Report struct {
	Facts       []Fact    `json:"facts"`
	Refusals    []Refusal `json:"refusals"`
	Constraints int       `json:"constraints"` // of the presentation circuit
	Issued      uint64    `json:"issued"`      // credentials on the chain at the end
	Checkpoint  string    `json:"checkpoint"`  // the last one, a signed note
}

// Fact is one of the three facts, proven by an honest wallet and accepted by the relying party.
type Fact struct {
	Fact       string  `json:"fact"` // residency, land or vaccination
	Accepted   bool    `json:"accepted"`
	ProveMS    float64 `json:"prove_ms"`
	VerifyMS   float64 `json:"verify_ms"`   // of the zk proof alone
	ProofBytes int     `json:"proof_bytes"` // as sent
}

// Refusal is one attempt that had to be refused, and who did.
type Refusal struct {
	Case    string `json:"case"`
	Refused bool   `json:"refused"`
	Layer   Layer  `json:"layer"`
	Reason  string `json:"reason"`
}

// Layer is who refused.
type Layer string

// The layers. An issuer that refuses an enrolment is a verifier of enrolment proofs.
const (
	ByWallet   Layer = "wallet"   // an honest wallet, by itself
	ByCircuit  Layer = "circuit"  // there is no proof
	ByVerifier Layer = "verifier" // whoever checks a proof
	ByLedger   Layer = "ledger"   // the state machine, or a reader of the chain that recomputes what it is served
	ByKeys     Layer = "keys"     // the list of accepted verifying keys
)
