package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/office"
)

func keyNextCommand() *cobra.Command {
	var dir, out, algorithm string
	cmd := &cobra.Command{
		Use:   "next",
		Short: "Make the key that will replace the signing key of an agency or relying party",
		Long: `Makes the next signing key in the key store, once, and writes its public part to a file for governance. The present key
stays in use until key switch. Governance first lists both keys, then, after the switch, the new one alone: so nothing
stands still. A key that somebody else may have is replaced at once, by the new one alone.`,
		Example: `  bulla key next --dir land --out land-next.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := absent(out); err != nil {
				return err
			}
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			p, err := office.NextKey(dir, secret, jose.Algorithm(algorithm))
			if err != nil {
				return err
			}
			if err := p.Write(out); err != nil {
				return err
			}
			return printPublic(cmd, p, out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the office's folder")
	cmd.Flags().StringVar(&out, "out", "", "file for the public part of the next key")
	cmd.Flags().StringVar(&algorithm, "algorithm", "", "EdDSA or ES256 (default: that of the present key)")
	return required(cmd, "dir", "out")
}

func keySwitchCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "switch",
		Short: "Make the next key the signing key, and delete the old one",
		Long: `Run it once the chain lists the next key, while the office does not serve. Copies of the old key, as in backups, are good
for nothing once governance lists the new key alone.`,
		Example: `  bulla key switch --dir land`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			p, err := office.SwitchKey(dir, secret)
			if err != nil {
				return err
			}
			return printPublic(cmd, p, filepath.Join(dir, office.PublicFile))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the office's folder")
	return required(cmd, "dir")
}

func keyRenewCommand() *cobra.Command {
	var dir, which string
	var leaked bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Replace a key that the chain does not know: of the API, of results, or of companion credentials",
		Long: `Run it while the office does not serve. Access tokens that the old key signed are refused from then on: make new tokens.

Results are signed by the next key from then on, which applications find at /jwks.json before it begins; the old key stays there as long
as results that it signed are good. With --leaked both are made anew, and what they signed is refused at once.

Companion credentials that the old key signed stay good: its public part is published as long as bulla key void does not end that.
An agency that has no key of companions yet gets one.`,
		Example: `  bulla key renew --dir land --key api
  bulla key renew --dir land --key companion
  bulla key renew --dir city --key result
  bulla key renew --dir city --key result --leaked`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			switch {
			case leaked && which != "result":
				return errors.New("--leaked is for the key result only: renew refuses what the key of the API signed as it is, and bulla key void what one of companions did")
			case leaked:
				err = office.ReplaceResultKeys(dir, secret)
			default:
				err = office.RenewKey(dir, secret, which)
			}
			if err != nil {
				return err
			}
			return printed(cmd, map[string]string{"renewed": which}, func(out io.Writer) {
				fmt.Fprintf(out, "The %s key of %s is another now.\n", which, dir)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the office's folder")
	cmd.Flags().StringVar(&which, "key", "", "api, result or companion")
	cmd.Flags().BoolVar(&leaked, "leaked", false, "somebody else may have the keys of results: nothing that they signed counts any longer")
	return required(cmd, "dir", "key")
}

func keyVoidCommand() *cobra.Command {
	var dir, id string
	cmd := &cobra.Command{
		Use:   "void",
		Short: "Stop publishing an old key of companion credentials: what it signed is refused",
		Long: `Run it while the agency does not serve, once the last companion credential that the key signed is over, or at once if somebody
else may have the key: then renew it first, and offer their holders new companions. The ids of the keys are the kid at
/.well-known/jwt-vc-issuer.`,
		Example: `  bulla key void --dir land --kid xKxOTn3Kg0L6eBbJhW3kVNTMOM9xWq4SDnzSBFvE6jY`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			if err := office.VoidKey(dir, secret, id); err != nil {
				return err
			}
			return printed(cmd, map[string]string{"void": id}, func(out io.Writer) {
				fmt.Fprintf(out, "The key %s is no longer published.\n", id)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the agency's folder")
	cmd.Flags().StringVar(&id, "kid", "", "id of the key")
	return required(cmd, "dir", "kid")
}

// newPassphraseVariable names the environment variable with the passphrase that a key store gets.
const newPassphraseVariable = "BULLA_NEW_PASSPHRASE"

func keyPassphraseCommand() *cobra.Command {
	var dir string
	var workFactor int
	cmd := &cobra.Command{
		Use:   "passphrase",
		Short: "Change the passphrase of an office's key store",
		Long: `The new passphrase is asked for twice, or taken from ` + newPassphraseVariable + `. Copies of the old folder still open with the
old passphrase: if somebody else may have both, rotate the keys.`,
		Example: `  bulla key passphrase --dir land`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			old, err := passphrase(cmd)
			if err != nil {
				return err
			}
			next, err := newSecret(cmd, wordsOf["en"], "New passphrase of the key store: ", newPassphraseVariable)
			if err != nil {
				return err
			}
			if err := office.ChangePassphrase(dir, old, next, workFactor); err != nil {
				return err
			}
			return printed(cmd, map[string]string{"changed": dir}, func(out io.Writer) {
				fmt.Fprintf(out, "The key store of %s opens with the new passphrase.\n", dir)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the office's folder")
	cmd.Flags().IntVar(&workFactor, "work-factor", 0, "base-2 logarithm of the cost of trying a passphrase (default 18, about a second)")
	return required(cmd, "dir")
}

func keySubjectCommand() *cobra.Command {
	var dir, register string
	cmd := &cobra.Command{
		Use:   "subject",
		Short: "Make the key of a subject register in an agency's key store",
		Long: `A subject register turns subjects (parcels, invoices) into subject keys that go into credentials. Its key is made once and
must never be lost or changed: the same subject would get another tag.`,
		Example: `  bulla key subject --dir land --register urn:example:register:parcels`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			if err := office.MakeSubjectKey(dir, secret, register); err != nil {
				return err
			}
			return printed(cmd, map[string]string{"register": register}, func(out io.Writer) {
				fmt.Fprintf(out, "The key of %s is in the key store of %s.\n", register, dir)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the agency's folder")
	cmd.Flags().StringVar(&register, "register", "", "name of the register, as schemas have it")
	return required(cmd, "dir", "register")
}
