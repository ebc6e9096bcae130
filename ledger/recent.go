package ledger

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// maxRecent bounds how many hashes [recent] keeps of each kind: some 2 MB of new ones, and 6 MB of others.
const maxRecent = 1 << 16

// recent has the stored hashes of the log tree that receipts are made of: the newest, as they were committed, and those
// that were read last. Proofs of new entries share nearly all of theirs. A stored hash never changes once it is committed,
// and only those are asked for. It is safe for concurrent use.
type recent struct {
	rows Reader

	mu     sync.RWMutex
	first  int64       // index of newest[0]
	newest []tlog.Hash // without a gap
	others map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (r *recent) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for _, i := range r.find(indexes, out) {
		read, err := hashReader{r.rows}.ReadHashes(indexes[i : i+1])
		if err != nil {
			return nil, err
		}
		out[i] = read[0]
		r.keep(indexes[i], read[0])
	}
	return out, nil
}

// find fills in the hashes that are known and returns the places of the others.
func (r *recent) find(indexes []int64, out []tlog.Hash) (missing []int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i, index := range indexes {
		if at := index - r.first; at >= 0 && at < int64(len(r.newest)) {
			out[i] = r.newest[at]
		} else if hash, known := r.others[index]; known {
			out[i] = hash
		} else {
			missing = append(missing, i)
		}
	}
	return missing
}

// add takes the hashes that the entries from index from on added, which were just committed.
func (r *recent) add(from uint64, hashes []tlog.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := tlog.StoredHashCount(int64(from))
	if first != r.first+int64(len(r.newest)) || len(r.newest) >= maxRecent {
		r.first, r.newest = first, nil
	}
	r.newest = append(r.newest, hashes...)
}

func (r *recent) keep(index int64, hash tlog.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.others == nil || len(r.others) >= maxRecent {
		r.others = make(map[int64]tlog.Hash)
	}
	r.others[index] = hash
}
