package issuer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bulla-id/bulla/credential"
)

// Register is an enrolment register: it keeps one enrolment pseudonym for each person and one person for each
// pseudonym, so that a person has one master secret in it, and it knows which credentials of each person are not
// revoked, so that "one live credential per person" holds over all agencies that share it. It is safe for concurrent
// use.
//
// Agencies in one process share the object. When they part, the register becomes a service of its own with the methods
// below, and each agency authenticates to it; its rows already have no need of the agencies' rows.
//
// Whoever can change a register's store can enrol a second master secret for a person, and so make two out of one.
type Register struct {
	name   string
	store  Store
	tagKey []byte
	prefix string
	mu     sync.Mutex // guards the rows: each method reads and writes under it
}

// RegisterConfig is what a register needs.
type RegisterConfig struct {
	Name string // as schemas name it, or the DID of the agency whose own it is
	// Store may be shared with an issuer or other registers: their rows do not meet.
	Store     Store
	RecordKey []byte // 32 bytes; hides persons in the keys of rows
}

// NewRegister opens a register.
func NewRegister(cfg RegisterConfig) (*Register, error) {
	switch {
	case !credential.ValidName(cfg.Name):
		return nil, fmt.Errorf("open enrolment register: name %q is not a plain name", cfg.Name)
	case cfg.Store == nil:
		return nil, fmt.Errorf("open enrolment register %s: there is no store", cfg.Name)
	case len(cfg.RecordKey) != RecordKeySize:
		return nil, fmt.Errorf("open enrolment register %s: record key has %d bytes, want %d", cfg.Name, len(cfg.RecordKey), RecordKeySize)
	}
	// A name may contain slashes; its tag does not, so that no register's rows lie among another's.
	tagKey := subkey(cfg.RecordKey, "persons of register "+cfg.Name)
	return &Register{name: cfg.Name, store: cfg.Store, tagKey: tagKey, prefix: tableRegister + tag(tagKey, "") + "/"}, nil
}

// Name is the register's name.
func (r *Register) Name() string { return r.name }

// Holding is a credential that is not revoked, as the register sees it.
type Holding struct {
	Issuer     string `json:"issuer"` // DID
	Credential string `json:"credential"`
	Schema     string `json:"schema"`
	From       string `json:"from"` // dates of validity
	Until      string `json:"until"`
}

// Admission asks for a credential to be issued to a person under an enrolment pseudonym.
type Admission struct {
	Person    string
	Pseudonym credential.Element
	Exclusive bool // one live credential of the schema per person
	Holding
}

// enrolled is the row of a person.
type enrolled struct {
	Pseudonym credential.Element `json:"pseudonym"`
	Holdings  []Holding          `json:"holdings"`
}

func (r *Register) personRow(person string) string {
	return r.prefix + "person/" + tag(r.tagKey, person)
}

func (r *Register) pseudonymRow(pseudonym credential.Element) string {
	return r.prefix + "pseudonym/" + pseudonym.String()
}

// Admit enrols persons where they are not yet and records what they will hold, in one commit. For each admission there
// is an error: nil, [ErrOtherSecret], [ErrOtherPerson] or [ErrOnePerPerson]. The last result is for failures of the
// store. Admitting the same credential again changes nothing.
func (r *Register) Admit(admissions []Admission) ([]error, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx := begin(r.store)
	refusals := make([]error, len(admissions))
	for i, a := range admissions {
		err := r.admit(tx, a)
		var refusal *Refusal
		if err != nil && !errors.As(err, &refusal) {
			return nil, fmt.Errorf("admit to enrolment register %s: %w", r.name, err)
		}
		refusals[i] = err
	}
	if err := tx.commit(); err != nil {
		return nil, fmt.Errorf("admit to enrolment register %s: %w", r.name, err)
	}
	return refusals, nil
}

func (r *Register) admit(tx *transaction, a Admission) error {
	personRow, pseudonymRow := r.personRow(a.Person), r.pseudonymRow(a.Pseudonym)
	var e enrolled
	switch err := tx.get(personRow, &e); {
	case errors.Is(err, ErrAbsent):
		var other string
		if err := tx.get(pseudonymRow, &other); !errors.Is(err, ErrAbsent) {
			return errors.Join(err, refuse(ErrOtherPerson, "this wallet is enrolled for another person"))
		}
		e.Pseudonym = a.Pseudonym
		tx.put(pseudonymRow, personRow)
	case err != nil:
		return err
	case e.Pseudonym != a.Pseudonym:
		return r.foreign(tx, pseudonymRow)
	}
	if slices.ContainsFunc(e.Holdings, func(h Holding) bool { return h.Issuer == a.Issuer && h.Credential == a.Credential }) {
		return nil
	}
	if a.Exclusive && e.liveWith(a.Holding) {
		return refuse(ErrOnePerPerson, "the person has a credential of this type that is valid at the same time and not revoked")
	}
	e.Holdings = append(e.Holdings, a.Holding)
	tx.put(personRow, e)
	return nil
}

// foreign says in which way a pseudonym does not fit a person who has another.
func (r *Register) foreign(tx *transaction, pseudonymRow string) error {
	var other string
	switch err := tx.get(pseudonymRow, &other); {
	case errors.Is(err, ErrAbsent):
		return refuse(ErrOtherSecret, "the person is enrolled with another master secret")
	case err != nil:
		return err
	}
	return refuse(ErrOtherPerson, "this wallet is enrolled for another person")
}

// liveWith tells whether a credential of the same type is valid on one of the same days. Suspended ones count: they
// can come back.
func (e *enrolled) liveWith(h Holding) bool {
	return slices.ContainsFunc(e.Holdings, func(o Holding) bool {
		return o.Schema == h.Schema && o.From <= h.Until && h.From <= o.Until
	})
}

// Live returns [ErrOnePerPerson] if the person already holds what an exclusive admission would be refused for. It
// reserves nothing.
func (r *Register) Live(person string, h Holding) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e enrolled
	switch err := begin(r.store).get(r.personRow(person), &e); {
	case errors.Is(err, ErrAbsent):
		return nil
	case err != nil:
		return fmt.Errorf("look into enrolment register %s: %w", r.name, err)
	case e.liveWith(h):
		return refuse(ErrOnePerPerson, "the person has a credential of this type that is valid at the same time and not revoked: revoke it first")
	}
	return nil
}

// Holdings are what a person holds that is not revoked.
func (r *Register) Holdings(person string) ([]Holding, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e enrolled
	switch err := begin(r.store).get(r.personRow(person), &e); {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(ErrNotFound, "the person is not enrolled in register %s", r.name)
	case err != nil:
		return nil, fmt.Errorf("look into enrolment register %s: %w", r.name, err)
	}
	return e.Holdings, nil
}

// Release forgets credentials that were revoked, or never came onto the chain. Unknown ones are no error.
func (r *Register) Release(issuer string, credentials map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx := begin(r.store)
	for id, person := range credentials {
		row := r.personRow(person)
		var e enrolled
		switch err := tx.get(row, &e); {
		case errors.Is(err, ErrAbsent):
			continue
		case err != nil:
			return fmt.Errorf("release from enrolment register %s: %w", r.name, err)
		}
		e.Holdings = slices.DeleteFunc(e.Holdings, func(h Holding) bool { return h.Issuer == issuer && h.Credential == id })
		tx.put(row, e)
	}
	if err := tx.commit(); err != nil {
		return fmt.Errorf("release from enrolment register %s: %w", r.name, err)
	}
	return nil
}

// Reset ends an enrolment, so that the person can enrol with a new master secret. It is refused with [ErrHeld] while
// any credential of the person, of any agency, is not revoked: else one person would be two.
func (r *Register) Reset(person string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx := begin(r.store)
	row := r.personRow(person)
	var e enrolled
	switch err := tx.get(row, &e); {
	case errors.Is(err, ErrAbsent):
		return refuse(ErrNotFound, "the person is not enrolled in register %s", r.name)
	case err != nil:
		return fmt.Errorf("reset in enrolment register %s: %w", r.name, err)
	case len(e.Holdings) > 0:
		return refuse(ErrHeld, "the person has %d credentials that are not revoked", len(e.Holdings))
	}
	tx.delete(row)
	tx.delete(r.pseudonymRow(e.Pseudonym))
	if err := tx.commit(); err != nil {
		return fmt.Errorf("reset in enrolment register %s: %w", r.name, err)
	}
	return nil
}

// Reconcile drops an issuer's holdings that the issuer does not know: a crash came between the two commits.
func (r *Register) Reconcile(issuer string, keep func(credential string) (bool, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx := begin(r.store)
	var failed error
	err := r.store.Scan(r.prefix+"person/", "", func(row string, _ []byte) bool {
		var e enrolled
		if failed = tx.get(row, &e); failed != nil {
			return false
		}
		kept := make([]Holding, 0, len(e.Holdings))
		for _, h := range e.Holdings {
			known := h.Issuer != issuer
			if !known {
				if known, failed = keep(h.Credential); failed != nil {
					return false
				}
			}
			if known {
				kept = append(kept, h)
			}
		}
		if len(kept) != len(e.Holdings) {
			tx.put(row, enrolled{e.Pseudonym, kept})
		}
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("reconcile enrolment register %s: %w", r.name, err)
	}
	return tx.commit()
}

// SubjectRegister derives the subject keys of one kind of thing (parcels, invoices): the same subject gives the same
// key, whoever holds the credential. Agencies that share a register share its key.
//
// Agencies in one process share the object. When they part, the register's keeper computes keys for them, and the
// register key leaves the agencies. Whoever has it can recognise every subject tag under known scopes.
type SubjectRegister struct {
	name string
	key  []byte
}

// NewSubjectRegister makes a register of a key of 32 bytes.
func NewSubjectRegister(name string, key []byte) (*SubjectRegister, error) {
	if !credential.ValidName(name) {
		return nil, fmt.Errorf("open subject register: name %q is not a plain name", name)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("open subject register %s: key has %d bytes, want 32", name, len(key))
	}
	return &SubjectRegister{name, slices.Clone(key)}, nil
}

// Name is the register's name.
func (r *SubjectRegister) Name() string { return r.name }

// Key is the subject key of a subject.
func (r *SubjectRegister) Key(subject string) (credential.Secret, error) {
	return credential.SubjectKey(r.key, r.name, subject)
}

// String hides the key.
func (r *SubjectRegister) String() string {
	return strings.Join([]string{"subject register", r.name}, " ")
}

// GoString hides the key.
func (r *SubjectRegister) GoString() string { return r.String() }
