package dcc

// The container of a certificate: base45 text of a zlib stream.

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Prefix is the context identifier of version 1 of the container.
const Prefix = "HC1:"

const (
	// maxText is what the largest QR code (version 40, level L) holds in alphanumeric mode.
	maxText = 4296
	// maxMessage bounds the inflated message. Real ones have some 400 bytes; zlib could blow up a QR code to 3 MB.
	maxMessage = 16 << 10
)

const base45Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// decodeBase45 decodes RFC 9285 strictly: three characters are two bytes, a last two are one.
func decodeBase45(text string) ([]byte, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%d characters, at most %d fit into a QR code", len(text), maxText)
	}
	if len(text)%3 == 1 {
		return nil, fmt.Errorf("%d characters cannot be base45: one is left over", len(text))
	}
	decoded := make([]byte, 0, len(text)/3*2+1)
	for start := 0; start < len(text); start += 3 {
		chunk := text[start:min(start+3, len(text))]
		value, err := base45Value(chunk, start)
		if err != nil {
			return nil, err
		}
		if len(chunk) == 3 {
			decoded = append(decoded, byte(value>>8))
		}
		decoded = append(decoded, byte(value))
	}
	return decoded, nil
}

// base45Value is the number that two or three characters write, least significant first.
func base45Value(chunk string, start int) (int, error) {
	value, weight := 0, 1
	for i := range len(chunk) {
		digit := strings.IndexByte(base45Alphabet, chunk[i])
		if digit < 0 {
			return 0, fmt.Errorf("character %d, %q, is not of the base45 alphabet", start+i, chunk[i])
		}
		value += digit * weight
		weight *= 45
	}
	if limit := 1 << (8 * (len(chunk) - 1)); value >= limit {
		return 0, fmt.Errorf("characters from %d, %q, stand for %d, which is above %d", start, chunk, value, limit-1)
	}
	return value, nil
}

// inflate undoes zlib (RFC 1950): one stream, nothing after it, at most maxMessage bytes.
func inflate(compressed []byte) ([]byte, error) {
	rest := bytes.NewReader(compressed)
	stream, err := zlib.NewReader(rest)
	if err != nil {
		return nil, fmt.Errorf("read the zlib header: %w", err)
	}
	defer stream.Close()
	message, err := io.ReadAll(io.LimitReader(stream, maxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflate: %w", err)
	case len(message) > maxMessage:
		return nil, fmt.Errorf("inflates to more than %d bytes", maxMessage)
	case rest.Len() > 0:
		return nil, fmt.Errorf("%d bytes follow the zlib stream", rest.Len())
	case len(message) == 0:
		return nil, errors.New("the zlib stream is empty")
	}
	return message, nil
}
