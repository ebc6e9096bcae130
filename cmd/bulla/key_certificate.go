package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/office"
)

func keyCertificateCommand() *cobra.Command {
	var dir, out string
	cfg := office.CertificateConfig{}
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Make a certificate of a relying party's signing key, or a request for one",
		Long: `For a relying party whose requests name it by a certificate (client_id_scheme x509_hash). Wallets of this chain want of it
only that its key is registered and that it is in time, so one by the key itself will do. With --request it makes a
PKCS #10 request instead, for an authority that other software trusts.`,
		Example: `  bulla key certificate --dir city --host city.example --days 365 --out city.pem
  bulla key certificate --dir city --host city.example --request --out city.csr`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := absent(out); err != nil {
				return err
			}
			if cfg.Passphrase, err = passphrase(cmd); err != nil {
				return err
			}
			cfg.Dir, cfg.Now = dir, time.Now()
			text, err := office.MakeCertificate(cfg)
			if err != nil {
				return err
			}
			if err := keystore.WriteFile(out, text); err != nil {
				return err
			}
			return printed(cmd, map[string]string{"file": out}, func(w io.Writer) { fmt.Fprintf(w, "written to %s\n", out) })
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the relying party's folder")
	cmd.Flags().StringVar(&out, "out", "", "file for it, PEM")
	cmd.Flags().StringArrayVar(&cfg.Hosts, "host", nil, "host name that it is reached at; may be repeated")
	cmd.Flags().IntVar(&cfg.Days, "days", 365, "how long it lasts")
	cmd.Flags().BoolVar(&cfg.Request, "request", false, "make a request for an authority instead")
	return required(cmd, "dir", "out")
}
