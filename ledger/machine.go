package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Machine is the state machine: entries in, trees out. The same entries give the same rows, whoever runs it and however
// they are batched. It reads committed rows through its [Reader] and keeps its own writes in memory until the owner has
// committed them:
//
//	for each entry: m.Apply(raw)
//	store.Commit(m.Changes())     // one atomic batch
//	m.Committed()
//
// Entries may be applied between Changes and Committed: the machine goes on while its owner writes. If a commit fails,
// throw the machine away and make a new one. It is not safe for concurrent use.
type Machine struct {
	reader   Reader
	rows     map[string][]byte   // written since the last Changes, but for what that encodes
	handed   []map[string][]byte // what Changes returned and is not known to be committed, oldest first
	hashes   []tlog.Hash         // of the log tree, as stored, since the last Changes
	next     map[string]uint64   // numbers of the signers whose entries were taken here
	state    state
	genesis  entry.Genesis
	registry *entry.Registry // replaced, never changed in place
	changed  bool            // the registry, since the last Changes
	pairs    []pair
	pairOf   map[pairName]uint32
	dirty    map[uint32]bool               // pairs changed since the last Changes
	census   int                           // bytes that the census may at most have
	unsealed map[uint64]credential.Element // leaves changed since the last seal, with their values
	tiles    tree.Recent                   // of the active tree
	draft    *draft
}

// NewMachine takes up the chain that the reader holds, or an empty one that waits for its genesis entry.
func NewMachine(r Reader) (*Machine, error) {
	m := &Machine{
		reader: r, rows: make(map[string][]byte), next: make(map[string]uint64), registry: emptyRegistry(), pairOf: make(map[pairName]uint32),
		dirty: make(map[uint32]bool), unsealed: make(map[uint64]credential.Element), state: newState(),
	}
	empty, err := checkVersion(r)
	if err != nil || empty {
		return m, err
	}
	if err := m.load(); err != nil {
		return nil, fmt.Errorf("load the chain's state: %w", err)
	}
	return m, nil
}

// Get reads a row as of now, committed or not. It makes the machine a [Reader].
func (m *Machine) Get(key []byte) ([]byte, error) {
	if value, ok := m.rows[string(key)]; ok {
		return value, nil
	}
	for _, rows := range slices.Backward(m.handed) {
		if value, ok := rows[string(key)]; ok {
			return value, nil
		}
	}
	return m.reader.Get(key)
}

// step collects the effects of one entry, so that it happens whole or not at all. Until stage, only the machine's rows
// change, and undo puts them back.
type step struct {
	m        *Machine
	prepared *Prepared
	entry    *entry.Entry
	header   entry.Header
	result   Result
	replaced []replaced // of the machine's rows
	hashes   []tlog.Hash
	state    state
	genesis  *entry.Genesis
	registry *entry.Registry // nil: unchanged
	pairs    map[uint32]pair
	census   int
	leaves   map[uint64]credential.Element
	sealed   bool
}

// replaced is a row as it was before an entry wrote it.
type replaced struct {
	key   string
	value []byte
	there bool // among those written since the last Changes
}

// put writes a row.
func (s *step) put(key string, value []byte) {
	old, there := s.m.rows[key]
	s.replaced = append(s.replaced, replaced{key, old, there})
	s.m.rows[key] = value
}

// undo takes back what put wrote.
func (s *step) undo() {
	for _, old := range slices.Backward(s.replaced) {
		if old.there {
			s.m.rows[old.key] = old.value
		} else {
			delete(s.m.rows, old.key)
		}
	}
}

// Get reads a row as this entry leaves it.
func (s *step) Get(key []byte) ([]byte, error) { return s.m.Get(key) }

// Apply checks an entry completely and adds it to the chain, or refuses it with a [*Refusal] and changes nothing. The
// same entry again gives its old result together with [ErrAlreadyLogged]. Errors that are no refusal mean that the
// entry could not be checked.
func (m *Machine) Apply(raw []byte) (Result, error) {
	p, err := prepare(raw)
	if err != nil {
		return Result{}, err
	}
	return m.apply(p)
}

// parse reads entry and payload, with a refusal for what is malformed. It needs no state.
func parse(raw []byte) (*entry.Entry, entry.Payload, error) {
	e, err := entry.Parse(raw)
	if err != nil {
		return nil, nil, refuse(ErrMalformed, "%v", err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return nil, nil, refuse(ErrMalformed, "%v", err)
	}
	return e, payload, nil
}

func (m *Machine) apply(p *Prepared) (Result, error) {
	e := p.entry
	s := &step{
		m: m, prepared: p, entry: e, header: e.Header(), state: m.state, census: m.census,
		pairs: make(map[uint32]pair), leaves: make(map[uint64]credential.Element),
		result: Result{Index: m.state.Size, Digest: e.Digest()},
	}
	if err := s.checkChain(); err != nil {
		return Result{}, err
	}
	next, err := m.NextSequence(s.header.Signer)
	if err != nil {
		return Result{}, err
	}
	if s.header.Sequence < next {
		return m.replayed(s.header, e.Payload, next)
	}
	if err := s.checkSignatures(p.payload); err != nil {
		return Result{}, err
	}
	if s.header.Sequence != next {
		return Result{}, errSequence(s.header, next)
	}
	if err := s.take(p.payload); err != nil {
		s.undo()
		return Result{}, err
	}
	if err := s.log(); err != nil {
		s.undo()
		return Result{}, err
	}
	m.stage(s)
	return s.result, nil
}

// NextSequence is the number that the signer's next entry must have.
func (m *Machine) NextSequence(signer string) (uint64, error) {
	if next, known := m.next[signer]; known {
		return next, nil
	}
	return nextSequence(m, signer)
}

func nextSequence(r Reader, signer string) (uint64, error) {
	next, _, err := getU64(r, prefixNext+signer)
	if err != nil {
		return 0, fmt.Errorf("read the next number of %s: %w", signer, err)
	}
	return next, nil
}

// replayed answers an entry whose number was used. Payloads are compared, not bytes: ES256 signatures are malleable,
// so one entry can come with many. No signature is checked, as nothing is done and the receipt is public.
func (m *Machine) replayed(h entry.Header, payload []byte, next uint64) (Result, error) {
	index, found, err := getU64(m, signedKey(h.Signer, h.Sequence))
	if err != nil || !found {
		return Result{}, fmt.Errorf("find entry %d of %s: %w", h.Sequence, h.Signer, errors.Join(err, errDamaged))
	}
	raw, err := readEntry(m, index)
	if err != nil {
		return Result{}, err
	}
	old, err := entry.Parse(raw)
	if err != nil {
		return Result{}, fmt.Errorf("entry %d in the store: %w", index, err)
	}
	if old.Header().Kind != h.Kind || string(old.Payload) != string(payload) {
		return Result{}, errSequence(h, next)
	}
	result, err := readResult(m, index)
	if err != nil {
		return Result{}, err
	}
	return result, refuse(ErrAlreadyLogged, "it is entry %d", index)
}

var errDamaged = errors.New("the store is damaged")

func errSequence(h entry.Header, next uint64) error {
	return &Refusal{
		Code: ErrSequence.Code, Expected: next,
		Detail: fmt.Sprintf("number %d of %s, expected %d", h.Sequence, h.Signer, next),
	}
}

// take checks the payload against the state and collects its effects.
func (s *step) take(payload entry.Payload) error {
	switch p := payload.(type) {
	case entry.Genesis:
		return s.found(p)
	case entry.IssuerRegistered:
		return s.registerIssuer(p)
	case entry.IssuerRotated:
		return s.rotateIssuer(p)
	case entry.IssuerSuspended:
		return s.suspendIssuer(p.DID, true)
	case entry.IssuerReinstated:
		return s.suspendIssuer(p.DID, false)
	case entry.SchemaPublished:
		return s.publishSchema(p)
	case entry.CredentialsIssued:
		return s.issue(p)
	case entry.CredentialsSuspended:
		return s.changeStatus(p.Leaves, statusSuspended)
	case entry.CredentialsReinstated:
		return s.changeStatus(p.Leaves, statusActive)
	case entry.CredentialsRevoked:
		return s.changeStatus(p.Leaves, statusRevoked)
	case entry.AuditAnchored:
		return s.anchorAudit(p)
	case entry.VerifierRegistered:
		return s.registerVerifier(p)
	case entry.PolicyRegistered:
		return s.registerPolicy(p)
	case entry.SetRegistered:
		return s.registerSet(p)
	case entry.ScopeRegistered:
		return s.registerScope(p)
	case entry.VerifyingKeyListed:
		return s.listVerifyingKey(p)
	case entry.Seal:
		return s.seal(p)
	}
	panic(fmt.Sprintf("ledger: payload of type %T", payload)) // the codec knows no other
}

// log adds the entry to the log tree and its signer's row.
func (s *step) log() error {
	index := s.result.Index
	hashes, err := tlog.StoredHashes(int64(index), s.entry.Bytes(), hashReader{s.m})
	if err != nil {
		return fmt.Errorf("hash entry %d: %w", index, err)
	}
	first := tlog.StoredHashIndex(0, int64(index))
	for i, h := range hashes {
		s.put(numbered(prefixHash, uint64(first)+uint64(i)), h[:])
	}
	s.hashes = hashes
	s.put(numbered(prefixEntry, index), s.entry.Bytes())
	s.put(numbered(prefixResult, index), s.result.row())
	s.put(prefixNext+s.header.Signer, u64(s.header.Sequence+1))
	s.put(signedKey(s.header.Signer, s.header.Sequence), u64(index))
	s.state.Size++
	return nil
}

// stage makes a step's effects the machine's. It cannot fail.
func (m *Machine) stage(s *step) {
	m.hashes = append(m.hashes, s.hashes...)
	m.next[s.header.Signer] = s.header.Sequence + 1
	m.state, m.census = s.state, s.census
	if s.genesis != nil {
		m.genesis = *s.genesis
	}
	if s.registry != nil {
		m.registry, m.changed = s.registry, true
	}
	for id, p := range s.pairs {
		if int(id) == len(m.pairs) {
			m.pairs = append(m.pairs, p)
			m.pairOf[p.pairName] = id
		}
		m.pairs[id] = p
		m.dirty[id] = true
	}
	maps.Copy(m.unsealed, s.leaves)
	if s.sealed {
		clear(m.unsealed)
	}
	m.draft = nil
}

// Changes are the rows that were written since the last call, to be committed in one atomic batch; then
// [Machine.Committed] is due, once for each call that returned rows and in their order. The owner may add rows of its own,
// before it commits them, and must change none.
func (m *Machine) Changes() (map[string][]byte, error) {
	if len(m.rows) == 0 {
		return nil, nil
	}
	rows := m.rows
	rows[rowVersion] = []byte{0, 0, 0, formatVersion}
	var err error
	if rows[rowState], err = credential.Canonical(m.state); err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	if m.changed {
		if rows[rowRegistry], err = credential.Canonical(m.registry); err != nil {
			return nil, fmt.Errorf("encode registry: %w", err)
		}
	}
	for id := range m.dirty {
		rows[pairKey(id)] = m.pairs[id].row()
	}
	m.handed = append(m.handed, rows)
	m.rows, m.hashes, m.changed = make(map[string][]byte), nil, false
	clear(m.dirty)
	return rows, nil
}

// Committed forgets the oldest rows that Changes returned: they are durable and the reader returns them. Where there are
// none it does nothing.
func (m *Machine) Committed() {
	if len(m.handed) > 0 {
		m.handed = m.handed[1:]
	}
}

// Size is the number of entries.
func (m *Machine) Size() uint64 { return m.state.Size }

// Root is the RFC 6962 root of the log tree over all entries.
func (m *Machine) Root() (tlog.Hash, error) { return RootAt(m, m.state.Size) }

// Genesis is the chain's first entry and its hash, which is all zero on an empty chain.
func (m *Machine) Genesis() (entry.Genesis, credential.Digest) { return m.genesis, m.state.Genesis }

// Registry is the registry in the making; the next seal puts it into effect. It must not be changed.
func (m *Machine) Registry() *entry.Registry { return m.registry }

// RootAt computes the root of the first size entries from the stored hashes, not from the entries.
func RootAt(r Reader, size uint64) (tlog.Hash, error) {
	root, err := tlog.TreeHash(int64(size), hashReader{r})
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of the first %d entries: %w", size, err)
	}
	return root, nil
}

// hashReader reads stored hashes for x/mod's tlog.
type hashReader struct{ r Reader }

// ReadHashes implements tlog.HashReader.
func (h hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		value, err := h.r.Get([]byte(numbered(prefixHash, uint64(index))))
		if err != nil {
			return nil, fmt.Errorf("read stored hash %d: %w", index, err)
		}
		if len(value) != tlog.HashSize {
			return nil, fmt.Errorf("stored hash %d has %d bytes: %w", index, len(value), errDamaged)
		}
		copy(hashes[i][:], value)
	}
	return hashes, nil
}
