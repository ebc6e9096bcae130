package office

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// A configuration is read strictly, and refused in words that can be logged; none that is read lacks the place of its
// keys.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		`{"listen":{"address":"127.0.0.1:8080"},"secrets":"secrets","store":"store","register":"other/register","cosigners":[],"threshold":0}`,
		`{"listen":{"address":"127.0.0.1:8081"},"secrets":"secrets","store":"store","register":"other/register","chain":"chain.json"}`,
		`{"listen":{"address":"127.0.0.1:8082"},"secrets":"secrets","store":"store","last_checkpoint":"last","chain":"chain.json","did":"did:web:agency.example","name":{"en":"Agency"},"url":"https://agency.example","schemas":["schema.json"],"verifying_key":"key"}`,
		`{"listen":{"address":"127.0.0.1:8083"},"secrets":"secrets","store":"store","last_checkpoint":"last","chain":"chain.json","did":"did:web:bank.example","url":"https://bank.example","policies":["policy.json"],"verifying_keys":["key"]}`,
		`{"secrets":"","store":"/","register":"/"}`,
		`{"Secrets":"secrets"}`,
		`{"keep_days":-1}`,
	} {
		f.Add([]byte(text))
		for _, long := range fuzztest.Long([]byte(text)) {
			f.Add(long)
		}
	}
	file := filepath.Join(f.TempDir(), "config.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		ledger, err1 := ReadLedgerConfig(file)
		cosigner, err2 := ReadCosignerConfig(file)
		issuer, err3 := ReadIssuerConfig(file)
		verifier, err4 := ReadVerifierConfig(file)
		for _, read := range []struct {
			secrets string
			err     error
		}{{ledger.Secrets, err1}, {cosigner.Secrets, err2}, {issuer.Secrets, err3}, {verifier.Secrets, err4}} {
			if errors.Is(read.err, os.ErrNotExist) {
				continue
			}
			if read.err != nil {
				fuzztest.Refused(t, read.err)
			} else if !filepath.IsAbs(read.secrets) {
				t.Errorf("%s is read, with keys at %q", text, read.secrets)
			}
		}
	})
}
