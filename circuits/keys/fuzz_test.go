package keys_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// The points of a proving key are trusted with its digest: no other bytes reach what reads them.
func FuzzParseProvingKey(f *testing.F) {
	circuit, err := circuits.Named(circuits.Enrolment)
	if err != nil {
		f.Fatal(err)
	}
	vk := kept(f)
	pinned := credential.DigestOf(vk) // a verifying key, pinned by mistake: the right digest, the wrong kind
	f.Add(vk)
	f.Add(vk[:header])
	f.Add(append([]byte("bullakey\x01\x02"), circuit.Digest[:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bounded(t, 64<<10, func() { _, err = keys.ParseProvingKey(data, circuit, pinned) })
		if err == nil {
			t.Fatal("a proving key was read that nobody made")
		}
		if fuzztest.Refused(t, err); errors.Is(err, keys.ErrWrongKey) == bytes.Equal(data, vk) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}
