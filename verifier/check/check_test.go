package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Every code has a text in both languages; the English one can stand in error_description.
func TestEveryCodeHasItsTexts(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		text := Code(code).Text()
		if text.English == "" || text.Chinese == "" {
			t.Errorf("%s lacks a text", code)
		}
		if strings.ContainsFunc(text.English, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			t.Errorf("%s: %q is not what error_description may hold", code, text.English)
		}
		return true
	})
	if found != len(texts) {
		t.Errorf("%d codes, %d texts", found, len(texts))
	}
}

// A relying party links no prover, and who only checks links no service either.
func TestImports(t *testing.T) {
	const module = "github.com/bulla-id/bulla/"
	prover := []string{module + "circuits/proving", module + "circuits/setup", module + "circuits/compiling", module + "circuits/circuitstest",
		module + "wallet", module + "issuer", "github.com/consensys/gnark/test", "github.com/consensys/gnark/frontend/cs/r1cs"}
	service := append([]string{"github.com/gin-gonic/gin", "github.com/cockroachdb/pebble", module + "internal/webapi", module + "ledger/client", module + "ledger/store"}, prover...)
	for pkg, forbidden := range map[string][]string{".": service, "..": prover, "../store": prover} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			for _, f := range forbidden {
				if dep == f || strings.HasPrefix(dep, f+"/") {
					t.Errorf("verifier/check %s reaches %s", pkg, dep)
				}
			}
		}
	}
}

// Whatever parses is what we would write, but for white space and the order of members.
func FuzzParseToken(f *testing.F) {
	good, err := json.Marshal(openid.VPToken{"residence": {{
		System: "zk", Proof: openid.EncodeBytes(make([]byte, openid.ProofSize)), N: credential.Random31(), Disclosed: credential.Claims{"commune": "91216", "open": true},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte(`"disclosed"`), []byte(`"Disclosed"`), 1))
	f.Add([]byte(`{"a":[]}`))
	f.Add([]byte(`{"a":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := parseToken(text)
		if err != nil {
			if _, ok := err.(*Refusal); !ok {
				t.Fatalf("refused with %T: %v", err, err)
			}
			fuzztest.Refused(t, err)
			return
		}
		ours, err := credential.Canonical(parsed)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := credential.CanonicalJSON(text)
		if err != nil || !bytes.Equal(ours, sent) {
			t.Fatalf("%q reads as %q", text, ours)
		}
	})
}

// A result lists the issuers of a set only where they are few.
func TestResultsOfSets(t *testing.T) {
	for _, n := range []int{1, 100, 101, 2978} {
		var dids []string
		for i := range n {
			dids = append(dids, fmt.Sprintf("did:web:%04d.example", i))
		}
		set, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.IssuerSet, Name: credential.Text{English: "Registries"}, Members: dids})
		if err != nil {
			t.Fatal(err)
		}
		schema := &credential.Schema{Type: "urn:x", EnrolmentRegister: "x", Claims: []credential.ClaimType{{Name: "a", Type: credential.String}}}
		id, err := schema.ID()
		if err != nil {
			t.Fatal(err)
		}
		f := Fact{
			Statement: &policy.Statement{Version: 1, Verifier: "did:web:bank.example", Query: "q", FreshnessSeconds: 1, Schema: id, IssuerSet: set.Digest(), Clauses: []policy.Clause{}},
			Schema:    schema, Sets: policy.SetsOf(set), Issuers: dids, Seal: Sealed{Registry: new(entry.Registry)},
		}
		got, err := f.describe(ChainTerms{})
		if err != nil {
			t.Fatal(err)
		}
		if got.IssuerCount != n || got.IssuerSet != set.Digest() || (len(got.Issuers) == n) != (n <= 100) || n > 100 && got.Issuers != nil {
			t.Errorf("%d issuers: %d, %s, %d listed", n, got.IssuerCount, got.IssuerSet, len(got.Issuers))
		}
		if text, err := json.Marshal(got); err != nil || len(text) > 16<<10 {
			t.Errorf("%d issuers take %d bytes, %v", n, len(text), err)
		}
		f.Sets = nil
		if _, err := f.describe(ChainTerms{}); err == nil {
			t.Error("described without the set")
		}
	}
}
