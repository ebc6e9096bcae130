package dcc

import (
	"embed"
	"fmt"
	"time"
)

//go:embed testdata/LT/1.json testdata/SE/1.json testdata/AT/1.json
var sampleFiles embed.FS

// Sample is a real certificate, signed with a state's test key for an invented person.
type Sample struct {
	Name   string    // as in LT/1
	Text   string    // of the QR code
	Signer *Signer   // who signed it
	Clock  time.Time // when it was valid
}

// Samples are three vaccination certificates with EU-listed products: three doses of Comirnaty (LT), two of Vaxzevria
// (SE), one of two of Comirnaty (AT).
func Samples() ([]Sample, error) {
	var samples []Sample
	for _, name := range []string{"LT/1", "SE/1", "AT/1"} {
		sample, err := loadSample(name)
		if err != nil {
			return nil, fmt.Errorf("sample %s: %w", name, err)
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

func loadSample(name string) (Sample, error) {
	data, err := sampleFiles.ReadFile("testdata/" + name + ".json")
	if err != nil {
		return Sample{}, err
	}
	f, err := parseFile(data)
	if err != nil {
		return Sample{}, err
	}
	signer, err := f.signer()
	if err != nil {
		return Sample{}, err
	}
	clock, err := ParseClock(f.Context.Clock)
	if err != nil {
		return Sample{}, err
	}
	return Sample{Name: name, Text: f.Prefix, Signer: signer, Clock: clock}, nil
}
