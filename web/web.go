// Package web has the pages that people see, in Chinese and English, with everything that they need embedded: no page loads
// anything from elsewhere. It knows none of the roles; what a page needs of one is an interface here.
//
// A page works without scripts as far as it can, in any width, light and dark, by keyboard and with a screen reader. Texts
// are in texts.go, and a test holds both languages to the same ones.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strings"

	"golang.org/x/text/language"

	"github.com/bulla-id/bulla/credential"
)

//go:embed all:assets
var assets embed.FS

// pages are the templates, by file name.
var pages = template.Must(template.New("").Funcs(template.FuncMap{"pass": pass}).ParseFS(assets, "assets/*.html"))

// passed is what one template hands to another: the page, and what to show of it.
type passed struct{ Page, Rows any }

func pass(page, rows any) passed { return passed{page, rows} }

// policyOfPages is the Content-Security-Policy of each page: our own scripts and styles, and no frame around us, in which somebody
// else's page could have people press our buttons.
const policyOfPages = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect sets the headers that every page has. Addresses of pages are secrets, so that they go nowhere as a referrer.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policyOfPages)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// asset is a file that pages refer to by a name with its digest, so that it can be kept for ever.
type asset struct {
	body []byte
	kind string
	tag  string
}

func loadAsset(name string) asset {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("web: " + err.Error()) // it is embedded
	}
	return newAsset(name, body)
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{body, kindOf(name), tagOf(sum[:])}
}

// tagOf is the entity tag of a file, by its SHA-256.
func tagOf(sum []byte) string { return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"` }

// kindOf is the media type of a file. Not every system knows all of them.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".wasm":
		return "application/wasm"
	case ".webmanifest":
		return "application/manifest+json"
	case ".bin":
		return "application/octet-stream"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// version is what makes an asset's address change with it.
func (a asset) version() string { return strings.Trim(a.tag, `"`) }

// ServeHTTP answers with the file. By an address with its version it may be kept for ever, by another it is asked for again.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.head(w, r) {
		_, _ = w.Write(a.body) // who asked may be gone
	}
}

// head sets the headers, and answers who has the file already.
func (a asset) head(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", a.tag)
	h.Set("Access-Control-Allow-Origin", "*") // scripts that other sites embed; there is nothing personal in a file
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, no-cache")
	if r.URL.Query().Get("v") == a.version() {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	return false
}

var (
	languages = []language.Tag{language.English, language.SimplifiedChinese}
	matcher   = language.NewMatcher(languages)
)

// languageOf is the language to answer in: what the address asks for with lang, else what the browser prefers, else English.
func languageOf(r *http.Request) string {
	switch wanted := r.URL.Query().Get("lang"); wanted {
	case english, chinese:
		return wanted
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return english
	}
	if _, i, _ := matcher.Match(tags...); i == 1 {
		return chinese
	}
	return english
}

const (
	english = "en"
	chinese = "zh-CN"
)

// other is the language to switch to.
func other(language string) string {
	if language == chinese {
		return english
	}
	return chinese
}

// words are a page's texts in one language, for its template.
type words struct{ language string }

// T is the text of a key. A key without one is a mistake of ours that tests find; people then see the key.
func (w words) T(key string) string {
	if text, ok := texts[key]; ok {
		return text.In(w.language)
	}
	return key
}

// Text is what a role says, in the page's language.
func (w words) Text(t credential.Text) string { return t.In(w.language) }
