package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/office"
)

func issuerInitCommand() *cobra.Command {
	var a office.NewAgency
	var algorithm string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the folder of an agency of a production chain",
		Long: `Makes what bulla serve --role issuer needs in one folder: the key store with the agency's keys, copies of schemas, chain profile and
verifying key, and issuer.json, in which paths are relative to it (doc/spec/offices.md says what else it can have). Then it says what governance
registers, and what comes next. The passphrase of the key store is in ` + passphraseVariable + `, or asked for twice.

Everything given is checked before anything is made, nothing is overwritten, and what was interrupted goes on when the same command is run again.`,
		Example: `  bulla issuer init --dir land --did did:web:land.example --name "Land registry" --url https://land.example --schema parcel.json \
    --chain chain.json --verifying-key ceremony/enrolment-1.verifying
  bulla issuer init --dir land --did did:web:land.example --name "Land registry" --url https://land.example --schema parcel.json \
    --chain chain.json --verifying-key ceremony/enrolment-1.verifying --listen 0.0.0.0:443 --certificate /etc/tls/land.pem --key /etc/tls/land.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := absent(filepath.Join(a.Dir, office.ConfigFile)); err != nil {
				return err
			}
			ask := newPassphrase
			if office.HasKeys(a.Dir) {
				ask = passphrase
			}
			if a.Passphrase, err = ask(cmd); err != nil {
				return err
			}
			a.Algorithm = jose.Algorithm(algorithm)
			made, err := office.MakeAgency(a)
			if err != nil {
				return err
			}
			return printAgency(cmd, a, made)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.Dir, "dir", "", "the agency's folder")
	flags.StringVar(&a.DID, "did", "", "the agency's DID")
	flags.StringVar(&a.Name.English, "name", "", "its name, for people")
	flags.StringVar(&a.Name.Chinese, "name-zh", "", "its name in Chinese")
	flags.StringVar(&a.URL, "url", "", "where wallets reach it, for good")
	flags.StringArrayVar(&a.Schemas, "schema", nil, "a schema that it issues, a JSON file; once for each")
	flags.BoolVar(&a.Companions, "companions", false, "credentials of all its schemas can have companions, ordinary dc+sd-jwt for other wallets")
	flags.StringVar(&a.Chain, "chain", "chain.json", "profile of the chain")
	flags.StringVar(&a.VerifyingKey, "verifying-key", "", "verifying key of the enrolment circuit, a file of the ceremony")
	flags.StringVar(&a.Listen.Address, "listen", "127.0.0.1:8080", "address that the service listens at: on loopback behind a proxy that ends TLS, or any with a certificate")
	flags.StringVar(&a.Listen.Certificate, "certificate", "", "TLS certificate with its chain, a PEM file")
	flags.StringVar(&a.Listen.Key, "key", "", "the certificate's key, a PEM file")
	flags.StringVar(&a.Listen.Metrics, "metrics", "", "another address, on loopback or private, that answers Prometheus")
	flags.StringVar(&algorithm, "algorithm", "", "of the key that signs entries: EdDSA or ES256 (default EdDSA)")
	flags.IntVar(&a.WorkFactor, "work-factor", 0, "base-2 logarithm of the cost of trying a passphrase (default 18, about a second)")
	cmd.MarkFlagsRequiredTogether("certificate", "key")
	return required(cmd, "dir", "did", "name", "url", "schema", "verifying-key")
}

// madeAgency is what init prints.
type madeAgency struct {
	Config           string              `json:"config"`
	DID              string              `json:"did"`
	Name             credential.Text     `json:"name"`
	URL              string              `json:"url"`
	Chain            credential.Digest   `json:"chain"`
	Public           shownKey            `json:"public"`
	Schemas          []office.MadeSchema `json:"schemas"`
	SubjectRegisters []string            `json:"subject_registers"`
	Governance       []string            `json:"governance"` // commands that make its proposals
	Next             []string            `json:"next"`       // commands of the agency, once these are on the chain
}

func printAgency(cmd *cobra.Command, a office.NewAgency, made office.MadeAgency) error {
	fingerprint, err := made.Public.Fingerprint()
	if err != nil {
		return err
	}
	file := filepath.Join(a.Dir, office.PublicFile)
	shown := madeAgency{
		Config: made.Config, DID: a.DID, Name: a.Name, URL: a.URL, Chain: made.Genesis, Public: shownKey{made.Public, fingerprint, file},
		Schemas: made.Schemas, SubjectRegisters: append([]string{}, made.SubjectRegisters...), Governance: governanceSteps(a, made, file),
		Next: []string{
			shellLine("bulla", "serve", "--role", "issuer", "--config", made.Config),
			shellLine("bulla", "key", "token", "--role", "issuer", "--config", made.Config, "--client", "clerk-1", "--lifetime", "8h"),
		},
	}
	return printed(cmd, shown, func(out io.Writer) { shown.print(out) })
}

// governanceSteps are the proposals that members sign.
func governanceSteps(a office.NewAgency, made office.MadeAgency, public string) []string {
	register := []string{"bulla", "ledger", "govern", "propose", "issuer-registered", "--public", public, "--name", a.Name.English}
	if a.Name.Chinese != "" {
		register = append(register, "--name-zh", a.Name.Chinese)
	}
	steps := []string{shellLine(append(register, "--url", a.URL, "--out", "issuer.json")...)}
	for _, s := range made.Schemas {
		steps = append(steps, shellLine("bulla", "ledger", "govern", "propose", "schema-published", "--schema", s.File, "--issuer", a.DID,
			"--out", "schema-"+filepath.Base(s.File)))
	}
	return steps
}

func (m madeAgency) print(out io.Writer) {
	fmt.Fprintf(out, "%s is made, with keys and schemas beside it.\n", m.Config)
	fmt.Fprintf(out, "  agency       %s\n  url          %s\n  chain        %s\n  key          %s (%s)\n  fingerprint  %s\n",
		m.DID, m.URL, m.Chain, m.Public.Key.KeyID(), m.Public.Key.Algorithm(), m.Public.Fingerprint)
	for _, s := range m.Schemas {
		fmt.Fprintf(out, "  schema       %s (id %s)\n", s.Type, s.ID)
	}
	for _, r := range m.SubjectRegisters {
		fmt.Fprintf(out, "  register     %s has a new key; an agency that shares it with others needs theirs\n", r)
	}
	fmt.Fprintf(out, "\nHand %s and the schemas to governance, and let it compare the fingerprint by another way. It proposes, signs and submits:\n", m.Public.File)
	for _, step := range m.Governance {
		fmt.Fprintf(out, "  %s\n", step)
	}
	fmt.Fprintf(out, "A schema that other agencies issue as well takes --issuer once for each of them.\n\nThen the agency serves, and is ready when /readyz says so:\n")
	for _, step := range m.Next {
		fmt.Fprintf(out, "  %s\n", step)
	}
	fmt.Fprintf(out, "Keep a copy of %s and its passphrase apart (doc/operations.md, section 11).\n", filepath.Join(filepath.Dir(m.Config), office.SecretsFolder))
}

// shellLine is a command as a shell reads it.
func shellLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if w == "" || strings.ContainsFunc(w, unquotable) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// unquotable tells characters that a shell may take for something else.
func unquotable(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:=@%+,", r)
}
