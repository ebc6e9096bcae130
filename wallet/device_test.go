package wallet_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/wallet"
)

// A device's key opens the vault that was sealed for it, beside the passphrase, until that is changed; another key, another seal or another vault
// opens nothing.
func TestDeviceKey(t *testing.T) {
	config := func(s wallet.Storage) wallet.VaultConfig {
		return wallet.VaultConfig{Storage: s, Passphrase: "old", WorkFactor: 2, Genesis: credential.DigestOf([]byte("chain"))}
	}
	create := func() (*wallet.Vault, wallet.VaultConfig) {
		cfg := config(new(wallet.InMemory))
		v, err := wallet.CreateVault(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return v, cfg
	}
	v, cfg := create()
	other, _ := create()
	key := bytes.Repeat([]byte{7}, wallet.DeviceKeySize)
	seal, err1 := v.SealFor(key)
	foreign, err2 := other.SealFor(key)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	cfg.Passphrase = ""
	opened, err := wallet.OpenVaultBySeal(cfg, seal, key)
	if err != nil {
		t.Fatal(err)
	}
	mine, err1 := v.Secrets()
	same, err2 := opened.Secrets()
	if err1 != nil || err2 != nil || mine.Master != same.Master {
		t.Errorf("another vault was opened: %v %v", err1, err2)
	}
	flipped := bytes.Clone(seal)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct{ seal, key []byte }{
		"another key": {seal, bytes.Repeat([]byte{8}, wallet.DeviceKeySize)}, "a flipped bit": {flipped, key}, "another vault's": {foreign, key},
		"too short": {seal[:5], key}, "nothing": {nil, key}, "too long": {make([]byte, 1<<20), key},
	} {
		if _, err := wallet.OpenVaultBySeal(cfg, c.seal, c.key); !errors.Is(err, wallet.ErrDeviceKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wallet.OpenVaultBySeal(cfg, seal, key[1:]); err == nil {
		t.Error("a short key")
	}
	if _, err := v.SealFor(nil); err == nil {
		t.Error("sealed for no key")
	}
	if _, err := wallet.OpenVaultBySeal(config(new(wallet.InMemory)), seal, key); !errors.Is(err, wallet.ErrNoVault) {
		t.Errorf("nothing there: %v", err)
	}
	if err := v.ChangePassphrase("old", "new"); err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.OpenVaultBySeal(cfg, seal, key); !errors.Is(err, wallet.ErrDeviceKey) {
		t.Errorf("after the passphrase was changed: %v", err)
	}
}
