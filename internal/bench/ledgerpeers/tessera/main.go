// Command tessera is Tessera's POSIX driver, for `make bench-ledger-peers`: entries of 300 bytes, without deduplication or
// cosigners, a checkpoint a second. It answers each line on standard input by adding entries and waiting until all are
// durable and in the tree, with a line of JSON.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const (
	entries   = 40_960 // in a turn: full batches of either size, so that none waits for its time
	entrySize = 300
	waiting   = 8192 // entries under way at once
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tessera:", err)
		os.Exit(1)
	}
}

// run takes the folder of the log and the largest batch.
func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: tessera FOLDER BATCH")
	}
	batch, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return err
	}
	appender, shutdown, err := open(ctx, args[0], uint(batch))
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		rate, err := turn(ctx, appender)
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]any{"rate": rate}); err != nil {
			return err
		}
	}
	return errors.Join(lines.Err(), shutdown(ctx))
}

func open(ctx context.Context, dir string, batch uint) (*tessera.Appender, func(context.Context) error, error) {
	secret, _, err := note.GenerateKey(nil, "bulla.example/tessera")
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, nil, err
	}
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithCheckpointInterval(time.Second).
		WithBatching(batch, tessera.DefaultBatchMaxAge).WithPushback(2*waiting))
	return appender, shutdown, err
}

// turn keeps as many entries under way as may wait.
func turn(ctx context.Context, appender *tessera.Appender) (float64, error) {
	data := make([][]byte, entries)
	for i := range data {
		data[i] = make([]byte, entrySize)
		rand.Read(data[i])
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	start := time.Now()
	for w := range waiting {
		wait.Go(func() {
			for i := w; i < entries; i += waiting {
				if _, err := appender.Add(ctx, tessera.NewEntry(data[i]))(); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	return entries / time.Since(start).Seconds(), failed
}
