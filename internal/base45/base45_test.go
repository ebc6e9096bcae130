package base45

import (
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// TestBase45 has the examples of RFC 9285, sections 4.3 and 4.4, and what must be refused.
func TestBase45(t *testing.T) {
	for text, want := range map[string]string{"BB8": "AB", "%69 VD92EX0": "Hello!!", "UJCLQE7W581": "base-45", "QED8WEX0": "ietf!", "": ""} {
		if got, err := Decode(text); err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v, want %q", text, got, err, want)
		}
		if got := Encode([]byte(want)); got != text {
			t.Errorf("%q is written %q, want %q", want, got, text)
		}
	}
	for name, text := range map[string]string{
		"one character left over": "BB8B", "lower case": "bb8", "above 65535": "GGW", "way above": ":::", "above 255": "BB8V5",
		"padding": "BB8=", "two paddings": "BB8==", "not ASCII": "é8", "too long": strings.Repeat("BB8", MaxText/3+1),
	} {
		if _, err := Decode(text); err == nil {
			t.Errorf("%s is decoded", name)
		}
	}
}

func FuzzBase45(f *testing.F) {
	f.Add("%69 VD92EX0")
	f.Add("FGW")
	f.Fuzz(func(t *testing.T, text string) {
		data, err := Decode(text)
		if err != nil {
			fuzztest.Refused(t, err)
		} else if Encode(data) != text {
			t.Fatalf("%q and %q are one", text, Encode(data))
		}
	})
}
