package office

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/counter"
)

// CounterFolder is the folder of a counter that works without a network: all that it takes with it.
type CounterFolder string

// What lies in the folder.
const (
	counterProfile = "chain.json"      // what it believes
	counterPass    = "pass"            // by the verifier
	counterCopy    = "copy.json"       // of the chain
	counterSeen    = "last-checkpoint" // that it saw when it had a network
	counterKeys    = "keys"            // verifying keys
	counterMemory  = "requests"        // asked and used up
	counterKey     = "counter"         // name of its key in the key store
	maxCopy        = credential.MaxDocument
)

func (f CounterFolder) file(name string) string { return filepath.Join(string(f), name) }

// CounterConfig says what a counter is opened with.
type CounterConfig struct {
	Name, Verifier string
	Signing        *jose.SigningKey // of the verifier, as the chain lists it
	Profile        client.Profile
	VerifyingKeys  [][]byte
	Passphrase     string // of the counter's own key store, which is made if it is not there
	WorkFactor     int    // of a key store that is made; 0: the default
	Lifetime       time.Duration
}

// Open makes the counter's key if there is none, and a new pass for it.
func (f CounterFolder) Open(cfg CounterConfig) (openid.CounterPass, error) {
	pass, err := f.open(cfg)
	if err != nil {
		return pass, fmt.Errorf("open counter %s: %w", cfg.Name, err)
	}
	return pass, nil
}

func (f CounterFolder) open(cfg CounterConfig) (pass openid.CounterPass, err error) {
	if old, err := f.pass(); err == nil && (old.Counter != cfg.Name || old.Verifier != cfg.Verifier || old.Genesis != cfg.Profile.Genesis) {
		return pass, fmt.Errorf("%s is the folder of counter %s of %s: give another one", f, old.Counter, old.Verifier)
	}
	store, err := keystore.Open(keystore.Config{Dir: f.file(SecretsFolder), Passphrase: cfg.Passphrase, WorkFactor: cfg.WorkFactor})
	if err != nil {
		return pass, err
	}
	key, err := store.SigningKey(counterKey, jose.EdDSA)
	if err != nil {
		return pass, err
	}
	now := time.Now()
	pass = openid.CounterPass{
		Version: 1, Genesis: cfg.Profile.Genesis, Verifier: cfg.Verifier, Counter: cfg.Name, Key: key.Public(),
		IssuedAt: credential.UnixTimeOf(now), NotAfter: credential.UnixTimeOf(now.Add(cfg.Lifetime)),
	}
	token, err := openid.SignCounterPass(cfg.Signing, pass)
	if err != nil {
		return pass, err
	}
	profile, err := credential.Canonical(cfg.Profile)
	if err != nil {
		return pass, err
	}
	if err := os.MkdirAll(f.file(counterKeys), 0o700); err != nil {
		return pass, err
	}
	for _, data := range cfg.VerifyingKeys {
		vk, err := keys.ParseVerifyingKey(data)
		if err != nil {
			return pass, err
		}
		if err := replaceFile(filepath.Join(f.file(counterKeys), vk.Name()+"-"+vk.Digest().String()+".verifying"), data); err != nil {
			return pass, err
		}
	}
	return pass, errors.Join(replaceFile(f.file(counterProfile), profile), replaceFile(f.file(counterPass), []byte(token)))
}

// replaceFile writes a file whole or not at all, and durably.
func replaceFile(path string, data []byte) error { return client.File(path).Save(data) }

func (f CounterFolder) pass() (openid.CounterPass, error) {
	token, err := readFile(f.file(counterPass))
	if err != nil {
		return openid.CounterPass{}, err
	}
	return openid.ParseCounterPass(string(token))
}

// Pass is the pass that the counter has.
func (f CounterFolder) Pass() (openid.CounterPass, error) {
	pass, err := f.pass()
	if err != nil {
		return pass, fmt.Errorf("there is no counter in %s: bulla verifier counter open makes one: %w", f, err)
	}
	return pass, nil
}

// Sync takes a new copy of the chain, which must continue the last one.
func (f CounterFolder) Sync(ctx context.Context) (*counter.Copy, error) {
	pass, err := f.Pass()
	if err != nil {
		return nil, err
	}
	profile, err := client.ReadProfile(f.file(counterProfile))
	if err != nil {
		return nil, err
	}
	cfg := profile.Config()
	cfg.Memory = client.File(f.file(counterSeen))
	chain, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	fresh, err := verifier.CounterCopy(ctx, chain, pass.Verifier, time.Now())
	if err != nil {
		return nil, err
	}
	text, err := credential.Canonical(fresh)
	if err != nil {
		return nil, err
	}
	return fresh, replaceFile(f.file(counterCopy), text)
}

// Load makes the counter of what lies in the folder. It needs no network.
func (f CounterFolder) Load(passphrase string) (*counter.Counter, error) {
	if _, err := f.Pass(); err != nil {
		return nil, err
	}
	cfg := counter.Config{}
	profile, err := checkpoint.ReadProfile(f.file(counterProfile))
	if err != nil {
		return nil, err
	}
	cfg.Profile = profile
	token, err := readFile(f.file(counterPass))
	if err != nil {
		return nil, err
	}
	cfg.Pass = string(token)
	store, err := openSecrets(f.file(SecretsFolder), passphrase)
	if err != nil {
		return nil, err
	}
	if cfg.Key, err = signer(store, counterKey); err != nil {
		return nil, err
	}
	text, err := readAtMost(f.file(counterCopy), maxCopy)
	if err != nil {
		return nil, fmt.Errorf("the counter has no copy of the chain: bulla verifier counter sync makes one: %w", err)
	}
	if cfg.Copy, err = counter.ParseCopy(text); err != nil {
		return nil, err
	}
	if cfg.VerifyingKeys, err = PresentationKeys(f.file(counterKeys)); err != nil {
		return nil, err
	}
	if cfg.Memory, err = counter.OpenFolder(f.file(counterMemory)); err != nil {
		return nil, err
	}
	return counter.New(cfg)
}

// PresentationKeys reads the verifying keys of presentation circuits in a folder, in the order of their names.
func PresentationKeys(dir string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.verifying"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var files [][]byte
	for _, name := range names {
		data, err := readAtMost(name, keys.MaxVerifyingKey)
		if err != nil {
			return nil, err
		}
		key, err := keys.ParseVerifyingKey(data)
		if err != nil {
			return nil, fmt.Errorf("verifying key %s: %w", name, err)
		}
		if _, err := credential.ShapeOf(key.Name()); err == nil { // not that of enrolments
			files = append(files, data)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no verifying keys (*.verifying) of presentations in %s", dir)
	}
	return files, nil
}

// VerifierKey is the signing key of a relying party, with its DID.
func VerifierKey(dir, passphrase string) (key *jose.SigningKey, did string, err error) {
	public, err := ReadPublic(filepath.Join(dir, PublicFile), Verifier)
	if err != nil {
		return nil, "", err
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		return nil, "", err
	}
	key, err = signer(secrets, signingKey)
	return key, public.Name, err
}
