package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"
)

// rows is Pebble by itself, with its own defaults but for the log of what it does.
type rows struct {
	db      *pebble.DB
	writers int
	batch   uint64 // rows in one
	next    uint64
}

// Rows of one turn, and their size.
const (
	rowsOfTurn = 64_000
	rowSize    = 300
)

func newRows(dir string, writers int, batch uint64) (contestant, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	return &rows{db: db, writers: writers, batch: batch}, err
}

// Turn sets rows with keys that ascend; a writer's next batch comes when its last one is synced.
func (r *rows) Turn(ctx context.Context) (turn, error) {
	value := make([]byte, rowSize)
	rand.Read(value)
	each := rowsOfTurn / r.batch / uint64(r.writers)
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for w := range uint64(r.writers) {
		first := r.next + w*each*r.batch
		group.Go(func() error {
			for i := range each {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := r.commit(first+i*r.batch, value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	done := each * r.batch * uint64(r.writers)
	r.next += done
	return turn{Rate: float64(done) / time.Since(start).Seconds()}, err
}

func (r *rows) commit(first uint64, value []byte) error {
	batch := r.db.NewBatch()
	defer batch.Close()
	for i := range r.batch {
		if err := batch.Set(binary.BigEndian.AppendUint64(nil, first+i), value, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}

func (r *rows) Close() { _ = r.db.Close() } // the folder is removed next

// silent drops what Pebble says.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // Pebble relies on not going on
}

// peer is a program that says when it is ready and answers each line on standard input with a turn, a line of JSON.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startModule builds the program of a folder, which is a module of its own, in dir and starts it.
func startModule(ctx context.Context, folder, dir string, args ...string) (contestant, error) {
	program := filepath.Join(dir, filepath.Base(folder)+".program")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
		build.Dir = folder
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", build, err, out[max(0, len(out)-1000):])
		}
	}
	return startPeer(ctx, program, args...)
}

func startPeer(ctx context.Context, name string, args ...string) (_ contestant, err error) {
	p := &peer{cmd: exec.CommandContext(ctx, name, args...)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct {
		Ready bool `json:"ready"`
	}
	err = p.read(&ready)
	if err == nil && !ready.Ready {
		err = errors.New("it said something else first")
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("wait until %s is ready: %w", p.cmd, err)
	}
	return p, nil
}

// Turn asks for one. The peer takes the time itself, so that the pipe does not count.
func (p *peer) Turn(context.Context) (t turn, err error) {
	if _, err := fmt.Fprintln(p.in, "turn"); err != nil {
		return t, fmt.Errorf("ask it for its turn: %w", err)
	}
	if err = p.read(&t); err == nil && t.Rate <= 0 {
		err = fmt.Errorf("it did %v a second, which cannot be", t.Rate)
	}
	return t, err
}

// Close ends the peer.
func (p *peer) Close() {
	p.in.Close()
	_ = p.cmd.Wait() // it has said what it had to say
}

func (p *peer) read(v any) error {
	if !p.out.Scan() {
		if err := p.out.Err(); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(p.out.Bytes(), v); err != nil {
		return fmt.Errorf("line %q: %w", p.out.Text(), err)
	}
	return nil
}
