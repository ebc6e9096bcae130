package issuer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// IdempotencyHeader names a request, so that a client that lost the answer can ask again without having it done twice
// (draft-ietf-httpapi-idempotency-key-header-07).
const IdempotencyHeader = "Idempotency-Key"

const (
	maxIdempotencyKey   = 255 // characters
	idempotencyLifetime = 24 * time.Hour
)

// idempotent is the row of a request that was named.
//
// It is written before the request is carried out, and again with the answer. If we stop in between, nobody knows whether it was: who
// asks again is told so, and it is never done twice.
type idempotent struct {
	Request credential.Digest `json:"request"` // what was asked, with all its parts
	Process string            `json:"process"` // which of our lives it was
	Done    bool              `json:"done"`
	Answer  json.RawMessage   `json:"answer,omitempty"` // once it is done
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
	plain := func(r rune) bool { return r > 0x20 && r < 0x7f && r != '"' && r != '\\' && r != ',' && r != ';' }
	if key == "" || len(key) > maxIdempotencyKey || strings.IndexFunc(key, func(r rune) bool { return !plain(r) }) >= 0 {
		return "", refuse(ErrRequest, "%s is not 1 to %d printable characters without space, quotes, comma or semicolon", IdempotencyHeader, maxIdempotencyKey)
	}
	return key, nil
}

// idempotencyRow hides who asked: an officer's key is nobody else's.
func (i *Issuer) idempotencyRow(by Officer, key string) string {
	mac := hmac.New(sha256.New, i.idempotencyKey)
	fmt.Fprintf(mac, "%d %s %s", len(by), by, key)
	return tableIdempotent + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// requestDigest is what a request asks for: two with the same parts are the same.
func requestDigest(operation string, in any) (credential.Digest, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return credential.Digest{}, errors.New("encode a request") // the cause may quote it
	}
	return credential.DigestOf(append([]byte(operation+"\x00"), text...)), nil
}

// carryOut carries a request out, or finds the answer that it had. Refused with [ErrIdempotency] if the key was used for another request, is
// in use at this moment, or was when we stopped. What was refused or failed may be asked again under the same key.
func carryOut[Out any](i *Issuer, by Officer, key string, request credential.Digest, do func() (*Out, error)) (out *Out, replayed bool, err error) {
	row := i.idempotencyRow(by, key)
	known, err := i.takeKey(row, request)
	if err != nil {
		return nil, false, err
	}
	if known != nil {
		out = new(Out)
		if json.Unmarshal(known, out) != nil {
			return nil, false, fmt.Errorf("row of %s is damaged", table(row))
		}
		return out, true, nil
	}
	if out, err = do(); err != nil { // nothing was done, or asking again finds what was
		return nil, false, errors.Join(err, i.freeKey(row))
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, false, errors.New("encode an answer") // the cause may quote it
	}
	return out, false, i.keepAnswer(row, idempotent{Request: request, Process: i.process, Done: true, Answer: answer})
}

// takeKey takes a key for a request, or finds the answer.
func (i *Issuer) takeKey(row string, request credential.Digest) (answer json.RawMessage, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var known idempotent
	switch err := tx.get(row, &known); {
	case errors.Is(err, ErrAbsent):
		tx.putUntil(row, idempotent{Request: request, Process: i.process}, i.now()+credential.UnixTime(idempotencyLifetime/time.Second))
		return nil, tx.commit()
	case err != nil:
		return nil, err
	case known.Request != request:
		return nil, refuse(ErrIdempotency, "the key was used for another request: take a new one")
	case known.Done:
		return known.Answer, nil
	case known.Process == i.process:
		return nil, refuse(ErrBusy, "the same request is under way: ask again")
	}
	return nil, refuse(ErrIdempotency, "the agency stopped while it carried the request out: look whether it did, then take a new key")
}

func (i *Issuer) keepAnswer(row string, r idempotent) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	tx.put(row, r)
	return tx.commit()
}

func (i *Issuer) freeKey(row string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	tx.delete(row)
	return tx.commit()
}

// forgetAnswers drops the answers that speak of something that is erased, by its ids.
func (i *Issuer) forgetAnswers(tx *transaction, ids []string) error {
	return eachRow(i.cfg.Store, tableIdempotent, func(key string, r idempotent) {
		for _, id := range ids {
			if bytes.Contains(r.Answer, []byte(id)) {
				tx.delete(key)
				return
			}
		}
	})
}
