package officers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

const agency = "https://land.example/agencies/land"

var roles = map[string][]string{"clerk": {"a:write"}, "approver": {"a:decide"}, "administrator": {"a:officers"}}

// world is a directory over rows in memory, with a clock that a test moves.
type world struct {
	*officers.Directory
	t     testing.TB
	now   time.Time
	notes []officers.Note
	ring  *oauth.KeyRing
	key   *jose.SigningKey
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Unix(1_800_000_000, 0), key: must(jose.Generate(jose.EdDSA))(t)}
	clock := func() time.Time { return w.now }
	w.ring = must(oauth.NewKeyRing(24*time.Hour, clock, oauth.RingKey{Key: w.key}))(t)
	store := new(records.Memory)
	w.Directory = must(officers.New(officers.Config{
		URL: agency, Name: "Land registry", Roles: roles, Store: store, Absent: issuer.ErrAbsent,
		Commit: func(rows map[string][]byte, note *officers.Note) error {
			if note != nil {
				w.notes = append(w.notes, *note)
			}
			return store.Commit(rows)
		},
		Mint: oauth.Mint{Issuer: agency, Audience: agency + "/admin/v1", Keys: w.ring, Clock: clock}, Key: w.key, Clock: clock,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))(t)
	return w
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// wang is an administrator who is signed in by a link.
func (w *world) wang() (secret string) {
	w.t.Helper()
	return must(w.Redeem(must(w.Links().SignIn(officers.Officer{ID: "wang", Name: "Wang Fang", Roles: []string{"administrator"}}))(w.t)))(w.t)
}

// principal is who a token is from, as the admin API sees it.
func (w *world) principal(token string) oauth.Principal {
	w.t.Helper()
	mint := oauth.Mint{Issuer: agency, Audience: agency + "/admin/v1", Keys: w.ring, Clock: func() time.Time { return w.now }}
	api := must(oauth.NewResource(oauth.ResourceConfig{Providers: []oauth.Provider{oauth.OwnProvider(mint)}, Clock: mint.Clock, Logger: slog.Default()}))(w.t)
	p, _, err := api.Verify(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// device is an authenticator in software, that does as a test says.
type device struct {
	origin string
	flags  byte // user present, user verified
	key    *ecdsa.PrivateKey
	id     []byte
	user   []byte
	count  uint32
}

const present, verified = 0x01, 0x04

func newDevice(t testing.TB) *device {
	id := make([]byte, 16)
	rand.Read(id)
	return &device{origin: "https://land.example", flags: present | verified, key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), id: id}
}

// options are what we read of what a browser gets.
type options struct {
	Challenge string `json:"challenge"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (d *device) clientData(kind, challenge string) []byte {
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.origin, "crossOrigin": false})
	return text
}

func (d *device) authData(more []byte) []byte {
	rp := sha256.Sum256([]byte("land.example"))
	flags := d.flags
	if more != nil {
		flags |= 0x40
	}
	data := binary.BigEndian.AppendUint32(append(rp[:], flags), d.count)
	return append(data, more...)
}

// bytes in CBOR, of up to 65535.
func cborBytes(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

// create makes a passkey.
func (d *device) create(t testing.TB, text json.RawMessage) []byte {
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	d.user = must(base64.RawURLEncoding.DecodeString(o.User.ID))(t)
	point := must(d.key.PublicKey.Bytes())(t)
	cose := slices.Concat([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, cborBytes(point[1:33]), []byte{0x22}, cborBytes(point[33:]))
	attested := slices.Concat(make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(d.id))), d.id, cose)
	object := slices.Concat([]byte{0xa3, 0x63}, []byte("fmt"), []byte{0x64}, []byte("none"), []byte{0x67}, []byte("attStmt"), []byte{0xa0, 0x68}, []byte("authData"), cborBytes(d.authData(attested)))
	return d.answer(map[string]any{"clientDataJSON": encoded(d.clientData("webauthn.create", o.Challenge)), "attestationObject": encoded(object), "transports": []string{"internal"}})
}

// get proves to have the passkey.
func (d *device) get(t testing.TB, text json.RawMessage) []byte {
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	client, data := d.clientData("webauthn.get", o.Challenge), d.authData(nil)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(slices.Clone(data), hash[:]...))
	signature := must(ecdsa.SignASN1(rand.Reader, d.key, digest[:]))(t)
	return d.answer(map[string]any{"clientDataJSON": encoded(client), "authenticatorData": encoded(data), "signature": encoded(signature), "userHandle": encoded(d.user)})
}

func (d *device) answer(response map[string]any) []byte {
	text, _ := json.Marshal(map[string]any{"id": encoded(d.id), "rawId": encoded(d.id), "type": "public-key", "response": maps.Clone(response), "clientExtensionResults": map[string]any{}})
	return text
}

// joined is an officer with a passkey on a device.
func (w *world) joined(o officers.Officer) (*device, string) {
	w.t.Helper()
	link, d := must(w.Links().Invitation(o))(w.t), newDevice(w.t)
	_, options, err := w.BeginJoin(link)
	if err != nil {
		w.t.Fatal(err)
	}
	return d, must(w.Join(link, "laptop", d.create(w.t, options)))(w.t)
}
