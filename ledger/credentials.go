package ledger

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// signingIssuer is the issuer that signed, which must not be suspended.
func (s *step) signingIssuer() (entry.RegisteredIssuer, error) {
	issuer, ok := s.m.registry.Issuer(s.header.Signer)
	if !ok {
		return issuer, refuse(ErrAuthority, "issuer %s is not registered", s.header.Signer)
	}
	if issuer.Suspended {
		return issuer, refuse(ErrSuspended, "issuer %s is suspended", issuer.DID)
	}
	return issuer, nil
}

// issue adds leaves. The ledger computes them itself, so that an issuer enters only leaves of its own.
func (s *step) issue(p entry.CredentialsIssued) error {
	issuer, err := s.signingIssuer()
	if err != nil {
		return err
	}
	if err := s.checkIssue(issuer, p); err != nil {
		return err
	}
	id, counts, err := s.pairFor(pairName{p.Schema, issuer.DID})
	if err != nil {
		return err
	}
	first := s.state.Leaves
	leaves := s.prepared.leaves
	if leaves == nil {
		leaves = leavesOf(issuer.DID, p)
	}
	for i, value := range leaves {
		index, key := first+uint64(i), elementKey(prefixLeafOf, value)
		old, found, err := getU64(s, key)
		if err != nil {
			return err
		}
		if found {
			return refuse(ErrDuplicateLeaf, "commitment %d is leaf %d already", i, old)
		}
		s.put(key, u64(index))
		s.put(numbered(prefixLeaf, index), leaf{value, id, statusActive}.row())
		s.leaves[index] = value
	}
	n := uint64(len(p.Commitments))
	counts.Live, counts.Issued = counts.Live+n, counts.Issued+n
	s.pairs[id] = counts
	s.state.Leaves += n
	s.result.FirstLeaf, s.result.Leaves = first, len(p.Commitments)
	return nil
}

func (s *step) checkIssue(issuer entry.RegisteredIssuer, p entry.CredentialsIssued) error {
	schema, ok := s.m.registry.Schema(p.Schema)
	if !ok {
		return refuse(ErrUnknown, "schema %s is not on the chain", p.Schema)
	}
	if !schema.Permits(issuer.DID) {
		return refuse(ErrPermission, "issuer %s may not use schema %s", issuer.DID, schema.Schema.Type)
	}
	issued, n := s.m.issuedBy(issuer.DID), uint64(len(p.Commitments))
	if issued+n > issuer.Quota {
		return refuse(ErrQuota, "issuer %s issued %d, %d more exceed its quota of %d", issuer.DID, issued, n, issuer.Quota)
	}
	if s.state.Leaves+n > tree.Capacity {
		return refuse(ErrFull, "the active tree has %d leaves and no room for %d more", s.state.Leaves, n)
	}
	return nil
}

func (m *Machine) issuedBy(did string) (sum uint64) {
	for _, schema := range m.registry.Schemas {
		if id, ok := m.pairOf[pairName{schema.ID, did}]; ok {
			sum += m.pairs[id].Issued
		}
	}
	return sum
}

// pairFor is the pair with that name, new if need be.
func (s *step) pairFor(name pairName) (uint32, pair, error) {
	if id, ok := s.m.pairOf[name]; ok {
		return id, s.m.pairs[id], nil
	}
	p := pair{pairName: name}
	if s.census+p.size() > maxCensus {
		return 0, p, refuse(ErrFull, "the census would have more than %d bytes", maxCensus)
	}
	id := s.state.Pairs
	s.state.Pairs++
	s.census += p.size()
	return id, p, nil
}

// leavesOf computes the leaves of a batch on all processors: each costs a C4, some 20 µs.
func leavesOf(did string, p entry.CredentialsIssued) []credential.Element {
	leaves := make([]credential.Element, len(p.Commitments))
	issuerID := credential.IssuerID(did)
	part := max(16, (len(leaves)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for start := 0; start < len(leaves); start += part {
		wait.Go(func() {
			for i := start; i < min(start+part, len(leaves)); i++ {
				leaves[i] = credential.Leaf(issuerID, p.Schema, p.Commitments[i])
			}
		})
	}
	wait.Wait()
	return leaves
}

// changeStatus suspends, reinstates or revokes leaves, all or none.
func (s *step) changeStatus(leaves []uint64, to status) error {
	issuer, err := s.signingIssuer()
	if err != nil {
		return err
	}
	for _, index := range leaves {
		l, err := readLeaf(s, index)
		if errors.Is(err, ErrAbsent) {
			return refuse(ErrUnknown, "leaf %d was never issued", index)
		}
		if err != nil {
			return err
		}
		counts, ok := s.pairs[l.Pair]
		if !ok {
			counts = s.m.pairs[l.Pair]
		}
		if counts.Issuer != issuer.DID {
			return refuse(ErrPermission, "leaf %d is not of issuer %s", index, issuer.DID)
		}
		if err := checkTransition(index, l.Status, to); err != nil {
			return err
		}
		if l.Status == statusActive {
			counts.Live--
		}
		if to == statusActive {
			counts.Live++
		}
		l.Status = to
		s.pairs[l.Pair] = counts
		s.put(numbered(prefixLeaf, index), l.row())
		s.leaves[index] = l.active()
	}
	return nil
}

// anchorAudit takes an agency's word of how far its audit log has come. The log only grows.
func (s *step) anchorAudit(p entry.AuditAnchored) error {
	issuer, err := s.signingIssuer()
	if err != nil {
		return err
	}
	last, _, err := getU64(s, prefixAudit+issuer.DID)
	if err != nil {
		return fmt.Errorf("read the audit records of %s: %w", issuer.DID, err)
	}
	if p.Records <= last {
		return refuse(ErrConflict, "%d audit records, but %d are anchored", p.Records, last)
	}
	s.put(prefixAudit+issuer.DID, u64(p.Records))
	return nil
}

func checkTransition(index uint64, from, to status) error {
	switch {
	case from == statusRevoked:
		return refuse(ErrRevoked, "leaf %d is revoked, for good", index)
	case to == statusSuspended && from != statusActive:
		return refuse(ErrConflict, "leaf %d is suspended already", index)
	case to == statusActive && from != statusSuspended:
		return refuse(ErrConflict, "leaf %d is not suspended", index)
	}
	return nil
}
