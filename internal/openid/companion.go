package openid

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Where a policy accepts companions, a request asks for one beside the proof, in the standard's own words:
//
//	credentials      [{id, format: vnd.bulla.zkc+json, …}, {id: that id + "-companion", format: dc+sd-jwt, meta: {vct_values}, claims}]
//	credential_sets  [{options: [[id], [id + "-companion"]]}]
//
// Nothing of ours rides on dc+sd-jwt: a wallet must ignore what it does not know.

const companionSuffix = "-companion"

// CompanionQuery asks for a companion.
type CompanionQuery struct {
	ID     string        `json:"id"`
	Format string        `json:"format"` // dc+sd-jwt
	Meta   CompanionMeta `json:"meta"`
	Claims []ClaimQuery  `json:"claims,omitempty"` // none: nothing that can be left out
}

// CompanionMeta names the types that are accepted.
type CompanionMeta struct {
	Types []string `json:"vct_values"` // exactly one, the schema's type
}

// ClaimQuery asks for a claim by its name.
type ClaimQuery struct {
	Path []string `json:"path"` // exactly one
}

// CredentialSet says which queries stand for each other.
type CredentialSet struct {
	Options [][]string `json:"options"`
}

// AcceptCompanions asks for companions where, and as, the statements say. Whoever reads a request makes the same from its statements.
func (q *DCQL) AcceptCompanions() {
	q.Companions, q.Sets = nil, nil
	for _, c := range q.Credentials {
		s := &c.Meta.Statement
		if !s.Companion {
			continue
		}
		companion := CompanionQuery{ID: c.ID + companionSuffix, Format: CompanionFormat, Meta: CompanionMeta{c.Meta.TypeValues}}
		for _, name := range s.CompanionClaims() {
			companion.Claims = append(companion.Claims, ClaimQuery{[]string{name}})
		}
		q.Companions = append(q.Companions, companion)
		q.Sets = append(q.Sets, CredentialSet{[][]string{{c.ID}, {companion.ID}}})
	}
}

// ValidateCompanions refuses a request for companions that its statements do not have. Asking for none is always right.
func (q *DCQL) ValidateCompanions() error {
	if len(q.Companions) == 0 && len(q.Sets) == 0 {
		return nil
	}
	want := DCQL{Credentials: q.Credentials}
	want.AcceptCompanions()
	a, err1 := credential.Canonical(want)
	b, err2 := credential.Canonical(*q)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return errors.New("the companions that it asks for are not those of its policy")
	}
	return nil
}

// dcql is the query as the standard has it.
type dcql struct {
	Credentials []json.RawMessage `json:"credentials"`
	Sets        []CredentialSet   `json:"credential_sets,omitempty"`
}

// MarshalJSON writes the companions behind the others.
func (q DCQL) MarshalJSON() ([]byte, error) {
	out := dcql{Credentials: []json.RawMessage{}, Sets: q.Sets}
	for _, c := range q.Credentials {
		if err := out.add(c); err != nil {
			return nil, err
		}
	}
	for _, c := range q.Companions {
		if err := out.add(c); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

func (d *dcql) add(query any) error {
	text, err := json.Marshal(query)
	d.Credentials = append(d.Credentials, text)
	return err
}

// UnmarshalJSON tells companions from others by their format. Members that we do not know are ignored, as the standard asks.
func (q *DCQL) UnmarshalJSON(text []byte) error {
	var in dcql
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	out := DCQL{Sets: in.Sets}
	for i, query := range in.Credentials {
		var kind struct {
			Format string `json:"format"`
		}
		if err := json.Unmarshal(query, &kind); err != nil {
			return err
		}
		if kind.Format == CompanionFormat {
			var c CompanionQuery
			if err := json.Unmarshal(query, &c); err != nil {
				return err
			}
			out.Companions = append(out.Companions, c)
			continue
		}
		if len(out.Companions) > 0 {
			return fmt.Errorf("credential query %d stands behind a companion's", i+1)
		}
		var c CredentialQuery
		if err := json.Unmarshal(query, &c); err != nil {
			return err
		}
		out.Credentials = append(out.Credentials, c)
	}
	*q = out
	return nil
}

// CompanionAlgorithms is what vp_formats_supported says of companions.
func CompanionAlgorithms() FormatInfo {
	algorithms := []jose.Algorithm{jose.ES256, jose.EdDSA}
	return FormatInfo{SDJWT: algorithms, Binding: algorithms}
}

// CompanionAnswer is the companion in a response to a request that accepts one; ok is false for a response of our format. It is then exactly
// one companion and nothing else.
func (r *RequestObject) CompanionAnswer(response []byte) (companion string, ok bool, err error) {
	if len(response) > MaxResponse || len(r.Query.Companions) == 0 {
		return "", false, nil
	}
	var token map[string]json.RawMessage
	if json.Unmarshal(response, &token) != nil {
		return "", false, nil // the strict parser of our format says what is wrong
	}
	for _, q := range r.Query.Companions {
		answer, there := token[q.ID]
		if !there {
			continue
		}
		if _, err := credential.CanonicalJSON(response); err != nil { // duplicate members
			return "", true, fmt.Errorf("response: %w", err)
		}
		var list []string
		if err := json.Unmarshal(answer, &list); err != nil || len(list) != 1 || len(token) != 1 {
			return "", true, fmt.Errorf("response: want one companion, and nothing beside it")
		}
		return list[0], true, nil
	}
	return "", false, nil
}
