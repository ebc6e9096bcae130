package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger/entry"
)

func proposeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "propose",
		Short: "Draft an entry of governance as a file",
		Long: `One command for each kind of entry that governance signs (doc/spec/ledger.md). Keys come from the public parts that offices
hand over; make sure by another way that they are theirs.`,
		Example: `  bulla ledger govern propose issuer-registered --chain chain.json --public land/public.json --name "Land registry" --url https://land.example --out issuer.json`,
	}
	cmd.AddCommand(proposeGenesisCommand(), proposeIssuerCommand(), proposeRotationCommand(), proposeSuspensionCommand(), proposeReinstatementCommand(),
		proposeSchemaCommand(), proposeVerifierCommand(), proposeScopeCommand(), proposeKeyCommand())
	return cmd
}

// party is what governance registers of an agency or relying party.
type party struct {
	public []string
	name   credential.Text
}

func (p *party) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.public, "public", nil, "its public part; several for several keys")
	cmd.Flags().StringVar(&p.name.English, "name", "", "its name, for people")
	cmd.Flags().StringVar(&p.name.Chinese, "name-zh", "", "its name in Chinese")
	required(cmd, "public", "name")
}

// keysOf reads the public parts of one party: its DID and all its keys.
func keysOf(paths []string, role office.Role) (did string, keys []jose.PublicKey, err error) {
	for _, path := range paths {
		p, err := office.ReadPublic(path, role)
		if err != nil {
			return "", nil, err
		}
		if did != "" && p.Name != did {
			return "", nil, fmt.Errorf("%s is of %s, the one before of %s: one proposal is for one party", path, p.Name, did)
		}
		did, keys = p.Name, append(keys, *p.Key)
	}
	return did, keys, nil
}

// defaultQuota is how many credentials an agency may issue if nobody says.
const defaultQuota = 1_000_000

func proposeIssuerCommand() *cobra.Command {
	var p party
	var url string
	var quota uint64
	return proposal(entry.KindIssuerRegistered, "Admit an agency",
		`  bulla ledger govern propose issuer-registered --public land/public.json --name "Land registry" --url https://land.example --quota 500000 --out issuer.json`,
		func(registered) (entry.Payload, error) {
			did, keys, err := keysOf(p.public, office.Issuer)
			return entry.IssuerRegistered{DID: did, Name: p.name, Keys: keys, Quota: quota, URL: url}, err
		},
		func(cmd *cobra.Command) {
			p.register(cmd)
			cmd.Flags().StringVar(&url, "url", "", "where wallets reach it, for good")
			cmd.Flags().Uint64Var(&quota, "quota", defaultQuota, "how many credentials it may issue in all")
			required(cmd, "url")
		})
}

func proposeRotationCommand() *cobra.Command {
	var did string
	var public []string
	var quota int64
	return proposal(entry.KindIssuerRotated, "Change an agency's keys or its quota",
		`  bulla ledger govern propose issuer-rotated --did did:web:land.example --public land/public.json --public land-next.json --out rotate.json
  bulla ledger govern propose issuer-rotated --did did:web:land.example --quota 2000000 --out quota.json`,
		func(r registered) (entry.Payload, error) {
			now, ok := r.view.Registry.Issuer(did)
			if !ok {
				return nil, fmt.Errorf("issuer %s is not on the chain", did)
			}
			next := entry.IssuerRotated{DID: did, Keys: now.Keys, Quota: now.Quota}
			if quota >= 0 {
				next.Quota = uint64(quota)
			}
			if len(public) > 0 {
				of, keys, err := keysOf(public, office.Issuer)
				if err != nil {
					return nil, err
				}
				if of != did {
					return nil, fmt.Errorf("the keys are of %s, not of %s", of, did)
				}
				next.Keys = keys
			}
			if next.Quota == now.Quota && slices.Equal(next.Keys, now.Keys) {
				return nil, errors.New("nothing would change: give other keys with --public, or another --quota")
			}
			return next, nil
		},
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&did, "did", "", "the agency's DID")
			cmd.Flags().StringArrayVar(&public, "public", nil, "public part of a key that it has from then on; several for several keys (default: its present ones)")
			cmd.Flags().Int64Var(&quota, "quota", -1, "how many credentials it may issue in all (default: as before)")
			required(cmd, "did")
		})
}

func proposeSuspensionCommand() *cobra.Command {
	var did, reason string
	return proposal(entry.KindIssuerSuspended, "Suspend an agency with all its credentials",
		`  bulla ledger govern propose issuer-suspended --did did:web:land.example --reason "key stolen" --out suspend.json`,
		func(registered) (entry.Payload, error) { return entry.IssuerSuspended{DID: did, Reason: reason}, nil },
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&did, "did", "", "the agency's DID")
			cmd.Flags().StringVar(&reason, "reason", "", "why, in public")
			required(cmd, "did", "reason")
		})
}

func proposeReinstatementCommand() *cobra.Command {
	var did string
	return proposal(entry.KindIssuerReinstated, "Take an agency's suspension back",
		`  bulla ledger govern propose issuer-reinstated --did did:web:land.example --out reinstate.json`,
		func(registered) (entry.Payload, error) { return entry.IssuerReinstated{DID: did}, nil },
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&did, "did", "", "the agency's DID")
			required(cmd, "did")
		})
}

func proposeSchemaCommand() *cobra.Command {
	var file string
	var issuers []string
	return proposal(entry.KindSchemaPublished, "Publish a schema, or change who may issue it",
		`  bulla ledger govern propose schema-published --schema permit.json --issuer did:web:land.example --out schema.json`,
		func(registered) (entry.Payload, error) {
			s, err := office.ReadSchema(file)
			if err != nil {
				return nil, err
			}
			slices.Sort(issuers)
			return entry.SchemaPublished{Schema: *s, Issuers: issuers}, nil
		},
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&file, "schema", "", "the schema, a JSON file")
			cmd.Flags().StringArrayVar(&issuers, "issuer", nil, "DID of an agency that may issue it; once for each, all of them")
			required(cmd, "schema", "issuer")
		})
}

func proposeVerifierCommand() *cobra.Command {
	var p party
	var uris []string
	return proposal(entry.KindVerifierRegistered, "Admit a relying party, or change its keys and addresses",
		`  bulla ledger govern propose verifier-registered --public city/public.json --name "City services" --response-uri https://city.example/ --out verifier.json`,
		func(registered) (entry.Payload, error) {
			did, keys, err := keysOf(p.public, office.Verifier)
			return entry.VerifierRegistered{DID: did, Name: p.name, Keys: keys, ResponseURIs: uris}, err
		},
		func(cmd *cobra.Command) {
			p.register(cmd)
			cmd.Flags().StringArrayVar(&uris, "response-uri", nil, "URL prefix, ending in /, below which wallets answer it; may be repeated")
			required(cmd, "response-uri")
		})
}

func proposeScopeCommand() *cobra.Command {
	var scope entry.ScopeRegistered
	return proposal(entry.KindScopeRegistered, "Create a scope that several relying parties share",
		`  bulla ledger govern propose scope-registered --service heating-aid --verifier did:web:city.example --verifier did:web:county.example \
    --consumer did:web:county.example --out scope.json`,
		func(registered) (entry.Payload, error) {
			slices.Sort(scope.Verifiers)
			return scope, nil
		},
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&scope.Service, "service", "", "what the pseudonyms are for, a plain name")
			cmd.Flags().StringArrayVar(&scope.Verifiers, "verifier", nil, "DID of a relying party that may ask under it; once for each")
			cmd.Flags().StringVar(&scope.Consumer, "consumer", "", "DID of the one that keeps the tags")
			required(cmd, "service", "verifier", "consumer")
		})
}

func proposeKeyCommand() *cobra.Command {
	var ceremony, circuit, digest, lastDay string
	var cmd *cobra.Command
	cmd = proposal(entry.KindVerifyingKeyListed, "Accept a verifying key of another ceremony, or give one that is listed another end",
		`  bulla ledger govern propose verifying-key-listed --ceremony ceremony-2027 --circuit presentation-1 --last-day 2029-12-31 --out key.json
  bulla ledger govern propose verifying-key-listed --digest 3q2-7w… --last-day 2027-06-30 --out end.json`,
		func(r registered) (entry.Payload, error) {
			end, err := parseEnd(lastDay)
			if err != nil {
				return nil, err
			}
			listed := r.view.Registry.VerifyingKeys
			if ceremony == "" {
				i := slices.IndexFunc(listed, func(k entry.VerifyingKey) bool { return k.KeyDigest.String() == digest })
				if i < 0 {
					return nil, fmt.Errorf("verifying key %s is not on the chain", digest)
				}
				key := listed[i]
				key.NotAfter = credential.UnixTimeOf(end)
				return entry.VerifyingKeyListed{Key: key}, nil
			}
			keys, err := ceremonyKeys(cmd, ceremony, end)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(keys, func(k entry.VerifyingKey) bool { return k.Circuit == circuit })
			if i < 0 {
				return nil, fmt.Errorf("the ceremony in %s has no keys of %q", ceremony, circuit)
			}
			return entry.VerifyingKeyListed{Key: keys[i]}, nil
		},
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&ceremony, "ceremony", "", "folder of the finished ceremony, which is recomputed first")
			cmd.Flags().StringVar(&circuit, "circuit", "", "which of its keys")
			cmd.Flags().StringVar(&digest, "digest", "", "digest of a key that is listed")
			cmd.Flags().StringVar(&lastDay, "last-day", "", "last day of the key, as in 2027-12-31")
			cmd.MarkFlagsRequiredTogether("ceremony", "circuit")
			cmd.MarkFlagsMutuallyExclusive("ceremony", "digest")
			cmd.MarkFlagsOneRequired("ceremony", "digest")
			required(cmd, "last-day")
		})
	return cmd
}
