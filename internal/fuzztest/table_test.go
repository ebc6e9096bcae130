package fuzztest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// target is a fuzz target: its package's folder and its name.
type target struct{ dir, name string }

var (
	fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)
	// tableRow is `| parser | package | target | properties |`.
	tableRow = regexp.MustCompile("(?m)^\\| (.+) \\| `(\\S+)` \\| `(Fuzz\\w+)` \\| (.+) \\|$")
)

// inTree finds the fuzz functions of the tree, and the folders of their corpora.
func inTree(t *testing.T) (functions, corpora []target) {
	t.Helper()
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir := path.Dir(file)
		switch {
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case entry.IsDir() && path.Base(dir) == "fuzz" && path.Base(path.Dir(dir)) == "testdata":
			corpora = append(corpora, target{path.Dir(path.Dir(dir)), entry.Name()})
		case strings.HasSuffix(file, "_test.go"):
			source, err := fs.ReadFile(tree, file)
			if err != nil {
				return err
			}
			for _, match := range fuzzFunction.FindAllSubmatch(source, -1) {
				functions = append(functions, target{dir, string(match[1])})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return functions, corpora
}

// The table of doc/fuzzing.md has the targets of the tree, and each has a corpus.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(root + "/doc/fuzzing.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []target
	for _, row := range tableRow.FindAllSubmatch(text, -1) {
		listed = append(listed, target{string(row[2]), string(row[3])})
	}
	functions, corpora := inTree(t)
	if len(functions) < 80 {
		t.Fatalf("%d fuzz functions were found: the test would prove nothing", len(functions))
	}
	for _, f := range functions {
		if !slices.Contains(listed, f) {
			t.Errorf("%s of %s is not in the table", f.name, f.dir)
		}
		if !slices.Contains(corpora, f) {
			t.Errorf("%s of %s has no corpus in testdata/fuzz", f.name, f.dir)
		}
	}
	for i, l := range listed {
		if !slices.Contains(functions, l) || slices.Contains(listed[:i], l) {
			t.Errorf("%s of %s is in the table, and not in the tree or twice", l.name, l.dir)
		}
	}
	for _, c := range corpora {
		if !slices.Contains(functions, c) {
			t.Errorf("the corpus of %s in %s has no target", c.name, c.dir)
		}
	}
}

// Corpora stay small: they are read with every test.
func TestCorporaAreSmall(t *testing.T) {
	_, corpora := inTree(t)
	total := int64(0)
	for _, c := range corpora {
		files, err := os.ReadDir(filepath.Join(root, c.dir, "testdata/fuzz", c.name))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 || len(files) > 60 {
			t.Errorf("the corpus of %s in %s has %d files, want 1 to 60", c.name, c.dir, len(files))
		}
		for _, file := range files {
			info, err := file.Info()
			if err != nil {
				t.Fatal(err)
			}
			if total += info.Size(); info.Size() > 8<<10 {
				t.Errorf("%s/testdata/fuzz/%s/%s has %d bytes, at most 8 KiB", c.dir, c.name, file.Name(), info.Size())
			}
		}
	}
	if total > 2<<20 {
		t.Errorf("all corpora have %d bytes, at most 2 MiB", total)
	}
}

// What a refusal must not be, the helper finds.
func TestRefused(t *testing.T) {
	for _, text := range []string{"", " ", strings.Repeat("x", MaxError+1), "\xff", "a\x1b[2J"} {
		if s := new(spy); !s.refuses(text) {
			t.Errorf("%.20q passes", text)
		}
	}
	if s := new(spy); s.refuses("point 3: not on the curve\npoint 4: infinity") {
		t.Error("a good error does not pass")
	}
	if s := new(spy); !s.spends(1<<20, 1<<16) || s.spends(1<<10, 1<<16) {
		t.Error("memory is not counted")
	}
}

func TestLong(t *testing.T) {
	got := Long([]byte(`{"a":"b\"c","d":1}`))
	if len(got) != 3 || !strings.HasPrefix(string(got[1]), `{"a":"xxx`) || !strings.HasSuffix(string(got[1]), `x","d":1}`) {
		t.Errorf("%d copies: %.20s…", len(got), got)
	}
}

// spy takes the place of a test and sees it fail.
type spy struct {
	testing.TB
	failed bool
}

func (s *spy) Helper()               {}
func (s *spy) Errorf(string, ...any) { s.failed = true }

type text string

func (t text) Error() string { return string(t) }

func (s *spy) refuses(words string) bool {
	s.failed = false
	Refused(s, text(words))
	return s.failed
}

var sink []byte

func (s *spy) spends(bytes, limit int) bool {
	s.failed = false
	Bounded(s, limit, func() { sink = make([]byte, bytes) })
	return s.failed
}
