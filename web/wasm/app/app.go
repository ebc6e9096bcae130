// Package app is the wallet as a page uses it: calls by name with JSON in and out, one vault, one chain. It runs in a worker of the
// browser (web/wasm), and in tests anywhere.
//
// What it answers may be shown: claims and texts, never the passphrase, a key or the master secret. Requests that were read stay
// here under a number; a page agrees to one by that number, so that what a person read is what is proven.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
)

// Key is a proving key that can be had.
type Key struct {
	Circuit string            `json:"circuit"`
	File    credential.Digest `json:"file"` // SHA-256 of the file
}

// Config is what an app needs.
type Config struct {
	Profile client.Profile // of the one chain
	Keys    []Key
	Storage wallet.Storage
	// Fetch gets the bytes of a key's file. What it gets is checked; fresh says that what it got before was wrong.
	Fetch func(ctx context.Context, key Key, fresh bool) ([]byte, error)
	// Help gives a key's file, which was checked, to helpers that prove with it; nil: there are none.
	Help func(key Key, file []byte) proving.Helpers
	// Tell is told how far a call is, in the order in which that happens.
	Tell func(Progress)
	// HTTPClient reaches ledger, issuers and verifiers; nil: the wallet's own.
	HTTPClient *http.Client
	// WorkFactor is the base-2 logarithm of scrypt's cost for new passphrases, 0: [wallet.DefaultWorkFactor].
	WorkFactor int
}

// Progress is how far a call is.
type Progress struct {
	Stage wallet.Stage `json:"stage"`
	Done  int          `json:"done"`
	Total int          `json:"total"`
}

// App is one wallet. It does one call at a time, and beside it what asks the network in the [background].
type App struct {
	cfg Config

	obtaining sync.Mutex // held while credentials are obtained

	mu     sync.Mutex // held over a call
	vault  *wallet.Vault
	wallet *wallet.Wallet
	stop   context.CancelFunc // ends keeping fresh
	read   map[int]*reading   // requests that were read and not answered
	last   int

	loading sync.Mutex // held while a proving key is loaded
	provers map[string]*prover
	took    atomic.Int64 // milliseconds of proving in this call
}

// New makes an app that is locked.
func New(cfg Config) *App {
	return &App{cfg: cfg, read: make(map[int]*reading), provers: make(map[string]*prover)}
}

// Failure is what a page is told of a call that failed: a stable code and a text in the page's language.
type Failure struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Codes of failures that are none of the wallet's own ([wallet.Code]).
const (
	CodeCall       = "call"       // the page's mistake
	CodeLocked     = "locked"     // unlock first
	CodePassphrase = "passphrase" // wrong
	CodeExists     = "exists"     // there is a vault here already
	CodeNoVault    = "no_vault"
	CodeWeak       = "weak"    // the passphrase is too short
	CodeFile       = "file"    // no backup
	CodeDevice     = "passkey" // the passkey does not open it any longer
	CodeOther      = "other"
)

// MinPassphrase is how many characters a new passphrase has at least.
const MinPassphrase = 10

var (
	errLocked = errors.New("the wallet is locked")
	errWeak   = fmt.Errorf("a passphrase has at least %d characters", MinPassphrase)
	errFile   = errors.New("this is no backup of a wallet of this chain")
	errCall   = errors.New("there is no such call, or its parameters are malformed")
)

// failureOf puts an error into words. Errors of strangers are not quoted: a refusal has a text of its own.
func failureOf(err error, language string) *Failure {
	var refusal *wallet.Refusal
	switch {
	case errors.As(err, &refusal):
		return &Failure{string(refusal.Code), refusal.Text(language)}
	case errors.Is(err, wallet.ErrPassphrase):
		return &Failure{CodePassphrase, ""}
	case errors.Is(err, wallet.ErrDeviceKey):
		return &Failure{CodeDevice, ""}
	case errors.Is(err, wallet.ErrVaultExists):
		return &Failure{CodeExists, ""}
	case errors.Is(err, wallet.ErrNoVault):
		return &Failure{CodeNoVault, ""}
	case errors.Is(err, errLocked):
		return &Failure{CodeLocked, ""}
	case errors.Is(err, errWeak):
		return &Failure{CodeWeak, ""}
	case errors.Is(err, errFile):
		return &Failure{CodeFile, ""}
	case errors.Is(err, errCall):
		return &Failure{CodeCall, err.Error()}
	}
	return &Failure{CodeOther, err.Error()}
}

// Call does one thing. params and result are JSON; a failure is an error's words in a language, "zh-CN" or "en".
func (a *App) Call(ctx context.Context, method, language string, params []byte) (result []byte, failed *Failure) {
	value, err := a.do(ctx, method, language, params)
	if err == nil {
		result, err = json.Marshal(value)
	}
	if err != nil {
		return nil, failureOf(err, language)
	}
	return result, nil
}

func (a *App) do(ctx context.Context, method, language string, params []byte) (any, error) {
	if do, ok := background[method]; ok {
		return do(a, ctx, language, params)
	}
	do, ok := calls[method]
	if !ok {
		return nil, fmt.Errorf("%w: %.40q", errCall, method)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cfg.Tell != nil {
		ctx = wallet.WithProgress(ctx, func(stage wallet.Stage, done, total int) { a.cfg.Tell(Progress{stage, done, total}) })
	}
	return do(a, ctx, language, params)
}

// call is a method with its parameters decoded.
type call func(a *App, ctx context.Context, language string, params []byte) (any, error)

// with is a call with parameters of a type; unknown members are a mistake.
func with[P any](do func(a *App, ctx context.Context, language string, p P) (any, error)) call {
	return func(a *App, ctx context.Context, language string, params []byte) (any, error) {
		var p P
		if err := credential.ParseStrict(params, &p); err != nil {
			return nil, fmt.Errorf("%w: parameters", errCall) // the cause could quote a passphrase
		}
		return do(a, ctx, language, p)
	}
}

// unlocked is a call that needs the vault to be open.
func unlocked[P any](do func(a *App, ctx context.Context, language string, p P) (any, error)) call {
	return with(func(a *App, ctx context.Context, language string, p P) (any, error) {
		if a.wallet == nil {
			return nil, errLocked
		}
		return do(a, ctx, language, p)
	})
}

type none struct{}

// passphrases are those of a vault and of a backup.
type passphrases struct {
	Passphrase       string `json:"passphrase"`
	Backup           string `json:"backup,omitempty"`
	BackupPassphrase string `json:"backup_passphrase,omitempty"`
}

// sealed is what a passkey opens a vault by: its PRF's output, and the seal that is kept. Both are base64url.
type sealed struct {
	Key  string `json:"key"`
	Seal string `json:"seal,omitempty"`
}

// parts are key and seal in bytes.
func (s sealed) parts() (key, seal []byte, err error) {
	key, err1 := credential.ParseBase64(s.Key, wallet.DeviceKeySize)
	seal, err2 := credential.ParseBase64(s.Seal, -1)
	if err1 != nil || err2 != nil {
		return nil, nil, fmt.Errorf("%w: a passkey's key or seal", errCall)
	}
	return key, seal, nil
}

func (a *App) unseal(s sealed) (any, error) {
	key, seal, err := s.parts()
	if err != nil {
		return nil, err
	}
	vault, err := wallet.OpenVaultBySeal(a.vaultConfig(""), seal, key)
	if err != nil {
		return nil, err
	}
	return a.open(vault)
}

func (a *App) seal(s sealed) (any, error) {
	key, _, err := s.parts()
	if err != nil {
		return nil, err
	}
	seal, err := a.vault.SealFor(key)
	return map[string]string{"seal": openid.EncodeBytes(seal)}, err
}

// calls are all methods.
var calls = map[string]call{
	"status":  with(func(a *App, _ context.Context, _ string, _ none) (any, error) { return a.status() }),
	"create":  with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.create(p) }),
	"restore": with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.restore(p) }),
	"unlock":  with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.unlock(p) }),
	"unseal":  with(func(a *App, _ context.Context, _ string, s sealed) (any, error) { return a.unseal(s) }),

	"credentials": unlocked(func(a *App, _ context.Context, _ string, _ none) (any, error) {
		return notNil(a.wallet.Credentials()), nil
	}),
	"history": unlocked(func(a *App, _ context.Context, _ string, _ none) (any, error) { return notNil(a.wallet.History()), nil }),
	"receive": unlocked(func(a *App, ctx context.Context, _ string, p receiving) (any, error) {
		a.obtaining.Lock()
		defer a.obtaining.Unlock()
		return a.wallet.Receive(ctx, p.Link, p.TxCode)
	}),
	"remove":  unlocked(func(a *App, _ context.Context, _ string, p named) (any, error) { return none{}, a.wallet.Remove(p.ID) }),
	"read":    unlocked((*App).readRequest),
	"explain": unlocked((*App).explainAgain),
	"answer":  unlocked((*App).answer),
	"refuse":  unlocked((*App).refuse),
	"seal":    unlocked(func(a *App, _ context.Context, _ string, s sealed) (any, error) { return a.seal(s) }),
	"backup":  unlocked(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.backup(p) }),
	"passphrase": unlocked(func(a *App, _ context.Context, _ string, p struct {
		Old string `json:"old"`
		New string `json:"new"`
	}) (any, error) {
		if err := strong(p.New); err != nil {
			return nil, err
		}
		return none{}, a.vault.ChangePassphrase(p.Old, p.New)
	}),
}

// background are the calls that a person does not wait for: a network that does not answer must not hold up what a person does next. They
// change nothing but the vault, and report no progress.
var background = map[string]call{
	"sync": beside(func(_ *App, ctx context.Context, w *wallet.Wallet) ([]wallet.Summary, error) { return w.Sync(ctx) }),
	"resume": beside(func(a *App, ctx context.Context, w *wallet.Wallet) ([]wallet.Summary, error) {
		a.obtaining.Lock()
		defer a.obtaining.Unlock()
		return w.Resume(ctx)
	}),
}

// beside is a call of an open vault that goes on beside others.
func beside(do func(a *App, ctx context.Context, w *wallet.Wallet) ([]wallet.Summary, error)) call {
	return with(func(a *App, ctx context.Context, _ string, _ none) (any, error) {
		a.mu.Lock()
		w := a.wallet
		a.mu.Unlock()
		if w == nil {
			return nil, errLocked
		}
		list, err := do(a, ctx, w)
		return notNil(list), err
	})
}

type receiving struct {
	Link   string `json:"link"`
	TxCode string `json:"tx_code,omitempty"`
}

type named struct {
	ID string `json:"id"`
}

// notNil writes an empty list as one.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// status is what a page sees of a wallet that is locked.
type status struct {
	Exists bool `json:"exists"`
	Open   bool `json:"open"`
}

func (a *App) status() (*status, error) {
	data, err := a.cfg.Storage.Load()
	return &status{data != nil, a.wallet != nil}, err
}

func strong(passphrase string) error {
	if len([]rune(passphrase)) < MinPassphrase {
		return errWeak
	}
	return nil
}

func (a *App) vaultConfig(passphrase string) wallet.VaultConfig {
	return wallet.VaultConfig{Storage: a.cfg.Storage, Passphrase: passphrase, WorkFactor: a.cfg.WorkFactor, Genesis: a.cfg.Profile.Genesis}
}

func (a *App) create(p passphrases) (any, error) {
	if err := strong(p.Passphrase); err != nil {
		return nil, err
	}
	vault, err := wallet.CreateVault(a.vaultConfig(p.Passphrase))
	if err != nil {
		return nil, err
	}
	return a.open(vault)
}

func (a *App) restore(p passphrases) (any, error) {
	if err := strong(p.Passphrase); err != nil {
		return nil, err
	}
	vault, err := wallet.RestoreVault(a.vaultConfig(p.Passphrase), []byte(p.Backup), p.BackupPassphrase)
	var refusal *wallet.Refusal
	switch {
	case err == nil:
		return a.open(vault)
	case errors.Is(err, wallet.ErrPassphrase) || errors.Is(err, wallet.ErrVaultExists) || errors.As(err, &refusal):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errFile, err)
}

func (a *App) unlock(p passphrases) (any, error) {
	vault, err := wallet.OpenVault(a.vaultConfig(p.Passphrase))
	if err != nil {
		return nil, err
	}
	return a.open(vault)
}

// open makes the wallet of an open vault. Locking is the end of the worker: nothing of a vault is left then.
func (a *App) open(vault *wallet.Vault) (any, error) {
	cfg := a.cfg.Profile.Config()
	cfg.Memory, cfg.HTTPClient = vault.Memory(), a.cfg.HTTPClient
	chain, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	w, err := wallet.New(wallet.Config{Vault: vault, Chain: chain, Provers: a.proverOf, HTTPClient: a.cfg.HTTPClient})
	if err != nil {
		return nil, err
	}
	a.Close()
	ctx, stop := context.WithCancel(context.Background())
	a.vault, a.wallet, a.stop = vault, w, stop
	go w.KeepFresh(ctx)
	return a.status()
}

// Close ends what goes on in the background.
func (a *App) Close() {
	if a.stop != nil {
		a.stop()
	}
}

func (a *App) backup(p passphrases) (any, error) {
	if err := strong(p.Passphrase); err != nil {
		return nil, err
	}
	data, err := a.vault.Backup(p.Passphrase)
	return map[string]string{"backup": string(data)}, err
}
