package cadastre

import (
	"strconv"

	"github.com/bulla-id/bulla/credential"
)

// TitleType is the type of [ParcelSchema].
const TitleType = "urn:bulla:schema:land-title:1"

// ParcelSchema describes a title to a parcel. The subject register makes the subject key follow the parcel, whoever
// holds it. Issuers keep their own enrolment registers.
func ParcelSchema(subjectRegister string) *credential.Schema {
	return &credential.Schema{
		Type:              TitleType,
		EnrolmentRegister: credential.IssuerRegister,
		SubjectRegister:   subjectRegister,
		Display:           &credential.Text{English: "Land title", Chinese: "不动产权证（土地）"},
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String,
				Display: &credential.Text{English: "Parcel", Chinese: "宗地编号"}},
			{Name: "commune", Type: credential.String,
				Display: &credential.Text{English: "Commune", Chinese: "市镇"},
				Labels:  map[string]credential.Text{"91216": {English: "Épinay-sur-Orge", Chinese: "奥尔日河畔埃皮奈"}}},
			{Name: "section", Type: credential.String,
				Display: &credential.Text{English: "Section", Chinese: "地籍分区"}},
			{Name: "area", Type: credential.Integer, Optional: true,
				Display: &credential.Text{English: "Area", Chinese: "面积"},
				Unit:    &credential.Text{English: "m²", Chinese: "平方米"}},
			{Name: "registered_since", Type: credential.Date, Optional: true,
				Display: &credential.Text{English: "Registered since", Chinese: "登记日期"}},
		},
	}
}

// Claims are the claims of a parcel. What the export does not say is left out: a clause on it is then false.
func Claims(p Parcel) credential.Claims {
	claims := credential.Claims{"parcel": p.ID, "commune": p.Commune, "section": p.Section}
	if p.Area != nil {
		claims["area"] = strconv.FormatInt(*p.Area, 10)
	}
	if p.Created != "" {
		claims["registered_since"] = p.Created
	}
	return claims
}

// Subject is what the subject key of a parcel is derived from in the subject register.
func (p Parcel) Subject() string { return p.ID }
