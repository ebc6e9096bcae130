package ceremony

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bulla-id/bulla/credential"
)

const (
	format  = "bulla-ceremony"
	version = 1

	maxTranscript    = 1 << 20 // bytes
	maxCircuits      = 8
	maxDomain        = 1 << 20
	maxContributions = 1000 // in one phase

	// minContributions keeps a phase from being closed with nobody in it, or one person: the beacon is public, so one
	// contributor alone would know the secret.
	minContributions = 2

	maxName, maxTitle, maxSource = 64, 200, 500 // bytes
	minBeacon, maxBeacon         = 32, 64       // bytes
)

// Transcript is everything that happened in a ceremony, in order. Its canonical JSON is the file; the SHA-256 of that
// file once the ceremony is finished is what the chain's entry of a verifying key carries.
type Transcript struct {
	Plan   Plan    `json:"plan"`
	Phases []Phase `json:"phases"` // one or two: phase 1, the powers of tau; phase 2, the circuits
	Keys   []Key   `json:"keys"`   // none before the ceremony is finished, then one a circuit
}

// Plan is what a ceremony is for. Its digest stands in every state file.
type Plan struct {
	Format   string           `json:"format"`  // bulla-ceremony
	Version  int              `json:"version"` // 1
	Title    string           `json:"title"`   // for readers
	Circuits []PlannedCircuit `json:"circuits"`
	Powers   int              `json:"powers"` // the largest domain: phase 1 has this many powers of tau in G2
}

// PlannedCircuit is a circuit that gets keys.
type PlannedCircuit struct {
	Name         string            `json:"name"`
	Digest       credential.Digest `json:"digest"` // SHA-256 of the compiled constraint system
	Constraints  int               `json:"constraints"`
	PublicInputs int               `json:"public_inputs"`
	Domain       int               `json:"domain"` // a power of two
}

// Phase is one of the two.
type Phase struct {
	Start         credential.Digest `json:"start"` // of the state file that the first contribution builds on
	Contributions []Contribution    `json:"contributions"`
	Beacon        *Beacon           `json:"beacon,omitempty"` // once the phase is closed
}

// Contribution is one person's part in one phase.
type Contribution struct {
	Number   int               `json:"number"` // from 1
	Name     string            `json:"name"`   // whose; once in a phase
	Previous credential.Digest `json:"previous"`
	Digest   credential.Digest `json:"digest"` // of the state file
}

// Beacon is a public random value that nobody could know when the last contribution was made.
type Beacon struct {
	Value  string `json:"value"`  // hexadecimal, lower case, 32 to 64 bytes
	Source string `json:"source"` // where everybody can look it up
}

// Key is what the ceremony yields for a circuit.
type Key struct {
	Circuit      string            `json:"circuit"`
	VerifyingKey credential.Digest `json:"verifying_key"` // SHA-256 of the file
	ProvingKey   credential.Digest `json:"proving_key"`   // SHA-256 of the file
}

// newPhase is a phase without contributions.
func newPhase(start []byte) Phase {
	return Phase{Start: credential.DigestOf(start), Contributions: []Contribution{}}
}

// Digest is the SHA-256 of the canonical JSON, thus of the file.
func (t *Transcript) Digest() (credential.Digest, error) {
	data, err := credential.Canonical(t)
	return credential.DigestOf(data), err
}

// Finished tells whether there are keys.
func (t *Transcript) Finished() bool { return len(t.Keys) > 0 }

func (p Plan) digest() credential.Digest {
	data, err := credential.Canonical(p)
	if err != nil {
		return credential.Digest{} // Validate refuses such a plan
	}
	return credential.DigestOf(data)
}

// ParseTranscript reads a transcript, canonical and well formed or not at all. That it is true, [Ceremony.Verify] finds out.
func ParseTranscript(data []byte) (Transcript, error) {
	if len(data) > maxTranscript {
		return Transcript{}, fmt.Errorf("transcript of more than %d bytes", maxTranscript)
	}
	var t Transcript
	if err := credential.ParseCanonical(data, &t); err != nil {
		return Transcript{}, fmt.Errorf("transcript: %w", err)
	}
	return t, t.Validate()
}

func readTranscript(path string) (Transcript, error) {
	f, err := os.Open(path)
	if err != nil {
		return Transcript{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTranscript+1))
	if err != nil {
		return Transcript{}, err
	}
	return ParseTranscript(data)
}

// Validate checks the form: bounds, order, names.
func (t *Transcript) Validate() error {
	if err := t.Plan.validate(); err != nil {
		return fmt.Errorf("transcript: %w", err)
	}
	if len(t.Phases) < 1 || len(t.Phases) > 2 {
		return fmt.Errorf("transcript: %d phases, want 1 or 2", len(t.Phases))
	}
	for i := range t.Phases {
		if err := t.Phases[i].validate(i + 1); err != nil {
			return fmt.Errorf("transcript: %w", err)
		}
	}
	if err := t.validateEnd(); err != nil {
		return fmt.Errorf("transcript: %w", err)
	}
	return nil
}

// validateEnd checks what belongs together: a second phase to a first beacon, keys to a second.
func (t *Transcript) validateEnd() error {
	if opened := len(t.Phases) == 2; opened != (t.Phases[0].Beacon != nil) {
		return errors.New("phase 2 begins with the beacon of phase 1, and neither is without the other")
	}
	finished := len(t.Phases) == 2 && t.Phases[1].Beacon != nil
	switch {
	case !finished && len(t.Keys) == 0:
		return nil
	case !finished || len(t.Keys) != len(t.Plan.Circuits):
		return errors.New("keys belong to the beacon of phase 2, one pair to each circuit")
	case t.Phases[0].Beacon.Value == t.Phases[1].Beacon.Value:
		return errors.New("the beacon of phase 2 is that of phase 1, which was known before phase 2 began")
	}
	for i, key := range t.Keys {
		if key.Circuit != t.Plan.Circuits[i].Name {
			return fmt.Errorf("keys of %.100q where those of %s belong", key.Circuit, t.Plan.Circuits[i].Name)
		}
	}
	return nil
}

func (p *Plan) validate() error {
	if p.Format != format || p.Version != version {
		return fmt.Errorf("format %.100q, version %d, want %s, %d", p.Format, p.Version, format, version)
	}
	if err := validateText("title", p.Title, maxTitle); err != nil {
		return err
	}
	if len(p.Circuits) < 1 || len(p.Circuits) > maxCircuits {
		return fmt.Errorf("%d circuits, want 1 to %d", len(p.Circuits), maxCircuits)
	}
	seen := make(map[string]bool)
	powers := 0
	for _, c := range p.Circuits {
		if !credential.ValidName(c.Name) {
			return fmt.Errorf("circuit %.100q has no plain name", c.Name)
		}
		if seen[c.Name] {
			return fmt.Errorf("circuit %s is there twice", c.Name)
		}
		seen[c.Name] = true
		if c.Domain < 2 || c.Domain > maxDomain || c.Domain&(c.Domain-1) != 0 || c.Constraints < 1 || c.Constraints > c.Domain {
			return fmt.Errorf("circuit %s has %d constraints and a domain of %d", c.Name, c.Constraints, c.Domain)
		}
		powers = max(powers, c.Domain)
	}
	if p.Powers != powers {
		return fmt.Errorf("%d powers of tau, want %d", p.Powers, powers)
	}
	return nil
}

func (p *Phase) validate(phase int) error {
	for i, c := range p.Contributions {
		if err := validateLine(p.Contributions[:i], c); err != nil {
			return &Fault{phase, i + 1, c.Name, err}
		}
	}
	if p.Beacon == nil {
		return nil
	}
	if len(p.Contributions) < minContributions {
		return fmt.Errorf("phase %d has %d contributions and is closed, want at least %d", phase, len(p.Contributions), minContributions)
	}
	if _, err := p.Beacon.bytes(); err != nil {
		return fmt.Errorf("phase %d: %w", phase, err)
	}
	return nil
}

// validateLine checks a contribution's line after those before it.
func validateLine(before []Contribution, c Contribution) error {
	if err := validateText("name", c.Name, maxName); err != nil {
		return err
	}
	if want := len(before) + 1; c.Number != want || want > maxContributions {
		return fmt.Errorf("it has the number %d, want %d, at most %d", c.Number, want, maxContributions)
	}
	if slices.ContainsFunc(before, func(other Contribution) bool { return other.Name == c.Name }) {
		return fmt.Errorf("somebody named %.100q contributed to this phase before", c.Name)
	}
	return nil
}

// bytes checks the beacon and is its value.
func (b *Beacon) bytes() ([]byte, error) {
	if err := validateText("source of the beacon", b.Source, maxSource); err != nil {
		return nil, err
	}
	value, err := hex.DecodeString(b.Value)
	if err != nil || b.Value != strings.ToLower(b.Value) || len(value) < minBeacon || len(value) > maxBeacon {
		return nil, fmt.Errorf("beacon is not %d to %d bytes in lower-case hexadecimal", minBeacon, maxBeacon)
	}
	return value, nil
}

// validateText refuses text that is empty, long, hidden, or has a second spelling.
func validateText(what, s string, most int) error {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if s == "" || len(s) > most || !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, hidden) {
		return fmt.Errorf("%s must be 1 to %d bytes of printable text in Unicode NFC, without spaces around it", what, most)
	}
	return nil
}
