package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
)

const passphrase = "correct horse battery"

// newApp is an app over a storage, of a chain that answers nobody.
func newApp(t *testing.T, storage wallet.Storage) *App {
	t.Helper()
	_, verifier, err := note.GenerateKey(rand.Reader, "ledger.example")
	if err != nil {
		t.Fatal(err)
	}
	a := New(Config{
		Profile: client.Profile{Ledger: "http://127.0.0.1:1", Genesis: credential.DigestOf([]byte("a chain")), Policy: client.Policy{LogKey: verifier}},
		Storage: storage, WorkFactor: 4,
	})
	t.Cleanup(a.Close)
	return a
}

func (a *App) must(t *testing.T, method, params string, into any) {
	t.Helper()
	result, failed := a.Call(t.Context(), method, "en", []byte(params))
	if failed != nil {
		t.Fatalf("%s: %+v", method, failed)
	}
	if into != nil {
		if err := json.Unmarshal(result, into); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *App) refused(t *testing.T, method, params, code string) {
	t.Helper()
	result, failed := a.Call(t.Context(), method, "en", []byte(params))
	if failed == nil || failed.Code != code {
		t.Errorf("%s: %s %+v, want %s", method, result, failed, code)
	}
	if failed != nil && strings.Contains(failed.Text, "horse") {
		t.Errorf("%s: the failure quotes a passphrase: %s", method, failed.Text)
	}
}

func TestVault(t *testing.T) {
	storage := new(wallet.InMemory)
	a := newApp(t, storage)
	var s status
	if a.must(t, "status", `{}`, &s); s.Exists || s.Open {
		t.Errorf("%+v", s)
	}
	a.refused(t, "unlock", `{"passphrase":"`+passphrase+`"}`, CodeNoVault)
	a.refused(t, "create", `{"passphrase":"short"}`, CodeWeak)
	a.must(t, "create", `{"passphrase":"`+passphrase+`"}`, &s)
	if !s.Exists || !s.Open {
		t.Errorf("%+v", s)
	}
	a.refused(t, "create", `{"passphrase":"`+passphrase+`"}`, CodeExists)
	var backup struct{ Backup string }
	a.must(t, "backup", `{"passphrase":"another horse battery"}`, &backup)
	a.refused(t, "passphrase", `{"old":"a wrong horse battery","new":"a third horse battery"}`, CodePassphrase)
	a.must(t, "passphrase", `{"old":"`+passphrase+`","new":"a third horse battery"}`, nil)

	b := newApp(t, storage)
	b.refused(t, "unlock", `{"passphrase":"`+passphrase+`"}`, CodePassphrase)
	b.must(t, "unlock", `{"passphrase":"a third horse battery"}`, nil)
	var list []any
	if b.must(t, "credentials", `{}`, &list); list == nil {
		t.Error("no list for no credentials")
	}

	key := openid.EncodeBytes(bytes.Repeat([]byte{7}, wallet.DeviceKeySize))
	var seal struct{ Seal string }
	b.must(t, "seal", `{"key":"`+key+`"}`, &seal)
	c := newApp(t, storage)
	c.refused(t, "unseal", `{"key":"`+key[2:]+`","seal":"`+seal.Seal+`"}`, CodeCall)
	c.refused(t, "unseal", `{"key":"`+openid.EncodeBytes(make([]byte, wallet.DeviceKeySize))+`","seal":"`+seal.Seal+`"}`, CodeDevice)
	if c.must(t, "unseal", `{"key":"`+key+`","seal":"`+seal.Seal+`"}`, &s); !s.Open {
		t.Errorf("%+v", s)
	}

	other := newApp(t, new(wallet.InMemory))
	params, err := json.Marshal(passphrases{passphrase, backup.Backup, "another horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	other.must(t, "restore", string(params), &s)
	if !s.Open {
		t.Errorf("%+v", s)
	}
	newApp(t, new(wallet.InMemory)).refused(t, "restore", `{"passphrase":"`+passphrase+`","backup":"{}","backup_passphrase":"x"}`, CodeFile)
}

// What needs an open vault is refused without one, and what a page gets wrong is a mistake of the page's, never quoted.
func TestCallsThatAreRefused(t *testing.T) {
	a := newApp(t, new(wallet.InMemory))
	for _, method := range slices.Sorted(maps.Keys(calls)) {
		if !slices.Contains([]string{"status", "create", "restore", "unlock", "unseal"}, method) {
			a.refused(t, method, `{}`, CodeLocked)
		}
		a.refused(t, method, `{"horse":"`+passphrase+`"}`, CodeCall)
		a.refused(t, method, `horse`, CodeCall)
	}
	a.refused(t, "nothing", `{}`, CodeCall)
	a.must(t, "create", `{"passphrase":"`+passphrase+`"}`, nil)
	a.refused(t, "receive", `{"link":"https://horse.example"}`, "offer")
	a.refused(t, "read", `{"link":"https://horse.example"}`, "request")
	a.refused(t, "answer", `{"number":7}`, CodeOther)
	if _, failed := a.Call(t.Context(), "sync", "zh-CN", []byte(`{}`)); failed == nil || failed.Code != string(wallet.CodeNetwork) || !strings.Contains(failed.Text, "无法连接") {
		t.Errorf("%+v", failed)
	}
}

// A chain that does not answer holds up nothing of what a person does beside asking it.
func TestBeside(t *testing.T) {
	asked := make(chan struct{}, 8)
	a := newApp(t, new(wallet.InMemory))
	a.cfg.HTTPClient = &http.Client{Transport: silent{asked}}
	a.must(t, "create", `{"passphrase":"`+passphrase+`"}`, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan *Failure)
	go func() {
		_, failed := a.Call(ctx, "sync", "en", []byte(`{}`))
		ended <- failed
	}()
	<-asked
	a.must(t, "credentials", `{}`, nil)
	a.must(t, "history", `{}`, nil)
	a.refused(t, "receive", `{"link":"https://horse.example"}`, "offer")
	a.must(t, "resume", `{}`, nil)
	stop()
	if failed := <-ended; failed == nil {
		t.Error("a chain that does not answer is in step")
	}
}

// silent is a network that never answers.
type silent struct{ asked chan<- struct{} }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A key that was kept and is damaged is fetched once more; one that stays wrong is not used.
func TestKeys(t *testing.T) {
	var asked []bool
	a := New(Config{Keys: []Key{{Circuit: circuits.Enrolment, File: credential.DigestOf([]byte("key"))}}, Fetch: func(_ context.Context, _ Key, fresh bool) ([]byte, error) {
		asked = append(asked, fresh)
		return []byte("another"), nil
	}})
	if _, err := a.proverOf(t.Context(), circuits.Enrolment, credential.Digest{}); err == nil || !slices.Equal(asked, []bool{false, true}) {
		t.Errorf("%v, asked %v", err, asked)
	}
	if _, err := a.proverOf(t.Context(), circuits.Presentation, credential.Digest{}); err == nil {
		t.Error("a key that the page does not have")
	}
	a.cfg.Fetch = func(context.Context, Key, bool) ([]byte, error) { return nil, errors.New("offline") }
	if _, err := a.proverOf(t.Context(), circuits.Enrolment, credential.Digest{}); err == nil || !strings.Contains(err.Error(), "offline") {
		t.Errorf("%v", err)
	}
}
