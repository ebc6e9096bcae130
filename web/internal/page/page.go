// Package page has what all pages share: their headers, their files, their languages.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"golang.org/x/text/language"

	"github.com/bulla-id/bulla/credential"
)

// Policy is the Content-Security-Policy of each page: our own scripts and styles, and no frame around us, in which somebody
// else's page could have people press our buttons.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Protect sets the headers that every page has. Addresses of pages are secrets, so that they go nowhere as a referrer.
func Protect(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
}

// Asset is a file that pages refer to by a name with its digest, so that it can be kept for ever.
type Asset struct {
	Body []byte
	Kind string // media type
	Tag  string // entity tag
}

// Load is an embedded file.
func Load(files fs.FS, name string) Asset {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		panic("web: " + err.Error()) // it is embedded
	}
	return NewAsset(name, body)
}

// NewAsset is a file of that name.
func NewAsset(name string, body []byte) Asset {
	sum := sha256.Sum256(body)
	return Asset{body, KindOf(name), TagOf(sum[:])}
}

// TagOf is the entity tag of a file, by its SHA-256.
func TagOf(sum []byte) string { return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"` }

// KindOf is the media type of a file. Not every system knows all of them.
func KindOf(name string) string {
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

// Version is what makes an asset's address change with it.
func (a Asset) Version() string { return strings.Trim(a.Tag, `"`) }

// ServeHTTP answers with the file. By an address with its version it may be kept for ever, by another it is asked for again.
func (a Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.Head(w, r) {
		_, _ = w.Write(a.Body) // who asked may be gone
	}
}

// Head sets the headers, and answers who has the file already.
func (a Asset) Head(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Set("Content-Type", a.Kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", a.Tag)
	h.Set("Access-Control-Allow-Origin", "*") // scripts that other sites embed; there is nothing personal in a file
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, no-cache")
	if r.URL.Query().Get("v") == a.Version() {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == a.Tag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	return false
}

var (
	languages = []language.Tag{language.English, language.SimplifiedChinese}
	matcher   = language.NewMatcher(languages)
)

// LanguageOf is the language to answer in: what the address asks for with lang, else what the browser prefers, else English.
func LanguageOf(r *http.Request) string {
	switch wanted := r.URL.Query().Get("lang"); wanted {
	case English, Chinese:
		return wanted
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return English
	}
	if _, i, _ := matcher.Match(tags...); i == 1 {
		return Chinese
	}
	return English
}

// The languages.
const (
	English = "en"
	Chinese = "zh-CN"
)

// Other is the language to switch to.
func Other(language string) string {
	if language == Chinese {
		return English
	}
	return Chinese
}

// Words are a page's texts in one language, for its template.
type Words struct {
	Language string
	Texts    map[string]credential.Text
}

// T is the text of a key. A key without one is a mistake of ours that tests find; people then see the key.
func (w Words) T(key string) string {
	if text, ok := w.Texts[key]; ok {
		return text.In(w.Language)
	}
	return key
}

// Text is what a role says, in the page's language.
func (w Words) Text(t credential.Text) string { return t.In(w.Language) }
