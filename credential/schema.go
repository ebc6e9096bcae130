package credential

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"unicode"
)

// Text is a text for people in the languages we serve.
type Text struct {
	English string `json:"en,omitempty"`
	Chinese string `json:"zh-CN,omitempty"`
}

// In is the text in a language ("zh-CN" or "en"), or in the other one if it is missing.
func (t Text) In(language string) string {
	if language == "zh-CN" && t.Chinese != "" || t.English == "" {
		return t.Chinese
	}
	return t.English
}

// ValidateLine refuses text for people that could show something else than it says: control characters (line breaks
// too) and marks that reverse the direction of writing.
func ValidateLine(s string) error {
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return fmt.Errorf("text contains the control character %U", r)
		}
	}
	return nil
}

// ClaimType describes one claim of a schema.
type ClaimType struct {
	Name     string          `json:"name"`
	Type     Type            `json:"type"`
	Scale    int             `json:"scale,omitempty"`    // digits after the point of an integer, 0 to 9
	Values   []string        `json:"values,omitempty"`   // of an enum
	Optional bool            `json:"optional,omitempty"` // may be absent
	Display  *Text           `json:"display,omitempty"`
	Unit     *Text           `json:"unit,omitempty"`   // display only, as in "m²"
	Labels   map[string]Text `json:"labels,omitempty"` // display texts of values
}

func (c ClaimType) hasValue(s string) bool { return slices.Contains(c.Values, s) }

// Label is the text for a value of the claim.
func (c ClaimType) Label(value, language string) string {
	if text := c.Labels[value].In(language); text != "" {
		return text
	}
	return value
}

// Title is the claim's name for people, or its plain name if there is none.
func (c ClaimType) Title(language string) string {
	if c.Display != nil && c.Display.In(language) != "" {
		return c.Display.In(language)
	}
	return c.Name
}

// IssuerRegister as a schema's enrolment register means that each issuer keeps its own, named by its DID.
const IssuerRegister = "issuer"

// Schema names the claims of a kind of credential, in the order of their slots.
type Schema struct {
	Type   string      `json:"type"` // a URN with version, as in urn:bulla:schema:residence:1
	Claims []ClaimType `json:"claims"`
	// EnrolmentRegister is where enrolment pseudonyms are kept: [IssuerRegister], or the name of a register that
	// several agencies share.
	EnrolmentRegister string `json:"enrolment_register"`
	// OnePerPerson declares at most one live credential for each person in the enrolment register.
	OnePerPerson bool `json:"one_per_person,omitempty"`
	// SubjectRegister names the register whose key derives subject keys; empty if credentials have none (k = 0).
	SubjectRegister string `json:"subject_register,omitempty"`
	Display         *Text  `json:"display,omitempty"`
}

var (
	claimNamePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	namePattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._/%-]{0,254}$`)
)

// ValidName tells whether s can name a register, a service, a DID or a type: 1 to 255 plain ASCII characters.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// Validate refuses a schema that could not be encoded, naming the claim.
func (s *Schema) Validate() error {
	if !ValidName(s.Type) {
		return fmt.Errorf("schema type %.100q is not a plain name", s.Type)
	}
	if len(s.Claims) == 0 || len(s.Claims) > Slots {
		return fmt.Errorf("schema %s has %d claims, want 1 to %d", s.Type, len(s.Claims), Slots)
	}
	if !ValidName(s.EnrolmentRegister) {
		return fmt.Errorf("schema %s: enrolment register %.100q is not a plain name", s.Type, s.EnrolmentRegister)
	}
	if s.SubjectRegister != "" && !ValidName(s.SubjectRegister) {
		return fmt.Errorf("schema %s: subject register %.100q is not a plain name", s.Type, s.SubjectRegister)
	}
	seen := make(map[string]bool, len(s.Claims))
	for _, c := range s.Claims {
		if seen[c.Name] {
			return fmt.Errorf("schema %s has the claim %.100q twice", s.Type, c.Name)
		}
		seen[c.Name] = true
		if err := c.validate(); err != nil {
			return fmt.Errorf("schema %s, claim %.100q: %w", s.Type, c.Name, err)
		}
	}
	return nil
}

func (c ClaimType) validate() error {
	switch {
	case !claimNamePattern.MatchString(c.Name):
		return errors.New("a name is 1 to 64 of a-z, 0-9 and _, beginning with a letter")
	case !c.Type.valid():
		return fmt.Errorf("unknown type %.100q", c.Type)
	case c.Scale != 0 && (c.Type != Integer || c.Scale < 0 || c.Scale > 9):
		return errors.New("only integers have a scale, of 1 to 9 digits")
	case (c.Type == Enum) != (len(c.Values) > 0):
		return errors.New("enums list their values, and only they")
	}
	seen := make(map[string]bool, len(c.Values))
	for _, v := range c.Values {
		if _, err := EncodeText(v); err != nil {
			return fmt.Errorf("value %s: %w", quote(v), err)
		}
		if seen[v] {
			return fmt.Errorf("value %s stands twice", quote(v))
		}
		seen[v] = true
	}
	return nil
}

// WithoutDisplay is the part of the schema that its id covers.
func (s *Schema) WithoutDisplay() *Schema {
	bare := *s
	bare.Display = nil
	bare.Claims = slices.Clone(s.Claims)
	for i := range bare.Claims {
		bare.Claims[i].Display, bare.Claims[i].Unit, bare.Claims[i].Labels = nil, nil, nil
	}
	return &bare
}

// ID is F("schema", canonical JSON of the schema without its display texts).
func (s *Schema) ID() (Element, error) {
	if err := s.Validate(); err != nil {
		return Element{}, err
	}
	return Hash(tagSchema, s.WithoutDisplay())
}

// Title is the kind's name for people, or its type if there is none.
func (s *Schema) Title(language string) string {
	if s.Display != nil && s.Display.In(language) != "" {
		return s.Display.In(language)
	}
	return s.Type
}

// Slot finds a claim by name.
func (s *Schema) Slot(name string) (int, bool) {
	i := slices.IndexFunc(s.Claims, func(c ClaimType) bool { return c.Name == name })
	return i, i >= 0
}

// Register is the enrolment register of credentials of this schema by that issuer.
func (s *Schema) Register(issuerDID string) string {
	if s.EnrolmentRegister == IssuerRegister {
		return issuerDID
	}
	return s.EnrolmentRegister
}

// Claims are the values of a credential by name: a string, or a bool for booleans. A missing name means absent.
type Claims map[string]any

// LogValue hides a person's claims from slog.
func (Claims) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Encode maps claims to their slots. It refuses claims that do not fit, naming the claim.
func (s *Schema) Encode(claims Claims) ([Slots]Element, error) {
	var slots [Slots]Element
	if len(s.Claims) > Slots {
		return slots, fmt.Errorf("schema %s has %d claims, at most %d", s.Type, len(s.Claims), Slots)
	}
	for name := range claims {
		if _, ok := s.Slot(name); !ok {
			return slots, fmt.Errorf("claim %s: schema %s has no such claim", quote(name), s.Type)
		}
	}
	for i, c := range s.Claims {
		value, present := claims[c.Name]
		if !present {
			if !c.Optional {
				return slots, fmt.Errorf("claim %.100q: missing, and schema %s requires it", c.Name, s.Type)
			}
			continue
		}
		var err error
		if slots[i], err = c.Encode(value); err != nil {
			return slots, fmt.Errorf("claim %.100q: %w", c.Name, err)
		}
	}
	return slots, nil
}
