package sdjwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// disclose makes a disclosure of a JSON text, good or bad, and its digest.
func disclose(content string) (text, digest string) {
	text = base64.RawURLEncoding.EncodeToString([]byte(content))
	return text, digestOf(text)
}

// sign is a credential with any payload and disclosures, by the issuer's key.
func (s scene) sign(t testing.TB, payload any, disclosures ...string) string {
	t.Helper()
	token, err := jose.SignCompact(s.issuer, "", Type, payload)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append([]string{token}, disclosures...), "~") + "~"
}

// payload is a good one, with changes: nil removes a member.
func (s scene) payload(changes map[string]any) map[string]any {
	out := map[string]any{
		"vct": landType, "iss": issuer, "iat": now.Unix(), "cnf": map[string]any{"jwk": s.holder.Public()}, "district": "110101",
	}
	maps.Copy(out, changes)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

func (s scene) unbound() Expected {
	want := s.expected()
	want.Binding = nil
	return want
}

type object = map[string]any
type list = []any

// Digests and disclosures, as RFC 9901 section 7.1 step 3 and what follows have them.
func TestDisclosures(t *testing.T) {
	s := newScene(t)
	area, areaDigest := disclose(`["salt","area",523]`)
	again, againDigest := disclose(`["tlas","area",17]`)
	use, useDigest := disclose(`["salt","living"]`)
	decoy := credential.DigestOf([]byte("decoy")).String()
	nested, nestedDigest := disclose(`["salt","land",{"_sd":["` + areaDigest + `"],"uses":[{"...":"` + useDigest + `"},"trade"]}]`)
	spaced, spacedDigest := disclose(` [ "salt" , "area" , 5.23e2 ] `)
	for name, c := range map[string]struct {
		changes     object
		disclosures []string
		want        Claims
	}{
		"a claim":               {object{"_sd": list{areaDigest, decoy}}, []string{area}, Claims{"area": json.Number("523")}},
		"not disclosed":         {object{"_sd": list{areaDigest, decoy}}, nil, Claims{}},
		"with its algorithm":    {object{"_sd": list{areaDigest}, "_sd_alg": "sha-256"}, []string{area}, Claims{"area": json.Number("523")}},
		"no digests":            {object{"_sd": list{}}, nil, Claims{}},
		"an element":            {object{"uses": list{object{"...": useDigest}, object{"...": decoy}, "trade"}}, []string{use}, Claims{"uses": list{"living", "trade"}}},
		"an element left out":   {object{"uses": list{object{"...": useDigest}}}, nil, Claims{"uses": list{}}},
		"nested":                {object{"_sd": list{nestedDigest}}, []string{area, use, nested}, Claims{"land": object{"area": json.Number("523"), "uses": list{"living", "trade"}}}},
		"nested, in part":       {object{"_sd": list{nestedDigest}}, []string{nested}, Claims{"land": object{"uses": list{"trade"}}}},
		"in an object in lists": {object{"a": list{list{object{"_sd": list{areaDigest}}}}}, []string{area}, Claims{"a": list{list{object{"area": json.Number("523")}}}}},
		"spaced otherwise":      {object{"_sd": list{spacedDigest}}, []string{spaced}, Claims{"area": json.Number("5.23e2")}},
	} {
		got, err := Verify(s.sign(t, s.payload(c.changes), c.disclosures...), s.unbound())
		if c.want["district"] = "110101"; err != nil || !reflect.DeepEqual(got.Claims, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		changes     object
		disclosures []string
		err         error
	}{
		"a disclosure twice":                {object{"_sd": list{areaDigest}}, []string{area, area}, ErrDisclosure},
		"a disclosure of no digest":         {object{"_sd": list{decoy}}, []string{area}, ErrDisclosure},
		"a disclosure in one not disclosed": {object{"_sd": list{nestedDigest}}, []string{area}, ErrDisclosure},
		"no digests at all":                 {nil, []string{area}, ErrDisclosure},
		"a digest twice in a list":          {object{"_sd": list{areaDigest, areaDigest}}, []string{area}, ErrDisclosure},
		"a decoy twice":                     {object{"_sd": list{decoy, decoy}}, nil, ErrDisclosure},
		"a digest in two objects":           {object{"_sd": list{areaDigest}, "a": object{"_sd": list{areaDigest}}}, []string{area}, ErrDisclosure},
		"a digest as member and element":    {object{"_sd": list{useDigest}, "uses": list{object{"...": useDigest}}}, nil, ErrDisclosure},
		"a digest in two elements":          {object{"uses": list{object{"...": useDigest}, object{"...": useDigest}}}, []string{use}, ErrDisclosure},
		"a digest again in a disclosure":    {object{"_sd": list{areaDigest, nestedDigest}}, []string{area, use, nested}, ErrDisclosure},
		"two claims of one name":            {object{"_sd": list{areaDigest, againDigest}}, []string{area, again}, ErrDisclosure},
		"the name of an open claim":         {object{"_sd": list{areaDigest}, "area": 1}, []string{area}, ErrDisclosure},
		"an element for a claim":            {object{"_sd": list{useDigest}}, []string{use}, ErrDisclosure},
		"a claim for an element":            {object{"uses": list{object{"...": areaDigest}}}, []string{area}, ErrDisclosure},
		"_sd is a string":                   {object{"_sd": areaDigest}, []string{area}, ErrMalformed},
		"_sd is an object":                  {object{"_sd": object{}}, nil, ErrMalformed},
		"_sd is a number deeper":            {object{"a": object{"_sd": 1}}, nil, ErrMalformed},
		"a digest is a number":              {object{"_sd": list{1}}, nil, ErrMalformed},
		"a digest is short":                 {object{"_sd": list{decoy[1:]}}, nil, ErrMalformed},
		"a digest is padded":                {object{"_sd": list{decoy + "="}}, nil, ErrMalformed},
		"an element's digest is null":       {object{"uses": list{object{"...": nil}}}, nil, ErrMalformed},
		"an element with more":              {object{"uses": list{object{"...": useDigest, "x": 1}}}, []string{use}, ErrMalformed},
		"... outside of a list":             {object{"...": useDigest}, nil, ErrMalformed},
		"... in an object":                  {object{"a": object{"...": useDigest}}, nil, ErrMalformed},
		"_sd_alg is unknown":                {object{"_sd_alg": "sha-512", "_sd": list{areaDigest}}, []string{area}, ErrMalformed},
		"_sd_alg is weak":                   {object{"_sd_alg": "md5"}, nil, ErrMalformed},
		"_sd_alg is a number":               {object{"_sd_alg": 256}, nil, ErrMalformed},
		"_sd_alg deeper":                    {object{"a": object{"_sd_alg": "sha-256"}}, nil, ErrMalformed},
	} {
		if _, err := Verify(s.sign(t, s.payload(c.changes), c.disclosures...), s.unbound()); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Disclosures that are bad in themselves, though the issuer signed their digests.
func TestDisclosureForms(t *testing.T) {
	s := newScene(t)
	for name, content := range map[string]string{
		"no JSON":              `x`,
		"an object":            `{"salt":"name"}`,
		"null":                 `null`,
		"one part":             `["salt"]`,
		"four parts":           `["salt","area",1,2]`,
		"a number for a salt":  `[1,"area",523]`,
		"a number for a name":  `["salt",1,523]`,
		"null for a name":      `["salt",null,523]`,
		"called _sd":           `["salt","_sd",["` + digestOf("x") + `"]]`,
		"called ...":           `["salt","...","` + digestOf("x") + `"]`,
		"called _sd_alg":       `["salt","_sd_alg","sha-256"]`,
		"a name twice inside":  `["salt","area",{"a":1,"a":2}]`,
		"text after it":        `["salt","area",523]x`,
		"broken text":          "[\"salt\",\"area\",\"\xff\"]",
		"half a surrogate":     `["salt","area","\ud800"]`,
		"_sd_alg inside":       `["salt","area",{"_sd_alg":"sha-256"}]`,
		"a number too large":   `["salt","area",9007199254740993]`,
		"_sd inside, no list":  `["salt","area",{"_sd":1}]`,
		"... inside an object": `["salt","area",{"...":"x"}]`,
	} {
		text, digest := disclose(content)
		if _, err := Verify(s.sign(t, s.payload(object{"_sd": list{digest}}), text), s.unbound()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "523") || strings.Contains(err.Error(), "salt\"") {
			t.Errorf("%s: the error quotes the disclosure: %v", name, err)
		}
	}
	// SPEC (SD-JWT VC): what a verifier decides by must be open, with all its parts.
	for _, name := range open {
		text, digest := disclose(`["salt","` + name + `","x"]`)
		if _, err := Verify(s.sign(t, s.payload(object{"_sd": list{digest}, name: nil}), text), s.unbound()); !errors.Is(err, ErrDisclosure) {
			t.Errorf("%s is disclosed: %v", name, err)
		}
	}
	text, digest := disclose(`["salt","jwk",{}]`)
	if _, err := Verify(s.sign(t, s.payload(object{"cnf": object{"_sd": list{digest}}}), text), s.unbound()); !errors.Is(err, ErrDisclosure) {
		t.Errorf("the key in cnf is disclosed: %v", err)
	}
	// When it was issued may be hidden.
	text, digest = disclose(`["salt","iat",1780000000]`)
	if c, err := Verify(s.sign(t, s.payload(object{"_sd": list{digest}, "iat": nil}), text), s.unbound()); err != nil || c.IssuedAt != 1780000000 {
		t.Errorf("iat is disclosed: %v, %v", c, err)
	}
}

func TestPayloads(t *testing.T) {
	s := newScene(t)
	jwk := s.holder.Public()
	withKid := object{"kty": jwk.Type, "crv": jwk.Curve, "x": jwk.X, "kid": "1", "use": "sig"}
	uri := "https://land.example/status/1"
	for name, changes := range map[string]object{
		"the least":           {"cnf": nil, "iat": nil, "district": nil},
		"a key with kid":      {"cnf": object{"jwk": withKid}},
		"a status":            {"status": object{"status_list": object{"idx": 0, "uri": uri}}},
		"another status, too": {"status": object{"status_list": object{"idx": 0, "uri": uri, "x": 1}, "other": 1}},
		"valid from now":      {"nbf": now.Unix()},
		"valid for a second":  {"exp": now.Unix() + 1},
	} {
		if _, err := Verify(s.sign(t, s.payload(changes)), s.unbound()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	withPrivate := maps.Clone(withKid)
	withPrivate["d"] = jwk.X
	for name, c := range map[string]struct {
		changes object
		err     error
	}{
		"no vct":                  {object{"vct": nil}, ErrMalformed},
		"an empty vct":            {object{"vct": ""}, ErrMalformed},
		"vct is a number":         {object{"vct": 1}, ErrMalformed},
		"another vct":             {object{"vct": landType + "0"}, ErrUnexpected},
		"an audience":             {object{"aud": bank}, ErrMalformed},
		"no iss":                  {object{"iss": nil}, ErrMalformed},
		"iss is a list":           {object{"iss": list{issuer}}, ErrMalformed},
		"iss is long":             {object{"iss": strings.Repeat("x", maxName+1)}, ErrMalformed},
		"iat is text":             {object{"iat": "1"}, ErrMalformed},
		"iat has a fraction":      {object{"iat": 1.5}, ErrMalformed},
		"iat is negative":         {object{"iat": -1}, ErrMalformed},
		"iat is beyond all":       {object{"iat": int64(1) << 52}, ErrMalformed},
		"issued later":            {object{"iat": now.Unix() + 1}, ErrTime},
		"valid later":             {object{"nbf": now.Unix() + 1}, ErrTime},
		"expired now":             {object{"exp": now.Unix()}, ErrTime},
		"cnf is a string":         {object{"cnf": "x"}, ErrMalformed},
		"cnf without a key":       {object{"cnf": object{"kid": "x"}}, ErrMalformed},
		"cnf with a key and more": {object{"cnf": object{"jwk": jwk, "jku": "https://x"}}, ErrMalformed},
		"cnf with a private key":  {object{"cnf": object{"jwk": withPrivate}}, ErrMalformed},
		"cnf with an RSA key":     {object{"cnf": object{"jwk": object{"kty": "RSA"}}}, ErrMalformed},
		"cnf with numbers":        {object{"cnf": object{"jwk": object{"kty": "OKP", "crv": "Ed25519", "x": 1}}}, ErrMalformed},
		"status is a string":      {object{"status": "x"}, ErrMalformed},
		"a status of other kinds": {object{"status": object{"other": object{}}}, ErrMalformed},
		"a status without idx":    {object{"status": object{"status_list": object{"uri": uri}}}, ErrMalformed},
		"a status without uri":    {object{"status": object{"status_list": object{"idx": 1}}}, ErrMalformed},
		"a negative index":        {object{"status": object{"status_list": object{"idx": -1, "uri": uri}}}, ErrMalformed},
		"an index of text":        {object{"status": object{"status_list": object{"idx": "1", "uri": uri}}}, ErrMalformed},
		"a status from nowhere":   {object{"status": object{"status_list": object{"idx": 1, "uri": "x"}}}, ErrMalformed},
	} {
		if _, err := Verify(s.sign(t, s.payload(c.changes)), s.unbound()); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, payload := range map[string]any{"a list": list{1}, "null": nil, "text": "x"} {
		if _, err := Verify(s.sign(t, payload), s.unbound()); !errors.Is(err, ErrMalformed) {
			t.Errorf("the payload is %s: %v", name, err)
		}
	}
}

// The issuer's signature (RFC 9901 7.1, step 2), the compact form, and who signed.
func TestSignatures(t *testing.T) {
	s := newScene(t)
	good := s.sign(t, s.payload(nil))
	if _, err := Verify(good, s.unbound()); err != nil {
		t.Fatal(err)
	}
	signedAs := func(key *jose.SigningKey, typ string) string {
		token, err := jose.SignCompact(key, s.issuer.Public().KeyID(), typ, s.payload(nil))
		if err != nil {
			t.Fatal(err)
		}
		return token + "~"
	}
	parts := strings.Split(good, ".")
	header := func(text string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1] + "." + parts[2]
	}
	unnamed, err := jose.SignUnnamed(s.issuer, Type, s.payload(nil))
	if err != nil {
		t.Fatal(err)
	}
	another := base64.RawURLEncoding.EncodeToString([]byte(`{"vct":"` + landType + `","iss":"` + issuer + `","a":1}`))
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"a stranger's key":        {signedAs(s.holder, Type), jose.ErrSignature},
		"another payload":         {parts[0] + "." + another + "." + parts[2], jose.ErrSignature},
		"no typ":                  {header(`{"alg":"EdDSA","kid":"` + s.issuer.Public().KeyID() + `"}`), jose.ErrToken},
		"typ of a plain JWT":      {signedAs(s.issuer, "JWT"), jose.ErrToken},
		"typ as it once was":      {signedAs(s.issuer, "vc+sd-jwt"), jose.ErrToken},
		"typ of a key binding":    {signedAs(s.issuer, BindingType), jose.ErrToken},
		"alg none":                {header(`{"alg":"none","kid":"` + s.issuer.Public().KeyID() + `","typ":"` + Type + `"}`), jose.ErrToken},
		"alg none, no signature":  {strings.TrimSuffix(header(`{"alg":"none","kid":"`+s.issuer.Public().KeyID()+`","typ":"`+Type+`"}`), parts[2]) + "~", jose.ErrToken},
		"a key in the header":     {header(`{"alg":"EdDSA","jwk":{},"kid":"x","typ":"` + Type + `"}`), jose.ErrToken},
		"certificates in it":      {header(`{"alg":"EdDSA","kid":"x","typ":"` + Type + `","x5c":[]}`), jose.ErrToken},
		"crit":                    {header(`{"alg":"EdDSA","crit":["x"],"kid":"x","typ":"` + Type + `"}`), jose.ErrToken},
		"no kid":                  {unnamed + "~", jose.ErrToken},
		"no separator":            {strings.TrimSuffix(good, "~"), ErrMalformed},
		"an empty disclosure":     {good + "~", ErrMalformed},
		"nothing":                 {"", ErrMalformed},
		"only separators":         {"~~", ErrMalformed},
		"only a separator":        {"~", jose.ErrToken},
		"a line break":            {good[:9] + "\n" + good[9:], jose.ErrToken},
		"a disclosure with break": {good + "WyJhIiwi\nYiIsMV0~", ErrMalformed},
		"too large":               {good + strings.Repeat("A", MaxSize) + "~", ErrMalformed},
		"too many disclosures":    {good + strings.Repeat("A~", MaxDisclosures+1), ErrMalformed},
		"the JSON serialisation":  {`{"payload":"` + parts[1] + `","signature":"` + strings.TrimSuffix(parts[2], "~") + `"}`, ErrMalformed},
	} {
		if _, err := Verify(c.text, s.unbound()); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	untrusted := errors.New("not trusted")
	want := s.unbound()
	want.Keys = func(by, keyID string) (jose.PublicKey, error) {
		if by != issuer || keyID != s.issuer.Public().KeyID() {
			t.Errorf("asked for the key %q of %q", keyID, by)
		}
		return jose.PublicKey{}, untrusted
	}
	if _, err := Verify(good, want); !errors.Is(err, untrusted) {
		t.Errorf("an issuer that is not trusted: %v", err)
	}
	want = s.unbound()
	want.Types = nil
	if _, err := Verify(good, want); !errors.Is(err, ErrUnexpected) {
		t.Errorf("a verifier that accepts no type: %v", err)
	}
}

// The key binding (RFC 9901 7.3).
func TestBindings(t *testing.T) {
	s := newScene(t)
	held := s.issue(t)
	full, err := held.Present(s.binding(), Path{"area"}, Path{"owner"})
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(full, "~") + 1
	unbound, binding := full[:at], full[at:]
	hash := credential.DigestOf([]byte(unbound)).String()
	parts := strings.Split(strings.TrimSuffix(unbound, "~"), "~")
	bind := func(key *jose.SigningKey, typ string, changes object) string {
		payload := object{"iat": now.Unix(), "aud": bank, "nonce": nonce, "sd_hash": hash}
		maps.Copy(payload, changes)
		maps.DeleteFunc(payload, func(_ string, v any) bool { return v == nil })
		token, err := jose.SignUnnamed(key, typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		return unbound + token
	}
	with := func(changes object) string { return bind(s.holder, BindingType, changes) }
	for name, text := range map[string]string{
		"as presented":       full,
		"made here":          with(nil),
		"five minutes old":   with(object{"iat": now.Add(-5 * time.Minute).Unix()}),
		"with other members": with(object{"transaction_data_hashes": list{"x"}, "exp": now.Unix() + 1, "nbf": now.Unix()}),
	} {
		if _, err := Verify(text, s.expected()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	header := func(text string) string {
		jwt := strings.Split(binding, ".")
		return unbound + base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + jwt[1] + "." + jwt[2]
	}
	bearer := s.sign(t, s.payload(object{"cnf": nil}))
	for name, text := range map[string]string{
		"none":                       unbound,
		"the issuer's key":           bind(s.issuer, BindingType, nil),
		"a stranger's key":           bind(newKey(t, jose.EdDSA), BindingType, nil),
		"a key of another algorithm": bind(newKey(t, jose.ES256), BindingType, nil),
		"typ of a plain JWT":         bind(s.holder, "JWT", nil),
		"typ of a credential":        bind(s.holder, Type, nil),
		"no typ":                     header(`{"alg":"EdDSA"}`),
		"alg none":                   header(`{"alg":"none","typ":"kb+jwt"}`),
		"its key in the header":      header(`{"alg":"EdDSA","jwk":{},"typ":"kb+jwt"}`),
		"no iat":                     with(object{"iat": nil}),
		"no aud":                     with(object{"aud": nil}),
		"no nonce":                   with(object{"nonce": nil}),
		"no sd_hash":                 with(object{"sd_hash": nil}),
		"sd_hash by its old name":    with(object{"sd_hash": nil, "_sd_hash": hash}),
		"another sd_hash":            with(object{"sd_hash": digestOf("x")}),
		"sd_hash of the JWT alone":   with(object{"sd_hash": digestOf(parts[0])}),
		"sd_hash without the end":    with(object{"sd_hash": digestOf(strings.TrimSuffix(unbound, "~"))}),
		"another audience":           with(object{"aud": bank + "0"}),
		"a list of audiences":        with(object{"aud": list{bank}}),
		"another nonce":              with(object{"nonce": nonce + "0"}),
		"too old":                    with(object{"iat": now.Add(-5*time.Minute - time.Second).Unix()}),
		"from the future":            with(object{"iat": now.Unix() + 1}),
		"iat as text":                with(object{"iat": "1780315200"}),
		"expired":                    with(object{"exp": now.Unix()}),
		"not valid yet":              with(object{"nbf": now.Unix() + 1}),
		"exp as text":                with(object{"exp": "x"}),
		"a disclosure dropped":       strings.Join(parts[:len(parts)-1], "~") + "~" + binding,
		"a disclosure added":         unbound + held.disclosures[len(held.disclosures)-2].text + "~" + binding,
		"disclosures in other order": strings.Join([]string{parts[0], parts[2], parts[1]}, "~") + "~" + binding,
		"that of another credential": s.issue(t).unbound(nil) + binding,
		"one without a holder":       bearer + binding,
		"twice":                      full + "~" + binding,
		"cut":                        full[:len(full)-1],
		"of JSON that is no object":  bindAny(t, s.holder, unbound, list{1}),
		"of JSON that is null":       bindAny(t, s.holder, unbound, nil),
	} {
		if _, err := Verify(text, s.expected()); !errors.Is(err, ErrBinding) && (name != "twice" || !errors.Is(err, ErrMalformed)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// SPEC (7.3, 1): whether a key binding is needed is the verifier's decision. One that it did not ask for was made for
	// somebody else.
	if _, err := Verify(full, s.unbound()); !errors.Is(err, ErrBinding) {
		t.Errorf("nobody asked for it: %v", err)
	}
	for _, c := range []*Challenge{{Nonce: nonce}, {Audience: bank}} {
		want := s.expected()
		if want.Binding = c; errors.Is(second(Verify(full, want)), ErrBinding) || second(Verify(full, want)) == nil {
			t.Errorf("%+v is asked for", c)
		}
	}
	want := s.expected()
	want.Binding.MaxAge, want.Now = time.Second, now.Add(2*time.Second)
	if _, err := Verify(full, want); !errors.Is(err, ErrTime) {
		t.Errorf("older than asked for: %v", err)
	}
	want = s.expected()
	if want.Now, want.Skew = now.Add(-time.Minute), time.Minute; second(Verify(full, want)) != nil {
		t.Errorf("a clock within the skew: %v", second(Verify(full, want)))
	}
}

func second(_ *Credential, err error) error { return err }

func bindAny(t *testing.T, key *jose.SigningKey, unbound string, payload any) string {
	t.Helper()
	token, err := jose.SignUnnamed(key, BindingType, payload)
	if err != nil {
		t.Fatal(err)
	}
	return unbound + token
}
