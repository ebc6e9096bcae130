package office

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/cosign"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Role is what an office is on the chain.
type Role string

// The roles that have keys.
const (
	Member   Role = "governance" // one of the n whose k signatures govern
	Ledger   Role = "ledger"     // signs checkpoints and seals
	Cosigner Role = "cosigner"   // replays and cosigns
	Issuer   Role = "issuer"     // an agency
	Verifier Role = "verifier"   // a relying party
)

// Roles lists them.
var Roles = []Role{Member, Ledger, Cosigner, Issuer, Verifier}

// The names of secrets in an office's key store.
const (
	governanceKey = "governance"
	operatorKey   = "operator"
	logKey        = "log"
	cosignerKey   = "cosigner"
	signingKey    = "signing"
	nextKey       = "signing-next"
	adminKey      = "admin"
	recordsKey    = "records"
	resultKey     = "result"
	apiKey        = "api"
)

// Public is the public part of an office's keys: what it hands to governance and others. Whoever takes one makes sure by
// another way (on paper, by phone) that it is the right one: [Public.Fingerprint].
type Public struct {
	Format  string          `json:"format"`  // bulla-public-key
	Version int             `json:"version"` // 1
	Role    Role            `json:"role"`
	Name    string          `json:"name"`               // a member's plain name, the checkpoints' origin, a cosigner's key name, or a DID
	Key     *jose.PublicKey `json:"key,omitempty"`      // signs entries; of the ledger: seals. A cosigner has none
	NoteKey string          `json:"note_key,omitempty"` // verifier key of checkpoints or cosignatures: of ledger and cosigner only
}

const publicFormat = "bulla-public-key"

// PublicFile is the name of the public part in an office's folder, beside [SecretsFolder].
const (
	PublicFile    = "public.json"
	SecretsFolder = "secrets"
)

// ReadPublic reads the public part of an office that must be of that role.
func ReadPublic(path string, role Role) (Public, error) {
	text, err := readFile(path)
	if err != nil {
		return Public{}, fmt.Errorf("public key: %w", err)
	}
	p, err := ParsePublic(text)
	if err != nil {
		return p, fmt.Errorf("public key %s: %w", path, err)
	}
	if role != "" && p.Role != role {
		return p, fmt.Errorf("public key %s is of the role %s, want %s", path, p.Role, role)
	}
	return p, nil
}

// ParsePublic reads a public part, formatted freely.
func ParsePublic(text []byte) (p Public, err error) {
	if err := credential.ParseStrict(text, &p); err != nil {
		return p, err
	}
	return p, p.Validate()
}

// Validate checks that the keys are those that the role has.
func (p Public) Validate() error {
	if p.Format != publicFormat || p.Version != 1 {
		return fmt.Errorf("format %q, version %d, want %s, 1", p.Format, p.Version, publicFormat)
	}
	if err := validateName(p.Role, p.Name); err != nil {
		return err
	}
	if wants := p.Role != Cosigner; wants != (p.Key != nil) {
		return fmt.Errorf("role %s: the member key is missing, or one too many", p.Role)
	}
	if p.Key != nil {
		if err := p.Key.Validate(); err != nil {
			return err
		}
	}
	if wants := p.Role == Ledger || p.Role == Cosigner; wants != (p.NoteKey != "") {
		return fmt.Errorf("role %s: the member note_key is missing, or one too many", p.Role)
	}
	if p.NoteKey != "" && !strings.HasPrefix(p.NoteKey, p.Name+"+") {
		return fmt.Errorf("note_key is not of %s", p.Name)
	}
	return nil
}

// validateName checks who the office is: a DID for those that the chain knows by it.
func validateName(role Role, name string) error {
	switch {
	case !slices.Contains(Roles, role):
		return fmt.Errorf("role %q: choose one of %v", role, Roles)
	case role == Issuer || role == Verifier:
		return entry.ValidateDID(name)
	case !credential.ValidName(name) || strings.Contains(name, "+"):
		return fmt.Errorf("name %q is not a plain name such as ledger.example/2026", name)
	}
	return nil
}

// Fingerprint is the SHA-256 of the canonical form, to compare by another way.
func (p Public) Fingerprint() (credential.Digest, error) {
	text, err := credential.Canonical(p)
	return credential.DigestOf(text), err
}

// Write writes the public part to a file, for people and programs.
func (p Public) Write(path string) error { return writeJSON(path, p) }

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return keystore.WriteFile(path, append(text, '\n'))
}

// KeysConfig says whose keys are made where.
type KeysConfig struct {
	Dir        string // the office's folder
	Role       Role
	Name       string
	Algorithm  jose.Algorithm // of the key that signs entries; empty: EdDSA, of a verifier ES256, as wallets expect
	Passphrase string
	WorkFactor int // of scrypt; 0: 18
}

// MakeKeys makes all keys of an office in its folder, and the public part beside them. It refuses a folder that has
// keys; interrupted, it goes on.
func MakeKeys(cfg KeysConfig) (Public, error) {
	if err := validateName(cfg.Role, cfg.Name); err != nil {
		return Public{}, fmt.Errorf("make keys: %w", err)
	}
	path := filepath.Join(cfg.Dir, PublicFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return Public{}, fmt.Errorf("make keys: %s has keys already (%s is there): one folder is one office", cfg.Dir, PublicFile)
	}
	if cfg.Algorithm == "" {
		if cfg.Algorithm = jose.EdDSA; cfg.Role == Verifier {
			cfg.Algorithm = jose.ES256
		}
	}
	secrets, err := keystore.Open(keystore.Config{Dir: filepath.Join(cfg.Dir, SecretsFolder), Passphrase: cfg.Passphrase, WorkFactor: cfg.WorkFactor})
	if err != nil {
		return Public{}, fmt.Errorf("make keys: %w", err)
	}
	p := Public{Format: publicFormat, Version: 1, Role: cfg.Role, Name: cfg.Name}
	if err := makeFor(secrets, &p, cfg.Algorithm); err != nil {
		return Public{}, fmt.Errorf("make keys: %w", err)
	}
	if err := p.Validate(); err != nil {
		return Public{}, fmt.Errorf("make keys: %w", err)
	}
	return p, p.Write(path)
}

// makeFor makes the secrets of the role and fills in the public part.
func makeFor(secrets *keystore.Store, p *Public, alg jose.Algorithm) (err error) {
	main := signingKey
	switch p.Role {
	case Member:
		main = governanceKey
	case Ledger:
		main = operatorKey
		if _, p.NoteKey, err = LogKey(secrets, p.Name); err != nil {
			return err
		}
	case Cosigner:
		_, p.NoteKey, err = CosignerKey(secrets, p.Name)
		return err
	case Issuer:
		if _, err := secrets.SigningKey(adminKey, jose.EdDSA); err != nil {
			return err
		}
		if _, err := secrets.Random(recordsKey, issuer.RecordKeySize); err != nil {
			return err
		}
	case Verifier:
		if _, err := secrets.SigningKey(resultKey, jose.ES256); err != nil {
			return err
		}
		if _, err := secrets.SigningKey(apiKey, jose.EdDSA); err != nil {
			return err
		}
	}
	key, err := secrets.SigningKey(main, alg)
	if err != nil {
		return err
	}
	public := key.Public()
	p.Key = &public
	return nil
}

// LogKey is the key that signs checkpoints of an origin, with its verifier key; it is made on first use.
func LogKey(s *keystore.Store, origin string) (signer, verifier string, err error) {
	return noteKey(s, logKey, func() (string, string, error) { return note.GenerateKey(rand.Reader, origin) })
}

// CosignerKey is a cosigner's key with its verifier key; it is made on first use.
func CosignerKey(s *keystore.Store, name string) (signer, verifier string, err error) {
	return noteKey(s, cosignerKey, func() (string, string, error) { return cosign.GenerateKey(name) })
}

func noteKey(s *keystore.Store, name string, generate func() (string, string, error)) (signer, verifier string, err error) {
	signer, verifier, err = knownNoteKey(s, name)
	if !errors.Is(err, keystore.ErrAbsent) {
		return signer, verifier, err
	}
	if signer, verifier, err = generate(); err != nil {
		return "", "", err
	}
	return signer, verifier, s.Put(name, []byte(signer+" "+verifier))
}

func knownNoteKey(s *keystore.Store, name string) (signer, verifier string, err error) {
	secret, err := s.Get(name)
	if err != nil {
		return "", "", err
	}
	signer, verifier, both := strings.Cut(string(secret), " ")
	if !both {
		return "", "", fmt.Errorf("the key %q in the key store is damaged", name)
	}
	return signer, verifier, nil
}

// NextKey makes the key that will replace the signing key of an agency or relying party, or finds the one made before,
// and returns its public part. The present key stays in use until [SwitchKey].
func NextKey(dir, passphrase string, alg jose.Algorithm) (Public, error) {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return p, fmt.Errorf("make the next key: %w", err)
	}
	if alg == "" {
		alg = p.Key.Algorithm()
	}
	key, err := secrets.SigningKey(nextKey, alg)
	if err != nil {
		return p, fmt.Errorf("make the next key: %w", err)
	}
	public := key.Public()
	p.Key = &public
	return p, nil
}

// SwitchKey makes the next key the signing key; the old one is gone. Do it once the chain lists the next one.
func SwitchKey(dir, passphrase string) (Public, error) {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	secret, err := secrets.Get(nextKey)
	if errors.Is(err, keystore.ErrAbsent) {
		return p, errors.New("switch keys: there is no next key: make one with bulla key next")
	}
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	key, err := jose.ParseSigningKey(secret)
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	if err := secrets.Put(signingKey, secret); err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	public := key.Public()
	p.Key = &public
	if err := p.Write(filepath.Join(dir, PublicFile)); err != nil {
		return p, err
	}
	return p, secrets.Delete(nextKey)
}

// RenewKey replaces a key that the chain does not know: that of the API's tokens ("api") or, of a relying party, of its
// results ("result"). What the old one signed is refused from the next start on.
func RenewKey(dir, passphrase, which string) error {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	name, alg := apiKey, jose.EdDSA
	switch {
	case which == "api" && p.Role == Issuer:
		name = adminKey
	case which == "result" && p.Role == Verifier:
		name, alg = resultKey, jose.ES256
	case which != "api":
		return fmt.Errorf("renew key %q: the role %s has the key api, a verifier result, too", which, p.Role)
	}
	key, err := jose.Generate(alg)
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	secret, err := key.MarshalSecret()
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	return secrets.Put(name, secret)
}

// ChangePassphrase seals an office's key store under another passphrase.
func ChangePassphrase(dir, old, passphrase string, workFactor int) error {
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), old)
	if err != nil {
		return err
	}
	return secrets.ChangePassphrase(passphrase, workFactor)
}

// rotating opens the folder of an office whose signing key the chain lets change.
func rotating(dir, passphrase string) (Public, *keystore.Store, error) {
	p, err := ReadPublic(filepath.Join(dir, PublicFile), "")
	if err != nil {
		return p, nil, err
	}
	if p.Role != Issuer && p.Role != Verifier {
		return p, nil, fmt.Errorf("the key of the role %s stands in genesis or in profiles and is not rotated: doc/operations.md says what to do if it is lost", p.Role)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	return p, secrets, err
}

// MakeSubjectKey makes the key of a subject register in an agency's key store, once. Agencies that share the register
// need the same key.
func MakeSubjectKey(dir, passphrase, register string) error {
	if !credential.ValidName(register) {
		return fmt.Errorf("make the key of a subject register: %q is not a plain name", register)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		return fmt.Errorf("make the key of a subject register: %w", err)
	}
	_, err = secrets.Random(subjectKey(register), subjectKeySize)
	return err
}

const subjectKeySize = 32

// subjectKey names the key of a subject register in a key store, whose names are narrower.
func subjectKey(register string) string {
	digest := credential.DigestOf([]byte(register))
	return "subject-" + hex.EncodeToString(digest[:8])
}

// openSecrets opens a key store that is there.
func openSecrets(dir, passphrase string) (*keystore.Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("key store: %w: make keys with bulla key make", err)
	}
	return keystore.Open(keystore.Config{Dir: dir, Passphrase: passphrase})
}

// signer reads a signing key and makes none.
func signer(s *keystore.Store, name string) (*jose.SigningKey, error) {
	secret, err := s.Get(name)
	if err != nil {
		return nil, err
	}
	return jose.ParseSigningKey(secret)
}

// MemberKey is the signing key of a governance member.
func MemberKey(dir, passphrase string) (*jose.SigningKey, error) {
	if _, err := ReadPublic(filepath.Join(dir, PublicFile), Member); err != nil {
		return nil, err
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		return nil, err
	}
	return signer(secrets, governanceKey)
}
