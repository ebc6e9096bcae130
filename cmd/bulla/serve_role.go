package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/webapi"
)

// serveRole serves one office of a production chain until it is interrupted.
func serveRole(cmd *cobra.Command, role office.Role, config string, verbose bool) error {
	if config == "" {
		return fmt.Errorf("--role %s needs its configuration: give it with --config (doc/operations.md shows one)", role)
	}
	open, err := opener(role, config)
	if err != nil {
		return err
	}
	o := office.Options{Logger: newLogger(cmd.ErrOrStderr(), verbose)}
	if role != office.Wallet { // which has no keys
		if o.Passphrase, err = passphrase(cmd); err != nil {
			return err
		}
	}
	service, err := open(o)
	if err != nil {
		return err
	}
	return runService(cmd.Context(), cmd, service)
}

// opener reads the configuration of a role, so that what is wrong with it is said before anybody is asked for a
// passphrase.
func opener(role office.Role, config string) (func(office.Options) (*office.Service, error), error) {
	switch role {
	case office.Ledger:
		cfg, err := office.ReadLedgerConfig(config)
		return func(o office.Options) (*office.Service, error) { return office.OpenLedger(cfg, o) }, err
	case office.Cosigner:
		cfg, err := office.ReadCosignerConfig(config)
		return func(o office.Options) (*office.Service, error) { return office.OpenCosigner(cfg, o) }, err
	case office.Issuer:
		cfg, err := office.ReadIssuerConfig(config)
		return func(o office.Options) (*office.Service, error) { return office.OpenIssuer(cfg, o) }, err
	case office.Verifier:
		cfg, err := office.ReadVerifierConfig(config)
		return func(o office.Options) (*office.Service, error) { return office.OpenVerifier(cfg, o) }, err
	case office.Wallet:
		cfg, err := office.ReadWalletConfig(config)
		return func(o office.Options) (*office.Service, error) { return office.OpenWallet(cfg, o) }, err
	}
	return nil, fmt.Errorf("--role %q: choose ledger, issuer, verifier or wallet (a cosigner runs as bulla ledger cosign)", role)
}

func runService(ctx context.Context, cmd *cobra.Command, service *office.Service) error {
	answer := map[string]string{"office": service.Name, "url": service.URL()}
	if metrics := service.MetricsURL(); metrics != "" {
		answer["metrics"] = metrics
	}
	err := printed(cmd, answer, func(out io.Writer) {
		fmt.Fprintf(out, "%s serves at %s\n", service.Name, service.URL())
		if metrics := answer["metrics"]; metrics != "" {
			fmt.Fprintf(out, "metrics at %s\n", metrics)
		}
	})
	if err != nil {
		return errors.Join(err, service.Close())
	}
	return service.Run(ctx)
}

// authorityOf makes tokens for the API that a configuration describes.
func authorityOf(role office.Role, config, passphrase string) (*webapi.Authority, error) {
	if role == office.Issuer {
		cfg, err := office.ReadIssuerConfig(config)
		if err != nil {
			return nil, err
		}
		return office.IssuerAuthority(cfg, passphrase)
	}
	cfg, err := office.ReadVerifierConfig(config)
	if err != nil {
		return nil, err
	}
	return office.VerifierAuthority(cfg, passphrase)
}
