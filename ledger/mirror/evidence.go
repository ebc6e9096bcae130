package mirror

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/note"

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

// keepEntry makes a file that accuses the log of an entry.
func (m *Mirror) keepEntry(ctx context.Context, e *ledger.EntryError) string {
	v := m.chain.Latest()
	if v == nil {
		return m.keep("rule", e.Entry, errors.New("no checkpoint was seen"))
	}
	broken, err := m.log.ProveBroken(ctx, m.cfg.Profile.Policy.LogKey, v.Checkpoint, e.Index, e.Entry, e.Cause.Error())
	data, encoding := broken.Bytes()
	return m.keep("rule", data, errors.Join(err, encoding))
}
