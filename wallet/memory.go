package wallet

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/ledger/client"
)

// Memory is the part of the vault in which the ledger client keeps the last checkpoint it saw.
func (v *Vault) Memory() client.Memory { return memory{v} }

type memory struct{ vault *Vault }

// Load returns what was saved, or nil.
func (m memory) Load() ([]byte, error) {
	if state := m.vault.read().Chain; state != "" {
		return []byte(state), nil
	}
	return nil, nil
}

// Save replaces it, but for states that say less than what another process saved: an older checkpoint, or no fork where
// one is known.
func (m memory) Save(state []byte) error {
	return m.vault.update(func(d *document) error {
		kept, next := parseChainState([]byte(d.Chain)), parseChainState(state)
		if kept.Conflict != "" || next.Conflict == "" && next.size() < kept.size() {
			return nil
		}
		d.Chain = string(state)
		return nil
	})
}

// chainState is as much of the client's state as is needed to see which of two is newer.
type chainState struct {
	Checkpoint string `json:"checkpoint"`
	Conflict   string `json:"conflict"`
}

func parseChainState(state []byte) (s chainState) {
	_ = json.Unmarshal(state, &s) // what cannot be read is as good as nothing
	return s
}

// size is the number in the second line of a checkpoint.
func (s chainState) size() uint64 {
	lines := strings.SplitN(s.Checkpoint, "\n", 3)
	if len(lines) < 3 {
		return 0
	}
	size, _ := strconv.ParseUint(lines[1], 10, 64)
	return size
}
