package statuslist

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// What is inflated is written and read again as the same statuses, for a bounded cost.
func FuzzDecode(f *testing.F) {
	for _, d := range drafts {
		f.Add(d.bits, d.lst)
	}
	f.Add(8, deflate(f, make([]byte, MaxBytes)))
	f.Add(1, deflate(f, make([]byte, MaxBytes+1)))
	f.Add(1, deflate(f, bytes.Repeat([]byte{1, 2, 3, 5, 8}, 1000))[:40])
	f.Add(3, "eNrbuRgAAhcBXQ\n")
	f.Fuzz(func(t *testing.T, bits int, lst string) {
		var l *List
		var err error
		fuzztest.Bounded(t, 5*MaxBytes+4*len(lst), func() { l, err = decode(bits, lst) })
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrList) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if len(l.bytes) == 0 || len(l.bytes) > MaxBytes {
			t.Fatalf("%d bytes", len(l.bytes))
		}
		if _, err := l.At(uint64(l.Capacity())); !errors.Is(err, ErrIndex) {
			t.Errorf("there is a status behind the last: %v", err)
		}
		written, err := l.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decode(bits, written); err != nil || !bytes.Equal(again.bytes, l.bytes) {
			t.Errorf("%q is written %q and read as another list, %v", lst, written, err)
		}
	})
}

// A payload is refused, or has what a list needs, and is written and read again.
func FuzzParsePayload(f *testing.F) {
	good := []byte(`{"sub":"https://land.example/status/1","iat":1780315200,"exp":1780318800,"ttl":300,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"},"x":1}`)
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add([]byte(`{"sub":"a","SUB":"b","iat":1,"status_list":{}}`))
	f.Add([]byte(`{"sub":null,"iat":1,"status_list":null}`))
	f.Add([]byte(`{"sub":"a","sub":"b","iat":1,"status_list":{}}`))
	f.Add([]byte(strings.Repeat("[", 1000)))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePayload(text)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrList) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if p.Subject == "" || p.IssuedAt < 1 || p.TTL < 0 || p.ExpiresAt != 0 && p.ExpiresAt <= p.IssuedAt {
			t.Errorf("%s is read as %+v", text, p)
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parsePayload(written); err != nil || *again != *p {
			t.Errorf("%s is written %s, which is read as %+v, %v", text, written, again, err)
		}
	})
}
