package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// publicPolicy is a policy as the chain has it, in words.
type publicPolicy struct {
	ID       string            `json:"id"`
	Verifier string            `json:"verifier"`
	Name     credential.Text   `json:"name"`
	Purpose  credential.Text   `json:"purpose"`
	Entry    uint64            `json:"entry"` // log index of the registration
	Digest   credential.Digest `json:"digest"`
	Text     []string          `json:"text"` // in the language asked for
	Policy   *policy.Policy    `json:"policy"`
	Sets     []publicSet       `json:"sets,omitempty"` // that it names, whole
}

// publicSet is a set as the chain has it.
type publicSet struct {
	Digest credential.Digest `json:"digest"`
	Set    *policy.Set       `json:"set"`
}

func verifierPoliciesCommand(f *verifierFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "policies",
		Short: "List what verifiers may ask, as registered on the chain",
		Long: `Reads from the chain every registered policy, of all verifiers or of one, and says in words what it asks for. Anyone can:
no token is needed. Lists that a policy names by digest are read, too: --json shows all their members.`,
		Example: `  bulla verifier policies
  bulla verifier policies --json | jq '.[].sets[].set.members'
  bulla verifier policies --verifier clinic --lang zh-CN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := wordsIn(f.language); err != nil {
				return err
			}
			if f.api.url != "" {
				return errors.New("policies are read from the chain: give its data folder with --data, not a verifier's --url")
			}
			policies, err := f.policies(cmd.Context())
			if err != nil {
				return err
			}
			return printed(cmd, policies, func(out io.Writer) { printPolicies(out, policies, f.language) })
		},
	}
}

// policies reads the registered policies, of one verifier if --verifier was given.
func (f *verifierFlags) policies(ctx context.Context) ([]publicPolicy, error) {
	only := ""
	if f.name != "" {
		did, err := f.did()
		if err != nil {
			return nil, err
		}
		only = did
	}
	chain, profile, view, err := f.chain(ctx, f.profilePath(""))
	if err != nil {
		return nil, err
	}
	log, err := client.NewLog(profile.Ledger, nil, nil, client.Limits{})
	if err != nil {
		return nil, err
	}
	list := []publicPolicy{}
	for _, registered := range view.Registry.Policies {
		if only != "" && registered.Verifier != only {
			continue
		}
		p, err := readPolicy(ctx, chain, log, view, registered, f.language)
		if err != nil {
			return nil, fmt.Errorf("policy %s of %s: %w", registered.ID, registered.Verifier, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// chain is the newest view of the chain that a profile is of.
func (f *verifierFlags) chain(ctx context.Context, path string) (*client.Client, client.Profile, *client.View, error) {
	profile, err := client.ReadProfile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, profile, nil, fmt.Errorf("there is no chain profile %s: give the folder of a dev network with --data (bulla serve --dev makes one)", path)
	}
	if err != nil {
		return nil, profile, nil, err
	}
	chain, err := client.New(profile.Config())
	if err != nil {
		return nil, profile, nil, err
	}
	view, err := chain.Update(ctx)
	if err != nil {
		return nil, profile, nil, advised(err)
	}
	return chain, profile, view, nil
}

// readPolicy reads a policy from the entry that registered it, and puts it into words.
func readPolicy(ctx context.Context, chain *client.Client, log *client.Log, view *client.View, r entry.RegisteredPolicy, language string) (publicPolicy, error) {
	raw, err := log.Entry(ctx, view.Checkpoint.Tree(), r.Entry)
	if err != nil {
		return publicPolicy{}, err
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return publicPolicy{}, err
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return publicPolicy{}, err
	}
	registration, ok := payload.(entry.PolicyRegistered)
	if !ok {
		return publicPolicy{}, fmt.Errorf("entry %d registers no policy", r.Entry)
	}
	p, err := policy.Parse(registration.Policy)
	if err != nil {
		return publicPolicy{}, err
	}
	if digest, err := p.Digest(); err != nil || digest != r.Digest {
		return publicPolicy{}, fmt.Errorf("entry %d has another policy than the registry says", r.Entry)
	}
	sets, err := readSets(ctx, chain, p)
	if err != nil {
		return publicPolicy{}, err
	}
	text, err := policyText(p, view.Registry, sets, language)
	return publicPolicy{p.ID, p.Verifier, p.Name, p.Purpose, r.Entry, r.Digest, text, p, sets}, err
}

// readSets reads the sets that a policy names, each once.
func readSets(ctx context.Context, chain *client.Client, p *policy.Policy) ([]publicSet, error) {
	var sets []publicSet
	for _, use := range p.SetUses() {
		if slices.ContainsFunc(sets, func(s publicSet) bool { return s.Digest == use.Digest }) {
			continue
		}
		set, err := chain.Set(ctx, use.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", use.Where, err)
		}
		sets = append(sets, publicSet{use.Digest, set})
	}
	return sets, nil
}

// policyText is what a policy asks for as of now, in words.
func policyText(p *policy.Policy, registry *entry.Registry, named []publicSet, language string) ([]string, error) {
	var sets []*policy.Set
	for _, s := range named {
		sets = append(sets, s.Set)
	}
	lines := p.Explain(language)
	schemas := func(id credential.Element) (*credential.Schema, error) {
		s, ok := registry.Schema(id)
		if !ok {
			return nil, fmt.Errorf("schema %s is not on the chain", id)
		}
		return &s.Schema, nil
	}
	statements, err := p.Resolve(time.Now(), schemas)
	if err != nil {
		return nil, err
	}
	for i := range statements {
		schema, err := schemas(statements[i].Schema)
		if err != nil {
			return nil, err
		}
		words, err := statements[i].Explain(policy.Context{Schema: schema, Sets: policy.SetsOf(sets...)}, issuerNames(registry, language), language)
		if err != nil {
			return nil, err
		}
		lines = append(lines, words.Facts...)
		lines = append(lines, words.Shown...)
	}
	return lines, nil
}

func issuerNames(registry *entry.Registry, language string) func(string) string {
	return func(did string) string {
		if issuer, ok := registry.Issuer(did); ok {
			return issuer.Name.In(language)
		}
		return did
	}
}

func printPolicies(out io.Writer, list []publicPolicy, language string) {
	for _, p := range list {
		fmt.Fprintf(out, "%s  %s (%s)\n", p.ID, p.Name.In(language), p.Verifier)
		for _, line := range p.Text {
			fmt.Fprintf(out, "    %s\n", line)
		}
		for _, s := range p.Sets {
			fmt.Fprintf(out, "    set %s  %s: %d members (--json lists them)\n", s.Digest, s.Set.Name().In(language), len(s.Set.Members()))
		}
	}
}
