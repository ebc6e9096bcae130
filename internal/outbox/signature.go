package outbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers and texts of Standard Webhooks 1.0.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"

	secretPrefix    = "whsec_"
	signaturePrefix = "v1,"
)

const (
	secretSize    = 32 // of those we make; SPEC: between 24 and 64 bytes
	minSecretSize = 24
	maxSecretSize = 64

	maxID         = 64
	maxSignatures = 16
	// Tolerance is how far a receiver's clock and ours may differ, and how long a message may be under way. A receiver has
	// to remember identifiers for twice as long to notice a copy.
	Tolerance = 5 * time.Minute
)

// ErrSignature is wrapped by every refusal of [Verify].
var ErrSignature = errors.New("webhook is not from who it should be")

// Secret is a key that an endpoint shares with us. It prints as [redacted], in JSON too.
type Secret struct{ key string }

// NewSecret draws a secret.
func NewSecret() Secret {
	key := make([]byte, secretSize)
	rand.Read(key)
	return Secret{string(key)}
}

// ParseSecret reads `whsec_` and 24 to 64 bytes in base64, in their one spelling. Errors do not quote it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(encoded) > base64.StdEncoding.EncodedLen(maxSecretSize) {
		return Secret{}, fmt.Errorf("secret is not %s and at most %d bytes in base64", secretPrefix, maxSecretSize)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(key) != encoded { // the decoder skips line breaks
		return Secret{}, errors.New("secret is not base64 in its one spelling")
	}
	if len(key) < minSecretSize || len(key) > maxSecretSize {
		return Secret{}, fmt.Errorf("secret has %d bytes, not %d to %d", len(key), minSecretSize, maxSecretSize)
	}
	return Secret{string(key)}, nil
}

// Reveal is the secret as [ParseSecret] reads it: for the endpoint's owner, once.
func (s Secret) Reveal() string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(s.key))
}

func (s Secret) String() string               { return "[redacted]" }
func (s Secret) GoString() string             { return "[redacted]" }
func (s Secret) LogValue() slog.Value         { return slog.StringValue("[redacted]") }
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// mac is HMAC-SHA256 of `id.timestamp.payload`; SPEC: an id has no dot.
func (s Secret) mac(id, timestamp string, payload []byte) []byte {
	mac := hmac.New(sha256.New, []byte(s.key))
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(payload)
	return mac.Sum(nil)
}

// sign sets a message's headers, with a signature for each secret.
func sign(header http.Header, secrets []Secret, id string, at time.Time, payload []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, s := range secrets {
		signatures = append(signatures, signaturePrefix+base64.StdEncoding.EncodeToString(s.mac(id, timestamp, payload)))
	}
	header.Set(headerID, id)
	header.Set(headerTimestamp, timestamp)
	header.Set(headerSignature, strings.Join(signatures, " ")) // SPEC: several are separated by a space
}

// Verify checks a received message: signed under one of the secrets, at about now. It returns the message's identifier,
// the same each time a message is sent: who must not act twice has to remember it.
func Verify(secrets []Secret, header http.Header, body []byte, now time.Time) (id string, err error) {
	id, timestamp, signatures, err := readHeaders(header)
	if err != nil {
		return "", err
	}
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || at < 0 || strconv.FormatInt(at, 10) != timestamp {
		return "", fmt.Errorf("timestamp is not seconds since 1970: %w", ErrSignature)
	}
	if age := now.Sub(time.Unix(at, 0)); age > Tolerance || age < -Tolerance {
		return "", fmt.Errorf("timestamp is more than %s away: %w", Tolerance, ErrSignature)
	}
	for _, secret := range secrets {
		if secret.key == "" { // the zero value: everybody has it
			continue
		}
		if signedBy(secret.mac(id, timestamp, body), signatures) {
			return id, nil
		}
	}
	return "", fmt.Errorf("no signature is right: %w", ErrSignature)
}

func readHeaders(header http.Header) (id, timestamp string, signatures []string, err error) {
	var values [3]string
	for i, name := range []string{headerID, headerTimestamp, headerSignature} {
		found := header.Values(name)
		if len(found) != 1 || found[0] == "" {
			return "", "", nil, fmt.Errorf("header %s is not there once: %w", name, ErrSignature)
		}
		values[i] = found[0]
	}
	if len(values[0]) > maxID || strings.Contains(values[0], ".") {
		return "", "", nil, fmt.Errorf("identifier is too long or has a dot: %w", ErrSignature)
	}
	if strings.Count(values[2], " ") >= maxSignatures {
		return "", "", nil, fmt.Errorf("more than %d signatures: %w", maxSignatures, ErrSignature)
	}
	return values[0], values[1], strings.Split(values[2], " "), nil
}

// signedBy passes over signatures of other versions, so that there can be others one day.
func signedBy(mac []byte, signatures []string) bool {
	for _, text := range signatures {
		encoded, ok := strings.CutPrefix(text, signaturePrefix)
		if !ok || len(encoded) != base64.StdEncoding.EncodedLen(len(mac)) {
			continue
		}
		got, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err == nil && hmac.Equal(mac, got) {
			return true
		}
	}
	return false
}
