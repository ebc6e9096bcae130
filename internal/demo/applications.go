package demo

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
)

// Residence is an application for residency of a county-level district, by its code, since a date.
func Residence(person, district, since string) (issuer.Application, error) {
	china, err := divisions.China()
	if err != nil {
		return issuer.Application{}, err
	}
	d, ok := china.Lookup(district)
	if !ok {
		return issuer.Application{}, fmt.Errorf("there is no district %s: want a code of six digits such as 110108", district)
	}
	return issuer.Application{Person: person, Schema: divisions.ResidenceType, Claims: d.Claims(since)}, nil
}

// Title is an application for a parcel's title.
func Title(person string, p cadastre.Parcel) issuer.Application {
	return issuer.Application{Person: person, Schema: cadastre.TitleType, Claims: cadastre.Claims(p), Subject: p.Subject()}
}

// Holding is a parcel with whom the demo's land registry has as its holder. The export names nobody, so holders are
// invented: holder-0001 has the first two parcels, and so on.
type Holding struct {
	cadastre.Parcel
	Holder string
}

// Holdings are all parcels of the demo's commune with their holders, in the order of the export.
func Holdings() ([]Holding, error) {
	parcels, err := cadastre.Epinay()
	if err != nil {
		return nil, err
	}
	holdings := make([]Holding, len(parcels))
	for i, p := range parcels {
		holdings[i] = Holding{p, fmt.Sprintf("holder-%04d", i/2+1)}
	}
	return holdings, nil
}

// Parcel finds a parcel of the demo's commune by its id.
func Parcel(id string) (Holding, error) {
	all, err := Holdings()
	if err != nil {
		return Holding{}, err
	}
	for _, h := range all {
		if h.ID == id {
			return h, nil
		}
	}
	return Holding{}, fmt.Errorf("there is no parcel %s in the commune %s: want an id such as %s", id, commune, all[0].ID)
}

// Vaccination is an application from a health certificate that was checked.
func Vaccination(person string, checked dcc.Result) (issuer.Application, error) {
	if !checked.Accepted {
		return issuer.Application{}, fmt.Errorf("the certificate is refused at %s: %s", checked.Step, checked.Reason)
	}
	claims, err := dcc.Claims(checked.Certificate)
	if err != nil {
		return issuer.Application{}, err
	}
	return issuer.Application{Person: person, Schema: dcc.VaccinationType, Claims: claims}, nil
}

// sampled is an application from a sample certificate, checked as of its own time: the samples are from 2021 and signed
// with the member states' test keys.
func sampled(person string, sample dcc.Sample) (issuer.Application, error) {
	checker := dcc.New(dcc.Config{Signers: []*dcc.Signer{sample.Signer}, Clock: func() time.Time { return sample.Clock }})
	return Vaccination(person, checker.Check(sample.Text))
}

// largeParcels are the parcels that fulfil the demo's policy, in the order of the export.
func largeParcels() ([]cadastre.Parcel, error) {
	all, err := cadastre.Epinay()
	if err != nil {
		return nil, err
	}
	var large []cadastre.Parcel
	for _, p := range all {
		if p.Area != nil && *p.Area >= 500 && p.Created != "" {
			large = append(large, p)
		}
	}
	return large, nil
}

// Loaded counts the real records that the demo's agencies work with.
type Loaded struct {
	Districts    int `json:"districts"`    // that the civil affairs office knows
	Parcels      int `json:"parcels"`      // that the land registry has, each with an invented holder
	Certificates int `json:"certificates"` // that the health agency has at hand, of states' test persons
}

// Load reads all of it; it is embedded in the program.
func Load() (l Loaded, err error) {
	china, err := divisions.China()
	if err != nil {
		return l, err
	}
	holdings, err := Holdings()
	if err != nil {
		return l, err
	}
	samples, err := dcc.Samples()
	return Loaded{len(china.Districts()), len(holdings), len(samples)}, err
}
