package explore

import (
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// Party is a signer, or whoever entries speak of: an issuer, a verifier, both, or governance.
type Party struct {
	DID          string          `json:"did"` // or the word governance
	Name         credential.Text `json:"name"`
	Issuer       bool            `json:"issuer"`
	Verifier     bool            `json:"verifier"`
	Registered   uint64          `json:"registered"`     // index of its newest registration
	Last         uint64          `json:"last"`           // index of the newest entry by it or about it
	Entries      uint64          `json:"entries"`        // that it signed
	Keys         []string        `json:"keys,omitempty"` // ids
	URL          string          `json:"url"`            // of an issuer
	Quota        uint64          `json:"quota"`
	Stopped      bool            `json:"stopped"` // suspended by governance
	Reason       string          `json:"reason"`
	Issued       uint64          `json:"issued"`
	Live         uint64          `json:"live"`
	Suspended    uint64          `json:"suspended"`
	Revoked      uint64          `json:"revoked"`
	AuditRecords uint64          `json:"audit_records"`           // of its audit log, as anchored last
	ResponseURIs []string        `json:"response_uris,omitempty"` // of a verifier
}

func keyIDs(keys []jose.PublicKey) []string {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.KeyID()
	}
	return ids
}

// Party is what is known of a party, or [ErrAbsent].
func (x *Index) Party(did string) (*Party, error) {
	text, err := x.rows.Get([]byte(prefixParty + did))
	if err != nil {
		return nil, absent(err)
	}
	p := new(Party)
	return p, credential.ParseCanonical(text, p)
}

// Name is a party's name, or its DID where it has none.
func (x *Index) Name(did, language string) string {
	if p, err := x.Party(did); err == nil {
		if name := p.Name.In(language); name != "" {
			return name
		}
	}
	return did
}

// Issuers is up to limit issuers, ascending by DID, all behind after; and whether there are more.
func (x *Index) Issuers(after string, limit int) ([]*Party, bool, error) {
	return x.parties(prefixIssuer, after, limit)
}

// Verifiers is as [Index.Issuers].
func (x *Index) Verifiers(after string, limit int) ([]*Party, bool, error) {
	return x.parties(prefixVerifier, after, limit)
}

func (x *Index) parties(prefix, after string, limit int) (list []*Party, more bool, err error) {
	keys, more, err := x.keys(prefix, after, limit)
	for _, did := range keys {
		p, err := x.Party(did)
		if err != nil {
			return nil, false, err
		}
		list = append(list, p)
	}
	return list, more, err
}
