package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/browsertest"
)

// The pages are accessible in both languages, schemes and widths, fit the screen, and say nothing on the console.
func TestExplorerInBrowser(t *testing.T) {
	for _, screen := range []struct {
		width    int64
		language string
	}{{390, chinese}, {390, english}, {1280, english}, {1280, chinese}} {
		t.Run(fmt.Sprintf("%d pixels, %s", screen.width, screen.language), func(t *testing.T) {
			x := newTown(t)
			b := browsertest.Open(t)
			for i, path := range []string{
				"/", "/entries", "/seals", "/issuers", "/verifiers", "/policies", "/entry/4", "/entry/12", "/seal/2", "/verifier/" + url.PathEscape(clinicDID), "/issuer/" + ledgertest.LandDID, "/search?q=2", "/check?entry=4",
			} {
				b.Screen(screen.width, i%2 == 0)
				separator := "?"
				if strings.Contains(path, "?") {
					separator = "&"
				}
				b.Open(x.server.URL + "/explore" + path + separator + "lang=" + screen.language)
				if strings.HasPrefix(path, "/check") {
					b.Until(`document.querySelectorAll("#steps li").length === 4 && document.querySelectorAll("#tree rect").length > 4`)
				}
				b.Until("document.documentElement.scrollWidth <= window.innerWidth")
				b.WantAccessible("explorer" + path)
				if screen.language == english { // colours are the same in both languages
					b.Screen(screen.width, i%2 != 0)
					b.WantAccessible("explorer" + path + ", the other scheme")
				}
			}
			b.WantNoErrors()
			if x.log.Len() > 0 {
				t.Error(x.log.String())
			}
		})
	}
}

// The overview shows what is new, without being loaded again.
func TestExplorerLiveInBrowser(t *testing.T) {
	x := newTown(t)
	b := browsertest.Open(t)
	b.Open(x.server.URL + "/explore/?lang=en")
	browsertest.Evaluate[bool](b, "window.loadedOnce = true")
	b.Until(`document.querySelector("[data-key=s2]") !== null`)
	x.Apply(ledgertest.LandDID, x.Land, entry.CredentialsRevoked{Leaves: []uint64{9}})
	x.Seal(ledgertest.Start + 6*3600)
	x.sync()
	b.Until(`document.querySelector("[data-key=s3]") !== null && document.querySelector(".fresh [data-key=e19]") !== null && window.loadedOnce`)
	b.Until(`document.getElementById("live-status").textContent === "New entries: 1"`)
	// Paused, nothing changes; then all that was missed is shown, and neither focus nor what is read moves.
	browsertest.Evaluate[any](b, `document.getElementById("live-hold").click()`)
	b.Until(`document.getElementById("live-status").textContent === "Paused: what is new is not shown." && document.getElementById("live-hold").textContent === "Resume"`)
	x.Apply(ledgertest.LandDID, x.Land, entry.CredentialsRevoked{Leaves: []uint64{10}})
	x.Seal(ledgertest.Start + 7*3600)
	x.sync()
	time.Sleep(1500 * time.Millisecond)
	if browsertest.Evaluate[bool](b, `document.querySelector("[data-key=e21]") !== null`) {
		t.Error("a paused page changes")
	}
	place := browsertest.Evaluate[float64](b, `(() => {
		window.read = document.querySelector("[data-key=e13]");
		read.scrollIntoView();
		read.focus({preventScroll: true});
		return read.getBoundingClientRect().top;
	})()`)
	browsertest.Evaluate[any](b, `document.getElementById("live-hold").click()`)
	b.Until(`document.querySelector("[data-key=e21]") !== null`)
	if now := browsertest.Evaluate[float64](b, `document.activeElement === read ? read.getBoundingClientRect().top : -1000`); now < place-1 || now > place+1 {
		t.Errorf("what has the focus was at %.1f and is at %.1f", place, now)
	}
	b.WantNoErrors()
}

// Where the server has no place for another stream, the overview asks again and again.
func TestExplorerLiveWithoutStream(t *testing.T) {
	x := newTown(t)
	x.pages.followers = webapi.NewPlaces(0, 0)
	b := browsertest.Open(t)
	b.Open(x.server.URL + "/explore/?lang=zh-CN")
	b.Until(`performance.getEntriesByType("resource").some(e => e.name.includes("/explore/live?"))`)
	x.Apply(ledgertest.LandDID, x.Land, entry.CredentialsRevoked{Leaves: []uint64{9}})
	x.Seal(ledgertest.Start + 6*3600)
	x.sync()
	b.Until(`document.querySelector(".fresh [data-key=e19]") !== null && document.getElementById("live-status").textContent === "新增条目：1"`)
}

// By keyboard alone: the skip link, the navigation, the search that finds an issuer, and the button that breaks an entry.
func TestExplorerByKeyboard(t *testing.T) {
	x := newTown(t)
	b := browsertest.Open(t)
	b.Open(x.server.URL + "/explore/?lang=en")
	var stops []string
	for range 10 {
		b.Press(kb.Tab)
		stops = append(stops, browsertest.Evaluate[string](b, `document.activeElement.textContent.trim()`))
	}
	want := []string{"Skip to the content", "中文", "Overview", "Entries", "Seals", "Issuers", "Verifiers", "Who asks for what", "Check it yourself"}
	if !slices.Equal(stops[:len(want)], want) {
		t.Errorf("the keyboard stops at %q", stops)
	}
	browsertest.Evaluate[any](b, `document.getElementById("q").focus()`)
	for _, letter := range ledgertest.LandDID {
		b.Press(string(letter))
	}
	b.Press(kb.Enter)
	time.Sleep(2 * time.Second) // an expression that waits does not outlive the page
	b.Until(`document.querySelector("h1").textContent === "Land registry"`)
	b.Open(x.server.URL + "/explore/check?entry=4&lang=en")
	b.Until(`!document.getElementById("tree-section").hidden`)
	browsertest.Evaluate[any](b, `document.getElementById("tamper").focus()`)
	b.Press(kb.Enter)
	b.Until(`document.getElementById("tampered").textContent.includes("The change shows")`)
	b.WantNoErrors()
}

// The checker finds an honest chain right, shows what a changed byte changes, and notices a second visit after the log grew.
func TestCheckerInBrowser(t *testing.T) {
	x := newTown(t)
	b := browsertest.Open(t)
	open := func(n int) {
		t.Helper()
		b.Open(fmt.Sprintf("%s/explore/check?entry=%d&lang=en", x.server.URL, n))
		b.Until(`document.querySelectorAll("#steps li").length === 4`)
	}
	results := func(list string) string {
		return browsertest.Evaluate[string](b, `Array.from(document.querySelectorAll("#`+list+` li"), li => li.className).join(" ")`)
	}
	open(4)
	if got := results("steps"); got != "good good good unknown" {
		t.Errorf("first visit: %s", browsertest.Evaluate[string](b, `document.getElementById("steps").innerText`))
	}
	levels := len(ledgertest.Must(x.index.Inclusion(4, uint64(len(x.Entries))))(t))
	if boxes := browsertest.Evaluate[int](b, `document.querySelectorAll("#tree rect").length`); boxes != 2*levels+3 { // and the signed root
		t.Errorf("%d boxes are drawn for %d levels", boxes, levels)
	}
	b.Until(`document.querySelectorAll("#tree .changed").length === 0`)
	browsertest.Evaluate[any](b, `document.getElementById("tamper").click()`)
	b.Until(fmt.Sprintf(`document.querySelectorAll("#tree .changed").length === %d`, levels+2))
	b.WantAccessible("a changed byte")
	browsertest.Evaluate[any](b, `document.getElementById("restore").click()`)
	b.Until(`document.querySelectorAll("#tree .changed").length === 0`)
	for _, fits := range []bool{true, false, true} { // people may change it in any way they like, and back
		text := "text.value + ' '"
		if fits {
			text = "text.value.trim()"
		}
		browsertest.Evaluate[any](b, `{const text = document.getElementById("leaf-text"); text.value = `+text+`; text.dispatchEvent(new Event("input"))}`)
		b.Until(fmt.Sprintf(`(document.querySelector("#tree .verdict").textContent === "=") === %v && document.getElementById("why").hidden === %v`, fits, fits))
	}
	old := string(x.Checkpoint)
	receipt := ledgertest.Must(json.Marshal(x.Receipt(4)))(t)
	x.Issue("later", 3)
	x.Seal(ledgertest.Start + 7*3600)
	x.sync()
	open(19)
	if got := results("steps"); got != "good good good good" {
		t.Errorf("second visit: %s", browsertest.Evaluate[string](b, `document.getElementById("steps").innerText`))
	}
	paste := func(text string, want string) {
		t.Helper()
		browsertest.Evaluate[any](b, `document.getElementById("pasted-steps").replaceChildren()`)
		browsertest.Evaluate[any](b, `{const area = document.getElementById("pasted"); area.value = `+quoted(text)+`; area.form.requestSubmit()}`)
		b.Until(fmt.Sprintf(`document.querySelectorAll("#pasted-steps li").length >= %d`, len(strings.Fields(want))))
		if got := results("pasted-steps"); got != want {
			t.Errorf("pasted %.60q: %s", text, browsertest.Evaluate[string](b, `document.getElementById("pasted-steps").innerText`))
		}
	}
	paste(old, "good good good")
	paste(string(receipt), "good good good good good")
	paste(strings.Replace(string(receipt), `"index":4`, `"index":5`, 1), "good good bad bad good")
	paste(strings.Replace(old, "\n19\n", "\n17\n", 1), "bad bad")
	paste("nonsense", "bad")
	paste("{", "bad")
	b.WantNoErrors()
}

// A second history under the same keys is seen, by a browser that saw the first.
func TestCheckerSeesFork(t *testing.T) {
	x := newTown(t)
	b := browsertest.Open(t)
	root := tlog.Hash{1, 2, 3}
	fork := func(size int) string {
		text := fmt.Sprintf("%s\n%d\n%s\n", ledgertest.Origin, size, base64.StdEncoding.EncodeToString(root[:]))
		return string(ledgertest.Must(note.Sign(&note.Note{Text: text}, x.LogSigner, x.Cosigner))(t))
	}
	b.Open(x.server.URL + "/explore/check?entry=4&lang=en")
	b.Until(`document.querySelectorAll("#steps li").length === 4`)
	for _, size := range []int{3, len(x.Entries)} {
		browsertest.Evaluate[any](b, `document.getElementById("pasted-steps").replaceChildren()`)
		browsertest.Evaluate[any](b, `{const area = document.getElementById("pasted"); area.value = `+quoted(fork(size))+`; area.form.requestSubmit()}`)
		b.Until(`document.querySelectorAll("#pasted-steps li").length === 3`)
		if got := browsertest.Evaluate[string](b, `document.querySelector("#pasted-steps li:last-child").innerText`); !strings.Contains(got, "history was changed") {
			t.Errorf("size %d: %s", size, got)
		}
	}
	b.WantNoErrors()
}

// vector is one question to proof.js, with tlog's answer.
type vector struct {
	Kind  string   `json:"kind"`
	Index int      `json:"index"` // or the older size
	Size  int      `json:"size"`
	First string   `json:"first"` // leaf, or older root
	Root  string   `json:"root"`
	Proof []string `json:"proof"`
	Good  bool     `json:"good"`
}

// proof.js agrees with x/mod's tlog on each entry of logs of many sizes, each pair of sizes, and on each of them with something wrong.
func TestProofsAgreeWithTlog(t *testing.T) {
	var entries [][]byte
	for i := range 70 {
		entries = append(entries, fmt.Appendf(nil, "entry %d", i))
	}
	var vectors []vector
	hashes := hashesOf(t, entries)
	roots := make([]tlog.Hash, len(entries)+1)
	for n := 1; n <= len(entries); n++ {
		roots[n] = ledgertest.Must(tlog.TreeHash(int64(n), hashes))(t)
	}
	add := func(v vector, first, root tlog.Hash, proof []tlog.Hash) {
		v.First, v.Root, v.Proof = encoded(first), encoded(root), make([]string, len(proof))
		for i, h := range proof {
			v.Proof[i] = encoded(h)
		}
		vectors = append(vectors, v)
	}
	for n := 1; n <= len(entries); n++ {
		for i := 0; i < n; i++ {
			if n > 20 && n != 31 && n != 32 && n != 33 && n != 64 && n != 65 && n != 70 && (i+n)%7 != 0 {
				continue
			}
			leaf := tlog.RecordHash(entries[i])
			proof := ledgertest.Must(tlog.ProveRecord(int64(n), int64(i), hashes))(t)
			spoil(proof, func(p []tlog.Hash) {
				add(vector{Kind: "inclusion", Index: i, Size: n, Good: tlog.CheckRecord(p, int64(n), roots[n], int64(i), leaf) == nil}, leaf, roots[n], p)
			})
			for _, wrong := range []int{i - 1, i + 1} {
				if wrong >= 0 && wrong < n {
					add(vector{Kind: "inclusion", Index: wrong, Size: n, Good: tlog.CheckRecord(proof, int64(n), roots[n], int64(wrong), leaf) == nil}, leaf, roots[n], proof)
				}
			}
			old := i + 1
			growth := ledgertest.Must(tlog.ProveTree(int64(n), int64(old), hashes))(t)
			spoil(growth, func(p []tlog.Hash) {
				good := tlog.CheckTree(p, int64(n), roots[n], int64(old), roots[old]) == nil
				add(vector{Kind: "consistency", Index: old, Size: n, Good: good}, roots[old], roots[n], p)
			})
			if old > 1 {
				good := tlog.CheckTree(growth, int64(n), roots[n], int64(old), roots[old-1]) == nil
				add(vector{Kind: "consistency", Index: old, Size: n, Good: good}, roots[old-1], roots[n], growth)
			}
		}
	}
	right := 0
	for _, v := range vectors {
		if v.Good {
			right++
		}
	}
	if right < 500 || len(vectors)-right < 2000 {
		t.Fatalf("%d vectors, %d of them right: the test would prove little", len(vectors), right)
	}
	answers := askProofs(t, vectors)
	for i, v := range vectors {
		if answers[i] != v.Good {
			t.Errorf("%s of %d in %d with %d hashes: %v, tlog says %v", v.Kind, v.Index, v.Size, len(v.Proof), answers[i], v.Good)
		}
	}
}

// spoil hands on a proof, and ways in which it can be wrong.
func spoil(proof []tlog.Hash, use func([]tlog.Hash)) {
	use(proof)
	use(append(slices.Clone(proof), tlog.Hash{9}))
	for i := range proof {
		changed := slices.Clone(proof)
		changed[i][31] ^= 1
		use(changed)
		if i > 0 {
			swapped := slices.Clone(proof)
			swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
			use(swapped)
		}
	}
	if len(proof) > 0 {
		use(proof[1:])
		use(proof[:len(proof)-1])
	}
}

func encoded(h tlog.Hash) string { return credential.Digest(h).String() }

// askProofs runs proof.js on vectors, in Chromium.
func askProofs(t *testing.T, vectors []vector) []bool {
	t.Helper()
	body := ledgertest.Must(json.Marshal(vectors))(t)
	script := loadAsset("proof.js")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/proof.js":
			script.ServeHTTP(w, r)
		case "/vectors":
			_, _ = w.Write(body)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>proofs</title>`)
		}
	}))
	defer server.Close()
	b := browsertest.Open(t)
	b.Open(server.URL)
	return browsertest.Evaluate[[]bool](b, `(async () => {
		const p = await import("/proof.js"), out = [];
		for (const v of await (await fetch("/vectors")).json()) {
			const first = p.decode(v.first, true), root = p.decode(v.root, true), proof = v.proof.map(h => p.decode(h, true));
			try {
				out.push(v.kind === "inclusion" ? p.equal((await p.inclusion(first, v.index, v.size, proof)).root, root) : await p.consistent(v.index, first, v.size, root, proof));
			} catch {
				out.push(false);
			}
		}
		return out;
	})()`)
}
