package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/ceremony"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/office"
)

// KeySet is the Groth16 keys that a network runs on.
type KeySet interface {
	office.ProvingKeys
	VerifyingKey(circuit string) (*keys.VerifyingKey, error)
}

// openKeys loads the keys of a finished ceremony, or makes development keys once.
func openKeys(ctx context.Context, cfg Config) (KeySet, error) {
	if cfg.Ceremony != "" {
		set, err := ceremony.Keys(cfg.Ceremony)
		if err != nil {
			return nil, fmt.Errorf("keys of the ceremony: %w", err)
		}
		return set, nil
	}
	return setup.Develop(ctx, filepath.Join(cfg.Dir, "keys"), cfg.Progress)
}

// transcriptOf is the digest of the ceremony's transcript; all zero for development keys, which have none.
func transcriptOf(set KeySet) credential.Digest {
	if s, ok := set.(*ceremony.KeySet); ok {
		return s.Transcript()
	}
	return credential.Digest{}
}

// HoldCeremony makes keys for the circuits that the demo uses with three contributors a phase, in a folder of its own. It shows the order of
// things; as all contributors are one process, the result is worth no more than development keys. It takes some five
// minutes.
func HoldCeremony(ctx context.Context, dir string, progress ceremony.Progress) error {
	c, err := ceremony.Init(dir, "Ceremony of the demo", []string{circuits.Presentation, circuits.Enrolment}, progress)
	if err != nil {
		return err
	}
	contribute := func() error {
		for _, name := range []string{"Archive", "University", "Ombudsman"} {
			if _, err := c.Contribute(ctx, name); err != nil {
				return fmt.Errorf("contribution of %s: %w", name, err)
			}
		}
		return nil
	}
	if err := contribute(); err != nil {
		return err
	}
	if err := c.Next(ctx, showBeacon()); err != nil {
		return err
	}
	if err := contribute(); err != nil {
		return err
	}
	_, err = c.Finish(ctx, showBeacon())
	return err
}

// showBeacon stands where a real ceremony takes a value that is published for everybody, as a stock index or a drand
// round.
func showBeacon() ceremony.Beacon {
	var value [32]byte
	rand.Read(value[:])
	return ceremony.Beacon{Value: hex.EncodeToString(value[:]), Source: "drawn by the demo itself: for show only"}
}
