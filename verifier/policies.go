package verifier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
)

// NotReadyError says why the chain does not let this verifier ask, and what to do about it.
type NotReadyError struct {
	Code   string // stable, for programs
	Detail string // for the operator; names public things only
}

// Error is the detail.
func (e *NotReadyError) Error() string { return e.Detail }

func notReady(code, format string, args ...any) error {
	return &NotReadyError{code, fmt.Sprintf(format, args...)}
}

// The codes of [NotReadyError].
const (
	NotRegistered       = "verifier_not_registered"
	PolicyUnknown       = "policy_unknown"
	PolicyNotRegistered = "policy_not_registered"
	PolicyUnprovable    = "policy_unprovable"
	NoIssuer            = "issuer_set"
	NoVerifyingKey      = "key_not_listed"
	CertificateEnded    = "certificate_ended"
	CompanionsOff       = "companions_off"
	ScopeClosed         = string(check.ScopeClosed) // for the policies under that scope only: the verifier is ready
)

// LoadPolicies reads every *.json file of a folder as a policy, in the order of their names.
func LoadPolicies(dir string) ([]*policy.Policy, error) {
	return loadAll(dir, "policy", policy.MaxSize, policy.Parse)
}

// LoadSets reads every *.json file of a folder as a set, in the order of their names: that is the folder sets beside
// policies that name them.
func LoadSets(dir string) ([]*policy.Set, error) {
	return loadAll(dir, "set", policy.MaxSetSize, policy.ParseSet)
}

func loadAll[T any](dir, what string, size int64, parse func([]byte) (T, error)) ([]T, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("load each %s: %w", what, err)
	}
	var out []T
	for _, file := range files {
		text, err := readAtMost(file, 4*size+1) // one byte more, so that what is longer is refused
		if err != nil {
			return nil, fmt.Errorf("load %s %s: %w", what, file, err)
		}
		t, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("load %s %s: %w", what, file, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func readAtMost(file string, size int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}

// addPolicy refuses what no chain could make right.
func (v *Verifier) addPolicy(p *policy.Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if p.Verifier != v.cfg.DID {
		return fmt.Errorf("policy %s is of %s, not of %s", p.ID, p.Verifier, v.cfg.DID)
	}
	if _, twice := v.policies[p.ID]; twice {
		return fmt.Errorf("two policies are called %q", p.ID)
	}
	if err := p.CheckSets(v.sets); err != nil {
		return err
	}
	if err := satisfiable(p); err != nil {
		return fmt.Errorf("policy %s: %w", p.ID, err)
	}
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	v.policies[p.ID], v.known[digest] = p, p
	return nil
}

// satisfiable refuses two queries that want the one pseudonym of one person, each for itself and once.
func satisfiable(p *policy.Policy) error {
	if p.SeveralPersons {
		return nil
	}
	var seen []policy.Query
	for _, q := range p.Queries {
		if q.Scope == nil || !q.Scope.Once {
			continue
		}
		for _, other := range seen {
			if sameScope(q.Scope, other.Scope) {
				return fmt.Errorf("queries %q and %q both take the one pseudonym of one person in one scope: ask for it in one of them", other.ID, q.ID)
			}
		}
		seen = append(seen, q)
	}
	return nil
}

func sameScope(a, b *policy.Scope) bool {
	if a.Shared != nil && b.Shared != nil {
		return *a.Shared == *b.Shared
	}
	return a.Shared == nil && b.Shared == nil && a.Service == b.Service
}

// registered checks that wallets will believe our requests: our key is the chain's, and our address is allowed.
func (v *Verifier) registered(view *client.View) error {
	if err := v.identity.ready(v.cfg.Clock()); err != nil {
		return err
	}
	us, ok := view.Registry.Verifier(v.cfg.DID)
	if !ok {
		return notReady(NotRegistered, "verifier %s is not registered on the chain: ask governance to register it with key %s and response URI %s",
			v.cfg.DID, v.cfg.SigningKey.Public().KeyID(), v.base+responsePath)
	}
	if !slices.Contains(us.Keys, v.cfg.SigningKey.Public()) {
		return notReady(NotRegistered, "the chain does not list the signing key %s for verifier %s: ask governance to register it again with this key",
			v.cfg.SigningKey.Public().KeyID(), v.cfg.DID)
	}
	if !slices.ContainsFunc(us.ResponseURIs, func(prefix string) bool { return strings.HasPrefix(v.base+responsePath, prefix) }) {
		return notReady(NotRegistered, "%s is under no response URI registered for verifier %s: ask governance to register it, or correct the public URL",
			v.base+responsePath, v.cfg.DID)
	}
	return nil
}

// standing checks one policy against the chain: registered as it is, provable, and its scopes ours to use.
func (v *Verifier) standing(view *client.View, p *policy.Policy) error {
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	registered, ok := view.Registry.Policy(v.cfg.DID, p.ID)
	if !ok {
		return notReady(PolicyNotRegistered, "policy %s is not registered on the chain: wallets would refuse it; register it first (Verifier.Register)", p.ID)
	}
	if registered.Digest != digest {
		return notReady(PolicyNotRegistered, "policy %s differs from the one registered at entry %d (digest %s here, %s there): undo the change, or register it first (Verifier.Register)",
			p.ID, registered.Entry, digest, registered.Digest)
	}
	// That it is registered means that its sets are: the chain takes no policy before them.
	if err := p.Check(v.cfg.Clock(), schemasOf(view), v.sets); err != nil {
		return notReady(PolicyUnprovable, "%v: change the policy and register it again", err)
	}
	if err := v.takesCompanions(p); err != nil {
		return err
	}
	for _, q := range p.Queries {
		for _, scope := range []*policy.Scope{q.Scope, q.SubjectScope} {
			if err := v.mayUse(view, p, scope); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayUse checks a shared scope: we may ask under it, and only its consumer counts its tags.
func (v *Verifier) mayUse(view *client.View, p *policy.Policy, s *policy.Scope) error {
	if s == nil || s.Shared == nil {
		return nil
	}
	shared, ok := view.Registry.Scope(uint64(*s.Shared))
	if !ok || !slices.Contains(shared.Verifiers, v.cfg.DID) {
		return notReady(PolicyUnprovable, "policy %s: %s may not ask under the shared scope of entry %d", p.ID, v.cfg.DID, *s.Shared)
	}
	if s.Once && shared.Consumer != v.cfg.DID {
		return notReady(PolicyUnprovable, "policy %s: only %s counts the tags of the shared scope of entry %d: leave out once", p.ID, shared.Consumer, *s.Shared)
	}
	return nil
}

// schemasOf looks schemas up in the newest registry.
func schemasOf(view *client.View) policy.Schemas {
	return func(id credential.Element) (*credential.Schema, error) {
		schema, ok := view.Registry.Schema(id)
		if !ok {
			return nil, fmt.Errorf("schema %s is not on the chain", id)
		}
		return &schema.Schema, nil
	}
}

// usableKey is the listed key of a circuit that we have and that ends last, if it lasts to a time.
func (v *Verifier) usableKey(view *client.View, circuit string, until time.Time) (*keys.VerifyingKey, error) {
	list := acceptable(view)
	var best *keys.VerifyingKey
	var bestEnd credential.UnixTime
	for _, key := range v.keys {
		for _, l := range list {
			if key.Name() == circuit && l.KeyDigest == key.Digest() && check.Listed(list, key, until) && (best == nil || l.NotAfter > bestEnd) {
				best, bestEnd = key, l.NotAfter
			}
		}
	}
	if best == nil {
		return nil, notReady(NoVerifyingKey, "the chain lists none of our %d verifying keys for %s, or they end before %s: get the key that genesis or governance lists",
			len(v.keys), circuit, until.UTC().Format(time.RFC3339))
	}
	return best, nil
}

// find is the policy of that name, if the chain lets us use it now.
func (v *Verifier) find(view *client.View, id string) (*policy.Policy, error) {
	p, ok := v.policies[id]
	if !ok {
		return nil, notReady(PolicyUnknown, "there is no such policy here")
	}
	return p, errors.Join(v.registered(view), v.standing(view, p))
}

// Policies are the policies of this verifier, by name.
func (v *Verifier) Policies() []*policy.Policy {
	return slices.SortedFunc(slices.Values(v.cfg.Policies), func(a, b *policy.Policy) int { return strings.Compare(a.ID, b.ID) })
}
