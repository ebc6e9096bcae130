package sdjwt

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Issuance is a credential to be issued.
type Issuance struct {
	Credential Credential
	// Disclosable are the claims that the holder may leave out. A claim within one of them may be another one, so that
	// both can be left out.
	Disclosable []Path
	// Decoys is how many digests without a disclosure stand beside those of each object, so that their number does not
	// tell which claims the holder has.
	Decoys int
	// Random is where salts and decoys come from; nil is crypto/rand. Anything else is for test vectors only.
	Random io.Reader
}

// Issue signs a credential and returns it with all its disclosures, for the holder alone.
func (i Issuance) Issue(key *jose.SigningKey) (string, error) {
	if i.Random == nil {
		i.Random = rand.Reader
	}
	claims, err := i.claims()
	if err != nil {
		return "", err
	}
	p := packing{Issuance: i, wanted: slices.Clone(i.Disclosable)}
	payload, err := p.object(claims, nil)
	if err != nil {
		return "", err
	}
	if len(p.wanted) > 0 {
		return "", fmt.Errorf("there is no claim at %.100q to be disclosable", p.wanted[0])
	}
	maps.Copy(payload, i.Credential.members())
	if len(p.disclosures) > 0 {
		payload[algorithmName] = algorithm
	}
	token, err := jose.SignCompact(key, "", Type, payload)
	if err != nil {
		return "", err
	}
	text := (&SDJWT{token: token}).unbound(p.disclosures)
	// What nobody could read must not be issued: this holds the credential to all rules of the format.
	if _, err := Parse(text); err != nil {
		return "", fmt.Errorf("the credential would be refused: %w", err)
	}
	return text, nil
}

// claims are the claims as their readers will see them.
func (i Issuance) claims() (map[string]any, error) {
	for name := range i.Credential.Claims {
		if slices.Contains(open, name) || name == "iat" {
			return nil, fmt.Errorf("%s is a member of its own, not a claim", name)
		}
	}
	text, err := credential.Canonical(i.Credential.Claims)
	if err != nil {
		return nil, errors.New("claims are not what JSON carries safely") // the cause quotes them
	}
	out := map[string]any{}
	return out, decode(text, &out)
}

// packing replaces claims by digests, innermost first.
type packing struct {
	Issuance
	wanted      []Path // those of Disclosable not met yet
	disclosures []*disclosure
}

func (p *packing) object(object map[string]any, at Path) (map[string]any, error) {
	out := map[string]any{}
	var digests []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if reserved(name) {
			return nil, fmt.Errorf("a claim must not be called %s", name)
		}
		path, value := below(at, name), object[name]
		if inner, ok := value.(map[string]any); ok {
			var err error
			if value, err = p.object(inner, path); err != nil {
				return nil, err
			}
		}
		if !p.hide(path) {
			out[name] = value
			continue
		}
		d, err := newDisclosure(p.Random, name, value)
		if err != nil {
			return nil, err
		}
		p.disclosures, digests = append(p.disclosures, d), append(digests, d.digest)
	}
	if len(digests) == 0 {
		return out, nil
	}
	digests, err := p.withDecoys(digests)
	out[digestsName] = digests
	return out, err
}

// hide tells whether the claim at a path is disclosable.
func (p *packing) hide(path Path) bool {
	same := func(wanted Path) bool { return slices.Equal(wanted, path) }
	found := slices.ContainsFunc(p.wanted, same)
	p.wanted = slices.DeleteFunc(p.wanted, same)
	return found
}

// withDecoys sorts decoys among the digests. SPEC (RFC 9901 4.2.4.1): their order must not tell that of the claims.
func (p *packing) withDecoys(digests []string) ([]string, error) {
	for range p.Decoys {
		random, err := draw(p.Random, len(credential.Digest{}))
		if err != nil {
			return nil, err
		}
		digests = append(digests, credential.DigestOf(random).String())
	}
	slices.Sort(digests)
	return digests, nil
}
