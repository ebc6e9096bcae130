package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
)

// tokenVariable names the environment variable with a bearer token, which ps does not show.
const tokenVariable = "BULLA_TOKEN"

// apiFlags say how to reach an agency's or a verifier's API: by URL and token, or through a dev folder, whose key store
// makes the token.
type apiFlags struct {
	data, url, token string
}

func (f *apiFlags) register(cmd *cobra.Command, whose string) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.data, "data", "data", "folder of a dev network, whose key store makes the access token")
	flags.StringVar(&f.url, "url", "", "URL of the "+whose+", instead of a dev network's")
	flags.StringVar(&f.token, "token", "", "access token for that URL (default: $"+tokenVariable+")")
}

// direct is access by URL and token; ok says that it was asked for.
func (f *apiFlags) direct() (access demo.Access, ok bool, err error) {
	if f.url == "" {
		if f.token != "" {
			return access, false, errors.New("--token needs --url: whose API it is for")
		}
		return access, false, nil
	}
	if access.URL, err = f.safeURL(); err != nil {
		return access, true, err
	}
	if access.Token = f.token; access.Token == "" {
		access.Token = os.Getenv(tokenVariable)
	}
	if access.Token == "" {
		return access, true, fmt.Errorf("--url needs an access token: give --token, or put it into the environment variable %s (bulla issuer token makes one for an agency of a dev network)", tokenVariable)
	}
	access.Client = clientOf(access.Token)
	return access, true, nil
}

// safeURL refuses to send a token or claims over a network in clear.
func (f *apiFlags) safeURL() (string, error) {
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--url %q is not a URL such as https://agency.example", f.url)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return "", fmt.Errorf("--url %q is neither https nor http on loopback: the token would travel in clear", f.url)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// clientOf is the client that a token says it is for, or nothing if it is not of the form that ours have. Whether the
// token is genuine is for the API to say.
func clientOf(token string) string {
	var claims webapi.AccessToken
	_, payload, err := jose.PeekCompact(token)
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.ClientID
}

// development is access to a party of the dev folder's network.
func (f *apiFlags) development(ctx context.Context, did string, grant demo.Grant,
	access func(ctx context.Context, dir, passphrase, did string, g demo.Grant) (demo.Access, error)) (demo.Access, error) {
	if err := exists(filepath.Join(f.data, demo.ProfileFile)); err != nil {
		return demo.Access{}, fmt.Errorf("%w: give the folder of a dev network with --data (bulla serve --dev makes one), or an API with --url and --token", err)
	}
	passphrase, err := knownPassphrase(f.data)
	if err != nil {
		return demo.Access{}, err
	}
	a, err := access(ctx, f.data, passphrase, did, grant)
	if err != nil {
		return a, advised(err)
	}
	return a, nil
}

// advised adds to an error of a call what to do about it.
func advised(err error) error {
	var problem *webapi.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problem) && problem.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: make a new token", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers there; is bulla serve --dev running on this data folder?", err)
	}
	return err
}
