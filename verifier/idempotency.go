package verifier

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/credential"
)

// IdempotencyHeader names a request, so that an application that lost the answer can ask again without starting a second session
// (draft-ietf-httpapi-idempotency-key-header-07).
const IdempotencyHeader = "Idempotency-Key"

const (
	maxIdempotencyKey = 255 // characters
	keepKey           = credential.UnixTime(24 * 60 * 60)
)

// ErrKeyUsed is returned for a key of another request.
var ErrKeyUsed = errors.New("the key was used for another request: take a new one")

const errKey = malformed(IdempotencyHeader + " is not 1 to 255 printable characters without space, quotes, comma, semicolon or backslash")

// idempotencyParameter is the header that names a request, in the document.
var idempotencyParameter = &huma.Param{
	Name: IdempotencyHeader, In: "header", Schema: &huma.Schema{Type: "string", MaxLength: new(maxIdempotencyKey + 2)},
	Description: "Names the request: the same again within a day gets the same session, and is not carried out twice.",
}

// named is the row of a request that was named, written in one commit with its session: both are there, or neither.
type named struct {
	Request credential.Digest   `json:"request"` // what was asked for
	Until   credential.UnixTime `json:"until"`
	Started Started             `json:"started"` // what was answered
}

// parseIdempotencyKey reads a key: a text of the structured field, or what stands in its quotes.
func parseIdempotencyKey(text string) (string, error) {
	key := text
	if inner, quoted := strings.CutPrefix(text, `"`); quoted {
		var closed bool
		if key, closed = strings.CutSuffix(inner, `"`); !closed {
			key = ""
		}
	}
	plain := func(r rune) bool { return r > 0x20 && r < 0x7f && !strings.ContainsRune(`"\,;`, r) }
	if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return !plain(r) }) {
		return "", errKey
	}
	return key, nil
}

// Rows of requests that are named: by whose they are, and when they are dropped.
const (
	namedPrefix    = "named/"
	namedDuePrefix = "due-named/"
)

func namedKey(client, key string) (string, error) {
	text, err := credential.Canonical([]string{client, key})
	return namedPrefix + credential.DigestOf(text).String(), err
}

func namedDueKey(until credential.UnixTime, row string) string {
	return fmt.Sprintf("%s%016x/%s", namedDuePrefix, uint64(until), strings.TrimPrefix(row, namedPrefix))
}

// digest is what is asked for: two with the same parts are the same.
func (a *Ask) digest() (credential.Digest, error) {
	text, err := credential.Canonical(struct {
		Policy    string `json:"policy"`
		Lifetime  int64  `json:"lifetime"` // seconds
		ReturnURI string `json:"return_uri"`
	}{a.Policy, int64(a.Lifetime / time.Second), a.ReturnURI})
	return credential.DigestOf(text), err
}

// StartOnce is StartWith for a request that ask.Key names: the same again within a day is answered as the first time, replayed, and
// starts nothing; another under the same key is refused with [ErrKeyUsed]. What failed may be asked again under the same key.
func (v *Verifier) StartOnce(ctx context.Context, client string, ask Ask) (started *Started, replayed bool, err error) {
	row, err := namedKey(client, ask.Key)
	if err != nil {
		return nil, false, fmt.Errorf("start session: %w", err)
	}
	request, err := ask.digest()
	if err != nil {
		return nil, false, fmt.Errorf("start session: %w", err)
	}
	for range maxConflicts {
		known, text, err := v.readNamed(row)
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("start session: %w", err)
		case known != nil && known.Until > credential.UnixTimeOf(v.cfg.Clock()) && known.Request != request:
			return nil, false, ErrKeyUsed
		case known != nil && known.Until > credential.UnixTimeOf(v.cfg.Clock()):
			return &known.Started, true, nil
		}
		started, err = v.start(ctx, client, ask, func(b *Batch, started *Started) error {
			return v.keepNamed(b, row, text, known, named{Request: request, Started: *started})
		})
		var taken *TakenError
		if !errors.Is(err, ErrChanged) && !(errors.As(err, &taken) && taken.Key == row) {
			return started, false, err
		} // somebody was faster: see what they were told
	}
	return nil, false, fmt.Errorf("start session: key changed %d times meanwhile", maxConflicts)
}

// readNamed is the row of a request with its bytes, or nil.
func (v *Verifier) readNamed(row string) (*named, []byte, error) {
	text, err := v.cfg.Store.Get(row)
	if errors.Is(err, ErrAbsent) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read key: %w", err)
	}
	var known named
	if err := credential.ParseCanonical(text, &known); err != nil {
		return nil, nil, fmt.Errorf("read key: %w", err)
	}
	return &known, text, nil
}

// keepNamed adds the row of a request, in the place of one that is over.
func (v *Verifier) keepNamed(b *Batch, row string, oldText []byte, old *named, n named) error {
	n.Until = credential.UnixTimeOf(v.cfg.Clock()) + keepKey
	text, err := credential.Canonical(n)
	if err != nil {
		return err
	}
	if old == nil {
		b.Absent = append(b.Absent, row)
	} else {
		b.Same = map[string][]byte{row: oldText}
		b.Delete = append(b.Delete, namedDueKey(old.Until, row))
	}
	b.Set[row], b.Set[namedDueKey(n.Until, row)] = text, []byte{}
	return nil
}

// purgeNamed drops the keys whose day is over.
func (v *Verifier) purgeNamed(ctx context.Context) error {
	for {
		var due []string
		now := uint64(credential.UnixTimeOf(v.cfg.Clock()))
		err := v.cfg.Store.Each(namedDuePrefix, func(key string, _ []byte) error {
			number, _, _ := strings.Cut(strings.TrimPrefix(key, namedDuePrefix), "/")
			if until, err := strconv.ParseUint(number, 16, 63); err == nil && until > now || len(due) == purgeBatch {
				return errEnough
			}
			due = append(due, key)
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		for _, key := range due {
			if err := errors.Join(ctx.Err(), v.dropNamed(key)); err != nil {
				return err
			}
		}
		if len(due) < purgeBatch {
			return nil
		}
	}
}

// dropNamed drops the row that is due, unless its key was taken anew meanwhile.
func (v *Verifier) dropNamed(dueKey string) error {
	b := Batch{Delete: []string{dueKey}}
	_, name, _ := strings.Cut(strings.TrimPrefix(dueKey, namedDuePrefix), "/")
	row := namedPrefix + name
	known, text, err := v.readNamed(row)
	if err != nil {
		return err
	}
	if known != nil && namedDueKey(known.Until, row) == dueKey {
		b.Same, b.Delete = map[string][]byte{row: text}, append(b.Delete, row)
	}
	if err := v.cfg.Store.Commit(b); !errors.Is(err, ErrChanged) {
		return err
	}
	return nil // whoever took it dropped the row that was due
}
