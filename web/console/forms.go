package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
)

// The form of an application, made from its schema. What was entered stays when something does not fit, and each claim says what is
// wrong beside it.

// form mounts what answers a form: it is read before, whole or not at all.
func (c *Console) form(pattern, scope string, answer handler) {
	c.page(pattern, scope, func(v *visit) error {
		if err := v.r.ParseForm(); err != nil {
			if strings.Contains(err.Error(), "too large") {
				return err
			}
			return &Problem{Status: http.StatusBadRequest, Code: "form"}
		}
		return answer(v)
	})
}

// field is one entry of a form.
type field struct {
	Name     string // in the form
	Title    string
	Kind     string // text, decimal, date, datetime-local or choice
	Hint     string
	Value    string
	Choices  []pick
	Required bool
	Fixed    bool   // shown, and not asked for
	Problem  string // what is wrong with it
	Now      string // what the application says meanwhile
}

// Shown is what a fixed entry says.
func (f field) Shown() string {
	for _, c := range f.Choices {
		if c.Value == f.Value {
			return c.Text
		}
	}
	return f.Value
}

// pick is one value of an entry, and its text.
type pick struct{ Value, Text string }

// claimField is the entry for a claim.
func (v *visit) claimField(c credential.ClaimType) field {
	f := field{Name: "claim." + c.Name, Title: c.Title(v.language), Required: !c.Optional}
	if c.Unit != nil {
		f.Title += " (" + c.Unit.In(v.language) + ")"
	}
	switch c.Type {
	case credential.Integer:
		f.Kind = "decimal"
		if c.Scale > 0 {
			f.Hint = counted(v.t("console.hint.scale"), c.Scale)
		}
	case credential.Date:
		f.Kind = "date"
	case credential.DateTime:
		f.Kind, f.Hint = "datetime-local", v.t("console.hint.utc")
	case credential.Boolean:
		f.Kind, f.Choices = "choice", []pick{{"true", v.t("console.yes")}, {"false", v.t("console.no")}}
	case credential.Enum:
		f.Kind = "choice"
		for _, value := range c.Values {
			f.Choices = append(f.Choices, pick{value, c.Label(value, v.language)})
		}
	default:
		f.Kind = "text"
	}
	return f
}

// counted puts a number into a text, which has one form for one and, after a bar, another for more.
func counted(text string, n int) string {
	one, more, two := strings.Cut(text, "|")
	if two && n != 1 {
		one = more
	}
	return strings.ReplaceAll(one, "#", strconv.Itoa(n))
}

// enteredClaim is a claim's value from the text of its entry; nil if nothing was entered.
func enteredClaim(c credential.ClaimType, text string) any {
	switch {
	case text == "":
		return nil
	case c.Type == credential.Boolean && (text == "true" || text == "false"):
		return text == "true"
	case c.Type == credential.Integer:
		return padded(text, c.Scale)
	case c.Type == credential.DateTime:
		return zoned(text)
	}
	return text
}

// entryOf is the text of a claim's entry from its value.
func entryOf(c credential.ClaimType, value any) string {
	switch value := value.(type) {
	case bool:
		return strconv.FormatBool(value)
	case string:
		if c.Type == credential.DateTime {
			return strings.TrimSuffix(value, "Z")
		}
		return value
	}
	return ""
}

// padded gives a decimal the digits after the point that its schema has: people leave zeros out.
func padded(text string, scale int) string {
	whole, fraction, _ := strings.Cut(text, ".")
	if scale == 0 || len(fraction) >= scale {
		return text
	}
	return whole + "." + fraction + strings.Repeat("0", scale-len(fraction))
}

// zoned is a time of a browser's entry, which leaves zone and seconds of zero out, as the schema has it.
func zoned(text string) string {
	text = strings.TrimSuffix(text, "Z")
	if len(text) == len("2006-01-02T15:04") {
		text += ":00"
	}
	return text + "Z"
}

// entered is what a form says under a name, in the one spelling that we keep.
func (v *visit) entered(name string) string {
	return norm.NFC.String(strings.TrimSpace(v.r.PostFormValue(name)))
}

// draft is an application that is being written.
type draft struct {
	Kind       issuer.CaseKind
	Schema     schema
	Credential *issuer.Credential  // that it is about
	Start      *issuer.Application // what its entries begin with; nil: they are empty
	Case       string              // id, of one that is edited
	Version    uint64
	Direct     bool // it may be offered at once
	Fields     []field
	TxCode     bool
}

// Title is what its credentials are called.
func (d *draft) Title(language string) string { return d.Schema.Schema.Title(language) }

// fixed tells whether an entry stays as it begins: what a kind of application does not change.
func (d *draft) fixed(name string) bool {
	claim := strings.HasPrefix(name, "claim.")
	switch d.Kind {
	case issuer.CaseRenew:
		return name == "person" || name == "subject" || claim
	case issuer.CaseCorrect:
		return name == "person"
	case issuer.CaseTransfer:
		return name == "subject"
	}
	return false
}

// open makes the entries, with what they begin with.
func (v *visit) open(d *draft) {
	start := d.Start
	if start == nil {
		start = &issuer.Application{}
	}
	add := func(f field, value string) {
		f.Value, f.Fixed = value, d.fixed(f.Name)
		d.Fields = append(d.Fields, f)
	}
	add(field{Name: "person", Title: v.t("console.person"), Kind: "text", Hint: v.t("console.hint.person"), Required: true}, start.Person)
	if d.Schema.Schema.SubjectRegister != "" {
		add(field{Name: "subject", Title: v.t("console.subject"), Kind: "text", Hint: v.t("console.hint.subject"), Required: true}, start.Subject)
	}
	for _, c := range d.Schema.Schema.Claims {
		add(v.claimField(c), entryOf(c, start.Claims[c.Name]))
	}
	add(field{Name: "valid_from", Title: v.t("console.valid-from"), Kind: "date", Hint: v.t("console.hint.valid-from")}, start.ValidFrom)
	add(field{Name: "valid_until", Title: v.t("console.valid-until"), Kind: "date", Required: true}, start.ValidUntil)
	if d.Case == "" {
		add(field{Name: "external_id", Title: v.t("console.external-id"), Kind: "text", Hint: v.t("console.hint.external-id")}, "")
	}
}

// read takes what was entered into the draft, and tells whether all of it fits.
func (v *visit) read(d *draft) (a *issuer.Application, fits bool) {
	a, fits = &issuer.Application{Schema: d.Schema.Schema.Type, Claims: credential.Claims{}}, true
	for n := range d.Fields {
		f := &d.Fields[n]
		if !f.Fixed {
			f.Value = v.entered(f.Name)
		}
		if f.Problem = v.take(d, a, f); f.Problem != "" {
			fits = false
		}
	}
	return a, fits
}

// take puts an entry into the application, and says what is wrong with it.
func (v *visit) take(d *draft, a *issuer.Application, f *field) (problem string) {
	switch f.Name {
	case "person":
		a.Person = f.Value
		return v.textProblem(f)
	case "subject":
		a.Subject = f.Value
		return v.textProblem(f)
	case "valid_from":
		a.ValidFrom = f.Value
		return v.dateProblem(f)
	case "valid_until":
		a.ValidUntil = f.Value
		if f.Value != "" && f.Value < a.ValidFrom {
			return v.t("console.wants.later")
		}
		return v.dateProblem(f)
	case "external_id":
		return ""
	}
	slot, _ := d.Schema.Schema.Slot(strings.TrimPrefix(f.Name, "claim."))
	c := d.Schema.Schema.Claims[slot]
	value := enteredClaim(c, f.Value)
	switch {
	case value == nil && f.Required:
		return v.t("console.wants.something")
	case value == nil:
		return ""
	}
	a.Claims[c.Name] = value
	if _, err := c.Encode(value); err != nil { // its words quote the value, and are English
		return v.t("console.wants." + string(c.Type))
	}
	return ""
}

func (v *visit) textProblem(f *field) string {
	if f.Value == "" {
		return v.t("console.wants.something")
	}
	if _, err := credential.EncodeText(f.Value); err != nil {
		return v.t("console.wants.string")
	}
	return ""
}

func (v *visit) dateProblem(f *field) string {
	if f.Value == "" && !f.Required {
		return ""
	}
	if f.Value == "" {
		return v.t("console.wants.something")
	}
	if _, err := (credential.ClaimType{Type: credential.Date}).Number(f.Value); err != nil {
		return v.t("console.wants.date")
	}
	return ""
}

// blame puts a refusal of the API beside the claim that it names.
func (v *visit) blame(d *draft, err error) {
	var p *Problem
	if !errors.As(err, &p) || p.Claim == "" {
		return
	}
	for n := range d.Fields {
		if f := &d.Fields[n]; f.Name == "claim."+p.Claim && f.Problem == "" {
			f.Problem = v.t("console.wants.fit")
		}
	}
}

// reasonForm is the part of a form that says why.
type reasonForm struct {
	Codes []issuer.ReasonCode
	Code  issuer.ReasonCode // chosen
	Note  string
}

// reason is what a form says why, as it was entered.
func (v *visit) reason() (reasonForm, issuer.Reason) {
	r := issuer.Reason{Code: issuer.ReasonCode(v.entered("code")), Note: v.entered("note")}
	return reasonForm{issuer.ReasonCodes, r.Code, r.Note}, r
}
