// Package keystore keeps secrets of a role in a folder: signing keys, register keys, record keys. Each file is
// encrypted with age to an identity that a passphrase protects (scrypt), so that a copied folder says nothing without
// the passphrase.
//
// Whoever has folder and passphrase is the role. Whoever can write the folder, but does not know the passphrase, can
// delete keys or put in older ones, but not use them.
package keystore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/bulla-id/bulla/internal/jose"
)

// MaxSecret bounds one secret, in bytes.
const MaxSecret = 64 << 10

const (
	// maxSealed bounds an encrypted file: a secret with what age adds.
	maxSealed = MaxSecret + 4<<10
	// maxWorkFactor is the most of scrypt's cost that we pay for a file: 2^20 takes a gigabyte.
	maxWorkFactor = 20
)

// ErrAbsent is returned for a secret that is not there.
var ErrAbsent = errors.New("secret is not in the key store")

// Config says where the store is and what opens it.
type Config struct {
	Dir        string
	Passphrase string
	// WorkFactor is the base-2 logarithm of scrypt's cost, 1 to 20; 0 means 18 (about a second).
	WorkFactor int
}

// Store is an open key store. It is safe for concurrent use by one process; the operating system's user rights guard
// the folder (0700).
type Store struct {
	dir      string
	identity *age.X25519Identity
}

const identityFile = "identity.age"

// Open opens the store of a folder, or makes a new one if the folder has none.
func Open(cfg Config) (*Store, error) {
	if cfg.Passphrase == "" {
		return nil, errors.New("open key store: the passphrase is empty")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	s := &Store{dir: cfg.Dir}
	sealed, err := readSealed(filepath.Join(cfg.Dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.create(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	return s, s.open(sealed, cfg.Passphrase)
}

// readSealed reads an encrypted file of a size that we write.
func readSealed(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sealed, err := io.ReadAll(io.LimitReader(file, maxSealed+1))
	if err == nil && len(sealed) > maxSealed {
		err = fmt.Errorf("%s has more than %d bytes: it is none of ours", path, maxSealed)
	}
	return sealed, err
}

func (s *Store) create(cfg Config) error {
	if cfg.WorkFactor < 0 || cfg.WorkFactor > maxWorkFactor {
		return fmt.Errorf("create key store: work factor %d, want 1 to %d", cfg.WorkFactor, maxWorkFactor)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("create key store: %w", err)
	}
	recipient, err := age.NewScryptRecipient(cfg.Passphrase)
	if err != nil {
		return fmt.Errorf("create key store: %w", err)
	}
	if cfg.WorkFactor != 0 {
		recipient.SetWorkFactor(cfg.WorkFactor)
	}
	s.identity = identity
	return s.write(identityFile, []byte(identity.String()), recipient)
}

func (s *Store) open(sealed []byte, passphrase string) error {
	scrypt, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return fmt.Errorf("open key store: %w", err)
	}
	scrypt.SetMaxWorkFactor(maxWorkFactor)
	text, err := decrypt(sealed, scrypt)
	if err != nil {
		return fmt.Errorf("open key store %s: wrong passphrase or damaged file", s.dir)
	}
	if s.identity, err = age.ParseX25519Identity(string(text)); err != nil {
		return fmt.Errorf("open key store %s: the identity is damaged", s.dir)
	}
	return nil
}

func decrypt(sealed []byte, identity age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(io.LimitReader(r, MaxSecret+1))
	if err == nil && len(secret) > MaxSecret {
		err = fmt.Errorf("more than %d bytes", MaxSecret)
	}
	return secret, err
}

// Get reads a secret, or returns [ErrAbsent].
func (s *Store) Get(name string) ([]byte, error) {
	if err := validateName(name); err != nil {
		return nil, err
	}
	sealed, err := readSealed(filepath.Join(s.dir, name+".age"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w", name, ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret %q: %w", name, err)
	}
	secret, err := decrypt(sealed, s.identity)
	if err != nil {
		return nil, fmt.Errorf("read secret %q: the file is damaged or belongs to another key store", name)
	}
	return secret, nil
}

// Put writes a secret and returns when it is durable. An existing one is replaced at once or not at all.
func (s *Store) Put(name string, secret []byte) error {
	if err := validateName(name); err != nil {
		return err
	}
	if len(secret) > MaxSecret {
		return fmt.Errorf("write secret %q: %d bytes, at most %d", name, len(secret), MaxSecret)
	}
	return s.write(name+".age", secret, s.identity.Recipient())
}

func (s *Store) write(file string, secret []byte, recipient age.Recipient) error {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	if err != nil {
		return fmt.Errorf("encrypt %s: %w", file, err)
	}
	if _, err := w.Write(secret); err != nil {
		return fmt.Errorf("encrypt %s: %w", file, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encrypt %s: %w", file, err)
	}
	return WriteFile(filepath.Join(s.dir, file), sealed.Bytes())
}

// SigningKey is the signing key of that name; it is made on first use.
func (s *Store) SigningKey(name string, alg jose.Algorithm) (*jose.SigningKey, error) {
	secret, err := s.Get(name)
	if err == nil {
		return jose.ParseSigningKey(secret)
	}
	if !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	key, err := jose.Generate(alg)
	if err != nil {
		return nil, err
	}
	if secret, err = key.MarshalSecret(); err != nil {
		return nil, err
	}
	return key, s.Put(name, secret)
}

// Random is the random secret of that name and length; it is made on first use.
func (s *Store) Random(name string, size int) ([]byte, error) {
	secret, err := s.Get(name)
	switch {
	case err == nil && len(secret) != size:
		return nil, fmt.Errorf("secret %q has %d bytes, want %d", name, len(secret), size)
	case err == nil:
		return secret, nil
	case !errors.Is(err, ErrAbsent):
		return nil, err
	}
	secret = make([]byte, size)
	rand.Read(secret)
	return secret, s.Put(name, secret)
}

func validateName(name string) error {
	if name == "" || len(name) > 100 || name == "identity" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("name of a secret: %q is not 1 to 100 of a-z, 0-9 and -", name)
	}
	return nil
}
