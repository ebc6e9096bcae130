package ledger

import (
	"context"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Prepared is an entry for which everything was done that needs no turn: it was parsed, its signatures were checked by the
// keys that the chain knew then, and its leaves computed. It promises nothing: the state machine checks the rest, and
// what could not be checked yet. It is immutable and may be submitted more than once.
type Prepared struct {
	entry   *entry.Entry
	payload entry.Payload
	checked []jose.PublicKey     // by signature: the key that verified it; the zero key where none did yet
	leaves  []credential.Element // of an entry that issues
}

// prepare parses an entry.
func prepare(raw []byte) (*Prepared, error) {
	e, payload, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return &Prepared{entry: e, payload: payload, checked: make([]jose.PublicKey, len(e.Signatures))}, nil
}

// Prepare does what needs no turn, on the processor of the caller; concurrent callers use all of them. A malformed entry,
// and a signature that its key did not make, are refused ([*Refusal]).
func (l *Log) Prepare(raw []byte) (*Prepared, error) {
	p, err := prepare(raw)
	if err != nil {
		return nil, err
	}
	// A key that was registered or withdrawn meanwhile is the state machine's to judge, which knows the order.
	a, err := authorityFor(l.registry.Load(), l.genesis, p.entry.Header(), p.payload)
	if err != nil {
		return p, nil
	}
	if err := p.check(a.keys); err != nil {
		return nil, err
	}
	// Nobody makes us hash a thousand commitments without a key of an agency.
	if issued, ok := p.payload.(entry.CredentialsIssued); ok && !slices.Contains(p.checked, jose.PublicKey{}) {
		p.leaves = leavesOf(p.entry.Header().Signer, issued)
	}
	return p, nil
}

// check verifies the signatures whose keys are among keys, and that were not verified yet. A key's id is its thumbprint, so
// that a signature which does not fit the key of that id fits none.
func (p *Prepared) check(keys []jose.PublicKey) error {
	for i, signature := range p.entry.Signatures {
		k := slices.IndexFunc(keys, func(k jose.PublicKey) bool { return k.KeyID() == signature.Header.KeyID })
		if k < 0 || keys[k] == p.checked[i] {
			continue
		}
		if err := p.entry.Verify(i, keys[k]); err != nil {
			return refuse(ErrAuthority, "signature by key %s: %v", signature.Header.KeyID, err)
		}
		p.checked[i] = keys[k]
	}
	return nil
}

// size is how many leaves the entry would add.
func (p *Prepared) size() int {
	issued, _ := p.payload.(entry.CredentialsIssued)
	return len(issued.Commitments)
}

// Submit hands in an entry and waits until it is in a signed checkpoint, or refused ([*Refusal], [ErrBusy],
// [ErrStopped]). The same entry again returns its receipt together with [ErrAlreadyLogged]. When ctx ends first, it is
// open whether the entry will be in the log.
func (l *Log) Submit(ctx context.Context, raw []byte) (entry.Receipt, error) {
	p, err := l.Prepare(raw)
	if err != nil {
		return entry.Receipt{}, err
	}
	return l.SubmitPrepared(ctx, p)
}
