package counter

import (
	"bytes"
	"os"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// What is read as a counter's copy of the chain is canonical.
func FuzzParseCopy(f *testing.F) {
	excerpt, err := os.ReadFile("../../ledger/checkpoint/testdata/excerpt.json")
	if err != nil {
		f.Fatal(err)
	}
	good := append(append([]byte(`{"chain":`), excerpt...), `,"policies":[],"version":1}`...)
	if _, err := ParseCopy(good); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"version":1}`), []byte(`"sets":[{"kind":"values","members":["a"],"name":{"en":"n"},"version":1}],"version":2}`), 1))
	f.Add(bytes.Replace(good, []byte(`"policies":[]`), []byte(`"policies":[null]`), 1))
	f.Add([]byte(`{"chain":null,"policies":[],"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCopy(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := credential.Canonical(c); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("a second spelling was read: %v", err)
		}
	})
}
