package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// maxSchemaFile bounds the file of a schema, in bytes.
const maxSchemaFile = 256 << 10

// previewFlags say what a policy is previewed with.
type previewFlags struct {
	*verifierFlags
	at, profile   string
	schemas, sets []string // files
}

func verifierPreviewCommand(v *verifierFlags) *cobra.Command {
	f := &previewFlags{verifierFlags: v}
	cmd := &cobra.Command{
		Use:   "preview POLICY.json|-",
		Short: "Show what a person would read about a policy, and what an answer narrows down",
		Long: `Says of a policy, registered or not, what wallets and pages would show before consent, in the same words, and how many values
of each claim an answer leaves. Warnings are what the policy's author should be sure of: a claim that is pinned down to a value
or a short interval, few issuers, a tag that links visits, a long retention, late revocations. They refuse nothing.

Schemas, the standing of issuers, and sets are read from the chain of the data folder or of --chain. With --schema no chain is read: issuers are
named by their DIDs, and taken to be in good standing.`,
		Example: `  bulla verifier preview residency.json
  bulla verifier preview residency.json --lang zh-CN --at 2027-03-01
  bulla verifier preview residency.json --chain chain.json --set counties.json
  bulla verifier preview residency.json --json | jq '.warnings'
  bulla verifier preview residency.json --schema residence.json --set counties.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			preview, err := f.preview(cmd, args[0])
			if err != nil {
				return err
			}
			return printed(cmd, preview, func(out io.Writer) { printPreview(out, preview) })
		},
	}
	cmd.Flags().StringVar(&f.at, "at", "", "the date in question, as 2027-03-01, or time, as 2027-03-01T09:30:00Z (default: now)")
	cmd.Flags().StringVar(&f.profile, "chain", "", "profile of the chain (default: chain.json in the data folder)")
	cmd.Flags().StringArrayVar(&f.schemas, "schema", nil, "file of a schema that the policy names, instead of a chain")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "file of a set that the policy names and that is not on the chain yet")
	return cmd
}

func (f *previewFlags) preview(cmd *cobra.Command, file string) (*policy.Preview, error) {
	if _, err := wordsIn(f.language); err != nil {
		return nil, err
	}
	if f.api.url != "" {
		return nil, errors.New("a preview is made from the chain or from files: give its data folder with --data, not a verifier's --url")
	}
	at := time.Now()
	if f.at != "" {
		var err error
		if at, err = policy.ParseMoment(f.at); err != nil {
			return nil, fmt.Errorf("--at: %w", err)
		}
	}
	text, err := readBounded(cmd, file, 4*policy.MaxSize)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, err
	}
	around, err := f.surroundings(cmd, p)
	if err != nil {
		return nil, err
	}
	return p.Preview(at, around, f.language)
}

// surroundings are those of the files, or of the chain.
func (f *previewFlags) surroundings(cmd *cobra.Command, p *policy.Policy) (policy.Surroundings, error) {
	sets, err := filesOf(cmd, f.sets, 4*policy.MaxSetSize, policy.ParseSet)
	if err != nil {
		return policy.Surroundings{}, err
	}
	if len(f.schemas) > 0 {
		schemas, err := filesOf(cmd, f.schemas, maxSchemaFile, parseSchema)
		if err != nil {
			return policy.Surroundings{}, err
		}
		return policy.Surroundings{Schemas: schemasOfFiles(schemas), Sets: policy.SetsOf(sets...)}, nil
	}
	return f.onChain(cmd.Context(), p, sets)
}

// onChain reads what the chain says, and those sets that no file has.
func (f *previewFlags) onChain(ctx context.Context, p *policy.Policy, sets []*policy.Set) (policy.Surroundings, error) {
	chain, _, view, err := f.chain(ctx, f.profilePath(f.profile))
	if err != nil {
		return policy.Surroundings{}, err
	}
	for _, use := range p.SetUses() {
		if _, err := policy.SetsOf(sets...)(use.Digest); err == nil {
			continue
		}
		set, err := chain.Set(ctx, use.Digest)
		if err != nil {
			return policy.Surroundings{}, fmt.Errorf("%s: %w: give its file with --set", use.Where, err)
		}
		sets = append(sets, set)
	}
	return policy.Surroundings{
		Schemas: func(id credential.Element) (*credential.Schema, error) {
			s, ok := view.Registry.Schema(id)
			if !ok {
				return nil, fmt.Errorf("schema %s is not on the chain", id)
			}
			return &s.Schema, nil
		},
		Sets: policy.SetsOf(sets...), Good: view.Registry.InGoodStanding,
		IssuerName: func(did, language string) string { return issuerNames(view.Registry, language)(did) },
	}, nil
}

func filesOf[T any](cmd *cobra.Command, names []string, limit int, parse func([]byte) (T, error)) (list []T, err error) {
	for _, name := range names {
		text, err := readBounded(cmd, name, limit)
		if err != nil {
			return nil, err
		}
		t, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, t)
	}
	return list, nil
}

func parseSchema(text []byte) (*credential.Schema, error) {
	var s credential.Schema
	if err := credential.ParseStrict(text, &s); err != nil {
		return nil, err
	}
	return &s, s.Validate()
}

func schemasOfFiles(list []*credential.Schema) policy.Schemas {
	return func(id credential.Element) (*credential.Schema, error) {
		have := ""
		for _, s := range list {
			got, err := s.ID()
			if err != nil {
				return nil, err
			}
			if got == id {
				return s, nil
			}
			have += " " + got.String()
		}
		return nil, fmt.Errorf("schema %s is in none of the files, which have%s", id, have)
	}
}

// previewWords are the headings of a preview, in one language.
var previewWords = map[string]struct{ at, shows, narrows, warnings, none string }{
	"en":    {"as of %s", "What a person reads:", "What the answer narrows down:", "To be sure of:", "Nothing here is flagged."},
	"zh-CN": {"截至 %s", "个人看到的内容：", "此应答将范围缩小为：", "请确认：", "没有需要注意的内容。"},
}

func printPreview(out io.Writer, p *policy.Preview) {
	w := previewWords[p.Language]
	fmt.Fprintf(out, "%s  %s (%s), "+w.at+"\n", p.Policy, p.Name, p.Verifier, p.At.Time().Format(time.DateTime+" UTC"))
	for _, line := range p.About {
		fmt.Fprintf(out, "  %s\n", line)
	}
	for _, q := range p.Queries {
		fmt.Fprintf(out, "\n%s (%s)\n  %s\n", q.Title, q.Query, w.shows)
		for _, line := range q.Facts {
			fmt.Fprintf(out, "    ✓ %s\n", line)
		}
		for _, line := range q.Shown {
			fmt.Fprintf(out, "    · %s\n", line)
		}
		fmt.Fprintf(out, "  %s\n", w.narrows)
		for _, n := range q.Narrows {
			fmt.Fprintf(out, "    - %s\n", n.Text)
		}
	}
	if len(p.Warnings) == 0 {
		fmt.Fprintf(out, "\n%s\n", w.none)
		return
	}
	fmt.Fprintf(out, "\n%s\n", w.warnings)
	for _, warning := range p.Warnings {
		about := ""
		if warning.Query != "" {
			about = warning.Query + ": "
		}
		sign := map[policy.Severity]string{policy.Notice: "!", policy.Strong: "!!"}[warning.Severity]
		fmt.Fprintf(out, "  %s %s%s [%s]\n", sign, about, warning.Text, warning.Code)
	}
}
