package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Skew is how far apart two clocks may be, ours and anybody's: the one tolerance of all time claims.
const Skew = 30 * time.Second

// ErrToken is returned for a token that is not of the form we accept.
var ErrToken = errors.New("token is malformed")

// Header is the protected header of a token.
type Header struct {
	Algorithm jose.Algorithm
	KeyID     string // may be empty
	Type      string // lower case, without "application/"; may be empty
	Key       []byte // the member jwk, if the format lets it in
}

// Token is a compact JWS with a JSON payload, whose signature was not checked yet.
type Token struct {
	Header Header
	Claims Claims

	message   string
	signature []byte
}

// Parse reads a compact JWS of at most limit bytes. Its header may have alg, kid and typ, and those that the caller's
// format names besides; any other is refused. For RFC 7515 section 4 says to ignore what one does not understand, but
// jwk, jku, x5c and x5u bring keys that nobody vouched for, crit asks for what we do not do, and b64, zip, cty and nonce
// change what was signed: a list of what is harmless is shorter and does not grow old.
func Parse(text string, limit int, members ...string) (*Token, error) {
	if len(text) > limit {
		return nil, fmt.Errorf("token of %d bytes, at most %d: %w", len(text), limit, ErrToken)
	}
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return nil, fmt.Errorf("token has not three parts: %w", ErrToken)
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = credential.ParseBase64(part, -1); err != nil {
			return nil, fmt.Errorf("part %d is not base64url: %w", i+1, ErrToken)
		}
	}
	header, err := parseHeader(decoded[0], members)
	if err != nil {
		return nil, fmt.Errorf("header: %w: %w", err, ErrToken)
	}
	claims, err := Object(decoded[1])
	if err != nil {
		return nil, fmt.Errorf("payload: %w: %w", err, ErrToken)
	}
	return &Token{header, claims, parts[0] + "." + parts[1], decoded[2]}, nil
}

func parseHeader(text []byte, more []string) (h Header, err error) {
	members, err := Object(text)
	if err != nil {
		return h, err
	}
	for name := range members {
		if name != "alg" && name != "kid" && name != "typ" && !slices.Contains(more, name) {
			return h, fmt.Errorf("member %.100q is not accepted", name)
		}
	}
	algorithm, err := members.String("alg")
	if err != nil {
		return h, err
	}
	if h.KeyID, err = members.optional("kid"); err != nil {
		return h, err
	}
	if len(h.KeyID) > maxKeyID {
		return h, fmt.Errorf("kid of %d bytes, at most %d", len(h.KeyID), maxKeyID)
	}
	typ, err := members.optional("typ")
	h.Algorithm, h.Type, h.Key = jose.Algorithm(algorithm), mediaType(typ), members["jwk"]
	return h, err
}

// mediaType writes a typ in one way. SPEC: RFC 7515 section 4.1.9: typ is a media type, whose case does not matter, and
// "application/" may be left out where no other slash stands.
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if rest, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// Verify checks the signature. The algorithm is the key's; the header must agree.
func (t *Token) Verify(key Key) error {
	if t.Header.Algorithm != key.Algorithm {
		return fmt.Errorf("alg is %.100q, but the key is for %s: %w", t.Header.Algorithm, key.Algorithm, ErrToken)
	}
	return key.Verify([]byte(t.message), t.signature)
}

// Claims are the members of a JSON object by their exact names: encoding/json would take AUD for aud.
type Claims map[string]json.RawMessage

// Object reads a JSON object without duplicate members or text of two spellings.
func Object(text []byte) (Claims, error) {
	if _, err := credential.CanonicalJSON(text); err != nil {
		return nil, errors.New("not JSON with one reading") // the cause may quote the text
	}
	var c Claims
	if err := json.Unmarshal(text, &c); err != nil || c == nil {
		return nil, errors.New("not a JSON object")
	}
	return c, nil
}

// String is a claim that must be there, and be a text that is not empty.
func (c Claims) String(name string) (string, error) {
	text, err := c.optional(name)
	if err == nil && text == "" {
		err = fmt.Errorf("%s is missing: %w", name, ErrToken)
	}
	return text, err
}

func (c Claims) optional(name string) (text string, err error) {
	raw, ok := c[name]
	if ok && (len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil) {
		return "", fmt.Errorf("%s is not a text: %w", name, ErrToken)
	}
	return text, nil
}

// Strings is a claim that is a text or a list of texts, as aud may be. A missing one is an empty list.
func (c Claims) Strings(name string) ([]string, error) {
	raw, ok := c[name]
	if !ok {
		return nil, nil
	}
	if text, err := c.optional(name); err == nil {
		return []string{text}, nil
	}
	var list []*string // a null in a list would become an empty text
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil || slices.Contains(list, nil) {
		return nil, fmt.Errorf("%s is neither a text nor a list of texts: %w", name, ErrToken)
	}
	texts := make([]string, len(list))
	for i, text := range list {
		texts[i] = *text
	}
	return texts, nil
}

// Object is a claim that is an object; a missing one is nil.
func (c Claims) Object(name string) (Claims, error) {
	raw, ok := c[name]
	if !ok {
		return nil, nil
	}
	return Object(raw)
}

// maxSeconds is the last second of the year 9999: later times are nobody's.
const maxSeconds = 253402300799

// Time is a NumericDate (RFC 7519 section 2), down to the second; ok tells whether it is there.
func (c Claims) Time(name string) (t time.Time, ok bool, err error) {
	raw, ok := c[name]
	if !ok {
		return t, false, nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return t, false, fmt.Errorf("%s is not a time: %w", name, ErrToken)
	}
	return time.Unix(int64(seconds), 0), true, nil
}

// Required is [Claims.Time] for a claim that must be there.
func (c Claims) Required(name string) (time.Time, error) {
	t, ok, err := c.Time(name)
	if err == nil && !ok {
		err = fmt.Errorf("%s is missing: %w", name, ErrToken)
	}
	return t, err
}
