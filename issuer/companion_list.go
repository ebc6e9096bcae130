package issuer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/statuslist"
)

// The status lists of companions. One list after another is filled, whatever the types of the credentials, so that a list's address says
// as little as it can. Rows hold a list in parts, so that a change writes a kilobyte; a part says which indices are taken and what they
// are, and not whose. Lists that are asked for are kept in memory with their signed form, which is made anew when a status changed or
// the old one is no longer young.

// How long a signed list is good for.
const (
	listTTL      = 5 * time.Minute // verifiers may keep it for so long, and a new one is signed once it is so old
	listLifetime = 24 * time.Hour  // nobody believes it longer: so long can we be away before companions are refused
	listMaxAge   = time.Minute     // caches between may keep it for so long
)

const (
	statusPart = 1024 // indices in a row
	maxServed  = 16   // lists in memory, of some 400 kB each at most
	skipLists  = 1000 // numbers that are left out where records were lost
)

// statusPlace is where a companion's status stands.
type statusPlace struct {
	List  uint64 `json:"list"`
	Index uint64 `json:"index"`
}

// statusLists is the row that says which list is being filled, from 1, and how far.
type statusLists struct {
	Current uint64 `json:"current"`
	Taken   int    `json:"taken"`
}

// statusChange is what a commit changes, for the lists in memory.
type statusChange struct {
	statusPlace
	status statuslist.Status
}

func (i *Issuer) listURI(number uint64) string {
	return i.cfg.URL + listsPath + strconv.FormatUint(number, 10)
}

func statusTable(list uint64) string { return sequenced(tableStatus, list) + "/" }

func (p statusPlace) row() string {
	return fmt.Sprintf("%s%04x", statusTable(p.List), p.Index/statusPart)
}

// readPart reads the part that a place is in: a byte for each index, 0 if it is free, and else its status plus 1.
func readPart(tx *transaction, p statusPlace) ([]byte, error) {
	var part []byte
	switch err := tx.get(p.row(), &part); {
	case errors.Is(err, ErrAbsent):
		return make([]byte, statusPart), nil
	case err != nil:
		return nil, err
	case len(part) != statusPart:
		return nil, fmt.Errorf("row of %s is damaged", table(p.row()))
	}
	return part, nil
}

func currentLists(tx *transaction) (statusLists, error) {
	lists := statusLists{Current: 1}
	if err := tx.get(rowStatusLists, &lists); err != nil && !errors.Is(err, ErrAbsent) {
		return lists, err
	}
	return lists, nil
}

// takeStatus takes a random free index, which is valid, in the list that is being filled, or in the next one if that is full.
func (i *Issuer) takeStatus(ctx context.Context, tx *transaction) (statusPlace, error) {
	lists, err := currentLists(tx)
	if err != nil {
		return statusPlace{}, err
	}
	reference, err := statuslist.Allocate(ctx, &drawing{tx, &lists}, i.listURI(lists.Current), statuslist.Capacity)
	if errors.Is(err, statuslist.ErrFull) {
		lists = statusLists{Current: lists.Current + 1}
		reference, err = statuslist.Allocate(ctx, &drawing{tx, &lists}, i.listURI(lists.Current), statuslist.Capacity)
	}
	if err != nil {
		return statusPlace{}, err
	}
	tx.put(rowStatusLists, lists)
	return statusPlace{lists.Current, reference.Index}, nil
}

// drawing is the list that is being filled, within a transaction: an index is durably taken with the commit, before which nobody
// is shown the credential.
type drawing struct {
	tx    *transaction
	lists *statusLists
}

// Taken implements [statuslist.Indices].
func (d *drawing) Taken(context.Context, string) (int, error) { return d.lists.Taken, nil }

// Take implements [statuslist.Indices].
func (d *drawing) Take(_ context.Context, _ string, index uint64) (bool, error) {
	place := statusPlace{d.lists.Current, index}
	part, err := readPart(d.tx, place)
	if err != nil || part[index%statusPart] != 0 {
		return false, err
	}
	part[index%statusPart] = byte(statuslist.Valid) + 1
	d.tx.put(place.row(), part)
	d.lists.Taken++
	return true, nil
}

// restate gives a credential's companions its status, in the commit of that, and notes what to tell the lists in memory after it.
func (i *Issuer) restate(tx *transaction, r *record, changes *[]statusChange) error {
	for _, place := range r.Statuses {
		part, err := readPart(tx, place)
		if err != nil {
			return err
		}
		part[place.Index%statusPart] = byte(statusOf(r.Status)) + 1
		tx.put(place.row(), part)
		*changes = append(*changes, statusChange{place, statusOf(r.Status)})
	}
	return nil
}

// statusOf is a credential's state as status lists have it.
func statusOf(s Status) statuslist.Status {
	switch s {
	case Active:
		return statuslist.Valid
	case Suspended:
		return statuslist.Suspended
	}
	return statuslist.Invalid
}

// abandonLists ends the list that is being filled, where records were lost: companions that we do not know of may have any of its free
// indices, so these are invalid from now on, and may have later lists, whose numbers are left out. A list that we know nothing of is
// not served, and what refers to it is refused.
func abandonLists(tx *transaction) error {
	lists, err := currentLists(tx)
	if err != nil {
		return err
	}
	for index := uint64(0); lists.Taken > 0 && index < statuslist.Capacity; index += statusPart {
		if err := abandonPart(tx, statusPlace{lists.Current, index}); err != nil {
			return err
		}
	}
	tx.put(rowStatusLists, statusLists{Current: lists.Current + skipLists})
	return nil
}

func abandonPart(tx *transaction, p statusPlace) error {
	part, err := readPart(tx, p)
	if err != nil {
		return err
	}
	for n, taken := range part {
		if taken == 0 {
			part[n] = byte(statuslist.Invalid) + 1
		}
	}
	tx.put(p.row(), part)
	return nil
}

// SignedList is a status list as it is served.
type SignedList struct {
	Token string
	Tag   string // of this very token, for caches
}

// servedLists are the lists in memory. Its mutex is taken after Issuer.mu, never before.
type servedLists struct {
	mu      sync.Mutex
	known   map[uint64]*servedList
	signing sync.Mutex // one list is signed at a time, without mu
}

type servedList struct {
	list    *statuslist.List
	changes uint64 // how often it changed

	signed   SignedList
	signedAt time.Time
	of       uint64 // changes when it was signed
}

// apply tells the lists in memory what was committed. The caller holds Issuer.mu, as who reads a list from its rows does.
func (s *servedLists) apply(changes []statusChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		known, ok := s.known[c.List]
		if !ok {
			continue
		}
		if err := known.list.Set(c.Index, c.status); err != nil {
			delete(s.known, c.List) // it is read anew
			continue
		}
		known.changes++
	}
}

// forget makes every list be read anew.
func (s *servedLists) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// fresh is a list's signed form, if it need not be made anew.
func (s *servedLists) fresh(number uint64, now time.Time) (SignedList, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.known[number]
	if !ok || known.signed.Token == "" || known.of != known.changes {
		return SignedList{}, false
	}
	age := now.Sub(known.signedAt)
	return known.signed, age >= 0 && age < listTTL
}

// copy is a list as it is now.
func (s *servedLists) copy(number uint64) (list *statuslist.List, changes uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.known[number]
	if !ok {
		return nil, 0, false
	}
	return known.list.Clone(), known.changes, true
}

// keep puts a list into memory, in the place of any other if there are many.
func (s *servedLists) keep(number uint64, list *statuslist.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.known {
		if len(s.known) < maxServed {
			break
		}
		delete(s.known, other)
	}
	s.known[number] = &servedList{list: list}
}

// sign keeps a signed form, if the list is still there.
func (s *servedLists) sign(number uint64, signed SignedList, at time.Time, of uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.known[number]; ok {
		known.signed, known.signedAt, known.of = signed, at, of
	}
}

// StatusList is a status list of companions, signed, or [ErrNotFound]. It says what was true at most 5 minutes ago.
func (i *Issuer) StatusList(number uint64) (SignedList, error) {
	if signed, ok := i.lists.fresh(number, i.cfg.Clock()); ok {
		return signed, nil
	}
	i.lists.signing.Lock()
	defer i.lists.signing.Unlock()
	if signed, ok := i.lists.fresh(number, i.cfg.Clock()); ok {
		return signed, nil // meanwhile
	}
	list, changes, ok := i.lists.copy(number)
	if !ok {
		if err := i.readList(number); err != nil {
			return SignedList{}, err
		}
		if list, changes, ok = i.lists.copy(number); !ok { // forgotten in between, as records were lost
			return SignedList{}, refuse(ErrUnavailable, "ask again")
		}
	}
	now := i.cfg.Clock().Truncate(time.Second)
	token := statuslist.Token{URI: i.listURI(number), IssuedAt: now, ExpiresAt: now.Add(listLifetime), TTL: listTTL, List: list}
	text, err := token.Sign(i.cfg.Keys.Companion)
	if err != nil {
		return SignedList{}, fmt.Errorf("status list %d: %w", number, err)
	}
	signed := SignedList{text, `"` + credential.DigestOf([]byte(text)).String() + `"`}
	i.lists.sign(number, signed, now, changes)
	return signed, nil
}

// readList reads a list from its rows, between two commits.
func (i *Issuer) readList(number uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	list, err := statuslist.New(statuslist.Bits, statuslist.Capacity)
	if err != nil {
		return err
	}
	found := false
	var failed error
	prefix := statusTable(number)
	err = eachRow(i.cfg.Store, prefix, func(key string, part []byte) {
		n, err := strconv.ParseUint(strings.TrimPrefix(key, prefix), 16, 32)
		if err != nil || len(part) != statusPart {
			failed = fmt.Errorf("row of %s is damaged", table(key))
			return
		}
		found = true
		for k, taken := range part {
			if taken > byte(statuslist.Valid)+1 {
				failed = errors.Join(failed, list.Set(n*statusPart+uint64(k), statuslist.Status(taken-1)))
			}
		}
	})
	switch err := errors.Join(err, failed); {
	case err != nil:
		return fmt.Errorf("read status list %d: %w", number, err)
	case !found:
		return refuse(ErrNotFound, "there is no status list with that number")
	}
	i.lists.keep(number, list)
	return nil
}
