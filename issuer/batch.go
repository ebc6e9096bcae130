package issuer

import (
	"cmp"
	"errors"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// prepare decides which of the requests, all of one group, can go into an entry, and writes the intent. It answers
// those that are refused, and those whose credential is on its way already. A nil flight means that nothing is left to
// send. An error means that the store failed, and nobody was answered.
func (i *Issuer) prepare(requests []*request) (f *flight, sent []*request, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := &batch{issuer: i, tx: begin(i.cfg.Store)}
	if err := b.tx.get(rowState, &b.state); err != nil {
		return nil, nil, err
	}
	for _, r := range requests {
		if r.abandoned() {
			continue
		}
		err := b.addRequest(r)
		var refusal *Refusal
		switch {
		case errors.As(err, &refusal):
			r.answer(reply{err: refusal})
		case err != nil:
			return nil, nil, err
		}
	}
	if err := b.admit(); err != nil {
		return nil, nil, err
	}
	if len(b.members) > 0 {
		if f, err = b.seal(); err != nil {
			return nil, nil, err
		}
	}
	if err := b.tx.commit(); err != nil {
		return nil, nil, err
	}
	if f != nil {
		i.flights.add(f)
	}
	for _, j := range b.joined { // after add: one may have joined a member of this batch
		j.request.answer(reply{credential: j.credential, flight: i.flights.find(j.sequence)})
	}
	for _, m := range b.members {
		sent = append(sent, m.request)
	}
	return f, sent, nil
}

// batch is an entry in the making.
type batch struct {
	issuer  *Issuer
	tx      *transaction
	state   state
	members []*member
	joined  []joined
}

// member is a request that goes into the entry.
type member struct {
	request     *request
	record      *record
	application application // when issuing
	commitment  credential.Element
}

// joined is a request whose credential was asked for before.
type joined struct {
	request    *request
	credential string
	sequence   uint64
}

func (b *batch) addRequest(r *request) error {
	if r.issue != nil {
		return b.addIssuance(r)
	}
	return b.addChange(r)
}

// addIssuance uses up the nonce and makes the credential, unless the application has one.
func (b *batch) addIssuance(r *request) error {
	a, err := b.issuer.authorize(b.tx, r.issue.accessToken)
	if err != nil {
		return err
	}
	if err := useNonce(b.tx, r.issue.proof.Nonce, r.issue.nonceExpires); err != nil {
		return err
	}
	if a.Credential != "" {
		return b.join(r, a)
	}
	for _, m := range b.members { // the same wallet twice at once: the record is not written yet
		if m.application.ID == a.ID {
			return refuse(ErrUnavailable, "the offer is being answered: ask again")
		}
	}
	record, err := b.issuer.newRecord(r.issue.schema, a, r.issue.proof.HolderCommitment)
	if err != nil {
		return err
	}
	record.Sequence = b.state.Next
	commitment, _, err := b.issuer.wire(r.issue.schema, record).Commitment()
	if err != nil {
		return errors.New("compute commitment: claims no longer fit the schema") // the cause quotes claims
	}
	b.members = append(b.members, &member{r, record, a, commitment})
	return nil
}

// join gives the credential that the application has to the wallet that asked for it first.
func (b *batch) join(r *request, a application) error {
	var old record
	if err := b.tx.get(tableCredential+a.Credential, &old); err != nil {
		return err
	}
	if old.HolderCommitment != r.issue.proof.HolderCommitment {
		return refuse(ErrOffer, "the offer was answered with another holder commitment: ask the agency for a new offer")
	}
	b.joined = append(b.joined, joined{r, old.ID, old.Sequence})
	return nil
}

// admit asks the enrolment register for all members at once and drops those that it refuses. Its rows are committed
// before ours: if we stop in between, Reconcile finds holdings without credential; never a credential without holding.
func (b *batch) admit() error {
	if len(b.members) == 0 || b.members[0].request.issue == nil {
		return nil
	}
	s := b.members[0].request.issue.schema
	admissions := make([]Admission, len(b.members))
	for n, m := range b.members {
		admissions[n] = Admission{
			Person: m.application.Person, Pseudonym: m.request.issue.proof.Pseudonym, Exclusive: s.OnePerPerson,
			Holding: Holding{b.issuer.cfg.DID, m.record.ID, s.Type, m.record.ValidFrom, m.record.ValidUntil},
		}
	}
	refusals, err := s.register.Admit(admissions)
	if err != nil {
		return err
	}
	var admitted []*member
	for n, m := range b.members {
		if refusals[n] != nil {
			// The nonce stays used; nothing else was written for this request.
			m.request.answer(reply{err: refusals[n]})
			continue
		}
		admitted = append(admitted, m)
	}
	b.members = admitted
	return nil
}

// addChange checks that a credential is in the state that the change starts from.
func (b *batch) addChange(r *request) error {
	record := new(record)
	switch err := b.tx.get(tableCredential+r.change.credential, record); {
	case errors.Is(err, ErrAbsent):
		return refuse(ErrNotFound, "there is no credential with that id")
	case err != nil:
		return err
	}
	if err := checkChange(record, r.change.kind); err != nil {
		return err
	}
	record.Change = r.change.kind
	b.tx.put(tableCredential+record.ID, record)
	b.members = append(b.members, &member{request: r, record: record})
	return nil
}

// seal signs the entry and writes records, intent and the next sequence number.
func (b *batch) seal() (*flight, error) {
	i, in := b.issuer, intent{Sequence: b.state.Next}
	payload := b.payload()
	signed, err := entry.Sign(entry.Draft{Genesis: i.cfg.Genesis, Signer: i.cfg.DID, Sequence: in.Sequence, Payload: payload}, i.cfg.Keys.Signing)
	if err != nil {
		return nil, err
	}
	in.Kind, in.Entry = signed.Header().Kind, signed.Bytes()
	for _, m := range b.members {
		it := item{Credential: m.record.ID}
		if m.request.issue != nil {
			it.Application, it.Nonce = m.application.ID, m.request.issue.proof.Nonce
			m.application.Credential = m.record.ID
			b.tx.put(tableApplication+m.application.ID, m.application)
			b.tx.put(tableCredential+m.record.ID, m.record)
			b.tx.put(i.personRow(m.record), true)
		} else {
			it.Reason = m.request.change.reason
		}
		in.Items = append(in.Items, it)
	}
	b.state.Next++
	b.tx.put(rowState, b.state)
	b.tx.put(sequenced(tableIntent, in.Sequence), in)
	return newFlight(in, signed), nil
}

func (i *Issuer) personRow(r *record) string {
	return tablePerson + tag(i.tagKey, r.Person) + "/" + r.ID
}

// payload is the content of the entry. Leaves must ascend, so changes are sorted.
func (b *batch) payload() entry.Payload {
	first := b.members[0].request
	if first.issue != nil {
		p := entry.CredentialsIssued{Schema: first.issue.schema.id}
		for _, m := range b.members {
			p.Commitments = append(p.Commitments, m.commitment)
		}
		return p
	}
	slices.SortFunc(b.members, func(x, y *member) int { return cmp.Compare(x.record.Leaf, y.record.Leaf) })
	var leaves []uint64
	for _, m := range b.members {
		leaves = append(leaves, m.record.Leaf)
	}
	switch first.change.kind {
	case entry.KindCredentialsSuspended:
		return entry.CredentialsSuspended{Leaves: leaves}
	case entry.KindCredentialsReinstated:
		return entry.CredentialsReinstated{Leaves: leaves}
	}
	return entry.CredentialsRevoked{Leaves: leaves}
}
