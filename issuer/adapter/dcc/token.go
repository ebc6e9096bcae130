package dcc

// The payload: a CBOR Web Token (RFC 8392) with the health certificate in claim -260.

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"
)

var groupNames = map[string]string{"v": "vaccination", "t": "test", "r": "recovery"}

// token is the CWT of a certificate.
type token struct {
	issuer            string
	issuedAt, expires *time.Time     // nil if absent
	content           map[string]any // of version 1, values as JSON has them
}

func parseToken(payload []byte) (*token, error) {
	var claims struct {
		Issuer   any                     `cbor:"1,keyasint"`
		Expires  any                     `cbor:"4,keyasint"`
		IssuedAt any                     `cbor:"6,keyasint"`
		Content  map[int]cbor.RawMessage `cbor:"-260,keyasint"`
	}
	if err := decoding.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("decode the web token: %w", err)
	}
	item, found := claims.Content[1]
	if !found {
		return nil, errors.New("the web token has no health certificate of version 1")
	}
	var content map[any]any
	if err := decoding.Unmarshal(item, &content); err != nil {
		return nil, fmt.Errorf("decode the health certificate: %w", err)
	}
	t := new(token)
	t.issuer, _ = claims.Issuer.(string)
	var err error
	if t.issuedAt, err = numericDate(claims.IssuedAt); err != nil {
		return nil, fmt.Errorf("time of issue: %w", err)
	}
	if t.expires, err = numericDate(claims.Expires); err != nil {
		return nil, fmt.Errorf("time of expiry: %w", err)
	}
	plain, err := jsonValue(content)
	if err != nil {
		return nil, fmt.Errorf("health certificate: %w", err)
	}
	t.content = plain.(map[string]any)
	return t, nil
}

// numericDate reads seconds since 1970, whole or fractional.
func numericDate(value any) (*time.Time, error) {
	const limit = 1 << 40 // some 35,000 years
	var t time.Time
	switch v := value.(type) {
	case nil:
		return nil, nil
	case int64:
		if v < -limit || v > limit {
			return nil, fmt.Errorf("%d is out of range", v)
		}
		t = time.Unix(v, 0)
	case float64:
		if !(math.Abs(v) <= limit) {
			return nil, fmt.Errorf("%v is out of range", v)
		}
		whole, fraction := math.Modf(v)
		t = time.Unix(int64(whole), int64(fraction*1e9))
	default:
		return nil, errors.New("not a number of seconds")
	}
	t = t.UTC()
	return &t, nil
}

// jsonValue turns decoded CBOR into what JSON has. Tagged times are text already.
func jsonValue(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, string, int64, float64:
		return v, nil
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = jsonValue(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[any]any:
		object := make(map[string]any, len(v))
		for key, item := range v {
			name, ok := key.(string)
			if !ok {
				return nil, fmt.Errorf("key %v is no text", key)
			}
			var err error
			if object[name], err = jsonValue(item); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return nil, fmt.Errorf("a %T has no form in JSON", value)
}

// groups are the kinds of entries the content has: of v, t, r those that are neither null nor empty.
func (t *token) groups() []string {
	var present []string
	for _, group := range []string{"v", "t", "r"} {
		switch entries := t.content[group].(type) {
		case nil:
		case []any:
			if len(entries) > 0 {
				present = append(present, group)
			}
		default:
			present = append(present, group) // wrong form; the schema will say so
		}
	}
	return present
}

// validAt refuses a token that is not yet issued or has expired. The moment of expiry is still valid.
func (t *token) validAt(clock time.Time) error {
	const layout = "2006-01-02T15:04:05.999Z"
	switch {
	case t.expires == nil:
		return errors.New("has no time of expiry")
	case t.issuedAt != nil && t.issuedAt.After(clock):
		return fmt.Errorf("issued at %s, after the clock %s", t.issuedAt.Format(layout), clock.UTC().Format(layout))
	case t.expires.Before(clock):
		return fmt.Errorf("expired at %s, before the clock %s", t.expires.Format(layout), clock.UTC().Format(layout))
	}
	return nil
}
