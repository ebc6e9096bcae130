// Package base45 writes bytes in the characters of a QR code's alphanumeric mode (RFC 9285): two bytes are three characters
// of five and a half bits, so that nearly nothing is lost.
package base45

import (
	"fmt"
	"strings"
)

// MaxText is what the largest QR code (version 40, level L) holds in alphanumeric mode, in characters.
const MaxText = 4296

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// Decode reads RFC 9285 strictly: three characters are two bytes, a last two are one.
func Decode(text string) ([]byte, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%d characters, at most %d fit into a QR code", len(text), MaxText)
	}
	if len(text)%3 == 1 {
		return nil, fmt.Errorf("%d characters cannot be base45: one is left over", len(text))
	}
	decoded := make([]byte, 0, len(text)/3*2+1)
	for start := 0; start < len(text); start += 3 {
		chunk := text[start:min(start+3, len(text))]
		value, err := valueOf(chunk, start)
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

// valueOf is the number that two or three characters write, least significant first.
func valueOf(chunk string, start int) (int, error) {
	value, weight := 0, 1
	for i := range len(chunk) {
		digit := strings.IndexByte(alphabet, chunk[i])
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

// Encode writes bytes as text.
func Encode(data []byte) string {
	text := make([]byte, 0, len(data)/2*3+2)
	for start := 0; start < len(data); start += 2 {
		if start+1 == len(data) {
			value := int(data[start])
			return string(append(text, alphabet[value%45], alphabet[value/45]))
		}
		value := int(data[start])<<8 | int(data[start+1])
		text = append(text, alphabet[value%45], alphabet[value/45%45], alphabet[value/2025])
	}
	return string(text)
}
