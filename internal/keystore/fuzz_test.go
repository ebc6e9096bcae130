package keystore

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"filippo.io/age"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// A key store of these tests: its identity, that identity encrypted to the passphrase "x", and "a secret" in it.
const (
	fixedIdentity = "AGE-SECRET-KEY-1JCPZ6LWFD9NT6FUYNP48XZ67PG0G4LQW5R6M4J3RKNWK08WWZKJQUTYP4L"
	fixedSealed   = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBUUFh1MS93c0s1SGM3MFpEb0ROUHdnIDEKSnN6dThmcWJOL0dYQXhlVklhSEZvWktoZ0dHRlQrb0dEK3lBVUdRVXNTRQotLS0gMFdONGlqOXBhbmRERlhGNjZ4TjEyRjliWVgxYTZWOXUvbHg4eDQyVlgzYwqtzOk/LjR7sdTHOpfbYmTmB6E8Gk5rBssEMao3fPl0LC9dX5L6tf0lhhRlSpSDaQf8LkMuxish6A1Ep1UZP5+wQtZwPaOS+A1Jxa0d8nSCuE3KonZc1SFckjzIsyhFKVAuuiDs5B83C3tt"
	fixedSecret   = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBSVHlEcHFmQkFONlJBN3JXZHBHK29PQUVHNmoxeWp1QXlLY1F6TVZXd0RjClp5eUhmMllnSStyLzZxL0VocUhzbUJzRGk5QlB5M1BTS3c5T3NkRS80SWMKLS0tIHRlNTVpL2xXZ014RWRQM0U1OXZVdzl4V1Qxc000M25lQkc5OEo1QVdjQUUK155BUkx808JXAuoYFhewgnvNwndB1dMsbcgqPhHelKw1RSxK1vdWJw=="
)

func decoded(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// workFactor is scrypt's cost in an age file.
var workFactor = regexp.MustCompile(`-> scrypt \S+ (\d+)`)

// costly tells whether a file asks for more of scrypt's work than a test should do, and no more than we would refuse.
func costly(data []byte) bool {
	for _, m := range workFactor.FindAllSubmatch(data, -1) {
		if n, err := strconv.Atoi(string(m[1])); err == nil && n > 8 && n <= maxWorkFactor {
			return true
		}
	}
	return false
}

// Whatever stands in the identity file: it opens as what was written, or not at all, and costs no more than we allow.
func FuzzOpen(f *testing.F) {
	sealed := decoded(f, fixedSealed)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add(bytes.Replace(sealed, []byte(" 1\n"), []byte(" 21\n"), 1))
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 99\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--- AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if costly(data) {
			return
		}
		s := &Store{dir: "folder"}
		if err := s.open(data, "x"); err != nil {
			fuzztest.Refused(t, err)
		} else if s.identity.String() != fixedIdentity {
			t.Error("an identity opens that was never written")
		}
	})
}

// Whatever stands in the file of a secret: it is that secret, or refused.
func FuzzSecret(f *testing.F) {
	identity, err := age.ParseX25519Identity(fixedIdentity)
	if err != nil {
		f.Fatal(err)
	}
	s := &Store{dir: f.TempDir(), identity: identity}
	sealed := decoded(f, fixedSecret)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)/2])
	f.Add([]byte{})
	f.Add(append(bytes.Clone(sealed), 0))
	f.Add(bytes.Repeat([]byte{0}, maxSealed+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(s.dir, "key.age"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get("key"); err != nil {
			fuzztest.Refused(t, err)
		} else if string(got) != "a secret" {
			t.Errorf("%x is read as the secret %q", data, got)
		}
	})
}
