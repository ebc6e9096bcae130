package entry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

const (
	maxNameText = 200 // bytes of a display name
	maxKeys     = 16
	maxIssuers  = 4096
	maxSeconds  = 24 * 60 * 60
)

// Validate refuses a chain that could not run, and development keys outside dev chains.
func (g Genesis) Validate() error {
	switch {
	case g.Version != 1:
		return fmt.Errorf("version %d, want 1", g.Version)
	case !credential.ValidName(g.Network) || !credential.ValidName(g.Origin):
		return errors.New("network and origin must be plain names")
	case g.Suite != Suite:
		return fmt.Errorf("suite %.100q, want %.100q", g.Suite, Suite)
	case !strings.HasPrefix(g.LogKey, g.Origin+"+"):
		return errors.New("log_key is not a checkpoint verifier key of the origin")
	case g.GovernanceThreshold < 1 || g.GovernanceThreshold > len(g.GovernanceKeys):
		return fmt.Errorf("threshold %d of %d governance keys", g.GovernanceThreshold, len(g.GovernanceKeys))
	case g.SealIntervalSeconds < 1 || g.SealMaximumSeconds < g.SealIntervalSeconds || g.SealMaximumSeconds > 600:
		return errors.New("seals come at most once a second and at least every 600 seconds")
	case g.GridSeconds < 0 || g.GridSeconds > maxSeconds || g.GridSeconds == 0 && !g.Dev:
		return errors.New("grid_seconds is 1 to 86400; 0 (every seal) only on dev chains")
	case g.ClockSkewSeconds < 0 || g.ClockSkewSeconds > 60:
		return errors.New("clock_skew_seconds is 0 to 60")
	case g.Time <= 0:
		return errors.New("time is missing")
	}
	if err := g.OperatorKey.Validate(); err != nil {
		return fmt.Errorf("operator key: %w", err)
	}
	if err := validateKeys(g.GovernanceKeys); err != nil {
		return fmt.Errorf("governance: %w", err)
	}
	for i, k := range g.VerifyingKeys {
		if err := k.validate(g.Dev); err != nil {
			return fmt.Errorf("verifying key %d: %w", i, err)
		}
	}
	return nil
}

// validate refuses a key without a ceremony's transcript, but on dev chains.
func (k VerifyingKey) validate(dev bool) error {
	switch {
	case !credential.ValidName(k.Circuit):
		return errors.New("circuit must be a plain name")
	case k.CircuitDigest.IsZero() || k.KeyDigest.IsZero():
		return errors.New("digests are missing")
	case k.Transcript.IsZero() && !dev:
		return errors.New("no ceremony transcript: development keys exist only on dev chains")
	case k.NotAfter <= 0:
		return errors.New("not_after is missing: keys have an end date")
	}
	return nil
}

// ValidateOn checks the key against the kind of chain it is listed on.
func (k VerifyingKey) ValidateOn(g Genesis) error { return k.validate(g.Dev) }

// Validate checks names, keys and URL.
func (p IssuerRegistered) Validate() error {
	if err := validateParty(p.DID, p.Name, p.Keys); err != nil {
		return err
	}
	if p.Quota >= 1<<53 {
		return fmt.Errorf("quota %d is beyond 2^53", p.Quota)
	}
	if err := validateURL(p.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return nil
}

// Validate checks name and keys.
func (p IssuerRotated) Validate() error {
	if err := ValidateDID(p.DID); err != nil {
		return err
	}
	if p.Quota >= 1<<53 {
		return fmt.Errorf("quota %d is beyond 2^53", p.Quota)
	}
	return validateKeys(p.Keys)
}

// Validate checks the name.
func (p IssuerSuspended) Validate() error {
	if p.Reason == "" || len(p.Reason) > maxNameText {
		return fmt.Errorf("a reason of 1 to %d bytes is needed", maxNameText)
	}
	return ValidateDID(p.DID)
}

// Validate checks the name.
func (p IssuerReinstated) Validate() error { return ValidateDID(p.DID) }

// Validate checks the schema and the issuers, which are ascending and each there once.
func (p SchemaPublished) Validate() error {
	if err := p.Schema.Validate(); err != nil {
		return err
	}
	return validateDIDs(p.Issuers)
}

// Validate refuses empty batches, batches that are too large, and the commitment 0.
func (p CredentialsIssued) Validate() error {
	if len(p.Commitments) == 0 || len(p.Commitments) > MaxBatch {
		return fmt.Errorf("%d commitments, want 1 to %d", len(p.Commitments), MaxBatch)
	}
	for i, c := range p.Commitments {
		if c.IsZero() {
			return fmt.Errorf("commitment %d is 0", i)
		}
	}
	return nil
}

// Validate checks the indices.
func (p CredentialsSuspended) Validate() error { return validateLeaves(p.Leaves) }

// Validate checks the indices.
func (p CredentialsReinstated) Validate() error { return validateLeaves(p.Leaves) }

// Validate checks the indices.
func (p CredentialsRevoked) Validate() error { return validateLeaves(p.Leaves) }

// Validate checks that there is something to anchor.
func (p AuditAnchored) Validate() error {
	if p.Records == 0 || p.Records > credential.MaxJSONInteger || p.Head.IsZero() {
		return fmt.Errorf("%d records with head %s, want 1 to 2^53-1 and a digest", p.Records, p.Head)
	}
	return nil
}

// Validate checks names, keys and addresses.
func (p VerifierRegistered) Validate() error {
	if err := validateParty(p.DID, p.Name, p.Keys); err != nil {
		return err
	}
	if len(p.ResponseURIs) == 0 || len(p.ResponseURIs) > maxKeys {
		return fmt.Errorf("%d response URIs, want 1 to %d", len(p.ResponseURIs), maxKeys)
	}
	for _, u := range p.ResponseURIs {
		if err := validateURL(u); err != nil || !strings.HasSuffix(u, "/") {
			return fmt.Errorf("response URI %.100q: want an absolute URL that ends in /", u)
		}
	}
	return nil
}

// Validate only bounds the policy; the state machine parses it.
func (p PolicyRegistered) Validate() error {
	if len(p.Policy) == 0 || len(p.Policy) > 32<<10 {
		return fmt.Errorf("policy of %d bytes, want 1 to 32768", len(p.Policy))
	}
	return nil
}

// Validate checks the part; the state machine checks the whole.
func (p SetRegistered) Validate() error {
	switch {
	case p.Set.IsZero():
		return errors.New("the digest of the set is missing")
	case p.Parts < 1 || p.Parts > MaxSetParts || p.Part < 0 || p.Part >= p.Parts:
		return fmt.Errorf("part %d of %d, want 0 to %d of at most %d", p.Part, p.Parts, p.Parts-1, MaxSetParts)
	case len(p.Members) == 0 || len(p.Members) > maxIssuers:
		return fmt.Errorf("%d members, want 1 to %d", len(p.Members), maxIssuers)
	}
	return nil
}

// Validate checks the names.
func (p ScopeRegistered) Validate() error {
	if !credential.ValidName(p.Service) {
		return fmt.Errorf("service %.100q is not a plain name", p.Service)
	}
	if err := validateDIDs(p.Verifiers); err != nil {
		return err
	}
	if !slices.Contains(p.Verifiers, p.Consumer) {
		return fmt.Errorf("consumer %.100q is not among the verifiers", p.Consumer)
	}
	return nil
}

// Validate checks the key's form; whether the chain may list it is checked with its genesis.
func (p VerifyingKeyListed) Validate() error { return p.Key.validate(true) }

// Validate checks the numbers.
func (p Seal) Validate() error {
	if p.Height >= 1<<53 || p.Leaves >= 1<<53 || p.PreviousAt >= 1<<53 || p.Time <= 0 {
		return errors.New("height, leaves, previous_index or time out of range")
	}
	return nil
}

func validateParty(did string, name credential.Text, keys []jose.PublicKey) error {
	if err := ValidateDID(did); err != nil {
		return err
	}
	if name.English == "" && name.Chinese == "" || len(name.English) > maxNameText || len(name.Chinese) > maxNameText {
		return fmt.Errorf("name must have 1 to %d bytes", maxNameText)
	}
	return validateKeys(keys)
}

// ValidateDID refuses what is no decentralized identifier, in a plain form.
func ValidateDID(did string) error {
	if !strings.HasPrefix(did, "did:") || strings.Count(did, ":") < 2 || !credential.ValidName(did) {
		return fmt.Errorf("%.100q is not a DID like did:web:land.example", did)
	}
	return nil
}

func validateDIDs(dids []string) error {
	if len(dids) == 0 || len(dids) > maxIssuers {
		return fmt.Errorf("%d DIDs, want 1 to %d", len(dids), maxIssuers)
	}
	for i, did := range dids {
		if err := ValidateDID(did); err != nil {
			return err
		}
		if i > 0 && dids[i-1] >= did {
			return fmt.Errorf("DIDs are not ascending, each once, at %.100q", did)
		}
	}
	return nil
}

func validateKeys(keys []jose.PublicKey) error {
	if len(keys) == 0 || len(keys) > maxKeys {
		return fmt.Errorf("%d keys, want 1 to %d", len(keys), maxKeys)
	}
	seen := make(map[string]bool)
	for i, k := range keys {
		if err := k.Validate(); err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
		if seen[k.KeyID()] {
			return fmt.Errorf("key %d stands twice", i)
		}
		seen[k.KeyID()] = true
	}
	return nil
}

func validateLeaves(leaves []uint64) error {
	if len(leaves) == 0 || len(leaves) > MaxBatch {
		return fmt.Errorf("%d leaves, want 1 to %d", len(leaves), MaxBatch)
	}
	for i, l := range leaves {
		if l >= 1<<53 || i > 0 && leaves[i-1] >= l {
			return fmt.Errorf("leaves are not ascending, each once, at %d", l)
		}
	}
	return nil
}

func validateURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > 1024 || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%.100q is not an absolute URL without query", text)
	}
	return nil
}
