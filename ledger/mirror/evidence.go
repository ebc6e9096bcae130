package mirror

import (
	"context"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

// proveFork makes a file of two checkpoints that do not fit.
func (m *Mirror) proveFork(ctx context.Context, fork *client.ForkError) string {
	return m.keepFork(ctx, fork.Seen, fork.Served)
}

// proveOther does so for the checkpoint that the replayed entries do not fit, and the one before.
func (m *Mirror) proveOther(ctx context.Context) string {
	head, v := m.follower.Head(), m.chain.Latest()
	if head == nil || v == nil {
		return ""
	}
	return m.keepFork(ctx, head.Checkpoint, v.Checkpoint.Text)
}

func (m *Mirror) keepFork(ctx context.Context, seen, served []byte) string {
	key := m.cfg.Profile.Policy.LogKey
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return m.keep("fork", nil, err)
	}
	var pair [2]client.Checkpoint
	for i, text := range [][]byte{seen, served} {
		if pair[i], err = client.ParseCheckpoint(text, verifier); err != nil {
			return m.keep("fork", text, err)
		}
	}
	evidence, err := m.log.ProveFork(ctx, key, pair[0], pair[1])
	if err != nil {
		return m.keep("fork", append(append([]byte{}, seen...), served...), err)
	}
	data, err := evidence.Bytes()
	return m.keep("fork", data, err)
}

// broken is the file for an entry that breaks the rules: that it is in the log is proven by the checkpoint and the log's
// tiles, that it breaks the rules by replaying.
type broken struct {
	Version    int    `json:"version"`
	LogKey     string `json:"log_key"`
	Checkpoint string `json:"checkpoint"`
	Index      uint64 `json:"index"`
	Entry      []byte `json:"entry"`
	Reason     string `json:"reason"`
}

func (m *Mirror) keepEntry(e *ledger.EntryError) string {
	b := broken{Version: 1, LogKey: m.cfg.Profile.Policy.LogKey, Index: e.Index, Entry: e.Entry, Reason: e.Cause.Error()}
	if v := m.chain.Latest(); v != nil {
		b.Checkpoint = string(v.Checkpoint.Text)
	}
	data, err := credential.Canonical(b)
	return m.keep("rule", data, err)
}
