package dcc

import "github.com/bulla-id/bulla/credential"

// Product is a vaccine with a marketing authorisation of the Union.
type Product struct {
	Code string // number in the Union Register of medicinal products
	Name string
}

// Products are the authorised COVID-19 vaccines, as the eHealth Network's value set "vaccine-medicinal-product" lists
// them. The set also has products authorised elsewhere; those are not "EU-listed".
var Products = []Product{
	{"EU/1/20/1507", "Spikevax"},
	{"EU/1/20/1525", "Jcovden"},
	{"EU/1/20/1528", "Comirnaty"},
	{"EU/1/21/1529", "Vaxzevria"},
	{"EU/1/21/1580", "VidPrevtyn Beta"},
	{"EU/1/21/1618", "Nuvaxovid"},
	{"EU/1/21/1624", "COVID-19 Vaccine Valneva"},
}

// ProductCodes are the codes of [Products], as a policy's set of values wants them.
func ProductCodes() []string {
	codes := make([]string, len(Products))
	for i, p := range Products {
		codes[i] = p.Code
	}
	return codes
}

func productLabels() map[string]credential.Text {
	labels := make(map[string]credential.Text, len(Products))
	for _, p := range Products {
		labels[p.Code] = credential.Text{English: p.Name, Chinese: p.Name}
	}
	return labels
}

// manufacturers are codes of the value set "vaccine-mah-manf" (numbers of EMA's organisation management service).
func manufacturerLabels() map[string]credential.Text {
	return map[string]credential.Text{
		"ORG-100030215": {English: "Biontech Manufacturing GmbH", Chinese: "BioNTech"},
		"ORG-100031184": {English: "Moderna Biotech Spain S.L.", Chinese: "Moderna"},
		"ORG-100001699": {English: "AstraZeneca AB", Chinese: "阿斯利康（AstraZeneca）"},
		"ORG-100001417": {English: "Janssen-Cilag International", Chinese: "杨森（Janssen）"},
		"ORG-100032020": {English: "Novavax CZ a.s.", Chinese: "诺瓦瓦克斯（Novavax）"},
	}
}

// diseaseLabels has the one code (SNOMED CT) of the value set "disease-agent-targeted".
func diseaseLabels() map[string]credential.Text {
	return map[string]credential.Text{"840539006": {English: "COVID-19", Chinese: "新型冠状病毒感染（COVID-19）"}}
}
