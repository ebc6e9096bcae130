package issuer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
)

// token is the row of an access token. It is for the credential of one application, and nothing else.
type token struct {
	Application string              `json:"application"`
	ExpiresAt   credential.UnixTime `json:"expires_at"`
}

// Codes and tokens have 256 random bits: a plain digest hides them.
func codeRow(code string) string {
	return tableCode + credential.DigestOf([]byte(code)).String()
}

func tokenRow(accessToken string) string {
	return tableToken + credential.DigestOf([]byte(accessToken)).String()
}

// Token exchanges a pre-authorized code, and the transaction code if the offer has one, for an access token. A code
// works once; five wrong transaction codes lock the offer. Refused with [ErrGrant], or with [ErrRequest] if a
// transaction code is missing or was not asked for.
func (i *Issuer) Token(code, txCode string) (openid.TokenResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	a, err := i.redeem(tx, code, txCode)
	if err != nil {
		if commitErr := tx.commit(); commitErr != nil { // a try that is not counted is no try
			return openid.TokenResponse{}, commitErr
		}
		return openid.TokenResponse{}, err
	}
	accessToken := webapi.RandomID()
	expires := i.now() + credential.UnixTime(i.cfg.TokenLifetime/time.Second)
	tx.putUntil(tokenRow(accessToken), token{a, expires}, expires)
	if err := tx.commit(); err != nil {
		return openid.TokenResponse{}, fmt.Errorf("make access token: %w", err)
	}
	return openid.TokenResponse{AccessToken: accessToken, TokenType: "Bearer", ExpiresIn: int(i.cfg.TokenLifetime / time.Second)}, nil
}

// redeem uses up a code and returns the application's id.
func (i *Issuer) redeem(tx *transaction, code, txCode string) (string, error) {
	unknown := refuse(ErrGrant, "the code is unknown, used or expired: ask the agency for a new offer")
	var id string
	var a application
	err := tx.get(codeRow(code), &id)
	if err == nil {
		err = tx.get(tableApplication+id, &a)
	}
	switch {
	case errors.Is(err, ErrAbsent):
		return "", unknown
	case err != nil:
		return "", err
	case i.now() >= a.ExpiresAt:
		return "", unknown
	case a.TxCode == "" && txCode != "":
		return "", refuse(ErrRequest, "the offer has no transaction code")
	case a.TxCode != "" && txCode == "":
		return "", refuse(ErrRequest, "the offer needs a transaction code")
	case subtle.ConstantTimeCompare([]byte(a.TxCode), []byte(txCode)) != 1:
		return "", i.countTry(tx, codeRow(code), a)
	}
	tx.delete(codeRow(code))
	return a.ID, nil
}

func (i *Issuer) countTry(tx *transaction, codeRow string, a application) error {
	a.Tries++
	if a.Tries >= maxTries {
		tx.delete(codeRow)
		tx.delete(tableApplication + a.ID)
		return refuse(ErrGrant, "wrong transaction code, too often: ask the agency for a new offer")
	}
	tx.put(tableApplication+a.ID, a)
	return refuse(ErrGrant, "wrong transaction code, %d tries are left", maxTries-a.Tries)
}

// authorize finds the application that an access token is for.
func (i *Issuer) authorize(tx *transaction, accessToken string) (a application, err error) {
	var t token
	err = tx.get(tokenRow(accessToken), &t)
	if err == nil && i.now() < t.ExpiresAt {
		err = tx.get(tableApplication+t.Application, &a)
	} else if err == nil {
		err = ErrAbsent
	}
	if errors.Is(err, ErrAbsent) {
		return a, refuse(ErrAccessToken, "the access token is unknown or expired")
	}
	return a, err
}

// A nonce is u64be expiry ‖ 16 random bytes ‖ 16 bytes of HMAC: nothing is stored until it is used, so that asking for
// nonces, which anybody may, fills no disk.
const nonceSize = 8 + 16 + 16

// Nonce makes a nonce for one credential request.
func (i *Issuer) Nonce() openid.NonceResponse {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceSize), uint64(i.cfg.Clock().Add(i.cfg.NonceLifetime).Unix()))
	b = b[:24]
	rand.Read(b[8:])
	return openid.NonceResponse{Nonce: base64.RawURLEncoding.EncodeToString(append(b, i.nonceTag(b)...))}
}

func (i *Issuer) nonceTag(b []byte) []byte {
	mac := hmac.New(sha256.New, i.nonceKey)
	mac.Write(b)
	return mac.Sum(nil)[:16]
}

// checkNonce checks that a nonce is ours and not expired. Whether it was used is asked where it is used up.
func (i *Issuer) checkNonce(nonce string) (expires credential.UnixTime, err error) {
	b, err := credential.ParseBase64(nonce, nonceSize)
	if err != nil || subtle.ConstantTimeCompare(i.nonceTag(b[:24]), b[24:]) != 1 {
		return 0, refuse(ErrNonce, "the nonce is not one of ours: fetch one")
	}
	if expires = credential.UnixTime(binary.BigEndian.Uint64(b)); i.now() >= expires {
		return 0, refuse(ErrNonce, "the nonce is expired: fetch another")
	}
	return expires, nil
}

// useNonce uses a nonce up.
func useNonce(tx *transaction, nonce string, expires credential.UnixTime) error {
	var used bool
	switch err := tx.get(tableNonce+nonce, &used); {
	case err == nil:
		return refuse(ErrNonce, "the nonce was used: fetch another")
	case !errors.Is(err, ErrAbsent):
		return err
	}
	tx.putUntil(tableNonce+nonce, true, expires)
	return nil
}
