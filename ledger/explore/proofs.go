package explore

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// Inclusion is the proof that an entry is in the log: hashes, leaf first (RFC 6962), under a tree of that size, at most that of the index.
func (x *Index) Inclusion(index, size uint64) ([]credential.Digest, error) {
	if size > x.Head().Size || index >= size {
		return nil, ErrAbsent
	}
	proof, err := tlog.ProveRecord(int64(size), int64(index), hashReader(x.rows.Get))
	return digests(proof), err
}

// Consistency is the proof that the log of one size begins with that of a smaller one (RFC 6962).
func (x *Index) Consistency(old, size uint64) ([]credential.Digest, error) {
	if size > x.Head().Size || old == 0 || old > size {
		return nil, ErrAbsent
	}
	proof, err := tlog.ProveTree(int64(size), int64(old), hashReader(x.rows.Get))
	return digests(proof), err
}

func digests(hashes []tlog.Hash) []credential.Digest {
	out := make([]credential.Digest, len(hashes))
	for i, h := range hashes {
		out[i] = credential.Digest(h)
	}
	return out
}
