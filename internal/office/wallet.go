package office

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/circuits/ceremony"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/web"
)

// Wallet is who serves the wallet's page. It is no office of the chain: it has no key and keeps nothing. But who serves the page can
// change it, and so read what people type into it: whoever may serve pages to a citizen is trusted with the citizen's wallet.
const Wallet Role = "wallet"

// WalletConfig is the file of who serves the wallet's page.
type WalletConfig struct {
	Listen Listen `json:"listen"` // an origin of its own: nothing else is served there
	Chain  string `json:"chain"`  // the chain's profile, a file; people's browsers reach the ledger that it names
	Keys   string `json:"keys"`   // folder of the proving keys: that of the ceremony
}

// ReadWalletConfig reads the file of who serves the wallet's page.
func ReadWalletConfig(path string) (c WalletConfig, err error) {
	return c, readConfig(path, &c, func(at func(*string)) error {
		c.Listen.resolve(at)
		return errors.Join(c.Listen.validate(), files(at, named{"chain", &c.Chain}, named{"keys", &c.Keys}))
	})
}

// ProvingKeys are the proving keys of a folder.
type ProvingKeys interface {
	Circuits() []string
	ProvingKey(circuit string) (*keys.ProvingKey, error)
	ProvingKeyFile(circuit string) (path string, digest credential.Digest, err error)
}

// ReadProvingKeys loads the keys of a finished ceremony, or development keys. The error is an [os.ErrNotExist] if the folder has none.
func ReadProvingKeys(dir string) (ProvingKeys, error) {
	if _, err := os.Stat(filepath.Join(dir, ceremony.TranscriptFile)); err == nil {
		return ceremony.Keys(dir)
	}
	return setup.Load(dir)
}

// WalletPage is the wallet's page for a chain, with the proving keys that people's browsers fetch, or [web.ErrNoWallet].
func WalletPage(profile client.Profile, proving ProvingKeys) (http.Handler, error) {
	text, err := json.Marshal(profile)
	if err != nil {
		return nil, err
	}
	cfg := web.WalletConfig{Profile: text}
	for _, circuit := range proving.Circuits() {
		path, _, err := proving.ProvingKeyFile(circuit)
		if err != nil {
			return nil, fmt.Errorf("proving key of %s: %w", circuit, err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("proving key of %s: %w", circuit, err)
		}
		cfg.Keys = append(cfg.Keys, web.WalletKey{Circuit: circuit, File: file})
	}
	page, err := web.NewWallet(cfg)
	if err != nil {
		return nil, err
	}
	return page.Handler(), nil
}

// OpenWallet opens the server of the wallet's page.
func OpenWallet(cfg WalletConfig, o Options) (*Service, error) {
	profile, err := client.ReadProfile(cfg.Chain)
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	proving, err := ReadProvingKeys(cfg.Keys)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open wallet: there are no proving keys in %s: name the folder of the chain's ceremony", cfg.Keys)
	}
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	handler, err := WalletPage(profile, proving)
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	s, err := newService("wallet", cfg.Listen, o)
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	s.handler = handler
	return s, nil
}
