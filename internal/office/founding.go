package office

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// ConfigFile is the name of an agency's configuration in its folder. It is written last: where it is, the folder is whole.
const ConfigFile = "issuer.json"

// The other files in an agency's folder, beside [PublicFile] and [SecretsFolder].
const (
	recordsFolder  = "records"
	schemasFolder  = "schemas"
	checkpointFile = "last-checkpoint.json"
	chainFile      = "chain.json"
	enrolmentFile  = circuits.Enrolment + ".verifying"
)

// NewAgency says what an agency's folder is made from.
type NewAgency struct {
	Dir          string
	DID          string
	Name         credential.Text
	URL          string // where wallets reach it, for good
	Listen       Listen // its files: as the caller has them, or absolute
	Schemas      []string
	Chain        string // profile of the chain
	VerifyingKey string // of the enrolment circuit
	Companions   bool   // credentials of all its schemas can have companions
	Algorithm    jose.Algorithm
	Passphrase   string
	WorkFactor   int
}

// MadeAgency is what is in an agency's folder once it is made, and what governance is asked to register.
type MadeAgency struct {
	Config  string // the configuration's path
	Public  Public
	Genesis credential.Digest
	Schemas []MadeSchema
	// SubjectRegisters have a key of their own in the key store now. An agency that shares one with others needs the others' key.
	SubjectRegisters []string
	// Registers are enrolment registers that schemas name beside the agency's own.
	Registers []string
}

// MadeSchema is a schema in an agency's folder.
type MadeSchema struct {
	Type string             `json:"type"`
	ID   credential.Element `json:"id"`
	File string             `json:"file"`
}

// HasKeys tells whether there is a key store in an office's folder already.
func HasKeys(dir string) bool {
	list, err := os.ReadDir(filepath.Join(dir, SecretsFolder))
	return err == nil && len(list) > 0
}

// MakeAgency makes the folder of an agency: keys, copies of what it reads, and the configuration that bulla serve takes. Everything that
// it is given is checked before anything is made. It overwrites nothing; interrupted, it goes on.
func MakeAgency(a NewAgency) (MadeAgency, error) {
	made, err := a.make()
	if err != nil {
		return MadeAgency{}, fmt.Errorf("make agency: %w", err)
	}
	return made, nil
}

func (a NewAgency) make() (made MadeAgency, err error) {
	made.Config = filepath.Join(a.Dir, ConfigFile)
	if err := missing(made.Config); err != nil {
		return made, err
	}
	if err := a.validate(); err != nil {
		return made, err
	}
	plan, err := a.read(&made)
	if err != nil {
		return made, err
	}
	if made.Public, err = a.keys(); err != nil {
		return made, err
	}
	for _, register := range made.SubjectRegisters {
		if err := MakeSubjectKey(a.Dir, a.Passphrase, register); err != nil {
			return made, err
		}
	}
	for _, f := range plan {
		if err := f.write(); err != nil {
			return made, err
		}
	}
	text, err := a.config(made)
	if err != nil {
		return made, err
	}
	return made, keystore.WriteFile(made.Config, text)
}

// missing refuses a path where something is.
func missing(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("%s is there already, and it is not overwritten", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// validate checks what governance would refuse, and wallets.
func (a NewAgency) validate() error {
	if err := validateName(Issuer, a.DID); err != nil {
		return err
	}
	if err := issuer.ValidateURL(a.URL); err != nil {
		return err
	}
	if err := a.registrable(); err != nil {
		return err
	}
	if len(a.Schemas) == 0 {
		return errors.New("there is no schema to issue under")
	}
	if a.Algorithm != "" && a.Algorithm != jose.EdDSA && a.Algorithm != jose.ES256 {
		return fmt.Errorf("algorithm %.100q: only EdDSA and ES256 are accepted", a.Algorithm)
	}
	if err := a.Listen.validate(); err != nil {
		return err
	}
	_, err := a.Listen.tls()
	return err
}

// registrable checks name and URL as the chain will, with a key that nobody keeps.
func (a NewAgency) registrable() error {
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		return err
	}
	asked := entry.IssuerRegistered{DID: a.DID, Name: a.Name, Keys: []jose.PublicKey{key.Public()}, URL: a.URL}
	if _, err := credential.Canonical(asked); err != nil { // text that is not in NFC
		return err
	}
	return asked.Validate()
}

// copied is a file that the folder gets.
type copied struct {
	to   string
	text []byte
}

// check refuses a file that is there with another content.
func (c copied) check() (there bool, err error) {
	text, err := readFile(c.to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(text, c.text):
		return false, fmt.Errorf("%s is there already with another content, and it is not overwritten", c.to)
	}
	return true, nil
}

func (c copied) write() error {
	there, err := c.check()
	if there || err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.to), 0o700); err != nil {
		return err
	}
	return keystore.WriteFile(c.to, c.text)
}

// read checks the files that the agency is given, and says what is copied where.
func (a NewAgency) read(made *MadeAgency) (plan []copied, err error) {
	add := func(from, to string) error {
		text, err := readFile(from)
		if err != nil {
			return err
		}
		c := copied{filepath.Join(a.Dir, to), text}
		if slices.ContainsFunc(plan, func(p copied) bool { return p.to == c.to }) {
			return fmt.Errorf("two files would be %s", c.to)
		}
		plan = append(plan, c)
		_, err = c.check()
		return err
	}
	profile, err := client.ReadProfile(a.Chain)
	if err != nil {
		return nil, err
	}
	if _, err := client.New(profile.Config()); err != nil {
		return nil, fmt.Errorf("chain profile %s: %w", a.Chain, err)
	}
	made.Genesis = profile.Genesis
	if err := add(a.Chain, chainFile); err != nil {
		return nil, fmt.Errorf("chain profile: %w", err)
	}
	key, err := readVerifyingKey(a.VerifyingKey)
	if err != nil {
		return nil, err
	}
	if key.Name() != circuits.Enrolment {
		return nil, fmt.Errorf("verifying key %s is of the circuit %s, want %s", a.VerifyingKey, key.Name(), circuits.Enrolment)
	}
	if err := add(a.VerifyingKey, enrolmentFile); err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	for _, path := range a.Schemas {
		if err := a.readSchema(path, made); err != nil {
			return nil, err
		}
		if err := add(path, filepath.Join(schemasFolder, filepath.Base(path))); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
	}
	return plan, nil
}

func (a NewAgency) readSchema(path string, made *MadeAgency) error {
	s, err := ReadSchema(path)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(made.Schemas, func(m MadeSchema) bool { return m.Type == s.Type }) {
		return fmt.Errorf("schema %s stands twice", s.Type)
	}
	id, err := s.ID()
	if err != nil {
		return fmt.Errorf("schema %s: %w", path, err)
	}
	made.Schemas = append(made.Schemas, MadeSchema{s.Type, id, filepath.Join(a.Dir, schemasFolder, filepath.Base(path))})
	if r := s.Register(a.DID); r != a.DID && !slices.Contains(made.Registers, r) {
		made.Registers = append(made.Registers, r)
	}
	if r := s.SubjectRegister; r != "" && !slices.Contains(made.SubjectRegisters, r) {
		made.SubjectRegisters = append(made.SubjectRegisters, r)
	}
	return nil
}

// keys makes the agency's keys, or takes up those that an interrupted run or bulla key make left.
func (a NewAgency) keys() (Public, error) {
	path := filepath.Join(a.Dir, PublicFile)
	if err := missing(path); err == nil {
		if err := missing(filepath.Join(a.Dir, recordsFolder)); err != nil { // under a new key nobody could read them
			return Public{}, fmt.Errorf("the agency has served, and %s is gone: put it back with %s: %w", PublicFile, SecretsFolder, err)
		}
		return MakeKeys(KeysConfig{Dir: a.Dir, Role: Issuer, Name: a.DID, Algorithm: a.Algorithm, Passphrase: a.Passphrase, WorkFactor: a.WorkFactor})
	}
	p, err := ReadPublic(path, Issuer)
	if err != nil {
		return p, err
	}
	if p.Name != a.DID {
		return p, fmt.Errorf("%s has the keys of %s, not of %s: one folder is one office", a.Dir, p.Name, a.DID)
	}
	secrets, err := openSecrets(filepath.Join(a.Dir, SecretsFolder), a.Passphrase)
	if err != nil {
		return p, err
	}
	k, err := issuerKeys(secrets, Options{})
	if err != nil {
		return p, err
	}
	if k.Signing.Public() != *p.Key {
		return p, fmt.Errorf("%s names another key than the key store has", path)
	}
	return p, nil
}

// config is the configuration, read back as the service will read it.
func (a NewAgency) config(made MadeAgency) ([]byte, error) {
	cfg := IssuerConfig{
		Listen: a.Listen, Secrets: SecretsFolder, Store: recordsFolder, LastCheckpoint: checkpointFile, Chain: chainFile,
		DID: a.DID, Name: a.Name, URL: a.URL, VerifyingKey: enrolmentFile, Registers: made.Registers, SubjectRegisters: made.SubjectRegisters,
	}
	for _, s := range made.Schemas {
		cfg.Schemas = append(cfg.Schemas, filepath.Join(schemasFolder, filepath.Base(s.File)))
		if a.Companions {
			cfg.Companions = append(cfg.Companions, s.Type)
		}
	}
	for _, file := range []*string{&cfg.Listen.Certificate, &cfg.Listen.Key} {
		if err := a.fromFolder(file); err != nil {
			return nil, err
		}
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(cfg); err != nil {
		return nil, err
	}
	var read IssuerConfig
	if err := credential.ParseStrict([]byte(text.String()), &read); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return []byte(text.String()), read.complete(func(*string) {})
}

// fromFolder writes a path as seen from the agency's folder; one that is absolute stays, as those of certificates that other software
// renews.
func (a NewAgency) fromFolder(file *string) error {
	if *file == "" || filepath.IsAbs(*file) {
		return nil
	}
	dir, err := filepath.Abs(a.Dir)
	if err != nil {
		return err
	}
	at, err := filepath.Abs(*file)
	if err != nil {
		return err
	}
	*file, err = filepath.Rel(dir, at)
	return err
}
