package ledger

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// maxRecent bounds how many hashes [recent] keeps: some 6 MB.
const maxRecent = 1 << 16

// recent reads stored hashes of the log tree and keeps those that were read last. Proofs of new entries share nearly all
// of theirs. A stored hash never changes once it is committed, and only those are asked for. It is safe for concurrent use.
type recent struct {
	rows Reader

	mu     sync.RWMutex
	hashes map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (r *recent) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		r.mu.RLock()
		hash, known := r.hashes[index]
		r.mu.RUnlock()
		if !known {
			read, err := hashReader{r.rows}.ReadHashes([]int64{index})
			if err != nil {
				return nil, err
			}
			hash = read[0]
			r.keep(index, hash)
		}
		out[i] = hash
	}
	return out, nil
}

func (r *recent) keep(index int64, hash tlog.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hashes == nil || len(r.hashes) >= maxRecent {
		r.hashes = make(map[int64]tlog.Hash)
	}
	r.hashes[index] = hash
}
