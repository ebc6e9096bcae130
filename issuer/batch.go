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
	b, f, err := i.assemble(requests)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range b.answers {
		i.answer(a.request, a.reply)
	}
	for _, m := range b.members {
		sent = append(sent, m.request)
	}
	return f, sent, nil
}

// assemble is prepare but for the answers.
func (i *Issuer) assemble(requests []*request) (b *batch, f *flight, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b = &batch{issuer: i, tx: begin(i.cfg.Store)}
	if err := b.tx.get(rowState, &b.state); err != nil {
		return nil, nil, err
	}
	for _, r := range requests {
		if r.abandoned() {
			continue
		}
		err := b.add(r)
		var refusal *Refusal
		if errors.As(err, &refusal) {
			err = b.refuse(r, refusal)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if err := b.admit(); err != nil {
		return nil, nil, err
	}
	if len(b.members) > 0 || b.anchor != nil {
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
		b.answers = append(b.answers, answered{j.request, reply{credential: j.credential, flight: i.flights.find(j.sequence)}})
	}
	return b, f, nil
}

// batch is an entry in the making.
type batch struct {
	issuer  *Issuer
	tx      *transaction
	state   state
	members []*member
	joined  []joined
	anchor  *AuditHead // instead of members
	answers []answered // due once the batch is written
}

// member is a request that goes into the entry.
type member struct {
	request    *request
	record     *record
	order      *order // when issuing
	commitment credential.Element
}

// joined is a request whose credential was made before.
type joined struct {
	request    *request
	credential string
	sequence   uint64
}

type answered struct {
	request *request
	reply   reply
}

func (b *batch) add(r *request) error {
	switch {
	case r.issue != nil:
		return b.addIssuance(r)
	case r.change != nil:
		return b.addChange(r)
	}
	return b.addAnchor(r)
}

// refuse answers a request with no, for good if it is an order's.
func (b *batch) refuse(r *request, refusal *Refusal) error {
	b.answers = append(b.answers, answered{r, reply{err: refusal}})
	switch {
	case r.issue != nil:
		return b.issuer.decline(b.tx, r.issue.ID, refusal)
	case r.change != nil && r.change.file != "":
		return b.taskRefused(r.change, refusal)
	}
	return nil
}

// addIssuance makes the credential of an order, unless it has one.
func (b *batch) addIssuance(r *request) error {
	o := new(order)
	switch err := b.tx.get(tableOrder+r.issue.ID, o); {
	case err != nil:
		return err
	case o.Refused != nil:
		b.answers = append(b.answers, answered{r, reply{err: o.Refused}})
		return nil
	case o.Credential != "":
		var old record
		if err := b.tx.get(tableCredential+o.Credential, &old); err != nil {
			return err
		}
		b.joined = append(b.joined, joined{r, old.ID, old.Sequence})
		return nil
	}
	if err := b.decided(o); err != nil {
		return err
	}
	s, ok := b.issuer.schemas[o.Application.Schema]
	if !ok {
		return refuse(ErrConfiguration, "this agency no longer issues credentials of that type")
	}
	record, err := b.issuer.newRecord(s, o.Application, o.Holder)
	if err != nil {
		return err
	}
	record.Sequence = b.state.Next
	commitment, _, err := b.issuer.wire(s, record).Commitment()
	if err != nil {
		return errors.New("compute commitment: claims no longer fit the schema") // the cause quotes claims
	}
	b.members = append(b.members, &member{r, record, o, commitment})
	return nil
}

// decided puts into an order what its case says now: it may have been edited since the wallet asked.
func (b *batch) decided(o *order) error {
	if o.Application.Case == "" {
		return nil
	}
	var c caseFile
	if err := b.tx.get(tableCase+o.Application.Case, &c); err != nil {
		return err
	}
	if c.State != CaseApproved || c.Order != o.ID {
		return refuse(ErrDenied, "the case is %s", c.State)
	}
	o.Application.Application = *c.Application
	return nil
}

// admit asks the enrolment register for all members at once and drops those that it refuses. Its rows are committed
// before ours: if we stop in between, Reconcile finds holdings without credential; never a credential without holding.
func (b *batch) admit() error {
	if len(b.members) == 0 || b.members[0].request.issue == nil {
		return nil
	}
	s := b.issuer.schemas[b.members[0].record.Schema]
	admissions := make([]Admission, len(b.members))
	for n, m := range b.members {
		admissions[n] = Admission{
			Person: m.record.Person, Pseudonym: m.order.Pseudonym, Exclusive: s.OnePerPerson,
			Holding: Holding{b.issuer.cfg.DID, m.record.ID, s.Type, m.record.ValidFrom, m.record.ValidUntil},
		}
	}
	refusals, err := s.register.Admit(admissions)
	if err != nil {
		return err
	}
	var admitted []*member
	for n, m := range b.members {
		var refusal *Refusal
		if errors.As(refusals[n], &refusal) {
			if err := b.refuse(m.request, refusal); err != nil {
				return err
			}
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
	if err := b.issuer.note(b.tx, r.change.by, DidRequest, record.ID, string(r.change.kind)+" "+string(r.change.reason.Code)); err != nil {
		return err
	}
	record.Change = r.change.kind
	b.tx.put(tableCredential+record.ID, record)
	b.members = append(b.members, &member{request: r, record: record})
	return nil
}

// seal signs the entry and writes records, intent and the next sequence number.
func (b *batch) seal() (*flight, error) {
	i, in := b.issuer, intent{Sequence: b.state.Next, Anchor: b.anchor}
	payload := b.payload()
	signed, err := entry.Sign(entry.Draft{Genesis: i.cfg.Genesis, Signer: i.cfg.DID, Sequence: in.Sequence, Payload: payload}, i.cfg.Keys.Signing)
	if err != nil {
		return nil, err
	}
	in.Kind, in.Entry = signed.Header().Kind, signed.Bytes()
	for _, m := range b.members {
		it := item{Credential: m.record.ID}
		if m.order != nil {
			it.Order, m.order.Credential = m.order.ID, m.record.ID
			b.tx.put(tableOrder+it.Order, m.order)
			b.tx.delete(tableOpen + it.Order)
			b.tx.put(tableCredential+m.record.ID, m.record)
			b.tx.put(i.personRow(m.record), true)
		} else {
			it.Reason, it.By, it.Case = &m.request.change.reason, m.request.change.by, m.request.change.file
			if it.Case != "" {
				b.tx.delete(tableTask + it.Case)
			}
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
	if b.anchor != nil {
		return entry.AuditAnchored(*b.anchor)
	}
	first := b.members[0].request
	if first.issue != nil {
		p := entry.CredentialsIssued{Schema: b.members[0].record.SchemaID}
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
