package dcc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"

	"github.com/bulla-id/bulla/internal/base45"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// forge makes certificates in all the ways the states do, and some ways they must not.
type forge struct {
	key    crypto.Signer
	alg    cose.Algorithm
	signer *Signer
	der    []byte
}

func newForge(t testing.TB, key crypto.Signer, alg cose.Algorithm, usages ...asn1.ObjectIdentifier) forge {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test DSC"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), UnknownExtKeyUsage: usages}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ParseSigner(der)
	if err != nil {
		t.Fatal(err)
	}
	return forge{key, alg, signer, der}
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const (
	issued  = 1_620_064_800
	expires = 1_620_237_600
)

func vaccination() map[string]any {
	return map[string]any{"tg": "840539006", "vp": "1119349007", "mp": "EU/1/20/1528", "ma": "ORG-100030215", "dn": 1, "sd": 2,
		"dt": "2021-02-18", "co": "AT", "is": "Ministry", "ci": "URN:UVCI:01:AT:1"}
}

func content(changes map[string]any) map[string]any {
	c := map[string]any{"ver": "1.3.0", "dob": "1998-02-26", "nam": map[string]any{"fnt": "MUSTERFRAU", "gnt": "GABRIELE"},
		"v": []any{vaccination()}}
	for key, value := range changes {
		c[key] = value
	}
	return c
}

func claimsSet(content any) map[int]any {
	return map[int]any{1: "AT", 4: expires, 6: issued, -260: map[int]any{1: content}}
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	if raw, ok := value.([]byte); ok {
		return raw
	}
	data, err := cbor.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sign makes an untagged COSE_Sign1.
func (f forge) sign(t testing.TB, protected, unprotected map[any]any, payload any) []any {
	t.Helper()
	header, body := encode(t, protected), encode(t, payload)
	if len(protected) == 0 {
		header = []byte{}
	}
	toSign := encode(t, []any{"Signature1", header, []byte{}, body})
	signer, err := cose.NewSigner(f.alg, f.key)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign(rand.Reader, toSign)
	if err != nil {
		t.Fatal(err)
	}
	return []any{header, unprotected, body, signature}
}

func (f forge) headers() (protected, unprotected map[any]any) {
	return map[any]any{1: int64(f.alg), 4: f.signer.KeyID()}, map[any]any{}
}

// check makes the QR text of a message and checks it at the time of issue.
func (f forge) check(t testing.TB, message any, clock int64) Result {
	t.Helper()
	text := Prefix + base45.Encode(deflate(encode(t, message)))
	return New(Config{Signers: []*Signer{f.signer}, Clock: func() time.Time { return time.Unix(clock, 0) }}).Check(text)
}

func TestMessages(t *testing.T) {
	f := newForge(t, ecKey(t, elliptic.P256()), cose.AlgorithmES256)
	protected, none := f.headers()
	good := f.sign(t, protected, none, claimsSet(content(nil)))
	kid, wrong := f.signer.KeyID(), []byte("notakey!")
	swapped := func(i int, value any) []any {
		parts := append([]any{}, good...)
		parts[i] = value
		return parts
	}
	tampered := bytes.Clone(good[3].([]byte))
	tampered[0] ^= 1
	headers := func(protected, unprotected map[any]any) any {
		return f.sign(t, protected, unprotected, claimsSet(content(nil)))
	}
	alg := int64(f.alg)
	for name, c := range map[string]struct {
		message any
		want    Step
	}{
		"no tag":                          {good, ""},
		"tag 18":                          {cbor.Tag{Number: 18, Content: good}, ""},
		"tags 61 and 18":                  {cbor.Tag{Number: 61, Content: cbor.Tag{Number: 18, Content: good}}, ""},
		"tag 61":                          {cbor.Tag{Number: 61, Content: good}, ""},
		"tags 18 and 61":                  {cbor.Tag{Number: 18, Content: cbor.Tag{Number: 61, Content: good}}, StepSignature},
		"tag 18 twice":                    {cbor.Tag{Number: 18, Content: cbor.Tag{Number: 18, Content: good}}, StepSignature},
		"tag 98 (COSE_Sign)":              {cbor.Tag{Number: 98, Content: good}, StepSignature},
		"alg in the unprotected header":   {headers(map[any]any{4: kid}, map[any]any{1: alg}), ""},
		"both in the unprotected header":  {headers(nil, map[any]any{1: alg, 4: kid}), ""},
		"key id in both":                  {headers(map[any]any{1: alg, 4: kid}, map[any]any{4: kid}), ""},
		"unprotected key id wrong":        {headers(map[any]any{1: alg, 4: kid}, map[any]any{4: wrong}), ""},
		"protected key id wrong":          {headers(map[any]any{1: alg, 4: wrong}, map[any]any{4: kid}), StepSignature},
		"only unprotected key id, wrong":  {headers(map[any]any{1: alg}, map[any]any{4: wrong}), StepSignature},
		"no key id":                       {headers(map[any]any{1: alg}, nil), StepSignature},
		"key id too long":                 {headers(map[any]any{1: alg, 4: append(bytes.Clone(kid), 0)}, map[any]any{}), StepSignature},
		"no alg":                          {headers(map[any]any{4: kid}, map[any]any{}), StepSignature},
		"another alg":                     {headers(map[any]any{1: -37, 4: kid}, map[any]any{}), StepSignature},
		"alg by name":                     {headers(map[any]any{1: "ES256", 4: kid}, map[any]any{}), StepSignature},
		"tampered signature":              {swapped(3, tampered), StepSignature},
		"short signature":                 {swapped(3, tampered[:63]), StepSignature},
		"no payload":                      {swapped(2, nil), StepSignature},
		"another payload":                 {swapped(2, encode(t, claimsSet(content(map[string]any{"dob": "1999-01-01"})))), StepSignature},
		"unprotected header no map":       {swapped(1, 1), StepSignature},
		"three parts":                     {good[:3], StepSignature},
		"a number, then garbage":          {[]byte{0x00, 0x91, 0x62}, StepSignature},
		"not CBOR":                        {[]byte{0xff, 0x00}, StepCBOR},
		"cut short":                       {encode(t, good)[:100], StepCBOR},
		"something after it":              {append(encode(t, good), 0), StepCBOR},
		"a number as payload":             {f.sign(t, protected, none, 5), StepCBOR},
		"certificate in bytes":            {f.sign(t, protected, none, claimsSet([]byte{1})), StepCBOR},
		"no certificate":                  {f.sign(t, protected, none, map[int]any{4: expires, 6: issued}), StepCBOR},
		"duplicate key in the token":      {f.sign(t, protected, none, []byte{0xa2, 0x04, 0x01, 0x04, 0x02}), StepCBOR},
		"expiry as text":                  {f.sign(t, protected, none, map[int]any{4: "x", 6: issued, -260: map[int]any{1: content(nil)}}), StepCBOR},
		"payload of deep nesting":         {f.sign(t, protected, none, bytes.Repeat([]byte{0x81}, 200)), StepCBOR},
		"certificate of deep nesting":     {f.sign(t, protected, none, claimsSet(nested(40))), StepCBOR},
		"infinite expiry (not a number)":  {f.sign(t, protected, none, map[int]any{4: nan(), 6: issued, -260: map[int]any{1: content(nil)}}), StepCBOR},
		"another version of the envelope": {f.sign(t, protected, none, map[int]any{4: expires, -260: map[int]any{2: content(nil)}}), StepCBOR},
	} {
		if result := f.check(t, c.message, issued); result.Step != c.want || result.Accepted != (c.want == "") {
			t.Errorf("%s: accepted %t, step %q, reason %q; want step %q", name, result.Accepted, result.Step, result.Reason, c.want)
		}
	}
}

func nested(depth int) any {
	var value any = 1
	for range depth {
		value = []any{value}
	}
	return map[string]any{"v": value}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestValidity(t *testing.T) {
	f := newForge(t, ecKey(t, elliptic.P256()), cose.AlgorithmES256)
	protected, none := f.headers()
	token := func(issued, expires any) any {
		claims := map[int]any{-260: map[int]any{1: content(nil)}}
		if issued != nil {
			claims[6] = issued
		}
		if expires != nil {
			claims[4] = expires
		}
		return f.sign(t, protected, none, claims)
	}
	for name, c := range map[string]struct {
		message any
		clock   int64
		want    Step
	}{
		"at issue":                {token(issued, expires), issued, ""},
		"before issue":            {token(issued, expires), issued - 1, StepValidity},
		"at expiry":               {token(issued, expires), expires, ""},
		"after expiry":            {token(issued, expires), expires + 1, StepValidity},
		"fractions":               {token(issued+0.25, expires+0.5), issued + 1, ""},
		"a fraction before issue": {token(issued+0.25, expires+0.5), issued, StepValidity},
		"a fraction after expiry": {token(issued+0.25, expires-0.5), expires, StepValidity},
		"no time of issue":        {token(nil, expires), issued, ""},
		"no expiry":               {token(issued, nil), issued, StepValidity},
	} {
		if result := f.check(t, c.message, c.clock); result.Step != c.want {
			t.Errorf("%s: step %q, reason %q; want %q", name, result.Step, result.Reason, c.want)
		}
	}
}

func TestSchema(t *testing.T) {
	f := newForge(t, ecKey(t, elliptic.P256()), cose.AlgorithmES256)
	protected, none := f.headers()
	changed := func(key string, value any) map[string]any {
		v := vaccination()
		if value == nil {
			delete(v, key)
		} else {
			v[key] = value
		}
		return map[string]any{"v": []any{v}}
	}
	test := map[string]any{"tg": "840539006", "tt": "LP6464-4", "tr": "260415000", "co": "AT", "is": "M", "ci": "1"}
	sampled := func(at any) map[string]any {
		entry := map[string]any{"sc": at}
		for key, value := range test {
			entry[key] = value
		}
		return map[string]any{"v": nil, "t": []any{entry}}
	}
	for name, c := range map[string]struct {
		changes map[string]any
		want    Step
	}{
		"as it should be":             {nil, ""},
		"null groups":                 {map[string]any{"t": nil, "r": nil}, ""},
		"empty groups":                {map[string]any{"t": []any{}, "r": []any{}}, ""},
		"two entries":                 {map[string]any{"v": []any{vaccination(), vaccination()}}, ""},
		"times after dates":           {changed("dt", "2021-02-18T00:00:00"), ""},
		"birth date partial":          {map[string]any{"dob": "1963"}, ""},
		"birth date empty":            {map[string]any{"dob": ""}, ""},
		"unknown field":               {map[string]any{"x": 1}, ""},
		"tagged sample time":          {sampled(cbor.Tag{Number: 0, Content: "2021-02-20T12:34:56Z"}), ""},
		"sample time in milliseconds": {sampled(1613824496000), ""},
		"no sample time":              {map[string]any{"v": nil, "t": []any{test}}, StepSchema},
		"no group":                    {map[string]any{"v": nil}, StepSchema},
		"two groups":                  {map[string]any{"r": []any{map[string]any{}}}, StepSchema},
		"group no list":               {map[string]any{"v": map[string]any{}}, StepSchema},
		"entry no object":             {map[string]any{"v": []any{"x"}}, StepSchema},
		"no product":                  {changed("mp", nil), StepSchema},
		"product a number":            {changed("mp", 5), StepSchema},
		"doses text":                  {changed("dn", "1"), StepSchema},
		"doses negative":              {changed("dn", -1), StepSchema},
		"doses half":                  {changed("dn", 0.5), StepSchema},
		"no names":                    {map[string]any{"nam": map[string]any{}}, StepSchema},
		"version a number":            {map[string]any{"ver": 1}, StepSchema},
		"birth date a number":         {map[string]any{"dob": 19980226}, StepSchema},
	} {
		result := f.check(t, f.sign(t, protected, none, claimsSet(content(c.changes))), issued)
		if result.Step != c.want {
			t.Errorf("%s: step %q, reason %q; want %q", name, result.Step, result.Reason, c.want)
		}
	}
}

func TestKeyUsage(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	stem := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 1847, 2021, 1}
	oldStem := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 0, 1847, 2021, 1}
	usage := func(stem asn1.ObjectIdentifier, last int) asn1.ObjectIdentifier {
		return append(append(asn1.ObjectIdentifier{}, stem...), last)
	}
	for name, c := range map[string]struct {
		usages []asn1.ObjectIdentifier
		want   Step
	}{
		"none":                    {nil, ""},
		"only others":             {[]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 4}, usage(stem, 9)}, ""},
		"vaccination":             {[]asn1.ObjectIdentifier{usage(stem, 2)}, ""},
		"vaccination, first form": {[]asn1.ObjectIdentifier{usage(oldStem, 2)}, ""},
		"test":                    {[]asn1.ObjectIdentifier{usage(stem, 1)}, StepKeyUsage},
		"recovery, first form":    {[]asn1.ObjectIdentifier{usage(oldStem, 3)}, StepKeyUsage},
		"all":                     {[]asn1.ObjectIdentifier{usage(stem, 1), usage(oldStem, 2), usage(stem, 3)}, ""},
	} {
		f := newForge(t, key, cose.AlgorithmES256, c.usages...)
		protected, none := f.headers()
		if result := f.check(t, f.sign(t, protected, none, claimsSet(content(nil))), issued); result.Step != c.want {
			t.Errorf("%s: step %q, reason %q; want %q", name, result.Step, result.Reason, c.want)
		}
	}
}

func TestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := newForge(t, key, cose.AlgorithmPS256)
	protected, none := f.headers()
	if result := f.check(t, f.sign(t, protected, none, claimsSet(content(nil))), issued); !result.Accepted {
		t.Errorf("step %q: %s", result.Step, result.Reason)
	}
	// The same key, marked as for PSS only: rsaEncryption (…1.1.1) becomes id-RSASSA-PSS (…1.1.10).
	spki, _ := x509.MarshalPKIXPublicKey(key.Public())
	marked := bytes.Replace(spki, []byte{0x86, 0xf7, 0x0d, 1, 1, 1}, []byte{0x86, 0xf7, 0x0d, 1, 1, 10}, 1)
	if got, err := parsePublicKey(marked); err != nil || !key.PublicKey.Equal(got) {
		t.Errorf("PSS key: error %v", err)
	}
}

// TestOtherCurve signs with ES256 and P-384, as ES has done.
func TestOtherCurve(t *testing.T) {
	f := newForge(t, ecKey(t, elliptic.P384()), cose.AlgorithmES256)
	protected, none := f.headers()
	good := f.sign(t, protected, none, claimsSet(content(nil)))
	if result := f.check(t, good, issued); !result.Accepted {
		t.Errorf("step %q: %s", result.Step, result.Reason)
	}
	good[3].([]byte)[95] ^= 1
	if result := f.check(t, good, issued); result.Step != StepSignature {
		t.Errorf("tampered: step %q", result.Step)
	}
}

func TestParseSignerRefuses(t *testing.T) {
	good := newForge(t, ecKey(t, elliptic.P256()), cose.AlgorithmES256).der
	p224, err := x509.MarshalPKIXPublicKey(ecKey(t, elliptic.P224()).Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsePublicKey(p224); err == nil {
		t.Error("a P-224 key is read")
	}
	for name, der := range map[string][]byte{
		"nothing": nil, "cut short": good[:len(good)-1], "something after it": append(bytes.Clone(good), 0),
		"too long": make([]byte, maxCertificate+1), "not a certificate": {0x30, 0x00},
	} {
		if _, err := ParseSigner(der); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func FuzzParseSigner(f *testing.F) {
	f.Add(newForge(f, ecKey(f, elliptic.P256()), cose.AlgorithmES256, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 1847, 2021, 1, 2}).der)
	f.Fuzz(func(t *testing.T, der []byte) {
		if signer, err := ParseSigner(der); err != nil {
			fuzztest.Refused(t, err)
		} else if signer.verify(cose.AlgorithmES256, []byte("x"), make([]byte, 64)) == nil {
			t.Fatal("a signature of zeros is verified")
		}
	})
}
