package dcc

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// encodeBase45 is RFC 9285, for tests.
func encodeBase45(data []byte) string {
	var text strings.Builder
	for len(data) > 0 {
		value, digits, used := int(data[0]), 2, 1
		if len(data) > 1 {
			value, digits, used = value<<8|int(data[1]), 3, 2
		}
		for range digits {
			text.WriteByte(base45Alphabet[value%45])
			value /= 45
		}
		data = data[used:]
	}
	return text.String()
}

func deflate(data []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(data)
	w.Close()
	return out.Bytes()
}

// TestBase45 has the examples of RFC 9285, sections 4.3 and 4.4, and what must be refused.
func TestBase45(t *testing.T) {
	for text, want := range map[string]string{"BB8": "AB", "%69 VD92EX0": "Hello!!", "UJCLQE7W581": "base-45", "QED8WEX0": "ietf!", "": ""} {
		if got, err := decodeBase45(text); err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v, want %q", text, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"one character left over": "BB8B", "lower case": "bb8", "above 65535": "GGW", "way above": ":::", "above 255": "BB8V5",
		"padding": "BB8=", "two paddings": "BB8==", "not ASCII": "é8", "too long": strings.Repeat("BB8", maxText/3+1),
	} {
		if _, err := decodeBase45(text); err == nil {
			t.Errorf("%s is decoded", name)
		}
	}
}

func FuzzBase45(f *testing.F) {
	f.Add("%69 VD92EX0")
	f.Add("FGW")
	f.Fuzz(func(t *testing.T, text string) {
		data, err := decodeBase45(text)
		if err != nil {
			fuzztest.Refused(t, err)
		} else if encodeBase45(data) != text {
			t.Fatalf("%q and %q are one", text, encodeBase45(data))
		}
	})
}

func TestInflate(t *testing.T) {
	if got, err := inflate(deflate([]byte("message"))); err != nil || string(got) != "message" {
		t.Errorf("%q, error %v", got, err)
	}
	if got, err := inflate(deflate(make([]byte, maxMessage))); err != nil || len(got) != maxMessage {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	whole := deflate([]byte("message"))
	for name, data := range map[string][]byte{
		"a bomb":             deflate(make([]byte, 3<<20)),
		"one byte too many":  deflate(make([]byte, maxMessage+1)),
		"something after it": append(bytes.Clone(whole), 0),
		"cut short":          whole[:len(whole)-1],
		"a wrong checksum":   append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"nothing inside":     deflate(nil),
		"nothing":            nil,
		"not compressed":     []byte("message"),
	} {
		if _, err := inflate(data); err == nil {
			t.Errorf("%s is inflated", name)
		}
	}
}
