package office

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigurationErrorsNameTheMember(t *testing.T) {
	const good = `{"listen":{"address":"127.0.0.1:1"},"secrets":"secrets","store":"store","register":"../r/last","cosigners":[{"public":"p","url":"https://c.example"}],"threshold":1}`
	read := func(change ...string) error {
		path := filepath.Join(t.TempDir(), "ledger.json")
		if err := os.WriteFile(path, []byte(strings.NewReplacer(change...).Replace(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadLedgerConfig(path)
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, old, new string }{
		{"colour", `"threshold"`, `"colour":1,"threshold"`},
		{"Secrets", `"secrets"`, `"Secrets"`},
		{"secrets is missing", `"secrets":"secrets"`, `"secrets":""`},
		{"store is missing", `"store":"store",`, ``},
		{"register lies in the folder of store", `../r/last`, `store/last`},
		{"register lies in the folder of store", `../r/last`, `store`},
		{"threshold is 0 of 1", `"threshold":1`, `"threshold":0`},
		{"threshold is 2 of 1", `"threshold":1`, `"threshold":2`},
		{"cosigners[0].public is missing", `"public":"p"`, `"public":""`},
		{"cosigners[0].url", `https://c.example`, `c.example`},
		{"listen.address is missing", `127.0.0.1:1`, ``},
		{"listen.address", `127.0.0.1:1`, `nowhere`},
		{"is not on loopback", `127.0.0.1:1`, `0.0.0.0:1`},
		{"is not on loopback", `127.0.0.1:1`, `:1`},
		{"listen.trusted_proxies", `"address"`, `"trusted_proxies":["10.1.2.3"],"address"`},
		{"everybody", `"address"`, `"trusted_proxies":["::1/128","0.0.0.0/0"],"address"`},
		{"listen.metrics", `"address"`, `"metrics":"9100","address"`},
		{"neither on loopback nor at a private address", `"address"`, `"metrics":":9100","address"`},
		{"neither on loopback nor at a private address", `"address"`, `"metrics":"203.0.113.1:9100","address"`},
		{"keep_days is -1", `"threshold":1`, `"threshold":1,"keep_days":-1`},
		{"scrub.every_hours is -1: want 1 to 8784", `"threshold":1`, `"threshold":1,"scrub":{"every_hours":-1}`},
		{"scrub.every_hours is 8785", `"threshold":1`, `"threshold":1,"scrub":{"every_hours":8785}`},
		{"scrub.kibibytes_per_second is -5", `"threshold":1`, `"threshold":1,"scrub":{"kibibytes_per_second":-5}`},
		{"scrub.kibibytes_per_second is 1048577", `"threshold":1`, `"threshold":1,"scrub":{"kibibytes_per_second":1048577}`},
		{"unknown member", `"threshold":1`, `"threshold":1,"scrub":{"never":true}`},
		{"go together", `"address"`, `"certificate":"c","address"`},
	} {
		refused(t, read(c.old, c.new), c.want)
	}
	if err := read(`"address":"127.0.0.1:1"`, `"address":"0.0.0.0:1","plain_http":true`); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "x.json")
	const role = `{"listen":{"address":"localhost:1"},"secrets":"a","store":"b","last_checkpoint":"c","chain":"d","did":"did:web:a","url":"http://localhost:1"`
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const agency = role + `,"verifying_key":"k","schemas":["s"],"name":{"en":"A"}`
	write(agency + `,"wallet_rate":{"per_second":5,"burst":0}}`)
	_, err := ReadIssuerConfig(path)
	refused(t, err, "wallet_rate: a rate of 5 a second and 0 at once")
	write(agency + `}`)
	if c, err := ReadIssuerConfig(path); err != nil || c.WalletRate != defaultWalletRate {
		t.Errorf("%+v, %v", c.WalletRate, err)
	}
	write(role + `}`)
	_, err = ReadIssuerConfig(path)
	refused(t, err, "verifying_key is missing")
	_, err = ReadVerifierConfig(path)
	refused(t, err, "policies is missing or empty")
	const party = role + `,"policies":["p"],"verifying_keys":["v"]`
	write(party + `,"wallet_rate":{"per_second":0,"burst":5},"responses":-1}`)
	_, err = ReadVerifierConfig(path)
	refused(t, err, "wallet_rate: a rate of 0 a second and 5 at once")
	refused(t, err, "responses is -1")
	write(party + `}`)
	if c, err := ReadVerifierConfig(path); err != nil || c.WalletRate != defaultWalletRate {
		t.Errorf("%+v, %v", c.WalletRate, err)
	}
	_, err = ReadCosignerConfig(path)
	refused(t, err, "unknown member")
}
