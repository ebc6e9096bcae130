package dcc

// Test files in the layout of the member states' common test data.

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxFile bounds a test file. Some hold a picture of the QR code.
const maxFile = 4 << 20

// file is one test file, as far as we read it. Values are of any type, since the states wrote several.
type file struct {
	Prefix     string `json:"PREFIX"`
	Base45     string `json:"BASE45"`
	Compressed string `json:"COMPRESSED"`
	COSE       string `json:"COSE"`
	Context    struct {
		Certificate string `json:"CERTIFICATE"`
		Clock       string `json:"VALIDATIONCLOCK"`
	} `json:"TESTCTX"`
	Expected map[string]any `json:"EXPECTEDRESULTS"`
}

// LineResult is the line that `bulla issuer check-dcc --json` prints for a file.
type LineResult struct {
	File     string `json:"file"`
	Accepted bool   `json:"accepted"`
	Step     Step   `json:"step"`
	Reason   string `json:"reason"`
}

// Line checks one test file. A file that cannot be read as one is an error, which says what is wrong with it.
func Line(name string, data []byte) (LineResult, error) {
	report, err := CheckFile(data)
	if err != nil {
		return LineResult{}, fmt.Errorf("%s: %w", name, err)
	}
	return LineResult{File: name, Accepted: report.Accepted, Step: report.Step, Reason: report.Reason}, nil
}

// Report is the outcome for a test file.
type Report struct {
	Result
	// Disagreements lists where the file expects another outcome; empty if we agree.
	Disagreements []string
}

// CheckFile checks the certificate of a test file against the file's own signer, at its own clock, and compares the
// outcome with what the file expects. It starts from the text of the QR code, or else from the first later form that
// the file has. A file without a clock is judged at the certificate's time of issue, and one whose signer's certificate
// is missing or unusable is refused at the signature.
func CheckFile(data []byte) (Report, error) {
	f, err := parseFile(data)
	if err != nil {
		return Report{}, err
	}
	signer, signerErr := f.signer()
	checker, err := f.checker(signer)
	if err != nil {
		return Report{}, err
	}
	result, err := f.check(checker)
	if err != nil {
		return Report{}, err
	}
	if result.Step == StepSignature && signerErr != nil {
		result.Reason = signerErr.Error()
	}
	return Report{Result: result, Disagreements: f.disagreements(result)}, nil
}

func parseFile(data []byte) (*file, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), maxFile)
	}
	f := new(file)
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), f); err != nil {
		return nil, fmt.Errorf("not a test file: %w", err)
	}
	if f.Prefix == "" && f.Base45 == "" && f.Compressed == "" && f.COSE == "" {
		return nil, errors.New("not a test file: it has none of PREFIX, BASE45, COMPRESSED, COSE")
	}
	return f, nil
}

func (f *file) signer() (*Signer, error) {
	if f.Context.Certificate == "" {
		return nil, errors.New("the file has no TESTCTX.CERTIFICATE to verify with")
	}
	signer, err := parseSignerText(f.Context.Certificate)
	if err != nil {
		return nil, fmt.Errorf("TESTCTX.CERTIFICATE: %w", err)
	}
	return signer, nil
}

// checker knows the file's signer, unless that is nil, and the file's clock.
func (f *file) checker(signer *Signer) (*Checker, error) {
	checker := New(Config{})
	if signer != nil {
		checker.signers = []*Signer{signer}
	}
	if f.Context.Clock == "" {
		checker.atIssue = true
		return checker, nil
	}
	clock, err := ParseClock(f.Context.Clock)
	if err != nil {
		return nil, fmt.Errorf("TESTCTX.VALIDATIONCLOCK: %w", err)
	}
	checker.clock = func() time.Time { return clock }
	return checker, nil
}

// parseSignerText reads a certificate in base64, with or without the lines of PEM around it.
func parseSignerText(text string) (*Signer, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return ParseSigner(block.Bytes)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("decode base64: %w", err)
	}
	return ParseSigner(der)
}

// clockLayouts are the spellings of a clock that the states use. Fractions of a second are read in all of them.
var clockLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly,
}

// ParseClock reads a validation clock. Without a zone it is in UTC.
func ParseClock(text string) (time.Time, error) {
	for _, layout := range clockLayouts {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time like 2021-05-03T18:00:00Z", text)
}

func (f *file) check(c *Checker) (Result, error) {
	switch {
	case f.Prefix != "":
		return c.Check(f.Prefix), nil
	case f.Base45 != "":
		return c.Check(Prefix + f.Base45), nil
	}
	text, check, field := f.Compressed, c.checkCompressed, "COMPRESSED"
	if text == "" {
		text, check, field = f.COSE, c.checkMessage, "COSE"
	}
	data, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return Result{}, fmt.Errorf("%s: decode hex: %w", field, err)
	}
	return resultOf(check(data)), nil
}

// expectations maps what a file may expect to the step that decides it. Other keys (ENCODE, PICTUREDECODE) are about
// making certificates and reading pictures.
var expectations = map[string]Step{
	"EXPECTEDPREFIX":           StepPrefix,
	"EXPECTEDUNPREFIX":         StepPrefix,
	"EXPECTEDB45DECODE":        StepBase45,
	"EXPECTEDCOMPRESSION":      StepZlib,
	"EXPECTEDDECODE":           StepCBOR,
	"EXPECTEDVALIDJSON":        StepCBOR,
	"EXPECTEDVERIFY":           StepSignature,
	"EXPECTEDKEYUSAGE":         StepKeyUsage,
	"EXPECTEDEXPIRATIONCHECK":  StepValidity,
	"EXPECTEDSCHEMAVALIDATION": StepSchema,
	"EXPECTEDVALIDOBJECT":      StepSchema,
}

// disagreements compares step by step. A step after the refused one did not run: nothing is said about it.
func (f *file) disagreements(result Result) []string {
	var found []string
	for key, step := range expectations {
		passed, states := f.Expected[key].(bool)
		if !states {
			continue
		}
		refusedHere := result.Step == step
		ran := result.Accepted || order(step) <= order(result.Step)
		if ran && passed == refusedHere {
			found = append(found, fmt.Sprintf("%s is %t, but the step %s says otherwise", key, passed, step))
		}
	}
	return found
}

func order(step Step) int {
	for i, s := range Steps {
		if s == step {
			return i
		}
	}
	return len(Steps)
}
