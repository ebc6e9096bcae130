package turns

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake counts up, so that every result tells when it was taken.
type fake struct {
	name  string
	order *[]string
}

func (f fake) Turn(context.Context) (int, error) {
	*f.order = append(*f.order, f.name)
	return len(*f.order), nil
}
func (fake) Close() {}

func TestTurns(t *testing.T) {
	var order []string
	one := func(name string) *Line[int] {
		return &Line[int]{Name: name, Start: func(context.Context) (Contestant[int], error) { return fake{name, &order}, nil }}
	}
	missing := &Line[int]{Name: "c", Start: func(context.Context) (Contestant[int], error) { return nil, errors.New("nowhere") }}
	lines := Start(t.Context(), []*Line[int]{one("a"), missing, one("b")})
	if len(lines) != 2 {
		t.Fatalf("%d started, want 2", len(lines))
	}
	if err := Take(t.Context(), lines, 2, 0); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "ababab" {
		t.Errorf("order %s", got)
	}
	if l := lines[0]; !slices.Equal(l.Turns, []int{3, 5}) {
		t.Errorf("the first round counts, or another does not: %+v", l.Turns)
	}
}

// A peer that breaks off, or speaks something else, is an error and no figure.
func TestPeerRefused(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	ready := `echo '{"ready":true}'; read line; `
	for name, c := range map[string]struct{ script, want string }{
		"never ready":  {"true", "unexpected EOF"},
		"speaks first": {`echo '{"ms":1}'`, "something else first"},
		"no JSON":      {ready + "echo fast", "line \"fast\""},
		"ends":         {ready, "unexpected EOF"},
		"answers":      {ready + `echo "{\"said\":\"$line\"}"`, ""},
	} {
		var answer struct{ Said string }
		p, err := StartPeer(t.Context(), ".", "sh", "-c", c.script)
		if err == nil {
			err = p.Ask("turn", &answer)
			p.Close()
		}
		if c.want == "" && (err != nil || answer.Said != "turn") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
}

// A program is built once, in the folder for it, and what the compiler says is in the error.
func TestBuild(t *testing.T) {
	folder, dir := filepath.Join(t.TempDir(), "peer"), t.TempDir()
	write := func(name, text string) {
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module peer.example\n")
	write("main.go", "package main\n\nfunc main() { nothing() }\n")
	if _, err := Build(t.Context(), folder, dir); err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("built what is no program: %v", err)
	}
	write("main.go", "package main\n\nfunc main() { println(`{\"ready\":true}`) }\n")
	for range 2 {
		program, err := Build(t.Context(), folder, dir)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program).CombinedOutput(); err != nil || !strings.Contains(string(out), "ready") {
			t.Errorf("it says %s: %v", out, err)
		}
		write("main.go", "broken")
	}
}
