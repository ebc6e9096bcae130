package dcc

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Certificate is the content of an accepted certificate. Exactly one of the three groups has entries.
type Certificate struct {
	Issuer   string     // country that signed, of the web token; may be empty
	IssuedAt *time.Time // of the web token; nil if absent
	Expires  time.Time

	Version      string        `json:"ver"`
	Name         Name          `json:"nam"`
	BirthDate    string        `json:"dob"` // 1998-02-26, or partial, or empty
	Vaccinations []Vaccination `json:"v"`
	Tests        []Test        `json:"t"`
	Recoveries   []Recovery    `json:"r"`
}

// Name is the holder's name, as written and as transliterated for machine-readable passports (ICAO 9303).
type Name struct {
	Surname          string `json:"fn"`
	Forename         string `json:"gn"`
	StandardSurname  string `json:"fnt"`
	StandardForename string `json:"gnt"`
}

// Vaccination is an entry of the group v. Codes are of the eHealth Network's value sets.
type Vaccination struct {
	Disease      string  `json:"tg"`
	Prophylaxis  string  `json:"vp"`
	Product      string  `json:"mp"`
	Manufacturer string  `json:"ma"`
	Doses        float64 `json:"dn"` // a whole number
	DosesTotal   float64 `json:"sd"` // a whole number
	Date         string  `json:"dt"`
	Country      string  `json:"co"`
	Authority    string  `json:"is"`
	ID           string  `json:"ci"`
}

// Test is an entry of the group t.
type Test struct {
	Disease string `json:"tg"`
	Type    string `json:"tt"`
	Sample  any    `json:"sc"` // text, or milliseconds since 1970 in early certificates
	Result  string `json:"tr"`
	Country string `json:"co"`
	ID      string `json:"ci"`
}

// Recovery is an entry of the group r.
type Recovery struct {
	Disease       string `json:"tg"`
	FirstPositive string `json:"fr"`
	Country       string `json:"co"`
	ValidFrom     string `json:"df"`
	ValidUntil    string `json:"du"`
	ID            string `json:"ci"`
}

//go:embed schema.json
var schemaText []byte

// contentSchema is the one lenient schema for all versions.
var contentSchema = sync.OnceValue(func() *jsonschema.Schema {
	document := must(jsonschema.UnmarshalJSON(bytes.NewReader(schemaText)))
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("dcc.json", document); err != nil {
		panic(fmt.Sprintf("dcc: our own schema: %v", err))
	}
	return must(compiler.Compile("dcc.json"))
})

// certificate checks the content against the schema and reads it.
func (t *token) certificate() (*Certificate, error) {
	if groups := t.groups(); len(groups) != 1 {
		return nil, fmt.Errorf("%d groups of v, t, r have entries, want exactly one", len(groups))
	}
	if err := contentSchema().Validate(t.content); err != nil {
		return nil, firstCause(err)
	}
	text, err := json.Marshal(t.content)
	if err != nil {
		return nil, fmt.Errorf("write the content as JSON: %w", err)
	}
	c := &Certificate{Issuer: t.issuer, IssuedAt: t.issuedAt, Expires: *t.expires}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("read the content: %w", err)
	}
	return c, nil
}

// firstCause is one line of a schema's tree of errors: the first that names a place.
func firstCause(err error) error {
	var cause *jsonschema.ValidationError
	if !errors.As(err, &cause) {
		return err
	}
	for len(cause.Causes) > 0 {
		cause = cause.Causes[0]
	}
	text := cause.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	return fmt.Errorf("at /%s: %s", strings.Join(cause.InstanceLocation, "/"), text)
}
