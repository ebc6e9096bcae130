// Command generate writes the test vectors: go generate ./testvectors. What it writes is the same each time, but for
// keys and proofs, which -proofs makes anew when a circuit changed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/testvectors"
	"github.com/bulla-id/bulla/testvectors/proofs"
	"github.com/bulla-id/bulla/testvectors/statements"
)

func main() {
	out := flag.String("out", "testvectors", "folder to write to")
	anew := flag.Bool("proofs", false, "set up keys and prove anew (takes some seconds, never twice the same)")
	contracts := flag.String("solidity", "", "only write the contracts that check proofs on an EVM, to this folder")
	flag.Parse()
	do := func() error { return run(*out, *anew) }
	if *contracts != "" {
		do = func() error { return solidity(*out, *contracts) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(out string, anew bool) error {
	for _, f := range testvectors.Files {
		data, err := f.Make()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, f.Name), data, 0o644); err != nil {
			return err
		}
	}
	path := filepath.Join(out, "statements.json")
	if err := statements.Write(path); err != nil {
		return err
	}
	file, err := statements.Read(path)
	if err != nil {
		return err
	}
	folder := filepath.Join(out, "proofs")
	if anew {
		if err := proofs.Make(context.Background(), folder, file); err != nil {
			return err
		}
	}
	return proofs.Derive(folder, file)
}

// solidity writes contracts for the keys among the vectors.
func solidity(vectors, out string) error {
	file, err := statements.Read(filepath.Join(vectors, "statements.json"))
	if err != nil {
		return err
	}
	return proofs.Solidity(filepath.Join(vectors, "proofs"), out, file)
}
