// Package browsertest drives the pages in real headless Chromium. Tests that use it are skipped where there is none, unless
// BULLA_JUDGES=required.
package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// limit is how long one browser lives at most.
const limit = 15 * time.Minute

// Browser is a browser with an empty profile.
type Browser struct {
	t       testing.TB
	context context.Context
	width   int64 // of the window, as Screen set it
	dark    bool

	mu     sync.Mutex
	errors []string // what the console of its pages said was wrong
}

// Open starts a browser that ends with the test.
func Open(t testing.TB, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(find(t)), chromedp.NoSandbox, // as root, in a container, against our own pages only
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	options = append(options, more...)
	for left := starts - 1; ; left-- {
		ctx, err := start(t, options)
		if err == nil {
			b := &Browser{t: t, context: ctx, width: phone}
			b.follow()
			return b
		}
		if t.Logf("the browser does not start: %v", err); left == 0 {
			t.Fatalf("the browser did not start in %d attempts", starts)
		}
	}
}

// starts is how often a browser is started until it runs: on a busy machine it may end at once.
const starts = 3

// start makes a context of its own for each browser: one whose browser has not started cannot be used again.
func start(t testing.TB, options []chromedp.ExecAllocatorOption) (context.Context, error) {
	ctx, cancelAll := context.WithTimeout(context.Background(), limit)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	ctx, cancel := chromedp.NewContext(ctx)
	end := func() { cancel(); cancelAllocator(); cancelAll() }
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, err
	}
	t.Cleanup(end)
	return ctx, nil
}

// Tab is another tab of the browser, with the same profile.
func (b *Browser) Tab() *Browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.context)
	b.t.Cleanup(cancel)
	tab := &Browser{t: b.t, context: ctx, width: phone}
	tab.Do() // which opens it
	tab.follow()
	return tab
}

// follow hears what the console of the pages says.
func (b *Browser) follow() {
	messages := chromedp.Console(b.context)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the browser has ended
			}
			b.listen(m)
		}
	}()
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("BULLA_JUDGES") == "required" {
		t.Fatal("Chromium is needed, as BULLA_JUDGES=required")
	}
	t.Skip("SKIPPED: there is no Chromium")
	return ""
}

func (b *Browser) listen(m chromedp.ConsoleMessage) {
	switch m.Type {
	case chromedp.ConsoleError, chromedp.ConsoleException, "assert":
		b.mu.Lock()
		defer b.mu.Unlock()
		b.errors = append(b.errors, m.String())
	}
}

// Do does actions, or fails the test.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.context, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Open loads a page.
func (b *Browser) Open(address string) { b.t.Helper(); b.Do(chromedp.Navigate(address)) }

// Evaluate is the value of an expression, awaited if it is a promise.
func Evaluate[T any](b *Browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.context, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Until waits for an expression of the page to be true, half a minute at most.
func (b *Browser) Until(expression string) { b.t.Helper(); b.Within(30*time.Second, expression) }

// Within waits for an expression of the page to be true, also of one that is being loaded.
func (b *Browser) Within(limit time.Duration, expression string) {
	b.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) { // the page that was asked may go, and another come
		wait := chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(time.Until(end)))
		_, err := chromedp.Run(b.context, wait)
		switch {
		case err == nil:
			return
		case time.Now().After(end) || !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "Cannot find context"):
			b.t.Fatalf("wait for %s: %v", expression, err)
		}
	}
}

// Press presses a key.
func (b *Browser) Press(key string) { b.t.Helper(); b.Do(chromedp.KeyEvent(key)) }

// Choose chooses a file in a field, which a selector names.
func (b *Browser) Choose(field string, file []byte) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "file")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Do(chromedp.SetUploadFiles(field, []string{path}))
}

// Screen sets the width of the window, and whether the person prefers dark colours.
func (b *Browser) Screen(width int64, dark bool) {
	b.t.Helper()
	b.width, b.dark = width, dark
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Do(chromedp.EmulateViewport(width, 1000))
	b.prefer(map[string]string{"prefers-color-scheme": scheme})
}

// prefer says what the person prefers, by media feature, and no more.
func (b *Browser) prefer(features map[string]string) {
	b.t.Helper()
	var params emulation.SetEmulatedMediaParams
	for name, value := range features {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: name, Value: value})
	}
	if _, err := chromedp.Call(b.context, emulation.SetEmulatedMedia, params); err != nil {
		b.t.Fatal(err)
	}
}

// Passkeys gives the browser an authenticator that says yes, with the PRF extension.
func (b *Browser) Passkeys() {
	b.t.Helper()
	_, err1 := chromedp.Call(b.context, webauthn.Enable, webauthn.EnableParams{})
	_, err2 := chromedp.Call(b.context, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Ctap2version: "ctap2_1", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: true,
		AutomaticPresenceSimulation: true,
	}})
	if err := errors.Join(err1, err2); err != nil {
		b.t.Fatal(err)
	}
}

// WantNoErrors fails the test for everything that consoles said was wrong since the browser was opened.
func (b *Browser) WantNoErrors() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.errors {
		b.t.Errorf("the console says: %s", text)
	}
	b.errors = nil
}

// notInNames is what a file's name should not have.
var notInNames = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// shoot writes the whole page as an image, named by page, language and width.
func (b *Browser) shoot(page string) {
	b.t.Helper()
	dir := os.Getenv("BULLA_SCREENSHOTS")
	if dir == "" {
		return
	}
	image, err := chromedp.Run(b.context, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	name := notInNames.ReplaceAllString(page+" "+b.seen(), "-") + ".png"
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// seen is in which language and width a page is seen.
func (b *Browser) seen() string {
	b.t.Helper()
	return Evaluate[string](b, "[document.documentElement.lang, innerWidth].join(' ')")
}

// violation is what axe found.
type violation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

// Looked tells whether pages are looked at closely: by axe, or by a person at screenshots.
func Looked() bool { return os.Getenv("BULLA_AXE") != "" || os.Getenv("BULLA_SCREENSHOTS") != "" }

// WantAccessible fails the test for what axe finds on the page by the rules of WCAG 2.2 AA. Without BULLA_AXE, which names the file axe.min.js
// of npm's axe-core, it asks nobody. With BULLA_SCREENSHOTS, which names a folder, it writes what the page looks like.
func (b *Browser) WantAccessible(page string) {
	b.t.Helper()
	b.shoot(page)
	path := os.Getenv("BULLA_AXE")
	if path == "" {
		return
	}
	script, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]}).then(r => JSON.stringify({
		passes: r.passes.length, found: r.violations.map(v => ({id: v.id, impact: v.impact ?? "", help: v.help, nodes: v.nodes.map(n => n.html)}))}))`
	if !Evaluate[bool](b, `"axe" in window`) {
		Evaluate[any](b, string(script)+";0")
	}
	text := Evaluate[string](b, run)
	var report struct {
		Passes int         `json:"passes"`
		Found  []violation `json:"found"`
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		b.t.Fatal(err)
	}
	if report.Passes == 0 {
		b.t.Errorf("%s (%s): axe looked at nothing", page, b.seen())
	}
	for _, v := range report.Found {
		b.t.Errorf("%s (%s): %s (%s): %s\n  %s", page, b.seen(), v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n  "))
	}
}

// NotInstallable is why the browser would not install the page as an app.
func (b *Browser) NotInstallable() (reasons []string) {
	b.t.Helper()
	manifest, err := chromedp.Call(b.context, page.GetAppManifest, page.GetAppManifestParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, wrong := range manifest.Errors {
		reasons = append(reasons, wrong.Message)
	}
	found, err := chromedp.Call(b.context, page.GetInstallabilityErrors, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, wrong := range found.InstallabilityErrors {
		reasons = append(reasons, wrong.ErrorID)
	}
	return reasons
}
