package testvectors_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/bulla-id/bulla/testvectors"
)

// What lies here must be what the code makes today: a format that changed must not go unnoticed.
func TestFilesAreWhatTheGeneratorWrites(t *testing.T) {
	for _, f := range testvectors.Files {
		want, err := os.ReadFile(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Make()
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./testvectors and commit the result with its reason", f.Name)
		}
		for i, b := range got {
			if b >= 0x80 || b == '\r' {
				t.Fatalf("%s has the byte %#x at %d", f.Name, b, i)
			}
		}
		if !json.Valid(got) {
			t.Errorf("%s is no JSON", f.Name)
		}
	}
}
