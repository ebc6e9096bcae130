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
	// HTTPClient reaches ledger, issuers and verifiers; nil: the wallet's own.
	HTTPClient *http.Client
	// WorkFactor is the base-2 logarithm of scrypt's cost for new passphrases, 0: [wallet.DefaultWorkFactor].
	WorkFactor int
}

// App is one wallet. Calls may come at any time: what must not go on beside another waits for it.
type App struct {
	cfg     Config
	turn    sync.Mutex // held by calls that are not made beside others
	session atomic.Pointer[session]

	loading sync.Mutex // held while a proving key is loaded
	provers map[string]*prover
}

// session is an open wallet. Locking is the end of the worker: nothing of it is left then.
type session struct {
	app    *App
	vault  *wallet.Vault
	wallet *wallet.Wallet
	stop   context.CancelFunc // ends keeping fresh

	obtaining sync.Mutex // held while credentials are obtained: what broke off is not taken up twice

	mu   sync.Mutex
	read map[int]*reading // requests that were read and not answered
	last int
}

// New makes an app that is locked.
func New(cfg Config) *App { return &App{cfg: cfg, provers: make(map[string]*prover)} }

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

// Call does one thing. params and result are JSON; a failure is an error's words in a language, "zh-CN" or "en". How far it is, it reports as
// [wallet.WithProgress] says.
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
	c, ok := calls[method]
	if !ok {
		return nil, fmt.Errorf("%w: %.40q", errCall, method)
	}
	if !c.beside {
		a.turn.Lock()
		defer a.turn.Unlock()
	}
	return c.do(a, withStopwatch(ctx), language, params)
}

// call is a method with its parameters decoded.
type call struct {
	do     func(a *App, ctx context.Context, language string, params []byte) (any, error)
	beside bool // it goes on beside others: what is slow elsewhere must not hold up what a person does next
}

// with is a call with parameters of a type; unknown members are a mistake.
func with[P any](do func(a *App, ctx context.Context, language string, p P) (any, error)) call {
	return call{do: func(a *App, ctx context.Context, language string, params []byte) (any, error) {
		var p P
		if err := credential.ParseStrict(params, &p); err != nil {
			return nil, fmt.Errorf("%w: parameters", errCall) // the cause could quote a passphrase
		}
		return do(a, ctx, language, p)
	}}
}

// unlocked is a call that needs the vault to be open.
func unlocked[P any](do func(s *session, ctx context.Context, language string, p P) (any, error)) call {
	return with(func(a *App, ctx context.Context, language string, p P) (any, error) {
		s := a.session.Load()
		if s == nil {
			return nil, errLocked
		}
		return do(s, ctx, language, p)
	})
}

func beside(c call) call {
	c.beside = true
	return c
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

func (a *App) unseal(p sealed) (any, error) {
	key, seal, err := p.parts()
	if err != nil {
		return nil, err
	}
	vault, err := wallet.OpenVaultBySeal(a.vaultConfig(""), seal, key)
	if err != nil {
		return nil, err
	}
	return a.open(vault)
}

func (s *session) seal(p sealed) (any, error) {
	key, _, err := p.parts()
	if err != nil {
		return nil, err
	}
	seal, err := s.vault.SealFor(key)
	return map[string]string{"seal": openid.EncodeBytes(seal)}, err
}

// calls are all methods.
var calls = map[string]call{
	"status":  with(func(a *App, _ context.Context, _ string, _ none) (any, error) { return a.status() }),
	"create":  with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.create(p) }),
	"restore": with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.restore(p) }),
	"unlock":  with(func(a *App, _ context.Context, _ string, p passphrases) (any, error) { return a.unlock(p) }),
	"unseal":  with(func(a *App, _ context.Context, _ string, p sealed) (any, error) { return a.unseal(p) }),

	"credentials": beside(unlocked(func(s *session, _ context.Context, _ string, _ none) (any, error) {
		return notNil(s.wallet.Credentials()), nil
	})),
	"history": beside(unlocked(func(s *session, _ context.Context, _ string, _ none) (any, error) {
		return notNil(s.wallet.History()), nil
	})),
	"sync": beside(unlocked(func(s *session, ctx context.Context, _ string, _ none) (any, error) {
		list, err := s.wallet.Sync(ctx)
		return notNil(list), err
	})),
	"read":    beside(unlocked((*session).readRequest)),
	"explain": beside(unlocked((*session).explainAgain)),
	"answer":  unlocked((*session).answer),
	"refuse":  unlocked((*session).refuse),

	"receive": unlocked(func(s *session, ctx context.Context, _ string, p receiving) (any, error) {
		s.obtaining.Lock()
		defer s.obtaining.Unlock()
		return s.wallet.Receive(ctx, p.Link, p.TxCode)
	}),
	"resume": beside(unlocked(func(s *session, ctx context.Context, _ string, _ none) (any, error) {
		s.obtaining.Lock()
		defer s.obtaining.Unlock()
		list, err := s.wallet.Resume(ctx)
		return notNil(list), err
	})),
	"remove": unlocked(func(s *session, _ context.Context, _ string, p named) (any, error) {
		return none{}, s.wallet.Remove(p.ID)
	}),
	"seal":   unlocked(func(s *session, _ context.Context, _ string, p sealed) (any, error) { return s.seal(p) }),
	"backup": unlocked(func(s *session, _ context.Context, _ string, p passphrases) (any, error) { return s.backup(p) }),
	"passphrase": unlocked(func(s *session, _ context.Context, _ string, p struct {
		Old string `json:"old"`
		New string `json:"new"`
	}) (any, error) {
		if err := strong(p.New); err != nil {
			return nil, err
		}
		return none{}, s.vault.ChangePassphrase(p.Old, p.New)
	}),
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
	return &status{data != nil, a.session.Load() != nil}, err
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

// open makes the wallet of an open vault.
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
	ctx, stop := context.WithCancel(context.Background())
	if before := a.session.Swap(&session{app: a, vault: vault, wallet: w, stop: stop, read: make(map[int]*reading)}); before != nil {
		before.stop()
	}
	go w.KeepFresh(ctx)
	return a.status()
}

// Close ends what goes on in the background.
func (a *App) Close() {
	if s := a.session.Load(); s != nil {
		s.stop()
	}
}

func (s *session) backup(p passphrases) (any, error) {
	if err := strong(p.Passphrase); err != nil {
		return nil, err
	}
	data, err := s.vault.Backup(p.Passphrase)
	return map[string]string{"backup": string(data)}, err
}
