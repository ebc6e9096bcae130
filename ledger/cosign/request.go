package cosign

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger/client"
)

// MaxRequest bounds the body of an add-checkpoint request, in bytes.
const MaxRequest = client.MaxCheckpoint + maxProof*45 + 32

// maxProof is how many hashes a consistency proof may have (C2SP tlog-witness).
const maxProof = 63

// Request is the body of an add-checkpoint request.
type Request struct {
	Old        uint64 // size of the last tree that the asker thinks was cosigned
	Proof      tlog.TreeProof
	Checkpoint []byte // signed note
}

// ParseRequest reads the body: "old N", the hashes of the consistency proof in base64, a line each, an empty line, and
// the checkpoint.
func ParseRequest(body []byte) (Request, error) {
	var r Request
	if len(body) > MaxRequest {
		return r, fmt.Errorf("%d bytes, at most %d: %w", len(body), MaxRequest, ErrRequest)
	}
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	if !found {
		return r, fmt.Errorf("no empty line before the checkpoint: %w", ErrRequest)
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseUint(size, 10, 63)
	if !ok || err != nil || strconv.FormatUint(old, 10) != size {
		return r, fmt.Errorf("the first line is not \"old\" and a size: %w", ErrRequest)
	}
	if len(lines)-1 > maxProof {
		return r, fmt.Errorf("proof of %d hashes, at most %d: %w", len(lines)-1, maxProof, ErrRequest)
	}
	for i, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize || base64.StdEncoding.EncodeToString(hash) != line {
			return r, fmt.Errorf("hash %d of the proof is not 32 bytes in base64: %w", i, ErrRequest)
		}
		r.Proof = append(r.Proof, tlog.Hash(hash))
	}
	r.Old, r.Checkpoint = old, checkpoint
	return r, nil
}
