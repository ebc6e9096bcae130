package office

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/verifier"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
)

const cityPolicy = `{"version":1,"id":"subsidy","verifier":"did:web:city.example","name":{"en":"Subsidy"},"purpose":{"en":"Subsidy"},"retention_days":1,
	"freshness_seconds":600,"queries":[{"id":"permit","schema":"APZ1AB8s7PEIFTPzEQHw6bkoh4ZAfQQaJgqc1P0nHYk","issuers":["did:web:a.example"],"clauses":[],
	"scope":{"service":"subsidy","once":true}}]}`

// keptCity is a relying party that does not run, with a tag in its store.
func keptCity(t *testing.T) VerifierConfig {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("policy.json", cityPolicy)
	write("chain.json", `{"ledger":"http://127.0.0.1:1","genesis":"CVTSrM1FcgCurMo7Ka6dlu7H2m2RkGdQE1uh4ImXUj0","checkpoint_policy":{"threshold":1,
		"log_key":"ledger.example/1+1a05ab55+AbkpWGHQpqngg0DhkRcvyqpeXzQ3x8hU1vaVHktPe/J1","cosigners":["audit.example/1+16bd59f3+BPMqMgIFFoeX96OwAxwMUaEDTO6JiOl5OGFKnUICHbpy"]}}`)
	write("verifier.json", `{"listen":{"address":"localhost:1"},"secrets":"a","store":"store","last_checkpoint":"c","chain":"chain.json","did":"did:web:city.example",
		"url":"http://localhost:1","policies":["policy.json"],"verifying_keys":["k"]}`)
	cfg, err := ReadVerifierConfig(filepath.Join(dir, "verifier.json"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.StoreRegister != cfg.Store+".register" {
		t.Errorf("the register is at %s", cfg.StoreRegister)
	}
	use(t, cfg, "first")
	return cfg
}

// use opens the store as serving does, and uses a tag.
func use(t *testing.T, cfg VerifierConfig, tag string) {
	t.Helper()
	rows, err := verifierstore.Open(verifierstore.Config{Dir: cfg.Store, Register: verifierstore.FileRegister(cfg.StoreRegister)})
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("tag/pseudonym/%s/%s", credential.VerifierScope(cfg.DID, "subsidy"), tag)
	if err := errors.Join(rows.Commit(verifier.Batch{Set: map[string][]byte{key: []byte("{}")}}), rows.Close()); err != nil {
		t.Fatal(err)
	}
}

func scopesOfKept(t *testing.T, cfg VerifierConfig) []verifier.CountedScope {
	t.Helper()
	k, err := OpenKept(cfg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := k.Scopes()
	if err := errors.Join(err, k.Close()); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestGoOn(t *testing.T) {
	cfg := keptCity(t)
	if list := scopesOfKept(t, cfg); len(list) != 1 || list[0].Service != "subsidy" || list[0].Tags != 1 {
		t.Fatalf("%+v", list)
	}
	_, err := GoOn(cfg)
	refused(t, err, "nothing was put back, and nothing is closed")
	k, err := OpenKept(cfg)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copies", "one")
	if err := k.Backup(copied); err != nil {
		t.Fatal(err)
	}
	refused(t, k.Backup(copied), "there is something")
	refused(t, k.Backup(filepath.Dir(copied)), "there is something")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(copied)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	for _, dir := range []string{copied, filepath.Dir(copied)} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s can be read by others: %v, %v", dir, info.Mode(), err)
		}
	}
	use(t, cfg, "second")
	if err := errors.Join(os.RemoveAll(cfg.Store), os.CopyFS(cfg.Store, os.DirFS(copied))); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKept(cfg); !errors.Is(err, verifierstore.ErrPutBack) {
		t.Fatalf("the copy opens: %v", err)
	}
	closed, err := GoOn(cfg, "older")
	if err != nil || len(closed) != 2 {
		t.Fatalf("%+v, %v", closed, err)
	}
	for _, s := range scopesOfKept(t, cfg) {
		if s.Open || s.Closed.Why != verifier.ByRestoring {
			t.Errorf("%+v", s)
		}
	}
	_, err = GoOn(cfg)
	refused(t, err, "nothing was put back")
}

// A store that is gone is as one that has forgotten everything; a wrong path is not.
func TestGoOnWithoutStore(t *testing.T) {
	cfg := keptCity(t)
	if err := os.RemoveAll(cfg.Store); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKept(cfg)
	refused(t, err, "store of the relying party")
	elsewhere := cfg
	elsewhere.StoreRegister += ".other"
	_, err = GoOn(elsewhere)
	refused(t, err, "there is neither store nor register")
	if _, err := os.Stat(cfg.Store); err == nil {
		t.Error("a store was made")
	}
	if closed, err := GoOn(cfg); err != nil || len(closed) != 1 {
		t.Errorf("%+v, %v", closed, err)
	}
	if list := scopesOfKept(t, cfg); len(list) != 1 || list[0].Open {
		t.Errorf("%+v", list)
	}
}

func TestKeepingConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verifier.json")
	read := func(more string) (VerifierConfig, error) {
		if err := os.WriteFile(path, []byte(`{"listen":{"address":"localhost:1"},"secrets":"a","store":"b","last_checkpoint":"c","chain":"d","did":"did:web:a",
			"url":"http://localhost:1","policies":["p"],"verifying_keys":["k"]`+more+`}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadVerifierConfig(path)
	}
	for more, want := range map[string]time.Duration{"": 0, `,"log_retention_days":0`: -1, `,"log_retention_days":30`: 30 * 24 * time.Hour} {
		if c, err := read(more); err != nil || c.logRetention() != want {
			t.Errorf("%s: %s, %v", more, c.logRetention(), err)
		}
	}
	for more, words := range map[string]string{
		`,"log_retention_days":-1`:    "log_retention_days is -1: want 0 to 36500",
		`,"log_retention_days":40000`: "log_retention_days is 40000",
		`,"store_register":"b/x"`:     "store_register: register lies in the folder of store",
	} {
		_, err := read(more)
		refused(t, err, words)
	}
	if c, err := read(`,"store_register":"../r/x","backups":"copies"`); err != nil || !filepath.IsAbs(c.StoreRegister) || !filepath.IsAbs(c.Backups) || c.backup(nil) == nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := read(""); err != nil || c.backup(nil) != nil {
		t.Errorf("copies are made, %v", err)
	}
}
