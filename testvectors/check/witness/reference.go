package main

import (
	"context"
	"net/http"
	"net/http/httptest"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/api"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
)

// reference serves the reference witness from memory.
func reference(logKey string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	secret, plain, err := note.GenerateKey(nil, "witness.example/reference")
	if err != nil {
		return err
	}
	signer, err := cosignature.NewSignerForCosignatureV1(secret)
	if err != nil {
		return err
	}
	key, err := cosignature.VKeyToCosignatureV1(plain)
	if err != nil {
		return err
	}
	w, err := witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(), Signers: []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return log, origin == log.Name(), nil
		},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.HTTPAddCheckpoint, witness.NewHTTPHandler(w).AddCheckpoint)
	server := httptest.NewServer(mux)
	defer server.Close()
	return serving(server.URL, key)
}
