package testvectors

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// schemaVector is a schema and its id.
type schemaVector struct {
	Name   string             `json:"name"`
	Schema *credential.Schema `json:"schema"`
	Expect string             `json:"expect"`
	ID     *hexElement        `json:"id,omitempty"`
}

// land is a schema with a claim of each type.
func land() *credential.Schema {
	return &credential.Schema{
		Type: "urn:bulla:schema:title:1",
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String, Display: &credential.Text{English: "Parcel", Chinese: "地块"}},
			{Name: "area", Type: credential.Integer, Scale: 1, Unit: &credential.Text{English: "m²"}},
			{Name: "since", Type: credential.Date, Optional: true},
			{Name: "seen", Type: credential.DateTime, Optional: true},
			{Name: "right", Type: credential.Enum, Values: []string{"owner", "tenant", "heir"}, Labels: map[string]credential.Text{"owner": {English: "Owner"}}},
			{Name: "disputed", Type: credential.Boolean, Optional: true},
		},
		EnrolmentRegister: "people", OnePerPerson: true, SubjectRegister: "parcels",
		Display: &credential.Text{English: "Land title"},
	}
}

func schemaVectors() ([]schemaVector, error) {
	change := func(f func(*credential.Schema)) *credential.Schema { s := land(); f(s); return s }
	var out []schemaVector
	for _, v := range []struct {
		name, layer string
		schema      *credential.Schema
	}{
		{"a title", "", land()},
		{"the same without display texts", "", land().WithoutDisplay()},
		{"several live", "", change(func(s *credential.Schema) { s.OnePerPerson = false })},
		{"one claim", "", change(func(s *credential.Schema) { s.Claims = s.Claims[:1] })},
		{"17 claims", "schema", change(func(s *credential.Schema) {
			for i := range 11 {
				s.Claims = append(s.Claims, credential.ClaimType{Name: fmt.Sprintf("c%d", i), Type: credential.String})
			}
		})},
		{"a claim twice", "schema", change(func(s *credential.Schema) { s.Claims[1].Name = "parcel" })},
		{"upper-case name", "schema", change(func(s *credential.Schema) { s.Claims[1].Name = "Area" })},
		{"scale of a text", "schema", change(func(s *credential.Schema) { s.Claims[0].Scale = 1 })},
		{"enum without values", "schema", change(func(s *credential.Schema) { s.Claims[4].Values = nil })},
		{"unknown type", "schema", change(func(s *credential.Schema) { s.Claims[0].Type = "float" })},
	} {
		id, err := v.schema.ID()
		word, bad := expect(v.name, err, v.layer)
		if bad != nil {
			return nil, bad
		}
		out = append(out, schemaVector{v.name, v.schema, word, hexOf(id, err)})
	}
	return out, nil
}

// fullVector is a credential with everything that is computed from it.
type fullVector struct {
	Name       string             `json:"name"`
	Schema     *credential.Schema `json:"schema"`
	Claims     credential.Claims  `json:"claims"`
	Issuer     string             `json:"issuer"`
	Master     hexElement         `json:"master_secret"`
	Blinding   hexElement         `json:"blinding"`
	ValidFrom  string             `json:"valid_from"`
	ValidUntil string             `json:"valid_until"`
	SubjectKey hexElement         `json:"subject_key"`
	Salt       hexElement         `json:"salt"`
	Challenge  hexElement         `json:"challenge"`
	N          hexElement         `json:"n"`
	Scope      hexElement         `json:"scope"`

	Slots            []hexElement `json:"slots"`
	HolderCommitment hexElement   `json:"holder_commitment"`
	ClaimsRoot       hexElement   `json:"claims_root"`
	Envelope         hexElement   `json:"envelope"`
	Commitment       hexElement   `json:"commitment"`
	IssuerID         hexElement   `json:"issuer_id"`
	SchemaID         hexElement   `json:"schema_id"`
	Leaf             hexElement   `json:"leaf"`
	Link             hexElement   `json:"link"`
	Item             hexElement   `json:"item"`
	Pseudonym        hexElement   `json:"pseudonym"`
	SubjectTag       hexElement   `json:"subject_tag"` // under the same scope
}

func fullVectors() ([]fullVector, error) {
	var out []fullVector
	for i, v := range []struct {
		name    string
		claims  credential.Claims
		subject bool
		scope   credential.Element
	}{
		{"all claims", credential.Claims{"parcel": "91216-A-12", "area": "512.5", "since": "1999-12-31", "seen": "2024-02-29T12:00:00Z", "right": "owner", "disputed": false}, true, credential.VerifierScope("did:web:shop.example", "counter")},
		{"required claims only, no subject, no scope", credential.Claims{"parcel": "é", "area": "-0.1", "right": "heir"}, false, credential.Element{}},
	} {
		full, err := fullOf(uint64(100+i), v.claims, v.subject, v.scope)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
		full.Name = v.name
		out = append(out, full)
	}
	return out, nil
}

func fullOf(seed uint64, claims credential.Claims, subject bool, scope credential.Element) (fullVector, error) {
	r, schema, issuer := seeded(seed), land(), "did:web:land.example"
	slots, err := schema.Encode(claims)
	if err != nil {
		return fullVector{}, err
	}
	schemaID, err := schema.ID()
	if err != nil {
		return fullVector{}, err
	}
	from, until := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC)
	master := credential.Secret{Element: credential.C4(random(r), random(r), random(r), random(r))} // not below 2^248
	blinding := credential.Secret{Element: credential.C4(random(r), random(r), random(r), random(r))}
	envelope := credential.Envelope{ValidFrom: credential.EncodeTime(from), ValidUntil: credential.EncodeTime(until), Salt: credential.Secret{Element: random(r)}}
	if subject {
		envelope.SubjectKey = credential.Secret{Element: random(r)}
	}
	if err := envelope.Validate(); err != nil {
		return fullVector{}, err
	}
	challenge, n := random(r), random(r)
	hc, root := credential.HolderCommitment(master, blinding), credential.ClaimsRoot(slots)
	commitment := credential.Commitment(hc, root, envelope.Root())
	return fullVector{
		Schema: schema, Claims: claims, Issuer: issuer, Master: hexElement(master.Element), Blinding: hexElement(blinding.Element),
		ValidFrom: from.Format(time.RFC3339), ValidUntil: until.Format(time.RFC3339),
		SubjectKey: hexElement(envelope.SubjectKey.Element), Salt: hexElement(envelope.Salt.Element),
		Challenge: hexElement(challenge), N: hexElement(n), Scope: hexElement(scope),
		Slots: hexElements(slots[:]), HolderCommitment: hexElement(hc), ClaimsRoot: hexElement(root), Envelope: hexElement(envelope.Root()),
		Commitment: hexElement(commitment), IssuerID: hexElement(credential.IssuerID(issuer)), SchemaID: hexElement(schemaID),
		Leaf: hexElement(credential.Leaf(credential.IssuerID(issuer), schemaID, commitment)),
		Link: hexElement(credential.Link(master, challenge, n)), Item: hexElement(credential.Item(blinding, challenge, n)),
		Pseudonym: hexElement(credential.Pseudonym(master, scope)), SubjectTag: hexElement(credential.SubjectTag(envelope.SubjectKey, scope)),
	}, nil
}
