package setup

import (
	"bytes"
	"os"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// An index is canonical and of development keys, or refused.
func FuzzReadIndex(f *testing.F) {
	good, err := credential.Canonical(indexFile{indexVersion, true, credential.DigestOf([]byte("c")), credential.DigestOf([]byte("v")), credential.DigestOf([]byte("p"))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte("true"), []byte("false"), 1))
	f.Add(append(bytes.Clone(good), '\n'))
	f.Add(append(bytes.Clone(good), bytes.Repeat([]byte{' '}, 8192)...))
	f.Add([]byte(`{}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(indexPath(dir, circuits.Enrolment), data, 0o600); err != nil {
			t.Fatal(err)
		}
		index, err := readIndex(dir, circuits.Enrolment)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := credential.Canonical(index); err != nil || !bytes.Equal(again, data) || !index.Development {
			t.Errorf("%s is read as %s, %v", data, again, err)
		}
	})
}
