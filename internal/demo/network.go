// Package demo runs every role in one process on loopback, over real HTTP, on a dev chain: for `bulla serve --dev`, which
// stays, and for `bulla demo`, which tells a story and ends. It is the only place that knows all roles.
//
// One process holds everybody's keys here. That is what makes it a demo: in production governance, operator, cosigner,
// agencies and relying parties are different offices.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Config says where a network lives.
type Config struct {
	Dir        string // data folder; everything is kept there
	Passphrase string // opens the key store in it
	WorkFactor int    // of scrypt; 0: 18
	// Ceremony is the folder of a finished ceremony. With its keys the chain is no dev chain. Empty: development keys.
	Ceremony string
	Port     int // first of nine consecutive ports on 127.0.0.1; 0: any free ones
	Progress setup.Progress
	Logger   *slog.Logger // nil: no log
}

// Network is everything, running.
type Network struct {
	Profile   client.Profile
	Keys      KeySet
	Genesis   entry.Genesis
	Agencies  map[string]*Agency // by DID
	Verifiers map[string]*Verifier
	Chain     *client.Client // the demo's own view
	Front     string         // URL of the first page, which leads to all others
	Wallet    string         // URL of the wallet's page; empty in a program that was built without it

	schemas  schemas
	secrets  *keystore.Store
	logger   *slog.Logger
	cosigner string // URL
	closers  []func() error
	stop     context.CancelFunc
	running  sync.WaitGroup
	failed   chan error
}

// The places, in the order of their ports.
const (
	atLedger = iota
	atCosigner
	atCivil
	atLand
	atHealth
	atCity
	atClinic
	atWallet
	atFront
	places
)

// Start starts everything in a folder. What is there is found again; what is not is made. The network runs until Close.
func Start(ctx context.Context, cfg Config) (*Network, error) {
	n := &Network{
		Agencies: make(map[string]*Agency), Verifiers: make(map[string]*Verifier),
		logger: cfg.Logger, failed: make(chan error, 2*places),
	}
	if n.logger == nil {
		n.logger = slog.New(slog.DiscardHandler)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	if err := n.start(ctx, serving, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("start in %s: %w", cfg.Dir, err), n.Close())
	}
	return n, nil
}

func (n *Network) start(ctx, serving context.Context, cfg Config) (err error) {
	if n.schemas, err = newSchemas(); err != nil {
		return err
	}
	if n.Keys, err = openKeys(ctx, cfg); err != nil {
		return err
	}
	secrets, err := keystore.Open(keystore.Config{Dir: filepath.Join(cfg.Dir, secretsFolder), Passphrase: cfg.Passphrase, WorkFactor: cfg.WorkFactor})
	if err != nil {
		return err
	}
	n.secrets = secrets
	listeners, err := listen(cfg.Port)
	if err != nil {
		return err
	}
	for _, l := range listeners { // those that are served are closed already
		n.closers = append(n.closers, func() error { _ = l.Close(); return nil })
	}
	if err := n.startChain(serving, cfg, secrets, listeners); err != nil {
		return err
	}
	governance, err := secrets.SigningKey("governance", jose.EdDSA)
	if err != nil {
		return err
	}
	if err := n.registerEverybody(ctx, governance, secrets, listeners); err != nil {
		return err
	}
	if err := n.startAgencies(serving, cfg.Dir, secrets, listeners); err != nil {
		return err
	}
	if err := n.startWallet(serving, listeners[atWallet]); err != nil { // which the verifiers' pages lead to
		return err
	}
	if err := n.startVerifiers(ctx, serving, cfg.Dir, secrets, listeners); err != nil {
		return err
	}
	return n.startFront(serving, listeners[atFront])
}

// listen opens the listeners of all places.
func listen(port int) ([]net.Listener, error) {
	var listeners []net.Listener
	for i := range places {
		at := 0
		if port != 0 {
			at = port + i
		}
		l, err := webapi.Listen(fmt.Sprintf("127.0.0.1:%d", at))
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("%w (is another one running? choose other ports with --port)", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func urlOf(l net.Listener) string { return "http://" + l.Addr().String() }

// serve answers on a listener until the network is closed.
func (n *Network) serve(ctx context.Context, l net.Listener, handler http.Handler) {
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		if err := webapi.Serve(ctx, l, handler); err != nil {
			n.failed <- err
		}
	}()
}

// run runs a role's background work until the network is closed.
func (n *Network) run(ctx context.Context, did string, work func(context.Context) error) {
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		if err := work(ctx); err != nil && ctx.Err() == nil {
			n.failed <- fmt.Errorf("%s: %w", did, err)
		}
	}()
}

// CosignerURL is where the replaying cosigner answers.
func (n *Network) CosignerURL() string { return n.cosigner }

// ExplorerURL is where everybody can look at the chain.
func (n *Network) ExplorerURL() string { return n.Profile.Ledger + office.ExplorerPath + "/" }

// Failed tells of a server that ended by itself.
func (n *Network) Failed() <-chan error { return n.failed }

// Close stops everything: servers first, then what they used, last started first.
func (n *Network) Close() error {
	n.stop()
	n.running.Wait()
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// startChain starts ledger and cosigner, and writes the chain's profile.
func (n *Network) startChain(serving context.Context, cfg Config, secrets *keystore.Store, listeners []net.Listener) error {
	chainKeys, err := openChainKeys(secrets)
	if err != nil {
		return err
	}
	first, err := genesis(cfg.Dir, chainKeys, n.Keys, time.Now())
	if err != nil {
		return err
	}
	payload, err := first.ParsePayload()
	if err != nil {
		return err
	}
	n.Genesis = payload.(entry.Genesis)
	cosignerKey, cosignerVerifier, err := office.CosignerKey(secrets, "cosigner.example/dev")
	if err != nil {
		return err
	}
	ledgerURL := urlOf(listeners[atLedger])
	n.cosigner = urlOf(listeners[atCosigner])
	log, closeLedger, err := openLedger(filepath.Join(cfg.Dir, "ledger"), chainKeys, first,
		ledger.TrustedCosigner{Key: cosignerVerifier, Cosigner: ledger.NewHTTPCosigner(n.cosigner, nil)}, n.logger)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, closeLedger)
	n.Profile = client.Profile{
		Ledger: ledgerURL, Genesis: first.Digest(),
		Policy: client.Policy{LogKey: chainKeys.logVerifier, Cosigners: []string{cosignerVerifier}, Threshold: 1},
	}
	handler := log.Handler()
	explorer, err := office.ExplorerParts{Dir: filepath.Join(cfg.Dir, "explorer"), Profile: n.Profile, From: handler, Logger: n.logger}.Open()
	if err != nil {
		return err
	}
	n.closers = append(n.closers, explorer.Close)
	n.serve(serving, listeners[atLedger], explorer.Beside(handler))
	n.run(serving, "explorer", explorer.Run)
	if err := n.startCosigner(serving, cfg.Dir, cosignerKey, first.Digest(), ledgerURL, listeners[atCosigner]); err != nil {
		return err
	}
	text, err := json.MarshalIndent(n.Profile, "", "  ")
	if err != nil {
		return err
	}
	return keystore.WriteFile(filepath.Join(cfg.Dir, ProfileFile), append(text, '\n'))
}

// ProfileFile is the chain's profile in a data folder.
const ProfileFile = "chain.json"

func (n *Network) startCosigner(serving context.Context, dir, key string, genesis credential.Digest, ledgerURL string, l net.Listener) error {
	dir = filepath.Join(dir, "cosigner")
	c, closeCosigner, err := office.CosignerParts{
		Store: filepath.Join(dir, "store"), Register: filepath.Join(dir, "last-cosigned"),
		Key: key, Genesis: genesis, LedgerURL: ledgerURL, Logger: n.logger,
	}.Open()
	if err != nil {
		return err
	}
	n.closers = append(n.closers, closeCosigner)
	n.serve(serving, l, c.Handler())
	return nil
}

// newClient is a reader of the chain with a memory of its own.
func (n *Network) newClient(memory client.Memory) (*client.Client, error) {
	cfg := n.Profile.Config()
	cfg.Memory = memory
	return client.New(cfg)
}

// memoryFile is where a role remembers the last checkpoint it saw.
func memoryFile(dir, role string) (client.Memory, error) {
	dir = filepath.Join(dir, role)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return client.File(filepath.Join(dir, "last-checkpoint.json")), nil
}
