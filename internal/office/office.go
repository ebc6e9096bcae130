// Package office is what each office of a production chain does with its own folder, its own key store and its own
// process: make keys, draft, sign and submit what governance decides, found the chain, and serve.
//
//	member    MakeKeys ─ public.json ─►┐
//	ledger    MakeKeys ─ public.json ─►├► Genesis ─ Proposal ─► Sign (offline, each member) ─► Found ─► genesis.jws
//	cosigner  MakeKeys ─ public.json ──┼─────────────────────────────────► Profile ─► chain.json
//	issuer    MakeKeys ─ public.json ─►┤
//	verifier  MakeKeys ─ public.json ─►┴► any other Proposal ─► Sign (offline, each member) ─► submitted
//
//	OpenLedger, OpenCosigner, OpenIssuer, OpenVerifier ─► Service ─► Run
//
// What an office needs is one strict JSON file (config.go) in which paths are relative to the file. Serving makes no
// keys: a key that nobody registered would only be refused later. How it is used: doc/operations.md.
package office

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Service is an office that listens. Run it once.
type Service struct {
	Name string // what it is, for people

	listener net.Listener
	secure   bool
	proxies  webapi.Proxies
	metrics  *metrics // nil: none are wanted
	clock    func() time.Time
	checks   []check // what can give an alarm
	handler  http.Handler
	work     []func(context.Context) error // beside serving, until the context ends or it is done
	closers  []func() error                // the last opened is closed first
}

// newService listens where the configuration says.
func newService(name string, at Listen, o Options) (*Service, error) {
	tlsConfig, err := at.tls()
	if err != nil {
		return nil, err
	}
	proxies, err := webapi.ParseProxies(at.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("listen.trusted_proxies: %w", err)
	}
	l, err := webapi.Listen(at.Address)
	if err != nil {
		return nil, err
	}
	s := &Service{Name: name, listener: l, secure: tlsConfig != nil, proxies: proxies, clock: o.Clock}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.secure {
		s.listener = tls.NewListener(l, tlsConfig)
	}
	// A served listener is closed already.
	s.closers = append(s.closers, func() error { _ = s.listener.Close(); return nil })
	if at.Metrics != "" {
		if s.metrics, err = newMetrics(at.Metrics); err != nil {
			return nil, errors.Join(fmt.Errorf("listen.metrics: %w", err), s.Close())
		}
		s.closers = append(s.closers, func() error { _ = s.metrics.listener.Close(); return nil })
	}
	if s.secure {
		end, err := endOf(tlsConfig.Certificates[0])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen.certificate: %w", err), s.Close())
		}
		s.watchCertificate(end)
	}
	s.gauge("bulla_problems", "What keeps the office from its work: /readyz names it.", func() float64 { problems, _ := s.alarms(); return float64(len(problems)) })
	s.gauge("bulla_warnings", "What an operator should look at: /readyz names it.", func() float64 { _, warnings := s.alarms(); return float64(len(warnings)) })
	return s, nil
}

// URL is where the service answers on this machine.
func (s *Service) URL() string {
	if s.secure {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Run serves until ctx ends, lets running requests finish, and closes everything. It returns an error if the office
// could not go on.
func (s *Service) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	handler := s.handler
	if s.metrics != nil {
		handler = s.metrics.count(handler)
		group.Go(func() error { return webapi.Serve(running, s.metrics.listener, s.metrics.handler()) })
	}
	group.Go(func() error { return webapi.Serve(running, s.listener, s.proxies.Handler(handler)) })
	for _, work := range s.work {
		group.Go(func() error {
			if err := work(running); err != nil && running.Err() == nil {
				return err
			}
			return nil
		})
	}
	err := errors.Join(group.Wait(), s.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// Close closes a service that is not run.
func (s *Service) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// opened gives a service out whole, or closes what there is of it.
func opened(s *Service, err error) (*Service, error) {
	if err == nil {
		return s, nil
	}
	return nil, fmt.Errorf("open %s: %w", s.Name, errors.Join(err, s.Close()))
}

// Options are what a process gives to each office.
type Options struct {
	Passphrase string // opens the key store
	// Signing signs the entries of an agency or relying party in place of the key in its key store, as an HSM's client does: Ed25519, or
	// ECDSA on P-256, safe for concurrent use. nil: the key store's.
	Signing crypto.Signer
	Logger  *slog.Logger // nil: no log
	// Clock is what ends are compared with; nil: time.Now.
	Clock func() time.Time

	lookEvery time.Duration // at the chain, for alarms; 0: a minute
}

// signing is the key that signs entries.
func (o Options) signing(secrets *keystore.Store) (*jose.SigningKey, error) {
	if o.Signing == nil {
		return signer(secrets, signingKey)
	}
	key, err := jose.FromSigner(o.Signing)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return key, nil
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}
