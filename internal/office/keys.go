package office

import (
	"crypto"
	"crypto/rand"
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
	nextResult    = "result-next"
	apiKey        = "api"
	sessionKey    = "sessions" // of a verifier's sessions: what they keep in its store
	companionKey  = "companion"
	retiredKeys   = "companion-retired" // public keys, in a list

	retiredResults = "result-retired" // a resultRing
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

// DevicePublic is the public part of an agency or relying party whose signing key is in a device ([Options].Signing).
func DevicePublic(role Role, did string, device crypto.Signer) (Public, error) {
	key, err := jose.FromSigner(device)
	if err != nil {
		return Public{}, fmt.Errorf("public part: %w", err)
	}
	public := key.Public()
	p := Public{Format: publicFormat, Version: 1, Role: role, Name: did, Key: &public}
	if role != Issuer && role != Verifier {
		return p, fmt.Errorf("public part: the key of the role %s is in no device", role)
	}
	return p, p.Validate()
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
		if _, err := secrets.SigningKey(companionKey, companionAlgorithm); err != nil {
			return err
		}
	case Verifier:
		for _, name := range []string{resultKey, nextResult} {
			if _, err := secrets.SigningKey(name, resultAlgorithm); err != nil {
				return err
			}
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
