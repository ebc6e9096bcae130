package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Who checks offline has no code that calls anybody. jwx links net/http, to fetch key sets, which internal/jose never has
// it do; nothing else may, and no code of ours.
func TestOfflineCallsNobody(t *testing.T) {
	byJWX := []string{"github.com/lestrrat-go/httprc", "github.com/lestrrat-go/jwx/v2/jwk"}
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Standard", "./verifier/offline", "./verifier/counter")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
			Standard   bool
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(p.Imports, "net/http") && !p.Standard && !slices.Contains(byJWX, p.ImportPath) {
			t.Errorf("%s imports net/http", p.ImportPath)
		}
	}
	if packages < 50 {
		t.Fatalf("go list found only %d packages: the test would prove nothing", packages)
	}
}
