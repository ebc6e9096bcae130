// Package statuslist makes and reads Token Status Lists: one signed list has the status of many credentials, each at an
// index that only its issuer and those it is shown to can tell from the others.
//
// Level: draft-ietf-oauth-status-list-16, the JWT form of it. Only the companion credentials of package sdjwt carry such
// an index, which links all their presentations (doc/spec/sdjwt.md); credentials proven in zero knowledge have no status list.
//
// Whoever has the list's signing key can make us take any credential of the list for valid, suspended or revoked. Whoever
// serves the list can withhold it, or repeat an old one until that expires.
package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/bulla-id/bulla/credential"
)

// Status is what a list says about one credential.
type Status uint8

// The statuses of section 7.1. What else a list may say is not defined between us and its issuer: anything but Valid
// must be refused.
const (
	Valid     Status = 0
	Invalid   Status = 1 // revoked, for ever
	Suspended Status = 2 // for the time being; needs two bits
)

// String is the name that the draft gives to the status.
func (s Status) String() string {
	switch s {
	case Valid:
		return "VALID"
	case Invalid:
		return "INVALID"
	case Suspended:
		return "SUSPENDED"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

const (
	// Bits is the size of a status in our own lists: the smallest that can say Suspended.
	Bits = 2
	// Capacity is the number of statuses in our own lists, 2^20 bits in all: the largest power of two whose token is
	// within [jose.MaxToken] whatever the list says (131,072 bytes, twice in base64url: 233 kB). The more credentials
	// share a list, the less its address says about one; a list with one revoked in a hundred is some 20 kB.
	Capacity = 1 << 19
	// MaxBytes bounds the lists that we read, inflated: 2^20 statuses of 8 bits, the largest in the draft's examples.
	MaxBytes = 1 << 20
)

// ErrList is returned for a list that is not of the form we accept.
var ErrList = errors.New("status list is malformed")

// ErrIndex is returned for an index outside of the list: the credential has no status there, and must not be accepted.
var ErrIndex = errors.New("index is outside of the status list")

// List is a list of statuses, all Valid at first. It is not safe for concurrent changes.
type List struct {
	bits  int
	bytes []byte
}

// New is a list of valid credentials. A status has 1, 2, 4 or 8 bits, and all of them fill whole bytes.
func New(bits, capacity int) (*List, error) {
	if err := checkBits(bits); err != nil {
		return nil, err
	}
	if capacity < 1 || capacity > MaxBytes*8/bits || capacity*bits%8 != 0 {
		return nil, fmt.Errorf("%d statuses of %d bits do not fill 1 to %d bytes: %w", capacity, bits, MaxBytes, ErrList)
	}
	return &List{bits, make([]byte, capacity*bits/8)}, nil
}

func checkBits(bits int) error {
	switch bits {
	case 1, 2, 4, 8:
		return nil
	}
	return fmt.Errorf("statuses of %d bits, want 1, 2, 4 or 8: %w", bits, ErrList)
}

// Clone is a copy, to be signed while the list goes on changing.
func (l *List) Clone() *List { return &List{l.bits, bytes.Clone(l.bytes)} }

// Bits is the size of a status.
func (l *List) Bits() int { return l.bits }

// Capacity is the number of statuses in the list.
func (l *List) Capacity() int { return len(l.bytes) * 8 / l.bits }

// At is the status at an index, or [ErrIndex].
func (l *List) At(index uint64) (Status, error) {
	at, shift, err := l.locate(index)
	if err != nil {
		return 0, err
	}
	return Status(l.bytes[at] >> shift & l.mask()), nil
}

// Set changes the status at an index. That Invalid is final is for the caller to keep.
func (l *List) Set(index uint64, status Status) error {
	at, shift, err := l.locate(index)
	if err != nil {
		return err
	}
	if byte(status) > l.mask() {
		return fmt.Errorf("%s does not fit %d bits", status, l.bits)
	}
	l.bytes[at] = l.bytes[at]&^(l.mask()<<shift) | byte(status)<<shift
	return nil
}

// locate finds the bits of an index. SPEC (section 4.1): statuses fill each byte from its least significant bit.
func (l *List) locate(index uint64) (at uint64, shift int, err error) {
	if index >= uint64(l.Capacity()) {
		return 0, 0, fmt.Errorf("index %d, the list has %d statuses: %w", index, l.Capacity(), ErrIndex)
	}
	perByte := uint64(8 / l.bits)
	return index / perByte, int(index%perByte) * l.bits, nil
}

func (l *List) mask() byte { return byte(1<<l.bits - 1) }

// encode is the list compressed, in base64url: the member lst.
func (l *List) encode() (string, error) {
	var buf bytes.Buffer
	w, err := zlib.NewWriterLevel(&buf, zlib.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(l.bytes); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(buf.Bytes()), nil
}

// decode reads bits and lst. Compressed data has no canonical form: two encoders write one list differently. But there is
// one spelling of the bytes, exactly one stream in them, and an end to what it may inflate to.
func decode(bits int, lst string) (*List, error) {
	if err := checkBits(bits); err != nil {
		return nil, err
	}
	compressed, err := credential.ParseBase64(lst, -1)
	if err != nil {
		return nil, fmt.Errorf("lst is not base64url: %w", ErrList)
	}
	inflated, err := inflate(compressed)
	if err != nil {
		return nil, err
	}
	return &List{bits, inflated}, nil
}

func inflate(compressed []byte) ([]byte, error) {
	rest := bytes.NewReader(compressed)
	stream, err := zlib.NewReader(rest)
	if err != nil {
		return nil, fmt.Errorf("lst is not zlib: %w", ErrList)
	}
	defer stream.Close()
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(stream, MaxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("lst does not inflate: %w", ErrList)
	case n > MaxBytes:
		return nil, fmt.Errorf("lst inflates to more than %d bytes: %w", MaxBytes, ErrList)
	case n == 0:
		return nil, fmt.Errorf("lst is empty: %w", ErrList)
	case rest.Len() > 0:
		return nil, fmt.Errorf("%d bytes follow the list: %w", rest.Len(), ErrList)
	}
	return buf.Bytes(), nil
}
