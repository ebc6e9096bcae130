package client_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

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
