package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every phrase exists in every language, with the same places to fill.
func TestPhrasesAreComplete(t *testing.T) {
	if len(phrases) != len(Languages()) {
		t.Fatalf("%d languages have phrases, %v are offered", len(phrases), Languages())
	}
	verbs := func(s string) []string {
		var out []string
		for i, part := range strings.Split(s, "%") {
			if i > 0 && part != "" {
				out = append(out, part[:1])
			}
		}
		return out
	}
	check := func(language string, phrase, english reflect.Value) {
		for i := range phrase.NumField() {
			name, text := phrase.Type().Field(i).Name, phrase.Field(i).String()
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s has no phrase %s", language, name)
			}
			if !slices.Equal(verbs(text), verbs(english.Field(i).String())) {
				t.Errorf("%s, phrase %s: %q has other places than %q", language, name, text, english.Field(i).String())
			}
		}
	}
	for _, language := range Languages() {
		check(language, reflect.ValueOf(phrases[language]), reflect.ValueOf(phrases["en"]))
		check(language, reflect.ValueOf(narrowPhrases[language]), reflect.ValueOf(narrowPhrases["en"]))
	}
}
