package entry

import "github.com/bulla-id/bulla/credential"

// Proven is an entry with its inclusion proof in the tree whose size the asker named.
type Proven struct {
	Entry string              `json:"entry"` // its bytes, which are UTF-8
	Index uint64              `json:"index"`
	Proof []credential.Digest `json:"proof"` // leaf first
}
