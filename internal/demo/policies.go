package demo

import (
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
)

// Who takes part, by DID. The names are reserved for examples.
const (
	CivilDID  = "did:web:civil.example"
	LandDID   = "did:web:land.example"
	HealthDID = "did:web:health.example"
	CityDID   = "did:web:city.example"   // the relying party
	ClinicDID = "did:web:clinic.example" // another one
)

// Registers that agencies share.
const (
	ResidentsRegister = "urn:bulla:register:residents"
	ParcelsRegister   = "urn:bulla:register:parcels"
)

// The policies of the demo, by id.
const (
	PolicyResidency     = "residency"
	PolicyLand          = "land"
	PolicyVaccination   = "vaccination"
	PolicyResidencyLand = "residency-and-land"
	PolicySubsidy       = "rent-subsidy"     // residency, once per person
	PolicyGrant         = "renovation-grant" // land, once per parcel
	PolicyEstate        = "large-estate"     // a parcel far larger than any at hand
	PolicyOldTitle      = "old-title"        // on a claim that one title lacks
	PolicyCivilVaccine  = "civil-vaccination"
	PolicyTwoTitles     = "two-titles"      // two parcels
	PolicyFresh         = "fresh-residency" // a root of a few seconds at most
	PolicyReadingRoom   = "reading-room"    // residency, or a companion that shows it
)

// The facts in figures.
const (
	commune         = "91216" // Épinay-sur-Orge
	minimumArea     = "500"   // m²
	residencePeriod = policy.Period("P2Y")
	// vaccinePeriod is generous: the member states' test certificates are from 2021.
	vaccinePeriod = policy.Period("P3000D")
	freshness     = 60 // seconds; a production policy would allow an hour, to stay in a large crowd
)

// homeDistricts are the districts that the city serves: Dongcheng, Xicheng, Chaoyang, Haidian.
var homeDistricts = []string{"110101", "110102", "110105", "110108"}

// schemas are the three kinds of credentials.
type schemas struct {
	residence, land, vaccination       *credential.Schema
	residenceID, landID, vaccinationID credential.Element
}

func newSchemas() (s schemas, err error) {
	china, err := divisions.China()
	if err != nil {
		return s, err
	}
	s.residence = divisions.ResidenceSchema(ResidentsRegister)
	if slot, ok := s.residence.Slot("district"); ok {
		s.residence.Claims[slot].Labels = china.Labels(homeDistricts...)
	}
	s.land = cadastre.ParcelSchema(ParcelsRegister)
	s.vaccination = dcc.VaccinationSchema(credential.IssuerRegister)
	for _, p := range []struct {
		schema *credential.Schema
		id     *credential.Element
	}{{s.residence, &s.residenceID}, {s.land, &s.landID}, {s.vaccination, &s.vaccinationID}} {
		if *p.id, err = p.schema.ID(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// queries of the three facts.
func (s schemas) residency() policy.Query {
	return policy.Query{ID: "residence", Schema: s.residenceID, Issuers: []string{CivilDID}, Clauses: []policy.Clause{
		{Claim: "district", In: homeDistricts},
		{Claim: "since", AtLeastAgo: residencePeriod},
	}}
}

func (s schemas) title() policy.Query {
	return policy.Query{ID: "land", Schema: s.landID, Issuers: []string{LandDID}, Clauses: []policy.Clause{
		{Claim: "commune", Equals: commune},
		{Claim: "area", AtLeast: minimumArea},
	}}
}

func (s schemas) vaccine() policy.Query {
	products := dcc.ProductCodes()
	slices.Sort(products)
	return policy.Query{ID: "vaccination", Schema: s.vaccinationID, Issuers: []string{HealthDID}, Clauses: []policy.Clause{
		{Claim: "product", In: products},
		{Claim: "last_dose", WithinLast: vaccinePeriod},
	}}
}

// of lists the schemas that an agency issues.
func (s schemas) of(did string) []*credential.Schema {
	switch did {
	case CivilDID:
		return []*credential.Schema{s.residence, s.vaccination}
	case LandDID:
		return []*credential.Schema{s.land}
	}
	return []*credential.Schema{s.vaccination}
}

// policiesOf lists a relying party's policies.
func (s schemas) policiesOf(did string) []*policy.Policy {
	list := s.cityPolicies()
	if did == ClinicDID {
		list = []policy.Policy{newPolicy(PolicyVaccination, "Vaccination", "疫苗接种", "Admission to the ward", "住院登记", s.vaccine())}
	}
	var out []*policy.Policy
	for i := range list {
		list[i].Verifier = did
		out = append(out, &list[i])
	}
	return out
}

func (s schemas) cityPolicies() []policy.Policy {
	subsidy, grant, estate, oldTitle, civil, reader := s.residency(), s.title(), s.title(), s.title(), s.vaccine(), s.residency()
	reader.Companion = true
	subsidy.Scope = &policy.Scope{Service: "rent-subsidy", Once: true}
	grant.SubjectScope = &policy.Scope{Service: "renovation-grant", Once: true}
	estate.Clauses = []policy.Clause{{Claim: "area", AtLeast: "10000000"}}
	oldTitle.Clauses = []policy.Clause{{Claim: "registered_since", AtLeastAgo: "P1Y"}}
	civil.Issuers = []string{CivilDID}
	first, second := s.title(), s.title()
	first.ID, second.ID = "first", "second"
	list := []policy.Policy{
		newPolicy(PolicyResidency, "Residency", "居住证明", "Library card for residents", "为居民办理借书证", s.residency()),
		newPolicy(PolicyLand, "Land ownership", "土地权属", "Permit to build on own land", "自有土地建设许可", s.title()),
		newPolicy(PolicyVaccination, "Vaccination", "疫苗接种", "Work in a care home", "护理机构从业", s.vaccine()),
		newPolicy(PolicyResidencyLand, "Residency and land", "居住与土地", "Reduced property tax", "房产税减免", s.residency(), s.title()),
		newPolicy(PolicySubsidy, "Rent subsidy", "租房补贴", "Rent subsidy, once per person", "租房补贴，每人一次", subsidy),
		newPolicy(PolicyGrant, "Renovation grant", "修缮补助", "Renovation grant, once per parcel", "修缮补助，每宗地一次", grant),
		newPolicy(PolicyEstate, "Large estate", "大型地产", "Forestry plan of large estates", "大型林地规划", estate),
		newPolicy(PolicyOldTitle, "Title of some age", "持有满一年", "Grazing rights", "放牧权", oldTitle),
		newPolicy(PolicyCivilVaccine, "Vaccination record of the civil office", "民政接种记录", "Archive access", "档案查阅", civil),
		newPolicy(PolicyTwoTitles, "Two parcels", "两宗土地", "Right of way between own parcels", "自有地块间通行权", first, second),
		newPolicy(PolicyReadingRoom, "Residency, by any wallet", "居住证明（任何钱包）", "Reading room for residents", "居民阅览室", reader),
		newPolicy(PolicyFresh, "Residency, seconds fresh", "实时居住证明", "Night gate of the archive", "档案馆夜间入口", s.residency()),
	}
	list[len(list)-1].FreshnessSeconds = freshSeconds
	return list
}

// freshSeconds is the freshness of [PolicyFresh]: shorter than the rest of the story takes.
const freshSeconds = 10

func newPolicy(id, name, chineseName, purpose, chinesePurpose string, queries ...policy.Query) policy.Policy {
	return policy.Policy{
		Version: 1, ID: id, RetentionDays: 30, FreshnessSeconds: freshness, Queries: queries,
		Name: credential.Text{English: name, Chinese: chineseName}, Purpose: credential.Text{English: purpose, Chinese: chinesePurpose},
	}
}
