// Package web has the pages that people see, in Chinese and English, with everything that they need embedded: no page loads
// anything from elsewhere. It knows none of the roles; what a page needs of one is an interface here.
//
// A page works without scripts as far as it can, in any width, light and dark, by keyboard and with a screen reader. Texts
// are in texts.go, and a test holds both languages to the same ones.
package web

import (
	"embed"
	"html/template"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/internal/page"
)

//go:embed all:assets
var assets embed.FS

// pages are the templates, by file name.
var pages = template.Must(template.New("").Funcs(template.FuncMap{"pass": pass}).ParseFS(assets, "assets/*.html"))

// passed is what one template hands to another: the page, and what to show of it.
type passed struct{ Page, Rows any }

func pass(page, rows any) passed { return passed{page, rows} }

// What all pages share.
type (
	asset = page.Asset
	words struct{ language string }
)

const (
	english = page.English
	chinese = page.Chinese
)

var (
	protect    = page.Protect
	languageOf = page.LanguageOf
	other      = page.Other
)

func loadAsset(name string) asset { return page.Load(assets, "assets/"+name) }

// T is the text of a key.
func (w words) T(key string) string { return page.Words{Language: w.language, Texts: texts}.T(key) }

// Text is what a role says, in the page's language.
func (w words) Text(t credential.Text) string { return t.In(w.language) }
