// Command iden3 is iden3's sparse Merkle tree, for `make bench-ledger-peers`: in memory, with as many levels as its trees
// of claims have. It answers each line on standard input by inserts, with a line of JSON.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"time"

	merkletree "github.com/iden3/go-merkletree-sql/v2"
	"github.com/iden3/go-merkletree-sql/v2/db/memory"
)

const (
	levels  = 40
	inserts = 2000 // in a turn
	bits    = 248  // of keys and values, below the field's prime
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "iden3:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tree, err := merkletree.NewMerkleTree(ctx, memory.NewMemoryStorage(), levels)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		rate, err := turn(ctx, tree)
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]any{"rate": rate}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func turn(ctx context.Context, tree *merkletree.MerkleTree) (float64, error) {
	numbers := make([]*big.Int, inserts+1)
	for i := range numbers {
		var err error
		if numbers[i], err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits)); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for i := range inserts {
		if err := tree.Add(ctx, numbers[i], numbers[i+1]); err != nil {
			return 0, err
		}
	}
	return inserts / time.Since(start).Seconds(), nil
}
