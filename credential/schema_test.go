package credential_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func titleSchema() *credential.Schema {
	return &credential.Schema{
		Type: "urn:bulla:schema:title:1",
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String, Display: &credential.Text{English: "Parcel", Chinese: "地块"}},
			{Name: "area", Type: credential.Integer, Scale: 2, Unit: &credential.Text{English: "m²"}},
			{Name: "since", Type: credential.Date, Optional: true},
			{Name: "right", Type: credential.Enum, Values: []string{"owner", "tenant"}, Labels: map[string]credential.Text{"owner": {English: "Owner"}}},
			{Name: "disputed", Type: credential.Boolean, Optional: true},
			{Name: "seen", Type: credential.DateTime, Optional: true},
		},
		EnrolmentRegister: credential.IssuerRegister,
		SubjectRegister:   "parcels",
		Display:           &credential.Text{English: "Land title"},
	}
}

func cloneSchema(t interface{ Fatal(...any) }, s *credential.Schema) *credential.Schema {
	text, err := credential.Canonical(s)
	if err != nil {
		t.Fatal(err)
	}
	var out credential.Schema
	if err := credential.ParseCanonical(text, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// mutations change a schema. Those of display texts keep its id, all others give another one.
var mutations = []struct {
	name    string
	display bool
	change  func(s *credential.Schema)
}{
	{"no change", true, func(*credential.Schema) {}},
	{"title", true, func(s *credential.Schema) { s.Display = &credential.Text{English: "Deed", Chinese: "契"} }},
	{"no title", true, func(s *credential.Schema) { s.Display = nil }},
	{"claim's display", true, func(s *credential.Schema) { s.Claims[2].Display = &credential.Text{English: "Since"} }},
	{"claim's unit", true, func(s *credential.Schema) { s.Claims[1].Unit = nil }},
	{"value's label", true, func(s *credential.Schema) {
		s.Claims[3].Labels = map[string]credential.Text{"tenant": {English: "Tenant"}}
	}},
	{"type", false, func(s *credential.Schema) { s.Type = "urn:bulla:schema:title:2" }},
	{"enrolment register", false, func(s *credential.Schema) { s.EnrolmentRegister = "people" }},
	{"one per person", false, func(s *credential.Schema) { s.OnePerPerson = true }},
	{"subject register", false, func(s *credential.Schema) { s.SubjectRegister = "buildings" }},
	{"no subject register", false, func(s *credential.Schema) { s.SubjectRegister = "" }},
	{"claim's name", false, func(s *credential.Schema) { s.Claims[0].Name = "plot" }},
	{"claim's type", false, func(s *credential.Schema) { s.Claims[0].Type = credential.Date }},
	{"claim's scale", false, func(s *credential.Schema) { s.Claims[1].Scale = 3 }},
	{"no scale", false, func(s *credential.Schema) { s.Claims[1].Scale = 0 }},
	{"optional", false, func(s *credential.Schema) { s.Claims[0].Optional = true }},
	{"required", false, func(s *credential.Schema) { s.Claims[2].Optional = false }},
	{"more values", false, func(s *credential.Schema) { s.Claims[3].Values = append(s.Claims[3].Values, "heir") }},
	{"order of values", false, func(s *credential.Schema) { slices.Reverse(s.Claims[3].Values) }},
	{"order of claims", false, func(s *credential.Schema) { slices.Reverse(s.Claims) }},
	{"fewer claims", false, func(s *credential.Schema) { s.Claims = s.Claims[:4] }},
	{"more claims", false, func(s *credential.Schema) {
		s.Claims = append(s.Claims, credential.ClaimType{Name: "more", Type: credential.String})
	}},
}

func TestSchemaIDIgnoresDisplayTextsOnly(t *testing.T) {
	original, err := titleSchema().ID()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[credential.Element]string{original: "original"}
	for _, m := range mutations {
		s := titleSchema()
		m.change(s)
		id, err := s.ID()
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if (id == original) != m.display {
			t.Errorf("%s: same id is %t, want %t", m.name, id == original, m.display)
		}
		if other, twice := seen[id]; twice && !m.display {
			t.Errorf("%s has the id of %s", m.name, other)
		}
		seen[id] = m.name
	}
}

func TestSchemaIDUnderManyMutations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := titleSchema()
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(mutations)-1), 1, 5, rapid.ID).Draw(t, "mutations") {
			if len(s.Claims) == 6 || mutations[i].display {
				mutations[i].change(s)
			}
		}
		if s.Validate() != nil {
			return
		}
		id, err := s.ID()
		if err != nil {
			t.Fatal(err)
		}
		// The id is that of the bytes that stay, and making it changes nothing.
		bare, err := credential.Canonical(s.WithoutDisplay())
		if err != nil || id != credential.F("schema", bare) {
			t.Fatalf("id %s is not that of %s, %v", id, bare, err)
		}
		for _, word := range []string{"display", "unit", "labels"} {
			if strings.Contains(string(bare), `"`+word+`"`) {
				t.Fatalf("%s contains %s", bare, word)
			}
		}
		if again, err := cloneSchema(t, s).ID(); err != nil || again != id {
			t.Fatalf("id changes on the wire: %s, %v", again, err)
		}
	})
}

func TestSchemaValidate(t *testing.T) {
	claims := func(n int) (out []credential.ClaimType) {
		for i := range n {
			out = append(out, credential.ClaimType{Name: fmt.Sprintf("c%d", i), Type: credential.String})
		}
		return out
	}
	change := func(i int, f func(*credential.ClaimType)) func(*credential.Schema) {
		return func(s *credential.Schema) { f(&s.Claims[i]) }
	}
	tests := []struct {
		name   string
		change func(*credential.Schema)
		names  string // what the error names; empty if the schema is fine
	}{
		{"as it is", func(*credential.Schema) {}, ""},
		{"16 claims", func(s *credential.Schema) { s.Claims = claims(16) }, ""},
		{"17 claims", func(s *credential.Schema) { s.Claims = claims(17) }, "17 claims"},
		{"no claims", func(s *credential.Schema) { s.Claims = nil }, "0 claims"},
		{"no type", func(s *credential.Schema) { s.Type = "" }, "type"},
		{"type with space", func(s *credential.Schema) { s.Type = "a b" }, "type"},
		{"type with line end", func(s *credential.Schema) { s.Type = "a\n" }, "type"},
		{"type not ASCII", func(s *credential.Schema) { s.Type = "é" }, "type"},
		{"long type", func(s *credential.Schema) { s.Type = strings.Repeat("a", 256) }, "type"},
		{"no register", func(s *credential.Schema) { s.EnrolmentRegister = "" }, "enrolment register"},
		{"odd subject register", func(s *credential.Schema) { s.SubjectRegister = "a b" }, "subject register"},
		{"two of a name", change(1, func(c *credential.ClaimType) { c.Name = "parcel" }), `"parcel"`},
		{"upper case", change(1, func(c *credential.ClaimType) { c.Name = "Area" }), `"Area"`},
		{"digit first", change(1, func(c *credential.ClaimType) { c.Name = "1a" }), `"1a"`},
		{"no name", change(1, func(c *credential.ClaimType) { c.Name = "" }), `claim ""`},
		{"unknown type", change(1, func(c *credential.ClaimType) { c.Type = "float" }), `"area"`},
		{"negative scale", change(1, func(c *credential.ClaimType) { c.Scale = -1 }), `"area"`},
		{"large scale", change(1, func(c *credential.ClaimType) { c.Scale = 10 }), `"area"`},
		{"scale of text", change(0, func(c *credential.ClaimType) { c.Scale = 1 }), `"parcel"`},
		{"enum without values", change(3, func(c *credential.ClaimType) { c.Values = nil }), `"right"`},
		{"values of text", change(0, func(c *credential.ClaimType) { c.Values = []string{"a"} }), `"parcel"`},
		{"value twice", change(3, func(c *credential.ClaimType) { c.Values = []string{"a", "b", "a"} }), `value "a"`},
		{"empty value", change(3, func(c *credential.ClaimType) { c.Values = []string{""} }), `value ""`},
		{"value not NFC", change(3, func(c *credential.ClaimType) { c.Values = []string{"e\u0301"} }), `"right"`},
	}
	for _, test := range tests {
		s := titleSchema()
		test.change(s)
		err := s.Validate()
		if (err == nil) != (test.names == "") || err != nil && !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: error %v, want one that names %s", test.name, err, test.names)
		}
		if _, idErr := s.ID(); (idErr == nil) != (err == nil) {
			t.Errorf("%s: id of an invalid schema, %v", test.name, idErr)
		}
	}
}

func TestSchemaEncode(t *testing.T) {
	good := func() credential.Claims {
		return credential.Claims{"parcel": "91216-A-12", "area": "512.00", "right": "owner", "disputed": false}
	}
	slots, err := titleSchema().Encode(good())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range slots {
		if present := i == 0 || i == 1 || i == 3 || i == 4; present == e.IsZero() {
			t.Errorf("slot %d is %s", i, e.Hex())
		}
	}
	tests := []struct {
		name   string
		change func(credential.Claims)
		claim  string
	}{
		{"missing", func(c credential.Claims) { delete(c, "area") }, "area"},
		{"null", func(c credential.Claims) { c["area"] = nil }, "area"},
		{"JSON number", func(c credential.Claims) { c["area"] = 512.0 }, "area"},
		{"without scale", func(c credential.Claims) { c["area"] = "512" }, "area"},
		{"unknown", func(c credential.Claims) { c["height"] = "1" }, "height"},
		{"foreign value", func(c credential.Claims) { c["right"] = "thief" }, "right"},
		{"text for boolean", func(c credential.Claims) { c["disputed"] = "no" }, "disputed"},
		{"no date", func(c credential.Claims) { c["since"] = "yesterday" }, "since"},
		{"empty", func(c credential.Claims) { c["parcel"] = "" }, "parcel"},
		{"null for absent", func(c credential.Claims) { c["since"] = nil }, "since"},
	}
	for _, test := range tests {
		claims := good()
		test.change(claims)
		if _, err := titleSchema().Encode(claims); err == nil || !strings.Contains(err.Error(), `claim "`+test.claim+`"`) {
			t.Errorf("%s: error %v does not name the claim %s", test.name, err, test.claim)
		}
	}
	wide := titleSchema()
	for i := range 20 {
		wide.Claims = append(wide.Claims, credential.ClaimType{Name: fmt.Sprintf("c%d", i), Type: credential.String, Optional: true})
	}
	if _, err := wide.Encode(good()); err == nil {
		t.Error("more claims than slots are encoded")
	}
}

func TestSchemaRegister(t *testing.T) {
	s := titleSchema()
	if got := s.Register("did:web:land.example"); got != "did:web:land.example" {
		t.Error(got)
	}
	s.EnrolmentRegister = "people"
	if got := s.Register("did:web:land.example"); got != "people" {
		t.Error(got)
	}
}

func TestTexts(t *testing.T) {
	both, english, chinese := credential.Text{English: "e", Chinese: "中"}, credential.Text{English: "e"}, credential.Text{Chinese: "中"}
	for _, test := range []struct {
		text           credential.Text
		language, want string
	}{
		{both, "en", "e"}, {both, "zh-CN", "中"}, {both, "fr", "e"}, {both, "", "e"},
		{english, "zh-CN", "e"}, {chinese, "en", "中"}, {credential.Text{}, "en", ""},
	} {
		if got := test.text.In(test.language); got != test.want {
			t.Errorf("%+v in %q is %q", test.text, test.language, got)
		}
	}
	empty := credential.ClaimType{Name: "area", Display: &credential.Text{}, Labels: map[string]credential.Text{"a": {}}}
	if empty.Title("en") != "area" || empty.Label("a", "en") != "a" || empty.Label("b", "en") != "b" {
		t.Error("a missing text is shown as nothing")
	}
}

func TestValidateLine(t *testing.T) {
	for _, good := range []string{"", "Plain text, 中文, عربي", "emoji 👩‍🌾"} {
		if err := credential.ValidateLine(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"a\nb", "a\rb", "a\x00", "a\u0085", "a\u2028b", "a\u202eb", "\u2066a", "\u200fa", "\x1b[31m"} {
		if credential.ValidateLine(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzSchema(f *testing.F) {
	text, err := json.Marshal(titleSchema())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, long := range fuzztest.Long(text) {
		f.Add(long)
	}
	f.Add([]byte(`{"type":"a","claims":[{"name":"a","type":"enum","values":["b"]}],"enrolment_register":"issuer"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s credential.Schema
		if credential.ParseStrict(text, &s) != nil {
			return // FuzzParseStrict looks at these
		}
		if err := s.Validate(); err != nil {
			fuzztest.Refused(t, err)
			return
		}
		id, err := s.ID()
		if err != nil {
			t.Fatalf("valid, but: %v", err)
		}
		if again, err := cloneSchema(t, &s).ID(); err != nil || again != id {
			t.Fatalf("%s: id changes on the wire, %v", text, err)
		}
	})
}

func ExampleSchema_Encode() {
	s := credential.Schema{
		Type:              "urn:bulla:schema:residence:1",
		Claims:            []credential.ClaimType{{Name: "district", Type: credential.String}, {Name: "since", Type: credential.Date}},
		EnrolmentRegister: "people",
	}
	_, err := s.Encode(credential.Claims{"district": "110101", "since": "2020-02-30"})
	fmt.Println(err)
	// Output: claim "since": "2020-02-30" is not a date like 2024-02-29
}
