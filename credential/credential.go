package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Secret is an element that must not be printed: a master secret, blinding, salt or subject key. fmt and slog show
// [redacted], also inside structs whose field is exported. Not so in two places, where the struct must hide itself, with
// LogValue and Format: an unexported field, where fmt may call no method; and slog's JSON handler, which writes a struct
// as json.Marshal does.
type Secret struct{ Element }

// String hides the value.
func (Secret) String() string { return "[redacted]" }

// GoString hides the value.
func (Secret) GoString() string { return "[redacted]" }

// LogValue hides the value from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Format hides the value from fmt.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// MarshalText writes the value: secrets are stored inside encrypted files, as JSON.
func (s Secret) MarshalText() ([]byte, error) { return s.Element.MarshalText() }

// IssuerID is F("issuer", DID).
func IssuerID(did string) Element { return F(tagIssuer, []byte(did)) }

// HolderCommitment is hc = C4(HOLDER, s, r, 0): master secret and a blinding fresh for each credential.
func HolderCommitment(master, blinding Secret) Element {
	return C4(TagHolder, master.Element, blinding.Element, Element{})
}

// ClaimsRoot is A: four C4 over the sixteen slots, and one over those.
func ClaimsRoot(a [Slots]Element) Element {
	return C4(C4(a[0], a[1], a[2], a[3]), C4(a[4], a[5], a[6], a[7]), C4(a[8], a[9], a[10], a[11]), C4(a[12], a[13], a[14], a[15]))
}

// Envelope is what a credential carries beside claims and holder: validity, subject key and salt.
type Envelope struct {
	ValidFrom  uint64 // encoded datetime at a whole UTC day
	ValidUntil uint64 // encoded datetime at a whole UTC day, inclusive
	SubjectKey Secret // k, or 0
	Salt       Secret // 31 random bytes
}

// LogValue hides the whole envelope from slog.
func (Envelope) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Root is m = C4(validFrom, validUntil, k, salt).
func (e Envelope) Root() Element {
	return C4(ElementFromUint64(e.ValidFrom), ElementFromUint64(e.ValidUntil), e.SubjectKey.Element, e.Salt.Element)
}

// Validate refuses validity that is not two whole UTC days in order, and a salt that is missing or too long.
func (e Envelope) Validate() error {
	from, until := DecodeTime(e.ValidFrom), DecodeTime(e.ValidUntil)
	switch {
	case !WholeDay(from) || !WholeDay(until):
		return errors.New("validity bounds must be whole UTC days")
	case from.After(until):
		return errors.New("validity ends before it begins")
	case e.Salt.IsZero() || !e.Salt.Fits31():
		return errors.New("salt must be 31 random bytes")
	case !e.SubjectKey.Fits31():
		return errors.New("subject key must be 31 bytes")
	}
	return nil
}

// WholeDay tells whether t is midnight UTC. Finer times would single out a credential.
func WholeDay(t time.Time) bool { return t.Unix()%secondsPerDay == 0 && t.Nanosecond() == 0 }

// Commitment is C = C4(CRED, hc, A, m). It hides everything, by salt and blinding, and goes onto the chain.
func Commitment(holderCommitment, claimsRoot, envelope Element) Element {
	return C4(TagCred, holderCommitment, claimsRoot, envelope)
}

// Leaf is L = C4(LEAF, issuerID, schemaID, C), which the ledger computes itself, so that an issuer enters only leaves
// of its own.
func Leaf(issuerID, schemaID, commitment Element) Element {
	return C4(TagLeaf, issuerID, schemaID, commitment)
}

// Link ties all presentations of one response to one master secret.
func Link(master Secret, challenge, n Element) Element {
	return C4(TagLink, master.Element, challenge, n)
}

// Item tells the credentials of one response apart.
func Item(blinding Secret, challenge, n Element) Element {
	return C4(TagItem, blinding.Element, challenge, n)
}

// Pseudonym is one tag for each master secret and scope, or 0 where scope is 0.
func Pseudonym(master Secret, scope Element) Element {
	if scope.IsZero() {
		return Element{}
	}
	return C4(TagPseudonym, master.Element, scope, Element{})
}

// SubjectTag is one tag for each subject key and scope, or 0 where scope is 0.
func SubjectTag(subjectKey Secret, scope Element) Element {
	if scope.IsZero() {
		return Element{}
	}
	return C4(TagSubject, subjectKey.Element, scope, Element{})
}

// EnrolmentScope is the scope of enrolment pseudonyms in a register.
func EnrolmentScope(register string) Element { return mustHash(tagScope, []any{register, "enrol"}) }

// VerifierScope is the scope of one service of one registered verifier.
func VerifierScope(verifierDID, service string) Element {
	return mustHash(tagScope, []any{"verifier", verifierDID, service})
}

// SharedScope is a scope that governance registered at a log index of the chain with that genesis hash (32 bytes).
func SharedScope(genesis Digest, entryIndex uint64) Element {
	return mustHash(tagScope, []any{"shared", genesis, entryIndex})
}

// ClientName is F("client", DID): a name for a registered verifier that follows from its DID and has no colon, as OpenID4VP
// wants it of clients that wallets know beforehand.
func ClientName(verifierDID string) Element { return F(tagClient, []byte(verifierDID)) }

// Challenge is F("challenge", canonical JSON of value).
func Challenge(value any) (Element, error) { return Hash(tagChallenge, value) }

// mustHash is for values that always encode: valid names and numbers below 2^53.
func mustHash(tag string, value any) Element {
	e, err := Hash(tag, value)
	if err != nil {
		panic(fmt.Sprintf("credential: hash of plain names: %v", err))
	}
	return e
}

// SubjectKey is k: the first 31 bytes of HMAC-SHA-256(register key, canonical [register id, subject id]). The register
// key has 32 bytes.
func SubjectKey(registerKey []byte, registerID, subjectID string) (Secret, error) {
	if len(registerKey) != 32 {
		return Secret{}, fmt.Errorf("register key has %d bytes, want 32", len(registerKey))
	}
	message, err := Canonical([]string{registerID, subjectID})
	if err != nil {
		return Secret{}, fmt.Errorf("subject %q: %w", subjectID, err)
	}
	mac := hmac.New(sha256.New, registerKey)
	mac.Write(message)
	return Secret{ElementFrom31([31]byte(mac.Sum(nil)[:31]))}, nil
}
