package issuer

import (
	"context"
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
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
)

// token is the row of an access token. It is for the credential of one application, and nothing else.
type token struct {
	Application string              `json:"application"`
	ExpiresAt   credential.UnixTime `json:"expires_at"`
	Thumbprint  string              `json:"jkt,omitempty"` // of the key that it is bound to (DPoP); empty: a bearer token
	// Identified says that the token response had credential identifiers, so that the credential request must have one.
	Identified bool   `json:"identified,omitempty"`
	Client     string `json:"client,omitempty"` // as the wallet named itself: nobody vouches for it
}

// TokenRequest is a wallet's token request.
type TokenRequest struct {
	Code, TxCode string
	Client       string      // how the wallet names itself; empty: it does not
	Proof        *dpop.Proof // that the wallet has a key, which the token is then bound to; it is used up with the code
	// Details asks for credential identifiers: the configuration must be the offer's.
	Details []openid.AuthorizationDetail
}

// Codes and tokens have 256 random bits: a plain digest hides them.
func codeRow(code string) string {
	return tableCode + credential.DigestOf([]byte(code)).String()
}

func referenceRow(reference string) string {
	return tableReference + credential.DigestOf([]byte(reference)).String()
}

func tokenRow(accessToken string) string {
	return tableToken + credential.DigestOf([]byte(accessToken)).String()
}

const maxClient = 1024 // bytes, of a wallet's name for itself

// Token exchanges a pre-authorized code, and the transaction code if the offer has one, for an access token. A code
// works once; five wrong transaction codes lock the offer. Refused with [ErrGrant], with [ErrRequest] if a
// transaction code is missing or was not asked for, with [ErrDetails], or as [dpop.Verifier.Use].
func (i *Issuer) Token(ctx context.Context, r TokenRequest) (openid.TokenResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(r.Client) > maxClient {
		return openid.TokenResponse{}, refuse(ErrRequest, "client_id has more than %d bytes", maxClient)
	}
	tx := begin(i.cfg.Store)
	a, err := i.redeem(tx, r.Code, r.TxCode)
	if err != nil {
		if commitErr := tx.commit(); commitErr != nil { // a try that is not counted is no try
			return openid.TokenResponse{}, commitErr
		}
		return openid.TokenResponse{}, err
	}
	lifetime := i.lifetime(a.Case)
	answer := openid.TokenResponse{AccessToken: webapi.RandomID(), TokenType: "Bearer", ExpiresIn: int(lifetime / time.Second)}
	row := token{Application: a.ID, Client: r.Client, ExpiresAt: i.now() + credential.UnixTime(lifetime/time.Second)}
	if answer.Details, err = identify(r.Details, a.configuration()); err != nil {
		return openid.TokenResponse{}, err
	}
	row.Identified = len(answer.Details) > 0
	if r.Proof != nil {
		if err := i.possession.Use(ctx, r.Proof); err != nil { // the code stays good
			return openid.TokenResponse{}, err
		}
		answer.TokenType, row.Thumbprint = dpop.Header, r.Proof.Thumbprint
	}
	tx.putUntil(tokenRow(answer.AccessToken), row, row.ExpiresAt)
	if err := tx.commit(); err != nil {
		return openid.TokenResponse{}, fmt.Errorf("make access token: %w", err)
	}
	return answer, nil
}

// lifetime is how long an access token is good for: officers may take days to decide.
func (i *Issuer) lifetime(caseID string) time.Duration {
	if caseID != "" {
		return max(i.cfg.TokenLifetime, caseTokenLifetime)
	}
	return i.cfg.TokenLifetime
}

const caseTokenLifetime = 30 * 24 * time.Hour

// identify names the offer's one credential to a wallet that asked for names. Other wallets ask by configuration.
func identify(asked []openid.AuthorizationDetail, configuration string) ([]openid.AuthorizationDetail, error) {
	for _, d := range asked {
		if d.Type != openid.CredentialDetail || d.Configuration != configuration {
			return nil, refuse(ErrDetails, "the offer is for one credential of another type")
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	return []openid.AuthorizationDetail{{Type: openid.CredentialDetail, Configuration: configuration, Identifiers: []string{configuration}}}, nil
}

// Binding is how an access token must be presented.
type Binding struct {
	Thumbprint string // of the key; empty: as a bearer token
	Identified bool   // credentials are asked for by identifier
}

// Binding tells how an access token must be presented, or is refused with [ErrAccessToken].
func (i *Issuer) Binding(accessToken string) (Binding, error) {
	_, t, err := i.authorized(begin(i.cfg.Store), accessToken)
	return Binding{t.Thumbprint, t.Identified}, err
}

// redeem uses up a code and returns its application.
func (i *Issuer) redeem(tx *transaction, code, txCode string) (a application, err error) {
	unknown := refuse(ErrGrant, "the code is unknown, used or expired: ask the agency for a new offer")
	var id string
	err = tx.get(codeRow(code), &id)
	if err == nil {
		err = tx.get(tableApplication+id, &a)
	}
	switch {
	case errors.Is(err, ErrAbsent):
		return a, unknown
	case err != nil:
		return a, err
	case i.now() >= a.ExpiresAt:
		return a, unknown
	case a.TxCode == "" && txCode != "":
		return a, refuse(ErrRequest, "the offer has no transaction code")
	case a.TxCode != "" && txCode == "":
		return a, refuse(ErrRequest, "the offer needs a transaction code")
	case subtle.ConstantTimeCompare([]byte(a.TxCode), []byte(txCode)) != 1:
		return a, i.countTry(tx, codeRow(code), a)
	}
	tx.delete(codeRow(code))
	tx.delete(a.Reference)
	return a, nil
}

func (i *Issuer) countTry(tx *transaction, codeRow string, a application) error {
	a.Tries++
	if a.Tries >= maxTries {
		tx.delete(codeRow)
		tx.delete(tableApplication + a.ID)
		tx.delete(a.Reference)
		return refuse(ErrGrant, "wrong transaction code, too often: ask the agency for a new offer")
	}
	tx.put(tableApplication+a.ID, a)
	return refuse(ErrGrant, "wrong transaction code, %d tries are left", maxTries-a.Tries)
}

// authorize finds the application that an access token is for.
func (i *Issuer) authorize(tx *transaction, accessToken string) (application, error) {
	a, _, err := i.authorized(tx, accessToken)
	return a, err
}

// authorized is authorize with the token's own row.
func (i *Issuer) authorized(tx *transaction, accessToken string) (a application, t token, err error) {
	err = tx.get(tokenRow(accessToken), &t)
	if err == nil && i.now() < t.ExpiresAt {
		err = tx.get(tableApplication+t.Application, &a)
	} else if err == nil {
		err = ErrAbsent
	}
	if errors.Is(err, ErrAbsent) {
		err = refuse(ErrAccessToken, "the access token is unknown or expired")
	}
	return a, t, err
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
