package testvectors

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/credential"
)

type c4Vector struct {
	In  [4]hexElement `json:"in"`
	Out hexElement    `json:"out"`
}

func c4Vectors() (any, error) {
	n := credential.ElementFromUint64
	inputs := [][4]credential.Element{
		{}, {n(1), n(2), n(3), n(4)}, {n(4), n(3), n(2), n(1)}, {n(1)}, {1: n(1)}, {2: n(1)}, {3: n(1)},
		{edge(1), edge(2), edge(3), edge(4)}, {edge(1), edge(1), edge(1), edge(1)}, {credential.TagHolder, n(1), n(2)},
	}
	for r := seeded(1); len(inputs) < 32; {
		inputs = append(inputs, [4]credential.Element{random(r), random(r), random(r), random(r)})
	}
	for range 8 { // wide ones, by hashing on
		last := inputs[len(inputs)-1]
		inputs = append(inputs, [4]credential.Element{credential.C4(last[0], last[1], last[2], last[3]), last[0], credential.C4(last[3], last[2], last[1], last[0]), last[1]})
	}
	var out []c4Vector
	for _, in := range inputs {
		out = append(out, c4Vector{[4]hexElement(hexElements(in[:])), hexElement(credential.C4(in[0], in[1], in[2], in[3]))})
	}
	return out, nil
}

type encodings struct {
	Elements    []elementVector `json:"elements"`
	F           []fVector       `json:"f"`
	Tags        []tagVector     `json:"tags"`
	Claims      []claimVector   `json:"claims"`
	Times       []timeVector    `json:"times"`
	Schemas     []schemaVector  `json:"schemas"`
	Scopes      []scopeVector   `json:"scopes"`
	Subjects    []subjectVector `json:"subject_keys"`
	Credentials []fullVector    `json:"credentials"`
}

func encodingVectors() (any, error) {
	var out encodings
	var err error
	if out.Elements, err = elementVectors(); err != nil {
		return nil, err
	}
	for _, v := range [][2]string{{"claim", ""}, {"claim", "a"}, {"issuer", "did:web:land.example"}, {"client", "did:web:bank.example"}, {"c", "laim"}, {strings.Repeat("t", 255), "\x00\xff"}, {"schema", strings.Repeat("x", 1000)}} {
		out.F = append(out.F, fVector{v[0], hex.EncodeToString([]byte(v[1])), hexElement(credential.F(v[0], []byte(v[1])))})
	}
	out.Tags = []tagVector{
		{"HOLDER", hexElement(credential.TagHolder)}, {"CRED", hexElement(credential.TagCred)}, {"LEAF", hexElement(credential.TagLeaf)},
		{"LINK", hexElement(credential.TagLink)}, {"ITEM", hexElement(credential.TagItem)}, {"PSEUDONYM", hexElement(credential.TagPseudonym)},
		{"SUBJECT", hexElement(credential.TagSubject)},
	}
	if out.Claims, err = claimVectors(); err != nil {
		return nil, err
	}
	for _, text := range []string{"1970-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, err
		}
		out.Times = append(out.Times, timeVector{text, fmt.Sprint(credential.EncodeTime(at)), credential.WholeDay(at)})
	}
	if out.Schemas, err = schemaVectors(); err != nil {
		return nil, err
	}
	genesis := credential.DigestOf([]byte("genesis"))
	out.Scopes = []scopeVector{
		{[]any{"did:web:land.example", "enrol"}, hexElement(credential.EnrolmentScope("did:web:land.example"))},
		{[]any{"verifier", "did:web:shop.example", "counter"}, hexElement(credential.VerifierScope("did:web:shop.example", "counter"))},
		{[]any{"shared", genesis, 17}, hexElement(credential.SharedScope(genesis, 17))},
	}
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, subject := range []string{"91216-A-12", "é", "a\",\"b"} {
		k, err := credential.SubjectKey(key, "parcels", subject)
		if err != nil {
			return nil, err
		}
		out.Subjects = append(out.Subjects, subjectVector{hex.EncodeToString(key), "parcels", subject, hexElement(k.Element)})
	}
	out.Credentials, err = fullVectors()
	return out, err
}

// elementVector is an element as bytes or as text.
type elementVector struct {
	Name   string      `json:"name"`
	Bytes  *string     `json:"bytes,omitempty"` // hexadecimal
	Text   *string     `json:"text,omitempty"`
	Expect string      `json:"expect"`
	Value  *hexElement `json:"element,omitempty"`
}

func elementVectors() ([]elementVector, error) {
	plus := func(i int64) []byte {
		return new(big.Int).Add(fr.Modulus(), big.NewInt(i)).FillBytes(make([]byte, 32))
	}
	one := make([]byte, 32)
	one[31] = 1
	var out []elementVector
	for _, v := range []struct {
		name, layer string
		bytes       []byte
	}{
		{"zero", "", make([]byte, 32)}, {"one", "", one}, {"the modulus less one", "", plus(-1)},
		{"the modulus", "encoding", plus(0)}, {"one plus the modulus", "encoding", plus(1)},
		{"all ones", "encoding", []byte(strings.Repeat("\xff", 32))},
		{"31 bytes", "encoding", one[1:]}, {"33 bytes", "encoding", append([]byte{0}, one...)}, {"no bytes", "encoding", nil},
	} {
		e, err := credential.ParseElement(v.bytes)
		word, bad := expect(v.name, err, v.layer)
		if bad != nil {
			return nil, bad
		}
		digits := hex.EncodeToString(v.bytes)
		out = append(out, elementVector{Name: v.name, Bytes: &digits, Expect: word, Value: hexOf(e, err)})
	}
	good := credential.ElementFromUint64(1).String()
	for _, v := range []struct{ name, layer, text string }{
		{"text of one", "", good}, {"text of the modulus less one", "", edge(1).String()}, {"padding", "encoding", good + "="},
		{"trailing bits", "encoding", good[:42] + "F"}, {"line break", "encoding", good[:42] + "\n"}, {"short", "encoding", good[1:]},
		{"standard alphabet", "encoding", strings.Repeat("+", 42) + "A"}, {"text at or above the modulus", "encoding", strings.Repeat("_", 42) + "8"},
	} {
		var e credential.Element
		err := e.UnmarshalText([]byte(v.text))
		word, bad := expect(v.name, err, v.layer)
		if bad != nil {
			return nil, bad
		}
		out = append(out, elementVector{Name: v.name, Text: &v.text, Expect: word, Value: hexOf(e, err)})
	}
	return out, nil
}

type fVector struct {
	Tag  string     `json:"tag"`
	Data string     `json:"data"` // hexadecimal
	Out  hexElement `json:"out"`
}

type tagVector struct {
	Name string     `json:"name"`
	Out  hexElement `json:"out"`
}

// claimVector is a claim's value under its type.
type claimVector struct {
	Name   string          `json:"name"`
	Type   credential.Type `json:"type"`
	Scale  int             `json:"scale,omitempty"`
	Values []string        `json:"values,omitempty"`
	Value  any             `json:"value"`
	Expect string          `json:"expect"`
	Out    *hexElement     `json:"element,omitempty"`
}

func claimVectors() ([]claimVector, error) {
	const bad = "encoding"
	vectors := []struct {
		name   string
		typ    credential.Type
		scale  int
		value  any
		layer  string
		values []string
	}{
		{"zero", credential.Integer, 0, "0", "", nil},
		{"negative", credential.Integer, 0, "-12", "", nil},
		{"greatest", credential.Integer, 0, "9223372036854775807", "", nil},
		{"least", credential.Integer, 0, "-9223372036854775807", "", nil},
		{"-2^63 would encode to 0", credential.Integer, 0, "-9223372036854775808", bad, nil},
		{"2^63", credential.Integer, 0, "9223372036854775808", bad, nil},
		{"JSON number", credential.Integer, 0, 12, bad, nil},
		{"minus zero", credential.Integer, 0, "-0", bad, nil},
		{"plus", credential.Integer, 0, "+1", bad, nil},
		{"leading zero", credential.Integer, 0, "01", bad, nil},
		{"exponent", credential.Integer, 0, "1e3", bad, nil},
		{"nothing", credential.Integer, 0, "", bad, nil},
		{"decimal", credential.Integer, 2, "12.50", "", nil},
		{"negative decimal", credential.Integer, 2, "-0.05", "", nil},
		{"greatest decimal", credential.Integer, 9, "9223372036.854775807", "", nil},
		{"digit missing", credential.Integer, 2, "12.5", bad, nil},
		{"digit too many", credential.Integer, 2, "12.500", bad, nil},
		{"no point", credential.Integer, 2, "12", bad, nil},
		{"no whole part", credential.Integer, 2, ".50", bad, nil},
		{"minus zero decimal", credential.Integer, 2, "-0.00", bad, nil},
		{"day 0", credential.Date, 0, "1970-01-01", "", nil},
		{"day before", credential.Date, 0, "1969-12-31", "", nil},
		{"leap day", credential.Date, 0, "2024-02-29", "", nil},
		{"leap day of a century", credential.Date, 0, "2000-02-29", "", nil},
		{"first day", credential.Date, 0, "0000-01-01", "", nil},
		{"last day", credential.Date, 0, "9999-12-31", "", nil},
		{"no leap year", credential.Date, 0, "2023-02-29", bad, nil},
		{"no leap century", credential.Date, 0, "1900-02-29", bad, nil},
		{"short month", credential.Date, 0, "2024-2-29", bad, nil},
		{"year 10000", credential.Date, 0, "10000-01-01", bad, nil},
		{"time for a date", credential.Date, 0, "2024-02-29T00:00:00Z", bad, nil},
		{"second 0", credential.DateTime, 0, "1970-01-01T00:00:00Z", "", nil},
		{"a time", credential.DateTime, 0, "2024-02-29T12:00:00Z", "", nil},
		{"last second", credential.DateTime, 0, "9999-12-31T23:59:59Z", "", nil},
		{"lower-case z", credential.DateTime, 0, "2024-02-29T12:00:00z", bad, nil},
		{"fraction", credential.DateTime, 0, "2024-02-29T12:00:00.0Z", bad, nil},
		{"offset", credential.DateTime, 0, "2024-02-29T12:00:00+00:00", bad, nil},
		{"leap second", credential.DateTime, 0, "2016-12-31T23:59:60Z", bad, nil},
		{"hour 24", credential.DateTime, 0, "2024-02-29T24:00:00Z", bad, nil},
		{"false", credential.Boolean, 0, false, "", nil},
		{"true", credential.Boolean, 0, true, "", nil},
		{"text for boolean", credential.Boolean, 0, "true", bad, nil},
		{"null", credential.Boolean, 0, nil, bad, nil},
		{"text", credential.String, 0, "caf\u00e9", "", nil},
		{"Chinese text", credential.String, 0, "东城区", "", nil},
		{"longest text", credential.String, 0, strings.Repeat("a", credential.MaxText), "", nil},
		{"text too long", credential.String, 0, strings.Repeat("a", credential.MaxText+1), bad, nil},
		{"empty text", credential.String, 0, "", bad, nil},
		{"text not in NFC", credential.String, 0, "cafe\u0301", bad, nil},
		{"U+FFFD", credential.String, 0, "a\ufffd", bad, nil},
		{"enum", credential.Enum, 0, "tenant", "", []string{"owner", "tenant"}},
		{"foreign value", credential.Enum, 0, "Tenant", bad, []string{"owner", "tenant"}},
	}
	var out []claimVector
	for _, v := range vectors {
		claim := credential.ClaimType{Name: "claim", Type: v.typ, Scale: v.scale, Values: v.values}
		e, err := claim.Encode(v.value)
		word, bad := expect(v.name, err, v.layer)
		if bad != nil {
			return nil, bad
		}
		out = append(out, claimVector{v.name, v.typ, v.scale, v.values, v.value, word, hexOf(e, err)})
	}
	return out, nil
}

type timeVector struct {
	Time     string `json:"time"`
	Encoded  string `json:"encoded"` // decimal, as it is beyond what JSON numbers hold
	WholeDay bool   `json:"whole_day"`
}

type scopeVector struct {
	JSON []any      `json:"json"`
	Out  hexElement `json:"out"`
}

type subjectVector struct {
	RegisterKey string     `json:"register_key"` // hexadecimal
	Register    string     `json:"register"`
	Subject     string     `json:"subject"`
	Out         hexElement `json:"out"`
}
