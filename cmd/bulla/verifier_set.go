package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// madeSet is a set document with the digest that policies name it by.
type madeSet struct {
	Digest credential.Digest `json:"digest"`
	File   string            `json:"file,omitempty"` // that it was written to
	Set    *policy.Set       `json:"set"`
}

func verifierSetCommand() *cobra.Command {
	var d policy.SetDocument
	var lines, out string
	cmd := &cobra.Command{
		Use:   "set [FILE|-]",
		Short: "Make a list that policies name by its digest, or check one",
		Long: `A policy can name a list of issuers ("issuer_set"), or of values of a claim ("in_set"), by the digest of a document, where the
list is too long to stand in it: up to 4,096 members and 256 KiB. This checks such a document and prints its digest, or makes
one of a file with a member on each line. List the document under "sets" in the verifier's configuration: it puts the list
onto the chain before the policies that name it. A list never changes: a changed one has another digest, and the policy
is registered again.`,
		Example: `  bulla verifier set counties.json
  bulla verifier set --lines dids.txt --kind issuers --name 'County registries' --name-zh 县级登记机构 --out counties.json
  bulla verifier set counties.json --json | jq -r .digest`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (lines != "") {
				return errors.New("give a set document, or with --lines a file that has its members")
			}
			set, err := func() (*policy.Set, error) {
				if lines != "" {
					return setOfLines(cmd, lines, d)
				}
				text, err := readBounded(cmd, args[0], 4*policy.MaxSetSize)
				if err != nil {
					return nil, err
				}
				return policy.ParseSet(text)
			}()
			if err != nil {
				return err
			}
			made := madeSet{Digest: set.Digest(), File: out, Set: set}
			if out != "" {
				if err := writeNew(out, append(set.Canonical(), '\n')); err != nil {
					return err
				}
			}
			return printed(cmd, made, func(w io.Writer) {
				fmt.Fprintf(w, "%s\n  %s, %d %s, %d bytes\n", made.Digest, set.Name().In(defaultLanguage()), len(set.Members()), set.Kind(), len(set.Canonical()))
				if out != "" {
					fmt.Fprintf(w, "  written to %s\n", out)
				}
			})
		},
	}
	cmd.Flags().StringVar(&lines, "lines", "", "file, or -, with a member on each line, in any order")
	cmd.Flags().StringVar((*string)(&d.Kind), "kind", "", "with --lines: issuers (DIDs) or values")
	cmd.Flags().StringVar(&d.Name.English, "name", "", "with --lines: name for people, English")
	cmd.Flags().StringVar(&d.Name.Chinese, "name-zh", "", "with --lines: name for people, Chinese")
	cmd.Flags().StringVar(&out, "out", "", "write the document to a new file")
	return cmd
}

// setOfLines makes a set of the lines of a file. Empty lines are left out; a line twice is refused, as one of the two is
// probably meant to be another.
func setOfLines(cmd *cobra.Command, file string, d policy.SetDocument) (*policy.Set, error) {
	text, err := readBounded(cmd, file, policy.MaxSetSize)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if m := strings.TrimRight(line, "\r\n"); m != "" {
			d.Members = append(d.Members, m)
		}
	}
	slices.Sort(d.Members)
	d.Version = 1
	return policy.NewSet(d)
}

// writeNew writes a file that is not there yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
