package credential_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
)

func TestCanonicalJSON(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"order and space", " { \"b\" : [ 1 , true ] ,\t\"a\" : null }\n", `{"a":null,"b":[1,true]}`},
		{"keys in UTF-16 order", `{"\uff5e":1,"\ud83d\ude02":2,"1":3,"":4}`, "{\"\":4,\"1\":3,\"\U0001F602\":2,\"\uff5e\":1}"},
		{"escapes", `"\u0041\/\u003c\u2028\u000a\u001f\u007f\""`, "\"A/<\u2028\\n\\u001f\u007f\\\"\""},
		{"surrogate pair", `"\ud83d\ude02"`, `"😂"`},
		{"numbers", `[1.0,1e2,-0,-0.0,0.10,1E-7,9007199254740991,-9007199254740991]`, `[1,100,0,0,0.1,1e-7,9007199254740991,-9007199254740991]`},
		{"scalar", ` "x" `, `"x"`},
	}
	for _, test := range tests {
		got, err := credential.CanonicalJSON([]byte(test.in))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// refusedJSON are documents that two readers would read differently, or whose canonical form would lose something.
var refusedJSON = []struct {
	name, text string
	err        error // if one is promised
}{
	{"nothing", ``, nil},
	{"space only", ` `, nil},
	{"duplicate key", `{"a":1,"a":1}`, nil},
	{"duplicate key, escaped", `{"a":1,"\u0061":2}`, nil},
	{"duplicate key, deep", `[{"x":{"é":1,"\u00e9":1}}]`, nil},
	{"lone high surrogate", `"\ud83d"`, nil},
	{"lone low surrogate", `"\ude02"`, nil},
	{"surrogates reversed", `"\ude02\ud83d"`, nil},
	{"surrogate and letter", `"\ud83d\u0041"`, nil},
	{"lone surrogate in a key", `{"\ud83d":1}`, nil},
	{"invalid UTF-8", "\"\xff\"", credential.ErrNotCanonical},
	{"surrogate as UTF-8", "\"\xed\xa0\xbd\"", credential.ErrNotCanonical},
	{"overlong UTF-8", "\"\xc0\xaf\"", credential.ErrNotCanonical},
	{"U+FFFD", `"\ufffd"`, credential.ErrNotCanonical},
	{"not NFC", "\"e\u0301\"", credential.ErrNotNFC},
	{"not NFC, escaped", `"e\u0301"`, credential.ErrNotNFC},
	{"not NFC in a key", `{"e\u0301":1}`, credential.ErrNotNFC},
	{"not NFC, singleton", `"\u212b"`, credential.ErrNotNFC}, // the sign of Ångström is spelled Å
	{"2^53", `9007199254740992`, credential.ErrNotCanonical},
	{"2^53+1", `{"n":9007199254740993}`, credential.ErrNotCanonical},
	{"-2^53-1", `-9007199254740993`, credential.ErrNotCanonical},
	{"1e300", `1e300`, credential.ErrNotCanonical},
	{"1e400", `1e400`, nil},
	{"NaN", `NaN`, nil},
	{"leading zero", `01`, nil},
	{"plus", `+1`, nil},
	{"hexadecimal", `0x10`, nil},
	{"bare point", `1.`, nil},
	{"trailing data", `{} {}`, nil},
	{"trailing brace", `{}}`, nil},
	{"trailing comma", `[1,]`, nil},
	{"trailing comma in object", `{"a":1,}`, nil},
	{"control character", "\"\n\"", nil},
	{"single quotes", `'a'`, nil},
	{"comment", `1 // one`, nil},
	{"byte order mark", "\ufeff{}", nil},
	{"open", `[`, nil},
}

func TestRefusedJSON(t *testing.T) {
	for _, test := range refusedJSON {
		out, err := credential.CanonicalJSON([]byte(test.text))
		if err == nil {
			t.Errorf("%s: %q becomes %s", test.name, test.text, out)
		}
		if test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.err)
		}
		var v any
		if err := credential.ParseCanonical([]byte(test.text), &v); err == nil {
			t.Errorf("%s: %q is parsed", test.name, test.text)
		}
		if err := credential.ParseStrict([]byte(test.text), &v); err == nil {
			t.Errorf("%s: %q is parsed strictly", test.name, test.text)
		}
	}
}

// Hostile sizes must cost an error, not the process.
func TestJSONBounds(t *testing.T) {
	for name, text := range map[string]string{
		"depth":          strings.Repeat("[", 1<<20),
		"closed depth":   strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
		"depth of keys":  strings.Repeat(`{"a":`, 1<<18),
		"size":           `"` + strings.Repeat("a", credential.MaxDocument) + `"`,
		"long broken":    `"` + strings.Repeat("e\u0301", 1<<19) + `"`,
		"unknown member": `{"` + strings.Repeat("a", 1<<20) + `":1}`,
	} {
		var v struct{ A any }
		err := credential.ParseStrict([]byte(text), &v)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

type document struct {
	Version int               `json:"version"`
	Name    string            `json:"name,omitempty"`
	List    []int             `json:"list"`
	Map     map[string]nested `json:"map,omitempty"`
	Nested  *nested           `json:"nested,omitempty"`
	Any     any               `json:"any,omitempty"`
	embedded
}

type nested struct {
	Value credential.Element `json:"value"`
	Items []nested           `json:"items,omitempty"`
}

type embedded struct {
	Inner string `json:"inner,omitempty"`
}

func TestParseCanonical(t *testing.T) {
	zero := credential.Element{}.String()
	good := []string{
		`{"list":[],"version":1}`,
		`{"any":{"Version":1},"inner":"x","list":[1,2],"map":{"K":{"value":"` + zero + `"}},"name":"é","version":-3}`,
	}
	for _, text := range good {
		var d document
		if err := credential.ParseCanonical([]byte(text), &d); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	bad := []struct{ name, text string }{
		{"space", `{"list":[], "version":1}`},
		{"line end", `{"list":[],"version":1}` + "\n"},
		{"order", `{"version":1,"list":[]}`},
		{"unknown member", `{"list":[],"more":1,"version":1}`},
		{"case variant", `{"List":[],"version":1}`},
		{"case variant beside it", `{"Version":2,"list":[],"version":1}`},
		{"special case of k", `{"list":[],"map":{"a":{"value":"` + zero + "\"}},\"ver\u017fion\":1}"}, // ſ folds to s
		{"embedded, case variant", `{"Inner":"x","list":[],"version":1}`},
		{"case variant, deep", `{"list":[],"map":{"a":{"Value":"` + zero + `"}},"version":1}`},
		{"default spelled out", `{"list":[],"name":"","version":1}`},
		{"missing member", `{"version":1}`},
		{"null for a list", `{"list":null,"version":1}`},
		{"null for a number", `{"list":[],"version":null}`},
		{"null for an object", `{"list":[],"nested":null,"version":1}`},
		{"fraction", `{"list":[],"version":1.0}`},
		{"exponent", `{"list":[],"version":1e0}`},
		{"-0", `{"list":[],"version":-0}`},
		{"text for a number", `{"list":[],"version":"1"}`},
		{"escape", `{"list":[],"name":"\u0061","version":1}`},
		{"trailing data", `{"list":[],"version":1}{}`},
		{"array", `[]`},
		{"null", `null`},
	}
	for _, test := range bad {
		var d document
		if err := credential.ParseCanonical([]byte(test.text), &d); err == nil {
			t.Errorf("%s: %s is accepted as %+v", test.name, test.text, d)
		}
	}
}

// A free form may be spaced and ordered as people like, but has one reading.
func TestParseStrict(t *testing.T) {
	var d document
	if err := credential.ParseStrict([]byte(" { \"version\" : 1 ,\n \"list\" : [ 1 ], \"nested\": null } "), &d); err != nil || d.Version != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	for name, text := range map[string]string{
		"case variant":       `{"version":1,"Version":2}`,
		"only case variant":  `{"VERSION":1}`,
		"folded":             "{\"ver\u017fion\":1}",
		"deep case variant":  `{"map":{"a":{"items":[{"VALUE":1}]}}}`,
		"null for a list":    `{"list":null}`,
		"null for a map":     `{"map":null}`,
		"null in a document": `{"map":{"a":{"items":null}}}`,
		"unknown":            `{"x":1}`,
		"two values":         `{"version":1}{"version":2}`,
	} {
		if err := credential.ParseStrict([]byte(text), new(document)); err == nil {
			t.Errorf("%s: %s is accepted", name, text)
		}
	}
}

// json.Marshal replaces broken text without a word: two broken subject ids would become one.
func TestCanonicalRefusesBrokenText(t *testing.T) {
	for name, v := range map[string]any{
		"text":      "a\xff",
		"key":       map[string]int{"\xfe": 1},
		"not NFC":   []string{"e\u0301"},
		"integer":   uint64(1) << 53,
		"float":     1e300,
		"no JSON":   make(chan int),
		"NFC key":   map[string]int{"e\u0301": 1},
		"raw twice": json.RawMessage(`{"a":1,"a":2}`),
	} {
		if out, err := credential.Canonical(v); err == nil {
			t.Errorf("%s becomes %s", name, out)
		}
	}
	out, err := credential.Canonical(map[string]any{"html": "<&>", "line": "\u2028"})
	if want := "{\"html\":\"<&>\",\"line\":\"\u2028\"}"; err != nil || string(out) != want {
		t.Errorf("%s, %v, want %s", out, err, want)
	}
}

// jsonValue draws values of every JSON type.
func jsonValue() *rapid.Generator[any] {
	text := rapid.SampledFrom([]string{"", "a", "A", "é", "中文", "😂", "\u2028", "\"", "\\", "\n", "<", "\uff5e", "key"})
	number := rapid.SampledFrom([]float64{0, 1, -1, 0.1, 1e-7, 123456789, 9007199254740991, 1.5e-300, 4.35})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		scalars := []*rapid.Generator[any]{text.AsAny(), number.AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil)}
		if depth == 0 {
			return rapid.OneOf(scalars...)
		}
		list := rapid.SliceOfN(value(depth-1), 0, 4).AsAny()
		object := rapid.MapOfN(text, value(depth-1), 0, 5).AsAny()
		return rapid.OneOf(append(scalars, list, object)...)
	}
	return value(3)
}

func TestCanonicalIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := jsonValue().Draw(t, "value")
		loose, err := json.MarshalIndent(value, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		once, err := credential.CanonicalJSON(loose)
		if err != nil {
			t.Fatalf("%s: %v", loose, err)
		}
		direct, err := credential.Canonical(value)
		if err != nil || !bytes.Equal(once, direct) {
			t.Fatalf("%s and %s, %v", once, direct, err)
		}
		var parsed any
		if err := credential.ParseCanonical(once, &parsed); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
	})
}

// The quick way writes what the general one writes, wherever it writes at all. Each text is tried as it is and with a byte
// changed.
func TestQuickIsCanonical(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		text := mustMarshal(t, jsonValue().Draw(t, "value"))
		if rapid.Bool().Draw(t, "swapped") {
			text = bytes.ReplaceAll(text, []byte(`"a`), []byte(`"z`)) // so that members are in no order
		}
		if at := rapid.IntRange(-1, len(text)-1).Draw(t, "changed"); at >= 0 {
			text[at] = rapid.Byte().Draw(t, "byte")
		}
		quick, _, ok := credential.RewritePlain(text)
		if !ok {
			return
		}
		written++
		if slow, err := credential.SlowCanonicalJSON(text); err != nil || !bytes.Equal(slow, quick) {
			t.Fatalf("%q becomes %q, but is %q, %v", text, quick, slow, err)
		}
	})
	if written == 0 {
		t.Error("the quick way is never taken")
	}
}

func mustMarshal(t *rapid.T, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What the quick way takes on, and what it leaves to the general one.
func TestQuickEdges(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"b":[],"c":{}}`: `{"a":1,"b":[],"c":{}}`, `{"b":{"d":1,"c":[2,{"f":3,"e":4}]},"a":2}`: `{"a":2,"b":{"c":[2,{"e":4,"f":3}],"d":1}}`,
		`{"b":1,"a":2,"c":null}`: `{"a":2,"b":1,"c":null}`, `[0]`: `[0]`, `[-1]`: `[-1]`, `[999999999999999]`: `[999999999999999]`, `"é"`: `"é"`, `[[]]`: `[[]]`,
		`{"a":1,"a":2}`: "", `{"b":1,"a":1,"b":2}`: "", `[1,]`: "", `[01]`: "", `[-0]`: "", `[1.0]`: "", `[9999999999999999]`: "",
		"\"e\u0301\"": "", "\"\ufffd\"": "", `"\u00e9"`: "", ` 1`: "", `1 `: "", ``: "", `nul`: "", `{"é":1}`: "", `"\n"`: "", "\"\xff\"": "", `"`: "", `{`: "", `{"a"`: "",
		strings.Repeat("[", 100) + strings.Repeat("]", 100): "",
	} {
		if got, _, ok := credential.RewritePlain([]byte(text)); ok != (want != "") || ok && string(got) != want {
			t.Errorf("%q: %q, %t, want %q", text, got, ok, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte(`{"inner":"x","any":[-7,"é",{"b":null,"a":true}],"list":[],"version":0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		quick, _, ok := credential.RewritePlain(text)
		if !ok {
			return
		}
		if slow, err := credential.SlowCanonicalJSON(text); err != nil || !bytes.Equal(slow, quick) {
			t.Fatalf("%q becomes %q, but is %q, %v", text, quick, slow, err)
		}
	})
}

func BenchmarkParseCanonical(b *testing.B) {
	for name, name2 := range map[string]string{"quick": "quick", "general": `g\u0065neral`} {
		text := []byte(`{"list":[1,2,3],"map":{"a":{"value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"name":"` + name2 + `","version":1}`)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var d document
				_ = credential.ParseCanonical(text, &d) // the general one finds a second spelling at last
			}
		})
	}
}

func FuzzParseCanonical(f *testing.F) {
	for _, test := range refusedJSON {
		f.Add([]byte(test.text))
	}
	f.Add([]byte(`{"list":[1],"map":{"a":{"value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"version":1}`))
	f.Add([]byte(`{"any":[1e-7,"é",{"b":null}],"inner":"x","list":[],"version":0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, target := range []any{new(any), new(document), new([]nested), new(map[string]credential.Digest)} {
			if err := credential.ParseCanonical(text, target); err != nil {
				continue
			}
			again, err := credential.Canonical(target)
			if err != nil || !bytes.Equal(again, text) {
				t.Fatalf("%q re-encodes to %q, %v", text, again, err)
			}
		}
		if out, err := credential.CanonicalJSON(text); err == nil {
			again, err := credential.CanonicalJSON(out)
			if err != nil || !bytes.Equal(out, again) {
				t.Fatalf("canonical %q becomes %q, %v", out, again, err)
			}
		}
	})
}

func ExampleCanonicalJSON() {
	text, err := credential.CanonicalJSON([]byte(`{ "to": "\u00e9", "from": [ 1.0, 2e1 ] }`))
	fmt.Println(string(text), err)
	// Output: {"from":[1,20],"to":"é"} <nil>
}

// Nesting has a bound, brackets in strings do not count, and what is too deep is refused before anything follows it.
func TestDepthIsBounded(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat("[", depth) + `"[[{\"{"` + strings.Repeat("]", depth) }
	for depth, good := range map[int]bool{1: true, credential.MaxDepth: true, credential.MaxDepth + 1: false, 30_000: false} {
		if _, err := credential.CanonicalJSON([]byte(nested(depth))); (err == nil) != good {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	long := `{"a":"` + strings.Repeat("[{", 1000) + `","b":[` + strings.Repeat("[],", 1000) + `{}]}`
	if _, err := credential.CanonicalJSON([]byte(long)); err != nil {
		t.Error(err)
	}
	var target map[string]any
	for _, text := range []string{strings.Repeat("[", 60_000), strings.Repeat(`{"a":`, 12_000)} {
		if err := credential.ParseStrict([]byte(text), &target); err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("%.10s: %v", text, err)
		}
	}
}
