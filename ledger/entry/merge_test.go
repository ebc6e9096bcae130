package entry_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Signatures made apart, in any order, give the bytes that signing together gives.
func TestMergeIsSigningTogether(t *testing.T) {
	one, two := seeded(t, "one"), seeded(t, "two")
	want := sample(t, one, two).Bytes()
	for _, parts := range [][]*entry.Entry{
		{sample(t, one), sample(t, two)}, {sample(t, two), sample(t, one)}, {sample(t, two), sample(t, one, two), sample(t, one)},
	} {
		got, err := entry.Merge(parts...)
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("merged %v, %v", got, err)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	sign := func(key string, sequence, leaf uint64) *entry.Entry {
		e, err := entry.Sign(entry.Draft{
			Genesis: credential.DigestOf([]byte("chain")), Signer: agency, Sequence: sequence, Payload: entry.CredentialsRevoked{Leaves: []uint64{leaf}},
		}, seeded(t, key))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for want, parts := range map[string][]*entry.Entry{
		"there are none":         nil,
		"another payload":        {sign("one", 1, 1), sign("two", 1, 2)},
		"disagree on the header": {sign("one", 1, 1), sign("two", 2, 1)},
	} {
		if _, err := entry.Merge(parts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
