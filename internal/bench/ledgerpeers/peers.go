package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/internal/bench/turns"
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

// peer is a program that answers each line with a turn.
type peer struct{ *turns.Peer }

// startModule builds the program of a folder, which is a module of its own, in dir and starts it.
func startModule(ctx context.Context, folder, dir string, args ...string) (contestant, error) {
	program, err := turns.Build(ctx, folder, dir)
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, program, args...)
}

func startPeer(ctx context.Context, name string, args ...string) (contestant, error) {
	p, err := turns.StartPeer(ctx, "", name, args...)
	return peer{p}, err
}

// Turn asks for one.
func (p peer) Turn(context.Context) (t turn, err error) {
	if err = p.Ask("turn", &t); err == nil && t.Rate <= 0 {
		err = fmt.Errorf("it did %v a second, which cannot be", t.Rate)
	}
	return t, err
}
