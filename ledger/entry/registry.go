package entry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Registry is who may do what on the chain after a seal: its canonical JSON has the digest that the seal names, so
// that wallets and verifiers need one small document and no replay. Lists are ascending by their first member.
type Registry struct {
	Genesis       credential.Digest    `json:"genesis"`
	Issuers       []RegisteredIssuer   `json:"issuers"`
	Schemas       []RegisteredSchema   `json:"schemas"`
	Verifiers     []RegisteredVerifier `json:"verifiers"`
	Policies      []RegisteredPolicy   `json:"policies"`
	Scopes        []RegisteredScope    `json:"scopes"`
	VerifyingKeys []VerifyingKey       `json:"verifying_keys"` // in the order of listing, the genesis' first
}

// RegisteredIssuer is an agency in its present state.
type RegisteredIssuer struct {
	DID       string           `json:"did"`
	Name      credential.Text  `json:"name"`
	Keys      []jose.PublicKey `json:"keys"`
	Quota     uint64           `json:"quota"`
	URL       string           `json:"url"`
	Suspended bool             `json:"suspended"`
}

// RegisteredSchema is a schema with the issuers that may use it.
type RegisteredSchema struct {
	ID      credential.Element `json:"id"`
	Schema  credential.Schema  `json:"schema"`
	Issuers []string           `json:"issuers"` // ascending
}

// RegisteredVerifier is a relying party.
type RegisteredVerifier struct {
	DID          string           `json:"did"`
	Name         credential.Text  `json:"name"`
	Keys         []jose.PublicKey `json:"keys"`
	ResponseURIs []string         `json:"response_uris"`
}

// RegisteredPolicy names a policy by verifier and id; a later registration under the same id replaces the digest.
type RegisteredPolicy struct {
	Verifier string            `json:"verifier"`
	ID       string            `json:"id"`
	Digest   credential.Digest `json:"digest"` // SHA-256 of the policy's canonical JSON
	Entry    uint64            `json:"entry"`  // log index of the registration
}

// RegisteredScope is a shared scope.
type RegisteredScope struct {
	Entry     uint64   `json:"entry"` // log index of the registration: part of the scope itself
	Service   string   `json:"service"`
	Consumer  string   `json:"consumer"`
	Verifiers []string `json:"verifiers"`
}

// Census counts live leaves: the crowd that a presentation hides in. The seal names the digest of its canonical JSON.
type Census struct {
	Counts []Count `json:"counts"` // ascending by schema, then issuer; never 0
}

// Count is the number of live (active, not suspended or revoked) leaves of one schema and issuer.
type Count struct {
	Schema credential.Element `json:"schema"`
	Issuer string             `json:"issuer"`
	Live   uint64             `json:"live"`
}

// Live sums the live leaves of a schema over issuers.
func (c Census) Live(schema credential.Element, issuers []string) uint64 {
	among := make(map[string]bool, len(issuers)) // both may have thousands
	for _, did := range issuers {
		among[did] = true
	}
	var sum uint64
	for _, count := range c.Counts {
		if count.Schema == schema && among[count.Issuer] {
			sum += count.Live
		}
	}
	return sum
}

// Issuer finds an agency.
func (r *Registry) Issuer(did string) (RegisteredIssuer, bool) {
	return find(r.Issuers, did, func(i RegisteredIssuer) string { return i.DID })
}

// Verifier finds a relying party.
func (r *Registry) Verifier(did string) (RegisteredVerifier, bool) {
	return find(r.Verifiers, did, func(v RegisteredVerifier) string { return v.DID })
}

// Schema finds a schema by id.
func (r *Registry) Schema(id credential.Element) (RegisteredSchema, bool) {
	i := slices.IndexFunc(r.Schemas, func(s RegisteredSchema) bool { return s.ID == id })
	if i < 0 {
		return RegisteredSchema{}, false
	}
	return r.Schemas[i], true
}

// Permits tells whether an issuer may use the schema.
func (s RegisteredSchema) Permits(did string) bool {
	_, found := slices.BinarySearch(s.Issuers, did)
	return found
}

// Policy finds a verifier's policy.
func (r *Registry) Policy(verifierDID, id string) (RegisteredPolicy, bool) {
	i := slices.IndexFunc(r.Policies, func(p RegisteredPolicy) bool { return p.Verifier == verifierDID && p.ID == id })
	if i < 0 {
		return RegisteredPolicy{}, false
	}
	return r.Policies[i], true
}

// Scope finds a shared scope by the log index of its registration.
func (r *Registry) Scope(index uint64) (RegisteredScope, bool) {
	i := slices.IndexFunc(r.Scopes, func(s RegisteredScope) bool { return s.Entry == index })
	if i < 0 {
		return RegisteredScope{}, false
	}
	return r.Scopes[i], true
}

// InGoodStanding keeps, of the issuers that a policy accepts, those that are registered for the schema and not
// suspended. These are the members of the issuer set.
func (r *Registry) InGoodStanding(schema credential.Element, dids []string) ([]string, error) {
	registered, ok := r.Schema(schema)
	if !ok {
		return nil, fmt.Errorf("schema %s is not on the chain", schema)
	}
	var good []string
	for _, did := range dids {
		issuer, ok := r.Issuer(did)
		if ok && !issuer.Suspended && registered.Permits(did) {
			good = append(good, did)
		}
	}
	if len(good) == 0 {
		return nil, fmt.Errorf("none of the accepted issuers is in good standing for schema %s", registered.Schema.Type)
	}
	return good, nil
}

func find[T any](list []T, key string, keyOf func(T) string) (T, bool) {
	i, found := slices.BinarySearchFunc(list, key, func(t T, k string) int { return strings.Compare(keyOf(t), k) })
	if !found {
		var none T
		return none, false
	}
	return list[i], true
}
