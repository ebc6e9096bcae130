package office

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	s, err := newService("issuer "+cfg.DID, cfg.Listen)
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
		DID: cfg.DID, Name: cfg.Name, URL: cfg.URL, Genesis: profile.Genesis, Ledger: chain, AcceptLoss: cfg.AcceptLoss, Logger: o.logger(),
	}
	if agency.Keys, err = issuerKeys(secrets); err != nil {
		return err
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
	agency.Approvals, agency.WalletRate, agency.Egress.Allowed = cfg.Approvals, cfg.WalletRate, cfg.WebhookNetworks
	if agency.Clients, err = cfg.clients(); err != nil {
		return err
	}
	if cfg.Provider != nil {
		provider, err := cfg.Provider.open(o.logger())
		if err != nil {
			return err
		}
		agency.Providers = []oauth.Provider{provider}
	}
	service, err := issuer.New(agency)
	if err != nil {
		return err
	}
	s.handler, s.work = service.Handler(), append(s.work, service.Run)
	s.readiness(service.Ready)
	s.gauge("bulla_issuer_waiting", "Changes that wait to be sent to the ledger.", func() float64 { return float64(service.Waiting()) })
	return nil
}

func issuerKeys(secrets *keystore.Store) (k issuer.Keys, err error) {
	if k.Signing, err = signer(secrets, signingKey); err != nil {
		return k, err
	}
	if k.Admin, err = signer(secrets, adminKey); err != nil {
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

// OpenVerifier opens a relying party. While it runs it puts policies onto the chain that are not there as they are.
func OpenVerifier(cfg VerifierConfig, o Options) (*Service, error) {
	s, err := newService("verifier "+cfg.DID, cfg.Listen)
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
	party := verifier.Config{DID: cfg.DID, PublicURL: cfg.URL, Ledger: chain, Logger: o.logger(), WalletRate: cfg.WalletRate, Responses: cfg.Responses}
	if party.SigningKey, err = signer(secrets, signingKey); err != nil {
		return err
	}
	if party.ResultKey, err = signer(secrets, resultKey); err != nil {
		return err
	}
	if party.Authority, err = verifierAuthority(secrets, cfg.URL); err != nil {
		return err
	}
	if party.Policies, err = readPolicies(cfg.Policies); err != nil {
		return err
	}
	for _, path := range cfg.VerifyingKeys {
		key, err := readVerifyingKey(path)
		if err != nil {
			return err
		}
		party.VerifyingKeys = append(party.VerifyingKeys, key.Bytes())
	}
	rows, err := verifierstore.Open(verifierstore.Config{Dir: cfg.Store, Logger: o.logger()})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, rows.Close)
	party.Store = rows
	service, err := verifier.New(party)
	if err != nil {
		return err
	}
	s.handler = service.Handler()
	s.work = append(s.work, service.Run, func(ctx context.Context) error { return registerPolicies(ctx, service, chain, o.logger()) })
	return nil
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
	return verifierAuthority(secrets, cfg.URL)
}

func verifierAuthority(secrets *keystore.Store, url string) (*webapi.Authority, error) {
	key, err := signer(secrets, apiKey)
	if err != nil {
		return nil, err
	}
	return &webapi.Authority{Key: key, Issuer: url, Audience: url, Clock: time.Now}, nil
}

// memoryFile is where a role remembers the last checkpoint it saw; its folder is made.
func memoryFile(path string) (client.Memory, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return client.File(path), nil
}
