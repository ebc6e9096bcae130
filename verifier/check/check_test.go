package check

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/openid"
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
