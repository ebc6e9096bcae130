package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// The two lists of section 4.1 of the draft, with their lst of section 4.2.
var drafts = []struct {
	bits     int
	lst      string
	statuses []Status
}{
	{1, "eNrbuRgAAhcBXQ", []Status{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1}},
	{2, "eNo76fITAAPfAgc", []Status{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3}},
}

func TestDraft(t *testing.T) {
	for _, d := range drafts {
		l, err := decode(d.bits, d.lst)
		if err != nil || l.Capacity() != len(d.statuses) || l.Bits() != d.bits {
			t.Fatalf("%d bits: %+v, %v", d.bits, l, err)
		}
		written, err := New(d.bits, len(d.statuses))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range d.statuses {
			if got, err := l.At(uint64(i)); err != nil || got != want {
				t.Errorf("%d bits, index %d: %s, %v, want %s", d.bits, i, got, err, want)
			}
			if err := written.Set(uint64(i), want); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(written.bytes, l.bytes) {
			t.Errorf("%d bits: written as %x, want %x", d.bits, written.bytes, l.bytes)
		}
	}
}

// Random changes against a plain slice, for each size of statuses, and through lst and back.
func TestListAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{1, 2, 4, 8} {
		const capacity = 1000
		l, err := New(bits, capacity)
		if err != nil {
			t.Fatal(err)
		}
		model := make([]Status, capacity)
		for range 3 * capacity {
			i, s := r.IntN(capacity), Status(r.IntN(1<<bits))
			if model[i] = s; l.Set(uint64(i), s) != nil {
				t.Fatalf("%d bits: %s is refused", bits, s)
			}
		}
		lst, err := l.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(bits, lst)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range model {
			if got, err := again.At(uint64(i)); err != nil || got != want {
				t.Fatalf("%d bits, index %d: %s, %v, want %s", bits, i, got, err, want)
			}
		}
	}
}

// A copy does not change with its list.
func TestClone(t *testing.T) {
	l, err := New(2, 8)
	if err != nil {
		t.Fatal(err)
	}
	clone := l.Clone()
	if err := l.Set(3, Suspended); err != nil {
		t.Fatal(err)
	}
	if s, err := clone.At(3); err != nil || s != Valid || clone.Bits() != 2 || clone.Capacity() != 8 {
		t.Errorf("%s, %v", s, err)
	}
}

func TestListRefused(t *testing.T) {
	for _, c := range [][2]int{{0, 8}, {3, 8}, {16, 8}, {-1, 8}, {1, 0}, {1, -8}, {1, 7}, {2, 5}, {8, MaxBytes + 1}, {1, 8*MaxBytes + 8}} {
		if _, err := New(c[0], c[1]); !errors.Is(err, ErrList) {
			t.Errorf("%d statuses of %d bits: %v", c[1], c[0], err)
		}
	}
	l, err := New(2, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{8, 9, 1 << 63, 1<<64 - 1} {
		if _, err := l.At(index); !errors.Is(err, ErrIndex) {
			t.Errorf("index %d is read: %v", index, err)
		}
		if err := l.Set(index, Valid); !errors.Is(err, ErrIndex) {
			t.Errorf("index %d is written: %v", index, err)
		}
	}
	if l.Set(0, 4) == nil {
		t.Error("a status of three bits fits two")
	}
}

func deflate(t testing.TB, data []byte) string {
	t.Helper()
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(buf.Bytes())
}

func TestDecodeRefused(t *testing.T) {
	if l, err := decode(8, deflate(t, make([]byte, MaxBytes))); err != nil || l.Capacity() != MaxBytes {
		t.Errorf("the largest list: %v", err)
	}
	good := deflate(t, []byte{1, 2, 3})
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	wrongSum := bytes.Clone(raw)
	wrongSum[len(raw)-1] ^= 1
	for name, lst := range map[string]string{
		"a byte too many":     deflate(t, make([]byte, MaxBytes+1)),
		"a bomb":              deflate(t, make([]byte, 64<<20)),
		"nothing inside":      deflate(t, nil),
		"nothing":             "",
		"padding":             good + "=",
		"a line break":        good[:4] + "\n" + good[4:],
		"the other alphabet":  "++++" + good,
		"something after it":  text(append(bytes.Clone(raw), 0)),
		"twice":               text(append(bytes.Clone(raw), raw...)),
		"cut short":           text(raw[:len(raw)-1]),
		"a wrong checksum":    text(wrongSum),
		"not compressed":      text([]byte{1, 2, 3}),
		"raw deflate":         text(raw[2:]),
		"a preset dictionary": text([]byte{0x78, 0xbb, 0, 0, 0, 1, 3, 0, 0, 0, 0, 1}),
	} {
		if _, err := decode(1, lst); !errors.Is(err, ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode(3, good); !errors.Is(err, ErrList) {
		t.Errorf("three bits: %v", err)
	}
}

func TestStatusNames(t *testing.T) {
	got := []string{Valid.String(), Invalid.String(), Suspended.String(), Status(3).String()}
	if strings.Join(got, ",") != "VALID,INVALID,SUSPENDED,status 3" {
		t.Errorf("%q", got)
	}
}
