package issuer

import (
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
)

// Metadata describes the issuer to wallets (OpenID4VCI 1.0 section 12.2).
func (i *Issuer) Metadata() openid.IssuerMetadata {
	m := openid.IssuerMetadata{
		CredentialIssuer:     i.cfg.URL,
		CredentialEndpoint:   i.cfg.URL + credentialPath,
		NonceEndpoint:        i.cfg.URL + noncePath,
		DeferredEndpoint:     i.cfg.URL + deferredPath,
		NotificationEndpoint: i.cfg.URL + notificationPath,
		Display:              openid.DisplayOf(i.cfg.Name),
		Configurations:       make(map[string]openid.CredentialConfiguration, len(i.schemas)),
	}
	for id, s := range i.schemas {
		m.Configurations[id] = i.configuration(s)
	}
	for id, s := range i.companions {
		m.Configurations[id] = i.companionConfiguration(s)
	}
	return m
}

func (i *Issuer) configuration(s *schema) openid.CredentialConfiguration {
	return openid.CredentialConfiguration{
		Format:         openid.Format,
		Scope:          s.Type,
		BindingMethods: []string{openid.ProofType},
		ProofTypes:     map[string]openid.ProofTypeInfo{openid.ProofType: {SigningAlgorithms: []string{openid.ProofSystem}}},
		// SPEC: optional; clients of today take metadata without it for an old draft.
		CredentialMetadata: describe(s),
		OnChain: &openid.OnChain{
			Type:                  s.Type,
			Schema:                s.id,
			Issuer:                i.cfg.DID,
			Genesis:               i.cfg.Genesis,
			EnrolmentRegister:     s.register.Name(),
			EnrolmentVerifyingKey: i.cfg.EnrolmentKey.Digest(),
		},
	}
}

// companionConfiguration is that of a schema's companions: with nothing that only our own wallets understand.
func (i *Issuer) companionConfiguration(s *schema) openid.CredentialConfiguration {
	return openid.CredentialConfiguration{
		Format:         openid.CompanionFormat,
		Scope:          openid.CompanionID(s.Type),
		BindingMethods: []string{openid.CompanionBinding},
		ProofTypes: map[string]openid.ProofTypeInfo{
			openid.CompanionProofType: {SigningAlgorithms: []string{string(jose.ES256), string(jose.EdDSA)}},
		},
		SigningAlgorithms:  []string{string(i.cfg.Keys.Companion.Public().Algorithm())},
		CredentialMetadata: describe(s),
		VCT:                s.Type,
	}
}

// describe shows schema and claims to people.
func describe(s *schema) openid.CredentialMetadata {
	var m openid.CredentialMetadata
	if s.Display != nil {
		m.Display = openid.DisplayOf(*s.Display)
	}
	for _, c := range s.Claims {
		claim := openid.ClaimMetadata{Path: []string{c.Name}, Mandatory: !c.Optional}
		if c.Display != nil {
			claim.Display = openid.DisplayOf(*c.Display)
		}
		m.Claims = append(m.Claims, claim)
	}
	return m
}

// ServerMetadata describes the authorization server, which we are ourselves (RFC 8414): for wallets, and for the agency's software
// if it has clients.
func (i *Issuer) ServerMetadata() openid.ServerMetadata {
	m := openid.ServerMetadata{
		Issuer:                    i.cfg.URL,
		TokenEndpoint:             i.cfg.URL + tokenPath,
		GrantTypes:                []string{openid.PreAuthorizedGrant},
		AnonymousPreAuthorization: true,
		DPoPAlgorithms:            []string{string(jose.ES256), string(jose.EdDSA)},
	}
	if i.server != nil {
		clients := i.server.Server.Metadata()
		m.GrantTypes = append(m.GrantTypes, clients.GrantTypes...)
		m.KeysURL, m.Scopes, m.AuthMethods, m.AuthAlgorithms = clients.KeysURL, clients.Scopes, clients.AuthMethods, clients.AuthAlgorithms
	}
	return m
}
