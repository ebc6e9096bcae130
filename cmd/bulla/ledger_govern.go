package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

func ledgerGovernCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "govern",
		Short: "Propose, sign offline and submit what governance decides",
		Long: `What governance does takes the signatures of k of n members, each of whom keeps a key offline:

  1. propose   anybody drafts an entry as a file, on a machine that reaches the ledger
  2. sign      each member, offline: reads in plain words what the file does, and signs it with the key in their folder
  3. submit    anybody puts the signatures together and hands them to the ledger

A genesis goes the same way, and ends with bulla ledger init instead of submit.`,
		Example: `  bulla ledger govern propose issuer-suspended --chain chain.json --did did:web:land.example --reason "key stolen" --out suspend.json
  bulla ledger govern sign suspend.json --dir ministry --genesis genesis.jws --out suspend.ministry.jws
  bulla ledger govern submit suspend.ministry.jws suspend.court.jws --chain chain.json`,
	}
	cmd.AddCommand(proposeCommand(), governSignCommand(), governSubmitCommand())
	return cmd
}

// proposeFlags say what every proposal but a genesis needs.
type proposeFlags struct {
	chain, out string
	sequence   int64 // -1: ask the ledger
}

// registered is the chain as a proposal is made on it.
type registered struct {
	genesis  credential.Digest
	view     *client.View
	sequence uint64
}

// read looks at the chain.
func (f *proposeFlags) read(ctx context.Context) (r registered, err error) {
	chain, profile, err := office.OpenChain(f.chain, "")
	if err != nil {
		return r, err
	}
	r.genesis = profile.Genesis
	if r.view, err = chain.Update(ctx); err != nil {
		return r, err
	}
	if f.sequence >= 0 {
		r.sequence = uint64(f.sequence)
		return r, nil
	}
	r.sequence, err = chain.NextSequence(ctx, entry.Governance)
	return r, err
}

// shownProposal is what propose and sign print.
type shownProposal struct {
	office.Proposal
	Digest credential.Digest `json:"digest"`
	Words  []string          `json:"words"`
	File   string            `json:"file"`
}

func showProposal(cmd *cobra.Command, p office.Proposal, file, after string) error {
	words, err := p.Lines()
	if err != nil {
		return err
	}
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	return printed(cmd, shownProposal{p, digest, words, file}, func(out io.Writer) {
		printLines(out, words)
		fmt.Fprintln(out, after)
	})
}

func printLines(out io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(out, printable(line))
	}
}

// writeProposal writes a proposal to a new file and says what it does.
func writeProposal(cmd *cobra.Command, p office.Proposal, file string) error {
	if err := absent(file); err != nil {
		return err
	}
	if err := p.Write(file); err != nil {
		return err
	}
	return showProposal(cmd, p, file, "\nHand "+file+" to the members; each signs it with bulla ledger govern sign.")
}

// payloadOf makes the content of a proposal on the chain as it is.
type payloadOf func(r registered) (entry.Payload, error)

// proposal is a subcommand of propose: name, texts and what makes its content.
func proposal(kind entry.Kind, short, example string, content payloadOf, flags func(cmd *cobra.Command)) *cobra.Command {
	f := new(proposeFlags)
	cmd := &cobra.Command{
		Use:     string(kind),
		Short:   short,
		Long:    short + ".",
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.read(cmd.Context())
			if err != nil {
				return err
			}
			payload, err := content(r)
			if err != nil {
				return err
			}
			p, err := office.Propose(r.genesis, r.sequence, payload)
			if err != nil {
				return err
			}
			return writeProposal(cmd, p, f.out)
		},
	}
	flags(cmd)
	cmd.Flags().StringVar(&f.chain, "chain", "chain.json", "profile of the chain")
	cmd.Flags().StringVar(&f.out, "out", "", "file for the proposal")
	cmd.Flags().Int64Var(&f.sequence, "seq", -1, "governance's number for it (default: the next one; several proposals that wait for signatures need one each)")
	return required(cmd, "out")
}

func governSignCommand() *cobra.Command {
	var dir, genesis, out string
	var yes bool
	cmd := &cobra.Command{
		Use:   "sign PROPOSAL",
		Short: "Sign a proposal as a member of governance, offline",
		Long: `Says in plain words what the proposal does, asks, and signs it with the key in the member's folder. Nothing is sent: hand
the file on. The genesis of the chain, which each member keeps, makes sure that you sign for that chain and no other; a
proposal that is a genesis itself needs none. Compare the digest with the other members before you agree.`,
		Example: `  bulla ledger govern sign genesis.json --dir ministry --out genesis.ministry.jws
  bulla ledger govern sign issuer.json --dir ministry --genesis genesis.jws --out issuer.ministry.jws`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := office.ReadProposal(args[0])
			if err != nil {
				return err
			}
			if err := absent(out); err != nil {
				return err
			}
			if err := agree(cmd, p, yes); err != nil {
				return err
			}
			return signProposal(cmd, p, dir, genesis, out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the member's folder")
	cmd.Flags().StringVar(&genesis, "genesis", "", "the chain's genesis, a file; not for a proposal that is a genesis")
	cmd.Flags().StringVar(&out, "out", "", "file for the signature")
	cmd.Flags().BoolVar(&yes, "yes", false, "sign without being asked: you have read the proposal and compared its digest")
	return required(cmd, "dir", "out")
}

// agree shows a proposal and asks, unless --yes said so before.
func agree(cmd *cobra.Command, p office.Proposal, yes bool) error {
	words, err := p.Lines()
	if err != nil {
		return err
	}
	printLines(cmd.ErrOrStderr(), words)
	if yes {
		return nil
	}
	yes, err = typedYes(cmd, wordsOf["en"], "\nSign this? Type yes: ")
	if errors.Is(err, errNoTerminal) {
		return fmt.Errorf("%w: give --yes to sign", err)
	}
	if err == nil && !yes {
		err = errors.New("not signed")
	}
	return err
}

func signProposal(cmd *cobra.Command, p office.Proposal, dir, genesis, out string) error {
	var chain *entry.Entry
	if genesis != "" {
		var err error
		if chain, err = office.ReadEntry(genesis); err != nil {
			return err
		}
	}
	secret, err := passphrase(cmd)
	if err != nil {
		return err
	}
	key, err := office.MemberKey(dir, secret)
	if err != nil {
		return err
	}
	e, err := p.Sign(key, chain)
	if err != nil {
		return err
	}
	if err := office.WriteEntry(out, e); err != nil {
		return err
	}
	return printed(cmd, map[string]string{"file": out, "key": key.Public().KeyID()}, func(w io.Writer) {
		fmt.Fprintf(w, "Signed with key %s. Hand on %s.\n", key.Public().KeyID(), out)
	})
}

func governSubmitCommand() *cobra.Command {
	var chain string
	cmd := &cobra.Command{
		Use:   "submit SIGNED…",
		Short: "Put the members' signatures together and hand the entry to the ledger",
		Long: `Takes the files that members signed, all of one proposal, submits the entry and waits until it is sealed and cosigned: then
it is in effect. If the ledger refuses it, it says why; submitting what is on the chain already changes nothing.`,
		Example: `  bulla ledger govern submit issuer.ministry.jws issuer.court.jws --chain chain.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := office.ReadSigned(args...)
			if err != nil {
				return err
			}
			reader, profile, err := office.OpenChain(chain, "")
			if err != nil {
				return err
			}
			if e.Header().Genesis != profile.Genesis && e.Header().Kind != entry.KindGenesis {
				return fmt.Errorf("the entry is for the chain %s, %s is the profile of %s", e.Header().Genesis, chain, profile.Genesis)
			}
			receipt, err := office.Submit(cmd.Context(), reader, e)
			if err != nil {
				return governAdvice(err)
			}
			return printed(cmd, receipt, func(out io.Writer) {
				fmt.Fprintf(out, "%s is entry %d, sealed and cosigned: in effect.\n", e.Header().Kind, receipt.Index)
			})
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "chain.json", "profile of the chain")
	return cmd
}

// governAdvice says what to do about a refusal.
func governAdvice(err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Code == "sequence" {
		return fmt.Errorf("%w: another entry of governance came first; propose and sign this one again", err)
	}
	return advised(err)
}
