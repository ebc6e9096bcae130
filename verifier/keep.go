package verifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
)

// A scope that counts once per person or thing remembers the tags used under it, and a tag that is dropped can be used
// again. So nothing drops the tags of a scope that is open, and a scope is open until its operator closes it, for good: the
// row that says so is never dropped, and a response and the closing of its scope exclude each other, as the row must be
// absent in the commit that takes the response. The chain takes no policy back, so nothing there could close a scope.
//
// A store that was put back to an older copy has forgotten tags. Every scope that may be among those is closed then.

// The keys of rows that outlive sessions.
const (
	tagPrefix    = "tag/"    // then "pseudonym/" or "subject/", scope, "/", tag
	scopePrefix  = "scope/"  // then a scope: by what name it was asked under, as only its hash is in tags
	closedPrefix = "closed/" // then a scope
)

// Kept tells the keys of rows that a store must never forget.
func Kept(key string) bool {
	return strings.HasPrefix(key, tagPrefix) || strings.HasPrefix(key, closedPrefix)
}

// Keeper is what a verifier keeps beyond its sessions, for who looks at its store while it does not run. A running one is
// asked by its own methods.
type Keeper struct {
	Store    Store
	DID      string
	Genesis  credential.Digest // of the chain that shared scopes are of
	Policies []*policy.Policy
	Clock    func() time.Time // nil: time.Now
}

// CountedScope is one under which tags count, or counted.
type CountedScope struct {
	ID       credential.Element `json:"scope"`             // as in results
	Service  string             `json:"service,omitempty"` // its name in policies; empty for a shared scope, or one that nobody knows the name of
	Shared   *int64             `json:"shared_entry,omitempty"`
	Policies []string           `json:"policies"` // that count under it, of those configured; else the one that did first
	Open     bool               `json:"open"`
	Closed   *Closing           `json:"closed,omitempty"`
	Tags     int                `json:"tags"` // that are kept
}

// Closing says when a scope was closed and why.
type Closing struct {
	At  credential.UnixTime `json:"at"`
	Why Cause               `json:"why"`
}

// Cause is why a scope was closed.
type Cause string

// The causes.
const (
	ByOperator  Cause = "operator"
	ByRestoring Cause = "restored" // the store was put back to an older copy
)

// ErrScopeUnknown is returned for a scope that no policy counts under and no tag is of.
var ErrScopeUnknown = errors.New("nothing counts under such a scope here")

// scopeName is the row of a scope.
type scopeName struct {
	Version int    `json:"version"` // 1
	Service string `json:"service,omitempty"`
	Shared  *int64 `json:"shared_entry,omitempty"`
	Policy  string `json:"policy"` // that asked under it first
}

func (k *Keeper) now() credential.UnixTime {
	if k.Clock == nil {
		return credential.UnixTimeOf(time.Now())
	}
	return credential.UnixTimeOf(k.Clock())
}

// scopesOf are the scopes that a policy names, which need not count.
func scopesOf(p *policy.Policy) (scopes []*policy.Scope) {
	for _, q := range p.Queries {
		for _, s := range []*policy.Scope{q.Scope, q.SubjectScope} {
			if s != nil {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// countsOnce tells whether a policy uses up a tag.
func countsOnce(p *policy.Policy) bool {
	return slices.ContainsFunc(scopesOf(p), func(s *policy.Scope) bool { return s.Once })
}

// Scopes lists the scopes that policies count under, that tags are of and that were closed, by name.
func (k *Keeper) Scopes() ([]CountedScope, error) {
	found := make(map[credential.Element]*CountedScope)
	at := func(id credential.Element) *CountedScope {
		if found[id] == nil {
			found[id] = &CountedScope{ID: id, Policies: []string{}, Open: true}
		}
		return found[id]
	}
	for _, p := range k.Policies {
		for _, s := range scopesOf(p) {
			if !s.Once {
				continue
			}
			scope := at(s.Element(k.DID, k.Genesis))
			scope.Service, scope.Shared = s.Service, s.Shared
			if !slices.Contains(scope.Policies, p.ID) {
				scope.Policies = append(scope.Policies, p.ID)
			}
		}
	}
	err := errors.Join(
		eachScope(k.Store, scopePrefix, func(id credential.Element, row []byte) error { return at(id).named(row) }),
		eachScope(k.Store, closedPrefix, func(id credential.Element, row []byte) error { return at(id).close(row) }),
		eachScope(k.Store, tagPrefix+"pseudonym/", func(id credential.Element, _ []byte) error { at(id).Tags++; return nil }),
		eachScope(k.Store, tagPrefix+"subject/", func(id credential.Element, _ []byte) error { at(id).Tags++; return nil }),
	)
	if err != nil {
		return nil, fmt.Errorf("list scopes: %w", err)
	}
	list := make([]CountedScope, 0, len(found))
	for _, s := range found {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b CountedScope) int { return cmp.Or(cmp.Compare(a.Service, b.Service), a.ID.Cmp(b.ID)) })
	return list, nil
}

// eachScope visits rows whose keys have a scope behind a prefix.
func eachScope(s Store, prefix string, visit func(id credential.Element, row []byte) error) error {
	return s.Each(prefix, func(key string, row []byte) error {
		text, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		var id credential.Element
		if err := id.UnmarshalText([]byte(text)); err != nil {
			return errors.New("a row has a key that names no scope")
		}
		return visit(id, row)
	})
}

func (s *CountedScope) named(row []byte) error {
	var name scopeName
	if err := credential.ParseCanonical(row, &name); err != nil {
		return fmt.Errorf("name of a scope: %w", err)
	}
	s.Service, s.Shared = name.Service, name.Shared
	if len(s.Policies) == 0 {
		s.Policies = append(s.Policies, name.Policy)
	}
	return nil
}

func (s *CountedScope) close(row []byte) error {
	var closing Closing
	if err := credential.ParseCanonical(row, &closing); err != nil {
		return fmt.Errorf("closing of a scope: %w", err)
	}
	s.Open, s.Closed = false, &closing
	return nil
}

// CloseScope closes a scope for good: from now on nobody is asked and nothing is taken under it, and its tags are dropped
// in time. A scope that is closed stays as it is. [ErrScopeUnknown] for one that [Keeper.Scopes] does not list.
func (k *Keeper) CloseScope(id credential.Element) (*CountedScope, error) {
	list, err := k.Scopes()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(s CountedScope) bool { return s.ID == id })
	if i < 0 {
		return nil, ErrScopeUnknown
	}
	return &list[i], k.close(&list[i], ByOperator)
}

// close writes the row that nothing under the scope is taken beside.
func (k *Keeper) close(s *CountedScope, why Cause) error {
	if !s.Open {
		return nil
	}
	closing := Closing{k.now(), why}
	row, err := credential.Canonical(closing)
	if err != nil {
		return fmt.Errorf("close scope: %w", err)
	}
	b := Batch{Absent: []string{closedKey(s.ID)}, Set: map[string][]byte{closedKey(s.ID): row}}
	if err := addEntry(&b, LogEntry{Kind: ScopeWasClosed, At: closing.At, Scope: &s.ID, Service: s.Service, Why: why}); err != nil {
		return fmt.Errorf("close scope: %w", err)
	}
	err = k.Store.Commit(b)
	var taken *TakenError
	if errors.As(err, &taken) { // somebody was faster
		if row, err = k.Store.Get(closedKey(s.ID)); err == nil {
			return s.close(row)
		}
	}
	if err != nil {
		return fmt.Errorf("close scope: %w", err)
	}
	s.Open, s.Closed = false, &closing
	return nil
}

// Restored closes every scope whose tags a store that was put back may have forgotten: those of the policies and of
// the store, and the services named besides, under which policies counted that are neither. It returns what it closed. Call it
// before the store gets a new register; done again it closes what is left.
func (k *Keeper) Restored(services ...string) ([]CountedScope, error) {
	list, err := k.Scopes()
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		id := credential.VerifierScope(k.DID, service)
		if !slices.ContainsFunc(list, func(s CountedScope) bool { return s.ID == id }) {
			list = append(list, CountedScope{ID: id, Service: service, Policies: []string{}, Open: true})
		}
	}
	closed := []CountedScope{}
	for i := range list {
		if !list[i].Open {
			continue
		}
		if err := k.close(&list[i], ByRestoring); err != nil {
			return closed, err
		}
		closed = append(closed, list[i])
	}
	b := Batch{Set: make(map[string][]byte)}
	if err := addEntry(&b, LogEntry{Kind: StoreWasRestored, At: k.now(), Scopes: len(closed)}); err != nil {
		return closed, err
	}
	return closed, k.Store.Commit(b)
}

func closedKey(scope credential.Element) string { return closedPrefix + scope.String() }

// isClosed tells whether a scope was closed.
func (k *Keeper) isClosed(id credential.Element) (bool, error) {
	_, err := k.Store.Get(closedKey(id))
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// name writes by what name a scope is asked under, once.
func (k *Keeper) name(p *policy.Policy, s *policy.Scope) error {
	key := scopePrefix + s.Element(k.DID, k.Genesis).String()
	if _, err := k.Store.Get(key); !errors.Is(err, ErrAbsent) {
		return err
	}
	row, err := credential.Canonical(scopeName{Version: 1, Service: s.Service, Shared: s.Shared, Policy: p.ID})
	if err != nil {
		return err
	}
	return k.Store.Commit(Batch{Set: map[string][]byte{key: row}})
}

// keeper is the verifier's own.
func (v *Verifier) keeper(genesis credential.Digest) *Keeper {
	return &Keeper{Store: v.cfg.Store, DID: v.cfg.DID, Genesis: genesis, Policies: v.cfg.Policies, Clock: v.cfg.Clock}
}

// Scopes is as [Keeper.Scopes].
func (v *Verifier) Scopes(ctx context.Context) ([]CountedScope, error) {
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("list scopes: read the chain: %w", err)
	}
	return v.keeper(view.GenesisHash).Scopes()
}

// CloseScope is as [Keeper.CloseScope]. Of a response that is being checked and the closing of its scope one wins.
func (v *Verifier) CloseScope(ctx context.Context, id credential.Element) (*CountedScope, error) {
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("close scope: read the chain: %w", err)
	}
	return v.keeper(view.GenesisHash).CloseScope(id)
}

// mayCount refuses to ask by a policy of which a scope is closed, and names the scopes that it counts under.
func (v *Verifier) mayCount(view *client.View, p *policy.Policy) error {
	k := v.keeper(view.GenesisHash)
	for _, s := range scopesOf(p) {
		id := s.Element(k.DID, k.Genesis)
		closed, err := k.isClosed(id)
		if err != nil {
			return fmt.Errorf("look up scope: %w", err)
		}
		if closed {
			return notReady(ScopeClosed, "policy %s asks under the scope %s, which was closed for good: register one under a service of another name", p.ID, id)
		}
		if s.Once {
			if err := k.name(p, s); err != nil {
				return fmt.Errorf("name scope: %w", err)
			}
		}
	}
	return nil
}

// purgeTags drops the tags of scopes that are closed, some at a time. Tags are written only where the row of a closed scope
// is absent, so none comes after it.
func (v *Verifier) purgeTags(ctx context.Context, done *purged) error {
	var closed []string
	err := v.cfg.Store.Each(closedPrefix, func(key string, _ []byte) error {
		closed = append(closed, strings.TrimPrefix(key, closedPrefix))
		return nil
	})
	if err != nil {
		return err
	}
	for _, scope := range closed {
		for _, kind := range []string{"pseudonym/", "subject/"} {
			n, err := v.dropAll(ctx, tagPrefix+kind+scope+"/", func(string) bool { return true })
			done.tags += n
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// dropAll drops the rows of a prefix, ascending and some at a time, until one is to stay.
func (v *Verifier) dropAll(ctx context.Context, prefix string, drop func(key string) bool) (dropped int, err error) {
	for {
		var keys []string
		err := v.cfg.Store.Each(prefix, func(key string, _ []byte) error {
			if len(keys) == purgeBatch || !drop(key) {
				return errEnough
			}
			keys = append(keys, key)
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return dropped, err
		}
		if len(keys) == 0 {
			return dropped, nil
		}
		if err := ctx.Err(); err != nil {
			return dropped, err
		}
		if err := v.cfg.Store.Commit(Batch{Delete: keys}); err != nil {
			return dropped, err
		}
		dropped += len(keys)
	}
}
