package office

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
	for added, want := range map[string]string{
		`"webhook_networks":["10.0.0.1/8"]`: "webhook_networks and webhook_ports: allowed range",
		`"webhook_ports":[0]`:               "webhook_networks and webhook_ports: port 0",
		`"webhook_ports":[65536]`:           "webhook_ports",
		`"webhook_retry_hours":-1`:          "webhook_retry_hours is -1: want 1 to 720",
		`"webhook_retry_hours":721`:         "webhook_retry_hours is 721",
	} {
		write(agency + `,` + added + `}`)
		_, err := ReadIssuerConfig(path)
		refused(t, err, want)
	}
	write(agency + `,"webhook_networks":["10.8.0.0/16"],"webhook_ports":[8443],"webhook_retry_hours":240}`)
	if c, err := ReadIssuerConfig(path); err != nil || c.egress().ValidateURL("https://10.8.1.1:8443/") != nil || c.egress().ValidateURL("https://10.8.1.1:8444/") == nil {
		t.Errorf("%+v, %v", c.egress(), err)
	}
	write(agency + `}`)
	if c, err := ReadIssuerConfig(path); err != nil || c.WalletRate != defaultWalletRate {
		t.Errorf("%+v, %v", c.WalletRate, err)
	}
	write(role + `}`)
	_, err = ReadIssuerConfig(path)
	refused(t, err, "verifying_key is missing")
	_, err = ReadVerifierConfig(path)
	refused(t, err, "policies is missing or empty")
	const party = role + `,"policies":["p"],"verifying_keys":["k"]`
	for more, words := range map[string]string{
		`}`: "", `,"client_id_scheme":"did:jwk"}`: "", `,"client_id_scheme":"x509_hash","certificates":"c.pem","return_uris":["https://a/"],"plain_responses":true}`: "",
		`,"client_id_scheme":"redirect_uri"}`: "choose one of", `,"client_id_scheme":"x509_hash"}`: "go together", `,"certificates":"c.pem"}`: "go together",
	} {
		write(party + more)
		if c, err := ReadVerifierConfig(path); words != "" {
			refused(t, err, words)
		} else if err != nil || c.Certificates != "" && !filepath.IsAbs(c.Certificates) {
			t.Errorf("%s: %+v, %v", more, c, err)
		}
	}
	write(party + `,"wallet_rate":{"per_second":0,"burst":5},"responses":-1}`)
	_, err = ReadVerifierConfig(path)
	refused(t, err, "wallet_rate: a rate of 0 a second and 5 at once")
	refused(t, err, "responses is -1")
	write(party + `,"webhook_networks":["10.0.0.1/8"],"webhook_retry_hours":721}`)
	_, err = ReadVerifierConfig(path)
	refused(t, err, "webhook_networks and webhook_ports: allowed range")
	write(party + `,"webhook_retry_hours":721}`)
	_, err = ReadVerifierConfig(path)
	refused(t, err, "webhook_retry_hours is 721")
	write(party + `,"webhook_networks":["10.8.0.0/16"],"webhook_ports":[8443],"webhook_retry_hours":24}`)
	if c, err := ReadVerifierConfig(path); err != nil || c.egress().ValidateURL("https://10.8.1.1:8443/") != nil || c.egress().ValidateURL("https://10.8.1.1:8444/") == nil {
		t.Errorf("%+v, %v", c.egress(), err)
	}
	write(party + `}`)
	if c, err := ReadVerifierConfig(path); err != nil || c.WalletRate != defaultWalletRate {
		t.Errorf("%+v, %v", c.WalletRate, err)
	}
	_, err = ReadCosignerConfig(path)
	refused(t, err, "unknown member")
}

// The page names every member that the file of an agency or relying party can have, and no other.
func TestPageOfMembers(t *testing.T) {
	text, err := os.ReadFile("../../doc/spec/offices.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(text), "### `issuer.json`")
	if !ok {
		t.Fatal("the page has no table of issuer.json")
	}
	agency, listen, ok := strings.Cut(tables, "Members of `listen`")
	if !ok {
		t.Fatal("the page has no table of listen")
	}
	_, party, ok := strings.Cut(listen, "### `verifier.json`")
	if !ok {
		t.Fatal("the page has no table of verifier.json")
	}
	party, wallet, ok := strings.Cut(party, "### `wallet.json`")
	if !ok {
		t.Fatal("the page has no table of wallet.json")
	}
	listen, _, _ = strings.Cut(listen, "### ")
	for page, of := range map[string]reflect.Type{
		agency: reflect.TypeFor[IssuerConfig](), listen: reflect.TypeFor[Listen](), party: reflect.TypeFor[VerifierConfig](), wallet: reflect.TypeFor[WalletConfig](),
	} {
		var want, got []string
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		for line := range strings.Lines(page) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 || !strings.HasPrefix(cells[1], " `") {
				continue
			}
			for _, part := range strings.Split(cells[1], "`")[1:] {
				if name := strings.Trim(part, " ,*"); name != "" && name != "init" {
					got = append(got, name)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: the page has %q, the code %q", of.Name(), got, want)
		}
	}
	for _, of := range []reflect.Type{reflect.TypeFor[ClientConfig](), reflect.TypeFor[ProviderConfig]()} {
		for i := range of.NumField() {
			if name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); !strings.Contains(agency, "`"+name+"`") {
				t.Errorf("%s: the page lacks %s", of.Name(), name)
			}
		}
	}
}

// The table of alarms names every alarm that the code has, and every figure.
func TestPageOfAlarms(t *testing.T) {
	page, err := os.ReadFile("../../doc/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?:warning|problem|expiry)\("([a-z-]+)"|"(bulla_[a-z_]+)"`)
	count := 0
	for _, file := range []string{"alarms.go", "alarms_roles.go", "office.go", "agency.go", "ledger.go", "webhooks.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(code), -1) {
			count++
			if m[1] != "" && !strings.Contains(string(page), "`"+m[1]+"`") || m[2] != "" && !strings.Contains(string(page), "`"+m[2]) {
				t.Errorf("%s: the page lacks %s%s", file, m[1], m[2])
			}
		}
	}
	if count < 25 {
		t.Errorf("only %d names were found: the test proves nothing", count)
	}
}

// Whom a verifier may ask about companions is its operator's to say.
func TestCompanionsConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verifier.json")
	const party = `{"listen":{"address":"localhost:1"},"secrets":"a","store":"b","last_checkpoint":"c","chain":"d","did":"did:web:a","url":"http://localhost:1","policies":["p"],"verifying_keys":["k"]`
	for more, words := range map[string]string{
		`}`: "", `,"companions":{}}`: "", `,"companions":{"networks":["10.8.0.0/16"],"ports":[8443]}}`: "",
		`,"companions":{"networks":["10.8.0.1/16"]}}`: "companions: allowed range", `,"companions":{"ports":[0]}}`: "companions: port 0", `,"companions":{"http":true}}`: "http",
	} {
		if err := os.WriteFile(path, []byte(party+more), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := ReadVerifierConfig(path)
		if words != "" {
			refused(t, err, words)
			continue
		}
		if err != nil || (c.Companions == nil) != (more == `}`) {
			t.Fatalf("%s: %+v, %v", more, c.Companions, err)
		}
		if reader, err := c.Companions.open(time.Now); err != nil || (reader == nil) != (c.Companions == nil) {
			t.Errorf("%s: %v, %v", more, reader, err)
		}
	}
}

// A verifier leads people to a wallet that has an origin of its own, and to no other.
func TestWalletOfVerifier(t *testing.T) {
	for wallet, words := range map[string]string{
		"": "", "https://wallet.example": "", "https://wallet.example/": "", "http://localhost:2": "",
		"http://wallet.example": "without https", "https://verify.example": "needs one of its own", "https://verify.example/wallet": "root of an origin", "https://wallet.example/?a=b": "root of an origin",
		"https://wallet.example/#a": "root of an origin", "https://me@wallet.example": "root of an origin", "javascript:alert(1)": "root of an origin", "//wallet.example": "root of an origin",
	} {
		err := (&VerifierConfig{URL: "https://verify.example/bulla", Wallet: wallet}).validateWallet()
		if words == "" && err != nil {
			t.Errorf("%q: %v", wallet, err)
		}
		if words != "" {
			refused(t, err, words)
		}
	}
}
