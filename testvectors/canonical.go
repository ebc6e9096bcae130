package testvectors

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/bulla-id/bulla/credential"
)

// canonicalVector is a JSON text and its RFC 8785 form.
type canonicalVector struct {
	Name   string `json:"name"`
	In     string `json:"in"`
	InHex  string `json:"in_hex,omitempty"` // instead of in, for bytes that are no text
	Expect string `json:"expect"`
	Out    string `json:"out,omitempty"`
}

func canonicalVectors() (any, error) {
	const bad = "json"
	var out []canonicalVector
	for _, v := range []struct{ name, in, layer string }{
		{"order and space", " { \"b\" : [ 1 , true ] ,\t\"a\" : null }\n", ""},
		{"keys in UTF-16 order", `{"\uff5e":1,"\ud83d\ude02":2,"1":3,"":4,"aa":5,"a":6}`, ""},
		{"escapes", `"\u0041\/\u003c\u2028\u000a\u001f\u007f\"\\"`, ""},
		{"surrogate pair", `"\ud83d\ude02"`, ""},
		{"numbers", `[1.0,1e2,0.10,1E-7,123e-5,9007199254740991,-9007199254740991,1.5e-300]`, ""},
		{"zeros", `[0,-0,0.0,0e5]`, ""},
		{"nested", `{"a":{"c":[{},[]],"b":""}}`, ""},
		{"literals", `[true,false,null]`, ""},
		{"text", `"é 中"`, ""},
		{"duplicate key", `{"a":1,"a":1}`, bad},
		{"duplicate key, escaped", `{"a":1,"\u0061":2}`, bad},
		{"duplicate key, deep", `[{"x":{"b":1,"b":2}}]`, bad},
		{"lone high surrogate", `"\ud83d"`, bad},
		{"lone low surrogate", `"\ude02"`, bad},
		{"surrogates reversed", `"\ude02\ud83d"`, bad},
		{"lone surrogate in a key", `{"\ud83d":1}`, bad},
		{"U+FFFD", `"\ufffd"`, bad},
		{"not NFC", "\"e\u0301\"", bad},
		{"not NFC, escaped", `"e\u0301"`, bad},
		{"not NFC in a key", `{"e\u0301":1}`, bad},
		{"2^53", `9007199254740992`, bad},
		{"2^53+1", `[9007199254740993]`, bad},
		{"-2^53", `-9007199254740992`, bad},
		{"1e400", `1e400`, bad},
		{"leading zero", `01`, bad},
		{"plus", `+1`, bad},
		{"bare point", `1.`, bad},
		{"NaN", `NaN`, bad},
		{"trailing data", `{} {}`, bad},
		{"trailing comma", `[1,]`, bad},
		{"raw control character", "\"\n\"", bad},
		{"unknown escape", `"\x41"`, bad},
		{"comment", `1 // one`, bad},
		{"byte order mark", "\ufeff{}", bad},
		{"nothing", ``, bad},
		{"invalid UTF-8", "\"\xff\"", bad},
		{"overlong UTF-8", "\"\xc0\xaf\"", bad},
		{"surrogate as UTF-8", "\"\xed\xa0\xbd\"", bad},
	} {
		text, err := credential.CanonicalJSON([]byte(v.in))
		word, wrong := expect(v.name, err, v.layer)
		if wrong != nil {
			return nil, wrong
		}
		vector := canonicalVector{Name: v.name, In: v.in, Expect: word, Out: string(text)}
		if !utf8.ValidString(v.in) {
			vector.In, vector.InHex = "", hex.EncodeToString([]byte(v.in))
		}
		out = append(out, vector)
	}
	return out, nil
}
