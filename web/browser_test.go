package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/browsertest"
)

// changing is visits whose one page the test changes while a browser looks at it.
func changing(visit *Visit) (v *visits, change func(func(*Visit))) {
	var mu sync.Mutex
	v = &visits{now: func() Visit {
		mu.Lock()
		defer mu.Unlock()
		return *visit
	}}
	return v, func(do func(*Visit)) {
		mu.Lock()
		defer mu.Unlock()
		do(visit)
	}
}

// The page follows its state without being loaded again.
func TestPageInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	for _, language := range browsertest.Languages {
		v, change := changing(someVisit())
		s := start(t, v)
		b.Open(s.URL + "/verify/p?lang=" + language)
		browsertest.Evaluate[bool](b, "window.loadedOnce = true")
		change(func(v *Visit) { v.State = "fetched" })
		b.Until(`document.getElementById("state").dataset.state === "fetched"`)
		change(func(v *Visit) { v.State, v.Final = "verified", true })
		b.Until(`document.getElementById("state").textContent === ` + quoted(texts["state.verified"].In(language)))
		b.Until(`window.loadedOnce && !document.getElementById("ask") && !document.getElementById("back").hidden`)
	}
	b.WantNoErrors()
}

// In each of its states the page is accessible in both languages, schemes and widths.
func TestPageStatesInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	for _, end := range []Progress{
		{State: "created"}, {State: "fetched"}, {State: "responded"}, {State: "verified", Final: true}, {State: "expired", Final: true}, {State: "cancelled", Final: true},
		{State: "rejected", Final: true, Reason: &credential.Text{English: "The credential is revoked.", Chinese: "该凭证已被吊销。"}},
	} {
		visit := someVisit()
		visit.Progress, visit.Dev = end, true
		v, _ := changing(visit)
		b.Open(start(t, v).URL + "/verify/p")
		b.Until(`document.getElementById("state").dataset.state === ` + quoted(end.State))
		b.Look("verification, "+end.State, end.State == "created", nil)
	}
	b.Open(start(t, &visits{}).URL + "/verify/p")
	b.Look("verification, gone", false, nil)
}

// By keyboard: the first stop is the skip link, and refusing is a stop like any other.
func TestPageByKeyboard(t *testing.T) {
	v, _ := changing(someVisit())
	s := start(t, v)
	b := browsertest.Open(t)
	b.Open(s.URL + "/verify/p?lang=en")
	var stops []string
	for range 6 {
		b.Press(kb.Tab)
		stops = append(stops, browsertest.Evaluate[string](b, `document.activeElement.textContent.trim()`))
	}
	for _, want := range []string{"Skip to the content", "中文", "Open in the wallet on this device", "I do not want to"} {
		if !strings.Contains(strings.Join(stops, "|"), want) {
			t.Errorf("the keyboard stops at %q, not at %q", stops, want)
		}
	}
	browsertest.Evaluate[any](b, `document.querySelector("form button").focus()`)
	b.Press(kb.Enter)
	for range 300 {
		if len(v.isCancelled()) > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if pages := v.isCancelled(); len(pages) != 1 {
		t.Errorf("cancelled: %q", pages)
	}
	b.WantNoErrors()
}

// Another site embeds the button, under a strict policy, and hears how the verification ended from our page and nobody else.
func TestButton(t *testing.T) {
	visit := someVisit()
	v, change := changing(visit)
	ours := start(t, v)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+ours.URL+"; style-src 'self'; connect-src 'self'")
		if r.URL.Path == "/shop.js" {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `window.heard = []; addEventListener("bulla-ended", e => heard.push(e.detail.state));`)
			return
		}
		fmt.Fprintf(w, `<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>shop</title><script src="/shop.js"></script>
<script type="module" src="%s/verify/button.js"></script><main><h1>shop</h1><bulla-button page="%s/verify/p"></bulla-button></main></html>`, ours.URL, ours.URL)
	}))
	defer shop.Close()
	b := browsertest.Open(t)
	b.Open(shop.URL)
	b.Until(`document.querySelector("bulla-button").shadowRoot?.querySelector("button").textContent === "用钱包出示证明"`)
	b.WantAccessible("button")
	browsertest.Evaluate[any](b, `window.postMessage({bulla: "ended", page: "`+ours.URL+`/verify/p", state: "verified"}, "*")`) // a lie
	browsertest.Evaluate[any](b, `document.querySelector("bulla-button").shadowRoot.querySelector("button").focus()`)
	b.Press(kb.Enter)
	b.Until(`document.querySelector("bulla-button").shadowRoot.querySelector("span").textContent !== ""`)
	change(func(v *Visit) {
		v.State, v.Final, v.Sites = "verified", true, []string{"https://other.example", shop.URL}
	})
	b.Until(`window.heard.length > 0`)
	heard := browsertest.Evaluate[[]string](b, "heard")
	if len(heard) != 1 || heard[0] != "verified" {
		t.Errorf("the shop heard %q", heard)
	}
	b.WantNoErrors()
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}
