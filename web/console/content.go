package console

import (
	"maps"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
)

// What applications and credentials say, as lines for people: titles, units and labels are the schema's, in the page's language.

// schema is one that the agency issues under, as its API tells of it.
type schema struct {
	Schema    *credential.Schema `json:"schema"`
	Approvals int                `json:"approvals"`
}

// schemas asks for all of them.
func (v *visit) schemas() ([]schema, error) {
	var answer struct {
		Schemas []schema `json:"schemas"`
	}
	err := v.call("GET", "/schemas", nil, &answer)
	return answer.Schemas, err
}

// schemaNamed finds one by type. One that the agency no longer issues under has no claims that we know.
func schemaNamed(list []schema, schemaType string) schema {
	for _, s := range list {
		if s.Schema.Type == schemaType {
			return s
		}
	}
	return schema{Schema: &credential.Schema{Type: schemaType}}
}

// line is one thing that an application or a credential says.
type line struct {
	Title  string
	Value  string // empty: absent
	Before string // what the credential to be replaced says
	Was    bool   // there is one
}

// Changed tells whether a line says something else than before.
func (l line) Changed() bool { return l.Was && l.Value != l.Before }

// lines are all that an application says, next to the credential that it replaces, if any.
func (v *visit) lines(s *credential.Schema, a *issuer.Application, old *issuer.Credential) []line {
	list := []line{{Title: v.t("console.person"), Value: a.Person}}
	if s.SubjectRegister != "" || a.Subject != "" {
		list = append(list, line{Title: v.t("console.subject"), Value: a.Subject})
	}
	for _, c := range claimsOf(s, a.Claims) {
		list = append(list, line{Title: c.Title(v.language), Value: v.value(c, a.Claims)})
	}
	list = append(list, line{Title: v.t("console.valid-from"), Value: a.ValidFrom}, line{Title: v.t("console.valid-until"), Value: a.ValidUntil})
	if old != nil {
		for n, before := range v.lines(s, applicationOf(old), nil) {
			if n < len(list) && before.Title == list[n].Title {
				list[n].Before, list[n].Was = before.Value, true
			}
		}
	}
	return list
}

// claimsOf are a schema's claims, and after them those that it does not know.
func claimsOf(s *credential.Schema, claims credential.Claims) []credential.ClaimType {
	list := slices.Clone(s.Claims)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if _, known := s.Slot(name); !known {
			list = append(list, credential.ClaimType{Name: name, Type: credential.String})
		}
	}
	return list
}

// value is what a claim says.
func (v *visit) value(c credential.ClaimType, claims credential.Claims) string {
	switch value := claims[c.Name].(type) {
	case bool:
		if value {
			return v.t("console.yes")
		}
		return v.t("console.no")
	case string:
		if c.Unit != nil && c.Type == credential.Integer {
			return value + " " + c.Unit.In(v.language)
		}
		return c.Label(value, v.language)
	}
	return ""
}

// applicationOf is what one would apply for to get the same credential.
func applicationOf(c *issuer.Credential) *issuer.Application {
	return &issuer.Application{
		Person: c.Person, Schema: c.Schema, Claims: maps.Clone(c.Claims), Subject: c.Subject, ValidFrom: c.ValidFrom, ValidUntil: c.ValidUntil,
	}
}

// t is a text in the page's language.
func (v *visit) t(key string) string { return texts[key].In(v.language) }

// officer is what people call who acted: an officer of the agency's own by their name there, others by all that their token says.
func (v *visit) officer(o issuer.Officer) string {
	switch {
	case string(o) == v.session.Officer:
		return v.t("console.by.you")
	case o == issuer.Holder || o == issuer.System:
		return v.t("console.by." + string(o))
	}
	return v.c.officerName(string(o))
}

// ages are the units in which people say how long ago something was, the longest first.
var ages = []struct {
	unit time.Duration
	key  string
}{{24 * time.Hour, "console.age.day"}, {time.Hour, "console.age.hour"}, {time.Minute, "console.age.minute"}}

// age is how long ago something was.
func (v *visit) age(at credential.UnixTime) string {
	passed := v.c.cfg.Clock().Sub(at.Time())
	for _, a := range ages {
		if n := int(passed / a.unit); n > 0 {
			return counted(v.t(a.key), n)
		}
	}
	return v.t("console.age.now")
}
