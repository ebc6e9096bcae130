// Package wallet acts for a citizen: it keeps the master secret and the credentials, asks for credentials, explains what
// a verifier wants in words, proves what the person agreed to, and remembers what was shown to whom.
//
//	storage, err := wallet.NewFile("wallet.bulla")
//	vault, err := wallet.CreateVault(wallet.VaultConfig{Storage: storage, Passphrase: "…", Genesis: genesis})
//	chain, err := client.New(client.Config{URL: ledger, Genesis: genesis, Policy: policy, Memory: vault.Memory()})
//	w, err := wallet.New(wallet.Config{Vault: vault, Chain: chain, Provers: provers})
//	summary, err := w.Receive(ctx, offerLink, "")
//	request, err := w.Read(ctx, requestLink)
//	candidates, err := w.Candidates(ctx, request)  // which credentials could answer
//	choice, err := request.DefaultChoice(candidates)
//	explanation, err := w.Explain(request, candidates, choice, "zh-CN")
//	answer, err := w.Answer(ctx, request.Consent(choice)) // after the person read and agreed; else w.Refuse
//
// Issuers, verifiers, the ledger's host and the network are not trusted: a credential is kept only after its leaf was
// found on the chain, and a request is shown only if its verifier and the whole of its policy are registered there.
// Every refusal is a [*Refusal] with a stable code. Nothing is sent to a verifier before a person acted, and a wallet
// that cannot answer says exactly what one says whose person does not want to.
//
// Whoever has the vault file and its passphrase is the person. The package compiles for js/wasm.
package wallet

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
)

// Prover makes zk proofs of one circuit under one proving key; *proving.Prover is one. An error means that no proof was
// made. It must be safe for concurrent use.
type Prover interface {
	ProvePresentation(context.Context, presentation.Public, presentation.Private) ([]byte, error)
	ProveEnrolment(context.Context, enrolment.Public, enrolment.Private) ([]byte, error)
}

// Provers finds the prover of a circuit by its name and the digest of the verifying key that will check its proofs. It
// is called only when a proof is needed, so that proving keys, some megabytes, load late; it should keep what it loaded.
// The wallet has checked before that the chain lists the key.
type Provers func(ctx context.Context, circuit string, verifyingKey credential.Digest) (Prover, error)

// Config is what a wallet needs.
type Config struct {
	Vault   *Vault
	Chain   *client.Client // of the vault's genesis, with the vault's Memory
	Provers Provers
	// HTTPClient is the transport to issuers and verifiers; its redirect policy and cookies are replaced. nil: one of
	// our own.
	HTTPClient *http.Client
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: no log. Claims, tags and secrets are never logged.
	// Margin is how much younger than the freshness a root must be, for the time that proving and delivery take.
	// 0: 30 seconds; at most half of the freshness is taken.
	Margin time.Duration
}

// Wallet does what a person wants. It is safe for concurrent use; several processes may share a vault.
type Wallet struct {
	vault   *Vault
	chain   *client.Client
	provers Provers
	http    *fetcher
	clock   func() time.Time
	log     *slog.Logger
	margin  time.Duration
}

// New checks the configuration. It does not reach out.
func New(cfg Config) (*Wallet, error) {
	if cfg.Vault == nil || cfg.Chain == nil || cfg.Provers == nil {
		return nil, errors.New("new wallet: vault, chain and provers are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Margin <= 0 {
		cfg.Margin = 30 * time.Second
	}
	return &Wallet{
		vault: cfg.Vault, chain: cfg.Chain, provers: cfg.Provers, http: newFetcher(cfg.HTTPClient),
		clock: cfg.Clock, log: cfg.Logger, margin: cfg.Margin,
	}, nil
}

// update fetches the newest view of the chain and holds the vault to it.
func (w *Wallet) update(ctx context.Context) (*client.View, error) {
	view, err := w.chain.Update(ctx)
	switch {
	case err != nil && client.IsBad(err):
		return nil, refuse(CodeLedger, err, "the ledger's host served what does not fit the chain")
	case err != nil:
		return nil, refuse(CodeNetwork, err, "the ledger could not be asked")
	case view.GenesisHash != w.vault.Genesis():
		return nil, refuse(CodeGenesis, nil, "the ledger is the chain %s, the wallet belongs to %s", view.GenesisHash, w.vault.Genesis())
	}
	return view, checkKeysOn(view)
}

// checkKeysOn refuses a chain that lists keys which its kind may not have: development keys, unless it is a dev chain. No
// honest cosigner signs such a chain; this is so that no wallet proves under keys that were made in a minute.
func checkKeysOn(view *client.View) error {
	for _, key := range view.Registry.VerifyingKeys {
		if err := key.ValidateOn(view.Genesis); err != nil {
			return refuse(CodeLedger, err, "verifying key %s", key.KeyDigest)
		}
	}
	return nil
}

// Progress is told of each stage of receiving and answering: what is being done, and how many of all steps are done.
type Progress func(stage Stage, done, total int)

// Stage is what a wallet is doing.
type Stage string

// The stages.
const (
	StageAsk   Stage = "ask"   // talk to issuer or verifier
	StageChain Stage = "chain" // read from the ledger
	StageKey   Stage = "key"   // load the proving key
	StageProve Stage = "prove" // make a zk proof
	StageWait  Stage = "wait"  // wait until the chain has the credential
	StageSend  Stage = "send"  // send the response
	StageDone  Stage = "done"
)

type progressKey struct{}

// WithProgress lets a context's calls report to a function, which is called from the calling goroutine.
func WithProgress(ctx context.Context, report Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

func progress(ctx context.Context, stage Stage, done, total int) {
	if report, ok := ctx.Value(progressKey{}).(Progress); ok && report != nil {
		report(stage, done, total)
	}
}
