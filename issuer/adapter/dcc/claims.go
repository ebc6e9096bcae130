package dcc

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// VaccinationType is the type of [VaccinationSchema].
const VaccinationType = "urn:bulla:schema:vaccination:1"

// VaccinationSchema describes a vaccination as the certificate states it: codes stay codes, texts are for display. A
// person may hold several.
func VaccinationSchema(enrolmentRegister string) *credential.Schema {
	return &credential.Schema{
		Type:              VaccinationType,
		EnrolmentRegister: enrolmentRegister,
		Display:           &credential.Text{English: "Vaccination", Chinese: "疫苗接种凭证"},
		Claims: []credential.ClaimType{
			{Name: "product", Type: credential.String, Labels: productLabels(),
				Display: &credential.Text{English: "Product", Chinese: "疫苗产品"}},
			{Name: "manufacturer", Type: credential.String, Labels: manufacturerLabels(),
				Display: &credential.Text{English: "Manufacturer", Chinese: "生产企业"}},
			{Name: "disease", Type: credential.String, Labels: diseaseLabels(),
				Display: &credential.Text{English: "Disease", Chinese: "所防疾病"}},
			{Name: "doses", Type: credential.Integer,
				Display: &credential.Text{English: "Doses given", Chinese: "已接种剂次"},
				Unit:    &credential.Text{English: "doses", Chinese: "剂"}},
			{Name: "doses_total", Type: credential.Integer,
				Display: &credential.Text{English: "Doses in the series", Chinese: "全程剂次"},
				Unit:    &credential.Text{English: "doses", Chinese: "剂"}},
			{Name: "last_dose", Type: credential.Date,
				Display: &credential.Text{English: "Date of the last dose", Chinese: "末次接种日期"}},
			{Name: "country", Type: credential.String,
				Display: &credential.Text{English: "Country of vaccination", Chinese: "接种国家"}},
			{Name: "birth_date", Type: credential.Date, Optional: true,
				Display: &credential.Text{English: "Date of birth", Chinese: "出生日期"}},
		},
	}
}

// Claims are the claims of a certificate of exactly one vaccination. A birth date that is partial is left out.
func Claims(c *Certificate) (credential.Claims, error) {
	if len(c.Vaccinations) != 1 {
		return nil, fmt.Errorf("the certificate has %d vaccinations, want exactly one", len(c.Vaccinations))
	}
	v := c.Vaccinations[0]
	lastDose, err := day(v.Date)
	if err != nil {
		return nil, fmt.Errorf("claim \"last_dose\": %w", err)
	}
	claims := credential.Claims{
		"product":      v.Product,
		"manufacturer": v.Manufacturer,
		"disease":      v.Disease,
		"last_dose":    lastDose,
		"country":      v.Country,
	}
	for _, name := range []string{"product", "manufacturer", "disease", "country"} {
		if claims[name] == "" {
			return nil, fmt.Errorf("claim %q: empty in the certificate", name)
		}
	}
	for name, count := range map[string]float64{"doses": v.Doses, "doses_total": v.DosesTotal} {
		if count != math.Trunc(count) {
			return nil, fmt.Errorf("claim %q: %v is not whole", name, count)
		}
		claims[name] = strconv.FormatInt(int64(count), 10)
	}
	if birthDate, err := day(c.BirthDate); err == nil {
		claims["birth_date"] = birthDate
	}
	return claims, nil
}

// day is the day of a date that may carry a time after it, as in 2021-03-09T00:00:00.
func day(text string) (string, error) {
	date, _, _ := strings.Cut(text, "T")
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return "", fmt.Errorf("%q is not a full date", text)
	}
	return date, nil
}

// Person identifies the holder for enrolment: the canonical array of the transliterated names and the birth date as
// written. It is stable over all certificates of a person, since those are the fields that machines compare.
func (c *Certificate) Person() (string, error) {
	birthDate, _, _ := strings.Cut(c.BirthDate, "T")
	if c.Name.StandardSurname == "" && c.Name.StandardForename == "" {
		return "", errors.New("the certificate has no transliterated name to identify its holder by")
	}
	if birthDate == "" {
		return "", errors.New("the certificate has no birth date to identify its holder by")
	}
	person, err := credential.Canonical([]string{c.Name.StandardSurname, c.Name.StandardForename, birthDate})
	if err != nil {
		return "", fmt.Errorf("identify the holder: %w", err)
	}
	return string(person), nil
}
