package dcc

// The signed message: a COSE_Sign1 (RFC 9052, section 4.2), with its tag 18, without it, or inside the CWT tag 61.

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// decoding is strict where strictness costs nobody: duplicate keys, bad UTF-8 and deep or long structures are refused.
// Indefinite lengths stay allowed, since states use them.
var decoding = must(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	UTF8:             cbor.UTF8RejectInvalid,
	MaxNestedLevels:  12,
	MaxArrayElements: 64,
	MaxMapPairs:      64,
	IntDec:           cbor.IntDecConvertSignedOrFail,
	TimeTagToAny:     cbor.TimeTagToRFC3339Nano,
}.DecMode())

// sigEncoding writes the bytes that are signed in the core deterministic encoding.
var sigEncoding = must(cbor.CoreDetEncOptions().EncMode())

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("dcc: fixed options: %v", err))
	}
	return value
}

// Tags that may stand before a message.
const (
	tagSign1 = 18
	tagCWT   = 61
)

// Labels of header parameters.
const (
	labelAlgorithm = 1
	labelKeyID     = 4
)

// signedMessage is a COSE_Sign1 whose signature nobody has verified yet.
type signedMessage struct {
	protected          []byte // as sent, since the signature covers it so
	payload, signature []byte
	algorithm          int64
	keyID              []byte // nil if there is none
}

// parseMessage tells bytes that are not CBOR (step cbor) from CBOR that is no signed message (step signature).
func parseMessage(data []byte) (*signedMessage, error) {
	var item cbor.RawMessage
	rest, err := decoding.UnmarshalFirst(data, &item)
	if err != nil {
		return nil, at(StepCBOR, fmt.Errorf("decode the message: %w", err))
	}
	m, err := parseSign1(item)
	if err != nil {
		return nil, at(StepSignature, err)
	}
	if len(rest) > 0 {
		return nil, at(StepCBOR, fmt.Errorf("%d bytes follow the message", len(rest)))
	}
	return m, nil
}

func parseSign1(item cbor.RawMessage) (*signedMessage, error) {
	item, err := untag(item)
	if err != nil {
		return nil, err
	}
	var parts []cbor.RawMessage
	if err := decoding.Unmarshal(item, &parts); err != nil || len(parts) != 4 {
		return nil, errors.New("not a COSE_Sign1 message: an array of four is wanted")
	}
	m := new(signedMessage)
	for _, part := range []struct {
		name string
		at   int
		into *[]byte
	}{{"protected header", 0, &m.protected}, {"payload", 2, &m.payload}, {"signature", 3, &m.signature}} {
		if err := decoding.Unmarshal(parts[part.at], part.into); err != nil || majorType(parts[part.at]) != majorBytes {
			return nil, fmt.Errorf("not a COSE_Sign1 message: its %s is no byte string", part.name)
		}
	}
	return m, m.readHeaders(parts[1])
}

// untag takes the tags 61 and 18, each at most once and in this order, off an item.
func untag(item cbor.RawMessage) (cbor.RawMessage, error) {
	for _, allowed := range []uint64{tagCWT, tagSign1} {
		var tag cbor.RawTag
		if majorType(item) != majorTag {
			return item, nil
		}
		if err := decoding.Unmarshal(item, &tag); err != nil {
			return nil, fmt.Errorf("decode a tag: %w", err)
		}
		if tag.Number == allowed {
			item = tag.Content
		} else if allowed == tagSign1 {
			return nil, fmt.Errorf("not a COSE_Sign1 message: tag %d", tag.Number)
		}
	}
	if majorType(item) == majorTag { // the library would look through it
		return nil, errors.New("not a COSE_Sign1 message: too many tags")
	}
	return item, nil
}

// Major types of CBOR (RFC 8949, section 3.1).
const (
	majorBytes = 2
	majorTag   = 6
)

func majorType(item cbor.RawMessage) byte {
	if len(item) == 0 {
		return 0
	}
	return item[0] >> 5
}

// readHeaders finds algorithm and key id. A protected parameter wins; an unprotected one counts only without it.
func (m *signedMessage) readHeaders(unprotectedItem cbor.RawMessage) error {
	protected, unprotected := map[any]any{}, map[any]any{}
	if len(m.protected) > 0 {
		if err := decoding.Unmarshal(m.protected, &protected); err != nil {
			return fmt.Errorf("decode the protected header: %w", err)
		}
	}
	if err := decoding.Unmarshal(unprotectedItem, &unprotected); err != nil {
		return fmt.Errorf("decode the unprotected header: %w", err)
	}
	parameter := func(label int64) any {
		if value, found := protected[label]; found {
			return value
		}
		return unprotected[label]
	}
	var known bool
	if m.algorithm, known = parameter(labelAlgorithm).(int64); !known {
		return errors.New("the header names no algorithm by number")
	}
	if id := parameter(labelKeyID); id != nil {
		if m.keyID, known = id.([]byte); !known {
			return errors.New("the key id is no byte string")
		}
	}
	return nil
}

// verify finds the signer whose key made the signature. Key ids have 8 bytes, so that two signers may share one.
func (m *signedMessage) verify(signers []*Signer) (*Signer, error) {
	if m.keyID == nil {
		return nil, errors.New("the header has no key id")
	}
	signed, err := sigEncoding.Marshal([]any{"Signature1", m.protected, []byte{}, m.payload})
	if err != nil {
		return nil, fmt.Errorf("encode what was signed: %w", err)
	}
	err = fmt.Errorf("key id %x is of none of the signers' certificates", m.keyID)
	for _, signer := range signers {
		if string(signer.keyID[:]) != string(m.keyID) {
			continue
		}
		if err = signer.verify(cose.Algorithm(m.algorithm), signed, m.signature); err == nil {
			return signer, nil
		}
	}
	return nil, err
}
