package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/bulla-id/bulla/web"
)

// startWallet serves the wallet as a page, from an origin of its own. Without its WebAssembly, which make build makes, there is none.
func (n *Network) startWallet(serving context.Context, l net.Listener) error {
	profile, err := json.Marshal(n.Profile)
	if err != nil {
		return err
	}
	cfg := web.WalletConfig{Profile: profile, Logger: n.logger}
	for _, circuit := range n.Keys.Circuits() {
		path, _, err := n.Keys.ProvingKeyFile(circuit)
		if err != nil {
			return fmt.Errorf("proving key of %s: %w", circuit, err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("proving key of %s: %w", circuit, err)
		}
		cfg.Keys = append(cfg.Keys, web.WalletKey{Circuit: circuit, File: file})
	}
	pages, err := web.NewWallet(cfg)
	if errors.Is(err, web.ErrNoWallet) {
		return nil
	}
	if err != nil {
		return err
	}
	n.Wallet = urlOf(l)
	n.serve(serving, l, pages.Handler())
	return nil
}
