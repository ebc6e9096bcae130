package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// oneRow is a store in which every key has the same value.
type oneRow []byte

func (r oneRow) Get(string) ([]byte, error) { return bytes.Clone(r), nil }
func (oneRow) Commit(Batch) error           { return errors.New("nothing is written here") }
func (oneRow) Each(string, func(key string, value []byte) error) error {
	return nil
}
func (oneRow) EachFrom(string, string, func(key string, value []byte) error) error { return nil }

// A session comes back from the store as it was written, or not at all.
func FuzzSession(f *testing.F) {
	good, err := credential.Canonical(session{Version: 1, ID: "i", RequestID: "r", Client: "c", Policy: "p", Object: "o", ExpiresAt: 5, PurgeAt: 6, State: Fetched, Attempts: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte(`"attempts":1`), []byte(`"attempts":1.0`), 1))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		v := &Verifier{cfg: Config{Store: oneRow(row)}}
		s, err := v.read("i")
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := credential.Canonical(s.session); err != nil || !bytes.Equal(again, row) || !bytes.Equal(s.row, row) {
			t.Errorf("%s is read as %s, %v", row, again, err)
		}
	})
}

// A key of the purge list is the one that its time and id make, or none.
func FuzzDue(f *testing.F) {
	f.Add(dueKey(5, "id"))
	f.Add(dueKey(-1, "id"))
	f.Add(duePrefix + "5/id")
	f.Add(duePrefix + "+0000000000000005/id")
	f.Add(duePrefix)
	f.Fuzz(func(t *testing.T, key string) {
		at, id, ok := parseDue(key)
		if ok && strings.HasPrefix(key, duePrefix) && dueKey(at, id) != key {
			t.Errorf("%q is a second key for %s", key, fmt.Sprint(at, id))
		}
	})
}
