// Package fuzztest has what our fuzz targets ask of every parser: that a refusal says something, and not too much, and
// that a hostile input costs no more memory than its size allows. The targets and their corpora are listed in
// doc/fuzzing.md, which a test here holds to the tree.
package fuzztest

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// MaxError bounds the text of a refusal, in bytes: a stranger must not be able to fill our logs with what they send.
const MaxError = 2048

// Refused fails unless err says what is wrong in text that is safe to log: short, valid UTF-8, no control characters but
// line breaks (of joined errors).
func Refused(t testing.TB, err error) {
	t.Helper()
	hidden := func(r rune) bool { return unicode.IsControl(r) && r != '\n' }
	switch text := err.Error(); {
	case strings.TrimSpace(text) == "":
		t.Errorf("refused with %T, which says nothing", err)
	case len(text) > MaxError:
		t.Errorf("refused with %d bytes of text, at most %d: %.200q…", len(text), MaxError, text)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		t.Errorf("refused with text that must not be logged: %q", text)
	}
}

// Bounded fails if f allocates more than limit bytes in all, freed or not. Nothing else should run meanwhile.
func Bounded(t testing.TB, limit int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(limit) {
		t.Errorf("%d bytes were allocated, at most %d", got, limit)
	}
}

var stringLiteral = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Long are copies of a JSON text, each with another one of its strings, names of members too, made as long as no refusal
// may be.
func Long(text []byte) [][]byte {
	long := []byte(`"` + strings.Repeat("x", MaxError+1) + `"`)
	var out [][]byte
	for _, at := range stringLiteral.FindAllIndex(text, -1) {
		out = append(out, slices.Concat(text[:at[0]], long, text[at[1]:]))
	}
	return out
}
