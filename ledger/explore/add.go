package explore

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/entry"
)

// The names of counts besides those of kinds, which count entries: these count credentials.
const (
	CountIssued     = "issued"
	CountSuspended  = "suspended"
	CountReinstated = "reinstated"
	CountRevoked    = "revoked"
)

// Status is what an issuer last said of a credential.
type Status byte

// The statuses. Revoked is final.
const (
	Active    Status = 1
	Suspended Status = 2
	Revoked   Status = 3
)

// batch collects the rows of some entries.
type batch struct {
	db      *rows.DB
	chain   credential.Digest
	state   state
	rows    map[string][]byte
	parties map[string]*Party // read or new
}

func (x *Index) begin() *batch {
	s := x.state
	s.Totals, s.Unsealed, s.Waiting = maps.Clone(s.Totals), maps.Clone(s.Unsealed), maps.Clone(s.Waiting)
	for did, own := range s.Waiting {
		s.Waiting[did] = maps.Clone(own)
	}
	return &batch{db: x.rows, chain: x.cfg.Profile.Genesis, state: s, rows: make(map[string][]byte), parties: make(map[string]*Party)}
}

// get reads a row as of now.
func (b *batch) get(key []byte) ([]byte, error) {
	if value, ok := b.rows[string(key)]; ok {
		return value, nil
	}
	return b.db.Get(key)
}

// has tells whether there is a row.
func (b *batch) has(key string) (bool, error) {
	_, err := b.get([]byte(key))
	if errors.Is(err, rows.ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

func (b *batch) count(name string, n int) {
	b.state.Totals[name] += uint64(n)
	b.state.Unsealed[name] += uint64(n)
}

// add takes the next entry.
func (b *batch) add(raw []byte) error {
	e, err := entry.Parse(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if err := b.checkChain(e); err != nil {
		return err
	}
	index := b.state.Size
	hashes, err := tlog.StoredHashes(int64(index), raw, hashReader(b.get))
	if err != nil {
		return err
	}
	first := uint64(tlog.StoredHashIndex(0, int64(index)))
	for i := range hashes {
		b.rows[numbered(prefixHash, first+uint64(i))] = hashes[i][:]
	}
	b.rows[numbered(prefixEntry, index)] = raw
	b.rows[digestKey(e.Digest())] = u64(index)
	kind := e.Header().Kind
	b.count(string(kind), 1)
	if seal, ok := payload.(entry.Seal); ok {
		err = b.seal(e, seal)
	} else {
		b.list(Work, index)
		b.list(OfKind(kind), index)
		err = b.work(e, payload)
	}
	b.state.Size++
	return err
}

// checkChain refuses entries of other chains.
func (b *batch) checkChain(e *entry.Entry) error {
	if b.state.Size == 0 {
		if e.Header().Kind != entry.KindGenesis || e.Digest() != b.chain {
			return ErrOtherChain
		}
		b.state.SealHash = b.chain
		return nil
	}
	if e.Header().Genesis != b.chain {
		return ErrOtherChain
	}
	return nil
}

func (b *batch) list(s Scope, index uint64) {
	b.rows[numbered(s.prefix(), ^index)] = []byte{}
}

// seal gives an hour to what came since the last seal, and holds the leaf count to ours.
func (b *batch) seal(e *entry.Entry, p entry.Seal) error {
	s := &b.state
	if p.Height != s.Seals || p.Previous != s.SealHash || p.PreviousAt != s.LastSeal.Index || p.Leaves != s.Leaves {
		return fmt.Errorf("seal %d does not follow from what came before: %w", p.Height, ErrUnreadable)
	}
	index := s.Size
	s.Seals, s.SealHash, s.LastSeal = p.Height+1, e.Digest(), SealRef{Height: p.Height, Index: index, Time: p.Time}
	b.rows[numbered(prefixSeal, index)] = append(u64(p.Height), u64(uint64(p.Time))...)
	b.rows[numbered(prefixHeight, p.Height)] = u64(index)
	return b.giveHour(hourOf(p.Time))
}

// work indexes what an entry does.
func (b *batch) work(e *entry.Entry, payload entry.Payload) error {
	index, signer := b.state.Size, e.Header().Signer
	about := map[string]func(*Party){signer: func(p *Party) { p.Entries++ }}
	switch p := payload.(type) {
	case entry.IssuerRegistered:
		about[p.DID] = func(party *Party) {
			party.Issuer, party.Name, party.URL, party.Quota, party.Keys, party.Registered = true, p.Name, p.URL, p.Quota, keyIDs(p.Keys), index
		}
		b.rows[prefixIssuer+p.DID] = []byte{}
		b.name(p.DID, p.Name)
		b.state.Issuers++
	case entry.IssuerRotated:
		about[p.DID] = func(party *Party) { party.Keys, party.Quota = keyIDs(p.Keys), p.Quota }
	case entry.IssuerSuspended:
		about[p.DID] = func(party *Party) { party.Stopped, party.Reason = true, p.Reason }
	case entry.IssuerReinstated:
		about[p.DID] = func(party *Party) { party.Stopped, party.Reason = false, "" }
	case entry.VerifierRegistered:
		known, err := b.has(prefixVerifier + p.DID)
		if err != nil {
			return err
		}
		if !known {
			b.rows[prefixVerifier+p.DID] = []byte{}
			b.state.Verifiers++
		}
		b.name(p.DID, p.Name)
		about[p.DID] = func(party *Party) {
			party.Verifier, party.Name, party.Keys, party.ResponseURIs, party.Registered = true, p.Name, keyIDs(p.Keys), p.ResponseURIs, index
		}
	case entry.AuditAnchored:
		about[signer] = func(party *Party) { party.Entries++; party.AuditRecords = p.Records }
	case entry.SchemaPublished:
		if err := b.schema(index, p); err != nil {
			return err
		}
		for _, did := range p.Issuers {
			about[did] = func(*Party) {}
		}
	case entry.ScopeRegistered:
		for _, did := range p.Verifiers {
			about[did] = func(*Party) {}
		}
	case entry.SetRegistered:
		b.rows[setKey(p.Set, p.Part)] = u64(index)
	case entry.PolicyRegistered:
		if err := b.policy(index, signer, p); err != nil {
			return err
		}
	case entry.CredentialsIssued:
		b.issue(index, signer, p)
		about[signer] = func(party *Party) {
			party.Entries++
			party.Issued += uint64(len(p.Commitments))
			party.Live += uint64(len(p.Commitments))
		}
	case entry.CredentialsSuspended:
		return b.change(index, signer, p.Leaves, Suspended)
	case entry.CredentialsReinstated:
		return b.change(index, signer, p.Leaves, Active)
	case entry.CredentialsRevoked:
		return b.change(index, signer, p.Leaves, Revoked)
	}
	return b.tell(index, about)
}

// name lets people find a party by its name, in either language.
func (b *batch) name(did string, name credential.Text) {
	for _, text := range []string{name.English, name.Chinese} {
		if text != "" {
			b.rows[nameKey(text)+"\x00"+did] = []byte{}
		}
	}
}

// nameKey is how names are looked for: whatever their case, by their beginning.
func nameKey(text string) string { return prefixName + strings.ToLower(text) }

// tell changes parties and puts the entry onto their lists.
func (b *batch) tell(index uint64, about map[string]func(*Party)) error {
	for did, change := range about {
		party, err := b.party(did)
		if err != nil {
			return err
		}
		change(party)
		party.Last = index
		b.list(About(did), index)
	}
	return nil
}

// party is what is known of a party, to be changed.
func (b *batch) party(did string) (*Party, error) {
	if p, ok := b.parties[did]; ok {
		return p, nil
	}
	p := &Party{DID: did}
	text, err := b.get([]byte(prefixParty + did))
	if err == nil {
		err = credential.ParseCanonical(text, p)
	}
	if err != nil && !errors.Is(err, rows.ErrAbsent) {
		return nil, fmt.Errorf("party %s: %w", did, err)
	}
	b.parties[did] = p
	return p, nil
}

func (b *batch) schema(index uint64, p entry.SchemaPublished) error {
	id, err := p.Schema.ID()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	b.rows[elementKey(prefixSchema, id)] = u64(index)
	return nil
}

func (b *batch) policy(index uint64, signer string, p entry.PolicyRegistered) error {
	parsed, err := policy.Parse(p.Policy)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	key := policyKey(signer, parsed.ID)
	known, err := b.has(key)
	if err != nil {
		return err
	}
	if !known {
		b.state.Policies++
	}
	b.rows[key] = u64(index)
	return nil
}

func (b *batch) issue(index uint64, signer string, p entry.CredentialsIssued) {
	s := &b.state
	b.rows[numbered(prefixFirstLeaf, index)] = u64(s.Leaves)
	b.rows[numbered(prefixIssued, ^s.Leaves)] = append(u64(index), u64(uint64(len(p.Commitments)))...)
	for i, c := range p.Commitments {
		b.rows[numbered(elementKey(prefixCommitment, c), index)] = u64(uint64(i))
	}
	n := len(p.Commitments)
	b.countOf(signer, CountIssued, n)
	b.ownCount(signer, IssuedOf+p.Schema.String(), n)
	s.Leaves, s.Live = s.Leaves+uint64(n), s.Live+uint64(n)
}

// change sets the status of leaves, and counts those that were live before and are after.
func (b *batch) change(index uint64, signer string, leaves []uint64, to Status) error {
	party, err := b.party(signer)
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		from, err := readStatus(b.get, leaf)
		if err != nil {
			return err
		}
		if leaf >= b.state.Leaves || from == to || from == Revoked {
			return fmt.Errorf("leaf %d cannot go from %d to %d: %w", leaf, from, to, ErrUnreadable)
		}
		party.move(from, to)
		b.state.move(from, to)
		b.rows[numbered(prefixStatus, leaf)] = []byte{byte(to)}
		b.rows[numbered(numbered(prefixChange, leaf), index)] = []byte{}
	}
	b.countOf(signer, map[Status]string{Suspended: CountSuspended, Active: CountReinstated, Revoked: CountRevoked}[to], len(leaves))
	return b.tell(index, map[string]func(*Party){signer: func(p *Party) { p.Entries++ }})
}

func (p *Party) move(from, to Status) {
	for _, c := range []struct {
		status Status
		count  *uint64
	}{{Active, &p.Live}, {Suspended, &p.Suspended}, {Revoked, &p.Revoked}} {
		if from == c.status {
			*c.count--
		}
		if to == c.status {
			*c.count++
		}
	}
}

func (s *state) move(from, to Status) {
	if from == Active {
		s.Live--
	}
	if to == Active {
		s.Live++
	}
}

// readStatus is the status of a leaf that was issued.
func readStatus(get func([]byte) ([]byte, error), leaf uint64) (Status, error) {
	value, err := get([]byte(numbered(prefixStatus, leaf)))
	if errors.Is(err, rows.ErrAbsent) {
		return Active, nil
	}
	if err != nil {
		return 0, err
	}
	if len(value) != 1 || value[0] < byte(Active) || value[0] > byte(Revoked) {
		return 0, fmt.Errorf("status of leaf %d: the index is damaged", leaf)
	}
	return Status(value[0]), nil
}

// finish adds the rows that are written once a batch.
func (b *batch) finish() (err error) {
	for did, p := range b.parties {
		if b.rows[prefixParty+did], err = credential.Canonical(p); err != nil {
			return err
		}
	}
	b.rows[rowState], err = credential.Canonical(b.state)
	return err
}
