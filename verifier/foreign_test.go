package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// A wallet that somebody else wrote, and that knows nothing of zero knowledge, answers with a companion over OpenID4VP: the verifier says
// verified, and that visits can be linked. What it tries besides is refused.
func TestForeignCompanion(t *testing.T) {
	program := os.Getenv("BULLA_OPENID4VP_COMPANION")
	if program == "" {
		t.Skip("needs BULLA_OPENID4VP_COMPANION, the program testvectors/check/protocol/openid4vp-companion.mjs: make judges runs it")
	}
	for _, encrypt := range []string{"", "A128GCM", "A256GCM"} {
		w, s, _ := companioned(t)
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
		t.Cleanup(front.Close)
		w.clock.advance(time.Since(w.clock.Now())) // that wallet's clock is the real one
		w.ledger.registry.Verifiers[0].ResponseURIs = append(w.ledger.registry.Verifiers[0].ResponseURIs, front.URL+"/")
		w.ledger.registry.VerifyingKeys[0].NotAfter += 1 << 30
		w.seal()
		w.with(func(c *verifier.Config) {
			c.PublicURL, c.Policies, c.Issuers, c.PlainResponses = front.URL, append(c.Policies, library()), s.reader(t), encrypt == ""
		})
		started := must(w.verifier.Start(t.Context(), "app", "library", 0))(t)
		c := s.companion(t)
		input := map[string]any{
			"link": started.RequestLink, "keys": []jose.PublicKey{w.signing.Public()}, "credential": c.String(), "key": json.RawMessage(must(c.key.MarshalSecret())(t)),
		}
		if encrypt != "" {
			input["encrypt"] = encrypt
		}
		cmd := exec.CommandContext(t.Context(), "node", program, string(must(json.Marshal(input))(t)))
		cmd.Stderr = os.Stderr
		var end struct {
			Status  int      `json:"status"`
			Asked   []string `json:"asked"`
			Refused []string `json:"refused"`
		}
		if err := json.Unmarshal(must(cmd.Output())(t), &end); err != nil {
			t.Fatal(err)
		}
		if end.Status != http.StatusOK || !slices.Equal(end.Asked, []string{"district", "since"}) || len(end.Refused) != 6 {
			t.Errorf("%s: the end is %+v", encrypt, end)
		}
		status := must(w.verifier.Status(t.Context(), "app", started.ID))(t)
		result := must(check.VerifyResult(status.Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()}))(t)
		if f := result.Facts[0]; !f.Linkable || f.Disclosed["district"] != "310104" {
			t.Errorf("%s: %+v", encrypt, f)
		}
	}
}
