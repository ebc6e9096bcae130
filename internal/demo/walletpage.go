package demo

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/web"
)

// startWallet serves the wallet as a page, from an origin of its own. Without its WebAssembly, which make build makes, there is none.
func (n *Network) startWallet(serving context.Context, l net.Listener) error {
	page, err := office.WalletPage(n.Profile, n.Keys)
	if errors.Is(err, web.ErrNoWallet) {
		return nil
	}
	if err != nil {
		return err
	}
	n.Wallet = "http://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port) // a name, as passkeys are of no bare address
	n.serve(serving, l, page)
	return nil
}
