package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
)

type request struct {
	Old        uint64   `json:"old"`
	Proof      [][]byte `json:"proof"`
	Checkpoint []byte   `json:"checkpoint"`
}

// answer is what the client made of the cosigner's answer.
type answer struct {
	Outcome string `json:"outcome"` // of the table, or an error
	Size    uint64 `json:"size"`    // with "stale"
	Time    int64  `json:"time"`    // of a cosignature that verifies
}

// outcomes are the words for the client's errors.
var outcomes = map[error]string{
	witness.ErrCheckpointStale:  "stale",
	witness.ErrRootMismatch:     "root-mismatch",
	witness.ErrUnknownLog:       "unknown-log",
	witness.ErrNoValidSignature: "signature",
	witness.ErrOldSizeInvalid:   "old-size",
	witness.ErrInvalidProof:     "proof",
	witness.ErrPushback:         "pushback",
}

// submit asks a cosigner for each request that stands in a line of the input.
func submit(at, logKey, key string) error {
	to, err := url.Parse(at)
	if err != nil {
		return err
	}
	logVerifier, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	cosigner, err := cosignature.NewVerifierForCosignatureV1(key)
	if err != nil {
		return err
	}
	asker := client.NewWitness(to, http.DefaultClient)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var r request
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		lines, size, err := asker.Update(context.Background(), r.Old, r.Checkpoint, r.Proof)
		a := answer{Size: size}
		switch {
		case err == nil:
			a.Outcome = "cosigned"
			if a.Time, err = verify(append(bytes.Clone(r.Checkpoint), lines...), logVerifier, cosigner); err != nil {
				a.Outcome = err.Error()
			}
		case outcomes[err] != "":
			a.Outcome = outcomes[err]
		default:
			a.Outcome = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// verify reads a cosigned checkpoint and returns the cosignature's time.
func verify(text []byte, logKey, cosigner note.Verifier) (int64, error) {
	_, _, n, err := log.ParseCheckpoint(text, logKey.Name(), logKey, cosigner)
	if err != nil {
		return 0, err
	}
	for _, s := range n.Sigs {
		if s.Name == cosigner.Name() && s.Hash == cosigner.KeyHash() {
			at, err := cosignature.CoSigV1Timestamp(s)
			return at.Unix(), err
		}
	}
	return 0, fmt.Errorf("no cosignature of %s", cosigner.Name())
}
