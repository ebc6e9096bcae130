// Package statements makes and reads the vectors of statements.json: statements of the presentation and enrolment
// circuits, good and bad, with their private inputs. The format is described in testvectors/README.md. Only the
// generator and tests import it.
package statements

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// The layers that refuse a bad statement. A circuit's refusal is named by its constraint family: P1 to P7, E1, E2.
const (
	Holds    = ""         // every layer accepts
	Encoding = "encoding" // a public input is no canonical element, or no number of its width: never becomes a statement
	Policy   = "policy"   // the circuit would accept it; clauses that cannot be meant are refused outside of it
)

// File is the content of statements.json.
type File struct {
	// Paths are those that the vectors name by their number here, as many share them.
	Paths        []Path         `json:"paths"`
	Presentation []Presentation `json:"presentation"`
	Enrolment    []Enrolment    `json:"enrolment"`
}

// Presentation is one vector of the presentation circuit.
type Presentation struct {
	Name   string             `json:"name"`
	Expect string             `json:"expect"` // the layer that refuses, or nothing
	Public PresentationPublic `json:"public"`
	// Vector is the same public inputs in the circuit's order; only with good statements and bad encodings.
	Vector  []string             `json:"vector,omitempty"`
	Private *PresentationPrivate `json:"private"`
}

// Enrolment is one vector of the enrolment circuit.
type Enrolment struct {
	Name    string            `json:"name"`
	Expect  string            `json:"expect"`
	Public  EnrolmentPublic   `json:"public"`
	Vector  []string          `json:"vector"`
	Private *EnrolmentPrivate `json:"private"`
}

// Values below are field elements in hex, 64 digits, but for modes, slots and indices, which are numbers. They are
// strings, since some are bad on purpose.

// PresentationPublic is presentation.Public.
type PresentationPublic struct {
	Circuit      string        `json:"circuit,omitempty"` // empty: presentation-1
	Root         string        `json:"root"`
	Schema       string        `json:"schema"`
	IssuerSet    string        `json:"issuer_set"`
	Now          string        `json:"now"`
	Intervals    []*Interval   `json:"intervals"` // as many as the circuit has; null: off, all fields 0
	Equalities   []*Equality   `json:"equalities"`
	Memberships  []*Membership `json:"memberships"`
	Challenge    string        `json:"challenge"`
	N            string        `json:"n"`
	Link         string        `json:"link"`
	Item         string        `json:"item"`
	Scope        string        `json:"scope"`
	Pseudonym    string        `json:"pseudonym"`
	SubjectScope string        `json:"subject_scope"`
	SubjectTag   string        `json:"subject_tag"`
}

// Interval is an interval clause.
type Interval struct {
	Mode uint8  `json:"mode"`
	Slot uint8  `json:"slot"`
	Low  string `json:"low"`
	High string `json:"high"`
}

// Equality is an equality clause.
type Equality struct {
	Mode  uint8  `json:"mode"`
	Slot  uint8  `json:"slot"`
	Value string `json:"value"`
}

// Membership is a membership clause.
type Membership struct {
	Mode uint8  `json:"mode"`
	Slot uint8  `json:"slot"`
	Root string `json:"root"`
}

// PresentationPrivate is presentation.Private.
type PresentationPrivate struct {
	Master     string   `json:"master_secret"`
	Blinding   string   `json:"blinding"`
	Claims     []string `json:"claims"`
	ValidFrom  string   `json:"valid_from"`
	ValidUntil string   `json:"valid_until"`
	SubjectKey string   `json:"subject_key"`
	Salt       string   `json:"salt"`
	Issuer     string   `json:"issuer"`
	ActivePath int      `json:"active_path"` // number of a path of the file
	IssuerPath int      `json:"issuer_path"`
	SetPaths   []*int   `json:"set_paths"` // null for a membership that is off
}

// Path is a tree.Path: the three siblings at each level, leaf level first, in order.
type Path struct {
	Index    uint64      `json:"index"`
	Siblings [][3]string `json:"siblings"`
}

// EnrolmentPublic is enrolment.Public.
type EnrolmentPublic struct {
	HolderCommitment string `json:"holder_commitment"`
	RegisterScope    string `json:"register_scope"`
	Pseudonym        string `json:"pseudonym"`
	Challenge        string `json:"challenge"`
}

// EnrolmentPrivate is enrolment.Private.
type EnrolmentPrivate struct {
	Master   string `json:"master_secret"`
	Blinding string `json:"blinding"`
}

// Write writes statements.json: one vector a line, so that a change shows which.
func Write(path string) error {
	file := Generate()
	var buf bytes.Buffer
	buf.WriteString("{\"paths\": [\n")
	if err := writeLines(&buf, file.Paths); err != nil {
		return err
	}
	buf.WriteString("], \"presentation\": [\n")
	if err := writeLines(&buf, file.Presentation); err != nil {
		return err
	}
	buf.WriteString("], \"enrolment\": [\n")
	if err := writeLines(&buf, file.Enrolment); err != nil {
		return err
	}
	buf.WriteString("]}\n")
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

func writeLines[V any](buf *bytes.Buffer, vectors []V) error {
	for i, v := range vectors {
		line, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode vector %d: %w", i, err)
		}
		buf.Write(line)
		if i < len(vectors)-1 {
			buf.WriteByte(',')
		}
		buf.WriteByte('\n')
	}
	return nil
}

// Read reads statements.json.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file File
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &file, nil
}

// Full is the presentation that the vectors of proofs prove.
func (f *File) Full() (*Presentation, error) {
	for i := range f.Presentation {
		if f.Presentation[i].Name == full {
			return &f.Presentation[i], nil
		}
	}
	return nil, fmt.Errorf("there is no vector %q", full)
}

// Enrols is the enrolment that the vectors of proofs prove.
func (f *File) Enrols() (*Enrolment, error) {
	for i := range f.Enrolment {
		if f.Enrolment[i].Name == enrols {
			return &f.Enrolment[i], nil
		}
	}
	return nil, fmt.Errorf("there is no vector %q", enrols)
}
