package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is a tree head with the note that carries it.
type checkpoint struct {
	note []byte
	size uint64
	root tlog.Hash
}

// newCheckpoint signs a tree head with the log key.
func newCheckpoint(origin string, size uint64, root tlog.Hash, signer note.Signer) (checkpoint, error) {
	text := log.Checkpoint{Origin: origin, Size: size, Hash: root[:]}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	if err != nil {
		return checkpoint{}, fmt.Errorf("sign checkpoint of %d entries: %w", size, err)
	}
	return checkpoint{signed, size, root}, nil
}

// parseCheckpoint reads a note and checks the log's signature on it.
func parseCheckpoint(signed []byte, origin string, verifier note.Verifier) (checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	var c log.Checkpoint
	rest, err := c.Unmarshal([]byte(n.Text))
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	// x/mod reads signatures in base64 of two spellings; what we signed has one.
	for _, s := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return checkpoint{}, errors.New("checkpoint: a signature is not canonical base64")
		}
	}
	if len(rest) > 0 || c.Origin != origin || len(c.Hash) != tlog.HashSize {
		return checkpoint{}, errors.New("checkpoint is of another origin or form")
	}
	return checkpoint{signed, c.Size, tlog.Hash(c.Hash)}, nil
}
