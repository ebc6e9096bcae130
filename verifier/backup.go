package verifier

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// ErrNoBackups is returned if nothing says where copies of the store are to be written.
var ErrNoBackups = errors.New("no folder for backups is configured here")

// Copied is a copy of the store that was made.
type Copied struct {
	Name string              `json:"name"` // of the copy, within the folder for backups
	At   credential.UnixTime `json:"at"`
}

// Backup writes a copy of the store as of now, while everything goes on. It is older than the store at once: once a tag was
// used, the store's register refuses it. [ErrNoBackups], and [ErrBusy] while another is made.
func (v *Verifier) Backup(context.Context) (*Copied, error) {
	if v.cfg.Backup == nil {
		return nil, ErrNoBackups
	}
	if !v.copying.TryLock() {
		return nil, ErrBusy
	}
	defer v.copying.Unlock()
	now := v.cfg.Clock().UTC()
	c := &Copied{now.Format("20060102T150405Z"), credential.UnixTimeOf(now)}
	if err := v.cfg.Backup(c.Name); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	return c, nil
}
