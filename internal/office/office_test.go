package office

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

const passphrase = "a test"

// makeKeys makes an office's keys cheaply.
func makeKeys(t testing.TB, dir string, role Role, name string) Public {
	t.Helper()
	p, err := MakeKeys(KeysConfig{Dir: dir, Role: role, Name: name, Passphrase: passphrase, WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// town is the folders of a chain that is about to be founded.
type town struct {
	t       testing.TB
	dir     string
	members []Public
	keys    []*jose.SigningKey // the members'
	draft   GenesisDraft
	cfg     LedgerConfig
}

// newTown has three members, of whom two decide, a ledger and a cosigner. Its verifying keys are made up: nothing is
// proven here.
func newTown(t testing.TB) *town {
	w := &town{t: t, dir: t.TempDir()}
	for _, name := range []string{"ministry", "court", "university"} {
		w.members = append(w.members, makeKeys(t, filepath.Join(w.dir, name), Member, name+".example"))
		key, err := MemberKey(filepath.Join(w.dir, name), passphrase)
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, key)
	}
	w.draft = GenesisDraft{
		Network: "example", Ledger: makeKeys(t, filepath.Join(w.dir, "ledger"), Ledger, "ledger.example/1"), Members: w.members, Threshold: 2,
		Keys: madeUp("transcript"), Now: time.Now(),
	}
	makeKeys(t, filepath.Join(w.dir, "audit"), Cosigner, "audit.example/1")
	path := filepath.Join(w.dir, "ledger", "ledger.json")
	w.write(path, `{"listen":{"address":"127.0.0.1:0"},"secrets":"secrets","store":"store","register":"../register/last-signed",
		"cosigners":[{"public":"../audit/public.json","url":"http://127.0.0.1:1"}],"threshold":1}`)
	var err error
	if w.cfg, err = ReadLedgerConfig(path); err != nil {
		t.Fatal(err)
	}
	return w
}

func madeUp(transcript string) (list []entry.VerifyingKey) {
	for _, name := range []string{circuits.Presentation, circuits.Enrolment} {
		k := entry.VerifyingKey{Circuit: name, CircuitDigest: credential.DigestOf([]byte(name)), KeyDigest: credential.DigestOf([]byte(name + transcript)), NotAfter: 1 << 32}
		if transcript != "" {
			k.Transcript = credential.DigestOf([]byte(transcript))
		}
		list = append(list, k)
	}
	return list
}

func (w *town) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// signed is the genesis with the signatures of those members.
func (w *town) signed(members ...int) *entry.Entry {
	w.t.Helper()
	p, err := Genesis(w.draft)
	if err != nil {
		w.t.Fatal(err)
	}
	var parts []*entry.Entry
	for _, i := range members {
		e, err := p.Sign(w.keys[i], nil)
		if err != nil {
			w.t.Fatal(err)
		}
		parts = append(parts, e)
	}
	e, err := entry.Merge(parts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *town) found(genesis *entry.Entry) error {
	return Found(w.cfg, genesis, Options{Passphrase: passphrase})
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want an error with %q, got %v", want, err)
	}
}

func TestFoundingAChain(t *testing.T) {
	w := newTown(t)
	refused(t, w.found(w.signed(0)), "1 signatures of governance, want 2")
	others := newTown(t)
	refused(t, w.found(others.signed(0, 1)), "genesis names the log key")
	mixed := *w
	mixed.draft.Ledger.Key = others.draft.Ledger.Key
	refused(t, w.found(mixed.signed(0, 1)), "genesis names the operator key")
	suspension, err := Propose(w.signed(0, 1).Digest(), 1, entry.IssuerSuspended{DID: "did:web:land.example", Reason: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := suspension.Sign(w.keys[0], w.signed(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, w.found(e), "of the kind issuer-suspended")
	for _, path := range []string{w.cfg.Store, w.cfg.Register} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("a refused founding made %s", path)
		}
	}
	if err := Found(w.cfg, w.signed(0, 1), Options{Passphrase: "another"}); err == nil {
		t.Error("founded without the passphrase")
	}

	if err := os.MkdirAll(filepath.Join(w.cfg.Store, "lost"), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, w.found(w.signed(0, 2)), "is there already")
	if err := os.Remove(filepath.Join(w.cfg.Store, "lost")); err != nil { // an empty folder is as good as none
		t.Fatal(err)
	}
	if err := w.found(w.signed(0, 2)); err != nil {
		t.Fatal(err)
	}
	refused(t, w.found(w.signed(0, 2)), "is there already")
	s, err := OpenLedger(w.cfg, Options{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(w.cfg.Store); err != nil {
		t.Fatal(err)
	}
	refused(t, w.found(w.signed(0, 2)), "is there already") // the register says that something was signed
}

func TestGenesisRefusals(t *testing.T) {
	w := newTown(t)
	for want, change := range map[string]func(*GenesisDraft){
		"no ceremony transcript":     func(d *GenesisDraft) { d.Keys = madeUp("") },
		"no verifying key of":        func(d *GenesisDraft) { d.Keys = d.Keys[:1] },
		"threshold 4 of 3":           func(d *GenesisDraft) { d.Threshold = 4 },
		"threshold 0 of 3":           func(d *GenesisDraft) { d.Threshold = 0 },
		"want governance":            func(d *GenesisDraft) { d.Members = []Public{d.Ledger} },
		"public part of the ledger":  func(d *GenesisDraft) { d.Ledger = d.Members[0] },
		"want whole seconds":         func(d *GenesisDraft) { d.Grid = time.Millisecond },
		"network and origin must be": func(d *GenesisDraft) { d.Network = "" },
		"stands twice":               func(d *GenesisDraft) { d.Members = append(slices.Clone(d.Members), d.Members[0]) },
	} {
		d := w.draft
		change(&d)
		_, err := Genesis(d)
		refused(t, err, want)
	}
	d := w.draft
	d.Keys, d.Dev = madeUp(""), true
	if _, err := Genesis(d); err != nil {
		t.Errorf("a dev chain with development keys: %v", err)
	}
}

func TestSigningRefusals(t *testing.T) {
	w, others := newTown(t), newTown(t)
	genesis := w.signed(0, 1)
	draft, err := Genesis(w.draft)
	if err != nil {
		t.Fatal(err)
	}
	_, err = draft.Sign(others.keys[0], nil)
	refused(t, err, "is not one of the 3 governance keys of example")

	p, err := Propose(genesis.Digest(), 7, entry.IssuerReinstated{DID: "did:web:land.example"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Sign(w.keys[0], nil)
	refused(t, err, "the chain's genesis is needed")
	_, err = p.Sign(w.keys[0], others.signed(0, 1))
	refused(t, err, "it is for the chain "+genesis.Digest().String())
	_, err = p.Sign(others.keys[0], genesis)
	refused(t, err, "is not one of the 3 governance keys")
	if e, err := p.Sign(w.keys[2], genesis); err != nil || e.Header().Sequence != 7 || e.Header().Genesis != genesis.Digest() {
		t.Errorf("signed %+v, %v", e, err)
	}
	bare := madeUp("")[0]
	p, err = Propose(genesis.Digest(), 7, entry.VerifyingKeyListed{Key: bare})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Sign(w.keys[0], genesis)
	refused(t, err, "no ceremony transcript")
	_, err = Propose(genesis.Digest(), 0, entry.CredentialsRevoked{Leaves: []uint64{1}})
	refused(t, err, "not governance's to sign")
	_, err = Propose(credential.Digest{}, 0, entry.IssuerReinstated{DID: "did:web:land.example"})
	refused(t, err, "of no chain yet")
}

// A proposal survives its file, and the file must be strict.
func TestProposalFiles(t *testing.T) {
	w := newTown(t)
	p, err := Genesis(w.draft)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.dir, "genesis.json")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := ReadProposal(path)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := p.Digest()
	two, _ := again.Digest()
	if one != two || one.IsZero() {
		t.Errorf("digests %s and %s", one, two)
	}
	words, err := again.Lines()
	if text := strings.Join(words, "\n"); err != nil || !strings.Contains(text, "any 2 of 3 keys") || !strings.Contains(text, w.draft.Keys[0].KeyDigest.String()) || !strings.Contains(text, one.String()) {
		t.Errorf("%s, %v", text, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string][2]string{
		"kind":         {`"kind": "genesis"`, `"kind": "seal"`},
		"version 2":    {`"version": 1,`, `"version": 2,`},
		"not_a_member": {`"seq": 0`, `"seq": 0, "not_a_member": 1`},
		"no chain yet": {`"seq": 0`, `"seq": 1`},
	} {
		w.write(path, strings.Replace(string(text), change[0], change[1], 1))
		_, err := ReadProposal(path)
		refused(t, err, want)
	}
}

func TestWordsNameWhatIsSigned(t *testing.T) {
	key := newTown(t).members[0].Key
	for want, payload := range map[string]entry.Payload{
		"may issue 9 credentials": entry.IssuerRegistered{DID: "did:web:land.example", Name: credential.Text{English: "Land"}, Keys: []jose.PublicKey{*key}, Quota: 9, URL: "https://land.example"},
		"may issue 8 credentials": entry.IssuerRotated{DID: "did:web:land.example", Keys: []jose.PublicKey{*key}, Quota: 8},
		"in public: stolen":       entry.IssuerSuspended{DID: "did:web:land.example", Reason: "stolen"},
		"Takes back":              entry.IssuerReinstated{DID: "did:web:land.example"},
		"https://city.example/":   entry.VerifierRegistered{DID: "did:web:city.example", Name: credential.Text{Chinese: "市"}, Keys: []jose.PublicKey{*key}, ResponseURIs: []string{"https://city.example/"}},
		"kept by did:web:b":       entry.ScopeRegistered{Service: "aid", Consumer: "did:web:b", Verifiers: []string{"did:web:a", "did:web:b"}},
		"can forge proofs":        entry.VerifyingKeyListed{Key: madeUp("")[0]},
		"issued by did:web:land": entry.SchemaPublished{Issuers: []string{"did:web:land"}, Schema: credential.Schema{
			Type: "urn:example:1", EnrolmentRegister: credential.IssuerRegister, Claims: []credential.ClaimType{{Name: "a", Type: credential.Date}}}},
	} {
		p, err := Propose(credential.DigestOf([]byte("chain")), 3, payload)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		words, err := p.Lines()
		if text := strings.Join(words, "\n"); err != nil || !strings.Contains(text, want) || !strings.Contains(text, "number 3") {
			t.Errorf("%s, %v: want %q", text, err, want)
		}
	}
}

func TestKeysOfAnOffice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "land")
	p := makeKeys(t, dir, Issuer, "did:web:land.example")
	_, err := MakeKeys(KeysConfig{Dir: dir, Role: Issuer, Name: "did:web:land.example", Passphrase: passphrase})
	refused(t, err, "one folder is one office")
	_, err = ReadPublic(filepath.Join(dir, PublicFile), Verifier)
	refused(t, err, "want verifier")
	_, err = MemberKey(dir, passphrase)
	refused(t, err, "want governance")
	_, err = SwitchKey(dir, passphrase)
	refused(t, err, "there is no next key")

	next, err := NextKey(dir, passphrase, "")
	if err != nil || *next.Key == *p.Key {
		t.Fatalf("next key %v, %v", next, err)
	}
	if again, err := NextKey(dir, passphrase, ""); err != nil || *again.Key != *next.Key {
		t.Errorf("asked again, the next key is another: %v", err)
	}
	if now, err := ReadPublic(filepath.Join(dir, PublicFile), Issuer); err != nil || *now.Key != *p.Key {
		t.Errorf("the present key changed before the switch: %v", err)
	}
	if _, err := SwitchKey(dir, passphrase); err != nil {
		t.Fatal(err)
	}
	if now, err := ReadPublic(filepath.Join(dir, PublicFile), Issuer); err != nil || *now.Key != *next.Key {
		t.Errorf("after the switch: %v", err)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := signer(secrets, signingKey); err != nil || key.Public() != *next.Key {
		t.Errorf("after the switch the office signs with %v, %v", key, err)
	}
	_, err = openSecrets(filepath.Join(dir, SecretsFolder), "another")
	refused(t, err, "wrong passphrase")
	_, err = openSecrets(filepath.Join(dir, "nothing"), passphrase)
	refused(t, err, "make keys with bulla key make")
	before, err := signer(secrets, adminKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := RenewKey(dir, passphrase, "api"); err != nil {
		t.Fatal(err)
	}
	if after, err := signer(secrets, adminKey); err != nil || after.Public() == before.Public() {
		t.Errorf("the renewed key is the old one: %v", err)
	}
	refused(t, RenewKey(dir, passphrase, "result"), "the role issuer has the key api")
	refused(t, RenewKey(dir, passphrase, "records"), "the role issuer has the key api")
	ledger := filepath.Join(t.TempDir(), "ledger")
	makeKeys(t, ledger, Ledger, "ledger.example/1")
	_, err = NextKey(ledger, passphrase, "")
	refused(t, err, "is not rotated")
	for _, bad := range []KeysConfig{{Role: "clerk", Name: "x"}, {Role: Issuer, Name: "land"}, {Role: Member, Name: "a b"}, {Role: Cosigner, Name: "a+b"}} {
		bad.Dir, bad.Passphrase = t.TempDir(), passphrase
		if _, err := MakeKeys(bad); err == nil {
			t.Errorf("made keys of %+v", bad)
		}
	}
}

// The keys of companions that were are published until they are void, and the present one cannot be.
func TestKeysOfCompanions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "land")
	makeKeys(t, dir, Issuer, "did:web:land.example")
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	keys := func() (string, []string) {
		t.Helper()
		k, err := issuerKeys(secrets, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var retired []string
		for _, r := range k.CompanionRetired {
			retired = append(retired, r.KeyID())
		}
		if k.Companion.Public().Algorithm() != jose.ES256 {
			t.Errorf("algorithm %s", k.Companion.Public().Algorithm())
		}
		return k.Companion.Public().KeyID(), retired
	}
	first, retired := keys()
	if len(retired) != 0 {
		t.Errorf("retired %v", retired)
	}
	renew := func() {
		t.Helper()
		if err := RenewKey(dir, passphrase, "companion"); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	second, retired := keys()
	if second == first || !slices.Equal(retired, []string{first}) {
		t.Errorf("%s, retired %v", second, retired)
	}
	refused(t, VoidKey(dir, passphrase, second), "renew it first")
	refused(t, VoidKey(dir, passphrase, "x"), "no old key")
	if err := retire(secrets); err != nil { // a renewal that breaks off after this
		t.Fatal(err)
	}
	if now, retired := keys(); now != second || !slices.Equal(retired, []string{first}) {
		t.Errorf("%s, retired %v", now, retired)
	}
	renew()
	if err := VoidKey(dir, passphrase, first); err != nil {
		t.Fatal(err)
	}
	if now, retired := keys(); now == second || !slices.Equal(retired, []string{second}) {
		t.Errorf("%s, retired %v", now, retired)
	}
	for range maxRetired - 1 {
		renew()
	}
	refused(t, RenewKey(dir, passphrase, "companion"), "old keys are published")

	// An agency of before has no such key: it has none until it asks for one.
	if err := secrets.Delete(companionKey); err != nil {
		t.Fatal(err)
	}
	if k, err := issuerKeys(secrets, Options{}); err != nil || k.Companion != nil {
		t.Errorf("made by itself: %v", err)
	}
	renew()
	if _, retired := keys(); len(retired) != maxRetired {
		t.Errorf("%d retired", len(retired))
	}
	city := filepath.Join(t.TempDir(), "city")
	makeKeys(t, city, Verifier, "did:web:city.example")
	refused(t, RenewKey(city, passphrase, "companion"), "an issuer companion")
}

func TestProfileNeedsACosigner(t *testing.T) {
	w := newTown(t)
	audit, err := ReadPublic(filepath.Join(w.dir, "audit", PublicFile), Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	genesis := w.signed(1, 2)
	p, err := NewProfile(genesis, "https://ledger.example", []Public{audit}, 1)
	if err != nil || p.Genesis != genesis.Digest() || p.Policy.LogKey != w.draft.Ledger.NoteKey {
		t.Errorf("profile %+v, %v", p, err)
	}
	_, err = NewProfile(genesis, "https://ledger.example", nil, 0)
	refused(t, err, "at least one cosigner")
	_, err = NewProfile(genesis, "https://ledger.example", []Public{audit, audit}, 2)
	refused(t, err, "stands twice")
	_, err = NewProfile(genesis, "https://ledger.example", []Public{w.members[0]}, 1)
	refused(t, err, "want cosigner")
	_, err = NewProfile(w.signed(1), "https://ledger.example", []Public{audit}, 1)
	refused(t, err, "1 signatures")
}

// What is no public part or proposal is refused in words that can be logged; what is one has one spelling.
func FuzzHandedOver(f *testing.F) {
	w := newTown(f)
	p, err := Genesis(w.draft)
	if err != nil {
		f.Fatal(err)
	}
	suspension, err := Propose(credential.DigestOf([]byte("chain")), 1, entry.IssuerSuspended{DID: "did:web:land.example", Reason: "a test"})
	if err != nil {
		f.Fatal(err)
	}
	for _, value := range []any{w.members[0], w.draft.Ledger, p, suspension} {
		text, err := json.Marshal(value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParsePublic(text); err == nil {
			again, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if q, err := ParsePublic(again); err != nil || !reflect.DeepEqual(p, q) {
				t.Errorf("%+v became %+v, %v", p, q, err)
			}
		} else {
			fuzztest.Refused(t, err)
		}
		if p, err := ParseProposal(text); err == nil {
			one, err := p.Digest()
			if err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			q, err := ParseProposal(again)
			if err != nil {
				t.Fatal(err)
			}
			if two, err := q.Digest(); err != nil || one != two {
				t.Errorf("digest %s became %s, %v", one, two, err)
			}
			if _, err := p.Lines(); err != nil {
				t.Error(err)
			}
		} else {
			fuzztest.Refused(t, err)
		}
	})
}
