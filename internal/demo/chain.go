package demo

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/cosign"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// origin names the demo's log in its checkpoints.
const origin = "bulla.example/dev"

// keyLifetime is how long development keys are good for.
const keyLifetime = 365 * 24 * time.Hour

// chainKeys are the keys of governance and ledger. In production each lies with another office.
type chainKeys struct {
	governance, operator *jose.SigningKey
	log, logVerifier     string // note signer key and verifier key
}

func openChainKeys(s *keystore.Store) (k chainKeys, err error) {
	if k.governance, err = s.SigningKey("governance", jose.EdDSA); err != nil {
		return k, err
	}
	if k.operator, err = s.SigningKey("operator", jose.EdDSA); err != nil {
		return k, err
	}
	secret, err := s.Get("log")
	if errors.Is(err, keystore.ErrAbsent) {
		signer, verifier, err := note.GenerateKey(rand.Reader, origin)
		if err != nil {
			return k, err
		}
		secret = []byte(signer + " " + verifier)
		if err := s.Put("log", secret); err != nil {
			return k, err
		}
	} else if err != nil {
		return k, err
	}
	var both bool
	if k.log, k.logVerifier, both = strings.Cut(string(secret), " "); !both {
		return k, errors.New("the log key in the key store is damaged")
	}
	return k, nil
}

// openCosignerKey is the cosigner's key with its verifier key.
func openCosignerKey(s *keystore.Store) (key, verifier string, err error) {
	secret, err := s.Get("cosigner")
	if errors.Is(err, keystore.ErrAbsent) {
		if key, verifier, err = cosign.GenerateKey("cosigner.example/dev"); err != nil {
			return "", "", err
		}
		return key, verifier, s.Put("cosigner", []byte(key+" "+verifier))
	}
	if err != nil {
		return "", "", err
	}
	key, verifier, both := strings.Cut(string(secret), " ")
	if !both {
		return "", "", errors.New("the cosigner's key in the key store is damaged")
	}
	return key, verifier, nil
}

// genesis is the signed genesis entry of the folder's chain; it is made on first use.
func genesis(dir string, k chainKeys, keys KeySet, now time.Time) (*entry.Entry, error) {
	path := filepath.Join(dir, "genesis.jws")
	raw, err := os.ReadFile(path)
	if err == nil {
		return entry.Parse(raw)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	transcript := transcriptOf(keys)
	draft := entry.Genesis{
		Network: "bulla-dev", Dev: transcript.IsZero(), Origin: origin, LogKey: k.logVerifier, OperatorKey: k.operator.Public(),
		GovernanceKeys: []jose.PublicKey{k.governance.Public()}, GovernanceThreshold: 1, Time: credential.UnixTimeOf(now),
		// A wallet wants a root of at most half the policies' freshness, also while nobody issues.
		SealMaximumSeconds: freshness / 3,
	}
	if !draft.Dev { // as quick as a dev chain, so that the story stays short
		draft.Network, draft.SealIntervalSeconds, draft.GridSeconds = "bulla-demo", 1, 1
	}
	for _, name := range keys.Circuits() {
		key, err := keys.VerifyingKey(name)
		if err != nil {
			return nil, err
		}
		draft.VerifyingKeys = append(draft.VerifyingKeys, entry.VerifyingKey{
			Circuit: name, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), Transcript: transcript, NotAfter: credential.UnixTimeOf(now.Add(keyLifetime)),
		})
	}
	e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: ledger.DraftGenesis(draft)}, k.governance)
	if err != nil {
		return nil, err
	}
	return e, keystore.WriteFile(path, e.Bytes())
}

// openLedger founds the chain if it is new, and opens it.
func openLedger(dir string, k chainKeys, first *entry.Entry, cosigner ledger.TrustedCosigner, logger *slog.Logger) (*ledger.Log, func() error, error) {
	rows, err := store.Open(store.Config{Dir: filepath.Join(dir, "store"), Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	// On another path than the store, so that a restored store does not bring its register along.
	register, err := store.NewFileRegister(filepath.Join(filepath.Dir(dir), "last-signed"), nil)
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	signer, err := note.NewSigner(k.log)
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	cfg := ledger.Config{
		Store: rows, Register: register, LogSigner: signer, Operator: k.operator, Logger: logger,
		Cosigners: []ledger.TrustedCosigner{cosigner}, Threshold: 1,
	}
	if err := ledger.Found(cfg, first.Bytes()); err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	log, err := ledger.Open(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return log, func() error { return errors.Join(log.Close(), rows.Close()) }, nil
}
