package verifier

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
)

// SessionKeySize is the length of [Config.SessionKey], in bytes.
const SessionKeySize = 32

// sealer keeps what a session has that a copy of the store must not tell: the key that its response is encrypted to, and
// the code that its browser comes back with. Both depend on the session key, which is not in the store.
type sealer struct {
	aead  cipher.AEAD
	codes []byte
}

func newSealer(sessionKey []byte) (*sealer, error) {
	derive := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, sessionKey, nil, "bulla verifier 1 "+use, 32)
	}
	secret, err1 := derive("response keys")
	codes, err2 := derive("response codes")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead, codes}, err
}

// seal encrypts the key of one session: nonce, then AES-256-GCM with the session's id as additional data, in base64url.
func (s *sealer) seal(key *jose.DecryptionKey, session string) (string, error) {
	secret, err := key.Secret()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	return openid.EncodeBytes(s.aead.Seal(nonce, nonce, secret, []byte(session))), nil
}

// open reads it again.
func (s *sealer) open(sealed, session string) (*jose.DecryptionKey, error) {
	data, err := credential.ParseBase64(sealed, -1)
	if err != nil || len(data) < s.aead.NonceSize() {
		return nil, errors.New("sealed response key is damaged")
	}
	secret, err := s.aead.Open(nil, data[:s.aead.NonceSize()], data[s.aead.NonceSize():], []byte(session))
	if err != nil {
		return nil, errors.New("response key was sealed under another session key")
	}
	return jose.ParseDecryptionKey(secret)
}

// code is the response code of a session that was verified, or of one that was not: nobody can know it who was not told, and
// it is told only to who answered, so it is not stored, and the answer can be repeated. There are two, so that who declines
// while another's answer is being verified does not get the code of the result.
func (s *sealer) code(session string, verified bool) string {
	mac := hmac.New(sha256.New, s.codes)
	fmt.Fprintf(mac, "%v %s", verified, session)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// isCode compares in constant time.
func (s *sealer) isCode(session string, verified bool, code string) bool {
	return subtle.ConstantTimeCompare([]byte(s.code(session, verified)), []byte(code)) == 1
}

// encryptTo draws the key that the response to a request is to be encrypted to, and returns it sealed. With plain
// responses there is none.
func (v *Verifier) encryptTo(r *openid.RequestObject, session string) (sealed string, err error) {
	if v.cfg.PlainResponses {
		return "", nil
	}
	key, err := jose.GenerateDecryptionKey()
	if err != nil {
		return "", fmt.Errorf("draw response key: %w", err)
	}
	r.EncryptTo(key.Public())
	return v.sealer.seal(key, session)
}
