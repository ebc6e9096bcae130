package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bulla-id/bulla/"

// forbidden lists what a package, or anything below it, must not import directly or through others.
var forbidden = []struct {
	from string // a package, or a folder if it ends in /
	to   []string
	why  string
}{
	{"credential/", []string{"circuits/", "ledger/", "issuer/", "wallet/", "verifier/", "internal/"}, "shared nouns import nothing of ours"},
	{"circuits/", []string{"ledger/", "issuer/", "wallet/", "verifier/", "internal/"}, "ledger and circuits meet only in credential"},
	{"ledger/", []string{"circuits/", "issuer/", "wallet/", "verifier/"}, "the ledger holds no statements and knows no roles"},
	{"issuer/", []string{"wallet/", "verifier/", "cmd/", "web/", "internal/demo/"}, "the roles do not import each other"},
	{"wallet/", []string{"issuer/", "verifier/", "cmd/", "web/", "internal/demo/"}, "the roles do not import each other"},
	{"verifier/", []string{"issuer/", "wallet/", "cmd/", "web/", "internal/demo/"}, "the roles do not import each other"},
	{"verifier/", []string{"circuits/proving/", "circuits/setup/", "circuits/compiling/"}, "a relying party links no prover"},
	{"verifier/offline/", []string{"ledger/client/", "ledger/store/", "ledger/cosign/", "ledger/mirror/", "verifier/store/", "internal/webapi/", "internal/egress/"}, "who checks offline links no service and nothing that fetches"},
	{"verifier/counter/", []string{"ledger/client/", "ledger/store/", "ledger/cosign/", "ledger/mirror/", "verifier/store/", "internal/webapi/", "internal/egress/"}, "a counter checks offline, too"},
	{"ledger/checkpoint/", []string{"ledger/client/", "ledger/store/"}, "what a checkpoint proves needs no host"},
	{"circuits/verifying/", []string{"circuits/proving/", "circuits/setup/", "circuits/compiling/"}, "a relying party links no prover"},
	{"internal/oauth/", []string{"ledger/", "circuits/", "issuer/", "wallet/", "verifier/", "web/"}, "who may call knows nothing of what is called"},
	{"internal/egress/", []string{"credential/", "ledger/", "circuits/", "issuer/", "wallet/", "verifier/", "web/"}, "whom we may call depends on nothing of ours"},
	{"internal/outbox/", []string{"ledger/", "circuits/", "issuer/", "wallet/", "verifier/", "web/"}, "webhooks know nothing of what they tell"},
	{"internal/officers/", []string{"ledger/", "circuits/", "issuer/", "wallet/", "verifier/", "web/"}, "who the officers are knows nothing of what they do"},
	{"internal/", []string{"cmd/"}, "arrows point down"},
	{"web/wasm/", []string{"issuer/", "verifier/", "cmd/", "internal/demo/", "internal/office/"}, "the wallet's page is the wallet and nothing else"},
	{"internal/sdjwt/", []string{"circuits/", "ledger/", "issuer/", "wallet/", "verifier/"}, "an ordinary credential needs no chain and knows no roles"},
	{"internal/statuslist/", []string{"circuits/", "ledger/", "issuer/", "wallet/", "verifier/"}, "an ordinary credential needs no chain and knows no roles"},
}

// external lists modules that must stay out of packages that compile to js/wasm or belong to the heart.
var external = []struct {
	from string
	to   []string
	why  string
}{
	{"credential/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin", "github.com/lestrrat-go/jwx", "github.com/consensys/gnark/"}, "the encodings depend on field arithmetic and canonical JSON only"},
	{"circuits/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"wallet/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"web/wasm/app/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"ledger/client/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"ledger/checkpoint/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"verifier/offline/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin", "github.com/consensys/gnark/frontend/cs/r1cs"}, "a library for other people's programs: no store, no server, no prover"},
	{"verifier/counter/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin", "github.com/consensys/gnark/frontend/cs/r1cs"}, "a counter checks offline, too"},
	{"ledger/entry/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"internal/openid/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"internal/oauth/dpop/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"internal/sdjwt/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"internal/statuslist/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "runs in the browser"},
	{"issuer/adapter/", []string{"github.com/cockroachdb/pebble", "github.com/gin-gonic/gin"}, "adapters turn records into claims and do nothing else"},
}

type pkg struct {
	ImportPath string
	Deps       []string
}

func TestImportsPointDown(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list found only %d packages: the test would prove nothing", len(packages))
	}
	for _, p := range packages {
		own := strings.TrimPrefix(p.ImportPath, module) + "/"
		for _, rule := range forbidden {
			if !strings.HasPrefix(own, rule.from) || testOnly(own) {
				continue
			}
			for _, dep := range p.Deps {
				name, ours := strings.CutPrefix(dep, module)
				if ours && slices.ContainsFunc(rule.to, func(to string) bool { return strings.HasPrefix(name+"/", to) }) {
					t.Errorf("%s reaches %s: %s", own, name, rule.why)
				}
			}
		}
		for _, rule := range external {
			if !strings.HasPrefix(own, rule.from) || testOnly(own) {
				continue
			}
			for _, dep := range p.Deps {
				if slices.ContainsFunc(rule.to, func(to string) bool { return strings.HasPrefix(dep+"/", to) }) {
					t.Errorf("%s reaches %s: %s", own, dep, rule.why)
				}
			}
		}
	}
}

// testOnly tells packages that only tests import: they may reach further.
func testOnly(own string) bool { return own == "ledger/ledgertest/" }

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Deps", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
