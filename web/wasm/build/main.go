// Command build makes what the wallet's page needs of the Go toolchain: its programs as WebAssembly, compressed, and the toolchain's
// wasm_exec.js. All goes into web/assets/wallet/built, which is not kept in the repository.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const out = "web/assets/wallet/built"

// programs are built from packages.
var programs = []struct{ name, pkg string }{
	{"wallet.wasm", "./web/wasm"},
	{"scan.wasm", "./web/wasm/scan"},
}

func main() {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "build the wallet's page:", err)
		os.Exit(1)
	}
}

func build() error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := copyGlue(); err != nil {
		return err
	}
	for _, p := range programs {
		if err := compile(p.name, p.pkg); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// compile leaves the files alone if the program is the same as before, so that what embeds them is not built anew.
func compile(name, pkg string) error {
	dir, err := os.MkdirTemp("", "bulla-wasm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	wasm, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	sum := fmt.Appendf(nil, "%x\n", sha256.Sum256(wasm))
	if old, err := os.ReadFile(filepath.Join(out, name+".sha256")); err == nil && bytes.Equal(old, sum) {
		return nil // compressing takes longer than all else
	}
	packed, err := compress(wasm)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, name+".gz"), packed, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, name+".sha256"), sum, 0o644); err != nil { // last: what is broken off is made again
		return err
	}
	fmt.Printf("%s: %d bytes, compressed %d\n", name, len(wasm), len(packed))
	return nil
}

func compress(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = zip.Write(data)
	err = errors.Join(err, zip.Close())
	return packed.Bytes(), err
}

// copyGlue takes the script that starts programs of this toolchain.
func copyGlue() error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	glue, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return fmt.Errorf("the toolchain %s has no wasm_exec.js: %w", runtime.Version(), err)
	}
	file := filepath.Join(out, "wasm_exec.js")
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, glue) {
		return nil
	}
	return os.WriteFile(file, glue, 0o644)
}
