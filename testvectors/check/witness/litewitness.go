package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const liteName = "witness.example/lite"

// litewitness runs torchwood's witness with an SSH agent that has its key, and a database that knows the log.
func litewitness(logKey string) error {
	dir, err := os.MkdirTemp("", "litewitness")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, socket := filepath.Join(dir, "db"), filepath.Join(dir, "agent")
	if err := addLog(db, logKey); err != nil {
		return fmt.Errorf("add the log: %w", err)
	}
	secret, fingerprint, err := serveAgent(socket)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	signer, err := torchwood.NewCosignatureSigner(liteName, secret)
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := exec.Command(filepath.Join(filepath.Dir(self), "litewitness"), "-name", liteName, "-db", db, "-ssh-agent", socket, "-key", fingerprint, "-listen", address)
	if err := program.Start(); err != nil {
		return err
	}
	defer func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	}()
	url := "http://" + address
	if err := await(url); err != nil {
		return err
	}
	return serving(url, signer.Verifier().String())
}

// addLog is what witnessctl does: it cannot be built here, as a library for another kind of log cannot be had. Tables are
// litewitness' own.
func addLog(path, logKey string) error {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	db, err := sqlite.OpenConn(path)
	if err != nil {
		return err
	}
	defer db.Close()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return err
	}
	if err := sqlitex.ExecuteScript(db, `
		CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
		CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));`, nil); err != nil {
		return err
	}
	hash := base64.StdEncoding.EncodeToString(empty[:])
	if err := sqlitex.Execute(db, "INSERT INTO log VALUES (?, 0, ?)", &sqlitex.ExecOptions{Args: []any{log.Name(), hash}}); err != nil {
		return err
	}
	return sqlitex.Execute(db, "INSERT INTO key VALUES (?, ?)", &sqlitex.ExecOptions{Args: []any{log.Name(), logKey}})
}

// serveAgent is an SSH agent with a new key, until the process ends.
func serveAgent(socket string) (ed25519.PrivateKey, string, error) {
	public, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, "", err
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: secret}); err != nil {
		return nil, "", err
	}
	known, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c) }() // ends when the client leaves
		}
	}()
	return secret, ssh.FingerprintSHA256(known), nil
}

// freeAddress is one on loopback that nobody listens at, as litewitness does not say which one it took.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// await waits until a server answers.
func await(url string) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			return response.Body.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}
