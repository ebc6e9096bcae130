package testvectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/testvectors"
)

// foreign is what the libraries of others made, with an algorithm each.
type foreign struct {
	testvectors.SDJWTFile
	Lists []testvectors.StatusListVector `json:"lists"`
}

func readForeign(t *testing.T) []foreign {
	t.Helper()
	text, err := os.ReadFile("sd-jwt-foreign.json")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	var out []foreign
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || out[0].IssuerKey.Algorithm() == out[1].IssuerKey.Algorithm() {
		t.Fatal("both algorithms should be there")
	}
	return out
}

// Credentials by @sd-jwt/sd-jwt-vc say to us what they say to their maker.
func TestForeignCredentials(t *testing.T) {
	for _, file := range readForeign(t) {
		alg := file.IssuerKey.Algorithm()
		if len(file.Credentials) < 5 {
			t.Fatalf("%s: %d credentials", alg, len(file.Credentials))
		}
		for _, v := range file.Credentials {
			got, err := v.Verify(file.Issuer, file.IssuerKey)
			if v.Expect != "" {
				if !errors.Is(err, sdjwt.ErrBinding) {
					t.Errorf("%s, %s: %v", alg, v.Name, err)
				}
				continue
			}
			if err != nil || !reflect.DeepEqual(got.Claims, v.Claims) || !reflect.DeepEqual(got.Status, v.Status) {
				t.Errorf("%s, %s: %v, %v", alg, v.Name, got, err)
			}
			if _, err := v.Verify(file.Issuer, otherKey(t, alg)); err == nil {
				t.Errorf("%s, %s: accepted under a stranger's key", alg, v.Name)
			}
		}
	}
}

func otherKey(t *testing.T, alg jose.Algorithm) jose.PublicKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

// Lists by @owf/token-status-list say at every index what their maker put there.
func TestForeignLists(t *testing.T) {
	for _, file := range readForeign(t) {
		if len(file.Lists) != 4 {
			t.Fatalf("%d lists", len(file.Lists))
		}
		for _, v := range file.Lists {
			got, err := v.Verify(file.IssuerKey)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			if got.List.Bits() != v.Bits || got.List.Capacity() != v.Capacity {
				t.Errorf("%s: %d statuses of %d bits", v.Name, got.List.Capacity(), got.List.Bits())
			}
			for index := range uint64(v.Capacity) {
				want := v.Statuses[strconv.FormatUint(index, 10)] // Valid where nothing is named
				if status, err := got.List.At(index); err != nil || status != want {
					t.Errorf("%s, index %d: %s, %v, want %s", v.Name, index, status, err, want)
				}
			}
			if _, err := got.List.At(uint64(v.Capacity)); !errors.Is(err, statuslist.ErrIndex) {
				t.Errorf("%s: an index outside: %v", v.Name, err)
			}
		}
	}
}
