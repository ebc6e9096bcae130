package wallet

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
)

// DefaultWorkFactor is the base-2 logarithm of scrypt's cost where none is configured: about a second on a desktop.
const DefaultWorkFactor = 18

// Errors of opening a vault.
var (
	// ErrPassphrase is returned for a wrong passphrase, or for a vault that was damaged.
	ErrPassphrase = errors.New("wrong passphrase, or the vault is damaged")
	// ErrNoVault is returned where there is none to open.
	ErrNoVault = errors.New("there is no vault here; create one first")
	// ErrVaultExists is returned rather than overwriting one.
	ErrVaultExists = errors.New("there is a vault here already")
	// ErrRekeyed is returned when another process changed the passphrase while the vault was open.
	ErrRekeyed = errors.New("the vault's passphrase was changed elsewhere: open it again")
	errDamaged = errors.New("vault is damaged, or not a vault")
)

// VaultConfig says where a vault is and what opens it.
type VaultConfig struct {
	Storage    Storage
	Passphrase string
	// WorkFactor is the base-2 logarithm of scrypt's cost for what is written, 1 to 20; 0: [DefaultWorkFactor].
	WorkFactor int
	// Genesis is the one chain that the vault is for. Opening may leave it zero.
	Genesis credential.Digest
}

// Vault is the encrypted store of one person. It is safe for concurrent use, and several processes may have it open:
// each change is made to the newest document or not at all.
//
// The file is canonical JSON with two age files: the identity, an X25519 key encrypted to the passphrase with scrypt;
// and the document, encrypted to the identity, so that saving does not cost a scrypt. Changing the passphrase makes a
// new identity. Each age file ends in "tampered" if a bit of it is flipped, and nobody who cannot open the identity can
// make a document for it, as its public key stands nowhere.
type Vault struct {
	storage    Storage
	workFactor int

	mu       sync.Mutex // guards what follows
	identity *age.X25519Identity
	wrapped  string // the identity, encrypted to the passphrase
	raw      []byte // as stored
	doc      *document
}

type sealedVault struct {
	Document string `json:"document"` // base64url
	Format   string `json:"format"`   // vaultFormat
	Identity string `json:"identity"` // base64url
	Version  int    `json:"version"`
}

const (
	vaultFormat = "bulla-vault"
	maxIdentity = 4 << 10
)

// CreateVault makes a vault with a fresh master secret, or fails with [ErrVaultExists].
func CreateVault(cfg VaultConfig) (*Vault, error) {
	if cfg.Genesis.IsZero() {
		return nil, errors.New("create vault: the genesis hash of its chain is missing")
	}
	v, err := newVault(cfg, &document{
		Version: documentVersion, Genesis: cfg.Genesis, Master: credential.Secret{Element: credential.RandomElement()},
	})
	if err != nil {
		return nil, fmt.Errorf("create vault: %w", err)
	}
	return v, nil
}

// newVault writes a document to a storage that has none.
func newVault(cfg VaultConfig, doc *document) (*Vault, error) {
	v := &Vault{storage: cfg.Storage, workFactor: cfg.WorkFactor}
	if v.storage == nil {
		return nil, errors.New("there is no storage")
	}
	var err error
	if v.identity, v.wrapped, err = newIdentity(cfg.Passphrase, cfg.WorkFactor); err != nil {
		return nil, err
	}
	raw, err := v.seal(doc)
	if err != nil {
		return nil, err
	}
	if err := v.storage.Save(nil, raw); errors.Is(err, ErrConflict) {
		return nil, ErrVaultExists
	} else if err != nil {
		return nil, err
	}
	v.raw, v.doc = raw, doc
	return v, nil
}

// OpenVault opens a vault. It fails with [ErrNoVault] or [ErrPassphrase], and with [CodeGenesis] if it is of another
// chain than the one configured.
func OpenVault(cfg VaultConfig) (*Vault, error) {
	return openVault(cfg, func(wrapped string) (*age.X25519Identity, error) { return openIdentity(wrapped, cfg.Passphrase) })
}

// openVault opens a vault whose identity comes from find, which gets it as it is stored.
func openVault(cfg VaultConfig, find func(wrapped string) (*age.X25519Identity, error)) (*Vault, error) {
	if cfg.Storage == nil {
		return nil, errors.New("open vault: there is no storage")
	}
	raw, err := cfg.Storage.Load()
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	if raw == nil {
		return nil, fmt.Errorf("open vault: %w", ErrNoVault)
	}
	v := &Vault{storage: cfg.Storage, workFactor: cfg.WorkFactor}
	if err := v.open(raw, find); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	if !cfg.Genesis.IsZero() && cfg.Genesis != v.doc.Genesis {
		return nil, refuse(CodeGenesis, nil, "the vault belongs to the chain %s, not to %s", v.doc.Genesis, cfg.Genesis)
	}
	return v, nil
}

func (v *Vault) open(raw []byte, find func(wrapped string) (*age.X25519Identity, error)) error {
	sealed, err := parseSealed(raw)
	if err != nil {
		return err
	}
	if v.identity, err = find(sealed.Identity); err != nil {
		return err
	}
	return v.adopt(raw, sealed)
}

// adopt makes stored bytes the current state.
func (v *Vault) adopt(raw []byte, sealed sealedVault) error {
	encrypted, err := credential.ParseBase64(sealed.Document, -1)
	if err != nil {
		return errDamaged
	}
	text, err := decrypt(encrypted, v.identity, maxDocument)
	if err != nil {
		return ErrPassphrase
	}
	doc, err := parseDocument(text)
	if err != nil {
		return err
	}
	v.raw, v.wrapped, v.doc = raw, sealed.Identity, doc
	return nil
}

func parseSealed(raw []byte) (sealedVault, error) {
	var sealed sealedVault
	if len(raw) > MaxVault || credential.ParseCanonical(raw, &sealed) != nil || sealed.Format != vaultFormat {
		return sealed, errDamaged
	}
	if sealed.Version != 1 {
		return sealed, fmt.Errorf("vault file of version %d, this program reads 1", sealed.Version)
	}
	return sealed, nil
}

// Genesis is the hash of the chain that the vault is for.
func (v *Vault) Genesis() credential.Digest { return v.read().Genesis }

// read is the current document, which nobody changes.
func (v *Vault) read() *document {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.doc
}

// update changes the document and returns when the change is durable. If another process saved in between, change is
// called again with what that one left: it must be free of side effects. An error of change leaves everything as it was.
func (v *Vault) update(change func(*document) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for range 100 {
		doc, err := v.doc.clone()
		if err != nil {
			return err
		}
		if err := change(doc); err != nil {
			return err
		}
		doc.Saves++
		raw, err := v.seal(doc)
		if err != nil {
			return err
		}
		switch err := v.storage.Save(v.raw, raw); {
		case err == nil:
			v.raw, v.doc = raw, doc
			return nil
		case !errors.Is(err, ErrConflict):
			return fmt.Errorf("save vault: %w", err)
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // so that of many writers each gets its turn
		if err := v.reload(); err != nil {
			return fmt.Errorf("save vault: %w", err)
		}
	}
	return fmt.Errorf("save vault: %w", ErrConflict)
}

// clone copies a document through its encoding, which also proves that it can be read back.
func (d *document) clone() (*document, error) {
	text, err := d.encode()
	if err != nil {
		return nil, err
	}
	return parseDocument(text)
}

// reload takes what another process saved.
func (v *Vault) reload() error {
	raw, err := v.storage.Load()
	if err != nil {
		return err
	}
	if raw == nil {
		return ErrNoVault
	}
	sealed, err := parseSealed(raw)
	if err != nil {
		return err
	}
	if sealed.Identity != v.wrapped {
		return ErrRekeyed
	}
	return v.adopt(raw, sealed)
}

// seal encrypts a document to the identity.
func (v *Vault) seal(doc *document) ([]byte, error) {
	text, err := doc.encode()
	if err != nil {
		return nil, err
	}
	encrypted, err := encrypt(text, v.identity.Recipient())
	if err != nil {
		return nil, err
	}
	return credential.Canonical(sealedVault{
		Document: openid.EncodeBytes(encrypted), Format: vaultFormat, Identity: v.wrapped, Version: 1,
	})
}

// Backup is a copy of the vault under another passphrase, for [RestoreVault]. It shares no key with the vault.
func (v *Vault) Backup(passphrase string) ([]byte, error) {
	target := new(InMemory)
	if _, err := newVault(VaultConfig{Storage: target, Passphrase: passphrase, WorkFactor: v.workFactor}, v.read()); err != nil {
		return nil, fmt.Errorf("back up vault: %w", err)
	}
	return target.Load()
}

// RestoreVault makes a vault of a backup, in a storage that has none, under the configured passphrase.
func RestoreVault(cfg VaultConfig, backup []byte, backupPassphrase string) (*Vault, error) {
	source := new(InMemory)
	if err := source.Save(nil, backup); err != nil || len(backup) == 0 {
		return nil, fmt.Errorf("restore vault: %w", errDamaged)
	}
	old, err := OpenVault(VaultConfig{Storage: source, Passphrase: backupPassphrase, Genesis: cfg.Genesis})
	if err != nil {
		return nil, fmt.Errorf("restore vault: %w", err)
	}
	v, err := newVault(cfg, old.read())
	if err != nil {
		return nil, fmt.Errorf("restore vault: %w", err)
	}
	return v, nil
}

// ChangePassphrase encrypts the vault anew. Copies of the old file still open with the old passphrase.
func (v *Vault) ChangePassphrase(old, passphrase string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := openIdentity(v.wrapped, old); err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	identity, sealed, err := newIdentity(passphrase, v.workFactor)
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	next := &Vault{identity: identity, wrapped: sealed}
	raw, err := next.seal(v.doc)
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	if err := v.storage.Save(v.raw, raw); err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	v.identity, v.wrapped, v.raw = identity, sealed, raw
	return nil
}

// String hides everything.
func (v *Vault) String() string { return "vault [redacted]" }

// GoString hides everything.
func (v *Vault) GoString() string { return v.String() }

// LogValue hides everything from slog.
func (v *Vault) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON refuses: a vault is never written in clear.
func (v *Vault) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a vault is not written in clear")
}

// Secrets is what the vault protects, in clear: for the person's own tools, and for tests of other people's defences.
type Secrets struct {
	Master      credential.Secret
	Credentials []Credential
}

// Secrets hands out master secret and credentials. Whoever gets them is the person, and can recompute all past
// pseudonyms.
func (v *Vault) Secrets() (Secrets, error) {
	doc, err := v.read().clone()
	if err != nil {
		return Secrets{}, err
	}
	return Secrets{doc.Master, doc.Credentials}, nil
}
