package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/verifier"
)

// Register remembers, apart from the store, how far the store is. It is written after the rows are durable and before anybody
// hears of them, so a store is never behind its register, and ahead of it by one commit at most: whichever copy lacks
// a tag that anybody was told of is noticed.
//
// Whoever can put an older register back together with its store makes us forget the tags used since, unnoticed.
type Register interface {
	// Read returns the content, or an error that is [fs.ErrNotExist].
	Read() ([]byte, error)
	// Write replaces the content, durably, or leaves it as it was.
	Write(content []byte) error
}

// FileRegister is the register in a file of that path, apart from the store's folder and better on another disk.
type FileRegister string

const maxRegister = 4 << 10

// Read implements [Register].
func (r FileRegister) Read() ([]byte, error) {
	file, err := os.Open(string(r))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxRegister))
}

// Write implements [Register]: a temporary file with mode 0600, sync, rename, sync of the folder, which is made.
func (r FileRegister) Write(content []byte) error {
	if err := os.MkdirAll(filepath.Dir(string(r)), 0o700); err != nil {
		return err
	}
	return keystore.WriteFile(string(r), content)
}

// ErrPutBack is returned for a store that is not the one its register speaks of, as an older copy that was put in its place.
var ErrPutBack = errors.New("a scope that it counts under could be used twice. Put the newest store and its register in place; " +
	"if one of them is lost, bulla verifier restored closes every scope that counts once, and the rest goes on")

func putBack(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrPutBack)
}

// generation is what a store and its register agree on: a row, and the content of the register.
type generation struct {
	Version     int    `json:"version"`     // 1
	Incarnation string `json:"incarnation"` // 128 random bits of the store, in hex; another one after a restore
	Count       uint64 `json:"count"`       // commits with rows that must never be forgotten
}

const generationKey = "generation"

func parseGeneration(text []byte) (g generation, err error) {
	if err = credential.ParseCanonical(text, &g); err == nil && (g.Version != 1 || len(g.Incarnation) != 32) {
		err = errors.New("it is of another version")
	}
	return g, err
}

func (g generation) row() []byte {
	row, err := credential.Canonical(g)
	if err != nil {
		panic(err) // it has numbers and hex only
	}
	return row
}

func newIncarnation() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// guard counts commits. Who has the turn to write uses it.
type guard struct {
	register Register
	noted    generation // what the register has
	next     generation // what it gets
}

// newGuard compares a store with its register, and makes both if there was neither.
func newGuard(db *rows.DB, register Register) (*guard, error) {
	stored, inStore, err := storedGeneration(db)
	if err != nil {
		return nil, err
	}
	noted, inRegister, err := notedGeneration(register)
	if err != nil {
		return nil, err
	}
	g := &guard{register: register, noted: noted, next: stored}
	switch {
	case !inStore && (!inRegister || noted.Count == 0): // new, or of before there were registers, or cut off in what follows
		return g, g.found(db, inRegister)
	case !inStore:
		return nil, putBack("the store is empty or older than its register, which counts %d commits", noted.Count)
	case !inRegister:
		return nil, putBack("the register of the store is not there, so nobody knows whether the store is the newest")
	case stored.Incarnation != noted.Incarnation:
		return nil, putBack("store and register are not of each other")
	case stored.Count < noted.Count:
		return nil, putBack("the store is older than its register: it lacks the last %d commits of used tags", noted.Count-stored.Count)
	case stored.Count > noted.Count+1:
		return nil, putBack("the register is older than the store, so nobody knows whether the store is the newest")
	case stored.Count > noted.Count: // the power went between the two: nobody was told
		return g, g.note()
	}
	return g, nil
}

// found writes the first generation: the register first, so that a store which has one had a register. A store that has rows
// to remember already counts from one, which tells it from its older copies.
func (g *guard) found(db *rows.DB, inRegister bool) error {
	if !inRegister {
		g.next = generation{Version: 1, Incarnation: newIncarnation()}
		if err := g.write(); err != nil {
			return err
		}
	}
	g.next = g.noted
	kept := errors.New("there is one")
	switch err := db.Each(nil, nil, func(key, _ []byte) error {
		if verifier.Kept(string(key)) {
			return kept
		}
		return nil
	}); {
	case errors.Is(err, kept):
		g.next.Count = 1
	case err != nil:
		return err
	}
	if err := db.Commit(rows.Batch{Set: map[string][]byte{generationKey: g.next.row()}}); err != nil {
		return err
	}
	return g.note()
}

func storedGeneration(db *rows.DB) (g generation, ok bool, err error) {
	row, err := db.Get([]byte(generationKey))
	if errors.Is(err, rows.ErrAbsent) {
		return g, false, nil
	}
	if err == nil {
		g, err = parseGeneration(row)
	}
	if err != nil {
		return g, false, fmt.Errorf("generation of the store: %w", err)
	}
	return g, true, nil
}

func notedGeneration(register Register) (g generation, ok bool, err error) {
	content, err := register.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return g, false, nil
	}
	if err != nil {
		return g, false, fmt.Errorf("register of the store: %w", err)
	}
	if g, err = parseGeneration(content); err != nil {
		return g, false, putBack("the register of the store is damaged (%v)", err)
	}
	return g, true, nil
}

// count adds the next generation to a batch that has rows to remember, and tells whether it did.
func (g *guard) count(b rows.Batch) bool {
	for key := range b.Set {
		if verifier.Kept(key) {
			g.next.Count++
			b.Set[generationKey] = g.next.row()
			return true
		}
	}
	return false
}

// note writes the next generation to the register, if it is not there yet and nobody else wrote it.
func (g *guard) note() error {
	if g.next == g.noted {
		return nil
	}
	content, err := g.register.Read()
	if err != nil {
		return fmt.Errorf("register of the store: %w", err)
	}
	if !bytes.Equal(content, g.noted.row()) {
		return errors.New("the register of the store was changed by somebody else: is there a second verifier on it?")
	}
	return g.write()
}

func (g *guard) write() error {
	if err := g.register.Write(g.next.row()); err != nil {
		return fmt.Errorf("register of the store: %w", err)
	}
	g.noted = g.next
	return nil
}

// Renew makes a store that was put back, and is open without its register, one that the register accepts, and no other copy
// of it. Close what it may have forgotten before: [verifier.Keeper.Restored].
func (p *Pebble) Renew(register Register) error {
	if p.guard != nil {
		return errors.New("the store is open with its register: it was not put back")
	}
	g := &guard{register: register, next: generation{Version: 1, Incarnation: newIncarnation(), Count: 1}}
	if err := p.db.Commit(rows.Batch{Set: map[string][]byte{generationKey: g.next.row()}}); err != nil {
		return err
	}
	return g.write()
}
