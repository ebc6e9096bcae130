package office

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
)

// OpenIssuer opens an agency. The ledger need not run yet.
func OpenIssuer(cfg IssuerConfig, o Options) (*Service, error) {
	s, err := newService("issuer "+cfg.DID, cfg.Listen, o)
	if err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	return opened(s, s.openIssuer(cfg, o))
}

func (s *Service) openIssuer(cfg IssuerConfig, o Options) error {
	secrets, err := openSecrets(cfg.Secrets, o.Passphrase)
	if err != nil {
		return err
	}
	chain, profile, err := OpenChain(cfg.Chain, cfg.LastCheckpoint)
	if err != nil {
		return err
	}
	agency := issuer.Config{
		DID: cfg.DID, Name: cfg.Name, URL: cfg.URL, Genesis: profile.Genesis, Ledger: chain, View: chain.Latest, AcceptLoss: cfg.AcceptLoss, Logger: o.logger(),
	}
	if agency.Keys, err = issuerKeys(secrets, o); err != nil {
		return err
	}
	if agency.Companions = cfg.Companions; len(cfg.Companions) > 0 && agency.Keys.Companion == nil {
		return errors.New("companions: their key is not in the key store: bulla key renew --key companion makes one")
	}
	if agency.Schemas, err = readSchemas(cfg.Schemas); err != nil {
		return err
	}
	if agency.EnrolmentKey, err = readVerifyingKey(cfg.VerifyingKey); err != nil {
		return err
	}
	rows, err := records.Open(records.Config{Dir: cfg.Store, Key: agency.Keys.Records, Logger: o.logger()})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, rows.Close)
	agency.Store = rows
	for _, name := range cfg.Registers {
		r, err := issuer.NewRegister(issuer.RegisterConfig{Name: name, Store: rows, RecordKey: agency.Keys.Records})
		if err != nil {
			return err
		}
		agency.Registers = append(agency.Registers, r)
	}
	if agency.SubjectRegisters, err = openSubjectRegisters(secrets, cfg.SubjectRegisters); err != nil {
		return err
	}
	agency.Approvals, agency.WalletRate = cfg.Approvals, cfg.WalletRate
	agency.Egress, agency.WebhookRetry = cfg.egress(), time.Duration(cfg.WebhookRetry)*time.Hour
	if agency.Clients, err = clientsOf(cfg.Clients, issuer.Roles); err != nil {
		return err
	}
	agency.Clock = s.clock
	watch := &agencyWatch{did: cfg.DID, url: cfg.URL, key: agency.Keys.Signing.Public(), schemas: agency.Schemas, enrol: agency.EnrolmentKey, chain: chain, writes: rows.Writes}
	var signIn *oauth.SignIn
	if cfg.Provider != nil {
		provider, keys, err := cfg.Provider.open(issuer.Roles, s.clock, o.logger())
		if err != nil {
			return err
		}
		agency.Providers, watch.provider = []oauth.Provider{provider}, keys
		if signIn, err = cfg.Provider.signIn(provider, secrets, cfg.URL, s.clock); err != nil {
			return err
		}
	}
	service, err := issuer.New(agency)
	if err != nil {
		return err
	}
	watch.agency = service
	s.watchAgency(watch, o)
	s.watchWebhooks(service.WebhookCounts)
	at, err := url.Parse(cfg.URL)
	if err != nil {
		return err
	}
	api := service.Handler()
	if s.handler, err = WithCasePages(service, s.withAlarms(at.Path+"/readyz", api), cfg.WalletRate, o); err != nil {
		return err
	}
	pages := ConsoleConfig{Name: cfg.Name, API: api, SignIn: signIn, Explorer: cfg.Explorer, Clock: s.clock, Logger: o.logger()}
	if s.handler, err = WithConsole(service, s.handler, pages); err != nil {
		return err
	}
	s.work = append(s.work, service.Run)
	s.readiness(service.Ready)
	s.gauge("bulla_issuer_waiting", "Changes that wait to be sent to the ledger.", func() float64 { return float64(service.Waiting()) })
	return nil
}

func issuerKeys(secrets *keystore.Store, o Options) (k issuer.Keys, err error) {
	if k.Signing, err = o.signing(secrets); err != nil {
		return k, err
	}
	if k.Admin, err = signer(secrets, adminKey); err != nil {
		return k, err
	}
	if k.Companion, k.CompanionRetired, err = companionKeys(secrets); err != nil {
		return k, err
	}
	k.Records, err = secrets.Get(recordsKey)
	return k, err
}

func openSubjectRegisters(secrets *keystore.Store, names []string) (list []*issuer.SubjectRegister, err error) {
	for _, name := range names {
		key, err := secrets.Get(subjectKey(name))
		if errors.Is(err, keystore.ErrAbsent) {
			return nil, fmt.Errorf("subject register %s: its key is not in the key store: bulla key subject makes one", name)
		}
		if err != nil {
			return nil, err
		}
		r, err := issuer.NewSubjectRegister(name, key)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// ReadSchema reads a schema from a file, formatted freely.
func ReadSchema(path string) (*credential.Schema, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var s credential.Schema
	if err := credential.ParseStrict(text, &s); err != nil {
		return nil, fmt.Errorf("schema %s: %w", path, err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("schema %s: %w", path, err)
	}
	return &s, nil
}

func readSchemas(paths []string) (list []*credential.Schema, err error) {
	for _, path := range paths {
		s, err := ReadSchema(path)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func readVerifyingKey(path string) (*keys.VerifyingKey, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	key, err := keys.ParseVerifyingKey(data)
	if err != nil {
		return nil, fmt.Errorf("verifying key %s: %w", path, err)
	}
	return key, nil
}

// OpenVerifier opens a relying party. While it runs it puts policies onto the chain that are not there as they are, with the
// sets that they name.
func OpenVerifier(cfg VerifierConfig, o Options) (*Service, error) {
	s, err := newService("verifier "+cfg.DID, cfg.Listen, o)
	if err != nil {
		return nil, fmt.Errorf("open verifier: %w", err)
	}
	return opened(s, s.openVerifier(cfg, o))
}

func (s *Service) openVerifier(cfg VerifierConfig, o Options) error {
	secrets, err := openSecrets(cfg.Secrets, o.Passphrase)
	if err != nil {
		return err
	}
	chain, _, err := OpenChain(cfg.Chain, cfg.LastCheckpoint)
	if err != nil {
		return err
	}
	party := verifier.Config{
		DID: cfg.DID, PublicURL: cfg.URL, Ledger: chain, Logger: o.logger(),
		ClientIDScheme: cfg.ClientIDScheme, PlainResponses: cfg.PlainResponses, ReturnURIs: cfg.ReturnURIs, WalletRate: cfg.WalletRate, Responses: cfg.Responses,
	}
	party.Egress, party.WebhookRetry = cfg.egress(), time.Duration(cfg.WebhookRetry)*time.Hour
	if party.Certificates, err = readCertificates(cfg.Certificates); err != nil {
		return err
	}
	if party.SessionKey, err = secrets.Random(sessionKey, verifier.SessionKeySize); err != nil { // made on first use
		return err
	}
	if party.SigningKey, err = o.signing(secrets); err != nil {
		return err
	}
	if party.AccessKey, err = signer(secrets, apiKey); err != nil {
		return err
	}
	if party.Clients, err = clientsOf(cfg.Clients, verifier.Roles); err != nil {
		return err
	}
	var fetched *oauth.RemoteKeys
	if cfg.Provider != nil {
		provider, keys, err := cfg.Provider.open(verifier.Roles, s.clock, o.logger())
		if err != nil {
			return err
		}
		party.Providers, fetched = []oauth.Provider{provider}, keys
	}
	if party.Policies, err = readPolicies(cfg.Policies); err != nil {
		return err
	}
	if party.Sets, err = readSets(cfg.Sets); err != nil {
		return err
	}
	if party.Issuers, err = cfg.Companions.open(s.clock); err != nil {
		return err
	}
	var ours []*keys.VerifyingKey
	for _, path := range cfg.VerifyingKeys {
		key, err := readVerifyingKey(path)
		if err != nil {
			return err
		}
		ours = append(ours, key)
		party.VerifyingKeys = append(party.VerifyingKeys, key.Bytes())
	}
	rows, err := verifierstore.Open(verifierstore.Config{Dir: cfg.Store, Logger: o.logger(), Register: verifierstore.FileRegister(cfg.StoreRegister)})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, rows.Close)
	party.Store, party.LogRetention, party.Backup = rows, cfg.logRetention(), cfg.backup(rows)
	if err := openResultKeys(secrets, &party, s.clock()); err != nil {
		return err
	}
	service, err := verifier.New(party)
	if err != nil {
		return err
	}
	s.watchParty(chain, ours, fetched, o)
	s.watchWebhooks(service.WebhookCounts)
	s.handler = WithPages(service, s.withAlarms("/readyz", service.Handler()), cfg.Wallet, cfg.WalletRate, o)
	s.work = append(s.work, service.Run, func(ctx context.Context) error { return registerPolicies(ctx, service, chain, o.logger()) })
	return nil
}

// readCertificates reads a PEM file of certificates, in their order; none where there is no file.
func readCertificates(path string) (chain [][]byte, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certificates %s: it has a block of type %.50q: take out what is no certificate", path, block.Type)
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 || len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("certificates %s: want PEM blocks of type CERTIFICATE and nothing else", path)
	}
	return chain, nil
}

func readPolicies(paths []string) (list []*policy.Policy, err error) {
	for _, path := range paths {
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
		p, err := policy.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", path, err)
		}
		list = append(list, p)
	}
	return list, nil
}

func readSets(paths []string) (list []*policy.Set, err error) {
	for _, path := range paths {
		text, err := readAtMost(path, 4*policy.MaxSetSize)
		if err != nil {
			return nil, fmt.Errorf("set: %w", err)
		}
		s, err := policy.ParseSet(text)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", path, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// registerPause is between attempts to register policies, doubled up to maxRegisterPause.
const (
	registerPause    = time.Second
	maxRegisterPause = time.Minute
)

// registerPolicies puts the verifier's policies onto the chain, and tries again until governance has registered the
// verifier and the ledger answers. Until then the verifier is not ready.
func registerPolicies(ctx context.Context, v *verifier.Verifier, chain *client.Client, logger *slog.Logger) error {
	for pause := registerPause; ; pause = min(2*pause, maxRegisterPause) {
		count, err := v.Register(ctx, chain)
		if err == nil {
			logger.InfoContext(ctx, "policies are on the chain", slog.Int("registered_now", count))
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		logger.WarnContext(ctx, "policies are not on the chain yet", slog.Any("error", err), slog.Duration("again_in", pause))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// IssuerAuthority makes tokens for the admin API of an agency with its key store.
func IssuerAuthority(cfg IssuerConfig, passphrase string) (*webapi.Authority, error) {
	secrets, err := openSecrets(cfg.Secrets, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := signer(secrets, adminKey)
	if err != nil {
		return nil, err
	}
	return issuer.AdminAuthority(cfg.URL, key, time.Now), nil
}

// VerifierAuthority makes tokens for the API of a relying party with its key store.
func VerifierAuthority(cfg VerifierConfig, passphrase string) (*webapi.Authority, error) {
	secrets, err := openSecrets(cfg.Secrets, passphrase)
	if err != nil {
		return nil, err
	}
	key, err := signer(secrets, apiKey)
	if err != nil {
		return nil, err
	}
	return verifier.Authority(cfg.URL, key, time.Now), nil
}

// memoryFile is where a role remembers the last checkpoint it saw; its folder is made.
func memoryFile(path string) (client.Memory, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return client.File(path), nil
}
