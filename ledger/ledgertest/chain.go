// Package ledgertest has ledgers for tests: [Chain], a real one with a replaying cosigner over loopback HTTP, for the
// roles; and [Host], a hand-made one that lies on demand, for whoever reads ledgers.
package ledgertest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/cosign"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// Chain is a dev chain with a seal a second: a ledger and one replaying cosigner on loopback, until the test ends. It is
// safe for concurrent use.
type Chain struct {
	URL         string            // of the ledger
	Genesis     credential.Digest // the chain's identity
	Founding    entry.Genesis
	First       []byte // the genesis entry
	Policy      client.Policy
	Log         *ledger.Log
	Cosigner    *cosign.Cosigner
	CosignerURL string

	t          testing.TB
	governance *jose.SigningKey
	operator   *jose.SigningKey
	logSigner  note.Signer
	mu         sync.Mutex // held while an entry is numbered, signed and submitted
	writer     *client.Client
	last       uint64 // index of the newest entry submitted here
}

// New runs a chain. change may set up the genesis otherwise, as with verifying keys; the keys in it stay ours.
func New(t testing.TB, change ...func(*entry.Genesis)) *Chain {
	t.Helper()
	c := &Chain{t: t, governance: Key(t, "chain governance"), operator: Key(t, "chain operator")}
	secret, logKey, err := note.GenerateKey(nil, "ledger.example/chain")
	if err != nil {
		t.Fatal(err)
	}
	c.logSigner = Must(note.NewSigner(secret))(t)
	c.found(logKey, change)
	ledgerServer, cosignerServer := c.listen(), c.listen()
	c.URL, c.CosignerURL = "http://"+ledgerServer.Listener.Addr().String(), "http://"+cosignerServer.Listener.Addr().String()
	cosignerKey := c.startCosigner(cosignerServer)
	c.Policy = client.Policy{LogKey: logKey, Cosigners: []string{cosignerKey}, Threshold: 1}
	c.startLedger(ledgerServer, cosignerKey)
	c.writer = c.Client()
	c.awaitFirst()
	return c
}

func (c *Chain) found(logKey string, change []func(*entry.Genesis)) {
	c.t.Helper()
	g := entry.Genesis{Network: "test", Dev: true, SealMaximumSeconds: 2}
	for _, f := range change {
		f(&g)
	}
	g.Origin, g.LogKey, g.OperatorKey = c.logSigner.Name(), logKey, c.operator.Public()
	g.GovernanceKeys, g.GovernanceThreshold = []jose.PublicKey{c.governance.Public()}, 1
	g.Time = credential.UnixTimeOf(time.Now().Add(-2 * time.Second)) // so that the first seal comes at once
	c.Founding = ledger.DraftGenesis(g)
	e := Must(entry.Sign(entry.Draft{Signer: entry.Governance, Payload: c.Founding}, c.governance))(c.t)
	c.First, c.Genesis = e.Bytes(), e.Digest()
}

// listen makes a server that has its address, but no handler yet.
func (c *Chain) listen() *httptest.Server {
	c.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Listener.Close()
	server.Listener = Must(net.Listen("tcp", "127.0.0.1:0"))(c.t)
	c.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

func (c *Chain) register() ledger.Register {
	c.t.Helper()
	return Must(store.NewFileRegister(filepath.Join(c.t.TempDir(), "last-signed"), nil))(c.t)
}

func (c *Chain) startCosigner(server *httptest.Server) (verifierKey string) {
	c.t.Helper()
	secret, verifierKey, err := cosign.GenerateKey("cosigner.example/chain")
	if err != nil {
		c.t.Fatal(err)
	}
	c.Cosigner = Must(cosign.New(cosign.Config{
		Key: secret, Genesis: c.Genesis, LedgerURL: c.URL, Store: store.NewMemory(), Register: c.register(),
		Logger: slog.New(slog.DiscardHandler),
	}))(c.t)
	server.Config.Handler = c.Cosigner.Handler()
	server.Start()
	c.t.Cleanup(c.Cosigner.Close)
	return verifierKey
}

func (c *Chain) startLedger(server *httptest.Server, cosignerKey string) {
	c.t.Helper()
	cfg := ledger.Config{
		Store: store.NewMemory(), Register: c.register(), LogSigner: c.logSigner, Operator: c.operator, Threshold: 1,
		Cosigners:  []ledger.TrustedCosigner{{Key: cosignerKey, Cosigner: ledger.NewHTTPCosigner(c.CosignerURL, nil)}},
		RetryAfter: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	if err := ledger.Found(cfg, c.First); err != nil {
		c.t.Fatal(err)
	}
	// The cosigner reads from the ledger as soon as it is open: serve before, and say so until then.
	var ready sync.WaitGroup
	var handler http.Handler
	ready.Add(1)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ready.Wait()
		handler.ServeHTTP(w, r)
	})
	server.Start()
	c.Log = Must(ledger.Open(cfg))(c.t)
	handler = c.Log.Handler()
	ready.Done()
	c.t.Cleanup(func() { c.Log.Close() })
}

// awaitFirst waits until a checkpoint is published.
func (c *Chain) awaitFirst() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		_, err := c.writer.Update(ctx)
		var problem *client.Problem
		if err == nil {
			return
		}
		if !errors.As(err, &problem) || ctx.Err() != nil {
			c.t.Fatalf("the chain does not start: %v; evidence: %v", err, Must(c.Cosigner.Evidence())(c.t))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Client is a new client that demands the cosigner.
func (c *Chain) Client() *client.Client {
	c.t.Helper()
	return Must(client.New(c.ClientConfig()))(c.t)
}

// ClientConfig is for clients with something of their own.
func (c *Chain) ClientConfig() client.Config {
	return client.Config{URL: c.URL, Genesis: c.Genesis, Policy: c.Policy}
}

// Submit signs the signer's next entry and submits it, without waiting for its seal ([Chain.Settle]).
func (c *Chain) Submit(signer string, payload entry.Payload, keys ...*jose.SigningKey) entry.Receipt {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx := c.t.Context()
	next := Must(c.writer.NextSequence(ctx, signer))(c.t)
	e := Must(entry.Sign(entry.Draft{Genesis: c.Genesis, Signer: signer, Sequence: next, Payload: payload}, keys...))(c.t)
	receipt := Must(c.writer.Submit(ctx, e))(c.t)
	c.last = max(c.last, receipt.Index)
	return receipt
}

// Govern submits an entry of governance, without waiting.
func (c *Chain) Govern(payload entry.Payload) entry.Receipt {
	c.t.Helper()
	return c.Submit(entry.Governance, payload, c.governance)
}

// Settle waits until everything submitted here is sealed and cosigned, and returns the view that shows it.
func (c *Chain) Settle() *client.View {
	c.t.Helper()
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if last > 0 {
		Must(c.writer.Await(c.t.Context(), last, entry.LevelSealed))(c.t)
	}
	return Must(c.writer.Update(c.t.Context()))(c.t)
}

// RegisterIssuer registers an agency with a key that depends on its DID only ([Key]), without waiting.
func (c *Chain) RegisterIssuer(did, url string) *jose.SigningKey {
	c.t.Helper()
	key := Key(c.t, did)
	c.Govern(entry.IssuerRegistered{DID: did, Name: nameOf(did), Keys: []jose.PublicKey{key.Public()}, Quota: 1 << 30, URL: url})
	return key
}

// RegisterVerifier registers a relying party with a key that depends on its DID only ([Key]), without waiting. Each
// response URI ends in a slash.
func (c *Chain) RegisterVerifier(did string, responseURIs ...string) *jose.SigningKey {
	c.t.Helper()
	key := Key(c.t, did)
	c.Govern(entry.VerifierRegistered{DID: did, Name: nameOf(did), Keys: []jose.PublicKey{key.Public()}, ResponseURIs: responseURIs})
	return key
}

// PublishSchema publishes a schema for issuers, in any order, and returns its id, without waiting.
func (c *Chain) PublishSchema(schema credential.Schema, issuers ...string) credential.Element {
	c.t.Helper()
	issuers = slices.Sorted(slices.Values(issuers))
	c.Govern(entry.SchemaPublished{Schema: schema, Issuers: issuers})
	return Must(schema.ID())(c.t)
}

// Issue enters commitments for an issuer that [Chain.RegisterIssuer] registered, without waiting.
func (c *Chain) Issue(did string, schema credential.Element, commitments ...credential.Element) entry.Receipt {
	c.t.Helper()
	return c.Submit(did, entry.CredentialsIssued{Schema: schema, Commitments: commitments}, Key(c.t, did))
}

func nameOf(did string) credential.Text {
	return credential.Text{English: did[strings.LastIndex(did, ":")+1:]}
}
