package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/web/browsertest"
)

// long is what receiving and proving may take in a browser on a busy machine.
const long = 2 * time.Minute

// page is the wallet's page in a browser.
type page struct {
	*browsertest.Browser
	t *testing.T
}

// fill puts a text into a field, as typing does.
func (p page) fill(id, text string) {
	p.t.Helper()
	browsertest.Evaluate[any](p.Browser, fmt.Sprintf(`document.getElementById(%s).value = %s`, quoted(id), quoted(text)))
}

// submit presses the button of the form that a field is in.
func (p page) submit(field string) {
	p.t.Helper()
	browsertest.Evaluate[any](p.Browser, fmt.Sprintf(`document.getElementById(%s).form.requestSubmit()`, quoted(field)))
}

// press presses the button of a text.
func (p page) press(text string) {
	p.t.Helper()
	browsertest.Evaluate[any](p.Browser, fmt.Sprintf(`[...document.querySelectorAll("button")].find((b) => b.textContent === %s).click()`, quoted(text)))
}

// at waits for a view.
func (p page) at(view string) {
	p.t.Helper()
	p.Within(long, fmt.Sprintf(`["failed", "broken", %s].includes(document.getElementById("content").dataset.view)`, quoted(view)))
	if text := browsertest.Evaluate[string](p.Browser, `["failed", "broken"].includes(document.getElementById("content").dataset.view) ? document.getElementById("content").textContent : ""`); text != "" {
		p.t.Fatalf("on the way to %q: %s", view, text)
	}
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A citizen makes a wallet in the browser, receives a credential and proves a fact to a relying party on another origin.
func TestWalletPage(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys")
	}
	browser := browsertest.Open(t)
	n, err := Start(t.Context(), Config{Dir: t.TempDir(), Passphrase: "test", WorkFactor: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Wallet == "" {
		if os.Getenv("BULLA_JUDGES") == "required" {
			t.Fatal("the wallet's WebAssembly is not built: make wallet-page")
		}
		t.Skip("SKIPPED: the wallet's WebAssembly is not built: make wallet-page")
	}
	invitation, err := n.Invite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := page{browser, t}
	p.Screen(390, false)
	p.Open(n.Wallet + "/?lang=en")
	p.at("welcome")
	p.WantAccessible("wallet, welcome")
	p.fill("passphrase", "correct horse battery")
	p.fill("again", "another")
	p.submit("again")
	p.Until(`document.querySelector(".wrong").textContent === "The two are not the same."`)
	p.fill("again", "correct horse battery")
	p.submit("again")
	p.at("home")
	p.WantAccessible("wallet, empty")
	p.fill("link", invitation.Residency)
	p.submit("link")
	p.at("offer")
	p.press("Receive it")
	p.at("received")
	p.press("To the wallet")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
	p.WantAccessible("wallet, with a card")

	city := n.Verifiers[CityDID]
	started, err := city.Start(t.Context(), "test", PolicySubsidy, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.fill("link", started.RequestLink)
	p.submit("link")
	p.at("consent")
	p.WantAccessible("wallet, consent")
	begin := time.Now()
	p.press("Prove it")
	p.at("answered")
	t.Logf("proven and sent in %s, the key's loading included", time.Since(begin).Round(time.Millisecond))
	if s, err := city.Status(t.Context(), "test", started.ID); err != nil || s.State != verifier.Verified {
		t.Errorf("%+v, %v", s, err)
	}
	p.WantNoErrors()
}
