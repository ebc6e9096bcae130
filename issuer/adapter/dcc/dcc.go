// Package dcc takes EU Digital COVID Certificates: it checks the text of a QR code step by step, as a verifier app does,
// and turns an accepted vaccination certificate into claims.
//
//	HC1:…  prefix → base45 → zlib → CBOR (CWT in COSE_Sign1) → signature → key usage → validity → schema
//
// The formats are those of the eHealth Network: "Technical Specifications for Digital Green Certificates", volumes 1
// and 3 (the electronic health certificate container), RFC 9285 (base45), RFC 9052 (COSE) and RFC 8392 (CWT). Nothing
// in a QR code is trusted before its signature holds; every size is bounded before it is decoded.
//
// Whoever chooses the signers' certificates can make us accept any certificate: keeping that list current (the states
// withdraw signers) is the caller's duty, so the validity of a signer's own certificate is not judged here.
package dcc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/base45"
)

// Step is a step of the check, in the order in which they are taken.
type Step string

// The steps. Each name is what the check of a refused certificate reports.
const (
	StepPrefix    Step = "prefix"    // the text begins with HC1:
	StepBase45    Step = "base45"    // the rest is base45
	StepZlib      Step = "zlib"      // of one zlib stream
	StepCBOR      Step = "cbor"      // of CBOR, with a health certificate inside
	StepSignature Step = "signature" // that is a COSE_Sign1 message signed by one of the signers
	StepKeyUsage  Step = "key-usage" // who may sign certificates of this kind
	StepValidity  Step = "validity"  // issued, and not expired, at the clock
	StepSchema    Step = "schema"    // and the content has the form of a certificate
)

// Steps lists all steps in order.
var Steps = []Step{StepPrefix, StepBase45, StepZlib, StepCBOR, StepSignature, StepKeyUsage, StepValidity, StepSchema}

// Result is the outcome of a check.
type Result struct {
	Accepted    bool
	Step        Step         // where it was refused; empty if accepted
	Reason      string       // why it was refused; empty if accepted
	Certificate *Certificate // the content, if accepted
}

// refusal is the error of a step.
type refusal struct {
	step Step
	err  error
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %v", r.step, r.err) }
func (r *refusal) Unwrap() error { return r.err }

// at marks an error as the refusal of a step; nil stays nil.
func at(step Step, err error) error {
	if err == nil {
		return nil
	}
	return &refusal{step, err}
}

// Config is what a check needs.
type Config struct {
	Signers []*Signer        // whose certificates are accepted; may be empty, then no signature is
	Clock   func() time.Time // the time to validate at; time.Now if nil
}

// Checker checks certificates against one list of signers. It may be used concurrently.
type Checker struct {
	signers []*Signer
	clock   func() time.Time
	atIssue bool // validate at the time of issue, if the token tells one, and not at the clock
}

// New makes a checker.
func New(cfg Config) *Checker {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Checker{signers: cfg.Signers, clock: cfg.Clock}
}

// Check judges the text of a QR code. It refuses, and never fails: whatever the text is, the result says so.
func (c *Checker) Check(text string) Result {
	certificate, err := c.check(text)
	return resultOf(certificate, err)
}

func resultOf(certificate *Certificate, err error) Result {
	if err == nil {
		return Result{Accepted: true, Certificate: certificate}
	}
	var r *refusal
	if errors.As(err, &r) {
		return Result{Step: r.step, Reason: r.err.Error()}
	}
	panic(fmt.Sprintf("dcc: a step returned an unmarked error: %v", err))
}

func (c *Checker) check(text string) (*Certificate, error) {
	encoded, found := strings.CutPrefix(text, Prefix)
	if !found {
		return nil, at(StepPrefix, fmt.Errorf("the text does not begin with %s", Prefix))
	}
	compressed, err := base45.Decode(encoded)
	if err != nil {
		return nil, at(StepBase45, err)
	}
	return c.checkCompressed(compressed)
}

func (c *Checker) checkCompressed(compressed []byte) (*Certificate, error) {
	message, err := inflate(compressed)
	if err != nil {
		return nil, at(StepZlib, err)
	}
	return c.checkMessage(message)
}

func (c *Checker) checkMessage(data []byte) (*Certificate, error) {
	message, err := parseMessage(data)
	if err != nil {
		return nil, err
	}
	token, err := parseToken(message.payload)
	if err != nil {
		return nil, at(StepCBOR, err)
	}
	signer, err := message.verify(c.signers)
	if err != nil {
		return nil, at(StepSignature, err)
	}
	if err := signer.maySign(token.groups()); err != nil {
		return nil, at(StepKeyUsage, err)
	}
	clock := c.clock()
	if c.atIssue && token.issuedAt != nil {
		clock = *token.issuedAt
	}
	if err := token.validAt(clock); err != nil {
		return nil, at(StepValidity, err)
	}
	certificate, err := token.certificate()
	return certificate, at(StepSchema, err)
}
