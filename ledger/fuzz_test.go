package ledger

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// constant makes keys from a seed.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

const fuzzOrigin = "ledger.example/fuzz"

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// logKeys are those of a log, the same in every run.
func logKeys(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	secret, public, err := note.GenerateKey(constant(7), fuzzOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return must(note.NewSigner(secret))(t), must(note.NewVerifier(public))(t)
}

// A path names one tile, and a tile has one path.
func FuzzTilePath(f *testing.F) {
	for _, path := range []string{
		"/0/000", "/entries/000.p/7", "/1/x001/234.p/255", "/0/000.p/0", "/0/000.p/256", "/data/000", "//000", "/8/0/000.p/7",
		"/63/000.p/1", "/0/x999/x999/x999/x999/x999/x999/999", "/0/000/", "/-1/000", "/+1/000", "/00/000",
	} {
		f.Add(path, uint64(1000))
	}
	f.Fuzz(func(t *testing.T, path string, size uint64) {
		tile, ok := parseTilePath(path)
		if !ok {
			return
		}
		level, rest, _ := strings.Cut(strings.TrimPrefix(tile.Path(), "tile/8/"), "/")
		if level == "data" {
			level = "entries"
		}
		if want := level + "/" + rest; strings.TrimPrefix(path, "/") != want {
			t.Errorf("%q is a second path of the tile at %s", path, want)
		}
		size %= math.MaxInt64
		if covered(tile, size) {
			end := (uint64(tile.N)*256 + uint64(tile.W)) << (8 * max(tile.L, 0))
			if end > size || tile.W < 1 || tile.W > 256 {
				t.Errorf("a log of %d entries has all of tile %s, which ends at %d", size, path, end)
			}
		}
	})
}

// oneRow is a store in which every key has the same value.
type oneRow []byte

func (r oneRow) Get([]byte) ([]byte, error) { return bytes.Clone(r), nil }

// What a store gives back as a row is damaged, or is written as the same bytes.
func FuzzRows(f *testing.F) {
	f.Add(pair{pairName{credential.ElementFromUint64(5), "did:web:land.example"}, 3, 4}.row())
	f.Add(leaf{credential.ElementFromUint64(6), 1, statusSuspended}.row())
	f.Add(Result{FirstLeaf: 7, Leaves: 8}.row())
	f.Add(u64(9))
	f.Add(bytes.Repeat([]byte{0xff}, credential.ElementSize+5))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, row []byte) {
		if p, err := parsePair(row); err != nil {
			fuzztest.Refused(t, err)
		} else if !bytes.Equal(p.row(), row) {
			t.Errorf("%x is read as the pair %+v", row, p)
		}
		if l, err := readLeaf(oneRow(row), 1); err != nil {
			fuzztest.Refused(t, err)
		} else if !bytes.Equal(l.row(), row) {
			t.Errorf("%x is read as the leaf %+v", row, l)
		}
		if n, err := parseU64("n", row); err != nil {
			fuzztest.Refused(t, err)
		} else if !bytes.Equal(binary.BigEndian.AppendUint64(nil, n), row) {
			t.Errorf("%x is read as %d", row, n)
		}
		if r, err := readResult(oneRow(row), 1); err != nil {
			fuzztest.Refused(t, err)
		} else if !bytes.Equal(r.row(), row) {
			t.Errorf("%x is read as the result %+v", row, r)
		}
	})
}

// The register's checkpoint is one that the log's key signed, or refused.
func FuzzCheckpoint(f *testing.F) {
	signer, verifier := logKeys(f)
	root := tlog.RecordHash([]byte("entry"))
	good := must(newCheckpoint(fuzzOrigin, 5, root, signer))(f)
	f.Add(good.note)
	for _, text := range []string{"\n5\nAAAA\n", "\n05\n" + root.String() + "\n", "\n5\n" + root.String() + "\nmore\n", "\n-1\n" + root.String() + "\n"} {
		f.Add(must(note.Sign(&note.Note{Text: fuzzOrigin + text}, signer))(f))
	}
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, err := parseCheckpoint(signed, fuzzOrigin, verifier)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if c.size != 5 || c.root != root {
			t.Errorf("a checkpoint is read that was never signed: %q", signed)
		}
	})
}

// What a cosigner answers is its signature of the checkpoint and ends up in the published note, or is refused.
func FuzzCosignature(f *testing.F) {
	signer, verifier := logKeys(f)
	secret, plain, err := note.GenerateKey(constant(8), "cosigner.example")
	if err != nil {
		f.Fatal(err)
	}
	key := must(fnote.VKeyToCosignatureV1(plain))(f)
	c := must(newCosigners([]TrustedCosigner{{Key: key}}, 1, verifier))(f)
	good := must(newCheckpoint(fuzzOrigin, 5, tlog.RecordHash([]byte("entry")), signer))(f)
	cosigned := must(note.Sign(&note.Note{Text: strings.SplitAfter(string(good.note), "\n\n")[0][:bytes.Index(good.note, []byte("\n\n"))+1]},
		must(fnote.NewSignerForCosignatureV1(secret))(f)))(f)
	_, line, _ := strings.Cut(string(cosigned), "\n\n")
	f.Add([]byte(line))
	f.Add([]byte(line + line))
	f.Add([]byte("— cosigner.example AAAA\n"))
	f.Add([]byte("\n\n" + line))
	f.Add(bytes.Repeat([]byte("— x AAAAAAAA\n"), 200))
	f.Fuzz(func(t *testing.T, lines []byte) {
		if err := c.verify(0, good.note, lines); err != nil {
			fuzztest.Refused(t, err)
			return
		}
		merged, err := c.merge(good.note, [][]byte{lines})
		if err != nil {
			t.Fatalf("%q is verified, but: %v", lines, err)
		}
		n, err := note.Open(merged, note.VerifierList(verifier, c.verifiers[0]))
		if err != nil || len(n.Sigs) != 2 || len(n.UnverifiedSigs) != 0 || !bytes.HasPrefix(merged, good.note) {
			t.Errorf("%q is published as %q, %v", lines, merged, err)
		}
	})
}
