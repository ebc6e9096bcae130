package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/issuer"
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

// look has what is shown looked at, in both languages and two widths.
func (p page) look(view string) {
	p.t.Helper()
	if !browsertest.Looked() {
		return
	}
	for _, width := range []int64{1100, 390} {
		p.Screen(width, width == 1100) // dark, then light
		for range 2 {
			language := browsertest.Evaluate[string](p.Browser, `document.getElementById("language").textContent`)
			p.press(language)
			p.Until(`document.getElementById("language").textContent !== ` + quoted(language))
			p.WantAccessible(view)
		}
	}
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

const (
	ourPassphrase    = "correct horse battery"
	backupPassphrase = "another horse battery"
)

// A citizen makes a wallet in the browser, receives a credential and proves a fact to a relying party on another origin; restores the
// backup in another browser; and can prove nothing any longer when the credential is revoked.
func TestWalletPage(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys")
	}
	p := page{browsertest.Open(t), t}
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
	p.Screen(390, false)
	p.create(n)
	p.receive(n)
	p.prove(n)
	p.decline(n)
	p.wantHistory()
	p.wantNothingReadable()
	backup := p.backup()
	p.passkey()
	p.WantNoErrors()

	other := page{browsertest.Open(t), t}
	other.Screen(1100, true)
	other.restore(n, backup)
	other.prove(n)
	other.revoked(n)
	other.WantNoErrors()

	visitor := page{browsertest.Open(t), t}
	visitor.Screen(390, false)
	visitor.tour(n)
	visitor.WantNoErrors()

	p.offline(n)
}

// tour is what a visitor does from the first page on: three credentials, three shops.
func (p page) tour(n *Network) {
	p.t.Helper()
	p.Open(n.Front + "/?lang=en")
	p.WantAccessible("front door")
	p.press("Begin: five minutes")
	p.Until(`document.querySelectorAll("ol ul a").length === 3`)
	p.WantAccessible("tour")
	visit := browsertest.Evaluate[string](p.Browser, `location.href`)
	for i, offer := range browsertest.Evaluate[[]string](p.Browser, `[...document.querySelectorAll("ol ul a")].map((a) => a.href)`) {
		p.Open(offer)
		if i == 0 {
			p.at("welcome")
			p.fill("passphrase", ourPassphrase)
			p.fill("again", ourPassphrase)
			p.submit("again")
		}
		p.at("offer")
		p.press("Receive it")
		p.at("received")
	}
	for _, s := range shops {
		p.Open(visit)
		p.press(s.Name.English)
		p.Until(`document.getElementById("visit")?.dataset.version === "created false"`)
		p.WantAccessible("shop")
		shop := browsertest.Evaluate[string](p.Browser, `location.href`)
		p.Open(browsertest.Evaluate[string](p.Browser, `document.querySelector("a.primary").href`))
		p.at("unlock")
		p.fill("passphrase", ourPassphrase)
		p.submit("passphrase")
		p.at("consent")
		p.press("Prove it")
		p.at("answered")
		p.Open(shop)
		p.Until(`"ended" in document.getElementById("visit").dataset && document.querySelectorAll(".facts li").length > 0`)
		p.WantAccessible("shop, after")
		if text := browsertest.Evaluate[string](p.Browser, `document.querySelector("main").innerText`); !strings.Contains(text, "Done: it is proven") || !strings.Contains(text, "What else it saw, and what not") {
			p.t.Errorf("%s says %s", s.ID, text)
		}
	}
}

func (p page) create(n *Network) {
	p.t.Helper()
	p.Open(n.Wallet + "/?lang=en")
	p.at("welcome")
	p.look("wallet, welcome")
	p.fill("passphrase", ourPassphrase)
	p.fill("again", "another")
	p.submit("again")
	p.Until(`document.querySelector(".wrong").textContent === "The two are not the same."`)
	p.fill("again", ourPassphrase)
	p.submit("again")
	p.at("home")
	p.look("wallet, empty")
}

func (p page) receive(n *Network) {
	p.t.Helper()
	invitation, err := n.Invite(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.fill("link", invitation.Residency)
	p.submit("link")
	p.at("offer")
	p.look("wallet, offer")
	p.press("Receive it")
	p.at("received")
	p.press("To the wallet")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
	if card := browsertest.Evaluate[string](p.Browser, `document.querySelector(".card").innerText`); !strings.Contains(card, "北京市") || !strings.Contains(card, "2019-03-01") || strings.Contains(card, "[object") {
		p.t.Errorf("the card says %q", card)
	}
	p.look("wallet, with a card")
}

// asked is a session of the city's that the wallet has read.
func (p page) asked(n *Network) (session string) {
	p.t.Helper()
	started, err := n.Verifiers[CityDID].Start(p.t.Context(), "test", PolicyResidency, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.fill("link", started.RequestLink)
	p.submit("link")
	p.at("consent")
	return started.ID
}

func (p page) wantState(n *Network, session string, want verifier.State) {
	p.t.Helper()
	if s, err := n.Verifiers[CityDID].Status(p.t.Context(), "test", session); err != nil || s.State != want {
		p.t.Errorf("%+v, %v", s, err)
	}
}

func (p page) prove(n *Network) {
	p.t.Helper()
	session := p.asked(n)
	p.wantConsent()
	p.look("wallet, consent")
	if wide := browsertest.Evaluate[string](p.Browser, `document.documentElement.scrollWidth > innerWidth ? document.documentElement.scrollWidth + " of " + innerWidth + ": " +
		[...document.querySelectorAll("body *")].filter((e) => Math.max(e.getBoundingClientRect().right, e.getBoundingClientRect().left + e.scrollWidth) > innerWidth).map((e) => e.tagName + " " + e.textContent.slice(0, 60)).join(" | ") : ""`); wide != "" {
		p.t.Errorf("wider than the window: %s", wide)
	}
	begin := time.Now()
	p.press("Prove it")
	p.at("answered")
	p.t.Logf("consent to answered: %s, of which proving %s", time.Since(begin).Round(time.Millisecond), p.proving())
	p.wantState(n, session, verifier.Verified)
	p.press("To the wallet")
	p.at("home")
}

// wantConsent looks for everything that a person should know before deciding.
func (p page) wantConsent() {
	p.t.Helper()
	if kinds := browsertest.Evaluate[[]string](p.Browser, `[...document.querySelectorAll(".sign")].map((s) => s.dataset.linking)`); !slices.Equal(kinds, []string{"crowd"}) {
		p.t.Errorf("the signs are %q: one credential is no crowd", kinds)
	}
	text := browsertest.Evaluate[string](p.Browser, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), document.getElementById("content").innerText`)
	for _, want := range []string{
		"City Services asks you to prove", "Residency", "did:web:city.example", "signed this request with its registered key", // who asks, and how that is known
		"Nothing that is sent links this visit to any other, but", "(at least 2 years ago)", // linking; the fact with its date
		"Stays with you: the values of", "Province", "1 live credentials of this kind", "What they know of you from before", "Library card for residents", "30 days",
		"What the answer narrows down", "A revocation takes effect", "I do not want to", "Prove it",
	} {
		if !strings.Contains(text, want) {
			p.t.Errorf("the request does not say %q:\n%s", want, text)
		}
	}
	browsertest.Evaluate[any](p.Browser, `document.querySelectorAll("details").forEach((d) => { d.open = false; })`)
	sizes := browsertest.Evaluate[[]float64](p.Browser, `[...document.querySelectorAll(".choices button")].flatMap((b) => [b.getBoundingClientRect().width, b.getBoundingClientRect().height])`)
	if len(sizes) != 4 || sizes[0] != sizes[2] || sizes[1] != sizes[3] {
		p.t.Errorf("refusing and agreeing are buttons of other sizes: %v", sizes)
	}
}

// decline reads the request in the other language, and says no.
func (p page) decline(n *Network) {
	p.t.Helper()
	session := p.asked(n)
	p.press("中文")
	p.Until(`[...document.querySelectorAll("button")].some((b) => b.textContent === "我不想出示")`)
	p.look("wallet, consent in Chinese")
	p.press("我不想出示")
	p.at("declined")
	p.wantState(n, session, verifier.Rejected)
	p.press("English")
	p.Until(`document.querySelector("h1").textContent === "You declined"`)
	p.press("To the wallet")
	p.at("home")
}

func (p page) wantHistory() {
	p.t.Helper()
	p.press("History")
	p.at("history")
	p.look("wallet, history")
	if lines := browsertest.Evaluate[int](p.Browser, `document.querySelectorAll(".event").length`); lines != 3 {
		p.t.Errorf("the history has %d lines, want received, proven, declined", lines)
	}
}

// static are the files that the browser may keep, beside the page itself and proving keys.
var static = []string{"wallet.wasm", "icon.svg", "app.js", "view.js", "worker.js", "wallet.css", "verification.css", "manifest.webmanifest", "wasm_exec.js"}

// wantNothingReadable looks at all that the browser keeps of the page: the vault is ciphertext, and there is nothing beside it.
func (p page) wantNothingReadable() {
	p.t.Helper()
	const everything = `(async () => {
		const names = (await indexedDB.databases()).map((d) => d.name);
		const db = await new Promise((done, fail) => { const r = indexedDB.open(names[0]); r.onsuccess = () => done(r.result); r.onerror = fail; });
		const rows = await new Promise((done, fail) => { const r = db.transaction("vault").objectStore("vault").getAll(); r.onsuccess = () => done(r.result); r.onerror = fail; });
		db.close();
		const vault = new TextDecoder().decode(rows[0]);
		const cached = (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map((r) => new URL(r.url).pathname)))).flat();
		return JSON.stringify({ names, rows: rows.length, members: Object.keys(JSON.parse(vault)), vault, cached, local: localStorage.length, session: sessionStorage.length, cookies: document.cookie });
	})()`
	var kept struct {
		Names, Members, Cached []string
		Rows, Local, Session   int
		Vault, Cookies         string
	}
	if err := json.Unmarshal([]byte(browsertest.Evaluate[string](p.Browser, everything)), &kept); err != nil {
		p.t.Fatal(err)
	}
	if len(kept.Names) != 1 || kept.Rows != 1 || !slices.Equal(kept.Members, []string{"document", "format", "identity", "version"}) || kept.Local+kept.Session != 0 || kept.Cookies != "" {
		p.t.Errorf("the browser keeps %+v", kept)
	}
	for _, secret := range []string{"110108", "北京", "did:web", "residence", ourPassphrase} {
		if strings.Contains(kept.Vault, secret) {
			p.t.Errorf("%q can be read in the vault", secret)
		}
	}
	for _, path := range kept.Cached {
		if path != "/" && !strings.HasPrefix(path, "/keys/") && !slices.Contains(static, strings.TrimPrefix(path, "/")) {
			p.t.Errorf("%s is cached", path)
		}
	}
}

func (p page) backup() string {
	p.t.Helper()
	p.press("Settings")
	p.at("settings")
	p.look("wallet, settings")
	browsertest.Evaluate[any](p.Browser, `window.saved = ""; const address = URL.createObjectURL; URL.createObjectURL = (b) => { b.text().then((t) => { window.saved = t; }); return address(b); }; 0`)
	p.fill("passphrase", backupPassphrase)
	p.fill("again", backupPassphrase)
	p.submit("passphrase")
	p.Within(long, `window.saved !== ""`)
	return browsertest.Evaluate[string](p.Browser, `window.saved`)
}

// passkey sets one up, and opens the wallet with it.
func (p page) passkey() {
	p.t.Helper()
	p.Passkeys()
	p.press("Settings")
	p.at("settings")
	p.press("Set up a passkey")
	p.Until(`[...document.querySelectorAll("[role=status]")].some((e) => e.textContent === "The passkey is set up.")`)
	p.press("Lock")
	p.at("unlock")
	p.look("wallet, locked, with a passkey")
	p.press("Unlock with the passkey")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
}

// offline opens the wallet when there is nothing any longer that answers: the cards are there, and say that they are not of now.
func (p page) offline(n *Network) {
	p.t.Helper()
	if err := n.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.Open(n.Wallet + "/?lang=en")
	p.at("unlock")
	p.fill("passphrase", ourPassphrase)
	p.submit("passphrase")
	p.at("home")
	p.Within(long, `!document.getElementById("stale").hidden && document.querySelector(".card .live").textContent === "last seen: revoked or suspended"`)
	p.look("wallet, offline")
}

func (p page) restore(n *Network, backup string) {
	p.t.Helper()
	p.Open(n.Wallet + "/?lang=en")
	p.at("welcome")
	p.press("Restore from a backup")
	p.at("restore")
	p.look("wallet, restore")
	browsertest.Evaluate[any](p.Browser, `const files = new DataTransfer(); files.items.add(new File([`+quoted(backup)+`], "backup.json")); document.getElementById("file").files = files.files; 0`)
	p.fill("old", "a wrong horse battery")
	p.fill("passphrase", ourPassphrase)
	p.fill("again", ourPassphrase)
	p.submit("old")
	p.Within(long, `document.querySelector(".wrong").textContent.startsWith("The passphrase is wrong")`)
	p.fill("old", backupPassphrase)
	p.submit("old")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
	p.press("Lock")
	p.at("unlock")
	p.look("wallet, locked")
	p.fill("passphrase", ourPassphrase)
	p.submit("passphrase")
	p.at("home")
}

// revoked has the agency revoke what is in the wallet: it sees so, and cannot prove it any longer.
func (p page) revoked(n *Network) {
	p.t.Helper()
	agency := n.Agencies[CivilDID]
	list, _, err := agency.Credentials("demo-clerk", issuer.List{Limit: 10})
	if err != nil || len(list) != 1 {
		p.t.Fatalf("%+v, %v", list, err)
	}
	if _, err := agency.Revoke(p.t.Context(), "demo-clerk", list[0].ID, issuer.Reason{Code: issuer.ReasonHolder}); err != nil {
		p.t.Fatal(err)
	}
	p.press("Wallet")
	p.Within(long, `document.querySelector(".card").dataset.state === "revoked_or_suspended"`)
	p.look("wallet, revoked")
	session := p.asked(n)
	if browsertest.Evaluate[bool](p.Browser, `[...document.querySelectorAll("button")].some((b) => b.textContent === "Prove it")`) {
		p.t.Error("what is revoked can be proven")
	}
	p.press("I do not want to")
	p.at("declined")
	p.wantState(n, session, verifier.Rejected)
}
