package demo

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
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
	k.log, k.logVerifier, err = office.LogKey(s, origin)
	return k, err
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
	signer, err := note.NewSigner(k.log)
	if err != nil {
		return nil, nil, err
	}
	parts := office.LedgerParts{
		// The register is on another path than the store, so that a restored store does not bring its register along.
		Store: filepath.Join(dir, "store"), Register: filepath.Join(filepath.Dir(dir), "last-signed"),
		Log: signer, Operator: k.operator, Cosigners: []ledger.TrustedCosigner{cosigner}, Threshold: 1, Logger: logger,
	}
	if err := parts.Found(first.Bytes()); err != nil {
		return nil, nil, err
	}
	return parts.Open()
}
