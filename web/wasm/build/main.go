// Command build makes what the wallet's page needs of the Go toolchain: the wallet as WebAssembly, compressed, and the toolchain's
// wasm_exec.js. Both go into web/assets/wallet/built, which is not kept in the repository.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	out     = "web/assets/wallet/built"
	sumFile = "wallet.wasm.sha256"
)

func main() {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "build the wallet's page:", err)
		os.Exit(1)
	}
}

// build leaves the files alone if the program is the same as before, so that what embeds them is not built anew.
func build() error {
	dir, err := os.MkdirTemp("", "bulla-wasm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "wallet.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", program, "./web/wasm")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	wasm, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	sum := fmt.Sprintf("%x\n", sha256.Sum256(wasm))
	if old, err := os.ReadFile(filepath.Join(out, sumFile)); err == nil && string(old) == sum {
		return nil // compressing takes longer than all else
	}
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := zip.Write(wasm); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	glue, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return fmt.Errorf("the toolchain %s has no wasm_exec.js: %w", runtime.Version(), err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{{"wallet.wasm.gz", packed.Bytes()}, {"wasm_exec.js", glue}, {sumFile, []byte(sum)}} { // the sum last: what is broken off is made again
		if err := os.WriteFile(filepath.Join(out, file.name), file.data, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("wallet.wasm: %d bytes, compressed %d\n", len(wasm), packed.Len())
	return nil
}
