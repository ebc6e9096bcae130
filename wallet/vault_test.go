package wallet_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

var someGenesis = credential.DigestOf([]byte("some genesis"))

func config(storage wallet.Storage) wallet.VaultConfig {
	return wallet.VaultConfig{Storage: storage, Passphrase: "correct horse", WorkFactor: 1, Genesis: someGenesis}
}

func create(t testing.TB, storage wallet.Storage) *wallet.Vault {
	t.Helper()
	return ledgertest.Must(wallet.CreateVault(config(storage)))(t)
}

func master(t testing.TB, v *wallet.Vault) credential.Secret {
	t.Helper()
	return ledgertest.Must(v.Secrets())(t).Master
}

func TestVaultOpens(t *testing.T) {
	file := ledgertest.Must(wallet.NewFile(filepath.Join(t.TempDir(), "deep", "wallet.bulla")))(t)
	if _, err := wallet.OpenVault(config(file)); !errors.Is(err, wallet.ErrNoVault) {
		t.Errorf("error is %v, want that there is none", err)
	}
	v := create(t, file)
	if _, err := wallet.CreateVault(config(file)); !errors.Is(err, wallet.ErrVaultExists) {
		t.Errorf("error is %v: a vault would be overwritten", err)
	}
	again := ledgertest.Must(wallet.OpenVault(config(file)))(t)
	if master(t, again) != master(t, v) {
		t.Error("another master secret comes back")
	}
	wrong := config(file)
	wrong.Passphrase = "correct horsf"
	if _, err := wallet.OpenVault(wrong); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("error is %v, want the passphrase", err)
	}
	wrong.Passphrase = ""
	if _, err := wallet.OpenVault(wrong); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("error is %v, want the passphrase", err)
	}
	other := config(file)
	other.Genesis = credential.DigestOf([]byte("another chain"))
	_, err := wallet.OpenVault(other)
	wantCode(t, err, wallet.CodeGenesis)
	if info := ledgertest.Must(os.Stat(file.Path()))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	raw := ledgertest.Must(file.Load())(t)
	if bytes.Contains(raw, []byte(master(t, v).Element.String())) {
		t.Error("the master secret is in the file in clear")
	}
}

func TestVaultConfig(t *testing.T) {
	for name, change := range map[string]func(*wallet.VaultConfig){
		"no genesis":    func(c *wallet.VaultConfig) { c.Genesis = credential.Digest{} },
		"no passphrase": func(c *wallet.VaultConfig) { c.Passphrase = "" },
		"no storage":    func(c *wallet.VaultConfig) { c.Storage = nil },
		"work factor":   func(c *wallet.VaultConfig) { c.WorkFactor = 30 },
	} {
		cfg := config(new(wallet.InMemory))
		change(&cfg)
		if _, err := wallet.CreateVault(cfg); err == nil {
			t.Errorf("%s: a vault was made", name)
		}
	}
}

// TestVaultTampered flips every byte of the file, one at a time: none opens.
func TestVaultTampered(t *testing.T) {
	storage := new(wallet.InMemory)
	create(t, storage)
	raw := ledgertest.Must(storage.Load())(t)
	open := func(data []byte) error {
		tampered := new(wallet.InMemory)
		if err := tampered.Save(nil, data); err != nil {
			t.Fatal(err)
		}
		_, err := wallet.OpenVault(config(tampered))
		return err
	}
	if err := open(raw); err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	for i := 0; i < len(raw); i += step {
		spoiled := bytes.Clone(raw)
		spoiled[i] ^= 1
		if err := open(spoiled); err == nil {
			t.Errorf("byte %d (%q) was flipped, and the vault opens", i, raw[i])
		}
	}
	for _, data := range [][]byte{raw[:len(raw)-1], append(bytes.Clone(raw), ' '), []byte("{}"), []byte("null"), bytes.Repeat([]byte("a"), wallet.MaxVault+1)} {
		if err := open(data); err == nil {
			t.Errorf("%d bytes of rubbish open", len(data))
		}
	}
}

// failing is a storage whose saves fail, as when the power goes.
type failing struct {
	wallet.InMemory
	fail bool
}

func (f *failing) Save(old, data []byte) error {
	if f.fail {
		return errors.New("the power is gone")
	}
	return f.InMemory.Save(old, data)
}

func TestVaultSurvivesFailedSaves(t *testing.T) {
	storage := new(failing)
	v := create(t, storage)
	if err := v.Memory().Save(state(10, "")); err != nil {
		t.Fatal(err)
	}
	storage.fail = true
	if err := v.Memory().Save(state(20, "")); err == nil {
		t.Fatal("a failed save is called durable")
	}
	if err := v.ChangePassphrase("correct horse", "battery staple"); err == nil {
		t.Fatal("a failed save is called durable")
	}
	storage.fail = false
	for _, vault := range []*wallet.Vault{v, ledgertest.Must(wallet.OpenVault(config(storage)))(t)} {
		if got := ledgertest.Must(vault.Memory().Load())(t); !bytes.Equal(got, state(10, "")) {
			t.Errorf("memory holds %s", got)
		}
	}
	if err := v.Memory().Save(state(30, "")); err != nil {
		t.Errorf("the vault cannot save any more: %v", err)
	}
}

// state is as the ledger client writes it, as far as the vault looks.
func state(size int, conflict string) []byte {
	return []byte(fmt.Sprintf(`{"checkpoint":"origin\n%d\nroot\n","conflict":%q,"genesis":"x"}`, size, conflict))
}

// TestVaultMemory: of what two processes saw, the newer checkpoint and a proven fork stay.
func TestVaultMemory(t *testing.T) {
	storage := new(wallet.InMemory)
	a := create(t, storage)
	b := ledgertest.Must(wallet.OpenVault(config(storage)))(t)
	if got := ledgertest.Must(a.Memory().Load())(t); got != nil {
		t.Errorf("a new vault remembers %s", got)
	}
	for _, step := range []struct {
		vault       *wallet.Vault
		saved, want []byte
	}{
		{a, state(10, ""), state(10, "")},
		{b, state(30, ""), state(30, "")},
		{a, state(20, ""), state(30, "")}, // a did not know of 30
		{a, state(31, ""), state(31, "")},
		{b, state(12, "fork"), state(12, "fork")},
		{a, state(99, ""), state(12, "fork")},
	} {
		if err := step.vault.Memory().Save(step.saved); err != nil {
			t.Fatal(err)
		}
		if got := ledgertest.Must(step.vault.Memory().Load())(t); !bytes.Equal(got, step.want) {
			t.Errorf("saved %s, remembered %s, want %s", step.saved, got, step.want)
		}
	}
}

// TestVaultProcesses: many writers on one file lose nothing of each other, and a killed one's lock holds nobody up.
func TestVaultProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wallet.bulla")
	create(t, ledgertest.Must(wallet.NewFile(path))(t))
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 4 {
		vault := ledgertest.Must(wallet.OpenVault(config(ledgertest.Must(wallet.NewFile(path))(t))))(t)
		group.Go(func() {
			for j := range 5 {
				if err := vault.Memory().Save(state(100*j+i+1, "")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	last := ledgertest.Must(wallet.OpenVault(config(ledgertest.Must(wallet.NewFile(path))(t))))(t)
	if got := ledgertest.Must(last.Memory().Load())(t); !bytes.Equal(got, state(404, "")) {
		t.Errorf("memory holds %s, want the newest", got)
	}
	left := ledgertest.Must(os.ReadDir(filepath.Dir(path)))(t)
	if len(left) != 2 {
		t.Errorf("files left: %v", left)
	}
}

func TestPassphraseChange(t *testing.T) {
	storage := new(wallet.InMemory)
	v := create(t, storage)
	other := ledgertest.Must(wallet.OpenVault(config(storage)))(t)
	old := ledgertest.Must(storage.Load())(t)
	if err := v.ChangePassphrase("wrong", "battery staple"); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("error is %v, want the passphrase", err)
	}
	if err := v.ChangePassphrase("correct horse", "battery staple"); err != nil {
		t.Fatal(err)
	}
	if _, err := wallet.OpenVault(config(storage)); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("the old passphrase still opens it: %v", err)
	}
	if err := other.Memory().Save(state(1, "")); !errors.Is(err, wallet.ErrRekeyed) {
		t.Errorf("error is %v, want that the vault was rekeyed", err)
	}
	if err := v.Memory().Save(state(5, "")); err != nil {
		t.Fatal(err)
	}
	cfg := config(storage)
	cfg.Passphrase = "battery staple"
	if again := ledgertest.Must(wallet.OpenVault(cfg))(t); master(t, again) != master(t, v) {
		t.Error("another master secret comes back")
	}
	// The old identity, which whoever copied the old file has, must not open the new document.
	mixed := mix(t, old, ledgertest.Must(storage.Load())(t))
	if _, err := wallet.OpenVault(config(mixed)); err == nil {
		t.Error("the old passphrase opens what was saved after the change")
	}
}

// mix is a vault with the identity of one and the document of another.
func mix(t *testing.T, identity, document []byte) *wallet.InMemory {
	t.Helper()
	member := func(data []byte, name string) string {
		_, rest, _ := strings.Cut(string(data), `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	storage := new(wallet.InMemory)
	text := strings.Replace(string(identity), member(identity, "document"), member(document, "document"), 1)
	if err := storage.Save(nil, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return storage
}

func TestBackup(t *testing.T) {
	v := create(t, new(wallet.InMemory))
	backup := ledgertest.Must(v.Backup("on paper"))(t)
	target := config(new(wallet.InMemory))
	if _, err := wallet.RestoreVault(target, backup, "correct horse"); !errors.Is(err, wallet.ErrPassphrase) {
		t.Errorf("error is %v, want the passphrase", err)
	}
	for _, rubbish := range [][]byte{nil, {}, []byte("rubbish"), backup[:len(backup)/2]} {
		if _, err := wallet.RestoreVault(target, rubbish, "on paper"); err == nil {
			t.Errorf("%d bytes of rubbish were restored", len(rubbish))
		}
	}
	restored := ledgertest.Must(wallet.RestoreVault(target, backup, "on paper"))(t)
	if master(t, restored) != master(t, v) {
		t.Error("another master secret comes back")
	}
	if _, err := wallet.RestoreVault(target, backup, "on paper"); !errors.Is(err, wallet.ErrVaultExists) {
		t.Errorf("error is %v: a vault would be overwritten", err)
	}
	elsewhere := config(new(wallet.InMemory))
	elsewhere.Genesis = credential.DigestOf([]byte("another chain"))
	_, err := wallet.RestoreVault(elsewhere, backup, "on paper")
	wantCode(t, err, wallet.CodeGenesis)
}
