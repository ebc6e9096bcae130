package verifier_test

import (
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// On a chain that says it is live, a verifier neither asks nor accepts under a key without a ceremony, listed or not; and a
// result says which kind of chain it is from.
func TestDevelopmentKeysOnALiveChain(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	started, request, id := w.begin("residence")
	response := w.answer(request, me)
	w.ledger.genesis.Dev = false
	w.clock.advance(2e9)
	if err := w.respond(id, request, response); codeOf(err) != check.KeyNotListed {
		t.Errorf("accepted under a development key: %v", err)
	}
	if _, err := w.verifier.Start(t.Context(), "app", "residence", 0); err == nil {
		t.Error("asked under a development key")
	}
	// With a ceremony's transcript it is another matter.
	w.ledger.registry.VerifyingKeys[0].Transcript = credential.DigestOf([]byte("a ceremony"))
	w.seal()
	w.clock.advance(2e9)
	if err := w.respond(id, request, response); err != nil {
		t.Fatal(err)
	}
	result, err := check.VerifyResult(w.status(started.ID).Result, keysOf(w), check.Expected{
		Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now(),
	})
	if err != nil || result.Dev {
		t.Errorf("a live chain's result says dev: %v", err)
	}
	if w.status(started.ID).State != verifier.Verified {
		t.Error("not verified")
	}
}
