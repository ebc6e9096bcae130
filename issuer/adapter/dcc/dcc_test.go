package dcc

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// contradictions are the files that were issued after their own clock.
var contradictions = map[string]bool{
	"FR/recovery_ok.json": true, "FR/test_pcr_ok.json": true, "FR/vaccin_ok.json": true, "LU/INCERT_R_DCC_Recovery.json": true,
}

// refused are the files of common/ that are to be refused, each at its step.
var refused = map[string]Step{
	"common/H1.json": StepPrefix, "common/B1.json": StepBase45, "common/Z1.json": StepZlib, "common/CBO1.json": StepCBOR,
	"common/CO5.json": StepSignature, "common/CO6.json": StepKeyUsage, "common/CO7.json": StepKeyUsage,
	"common/CO8.json": StepKeyUsage, "common/CO9.json": StepKeyUsage, "common/CO10.json": StepKeyUsage,
	"common/CO11.json": StepKeyUsage, "common/DGC1.json": StepSchema,
}

func testFiles(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d test files, error %v", len(paths), err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(filepath.ToSlash(path), "testdata/")] = data
	}
	return files
}

func TestStatesFiles(t *testing.T) {
	for name, data := range testFiles(t) {
		report, err := CheckFile(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := refused[name]
		if contradictions[name] {
			want = StepValidity
		}
		if report.Step != want || report.Accepted != (want == "") || report.Accepted != (report.Reason == "") {
			t.Errorf("%s: accepted %t, step %q, reason %q; want step %q", name, report.Accepted, report.Step, report.Reason, want)
		}
		if len(report.Disagreements) > 0 {
			t.Errorf("%s: %v", name, report.Disagreements)
		}
		if (report.Certificate != nil) != report.Accepted {
			t.Errorf("%s: a certificate goes with acceptance and only with it", name)
		}
	}
}

func TestEveryVaccinationEncodes(t *testing.T) {
	schema := VaccinationSchema("health")
	if err := schema.Validate(); err != nil {
		t.Fatal(err)
	}
	encoded, birthDates := 0, 0
	for name, data := range testFiles(t) {
		report, err := CheckFile(data)
		if err != nil || !report.Accepted {
			continue
		}
		claims, err := Claims(report.Certificate)
		if len(report.Certificate.Vaccinations) == 0 {
			if err == nil {
				t.Errorf("%s: claims without a vaccination", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := schema.Encode(claims); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if person, err := report.Certificate.Person(); err != nil || !strings.HasPrefix(person, `["`) {
			t.Errorf("%s: person %q, error %v", name, person, err)
		}
		encoded++
		if _, full := claims["birth_date"]; full {
			birthDates++
		}
	}
	if encoded < 35 || birthDates == encoded {
		t.Errorf("%d vaccinations, %d with a full birth date: BE/4 has only a year", encoded, birthDates)
	}
}

func TestSamples(t *testing.T) {
	samples, err := Samples()
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		checker := New(Config{Signers: []*Signer{sample.Signer}, Clock: func() time.Time { return sample.Clock }})
		result := checker.Check(sample.Text)
		if !result.Accepted {
			t.Errorf("%s: %s: %s", sample.Name, result.Step, result.Reason)
			continue
		}
		claims, err := Claims(result.Certificate)
		if err != nil {
			t.Errorf("%s: %v", sample.Name, err)
		}
		if label := VaccinationSchema("r").Claims[0].Label(claims["product"].(string), "en"); strings.HasPrefix(label, "EU/") {
			t.Errorf("%s: product %s has no name", sample.Name, label)
		}
	}
	if result := New(Config{}).Check(samples[0].Text); result.Step != StepSignature {
		t.Errorf("without signers the step is %q", result.Step)
	}
	if result := New(Config{Signers: []*Signer{samples[1].Signer, samples[0].Signer}, Clock: func() time.Time { return samples[0].Clock }}).
		Check(samples[0].Text); !result.Accepted {
		t.Errorf("with two signers: %s: %s", result.Step, result.Reason)
	}
}

func TestLine(t *testing.T) {
	files := testFiles(t)
	for name, want := range map[string]string{
		"AT/1.json":       `{"file":"AT/1.json","accepted":true,"step":"","reason":""}`,
		"common/CO5.json": `{"file":"common/CO5.json","accepted":false,"step":"signature","reason":"the signature is not of the signer's key"}`,
	} {
		line, err := Line(name, files[name])
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(line); string(got) != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	good := string(files["AT/1.json"])
	for name, c := range map[string]struct{ text, want string }{
		"not JSON":      {"HC1:", "not a test file"},
		"nothing in it": {"{}", "none of PREFIX"},
		"bad hex":       {`{"COSE":"xyz"}`, "decode hex"},
		"bad clock":     {strings.Replace(good, "2021-05-06T18:00:00Z", "yesterday", 1), "TESTCTX.VALIDATIONCLOCK"},
	} {
		if _, err := Line("f", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestFilesThatLackSomething(t *testing.T) {
	good := string(testFiles(t)["AT/1.json"])
	for name, c := range map[string]struct {
		text, reason string
		step         Step
	}{
		"bad certificate": {strings.Replace(good, `"CERTIFICATE": "MII`, `"CERTIFICATE": "MIJ`, 1), "TESTCTX.CERTIFICATE", StepSignature},
		"no certificate":  {strings.Replace(good, `"CERTIFICATE"`, `"OTHER"`, 1), "TESTCTX.CERTIFICATE", StepSignature},
		"no clock":        {strings.Replace(good, `"VALIDATIONCLOCK"`, `"OTHER"`, 1), "", ""},
		"byte order mark": {"\xef\xbb\xbf" + good, "", ""},
	} {
		report, err := CheckFile([]byte(c.text))
		if err != nil || report.Step != c.step || !strings.Contains(report.Reason, c.reason) {
			t.Errorf("%s: step %q, reason %q, error %v", name, report.Step, report.Reason, err)
		}
	}
}

// TestLaterForms starts from the later forms of a file: each must come to the same end.
func TestLaterForms(t *testing.T) {
	for _, name := range []string{"AT/1.json", "common/CO2.json", "CH/1.json", "LT/1.json"} {
		var fields map[string]any
		if err := json.Unmarshal(testFiles(t)[name], &fields); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"PREFIX", "BASE45", "COMPRESSED"} {
			delete(fields, field)
			data, _ := json.Marshal(fields)
			if report, err := CheckFile(data); err != nil || !report.Accepted {
				t.Errorf("%s without %s: step %q, reason %q, error %v", name, field, report.Step, report.Reason, err)
			}
		}
	}
}

func TestDisagreements(t *testing.T) {
	data := strings.Replace(string(testFiles(t)["common/CO5.json"]), `"EXPECTEDVERIFY": false`, `"EXPECTEDVERIFY": true`, 1)
	if report, err := CheckFile([]byte(data)); err != nil || len(report.Disagreements) != 1 {
		t.Errorf("disagreements %v, error %v", report.Disagreements, err)
	}
	data = strings.Replace(string(testFiles(t)["AT/1.json"]), `"EXPECTEDDECODE": true`, `"EXPECTEDDECODE": false`, 1)
	if report, err := CheckFile([]byte(data)); err != nil || len(report.Disagreements) != 1 {
		t.Errorf("disagreements %v, error %v", report.Disagreements, err)
	}
}

func TestParseClock(t *testing.T) {
	want := time.Date(2021, 5, 3, 18, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2021-05-03T18:00:00Z", "2021-05-03T18:00:00.000Z", "2021-05-03T20:00:00+02:00", "2021-05-03T20:00:00+0200",
		"2021-05-03T20:00:00.0+02", "2021-05-03T18:00:00", "2021-05-03T18:00:00.000000", "2021-05-03 18:00:00", "2021-05-03T18:00Z",
	} {
		if got, err := ParseClock(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, error %v", text, got, err)
		}
	}
	if _, err := ParseClock("03.05.2021"); err == nil {
		t.Error("a clock in another spelling is read")
	}
}

func FuzzCheck(f *testing.F) {
	samples, err := Samples()
	if err != nil {
		f.Fatal(err)
	}
	var signers []*Signer
	for _, sample := range samples {
		f.Add(sample.Text)
		signers = append(signers, sample.Signer)
	}
	for _, data := range testFiles(f) {
		if file, err := parseFile(data); err == nil && file.Prefix != "" && len(data) < 3000 {
			f.Add(file.Prefix)
		}
	}
	checker := New(Config{Signers: signers, Clock: func() time.Time { return samples[0].Clock }})
	f.Fuzz(func(t *testing.T, text string) {
		result := checker.Check(text)
		if result.Accepted == (result.Step != "") || result.Accepted == (result.Reason != "") {
			t.Fatalf("accepted %t, step %q, reason %q", result.Accepted, result.Step, result.Reason)
		}
		if !result.Accepted {
			fuzztest.Refused(t, errors.New(result.Reason))
		}
	})
}
