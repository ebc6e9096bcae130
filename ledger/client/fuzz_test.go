package client_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// missing answers 404 for paths that contain a text.
func missing(h http.Handler, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, text) {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0}, 2)
	f.Add([]byte{0xff, 0xff, 1}, 1)
	f.Add([]byte{}, 0)
	f.Add([]byte{}, -1)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		entries, err := client.ParseBundle(data, width)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(binary.BigEndian.AppendUint16(again, uint16(len(e))), e...)
		}
		if len(entries) != width || !bytes.Equal(again, data) {
			t.Errorf("%d entries do not give the bundle again", len(entries))
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	h := ledgertest.NewHost(f, nil)
	h.Seal(ledgertest.Start + 10)
	logKey := ledgertest.Must(note.NewVerifier(h.Founding.LogKey))(f)
	f.Add(h.Checkpoint)
	for _, text := range []string{
		ledgertest.Origin + "\n04\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		ledgertest.Origin + "\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		ledgertest.Origin + "\n4\nAAAA\n",
		ledgertest.Origin + "\n4\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmore\n",
		ledgertest.Origin + "\n9007199254740992\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"other\n4\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	} {
		// Signed by the log, so that only the form can be wrong.
		signed := ledgertest.Must(note.Sign(&note.Note{Text: text}, h.LogSigner))(f)
		if _, err := client.ParseCheckpoint(signed, logKey); err == nil {
			f.Errorf("accepted %q", text)
		}
		f.Add(signed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := client.ParseCheckpoint(data, logKey)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if c.Size != 4 || c.Origin != ledgertest.Origin {
			t.Errorf("accepted a checkpoint that was never signed: %q", data)
		}
	})
}

// Evidence convinces only of what the log's key signed: two checkpoints that both verify and cannot both be.
func FuzzCheckEvidence(f *testing.F) {
	h := ledgertest.NewHost(f, nil)
	h.Seal(ledgertest.Start + 10)
	key := ledgertest.Must(note.NewVerifier(h.Founding.LogKey))(f)
	other := ledgertest.Must(note.Sign(&note.Note{Text: ledgertest.Origin + "\n4\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}, h.LogSigner))(f)
	fork := client.Evidence{Version: 1, LogKey: h.Founding.LogKey, Older: string(h.Checkpoint), Newer: string(other), Proof: []credential.Digest{}}
	data := ledgertest.Must(fork.Bytes())(f)
	if _, err := client.CheckEvidence(data, h.Founding.LogKey); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, change := range []func(*client.Evidence){
		func(e *client.Evidence) { e.Newer = e.Older },
		func(e *client.Evidence) { e.Version = 2 },
		func(e *client.Evidence) { e.Proof = append(e.Proof, credential.Digest{1}) },
		func(e *client.Evidence) { e.LogKey = strings.Repeat("k", 5000) },
	} {
		changed := fork
		change(&changed)
		f.Add(ledgertest.Must(changed.Bytes())(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fork, err := client.CheckEvidence(data, h.Founding.LogKey)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for _, c := range fork {
			if again, err := client.ParseCheckpoint(c.Text, key); err != nil || again.Root != c.Root || again.Size != c.Size {
				t.Errorf("convinced by a checkpoint that is none: %q, %v", c.Text, err)
			}
		}
		if fork[0].Size == fork[1].Size && fork[0].Root == fork[1].Root {
			t.Errorf("convinced that a tree differs from itself: %q", data)
		}
	})
}

// An accusation is about an entry only if the log signed it.
func FuzzCheckBroken(f *testing.F) {
	h := ledgertest.NewHost(f, nil)
	h.Seal(ledgertest.Start + 10)
	raw := []byte("an entry")
	leaf := tlog.RecordHash(raw) // the root of a log that has this entry only
	text := fmt.Sprintf("%s\n1\n%s\n", ledgertest.Origin, base64.StdEncoding.EncodeToString(leaf[:]))
	signed := ledgertest.Must(note.Sign(&note.Note{Text: text}, h.LogSigner))(f)
	accusation := client.Broken{Version: 1, LogKey: h.Founding.LogKey, Checkpoint: string(signed), Entry: raw, Proof: []credential.Digest{}, Reason: "it is none"}
	data := ledgertest.Must(accusation.Bytes())(f)
	if _, err := client.CheckBroken(data, h.Founding.LogKey); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, change := range []func(*client.Broken){
		func(b *client.Broken) { b.Entry = []byte("another") },
		func(b *client.Broken) { b.Index = 1 },
		func(b *client.Broken) { b.Index = 1<<53 - 1 },
		func(b *client.Broken) { b.Proof = append(b.Proof, credential.Digest{1}) },
		func(b *client.Broken) { b.LogKey = strings.Repeat("k", 5000) },
	} {
		changed := accusation
		change(&changed)
		f.Add(ledgertest.Must(changed.Bytes())(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := client.CheckBroken(data, h.Founding.LogKey)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if b.Index != 0 || string(b.Entry) != string(raw) {
			t.Errorf("entry %d, %q, was never signed", b.Index, b.Entry)
		}
	})
}
