package issuer

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// ErrAbsent is what a [Store] returns for a row that is not there.
var ErrAbsent = errors.New("row is absent")

// Store keeps an issuer's rows, or a register's. It must be safe for concurrent use, and it must encrypt: rows hold
// people's claims. Keys are in the clear, so nothing personal stands in them.
//
// Whoever can change the store can delete rows or bring back older ones, and so make us forget a revocation or that a
// code was used. Each row must be bound to its key, so that they cannot make up rows or exchange them.
type Store interface {
	// Get returns a row, or [ErrAbsent].
	Get(key string) ([]byte, error)
	// Commit writes rows, all or none; nil deletes. Once it returned nil they survive a power cut. After an error it is
	// open which: the store must refuse everything from then on.
	Commit(rows map[string][]byte) error
	// Scan visits the rows whose keys begin with prefix and are greater than after, ascending, until visit says false.
	Scan(prefix, after string, visit func(key string, value []byte) bool) error
	// Forget takes what was deleted or replaced out of the files, as far as the medium does what it is told.
	Forget() error
}

// RecordKeySize is the length of a record key in bytes.
const RecordKeySize = 32

// subkey derives a key for one use from a record key.
func subkey(recordKey []byte, use string) []byte {
	key, err := hkdf.Key(sha256.New, recordKey, nil, "bulla issuer: "+use, sha256.Size)
	if err != nil {
		panic(err) // only a length that is too great fails
	}
	return key
}

// tag stands for a person in the keys of rows: without the key nobody can test whom a row is about.
func tag(key []byte, person string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(person))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// transaction collects writes over a store: it reads what it wrote. The owner's mutex keeps others away meanwhile.
type transaction struct {
	store Store
	rows  map[string][]byte
}

func begin(s Store) *transaction { return &transaction{s, make(map[string][]byte)} }

// get decodes a row into value, or returns [ErrAbsent].
func (t *transaction) get(key string, value any) error {
	data, written := t.rows[key]
	if !written {
		var err error
		if data, err = t.store.Get(key); err != nil {
			return fmt.Errorf("read row of %s: %w", table(key), err)
		}
	} else if data == nil {
		return ErrAbsent
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("row of %s is damaged", table(key)) // the cause could quote it
	}
	return nil
}

func (t *transaction) put(key string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("issuer: encode row of %s: %T", table(key), err)) // our own types always encode
	}
	t.rows[key] = data
}

func (t *transaction) delete(key string) { t.rows[key] = nil }

// putUntil is put for a row that is worthless, and to be purged, after a time.
func (t *transaction) putUntil(key string, value any, until credential.UnixTime) {
	t.put(key, value)
	t.expire(key, until)
}

// expire says from when on a row is worthless, and to be purged.
func (t *transaction) expire(key string, until credential.UnixTime) {
	t.put(fmt.Sprintf("%s%016x/%s", tableExpiry, int64(until), key), true)
}

func (t *transaction) commit() error {
	if len(t.rows) == 0 {
		return nil
	}
	if err := t.store.Commit(t.rows); err != nil {
		return fmt.Errorf("commit %d rows: %w", len(t.rows), err)
	}
	return nil
}

// table is the part of a key that errors may show.
func table(key string) string {
	name, _, _ := strings.Cut(key, "/")
	return name
}

// The tables of an issuer. A register's begin with tableRegister; those of webhooks with outbox/, those of the directory with officers/.
const (
	rowState         = "state"
	tableApplication = "application/" // by id: what a clerk entered
	tableCode        = "code/"        // by digest: pre-authorized codes not yet used
	tableReference   = "offer/"       // by digest: offers by reference
	tableToken       = "token/"       // by digest: access tokens
	tableOrder       = "order/"       // by id: credential requests that were accepted
	tableOpen        = "open/"        // by id: orders that are not in an intent yet
	tableNonce       = "nonce/"       // nonces that were used
	tableExpiry      = "expiry/"      // by time: rows to purge
	tableCredential  = "credential/"  // by id, which rises with time
	tablePerson      = "person/"      // by person's tag and credential's id
	tableIntent      = "intent/"      // by sequence number: entries not known to be sealed
	tableEntry       = "entry/"       // by sequence number: sealed entries that issued
	tableCase        = "case/"        // by id, which rises with time
	tableWaiting     = "waiting/"     // by what for and id: cases that have not ended
	tableLink        = "link/"        // by digest: private links of cases
	tableExternal    = "external/"    // by tag: the agency's own numbers of cases
	tableIdempotent  = "idempotent/"  // by tag: requests that clients named
	tableTask        = "task/"        // by case's id: changes that approved cases ask for, not in an intent yet
	rowStatusLists   = "status-lists"
	tableStatus      = "status/"   // by list and part: what was taken in it, and the statuses
	tableCount       = "count/"    // by day and schema: what happened
	tableStanding    = "standing/" // by schema: how many there are in each state
	rowCounted       = "counted"   // there are counts
	rowAudit         = "audit-head"
	rowAnchor        = "anchor-last"
	tableAnchor      = "anchor/" // by records: heads of the audit log that the chain has
	tableAudit       = "audit/"  // by number: who did what
	tableRegister    = "register/"
)

// purgeExpired deletes rows whose time has passed, at most limit, and says how many there were.
func purgeExpired(s Store, now credential.UnixTime, limit int) (int, error) {
	rows := make(map[string][]byte)
	end := fmt.Sprintf("%s%016x", tableExpiry, int64(now))
	err := s.Scan(tableExpiry, "", func(key string, _ []byte) bool {
		if key >= end || len(rows) >= 2*limit {
			return false
		}
		_, row, _ := strings.Cut(strings.TrimPrefix(key, tableExpiry), "/")
		rows[key], rows[row] = nil, nil
		return true
	})
	if err != nil {
		return 0, fmt.Errorf("find expired rows: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	if err := s.Commit(rows); err != nil {
		return 0, fmt.Errorf("delete expired rows: %w", err)
	}
	return len(rows) / 2, nil
}
