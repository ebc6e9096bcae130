package client

import (
	"encoding/binary"
	"fmt"

	"github.com/bulla-id/bulla/ledger/entry"
)

// BundleWidth is how many entries a full entry bundle has, and how many hashes a full tile (C2SP tlog-tiles).
const BundleWidth = 256

// MaxBundle bounds an entry bundle, in bytes.
const MaxBundle = BundleWidth * (2 + entry.MaxSize)

// ParseBundle splits an entry bundle: each entry with its length before it, 16 bits, big endian. It refuses anything
// but exactly width entries, 1 to 256.
func ParseBundle(data []byte, width int) ([][]byte, error) {
	if width < 1 || width > BundleWidth {
		return nil, fmt.Errorf("entry bundles have 1 to %d entries, not %d", BundleWidth, width)
	}
	entries := make([][]byte, 0, width)
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("entry bundle ends within entry %d: %w", len(entries), ErrTampered)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end:end])
		data = data[end:]
		if len(entries) > width {
			break
		}
	}
	if len(entries) != width {
		return nil, fmt.Errorf("entry bundle has not %d entries: %w", width, ErrTampered)
	}
	return entries, nil
}
