package sdjwt

import (
	"encoding/json"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
)

const (
	maxName = 1024         // bytes of vct, iss, aud and nonce
	maxTime = 253402300799 // the end of the year 9999
)

// readCredential takes the members that JWT and SD-JWT VC define out of the claims.
func readCredential(claims Claims) (*Credential, error) {
	c := &Credential{Claims: claims}
	// SPEC (RFC 9901 7.1, 6): aud is obeyed where it is there. A credential for one verifier is none of this profile.
	if _, said := claims["aud"]; said {
		return nil, fmt.Errorf("aud is not for credentials: %w", ErrMalformed)
	}
	return c, readMembers(claims, []member{
		{"vct", true, readText(&c.Type)},
		// SD-JWT VC has iss optional, for keys in headers. We take none from there, so the key's owner must be named.
		{"iss", true, readText(&c.Issuer)},
		{"iat", false, readTime(&c.IssuedAt)},
		{"nbf", false, readTime(&c.NotBefore)},
		{"exp", false, readTime(&c.ExpiresAt)},
		{"cnf", false, c.readConfirmation},
		{"status", false, c.readStatus},
	})
}

// member is one that an object may have, and how its value is read.
type member struct {
	name     string
	required bool
	read     func(any) error
}

// readMembers takes members out of an object; others stay.
func readMembers(object map[string]any, members []member) error {
	for _, m := range members {
		value, said := object[m.name]
		if !said && m.required {
			return fmt.Errorf("%s is missing: %w", m.name, ErrMalformed)
		}
		if !said {
			continue
		}
		if err := m.read(value); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		delete(object, m.name)
	}
	return nil
}

func readText(target *string) func(any) error {
	return func(value any) error {
		text, ok := value.(string)
		if !ok || text == "" || len(text) > maxName {
			return fmt.Errorf("not a string of 1 to %d bytes: %w", maxName, ErrMalformed)
		}
		*target = text
		return nil
	}
}

func readTime(target *credential.UnixTime) func(any) error {
	return func(value any) error {
		number, ok := value.(json.Number)
		seconds, err := number.Int64()
		if !ok || err != nil || seconds < 1 || seconds > maxTime {
			return fmt.Errorf("not a number of whole seconds: %w", ErrMalformed)
		}
		*target = credential.UnixTime(seconds)
		return nil
	}
}

// readConfirmation reads cnf (RFC 7800), which must have the key itself and nothing else that could be another one's.
func (c *Credential) readConfirmation(value any) error {
	confirmation, _ := value.(map[string]any)
	members, ok := confirmation["jwk"].(map[string]any)
	if !ok || len(confirmation) != 1 {
		return fmt.Errorf("not an object with jwk alone: %w", ErrMalformed)
	}
	// kid, use and alg may stand beside the key. A private key must not.
	if _, private := members["d"]; private {
		return fmt.Errorf("jwk is a private key: %w", ErrMalformed)
	}
	var key jose.PublicKey
	for name, target := range map[string]*string{"kty": &key.Type, "crv": &key.Curve, "x": &key.X, "y": &key.Y} {
		if member, said := members[name]; said {
			if *target, ok = member.(string); !ok {
				return fmt.Errorf("jwk: %s is not a string: %w", name, ErrMalformed)
			}
		}
	}
	if err := key.Validate(); err != nil {
		return fmt.Errorf("jwk: %w: %w", err, ErrMalformed)
	}
	c.HolderKey = &key
	return nil
}

// readStatus reads status. One of a kind that we cannot look up is refused: the issuer may have revoked the credential.
func (c *Credential) readStatus(value any) error {
	status, _ := value.(map[string]any)
	list, ok := status["status_list"].(map[string]any)
	if !ok {
		return fmt.Errorf("not an object with a status_list: %w", ErrMalformed)
	}
	index, isNumber := list["idx"].(json.Number)
	at, err := index.Int64()
	uri, isText := list["uri"].(string)
	if !isNumber || err != nil || at < 0 || !isText {
		return fmt.Errorf("status_list without idx or uri: %w", ErrMalformed)
	}
	r := statuslist.Reference{Index: uint64(at), URI: uri}
	if err := r.Validate(); err != nil {
		return fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	c.Status = &r
	return nil
}

// members is the other way: what stands in a payload besides the claims.
func (c *Credential) members() map[string]any {
	out := map[string]any{"vct": c.Type, "iss": c.Issuer}
	for name, at := range map[string]credential.UnixTime{"iat": c.IssuedAt, "nbf": c.NotBefore, "exp": c.ExpiresAt} {
		if at != 0 {
			out[name] = at
		}
	}
	if c.HolderKey != nil {
		out["cnf"] = map[string]any{"jwk": *c.HolderKey}
	}
	if c.Status != nil {
		out["status"] = map[string]any{"status_list": *c.Status}
	}
	return out
}
