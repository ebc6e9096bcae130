package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
)

// fuzzLogKey is the verifier key of a log, the same in every run.
func fuzzLogKey(t testing.TB) string {
	t.Helper()
	_, key, err := note.GenerateKey(bytes.NewReader(make([]byte, 64)), "ledger.example")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A receipt is of the form that it may have, or tampered with.
func FuzzParseReceipt(f *testing.F) {
	good, err := json.Marshal(entry.Receipt{
		Index: 3, Digest: credential.DigestOf(nil), FirstLeaf: 4, Leaves: 2, Level: entry.LevelSealed, Checkpoint: "ledger.example\n4\nAAAA\n\n— x AAAA\n", Proof: [][]byte{make([]byte, 32)},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte("sealed"), []byte("accepted"), 1))
	f.Add(bytes.Replace(good, []byte(`"leaves":2`), []byte(`"leaves":-2`), 1))
	f.Add(bytes.Replace(good, []byte(`"proof":["`), []byte(`"proof":["AA==","`), 1))
	f.Add(bytes.Replace(good, []byte(`"index":3`), []byte(`"index":3e0`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReceipt(data)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrTampered) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseReceipt(written)
		if err != nil {
			t.Fatalf("%s is written %s, which is refused: %v", data, written, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(second, written) {
			t.Errorf("%s is written %s and then %s, %v", data, written, second, err)
		}
	})
}

// What a client remembers of its chain is canonical and of that chain, or refused.
func FuzzLoadState(f *testing.F) {
	genesis := credential.DigestOf([]byte("genesis"))
	good, err := credential.Canonical(memoryState{Genesis: genesis, Checkpoint: "ledger.example\n4\nAAAA\n\n— x AAAA\n"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(append(bytes.Clone(good), '\n'))
	f.Add(bytes.Replace(good, []byte(genesis.String()), []byte(credential.DigestOf(nil).String()), 1))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := loadState(&Forgetful{state: data}, genesis)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		memory := new(Forgetful)
		if err := s.save(memory); err != nil || data != nil && !bytes.Equal(memory.state, data) {
			t.Errorf("%s is saved as %s, %v", data, memory.state, err)
		}
	})
}

// A profile is read strictly; its policy has keys that are keys, each cosigner once.
func FuzzProfile(f *testing.F) {
	logKey := fuzzLogKey(f)
	for _, profile := range []Profile{
		{Ledger: "https://ledger.example", Policy: Policy{LogKey: logKey}},
		{Policy: Policy{LogKey: "ledger.example+" + strings.Repeat("x", fuzztest.MaxError)}},
		{Policy: Policy{LogKey: logKey, Cosigners: []string{strings.Repeat("x", fuzztest.MaxError)}, Threshold: 1}},
		{Policy: Policy{LogKey: logKey, Cosigners: []string{"a", "a"}, Threshold: 2}},
		{Policy: Policy{Threshold: -1}},
	} {
		text, err := json.Marshal(profile)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(strings.Repeat(" ", checkpoint.MaxProfile) + "{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		profile, err := checkpoint.ParseProfile(bytes.NewReader(data))
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		p, err := profile.Policy.Parse()
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		names := map[string]bool{p.Log.Name(): true}
		for _, c := range p.Cosigners {
			if names[c.Name()] {
				t.Errorf("%s names %s twice", data, c.Name())
			}
			names[c.Name()] = true
		}
		if p.Threshold > len(p.Cosigners) {
			t.Errorf("%s demands %d of %d", data, p.Threshold, len(p.Cosigners))
		}
	})
}

// served is a host that answers every question with the same bytes.
type served struct {
	status int
	body   []byte
}

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body)), Request: r}, nil
}

// Documents that a digest names are read as they are written, or refused; and no answer of a host, whatever its status,
// makes the client fail in another way than by an error.
func FuzzDocuments(f *testing.F) {
	genesis, logKey := credential.DigestOf([]byte("genesis")), fuzzLogKey(f)
	registry, err := credential.Canonical(entry.Registry{
		Genesis: genesis, Issuers: []entry.RegisteredIssuer{{DID: "did:web:land.example"}}, Schemas: []entry.RegisteredSchema{}, Verifiers: []entry.RegisteredVerifier{},
		Policies: []entry.RegisteredPolicy{}, Scopes: []entry.RegisteredScope{}, VerifyingKeys: []entry.VerifyingKey{},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(200, registry)
	for _, long := range fuzztest.Long([]byte(`{"status":404,"code":"c","title":"t","detail":"d"}`)) {
		f.Add(404, long)
		f.Add(200, long)
	}
	f.Add(200, []byte(`{"counts":[{"schema":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","issuer":"i","live":1}]}`))
	f.Add(404, []byte(`{"status":200,"code":"not-found","title":"x"}`))
	f.Add(500, []byte("\xff\x00<html>"))
	f.Add(302, []byte{})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return // net/http gives out no others
		}
		c, err := New(Config{
			URL: "https://ledger.example", Genesis: genesis, HTTPClient: &http.Client{Transport: served{status, body}},
			Policy: Policy{LogKey: logKey},
		})
		if err != nil {
			t.Fatal(err)
		}
		seal := entry.Seal{Registry: credential.DigestOf(body), Census: credential.DigestOf(body)}
		registry, err1 := c.RegistryAt(context.Background(), seal)
		census, err2 := c.CensusAt(context.Background(), seal)
		for _, got := range []struct {
			document any
			err      error
		}{{registry, err1}, {census, err2}} {
			if got.err != nil {
				fuzztest.Refused(t, got.err)
				continue
			}
			if text, err := credential.Canonical(got.document); err != nil || !bytes.Equal(text, body) || status != 200 {
				t.Errorf("%d %s is read as %s, %v", status, body, text, err)
			}
		}
		if _, err := c.NextSequence(context.Background(), "operator"); err != nil {
			fuzztest.Refused(t, err)
		}
	})
}

// However a body is encoded, no more of it is read than its limit allows.
func FuzzBody(f *testing.F) {
	zip := func(data []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err := z.Write(data); err != nil {
			f.Fatal(err)
		}
		if err := z.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	const limit = 4096
	f.Add("", []byte("body"))
	f.Add("gzip", zip([]byte("body")))
	f.Add("gzip", zip(make([]byte, 3<<20)))
	f.Add("gzip", zip([]byte("body"))[:12])
	f.Add("gzip", append(zip([]byte("one")), zip([]byte("two"))...))
	f.Add("br", []byte("body"))
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		response := &http.Response{Header: http.Header{"Content-Encoding": {encoding}}, Body: io.NopCloser(bytes.NewReader(body))}
		var data []byte
		var err error
		fuzztest.Bounded(t, 256<<10, func() { data, err = readBody(response, limit) })
		if err != nil {
			fuzztest.Refused(t, err)
		} else if len(data) > limit || encoding != "gzip" && !bytes.Equal(data, body) {
			t.Errorf("%d bytes of %d", len(data), len(body))
		}
	})
}

// The entry that a host calls the newest is that of the tree, or tampered with.
func FuzzNewestSeal(f *testing.F) {
	first, second := tlog.RecordHash([]byte("first")), tlog.RecordHash([]byte("second"))
	tree := tlog.Tree{N: 2, Hash: tlog.NodeHash(first, second)}
	good, err := credential.Canonical(entry.Proven{Entry: "second", Index: 1, Proof: []credential.Digest{credential.Digest(first)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add(bytes.Replace(good, []byte(`"index":1`), []byte(`"index":0`), 1))
	f.Add(bytes.Replace(good, []byte("second"), []byte("first"), 1))
	f.Add([]byte(`{"entry":"second","index":1,"proof":[]}`))
	genesis, logKey := credential.DigestOf([]byte("genesis")), fuzzLogKey(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := New(Config{
			URL: "https://ledger.example", Genesis: genesis, HTTPClient: &http.Client{Transport: served{200, body}}, Policy: Policy{LogKey: logKey},
		})
		if err != nil {
			t.Fatal(err)
		}
		newest, err := c.lastEntry(context.Background(), tree)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrTampered) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if string(newest) != "second" {
			t.Errorf("%s proves %q", body, newest)
		}
	})
}
