package console_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/bulla-id/bulla/web/browsertest"
	"github.com/bulla-id/bulla/web/console"
)

// become signs a browser in at an office whose gate lets in who says who they are.
func become(b *browsertest.Browser, o *office, officer string) {
	b.Open(o.server.URL + "/become?officer=" + officer)
}

// Overview, import, audit trail and keys are accessible in both languages, widths and schemes; a file goes in with progress on the page.
func TestMorePagesInBrowser(t *testing.T) {
	o := newOffice(t)
	b := browsertest.Open(t)
	file := filepath.Join(t.TempDir(), "titles.csv")
	if err := os.WriteFile(file, rows(0, 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	become(b, o, "chen")
	b.Screen(1280, false)
	b.Open(o.server.URL + console.Path + "/imports?lang=en")
	browsertest.Evaluate[any](b, `document.querySelector("[name=dry_run]").checked = false`)
	b.Do(chromedp.SetUploadFiles("#file", []string{file}))
	browsertest.Evaluate[any](b, `document.querySelector("#import button").click()`)
	b.Until(`location.pathname.startsWith("/console/imports/") && document.body.textContent.includes("1,800")`)
	result := browsertest.Evaluate[string](b, "location.pathname")
	for _, language := range []string{"en", "zh-CN"} {
		for _, page := range []struct{ officer, path, name string }{
			{"chen", "/console/overview", "overview"}, {"chen", "/console/imports", "imports"}, {"chen", result, "import"}, {"sun", "/console/audit", "audit"}, {"zhou", "/console/keys", "keys"},
		} {
			become(b, o, page.officer)
			b.Open(o.server.URL + page.path + "?lang=" + language)
			for _, width := range []int64{390, 1280} {
				for _, dark := range []bool{false, true} {
					b.Screen(width, dark)
					b.Until("document.documentElement.scrollWidth <= window.innerWidth")
					name := "console, " + page.name
					if dark {
						name += ", dark"
					}
					b.WantAccessible(name)
				}
			}
		}
	}
	b.WantNoErrors()
}
