package demo

import (
	"encoding/json"
	"fmt"
	"math"
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

// look has what is shown looked at, in both languages.
func (p page) look(view string, main bool) {
	p.t.Helper()
	before := browsertest.Evaluate[string](p.Browser, `document.documentElement.lang`)
	p.Look(view, main, p.speak)
	p.speak(before)
}

// speak brings the wallet's page into a language, as its button does.
func (p page) speak(language string) {
	p.t.Helper()
	if browsertest.Evaluate[string](p.Browser, `document.documentElement.lang`) != language {
		browsertest.Evaluate[any](p.Browser, `document.getElementById("language").click()`)
		p.Until(`document.documentElement.lang === ` + quoted(language) + ` && document.getElementById("language").lang !== ` + quoted(language)) // drawn
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
	data := t.TempDir()
	n, err := Start(t.Context(), Config{Dir: data, Passphrase: "test", WorkFactor: 10})
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
	p.counter(openCounter(t, n, data))
	p.failed()
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
	visitor.console(n)
	visitor.WantNoErrors()

	p.offline(n)
}

// tour is what a visitor does from the first page on: three credentials, three shops, an application.
func (p page) tour(n *Network) {
	p.t.Helper()
	p.Open(n.Front + "/?lang=en")
	p.Look("front door", true, nil)
	p.Reload("en")
	p.press("File an application")
	p.Until(`document.querySelector("main.application a.primary") !== null`)
	p.Look("front, application", false, nil)
	status := browsertest.Evaluate[string](p.Browser, `document.querySelector("a.primary").href`)
	offer := browsertest.Evaluate[string](p.Browser, `document.querySelector("a.button:not(.primary)").href`)
	p.Open(n.Front + "/?lang=en")
	p.press("Begin: five minutes")
	p.Until(`document.querySelectorAll(".offers a").length === 3`)
	p.Look("front, tour", true, nil)
	visit := browsertest.Evaluate[string](p.Browser, `location.href`)
	p.receiveAll(browsertest.Evaluate[[]string](p.Browser, `[...document.querySelectorAll(".offers a")].map((a) => a.href)`))
	for i, s := range shops {
		p.Open(visit)
		p.Reload([]string{"en", "zh-CN"}[i%2])
		p.buy(s, i == 0)
	}
	p.Open(status)
	p.Reload("en")
	p.Until(`document.querySelectorAll(".timeline .past").length === 2 && document.getElementById("now").textContent === "Approved"`)
	p.Look("status of an application, approved", false, nil)
	p.Open(offer)
	p.unlock()
	p.at("offer")
	p.press(p.words("Receive it", "接收"))
	p.at("received")
	p.Open(status)
	p.Until(`document.querySelectorAll(".timeline .past").length === 3 && "ended" in document.getElementById("case").dataset`)
}

// console is what a visitor sees as one of an agency's officers.
func (p page) console(n *Network) {
	p.t.Helper()
	p.Open(n.Front + "/?lang=en")
	p.Open(browsertest.Evaluate[string](p.Browser, `[...document.querySelectorAll("details a")].find((a) => a.pathname === "/consoles/civil/sun").href`))
	p.Until(`!!document.querySelector("[name=confirmed]")`)
	p.WantAccessible("console, signing in by a link")
	browsertest.Evaluate[any](p.Browser, `document.querySelector("[name=confirmed]").click()`)
	p.Until(`location.pathname === "/console/overview" && document.body.textContent.includes("Sun Ming")`)
}

func (p page) unlock() {
	p.t.Helper()
	p.at("unlock")
	p.fill("passphrase", ourPassphrase)
	p.submit("passphrase")
}

// receiveAll opens offers in a wallet that it makes with the first one.
func (p page) receiveAll(offers []string) {
	p.t.Helper()
	for i, offer := range offers {
		p.Open(offer)
		if i == 0 {
			p.at("welcome")
			p.fill("passphrase", ourPassphrase)
			p.fill("again", ourPassphrase)
			p.submit("again")
		}
		p.at("offer")
		p.press(p.words("Receive it", "接收"))
		p.at("received")
	}
}

// words are those of the page's language.
func (p page) words(english, chinese string) string {
	p.t.Helper()
	if browsertest.Evaluate[string](p.Browser, `document.documentElement.lang`) == "en" {
		return english
	}
	return chinese
}

// buy goes into a shop, proves what it asks, by way of the verifier's page, and sees what it learned.
func (p page) buy(s shop, main bool) {
	p.t.Helper()
	p.press(p.words(s.Name.English, s.Name.Chinese))
	p.Until(`document.getElementById("visit")?.dataset.version === "created false"`)
	p.Look("shop "+s.ID, main, nil)
	shop := browsertest.Evaluate[string](p.Browser, `location.href`)
	p.Open(browsertest.Evaluate[string](p.Browser, `document.querySelector("#visit p:last-child a.button").href`))
	p.Until(`document.getElementById("state")?.dataset.state === "created"`)
	if main {
		p.Look("verification", true, nil)
	}
	verification := browsertest.Evaluate[string](p.Browser, `location.href`)
	p.Open(browsertest.Evaluate[string](p.Browser, `document.querySelector("a.primary").href`)) // in the wallet of this browser
	p.unlock()
	p.at("consent")
	p.press(p.words("Prove it", "出示证明"))
	p.at("answered")
	if main {
		p.look("wallet, answered", false)
	}
	p.Open(verification)
	p.Until(`document.getElementById("state")?.dataset.state === "verified"`)
	p.Open(shop)
	p.Until(`"ended" in document.getElementById("visit").dataset && document.querySelectorAll(".facts li").length > 0`)
	p.Look("shop "+s.ID+", after", main, nil)
	p.Reload("en")
	if text := browsertest.Evaluate[string](p.Browser, `document.querySelector("main").innerText`); !strings.Contains(text, "Done: it is proven") || !strings.Contains(text, "What else it saw, and what not") {
		p.t.Errorf("%s says %s", s.ID, text)
	}
}

func (p page) create(n *Network) {
	p.t.Helper()
	p.Open(n.Wallet + "/?lang=en")
	p.at("welcome")
	p.t.Logf("interactive after %s", p.interactive())
	p.look("wallet, welcome", false)
	p.fill("passphrase", ourPassphrase)
	p.fill("again", "another")
	p.submit("again")
	p.Until(`document.querySelector(".wrong").textContent === "The two are not the same."`)
	p.fill("again", ourPassphrase)
	p.submit("again")
	p.at("home")
	p.look("wallet, empty", false)
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
	p.look("wallet, offer", false)
	p.press("Receive it")
	p.at("received")
	p.look("wallet, received", false)
	p.press("To the wallet")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
	if card := browsertest.Evaluate[string](p.Browser, `document.querySelector(".card").innerText`); !strings.Contains(card, "北京市") || !strings.Contains(card, "2019-03-01") || strings.Contains(card, "[object") {
		p.t.Errorf("the card says %q", card)
	}
	p.look("wallet, with a card", true)
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
	p.look("wallet, consent", true)
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
		"Stays with you: the values of", "Province", "Live credentials that could give this answer: 1", "What they know of you from before", "Library card for residents", "30 days",
		"What the answer narrows down", "A revocation takes effect", "I do not want to", "Prove it",
	} {
		if !strings.Contains(text, want) {
			p.t.Errorf("the request does not say %q:\n%s", want, text)
		}
	}
	browsertest.Evaluate[any](p.Browser, `document.querySelectorAll("details").forEach((d) => { d.open = false; })`)
	sizes := browsertest.Evaluate[[]float64](p.Browser, `[...document.querySelectorAll(".choices button")].flatMap((b) => [b.getBoundingClientRect().width, b.getBoundingClientRect().height])`)
	if len(sizes) != 4 || math.Abs(sizes[0]-sizes[2]) > 1 || math.Abs(sizes[1]-sizes[3]) > 1 {
		p.t.Errorf("refusing and agreeing are buttons of other sizes: %v", sizes)
	}
}

// decline reads the request in the other language, and says no.
func (p page) decline(n *Network) {
	p.t.Helper()
	session := p.asked(n)
	p.press("中文")
	p.Until(`[...document.querySelectorAll("button")].some((b) => b.textContent === "我不想出示")`)
	p.press("我不想出示")
	p.at("declined")
	p.look("wallet, declined", false)
	p.wantState(n, session, verifier.Rejected)
	p.press("English")
	p.Until(`document.querySelector("h1").textContent === "You declined"`)
	p.press("To the wallet")
	p.at("home")
}

// failed opens a link that is none, and is told so.
func (p page) failed() {
	p.t.Helper()
	p.fill("link", "openid4vp://?client_id=nobody")
	p.submit("link")
	p.Until(`document.getElementById("content").dataset.view === "failed"`)
	p.look("wallet, failed", false)
	p.press("To the wallet")
	p.Until(`document.getElementById("content").dataset.view === "home"`) // the view before is one that "at" reports
}

func (p page) wantHistory() {
	p.t.Helper()
	p.press("History")
	p.at("history")
	p.look("wallet, history", false)
	if lines := browsertest.Evaluate[int](p.Browser, `document.querySelectorAll(".event").length`); lines != 4 {
		p.t.Errorf("the history has %d lines, want received, proven, declined, proven at a counter", lines)
	}
}

// static are the files that the browser may keep, beside the page itself and proving keys.
var static = []string{"wallet.wasm", "scan.wasm", "icon.svg", "app.js", "view.js", "scan.js", "worker.js", "wallet.css", "verification.css", "manifest.webmanifest", "wasm_exec.js"}

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
	p.look("wallet, settings", false)
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
	p.look("wallet, locked, with a passkey", false)
	p.press("Unlock with the passkey")
	p.at("home")
	p.Until(`document.querySelectorAll(".card").length === 1`)
}

// offline opens the wallet when there is nothing any longer that answers: the cards are there, and say that they are not of now.
func (p page) offline(n *Network) {
	p.t.Helper()
	p.Open(n.Wallet + "/?lang=en") // the last time that the chain can be asked
	p.unlock()
	p.at("home")
	p.Within(long, `document.querySelector(".card").dataset.state === "revoked_or_suspended"`)
	if err := n.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.Open(n.Wallet + "/?lang=en")
	p.unlock()
	p.at("home")
	p.Within(long, `!document.getElementById("stale").hidden && document.querySelector(".card .live").textContent === "last seen: revoked or suspended"`)
	p.look("wallet, offline", false)
}

func (p page) restore(n *Network, backup string) {
	p.t.Helper()
	p.Open(n.Wallet + "/?lang=en")
	p.at("welcome")
	p.press("Restore from a backup")
	p.at("restore")
	p.look("wallet, restore", false)
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
	p.look("wallet, locked", true)
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
	p.look("wallet, revoked", false)
	session := p.asked(n)
	if browsertest.Evaluate[bool](p.Browser, `[...document.querySelectorAll("button")].some((b) => b.textContent === "Prove it")`) {
		p.t.Error("what is revoked can be proven")
	}
	p.press("I do not want to")
	p.at("declined")
	p.wantState(n, session, verifier.Rejected)
}
