package policy

import (
	"reflect"
	"strings"
	"testing"
)

// Every phrase on companions exists in every language, with as many places to fill.
func TestCompanionPhrasesAreComplete(t *testing.T) {
	english := reflect.ValueOf(companionPhrases["en"])
	for _, language := range Languages() {
		phrase := reflect.ValueOf(companionPhrases[language])
		for i := range phrase.NumField() {
			text := phrase.Field(i).String()
			if text == "" || strings.Count(text, "%") != strings.Count(english.Field(i).String(), "%") {
				t.Errorf("%s, phrase %s: %q", language, phrase.Type().Field(i).Name, text)
			}
		}
	}
}
