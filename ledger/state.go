package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// state is the part of the machine's memory that has a fixed size.
type state struct {
	Size    uint64            `json:"size"`
	Genesis credential.Digest `json:"genesis"`
	Leaves  uint64            `json:"leaves"` // ever issued
	Pairs   uint32            `json:"pairs"`
	Seals   uint64            `json:"seals"` // how many; the next one's height
	Sealed  Sealed            `json:"sealed"`
	// RegistryBytes is at least the length of the registry's JSON. It is kept, as refusals depend on it.
	RegistryBytes int `json:"registry_bytes"`
	// Sets is how many sets were registered. Stores from before there were any have no such member.
	Sets uint64 `json:"sets,omitempty"`
}

// Sealed is the last seal.
type Sealed struct {
	Index      uint64              `json:"index"`  // of the seal's entry; 0 before the first: the genesis entry
	Digest     credential.Digest   `json:"digest"` // of that entry
	Time       credential.UnixTime `json:"time"`
	ActiveRoot credential.Element  `json:"active_root"`
	Registry   credential.Digest   `json:"registry"`
	Census     credential.Digest   `json:"census"`
}

func newState() state {
	return state{Sealed: Sealed{ActiveRoot: tree.EmptyRoots[credential.ActiveDepth]}}
}

// Sealed is the last seal, and how many there were. Before the first it stands for the genesis entry.
func (m *Machine) Sealed() (last Sealed, seals uint64) { return m.state.Sealed, m.state.Seals }

// Unsealed is how many entries came after the last seal.
func (m *Machine) Unsealed() uint64 {
	if m.state.Size == 0 {
		return 0
	}
	return m.state.Size - 1 - m.state.Sealed.Index
}

// pairName is a schema together with an issuer that issued under it.
type pairName struct {
	Schema credential.Element
	Issuer string
}

// pair counts what one issuer issued under one schema. Leaves refer to it by number.
type pair struct {
	pairName
	Live   uint64 // active now
	Issued uint64 // ever
}

func (p pair) row() []byte {
	schema := p.Schema.Bytes()
	row := append([]byte(nil), schema[:]...)
	row = binary.BigEndian.AppendUint64(row, p.Live)
	row = binary.BigEndian.AppendUint64(row, p.Issued)
	return append(row, p.Issuer...)
}

func parsePair(row []byte) (pair, error) {
	const fixed = credential.ElementSize + 16
	if len(row) <= fixed {
		return pair{}, fmt.Errorf("pair of %d bytes: %w", len(row), errDamaged)
	}
	schema, err := credential.ParseElement(row[:credential.ElementSize])
	if err != nil {
		return pair{}, fmt.Errorf("pair: %w: %w", err, errDamaged)
	}
	return pair{
		pairName: pairName{schema, string(row[fixed:])},
		Live:     binary.BigEndian.Uint64(row[credential.ElementSize:]),
		Issued:   binary.BigEndian.Uint64(row[credential.ElementSize+8:]),
	}, nil
}

// status is what an issuer last said of a leaf.
type status byte

const (
	statusActive    status = 1
	statusSuspended status = 2
	statusRevoked   status = 3
)

// leaf is a leaf as issued, with its status.
type leaf struct {
	Value  credential.Element
	Pair   uint32
	Status status
}

// active is the leaf's value in the active tree.
func (l leaf) active() credential.Element {
	if l.Status == statusActive {
		return l.Value
	}
	return credential.Element{}
}

func (l leaf) row() []byte {
	value := l.Value.Bytes()
	return append(binary.BigEndian.AppendUint32(append([]byte(nil), value[:]...), l.Pair), byte(l.Status))
}

// readLeaf reads a leaf that must be there.
func readLeaf(r Reader, index uint64) (leaf, error) {
	row, err := r.Get([]byte(numbered(prefixLeaf, index)))
	if err != nil {
		return leaf{}, fmt.Errorf("read leaf %d: %w", index, err)
	}
	if len(row) != credential.ElementSize+5 || row[len(row)-1] < 1 || row[len(row)-1] > 3 {
		return leaf{}, fmt.Errorf("leaf %d: %w", index, errDamaged)
	}
	value, err := credential.ParseElement(row[:credential.ElementSize])
	if err != nil {
		return leaf{}, fmt.Errorf("leaf %d: %w: %w", index, err, errDamaged)
	}
	return leaf{value, binary.BigEndian.Uint32(row[credential.ElementSize:]), status(row[len(row)-1])}, nil
}

// load restores the memory from the committed rows.
func (m *Machine) load() error {
	text, err := m.reader.Get([]byte(rowState))
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := credential.ParseCanonical(text, &m.state); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	registry, err := m.reader.Get([]byte(rowRegistry))
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if err := credential.ParseCanonical(registry, m.registry); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if err := m.loadGenesis(); err != nil {
		return err
	}
	for id := range m.state.Pairs {
		row, err := m.reader.Get([]byte(pairKey(id)))
		if err != nil {
			return fmt.Errorf("pair %d: %w", id, err)
		}
		p, err := parsePair(row)
		if err != nil {
			return fmt.Errorf("pair %d: %w", id, err)
		}
		m.pairs, m.pairOf[p.pairName] = append(m.pairs, p), id
		m.census += p.size()
	}
	return m.loadUnsealed()
}

func (m *Machine) loadGenesis() error {
	raw, err := readEntry(m.reader, 0)
	if err != nil {
		return err
	}
	e, payload, err := parse(raw)
	if err != nil {
		return fmt.Errorf("genesis entry: %w", err)
	}
	genesis, ok := payload.(entry.Genesis)
	if !ok || e.Digest() != m.state.Genesis {
		return fmt.Errorf("entry 0 is not the genesis entry that the state names: %w", errDamaged)
	}
	m.genesis = genesis
	return nil
}

// loadUnsealed finds the leaves that changed since the last seal, by its entries.
func (m *Machine) loadUnsealed() error {
	for index := m.state.Sealed.Index + 1; index < m.state.Size; index++ {
		raw, err := readEntry(m.reader, index)
		if err != nil {
			return err
		}
		_, payload, err := parse(raw)
		if err != nil {
			return fmt.Errorf("entry %d in the store: %w", index, err)
		}
		touched, err := m.touched(index, payload)
		if err != nil {
			return err
		}
		for _, i := range touched {
			l, err := readLeaf(m.reader, i)
			if err != nil {
				return err
			}
			m.unsealed[i] = l.active()
		}
	}
	return nil
}

// touched are the leaves that an entry of the store added or changed.
func (m *Machine) touched(index uint64, payload entry.Payload) ([]uint64, error) {
	switch p := payload.(type) {
	case entry.CredentialsIssued:
		result, err := readResult(m.reader, index)
		if err != nil {
			return nil, err
		}
		var leaves []uint64
		for i := range result.Leaves {
			leaves = append(leaves, result.FirstLeaf+uint64(i))
		}
		return leaves, nil
	case entry.CredentialsSuspended:
		return p.Leaves, nil
	case entry.CredentialsReinstated:
		return p.Leaves, nil
	case entry.CredentialsRevoked:
		return p.Leaves, nil
	}
	return nil, nil
}
