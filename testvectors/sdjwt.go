package testvectors

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
)

// SDJWTFile is sd-jwt.json, and of the same form what other code made: one issuer, one holder, and credentials as they
// are handed over.
type SDJWTFile struct {
	Issuer      string         `json:"issuer"` // iss
	IssuerKey   jose.PublicKey `json:"issuer_key"`
	Credentials []SDJWTVector  `json:"credentials"`
}

// SDJWTVector is a credential for a verifier who accepts its type.
type SDJWTVector struct {
	Name string              `json:"name"`
	Text string              `json:"text"`
	Type string              `json:"type"` // the accepted vct
	Now  credential.UnixTime `json:"now"`
	// Audience and Nonce are what the verifier asks to be bound to; empty where it asks for no key binding.
	Audience string                `json:"audience,omitempty"`
	Nonce    string                `json:"nonce,omitempty"`
	Claims   sdjwt.Claims          `json:"claims,omitempty"` // what it learns, besides iss, vct, times, cnf, status
	Status   *statuslist.Reference `json:"status,omitempty"`
	Expect   string                `json:"expect"`
}

// StatusListFile is status-list.json, and of the same form what other code made.
type StatusListFile struct {
	Key   jose.PublicKey     `json:"key"`
	Lists []StatusListVector `json:"lists"`
}

// StatusListVector is a signed list, and what it says at some indices.
type StatusListVector struct {
	Name     string                       `json:"name"`
	Token    string                       `json:"token"`
	URI      string                       `json:"uri"` // of the credentials' references
	Now      credential.UnixTime          `json:"now"`
	Bits     int                          `json:"bits,omitempty"`
	Capacity int                          `json:"capacity,omitempty"`
	Statuses map[string]statuslist.Status `json:"statuses,omitempty"` // by index, in decimal
	Expect   string                       `json:"expect"`
}

// companionNow is when the vectors are read, unless they say otherwise.
var companionNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const (
	landType       = "https://land.example/types/title/1"
	landIssuer     = "https://land.example"
	companionIndex = 4711
	landStatus     = "https://land.example/status/1"
	companionAsker = "x509_hash:bank"
	companionNonce = "n-0S6_WzA2Mj0S6_WzA2Mj"
)

// keyOf is the Ed25519 key of a name: vectors must come out the same each time, which ES256 does not.
func keyOf(name string) (*jose.SigningKey, error) {
	seed := credential.DigestOf([]byte("testvectors " + name))
	return jose.FromSeed(seed[:])
}

// Verify reads the credential as a verifier would.
func (v SDJWTVector) Verify(issuer string, key jose.PublicKey) (*sdjwt.Credential, error) {
	want := sdjwt.Expected{Types: []string{v.Type}, Now: v.Now.Time(), Keys: func(by, keyID string) (jose.PublicKey, error) {
		if by != issuer {
			return jose.PublicKey{}, fmt.Errorf("issuer %q is not trusted", by)
		}
		return jose.Keys(key)(keyID)
	}}
	if v.Nonce != "" {
		want.Binding = &sdjwt.Challenge{Audience: v.Audience, Nonce: v.Nonce}
	}
	return sdjwt.Verify(v.Text, want)
}

// sdjwtLayer is the layer that refuses, by its error.
func sdjwtLayer(err error) string {
	for _, layer := range []struct {
		err  error
		name string
	}{
		{sdjwt.ErrBinding, "binding"}, {sdjwt.ErrTime, "time"}, {sdjwt.ErrUnexpected, "type"}, {sdjwt.ErrDisclosure, "disclosure"},
		{jose.ErrSignature, "signature"}, {sdjwt.ErrMalformed, "form"}, {jose.ErrToken, "form"},
	} {
		if errors.Is(err, layer.err) {
			return layer.name
		}
	}
	return ""
}

// companion makes the cases of sd-jwt.json.
type companion struct {
	issuer, holder *jose.SigningKey
	held           *sdjwt.SDJWT
	out            []SDJWTVector
}

func sdjwtVectors() (any, error) {
	var c companion
	var err error
	if c.issuer, err = keyOf("issuer"); err != nil {
		return nil, err
	}
	if c.holder, err = keyOf("holder"); err != nil {
		return nil, err
	}
	for _, step := range []func() error{c.issue, c.presentations, c.altered, c.signed} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for i, v := range c.out {
		got, err := v.Verify(landIssuer, c.issuer.Public())
		if layer := sdjwtLayer(err); err != nil && layer != v.Expect {
			return nil, fmt.Errorf("%s: refused by %q, want %q: %w", v.Name, layer, v.Expect, err)
		}
		if c.out[i].Expect, err = expect(v.Name, err, v.Expect); err != nil {
			return nil, err
		}
		if got != nil {
			c.out[i].Claims, c.out[i].Status = got.Claims, got.Status
		}
	}
	return SDJWTFile{Issuer: landIssuer, IssuerKey: c.issuer.Public(), Credentials: c.out}, nil
}

// add takes a case; at nonce "" no key binding is asked for.
func (c *companion) add(name, text, nonce, expect string) {
	v := SDJWTVector{Name: name, Text: text, Type: landType, Now: credential.UnixTimeOf(companionNow), Nonce: nonce, Expect: expect}
	if nonce != "" {
		v.Audience = companionAsker
	}
	c.out = append(c.out, v)
}

// issue makes a credential with a fixed source of salts.
func (c *companion) issue() error {
	holder := c.holder.Public()
	text, err := sdjwt.Issuance{
		Credential: sdjwt.Credential{
			Type: landType, Issuer: landIssuer, IssuedAt: credential.UnixTimeOf(companionNow.Add(-time.Hour)),
			NotBefore: credential.UnixTimeOf(companionNow.Add(-time.Hour)), ExpiresAt: credential.UnixTimeOf(companionNow.Add(24 * time.Hour)),
			HolderKey: &holder, Status: &statuslist.Reference{Index: companionIndex, URI: landStatus},
			Claims: sdjwt.Claims{
				"district": "110101", "area": 523, "owner": "张三", "joint": false,
				"address": map[string]any{"city": "北京", "street": "长街 1", "flat": nil}, "uses": []any{"living", "trade"},
			},
		},
		Disclosable: []sdjwt.Path{{"area"}, {"owner"}, {"joint"}, {"uses"}, {"address"}, {"address", "street"}},
		Decoys:      3,
		Random:      rand.NewChaCha8([32]byte{5}),
	}.Issue(c.issuer)
	if err != nil {
		return err
	}
	c.add("as issued", text, "", "")
	c.held, err = sdjwt.Parse(text)
	return err
}

func (c *companion) present(paths ...sdjwt.Path) (string, error) {
	return c.held.Present(sdjwt.Binding{Key: c.holder, Audience: companionAsker, Nonce: companionNonce, Now: companionNow}, paths...)
}

func (c *companion) presentations() error {
	for _, p := range []struct {
		name  string
		paths []sdjwt.Path
	}{
		{"nothing is disclosed", nil},
		{"two claims", []sdjwt.Path{{"area"}, {"owner"}}},
		{"an object without what is hidden in it", []sdjwt.Path{{"address"}}},
		{"a hidden claim in a hidden object", []sdjwt.Path{{"address", "street"}}},
		{"everything", c.held.Disclosable()},
	} {
		text, err := c.present(p.paths...)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		c.add(p.name, text, companionNonce, "")
	}
	return nil
}

// altered are presentations that somebody else made of a good one.
func (c *companion) altered() error {
	good, err := c.present(sdjwt.Path{"area"}, sdjwt.Path{"owner"})
	if err != nil {
		return err
	}
	parts := strings.Split(good, "~")
	jwt, binding := parts[0], parts[len(parts)-1]
	whole := strings.Split(c.held.String(), "~")
	join := func(parts ...string) string { return strings.Join(parts, "~") }
	forged := base64.RawURLEncoding.EncodeToString([]byte(`["c2FsdA","area",9999]`))
	c.add("a changed signature", join(flip(jwt), parts[1], parts[2], binding), companionNonce, "signature")
	c.add("another value disclosed", join(jwt, forged, parts[2], binding), companionNonce, "disclosure")
	c.add("a disclosure dropped", join(jwt, parts[1], binding), companionNonce, "binding")
	c.add("a disclosure added", join(jwt, parts[1], parts[2], whole[len(whole)-2], binding), companionNonce, "binding")
	c.add("a disclosure twice", join(jwt, parts[1], parts[1], binding), companionNonce, "disclosure")
	c.add("no key binding", join(jwt, parts[1], parts[2], ""), companionNonce, "binding")
	c.add("a changed key binding", join(jwt, parts[1], parts[2], flip(binding)), companionNonce, "binding")
	c.add("a key binding for another nonce", good, companionNonce+"x", "binding")
	c.add("a key binding for another verifier", good, companionNonce, "binding")
	c.out[len(c.out)-1].Audience = "x509_hash:casino"
	c.add("a key binding that nobody asked for", good, "", "binding")
	c.add("expired", good, companionNonce, "time")
	c.out[len(c.out)-1].Now += 24 * 60 * 60
	c.add("a type that is not accepted", good, companionNonce, "type")
	c.out[len(c.out)-1].Type = "https://land.example/types/lease/1"
	c.add("no end", jwt, "", "form")
	return nil
}

// flip changes a signature in its middle.
func flip(token string) string {
	at, with := len(token)-40, byte('A')
	if token[at] == with {
		with = 'B'
	}
	return token[:at] + string(with) + token[at+1:]
}

// signed are credentials that the issuer signed and should not have.
func (c *companion) signed() error {
	hide := func(content string) (text, digest string) {
		text = base64.RawURLEncoding.EncodeToString([]byte(content))
		return text, credential.DigestOf([]byte(text)).String()
	}
	area, areaDigest := hide(`["c2FsdA","area",523]`)
	again, againDigest := hide(`["dGxhcw","area",17]`)
	vct, vctDigest := hide(`["c2FsdA","vct","` + landType + `"]`)
	reserved, reservedDigest := hide(`["c2FsdA","_sd",[]]`)
	element, elementDigest := hide(`["c2FsdA","living"]`)
	type object = map[string]any
	for _, bad := range []struct {
		name        string
		typ         string
		changes     object
		disclosures []string
		expect      string
	}{
		{"made by hand", sdjwt.Type, object{"_sd": []string{areaDigest}, "uses": []any{object{"...": elementDigest}}}, []string{area, element}, ""},
		{"a digest twice", sdjwt.Type, object{"_sd": []string{areaDigest, areaDigest}}, []string{area}, "disclosure"},
		{"two claims of one name", sdjwt.Type, object{"_sd": []string{areaDigest, againDigest}}, []string{area, again}, "disclosure"},
		{"the name of an open claim", sdjwt.Type, object{"_sd": []string{areaDigest}, "area": 1}, []string{area}, "disclosure"},
		{"a disclosure of no digest", sdjwt.Type, object{"_sd": []string{areaDigest}}, []string{area, again}, "disclosure"},
		{"an element for a claim", sdjwt.Type, object{"_sd": []string{elementDigest}}, []string{element}, "disclosure"},
		{"vct is hidden", sdjwt.Type, object{"_sd": []string{vctDigest}, "vct": nil}, []string{vct}, "disclosure"},
		{"a claim called _sd", sdjwt.Type, object{"_sd": []string{reservedDigest}}, []string{reserved}, "form"},
		{"an unknown hash", sdjwt.Type, object{"_sd": []string{areaDigest}, "_sd_alg": "md5"}, []string{area}, "form"},
		{"no vct", sdjwt.Type, object{"vct": nil}, nil, "form"},
		{"the typ of a plain JWT", "JWT", nil, nil, "form"},
	} {
		payload := object{"vct": landType, "iss": landIssuer}
		for name, value := range bad.changes {
			if payload[name] = value; value == nil {
				delete(payload, name)
			}
		}
		token, err := jose.SignCompact(c.issuer, "", bad.typ, payload)
		if err != nil {
			return err
		}
		c.add(bad.name, strings.Join(append([]string{token}, bad.disclosures...), "~")+"~", "", bad.expect)
	}
	return nil
}

// Verify reads the list as a verifier would.
func (v StatusListVector) Verify(key jose.PublicKey) (*statuslist.Token, error) {
	return statuslist.Verify(v.Token, statuslist.Expected{URI: v.URI, Keys: jose.Keys(key), Now: v.Now.Time()})
}

// statusLayer is the layer that refuses, by its error.
func statusLayer(err error) string {
	switch {
	case errors.Is(err, statuslist.ErrTime):
		return "time"
	case errors.Is(err, jose.ErrSignature):
		return "signature"
	case errors.Is(err, statuslist.ErrList), errors.Is(err, jose.ErrToken):
		return "form"
	}
	return ""
}

func statusListVectors() (any, error) {
	key, err := keyOf("issuer")
	if err != nil {
		return nil, err
	}
	out := StatusListFile{Key: key.Public()}
	for _, l := range []struct {
		bits, capacity int
		companion      statuslist.Status // of the credential in sd-jwt.json
	}{{1, 4096, 0}, {2, 8192, statuslist.Valid}, {4, 2048, 0}, {8, 1000, 0}, {2, 8192, statuslist.Suspended}, {2, 8192, statuslist.Invalid}} {
		v, err := goodList(key, l.bits, l.capacity, l.companion)
		if err != nil {
			return nil, err
		}
		out.Lists = append(out.Lists, v)
	}
	bad, err := badLists(key, out.Lists[1])
	if err != nil {
		return nil, err
	}
	for _, v := range append(out.Lists, bad...) {
		_, err := v.Verify(key.Public())
		if layer := statusLayer(err); err != nil && layer != v.Expect {
			return nil, fmt.Errorf("%s: refused by %q, want %q: %w", v.Name, layer, v.Expect, err)
		}
		if _, err := expect(v.Name, err, v.Expect); err != nil {
			return nil, err
		}
	}
	out.Lists = append(out.Lists, bad...)
	return out, nil
}

// goodList has each status that fits somewhere, and names its ends and their neighbours.
func goodList(key *jose.SigningKey, bits, capacity int, companion statuslist.Status) (StatusListVector, error) {
	v := StatusListVector{
		Name: fmt.Sprintf("statuses of %d bits, %s at %d", bits, companion, companionIndex%capacity), URI: landStatus, Now: credential.UnixTimeOf(companionNow),
		Bits: bits, Capacity: capacity, Statuses: map[string]statuslist.Status{},
	}
	l, err := statuslist.New(bits, capacity)
	if err != nil {
		return v, err
	}
	r := seeded(uint64(40 + bits))
	for i := range 24 {
		if err := l.Set(r.Uint64N(uint64(capacity)), statuslist.Status(1+i%(1<<bits-1))); err != nil {
			return v, err
		}
	}
	if err := l.Set(uint64(companionIndex%capacity), companion); err != nil {
		return v, err
	}
	for _, index := range []uint64{0, 1, 7, 8, uint64(companionIndex % capacity), uint64(capacity) - 2, uint64(capacity) - 1} {
		v.Statuses[strconv.FormatUint(index, 10)] = statuslist.Valid
	}
	for index := range uint64(capacity) {
		status, err := l.At(index)
		if err != nil {
			return v, err
		}
		if _, named := v.Statuses[strconv.FormatUint(index, 10)]; named || status != statuslist.Valid {
			v.Statuses[strconv.FormatUint(index, 10)] = status
		}
	}
	list := statuslist.Token{URI: landStatus, IssuedAt: companionNow.Add(-time.Minute), ExpiresAt: companionNow.Add(time.Hour), TTL: 5 * time.Minute, List: l}
	v.Token, err = list.Sign(key)
	return v, err
}

func badLists(key *jose.SigningKey, good StatusListVector) ([]StatusListVector, error) {
	elsewhere, late := good, good
	elsewhere.Name, elsewhere.URI, elsewhere.Expect = "the list of another address", landStatus+"1", "form"
	late.Name, late.Expect = "expired", "time"
	late.Now += 60 * 60
	changed := good
	changed.Name, changed.Token, changed.Expect = "a changed signature", flip(good.Token), "signature"
	out := []StatusListVector{elsewhere, late, changed}
	iat := credential.UnixTimeOf(companionNow)
	for _, bad := range []struct {
		name, typ string
		payload   map[string]any
	}{
		{"the typ of a plain JWT", "JWT", map[string]any{"sub": landStatus, "iat": iat, "status_list": map[string]any{"bits": 1, "lst": "eNrbuRgAAhcBXQ"}}},
		{"three bits", statuslist.Type, map[string]any{"sub": landStatus, "iat": iat, "status_list": map[string]any{"bits": 3, "lst": "eNrbuRgAAhcBXQ"}}},
		{"cut short", statuslist.Type, map[string]any{"sub": landStatus, "iat": iat, "status_list": map[string]any{"bits": 1, "lst": "eNrbuRgAAhcB"}}},
		{"a byte more", statuslist.Type, map[string]any{"sub": landStatus, "iat": iat, "status_list": map[string]any{"bits": 1, "lst": "eNrbuRgAAhcBXQA"}}},
		{"no iat", statuslist.Type, map[string]any{"sub": landStatus, "status_list": map[string]any{"bits": 1, "lst": "eNrbuRgAAhcBXQ"}}},
	} {
		token, err := jose.SignCompact(key, "", bad.typ, bad.payload)
		if err != nil {
			return nil, err
		}
		out = append(out, StatusListVector{Name: bad.name, Token: token, URI: landStatus, Now: iat, Expect: "form"})
	}
	for i := range out {
		out[i].Bits, out[i].Capacity, out[i].Statuses = 0, 0, nil
	}
	return out, nil
}
