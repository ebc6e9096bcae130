package wallet

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// source is an issuer and one kind of credential, as chain and metadata agree on them.
type source struct {
	identifier    string // credential issuer identifier
	configuration string
	issuer        entry.RegisteredIssuer
	schema        entry.RegisteredSchema
	verifyingKey  credential.Digest // of enrolment proofs

	tokenURL, nonceURL, credentialURL string
	deferredURL, notificationURL      string // empty: the issuer has none
	bindsTokens                       bool   // to keys of the kind that we have (DPoP)
}

// findIssuer looks the issuer up on the chain by its address, and holds its metadata to what stands there.
func (w *Wallet) findIssuer(ctx context.Context, view *client.View, identifier, configuration string) (*source, error) {
	base, err := parseAddress(identifier)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(view.Registry.Issuers, func(i entry.RegisteredIssuer) bool { return i.URL == identifier })
	if i < 0 {
		return nil, refuse(CodeNotRegistered, nil, "no issuer with the address %.200q is on the chain", identifier)
	}
	s := &source{identifier: identifier, configuration: configuration, issuer: view.Registry.Issuers[i]}
	if s.issuer.Suspended {
		return nil, refuse(CodeIssuerSuspended, nil, "issuer %s is suspended", s.issuer.DID)
	}
	var metadata openid.IssuerMetadata
	if err := w.wellKnown(ctx, identifier, openid.IssuerWellKnown, &metadata); err != nil {
		return nil, err
	}
	var server openid.ServerMetadata
	if err := w.wellKnown(ctx, identifier, openid.ServerWellKnown, &server); err != nil {
		return nil, err
	}
	// SPEC (OpenID4VCI 12.2.1, RFC 8414 3.3): the identifier in the metadata is the one they were fetched for.
	if metadata.CredentialIssuer != identifier || server.Issuer != identifier {
		return nil, refuse(CodeIssuer, nil, "the metadata are of %.200q", metadata.CredentialIssuer)
	}
	s.tokenURL, s.nonceURL, s.credentialURL = server.TokenEndpoint, metadata.NonceEndpoint, metadata.CredentialEndpoint
	s.deferredURL, s.notificationURL = metadata.DeferredEndpoint, metadata.NotificationEndpoint
	s.bindsTokens = slices.Contains(server.DPoPAlgorithms, string(jose.EdDSA))
	endpoints := []string{s.tokenURL, s.nonceURL, s.credentialURL}
	for _, optional := range []string{s.deferredURL, s.notificationURL} {
		if optional != "" {
			endpoints = append(endpoints, optional)
		}
	}
	for _, endpoint := range endpoints {
		// The pre-authorized code stands for the person: it goes to the issuer's own origin only.
		if u, err := parseAddress(endpoint); err != nil || !sameOrigin(u, base) {
			return nil, refuse(CodeAddress, err, "endpoint %.200q is not at the issuer's own address", endpoint)
		}
	}
	config, ok := metadata.Configurations[configuration]
	if !ok {
		return nil, refuse(CodeIssuer, nil, "the metadata do not describe %.200q", configuration)
	}
	return s, s.check(view, config, w.clock())
}

func (w *Wallet) wellKnown(ctx context.Context, identifier, name string, target any) error {
	address, err := openid.WellKnown(identifier, name)
	if err != nil {
		return refuse(CodeAddress, err, "address of the metadata")
	}
	body, err := w.http.fetch(ctx, call{method: http.MethodGet, address: address, accept: "application/json", limit: maxMetadata})
	if err != nil {
		return err
	}
	if err := decodeForeign(body, target); err != nil {
		return refuse(CodeAnswer, err, "metadata %s", name)
	}
	return nil
}

// check holds a configuration to the chain and fills what the chain says.
func (s *source) check(view *client.View, config openid.CredentialConfiguration, now time.Time) error {
	switch {
	case config.Format == openid.CompanionFormat:
		return refuse(CodeCompanion, nil, "the offer is of an ordinary %s credential, for other wallets: this one keeps those that are proven in zero knowledge", openid.CompanionFormat)
	case config.Format != openid.Format:
		return refuse(CodeUnsupported, nil, "credential format %.100q", config.Format)
	case config.OnChain == nil:
		return refuse(CodeIssuer, nil, "the metadata of %.200q do not say where it is on the chain", s.configuration)
	case config.Genesis != view.GenesisHash:
		return refuse(CodeGenesis, nil, "the issuer is on the chain %s", config.Genesis)
	case config.Issuer != s.issuer.DID:
		return refuse(CodeIssuer, nil, "the metadata name the issuer %.200q, the chain %s", config.Issuer, s.issuer.DID)
	}
	var ok bool
	if s.schema, ok = view.Registry.Schema(config.Schema); !ok {
		return refuse(CodeNotRegistered, nil, "schema %s is not on the chain", config.Schema)
	}
	if !slices.Contains(s.schema.Issuers, s.issuer.DID) {
		return refuse(CodeNotRegistered, nil, "issuer %s may not use the schema %s", s.issuer.DID, s.schema.Schema.Type)
	}
	if config.Type != s.schema.Schema.Type || s.configuration != config.Type {
		return refuse(CodeIssuer, nil, "configuration %.200q is of the type %.200q, its schema of %q", s.configuration, config.Type, s.schema.Schema.Type)
	}
	s.verifyingKey = config.EnrolmentVerifyingKey
	return checkKey(view.Registry, circuits.Enrolment, s.verifyingKey, now)
}

// checkKey refuses a verifying key that the chain does not list for a circuit we know, or whose end has come.
func checkKey(registry *entry.Registry, circuit string, key credential.Digest, now time.Time) error {
	known, err := circuits.Named(circuit)
	if err != nil {
		return refuse(CodeUnsupported, err, "circuit %.100q", circuit)
	}
	i := slices.IndexFunc(registry.VerifyingKeys, func(k entry.VerifyingKey) bool {
		return k.Circuit == circuit && k.CircuitDigest == known.Digest && k.KeyDigest == key
	})
	if i < 0 {
		return refuse(CodeKeyNotListed, nil, "the chain does not list the verifying key %s for %s", key, circuit)
	}
	if end := registry.VerifyingKeys[i].NotAfter.Time(); !now.Before(end) {
		return refuse(CodeKeyExpired, nil, "the verifying key %s was good until %s", key, end.Format(time.RFC3339))
	}
	return nil
}
