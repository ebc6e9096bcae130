package web

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/explore"
)

// explorerPage is one page for one visitor; templates see it.
type explorerPage struct {
	words
	Language, Other string
	Head            *explore.Head
	Title           string
	Here            string // the part of the navigation that it belongs to
	Data            any
	Content         template.HTML

	x       *Explorer
	request *http.Request
	root    string // address of the overview, relative to the page
	name    string // of the template
	moved   string // address to go to instead
}

func (x *Explorer) page(r *http.Request) *explorerPage {
	language := languageOf(r)
	p := &explorerPage{words: words{language}, Language: language, Other: other(language), Head: x.chain.Head(), x: x, request: r}
	rest := strings.TrimPrefix(r.URL.EscapedPath(), x.base+"/")
	p.root = "./" + strings.Repeat("../", strings.Count(rest, "/"))
	return p
}

// render puts the content into the frame that all pages have.
func (p *explorerPage) render() ([]byte, error) {
	content, err := p.part(p.name)
	if err != nil {
		return nil, err
	}
	p.Content = template.HTML(content) // escaped by its own template
	return p.part("explore.html")
}

func (p *explorerPage) part(name string) ([]byte, error) {
	var out bytes.Buffer
	err := pages.ExecuteTemplate(&out, name, p)
	return out.Bytes(), err
}

// Link is the address of a page of ours, relative to this one, in the language that was chosen. Parts are path elements; a last one
// that begins with ? is a query.
func (p *explorerPage) Link(parts ...any) string {
	var elements []string
	query := url.Values{}
	for _, part := range parts {
		text := message.NewPrinter(language.Und).Sprint(part)
		if number, ok := part.(uint64); ok {
			text = strconv.FormatUint(number, 10)
		}
		if q, ok := strings.CutPrefix(text, "?"); ok {
			query, _ = url.ParseQuery(q) // ours
			continue
		}
		elements = append(elements, url.PathEscape(text))
	}
	if chosen := p.request.URL.Query().Get("lang"); chosen == p.Language {
		query.Set("lang", chosen)
	}
	address := p.root + strings.Join(elements, "/")
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// Switch is the address of this page in the other language.
func (p *explorerPage) Switch() string {
	query := p.request.URL.Query()
	query.Del("q") // what was searched for is nobody's matter
	query.Set("lang", p.Other)
	return "?" + query.Encode()
}

// Asset is the address of a file of ours.
func (p *explorerPage) Asset(name string) string {
	return p.root + name + "?v=" + p.x.files[name].Version()
}

// N is a number with separators.
func (p *explorerPage) N(n any) string {
	return message.NewPrinter(language.Make(p.Language)).Sprint(n)
}

// Stamp is a time for people and, in datetime, for machines.
func (p *explorerPage) Stamp(t any) template.HTML {
	var at time.Time
	switch v := t.(type) {
	case credential.UnixTime:
		at = v.Time()
	case time.Time:
		at = v.UTC()
	}
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04:05") + " UTC</time>")
}

// number reads a number of the query; absent is the default.
func (p *explorerPage) number(name string, byDefault uint64) (uint64, error) {
	text := p.request.URL.Query().Get(name)
	if text == "" {
		return byDefault, nil
	}
	return parseNumber(text)
}

func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		return 0, errBadQuery
	}
	return n, nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
