package sdjwt

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/bulla-id/bulla/credential"
)

// unpacking puts disclosed claims where their digests stand (RFC 9901 section 7.1, step 3). It fails where two verifiers
// could understand a credential differently.
type unpacking struct {
	hidden map[string]*disclosure // by digest, those not found yet
	seen   map[string]bool        // digests that were met
	met    []Path
}

// unpack returns the claims of a payload without anything that only the format needs, and the paths of all of them.
func unpack(payload map[string]any, disclosures []*disclosure) (Claims, []Path, error) {
	u := unpacking{hidden: map[string]*disclosure{}, seen: map[string]bool{}}
	for _, d := range disclosures {
		if u.hidden[d.digest] != nil {
			return nil, nil, fmt.Errorf("a disclosure is there twice: %w", ErrDisclosure)
		}
		u.hidden[d.digest] = d
	}
	// SPEC (4.1.1): absent means sha-256; any other is refused as unknown to us.
	if alg, said := payload[algorithmName]; said && alg != algorithm {
		return nil, nil, fmt.Errorf("%s is not %s: %w", algorithmName, algorithm, ErrMalformed)
	}
	plain := make(map[string]any, len(payload))
	for name, value := range payload {
		if name != algorithmName { // here, and nowhere else
			plain[name] = value
		}
	}
	claims, err := u.object(plain, nil)
	if err != nil {
		return nil, nil, err
	}
	// SPEC (7.1, 5): a disclosure that no digest refers to was not issued.
	if len(u.hidden) > 0 {
		return nil, nil, fmt.Errorf("%d disclosures belong to no digest: %w", len(u.hidden), ErrDisclosure)
	}
	return claims, u.met, nil
}

func (u *unpacking) value(value any, at Path) (any, error) {
	u.met = append(u.met, at)
	if len(at) > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep: %w", maxDepth, ErrMalformed)
	}
	switch value := value.(type) {
	case map[string]any:
		return u.object(value, at)
	case []any:
		return u.list(value, at)
	}
	return value, nil
}

func (u *unpacking) object(object map[string]any, at Path) (map[string]any, error) {
	out := make(map[string]any, len(object))
	for name, value := range object {
		if name == digestsName {
			continue
		}
		// Stricter than 7.1, which overlooks what is out of place or malformed: nobody issues that in good faith.
		if reserved(name) {
			return nil, fmt.Errorf("%s stands where a claim should: %w", name, ErrMalformed)
		}
		var err error
		if out[name], err = u.value(value, below(at, name)); err != nil {
			return nil, err
		}
	}
	digests, said := object[digestsName]
	if !said {
		return out, nil
	}
	list, ok := digests.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list: %w", digestsName, ErrMalformed)
	}
	for _, digest := range list {
		if err := u.member(digest, out, at); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// member puts the claim behind a digest into its object.
func (u *unpacking) member(digest any, out map[string]any, at Path) error {
	d, err := u.find(digest)
	if d == nil || err != nil {
		return err // or not disclosed, or a decoy
	}
	if d.element {
		return fmt.Errorf("a claim's disclosure has no name: %w", ErrDisclosure)
	}
	// SPEC (7.1, 3.c.ii.3): a disclosed claim must not take the place of another.
	if _, taken := out[d.name]; taken {
		return fmt.Errorf("the claim %.100q is there twice: %w", d.name, ErrDisclosure)
	}
	d.path = below(at, d.name)
	if slices.Contains(open, d.path[0]) {
		return fmt.Errorf("the claim %s must not be behind a digest: %w", d.path[0], ErrDisclosure)
	}
	out[d.name], err = u.value(d.value, d.path)
	return err
}

func (u *unpacking) list(list []any, at Path) ([]any, error) {
	out := make([]any, 0, len(list))
	for i, item := range list {
		path := below(at, strconv.Itoa(i))
		placeholder, ok := item.(map[string]any)
		digest, hidden := placeholder[elementName]
		if !ok || !hidden {
			value, err := u.value(item, path)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
			continue
		}
		if len(placeholder) != 1 {
			return nil, fmt.Errorf("%s is not alone: %w", elementName, ErrMalformed)
		}
		d, err := u.find(digest)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue // SPEC (7.1, 3.d): what is not disclosed leaves no gap
		}
		value, err := u.element(d, path)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

func (u *unpacking) element(d *disclosure, path Path) (any, error) {
	if !d.element {
		return nil, fmt.Errorf("the disclosure of a list's element has a name: %w", ErrDisclosure)
	}
	if d.path = path; slices.Contains(open, path[0]) {
		return nil, fmt.Errorf("the claim %s must not be behind a digest: %w", path[0], ErrDisclosure)
	}
	return u.value(d.value, path)
}

// find takes the disclosure of a digest, or nil if there is none.
func (u *unpacking) find(digest any) (*disclosure, error) {
	text, ok := digest.(string)
	if !ok {
		return nil, fmt.Errorf("a digest is not a string: %w", ErrMalformed)
	}
	if _, err := credential.ParseBase64(text, len(credential.Digest{})); err != nil {
		return nil, fmt.Errorf("a digest is not one of %s: %w", algorithm, ErrMalformed)
	}
	// SPEC (7.1, 4): no digest twice, be it in the payload or in disclosures; else one claim had two places.
	if u.seen[text] {
		return nil, fmt.Errorf("a digest is there twice: %w", ErrDisclosure)
	}
	if u.seen[text] = true; len(u.seen) > maxDigests {
		return nil, fmt.Errorf("more than %d digests: %w", maxDigests, ErrMalformed)
	}
	d := u.hidden[text]
	delete(u.hidden, text)
	return d, nil
}

func below(at Path, name string) Path { return append(slices.Clone(at), name) }
