package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/internal/page"
)

// visits are pages by id; the pages of a running verifier are tested in internal/office.
type visits struct {
	pages     map[string]*Visit
	cancelled []string
	err       error
	now       func() Visit // of any page, if not nil
	mu        sync.Mutex   // guards cancelled
}

func (v *visits) Visit(_ context.Context, page string) (*Visit, error) {
	if v.err != nil {
		return nil, v.err
	}
	if v.now != nil {
		visit := v.now()
		return &visit, nil
	}
	if visit, ok := v.pages[page]; ok {
		return visit, nil
	}
	return nil, ErrAbsent
}

func (v *visits) Progress(ctx context.Context, page string) (*Progress, error) {
	visit, err := v.Visit(ctx, page)
	if err != nil {
		return nil, err
	}
	return &visit.Progress, nil
}

func (v *visits) Cancel(_ context.Context, page string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancelled = append(v.cancelled, page)
	return v.err
}

func (v *visits) isCancelled() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cancelled
}

const link = "openid4vp://?client_id=decentralized_identifier%3Adid%3Aweb%3Acity.example&request_uri=https%3A%2F%2Fcity.example%2Foid4vp%2Frequests%2Fabc"

func someVisit() *Visit {
	return &Visit{
		Verifier: credential.Text{English: "City <b>office</b>", Chinese: "市政府"}, DID: "did:web:city.example",
		Policy: credential.Text{English: "Resident", Chinese: "居民"}, Purpose: credential.Text{English: "A pass", Chinese: "通行证"},
		Facts:         map[string][]string{"en": {"lives here"}, "zh-CN": {"住在此地"}},
		Shown:         map[string][]string{"en": {"nothing else"}, "zh-CN": {"其他均不出示"}},
		Linking:       map[string][]Linking{"en": {{"nothing", "links nothing"}}, "zh-CN": {{"nothing", "无关联"}}},
		Narrows:       map[string][]Narrowed{"en": {{"<i>one</i> value", true}, {"many values", false}}, "zh-CN": {{"仅一个值", true}}},
		RetentionDays: 30, RequestLink: link, ExpiresAt: time.Unix(1_800_000_000, 0), Progress: Progress{State: "created"},
	}
}

func start(t *testing.T, v *visits) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(NewVerification(v, "/verify", "http://localhost:2", slog.New(slog.DiscardHandler)).Handler())
	t.Cleanup(s.Close)
	return s
}

func get(t testing.TB, address string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestPage(t *testing.T) {
	s := start(t, &visits{pages: map[string]*Visit{"p": someVisit()}})
	for language, want := range map[string][]string{
		"en":    {`<html lang="en">`, "Resident", "lives here", "nothing else", "A pass", "30 days", `<p class="sign nothing">`, "links nothing", `href="http://localhost:2/?lang=en#openid4vp%3A%2F%2F%3Fclient_id`, "City &lt;b&gt;office", `lang="zh-CN">中文`},
		"zh-CN": {`<html lang="zh-CN">`, "居民", "住在此地", "其他均不出示", "通行证", "30 天", "市政府", `lang="en">English`},
	} {
		response, page := get(t, s.URL+"/verify/p?lang="+language)
		if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s", language, response.Status)
		}
		for _, text := range append(want, `href="openid4vp://?client_id=`) {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page has no %q", language, text)
			}
		}
		for header, part := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if !strings.Contains(response.Header.Get(header), part) {
				t.Errorf("%s is %q", header, response.Header.Get(header))
			}
		}
		for _, address := range regexp.MustCompile(`(?:src|href)="([a-z.]+\?v=[^"]+)"`).FindAllStringSubmatch(page, -1) {
			response, _ := get(t, s.URL+"/verify/"+address[1])
			if response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %s, %s", address[1], response.Status, response.Header.Get("Cache-Control"))
			}
		}
	}
}

// What a page shows can be told apart: a request that ended has no code, and one that is nowhere no request.
func TestPageEnds(t *testing.T) {
	done := someVisit()
	done.State, done.Final = "verified", true
	evil := someVisit()
	evil.RequestLink = "javascript:alert(1)"
	v := &visits{pages: map[string]*Visit{"done": done, "evil": evil}}
	s := start(t, v)
	response, page := get(t, s.URL+"/verify/done")
	if response.StatusCode != http.StatusOK || strings.Contains(page, "openid4vp:") || !strings.Contains(page, `<p id="back">`) {
		t.Errorf("%s %s", response.Status, page)
	}
	if response, page := get(t, s.URL+"/verify/unknown"); response.StatusCode != http.StatusNotFound || !strings.Contains(page, "There is no such request") {
		t.Errorf("%s %s", response.Status, page)
	}
	if response, page := get(t, s.URL+"/verify/evil"); response.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "javascript:") {
		t.Errorf("%s %s", response.Status, page)
	}
	v.err = errors.New("the store says secret things")
	if response, page := get(t, s.URL+"/verify/done"); response.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "secret") {
		t.Errorf("%s %s", response.Status, page)
	}
}

func TestStateOfPage(t *testing.T) {
	visit := someVisit()
	s := start(t, &visits{pages: map[string]*Visit{"p": visit}})
	ask := func(tag string) (*http.Response, progress) {
		t.Helper()
		response, body := get(t, s.URL+"/verify/p/state?lang=en", "If-None-Match", tag)
		var p progress
		if body != "" {
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatal(err)
			}
		}
		return response, p
	}
	response, p := ask("")
	if p.State != "created" || p.Final || p.Text == "" {
		t.Errorf("%+v", p)
	}
	tag := response.Header.Get("ETag")
	if response, _ := ask(tag); response.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %s", response.Status)
	}
	visit.State, visit.Reason = "rejected", &credential.Text{English: "too old", Chinese: "太旧"}
	if response, p := ask(tag); response.StatusCode != http.StatusOK || p.Reason != "too old" || response.Header.Get("ETag") == tag {
		t.Errorf("%s %+v", response.Status, p)
	}
	if response, _ := get(t, s.URL+"/verify/q/state"); response.StatusCode != http.StatusNotFound {
		t.Errorf("unknown page: %s", response.Status)
	}
}

func TestCancel(t *testing.T) {
	v := &visits{pages: map[string]*Visit{"p": someVisit()}}
	s := start(t, v)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Post(s.URL+"/verify/p/cancel?lang=zh-CN", "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "../p?lang=zh-CN" || len(v.cancelled) != 1 {
		t.Errorf("%s to %s, %v", response.Status, response.Header.Get("Location"), v.cancelled)
	}
	if response, _ := get(t, s.URL+"/verify/p/cancel"); response.StatusCode != http.StatusMethodNotAllowed && response.StatusCode != http.StatusNotFound {
		t.Errorf("cancelled by a link: %s", response.Status)
	}
}

// An outside reader reads the code, drawn from the very squares of the image.
func TestCode(t *testing.T) {
	for _, text := range []string{link, strings.Repeat("x", 1000), "短"} {
		svg, err := page.DrawCode(text)
		if err != nil {
			t.Fatal(err)
		}
		picture := rasterize(t, svg)
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
		if err != nil {
			t.Fatalf("%.20q: %v", text, err)
		}
		if read.GetText() != text {
			t.Errorf("%.40q is read as %.40q", text, read.GetText())
		}
	}
	if _, err := page.DrawCode(strings.Repeat("x", 3000)); err == nil {
		t.Error("a text that fits no code was drawn")
	}
}

// rasterize paints the rectangles of our SVG, four pixels a module.
func rasterize(t *testing.T, svg []byte) image.Image {
	t.Helper()
	const scale = 4
	size := regexp.MustCompile(`viewBox="0 0 (\d+) `).FindSubmatch(svg)
	if size == nil {
		t.Fatal("no viewBox")
	}
	side := number(t, size[1])
	picture := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	dark := svg[bytes.LastIndex(svg, []byte(`d="`)):]
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllSubmatch(dark, -1) {
		x, y, width := number(t, m[1]), number(t, m[2]), number(t, m[3])
		for py := y * scale; py < (y+1)*scale; py++ {
			for px := x * scale; px < (x+width)*scale; px++ {
				picture.SetGray(px, py, color.Gray{})
			}
		}
	}
	return picture
}

func number(t *testing.T, digits []byte) (n int) {
	t.Helper()
	if err := json.Unmarshal(digits, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The image in the page is the code of the request.
func TestPageHasTheCode(t *testing.T) {
	s := start(t, &visits{pages: map[string]*Visit{"p": someVisit()}})
	_, shown := get(t, s.URL+"/verify/p")
	match := regexp.MustCompile(`src="data:image/svg(?:\+|&#43;)xml;base64,([^"]+)"`).FindStringSubmatch(shown)
	if match == nil {
		t.Fatal("the page has no code")
	}
	image, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(match[1], "&#43;", "+"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := page.DrawCode(link)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(image, want) {
		t.Error("the page shows another code")
	}
}
