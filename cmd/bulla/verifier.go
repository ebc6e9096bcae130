package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/offline"
)

// verifierFlags say which relying party is meant, and how to reach it.
type verifierFlags struct {
	api            apiFlags
	name, language string
}

func verifierCommand() *cobra.Command {
	f := new(verifierFlags)
	cmd := &cobra.Command{
		Use:   "verifier",
		Short: "What a relying party does",
		Long: `Uses a verifier's API: asks for facts by a registered policy, and reads the signed result. By default the verifier is the
city of the dev network in the data folder, whose key store makes the access token.`,
		Example: `  bulla verifier policies
  bulla verifier preview policy.json
  bulla verifier set counties.json
  bulla verifier ask residency
  bulla verifier status SESSION`,
	}
	f.api.register(cmd, "verifier")
	cmd.PersistentFlags().StringVar(&f.name, "verifier", "", "which one of a dev network: city or clinic, or a DID")
	cmd.PersistentFlags().StringVar(&f.language, "lang", defaultLanguage(), "language of what is asked and proven: zh-CN or en")
	cmd.AddCommand(verifierPoliciesCommand(f), verifierPreviewCommand(f), verifierSetCommand(), verifierAskCommand(f), verifierStatusCommand(f), verifierSessionsCommand(f), verifierCancelCommand(f), verifierVerifyCommand(f),
		verifierBundleCommand(f), verifierCounterCommand(f), verifierScopesCommand(f), verifierCloseScopeCommand(f), verifierLogCommand(f),
		verifierBackupCommand(f), verifierRestoredCommand(), verifierWebhookCommand(f))
	return cmd
}

// counterLifetime is how long a token that a command makes for itself is good for.
const counterLifetime = 5 * time.Minute

// commandClient is the client that commands with a dev folder speak for.
const commandClient = "bulla-cli"

// did is the relying party that --verifier names.
func (f *verifierFlags) did() (string, error) {
	if f.name == "" {
		return demo.CityDID, nil
	}
	return demo.VerifierNamed(f.name)
}

// counter is an application at the verifier.
func (f *verifierFlags) counter(ctx context.Context) (*demo.Counter, error) {
	if access, ok, err := f.api.direct(); ok || err != nil {
		return &demo.Counter{Access: access}, err
	}
	did, err := f.did()
	if err != nil {
		return nil, err
	}
	access, err := f.api.development(ctx, did, demo.Grant{Client: commandClient, Lifetime: counterLifetime}, demo.CounterAccess)
	return &demo.Counter{Access: access}, err
}

func verifierAskCommand(f *verifierFlags) *cobra.Command {
	var returnURI string
	cmd := &cobra.Command{
		Use:   "ask POLICY",
		Short: "Ask for the facts of a policy",
		Long: `Starts a session under a registered policy and prints the link that a wallet answers, as for a QR code, and the session's id.
With --return-uri the link is for a wallet on the device of the browser: the wallet sends its person there, and the result is
given only with the response code that comes along.`,
		Example: `  bulla verifier ask residency
  bulla verifier ask vaccination --verifier clinic
  bulla verifier ask residency --return-uri http://localhost:3000/back
  bulla verifier ask residency --json | jq -r .request_link`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			started, err := c.AskOnDevice(cmd.Context(), args[0], returnURI)
			if err != nil {
				return advised(err)
			}
			code := ""
			if returnURI != "" {
				code = " --response-code CODE"
			}
			return printed(cmd, started, func(out io.Writer) {
				fmt.Fprintf(out, "A wallet answers this until %s:\n\n  %s\n\nWhat came of it:\n\n  bulla verifier status %s%s%s\n",
					started.ExpiresAt.Time().Local().Format(time.TimeOnly), started.RequestLink, started.ID, f.again(), code)
			})
		},
	}
	cmd.Flags().StringVar(&returnURI, "return-uri", "", "where the wallet sends its person, below one of the verifier's return_uris")
	return cmd
}

// again are the flags that another command needs to reach the same verifier.
func (f *verifierFlags) again() string {
	var flags string
	switch {
	case f.api.url != "":
		flags = " --url " + f.api.url
	case f.api.data != "data":
		flags = " --data " + f.api.data
	}
	if f.name != "" {
		flags += " --verifier " + f.name
	}
	return flags
}

// sessionStatus is a session with its result, checked.
type sessionStatus struct {
	verifier.Status
	Checked *check.Result `json:"checked,omitempty"`
}

func verifierStatusCommand(f *verifierFlags) *cobra.Command {
	var responseCode string
	cmd := &cobra.Command{
		Use:   "status SESSION",
		Short: "Say what came of a session",
		Long: `Prints the state of a session and, where a response was refused, which check refused it. When there is a result it is
checked with the verifier's published keys, and what was proven is printed.`,
		Example: `  bulla verifier status SESSION
  bulla verifier status SESSION --json | jq .checked.facts`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := wordsIn(f.language); err != nil {
				return err
			}
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			status, err := c.StatusWith(cmd.Context(), args[0], responseCode)
			if err != nil {
				return advised(err)
			}
			s := sessionStatus{Status: status}
			if status.State == verifier.Verified {
				if s.Checked, err = checkResult(cmd.Context(), c, status.Result, check.Expected{Verifier: c.DID, Audience: c.Client, Session: status.ID}); err != nil {
					return err
				}
			}
			return printed(cmd, s, func(out io.Writer) { f.printStatus(out, s) })
		},
	}
	cmd.Flags().StringVar(&responseCode, "response-code", "", "the code that the browser came back with, of a session with a return URI")
	return cmd
}

// checkResult verifies a result with the verifier's published keys. What the caller does not know is taken from the
// result itself, so that it is printed rather than checked.
func checkResult(ctx context.Context, c *demo.Counter, token string, want check.Expected) (*check.Result, error) {
	_, payload, err := jose.PeekCompact(token)
	if err != nil {
		return nil, fmt.Errorf("this is not a result: %w", err)
	}
	var claimed check.Result
	if err := json.Unmarshal(payload, &claimed); err != nil {
		return nil, errors.New("this is not a result: its payload is not JSON of that form")
	}
	for _, unknown := range []struct {
		want    *string
		claimed string
	}{{&want.Verifier, claimed.Issuer}, {&want.Audience, claimed.Audience}, {&want.Session, claimed.Session}} {
		if *unknown.want == "" {
			*unknown.want = unknown.claimed
		}
	}
	keys, err := c.ResultKeys(ctx)
	if err != nil {
		return nil, advised(err)
	}
	want.Now = time.Now()
	return check.VerifyResult(token, jose.Keys(keys...), want)
}

func (f *verifierFlags) printStatus(out io.Writer, s sessionStatus) {
	final := ""
	if s.Final {
		final = ", finally"
	}
	fmt.Fprintf(out, "%s: %s%s\n", s.Policy, s.State, final)
	if s.Reason != nil {
		fmt.Fprintf(out, "  %s: %s\n", s.Reason.Code, s.Reason.Text.In(f.language))
	}
	if s.Checked != nil {
		f.printResult(out, s.Checked)
	}
}

// printFacts prints what was proven.
func (f *verifierFlags) printFacts(out io.Writer, facts []check.ResultFact, onePerson bool) {
	for _, fact := range facts {
		fmt.Fprintf(out, "  %s\n", fact.Type)
		for _, line := range fact.Holds[f.language] {
			fmt.Fprintf(out, "    ✓ %s\n", line)
		}
		for _, line := range fact.Learned[f.language] {
			fmt.Fprintf(out, "    · %s\n", line)
		}
		if len(fact.Disclosed) > 0 {
			if text, err := json.Marshal(fact.Disclosed); err == nil {
				fmt.Fprintf(out, "    disclosed   %s\n", text)
			}
		}
		if fact.Tags.Pseudonym != nil {
			fmt.Fprintf(out, "    pseudonym   %s\n", fact.Tags.Pseudonym)
		}
		if fact.Tags.SubjectTag != nil {
			fmt.Fprintf(out, "    subject tag %s\n", fact.Tags.SubjectTag)
		}
		if fact.Linkable {
			fmt.Fprintf(out, "    issued by %s; shown as an ordinary credential (%s), so that visits can be linked\n", strings.Join(fact.Issuers, ", "), fact.Format)
		} else if len(fact.Issuers) > 0 {
			fmt.Fprintf(out, "    issued by one of %s\n", strings.Join(fact.Issuers, ", "))
		} else {
			fmt.Fprintf(out, "    issued by one of %d of the set %s\n", fact.IssuerCount, fact.IssuerSet)
		}
		fmt.Fprintf(out, "    a revocation takes effect here after at most %d seconds\n", fact.RevocationDelaySeconds)
	}
	if len(facts) > 1 && onePerson {
		fmt.Fprintln(out, "  All credentials belong to one person.")
	}
}

func (f *verifierFlags) printResult(out io.Writer, r *check.Result) {
	f.printFacts(out, r.Facts, r.OnePerson)
	fmt.Fprintf(out, "  Signed by %s for %s, good until %s; keep it %d days at most.\n", r.Issuer, r.Audience,
		r.ExpiresAt.Time().Local().Format(time.DateTime), r.RetentionDays)
	if r.Dev {
		fmt.Fprintln(out, "  This is a dev chain: whoever made its keys could have forged this.")
	}
}

func verifierVerifyCommand(f *verifierFlags) *cobra.Command {
	var want check.Expected
	var bundle bundleFlags
	cmd := &cobra.Command{
		Use:   "verify FILE|-",
		Short: "Check a signed result, or a bundle, that was kept in a file",
		Long: `Checks the signature of a result by one of the keys that its verifier publishes at /jwks.json, and that it has not expired.
No access token is needed. Give what you know with --audience and --session: what you do not give is printed, not checked.

If the file is a bundle (bulla verifier bundle makes one), the whole presentation is checked anew, without a network: that a
registered verifier asked by a registered policy, and that the response proves it as of --at, under a checkpoint that the
profile in --chain accepts and a verifying key in --key that the chain lists.`,
		Example: `  bulla verifier verify bundle.json --chain chain.json --key presentation-1.verifying --at 2027-03-01T09:30:00Z
  bulla verifier status SESSION --json | jq -r .result | bulla verifier verify -
  bulla verifier verify result.jwt --url https://verify.example --audience our-counter --session SESSION`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := wordsIn(f.language); err != nil {
				return err
			}
			text, err := readBounded(cmd, args[0], offline.MaxBundle)
			if err != nil {
				return err
			}
			if offline.IsBundle(text) {
				return f.verifyBundle(cmd, text, &bundle)
			}
			c, err := f.keysOnly(cmd.Context())
			if err != nil {
				return err
			}
			if want.Verifier == "" {
				want.Verifier = c.DID
			}
			result, err := checkResult(cmd.Context(), c, strings.TrimSpace(string(text)), want)
			if err != nil {
				return err
			}
			return printed(cmd, result, func(out io.Writer) {
				fmt.Fprintf(out, "%s: the result is genuine, of session %s\n", result.Policy, result.Session)
				f.printResult(out, result)
			})
		},
	}
	bundle.register(cmd)
	cmd.Flags().StringVar(&want.Verifier, "did", "", "DID of the verifier that must have signed it")
	cmd.Flags().StringVar(&want.Audience, "audience", "", "client id of the application that it must be for")
	cmd.Flags().StringVar(&want.Session, "session", "", "session that it must be of")
	return cmd
}

// keysOnly is a verifier of which only the published keys are asked, for which no token is needed.
func (f *verifierFlags) keysOnly(ctx context.Context) (*demo.Counter, error) {
	if f.api.url == "" {
		return f.counter(ctx)
	}
	url, err := f.api.safeURL()
	return &demo.Counter{Access: demo.Access{URL: url}}, err
}
