package browsertest

import (
	"fmt"
	"net/url"
)

// A phone and a wide screen, and the narrowest that a page must fit: that of a screen of 1280 pixels at 400 percent (WCAG 2.2, 1.4.10).
const (
	phone, wide = 390, 1280
	narrowest   = 320
)

// Languages are those that pages speak.
var Languages = []string{"en", "zh-CN"}

// Look has what is shown looked at as [Browser.WantAccessible] does: in both languages and two widths, and if it is a main page in dark colours, and in the
// person's own, without motion. speak brings the page into a language; nil loads it again in it. It costs a second or two, so it does nothing unless [Looked].
func (b *Browser) Look(page string, main bool, speak func(language string)) {
	b.t.Helper()
	if !Looked() {
		return
	}
	if speak == nil {
		speak = b.Reload
	}
	before, dark := b.width, b.dark
	for _, language := range Languages {
		speak(language)
		for _, width := range []int64{phone, wide} {
			b.Screen(width, false)
			b.WantAccessible(page)
		}
		b.wantFitting(page)
		if main {
			b.Screen(phone, true)
			b.WantAccessible(page + ", dark")
			b.prefer(map[string]string{"forced-colors": "active", "prefers-reduced-motion": "reduce"})
			b.WantAccessible(page + ", in the person's own colours")
			if moving := Evaluate[int](b, "document.getAnimations().length"); moving > 0 {
				b.t.Errorf("%s: %d things move, though the person wants none to", page, moving)
			}
		}
	}
	b.Screen(before, dark)
}

// Reload loads the page again in a language, which its address names.
func (b *Browser) Reload(language string) {
	b.t.Helper()
	here, err := url.Parse(Evaluate[string](b, "location.href"))
	if err != nil {
		b.t.Fatal(err)
	}
	query := here.Query()
	query.Set("lang", language)
	here.RawQuery = query.Encode()
	b.Open(here.String())
}

// wantFitting fails the test for what is wider than the narrowest window.
func (b *Browser) wantFitting(page string) {
	b.t.Helper()
	b.Screen(narrowest, false)
	const tooWide = `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth)
		.map((e) => e.tagName + " " + e.className + ": " + e.textContent.trim().slice(0, 60))`
	for _, element := range Evaluate[[]string](b, tooWide) {
		b.t.Errorf("%s: wider than %d pixels: %s", page, narrowest, fmt.Sprintf("%.200s", element))
	}
}
