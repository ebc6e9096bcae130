package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/verifier"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make and rotate the keys of an office",
		Long: `Each office of a production chain has a folder of its own: its key store, encrypted under the passphrase in
` + passphraseVariable + ` or asked for, and public.json, the public part that it hands to others. doc/operations.md shows the whole
order of things.`,
		Example: `  bulla key make --dir ministry --role governance --name ministry.example
  bulla key show --dir ministry`,
	}
	cmd.AddCommand(keyMakeCommand(), keyShowCommand(), keyNextCommand(), keySwitchCommand(), keyRenewCommand(), keyVoidCommand(), keyPassphraseCommand(),
		keySubjectCommand(), keyTokenCommand(), keyClientCommand(), keyProviderCommand(), keyCertificateCommand())
	return cmd
}

// newPassphrase is the passphrase of a key store that is made now.
func newPassphrase(cmd *cobra.Command) (string, error) {
	return newSecret(cmd, wordsOf["en"], "Passphrase of the new key store: ", passphraseVariable)
}

// passphrase is the passphrase of a key store that is there.
func passphrase(cmd *cobra.Command) (string, error) {
	return secret(cmd, "Passphrase of the key store: ", passphraseVariable)
}

// shownKey is what the commands print of a public part.
type shownKey struct {
	office.Public
	Fingerprint credential.Digest `json:"fingerprint"`
	File        string            `json:"file"`
}

func printPublic(cmd *cobra.Command, p office.Public, file string) error {
	fingerprint, err := p.Fingerprint()
	if err != nil {
		return err
	}
	return printed(cmd, shownKey{p, fingerprint, file}, func(out io.Writer) {
		fmt.Fprintf(out, "%s of %s\n", p.Role, p.Name)
		if p.Key != nil {
			fmt.Fprintf(out, "  key          %s (%s)\n", p.Key.KeyID(), p.Key.Algorithm())
		}
		if p.NoteKey != "" {
			fmt.Fprintf(out, "  note key     %s\n", p.NoteKey)
		}
		fmt.Fprintf(out, "  fingerprint  %s\nHand over %s, and let the other side compare the fingerprint by another way.\n", fingerprint, file)
	})
}

func roleNames() string {
	var names []string
	for _, r := range office.Roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func keyMakeCommand() *cobra.Command {
	var cfg office.KeysConfig
	var role, algorithm string
	cmd := &cobra.Command{
		Use:   "make",
		Short: "Make the keys of an office",
		Long: `Makes all keys that a role needs in a folder's key store, and writes the public part to public.json beside it. The name is
a plain name for a member of governance, the origin of its checkpoints for a ledger, the name in its cosignatures for a
cosigner, and its DID for an agency or relying party. Each member of governance does this on a machine of their own.`,
		Example: `  bulla key make --dir ministry --role governance --name ministry.example
  bulla key make --dir ledger --role ledger --name ledger.example/2026
  bulla key make --dir court --role cosigner --name court.example/cosigner
  bulla key make --dir land --role issuer --name did:web:land.example
  bulla key make --dir city --role verifier --name did:web:city.example`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Role, cfg.Algorithm = office.Role(role), jose.Algorithm(algorithm)
			if cfg.Passphrase, err = newPassphrase(cmd); err != nil {
				return err
			}
			p, err := office.MakeKeys(cfg)
			if err != nil {
				return err
			}
			return printPublic(cmd, p, filepath.Join(cfg.Dir, office.PublicFile))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Dir, "dir", "", "the office's folder")
	flags.StringVar(&role, "role", "", "one of "+roleNames())
	flags.StringVar(&cfg.Name, "name", "", "who it is")
	flags.StringVar(&algorithm, "algorithm", "", "of the key that signs entries: EdDSA or ES256 (default EdDSA, of a verifier ES256)")
	flags.IntVar(&cfg.WorkFactor, "work-factor", 0, "base-2 logarithm of the cost of trying a passphrase (default 18, about a second)")
	return required(cmd, "dir", "role", "name")
}

// required marks flags that must be given.
func required(cmd *cobra.Command, flags ...string) *cobra.Command {
	for _, flag := range flags {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err) // the flags stand in the same function
		}
	}
	return cmd
}

func keyShowCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the public part of an office's keys",
		Long:    "Prints what public.json in the folder says, with its fingerprint. No passphrase is needed.",
		Example: `  bulla key show --dir ministry`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file := filepath.Join(dir, office.PublicFile)
			p, err := office.ReadPublic(file, "")
			if err != nil {
				return err
			}
			return printPublic(cmd, p, file)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the office's folder")
	return required(cmd, "dir")
}

func keyTokenCommand() *cobra.Command {
	var role, config, client string
	var scopes []string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print an access token for the API of an agency or relying party",
		Long: `Makes an access token (RFC 9068) with the key store that a configuration names, and prints it alone. Whoever has it may do
what its scopes say until it ends. An agency's scopes: ` + strings.Join(issuer.Scopes, ", ") + `;
a relying party's: ` + strings.Join(verifier.Scopes, ", ") + `, and, only if they are asked for: ` + strings.Join(verifier.KeeperScopes, ", ") + `.`,
		Example: `  bulla key token --role issuer --config land/issuer.json --client clerk-7 --lifetime 8h
  bulla key token --role verifier --config city/verifier.json --client library`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, ok := scopesOf[office.Role(role)]
			if !ok {
				return fmt.Errorf("--role %q: only issuer and verifier have an API with tokens", role)
			}
			if len(scopes) == 0 {
				scopes = known
			}
			for _, s := range scopes {
				if !slices.Contains(known, s) && !(office.Role(role) == office.Verifier && slices.Contains(verifier.KeeperScopes, s)) {
					return fmt.Errorf("--scope %q: choose among %s", s, strings.Join(known, ", "))
				}
			}
			if lifetime <= 0 || lifetime > maxTokenLifetime {
				return fmt.Errorf("--lifetime %s: want more than 0 and at most %s", lifetime, maxTokenLifetime)
			}
			token, err := makeToken(cmd, office.Role(role), config, client, scopes, lifetime)
			if err != nil {
				return err
			}
			return printed(cmd, token, func(out io.Writer) { fmt.Fprintln(out, token.Token) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", "", "issuer or verifier")
	flags.StringVar(&config, "config", "", "its configuration, as bulla serve has it")
	flags.StringVar(&client, "client", "", "for whom the token is: a clerk, or an application, whose results it names")
	flags.StringSliceVar(&scopes, "scope", nil, "what the token may do; may be given several times (default: everything)")
	flags.DurationVar(&lifetime, "lifetime", time.Hour, "how long it is good for")
	return required(cmd, "role", "config", "client")
}

// scopesOf are the scopes that the API of a role knows.
var scopesOf = map[office.Role][]string{office.Issuer: issuer.Scopes, office.Verifier: verifier.Scopes}

func makeToken(cmd *cobra.Command, role office.Role, config, client string, scopes []string, lifetime time.Duration) (issuedToken, error) {
	t := issuedToken{Client: client, Scopes: scopes, ExpiresIn: int(lifetime / time.Second)}
	if client == "" || !credential.ValidName(client) {
		return t, errors.New("--client is not a plain name")
	}
	secret, err := passphrase(cmd)
	if err != nil {
		return t, err
	}
	authority, err := authorityOf(role, config, secret)
	if err != nil {
		return t, err
	}
	t.URL = authority.Issuer
	t.Token, err = authority.Issue(client, scopes, lifetime)
	return t, err
}

// keyClientCommand makes a secret for a client.
func keyClientCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "client",
		Short: "Make a secret for software that asks an agency or relying party for tokens",
		Long: `Prints a new secret, for the software, and its digest, for the member "secrets" of a client in the office's configuration. The secret
is kept nowhere. A client may have two, so that one can take the other's place.`,
		Example: `  bulla key client
  bulla key client --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, digest := oauth.NewSecret()
			made := struct {
				Secret string            `json:"secret"`
				Digest credential.Digest `json:"digest"`
			}{secret, digest}
			return printed(cmd, made, func(out io.Writer) { fmt.Fprintf(out, "secret  %s\ndigest  %s\n", secret, digest) })
		},
	}
}

// providerVariable is a secret that an agency's console has at the agency's OpenID provider.
const providerVariable = "BULLA_PROVIDER_SECRET"

// keyProviderCommand keeps a secret that somebody else made.
func keyProviderCommand() *cobra.Command {
	var dir string
	var remove bool
	cmd := &cobra.Command{
		Use:   "provider",
		Short: "Keep the secret that an agency's console has at the agency's OpenID provider",
		Long: `Most providers take the console as a public client, which has no secret: prefer that. For one that does not, this keeps the secret in
the agency's key store. It is asked for twice, or taken from ` + providerVariable + `, and counts from the next start of the agency on.`,
		Example: `  bulla key provider --dir land
  bulla key provider --dir land --remove`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opens, err := passphrase(cmd)
			if err != nil {
				return err
			}
			var kept string
			if !remove {
				if kept, err = newSecret(cmd, wordsOf["en"], "Secret of the console at the provider: ", providerVariable); err != nil {
					return err
				}
				if kept == "" {
					return errors.New("the secret is empty: to have none use --remove")
				}
			}
			if err := office.SetProviderSecret(dir, opens, kept); err != nil {
				return err
			}
			return printed(cmd, map[string]any{"dir": dir, "secret": !remove}, func(out io.Writer) {
				fmt.Fprintf(out, "The key store of %s has %s. It counts from the next start on.\n", dir, map[bool]string{true: "no secret for the provider any longer", false: "the secret for the provider"}[remove])
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the agency's folder")
	cmd.Flags().BoolVar(&remove, "remove", false, "remove the secret: the console is a public client again")
	return required(cmd, "dir")
}
