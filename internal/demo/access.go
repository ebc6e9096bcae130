package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
)

// Access is what a program needs to use the API of an agency or a relying party.
type Access struct {
	DID    string // of whose API it is; may be empty
	URL    string // without a slash at the end
	Client string // client id that the token speaks for; may be empty
	Token  string // bearer token: whoever has it may do what its scopes say
}

// call asks the API at a path.
func (a Access) call(ctx context.Context, method, path string, body, answer any) error {
	return webapi.Call(ctx, method, a.URL+path, a.Token, body, answer)
}

// Grant says what a token is for.
type Grant struct {
	Client   string
	Scopes   []string
	Lifetime time.Duration
}

// ClerkAccess makes a token for the admin API of an agency of a dev folder, whose network is running. The agency is
// named by its DID.
func ClerkAccess(ctx context.Context, dir, passphrase, did string, g Grant) (Access, error) {
	a, err := accessTo(ctx, dir, passphrase, did, g, func(r *entry.Registry) (*webapi.Authority, string, error) {
		agency, ok := r.Issuer(did)
		if !ok {
			return nil, "", errors.New("it is not on the chain")
		}
		return issuer.AdminAuthority(agency.URL, nil, time.Now), roleOf(agencies, did) + "-admin", nil
	})
	if err != nil {
		return a, fmt.Errorf("access to agency %s: %w", did, err)
	}
	return a, nil
}

// CounterAccess makes a token for the API of a relying party of a dev folder, in the same way. Nil scopes: all.
func CounterAccess(ctx context.Context, dir, passphrase, did string, g Grant) (Access, error) {
	if g.Scopes == nil {
		g.Scopes = verifier.Scopes
	}
	a, err := accessTo(ctx, dir, passphrase, did, g, func(r *entry.Registry) (*webapi.Authority, string, error) {
		party, ok := r.Verifier(did)
		if !ok || len(party.ResponseURIs) == 0 {
			return nil, "", errors.New("it is not on the chain")
		}
		return verifier.Authority(party.ResponseURIs[0], nil, time.Now), roleOf(verifiers, did) + "-api", nil
	})
	if err != nil {
		return a, fmt.Errorf("access to relying party %s: %w", did, err)
	}
	return a, nil
}

// accessTo reads from the chain where a party is, and signs a token with its key from the folder's key store. find gives
// the authority without its key, and the key's name.
func accessTo(ctx context.Context, dir, passphrase, did string, g Grant, find func(*entry.Registry) (*webapi.Authority, string, error)) (Access, error) {
	registry, err := readRegistry(ctx, dir)
	if err != nil {
		return Access{}, err
	}
	authority, name, err := find(registry)
	if err != nil {
		return Access{}, err
	}
	if authority.Key, err = devKey(dir, passphrase, name); err != nil {
		return Access{}, err
	}
	token, err := authority.Issue(g.Client, g.Scopes, g.Lifetime)
	return Access{DID: did, URL: authority.Issuer, Client: g.Client, Token: token}, err
}

func readRegistry(ctx context.Context, dir string) (*entry.Registry, error) {
	profile, err := client.ReadProfile(filepath.Join(dir, ProfileFile))
	if err != nil {
		return nil, err
	}
	chain, err := client.New(profile.Config())
	if err != nil {
		return nil, err
	}
	view, err := chain.Update(ctx)
	if err != nil {
		return nil, err
	}
	return view.Registry, nil
}

// devKey reads a key of the folder's key store. It makes neither store nor key: a token that nobody knows the key of
// would only be refused later.
func devKey(dir, passphrase, name string) (*jose.SigningKey, error) {
	secrets := filepath.Join(dir, secretsFolder)
	if _, err := os.Stat(secrets); err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	store, err := keystore.Open(keystore.Config{Dir: secrets, Passphrase: passphrase})
	if err != nil {
		return nil, err
	}
	secret, err := store.Get(name)
	if err != nil {
		return nil, err
	}
	return jose.ParseSigningKey(secret)
}

// secretsFolder is the key store in a data folder.
const secretsFolder = "secrets"

// AgencyNamed finds an agency's DID by its short name (civil, land, health) or by itself.
func AgencyNamed(name string) (did string, err error) { return named(agencies, "agency", name) }

// VerifierNamed finds a relying party's DID by its short name (city, clinic) or by itself.
func VerifierNamed(name string) (did string, err error) {
	return named(verifiers, "relying party", name)
}

func named(parties []party, kind, name string) (string, error) {
	var roles []string
	for _, p := range parties {
		if name == p.role || name == p.did {
			return p.did, nil
		}
		roles = append(roles, p.role)
	}
	return "", fmt.Errorf("there is no %s %q: choose one of %s", kind, name, strings.Join(roles, ", "))
}

func roleOf(parties []party, did string) string {
	for _, p := range parties {
		if p.did == did {
			return p.role
		}
	}
	return ""
}

// VerifierKey is the key with which a relying party of a dev folder signs.
func VerifierKey(dir, passphrase, did string) (*jose.SigningKey, error) {
	return devKey(dir, passphrase, roleOf(verifiers, did)+"-signing")
}
