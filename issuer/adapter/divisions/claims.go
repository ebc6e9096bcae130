package divisions

import "github.com/bulla-id/bulla/credential"

// ResidenceType is the type of [ResidenceSchema].
const ResidenceType = "urn:bulla:schema:residence:1"

// ResidenceSchema describes where a person is registered as resident. A person has one live credential of it, within
// the enrolment register that the residence agencies share.
func ResidenceSchema(enrolmentRegister string) *credential.Schema {
	return &credential.Schema{
		Type:              ResidenceType,
		EnrolmentRegister: enrolmentRegister,
		OnePerPerson:      true,
		Display:           &credential.Text{English: "Residence", Chinese: "居住证明"},
		Claims: []credential.ClaimType{
			{Name: "district", Type: credential.String,
				Display: &credential.Text{English: "District", Chinese: "区县"}},
			{Name: "city", Type: credential.String,
				Display: &credential.Text{English: "City", Chinese: "城市"}},
			{Name: "province", Type: credential.String,
				Display: &credential.Text{English: "Province", Chinese: "省份"}},
			{Name: "since", Type: credential.Date,
				Display: &credential.Text{English: "Resident since", Chinese: "居住起始日期"}},
		},
	}
}

// Claims are the claims of a resident of the district since a day (2024-02-29): its code, and the names above it.
func (d District) Claims(since string) credential.Claims {
	return credential.Claims{"district": d.Code, "city": d.CityName(), "province": d.Province, "since": since}
}

// Labels are display texts for the codes of districts, to be shown beside a policy's set of them.
func (r *Register) Labels(codes ...string) map[string]credential.Text {
	labels := map[string]credential.Text{}
	for _, code := range codes {
		if d, found := r.Lookup(code); found {
			labels[code] = credential.Text{Chinese: d.FullName(), English: d.FullName()}
		}
	}
	return labels
}
