package verifier

import "errors"

// Store keeps sessions and used tags. Whoever can change it can make us forget that a tag was used, or that a request
// was answered. Package verifier/store has one in Pebble and one in memory; what another must keep to is tested by
// verifier/store/storetest.
//
// Nobody is shown or told what is not durable: neither Get nor Each give a row, nor does Commit say that one is taken or
// changed, that a power cut could still take back. Else an application could act on a result whose tag is free again.
type Store interface {
	// Get reads a row, or returns [ErrAbsent]. The caller may change the copy.
	Get(key string) ([]byte, error)
	// Commit applies a batch whole or not at all, and only if all its conditions hold: [ErrChanged], [*TakenError].
	// Of two batches that exclude each other one wins. When it returns nil the batch is durable; after any other error
	// it is open whether it was applied. A key must not be both in Set and in Delete.
	Commit(b Batch) error
	// Each visits the rows whose keys begin with prefix as of one moment, ascending, until visit returns an error, which it returns.
	Each(prefix string, visit func(key string, value []byte) error) error
	// EachFrom is Each for the rows that are not below from.
	EachFrom(prefix, from string, visit func(key string, value []byte) error) error
}

// Batch is a conditional write. Conditions are looked at in the order of the fields.
type Batch struct {
	Same   map[string][]byte // rows that must be there and be exactly this, else ErrChanged
	Absent []string          // rows that must not be there, else a TakenError with the first that is
	Set    map[string][]byte
	Delete []string
}

// ErrAbsent is returned for rows that are not there.
var ErrAbsent = errors.New("row is absent")

// ErrChanged is returned if a row is not what a batch expects.
var ErrChanged = errors.New("row has changed")

// TakenError is returned if a row that a batch wants to be the first to write is there.
type TakenError struct{ Key string }

// Error does not quote the key, which may hold a person's tag.
func (*TakenError) Error() string { return "row is taken" }
