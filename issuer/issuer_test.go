package issuer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/entry"
)

func TestIssue(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	issued, known := a.mustIssue(p, a.title(p, "91216 AB 12"))

	if issued.HolderCommitment != credential.HolderCommitment(p.master, p.blinding) || issued.Issuer != landDID || issued.Genesis != genesis {
		t.Error("the credential is another's")
	}
	commitment, _, err := issued.Commitment()
	if err != nil {
		t.Fatal(err)
	}
	e := must(entry.Parse(must(credential.ParseBase64(issued.Entry, -1))(t)))(t)
	payload := must(e.ParsePayload())(t).(entry.CredentialsIssued)
	if len(payload.Commitments) != 1 || payload.Commitments[0] != commitment {
		t.Error("the entry has another commitment")
	}
	if err := e.Verify(0, a.cfg.Keys.Signing.Public()); err != nil || e.Header().Signer != landDID || e.Header().Sequence != 0 {
		t.Errorf("entry: %v, header %+v", err, e.Header())
	}
	if issued.Receipt.Digest != e.Digest() || issued.Receipt.Level != entry.LevelSealed || issued.Leaf != issued.Receipt.FirstLeaf {
		t.Errorf("receipt %+v", issued.Receipt)
	}
	if known.Status != issuer.Active || known.Person != p.name || len(known.History) != 1 || known.Change != "" {
		t.Errorf("clerks see %+v", known)
	}
	if issued.ValidFrom != "2026-03-01" || issued.ValidUntil != "2030-01-01" {
		t.Errorf("valid from %s until %s", issued.ValidFrom, issued.ValidUntil)
	}
}

func TestProofsThatProveSomethingElse(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	other := newPerson("somebody else")
	nonce := a.Nonce().Nonce
	with := func(change func(*statement)) openid.EnrolmentProof {
		s := a.statement(titleType, nonce)
		change(&s)
		proof := p.prove(t, s)
		proof.Nonce, proof.VerifyingKey = nonce, a.cfg.EnrolmentKey.Digest()
		return proof
	}
	good := with(func(*statement) {})
	changed := func(change func(*openid.EnrolmentProof)) openid.EnrolmentProof {
		proof := good
		change(&proof)
		return proof
	}
	for name, proof := range map[string]openid.EnrolmentProof{
		"another audience":         with(func(s *statement) { s.Audience = "https://other.example" }),
		"another nonce":            with(func(s *statement) { s.Nonce = a.Nonce().Nonce }),
		"another configuration":    with(func(s *statement) { s.Configuration = residenceType }),
		"another chain":            with(func(s *statement) { s.Genesis = credential.DigestOf(nil) }),
		"another register":         with(func(s *statement) { s.register = sharedName }),
		"another verifying key":    changed(func(e *openid.EnrolmentProof) { e.VerifyingKey = credential.DigestOf(nil) }),
		"another pseudonym":        changed(func(e *openid.EnrolmentProof) { e.Pseudonym = other.master.Element }),
		"another commitment":       changed(func(e *openid.EnrolmentProof) { e.HolderCommitment = other.master.Element }),
		"pseudonym 0":              changed(func(e *openid.EnrolmentProof) { e.Pseudonym = credential.Element{} }),
		"a proof that is short":    changed(func(e *openid.EnrolmentProof) { e.Proof = e.Proof[1:] }),
		"a proof that is tampered": changed(func(e *openid.EnrolmentProof) { e.Proof = "AAAA" + e.Proof[4:] }),
		"no proof":                 changed(func(e *openid.EnrolmentProof) { e.Proof = "" }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.Issue(t.Context(), token, titleType, proof)
			wantRefusal(t, err, issuer.ErrProof)
		})
	}
	if a.ledger.count() != 0 {
		t.Error("something reached the chain")
	}
	if _, err := a.Issue(t.Context(), token, titleType, good); err != nil {
		t.Errorf("the good proof: %v", err)
	}
}

func TestNonceIsUsedOnceAndExpires(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	proof := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	token := a.token(a.title(p, "1"))
	if _, err := a.Issue(t.Context(), token, titleType, proof); err != nil {
		t.Fatal(err)
	}
	_, err := a.Issue(t.Context(), token, titleType, proof)
	wantRefusal(t, err, issuer.ErrNonce)

	a.restart() // what was used stays used
	_, err = a.Issue(t.Context(), a.token(a.title(p, "2")), titleType, proof)
	wantRefusal(t, err, issuer.ErrNonce)

	late := p.prove(t, a.statement(titleType, a.Nonce().Nonce))
	a.clock.Advance(6 * time.Minute)
	_, err = a.Issue(t.Context(), token, titleType, late)
	wantRefusal(t, err, issuer.ErrNonce)

	for _, forged := range []string{"", "x", strings.Repeat("A", 54), a.Nonce().Nonce + "A"} {
		_, err = a.Issue(t.Context(), token, titleType, openid.EnrolmentProof{Nonce: forged})
		wantRefusal(t, err, issuer.ErrNonce)
	}
}

func TestCodeIsUsedOnceAndExpires(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	code := a.code(a.title(p, "1"))
	if _, err := a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: "123456"}); err == nil {
		t.Error("a transaction code that was not asked for is taken")
	} else {
		wantRefusal(t, err, issuer.ErrRequest)
	}
	if _, err := a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: ""}); err != nil {
		t.Fatal(err)
	}
	a.restart()
	_, err := a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: ""})
	wantRefusal(t, err, issuer.ErrGrant)
	_, err = a.Token(context.Background(), issuer.TokenRequest{Code: "made up", TxCode: ""})
	wantRefusal(t, err, issuer.ErrGrant)

	late := a.code(a.title(p, "1"))
	a.clock.Advance(time.Hour)
	_, err = a.Token(context.Background(), issuer.TokenRequest{Code: late, TxCode: ""})
	wantRefusal(t, err, issuer.ErrGrant)
}

func TestAccessToken(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	_, err := a.ask(p, token, residenceType)
	wantRefusal(t, err, issuer.ErrOffer)
	_, err = a.ask(p, token, "urn:nothing:1")
	wantRefusal(t, err, issuer.ErrConfiguration)
	_, err = a.ask(p, "made up", titleType)
	wantRefusal(t, err, issuer.ErrAccessToken)

	first := must(a.ask(p, token, titleType))(t)
	again := must(a.ask(p, token, titleType))(t) // the wallet lost the answer
	if again.Salt != first.Salt || again.Leaf != first.Leaf || again.Entry != first.Entry {
		t.Error("the same request gives another credential")
	}
	p.renew()
	_, err = a.ask(p, token, titleType) // a second credential out of one offer
	wantRefusal(t, err, issuer.ErrOffer)
	a.clock.Advance(24 * time.Hour)
	_, err = a.ask(p, token, titleType)
	wantRefusal(t, err, issuer.ErrAccessToken)
	if a.ledger.count() != 1 {
		t.Errorf("%d entries, want 1", a.ledger.count())
	}
}

func TestTransactionCode(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	application := a.title(p, "1")
	application.TxCode = true
	offered := func() (code string, o issuer.Offer) {
		o = must(a.Offer(t.Context(), clerk, application))(t)
		parsed, _, err := openid.ParseOfferLink(o.Link)
		if err != nil || parsed.Grants.PreAuthorized.TxCode == nil || len(o.TxCode) != 6 || strings.Contains(o.Link, o.TxCode) {
			t.Fatalf("offer %+v, %v", parsed, err)
		}
		return parsed.Grants.PreAuthorized.Code, o
	}
	wrong := func(o issuer.Offer) string { // another code of the same length
		return fmt.Sprintf("%c%s", '0'+(o.TxCode[0]-'0'+1)%10, o.TxCode[1:])
	}

	code, o := offered()
	_, err := a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: ""})
	wantRefusal(t, err, issuer.ErrRequest)
	for range 4 {
		_, err = a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: wrong(o)})
		wantRefusal(t, err, issuer.ErrGrant)
	}
	if _, err := a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: o.TxCode}); err != nil {
		t.Errorf("right after four wrong ones: %v", err)
	}

	code, o = offered()
	for range 5 {
		a.restart() // tries are counted over restarts
		_, err = a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: wrong(o)})
		wantRefusal(t, err, issuer.ErrGrant)
	}
	_, err = a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: o.TxCode})
	wantRefusal(t, err, issuer.ErrGrant)
}

func TestClaimsThatDoNotFit(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	with := func(name string, value any) credential.Claims {
		c := credential.Claims{"parcel": "1", "area": "612", name: value}
		if value == nil {
			delete(c, name)
		}
		return c
	}
	for _, c := range []struct {
		claim  string
		claims credential.Claims
	}{
		{"area", with("area", nil)},
		{"area", with("area", "six hundred")},
		{"area", with("area", 612.0)},
		{"area", with("area", "-9223372036854775808")},
		{"parcel", with("parcel", "")},
		{"parcel", with("parcel", strings.Repeat("x", 1025))},
		{"parcel", with("parcel", true)},
		{"price", with("price", "12.5")},
		{"since", with("since", "2023-02-31")},
		{"entered", with("entered", "1999-12-31")},
		{"built", with("built", "true")},
		{"use", with("use", "palace")},
		{"owner", with("owner", "secret name")},
	} {
		application := a.title(p, "1")
		application.Claims = c.claims
		_, err := a.Offer(t.Context(), clerk, application)
		refusal, ok := err.(*issuer.Refusal)
		if !ok || refusal.Code != issuer.ErrClaim.Code || refusal.Claim != c.claim {
			t.Errorf("claims %v: %v", map[string]any(c.claims), err)
			continue
		}
		for _, v := range []any{c.claims[c.claim], "secret name"} {
			if s, ok := v.(string); ok && len(s) > 4 && strings.Contains(refusal.Detail, s) {
				t.Errorf("the error quotes the value: %s", refusal.Detail)
			}
		}
	}
}

func TestApplicationsThatCannotBeMeant(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	for name, c := range map[string]struct {
		change func(*issuer.Application)
		want   *issuer.Refusal
	}{
		"schema":            {func(x *issuer.Application) { x.Schema = "urn:other:1" }, issuer.ErrSchema},
		"person":            {func(x *issuer.Application) { x.Person = "" }, issuer.ErrApplication},
		"person in NFD":     {func(x *issuer.Application) { x.Person = "e\u0301" }, issuer.ErrApplication},
		"subject":           {func(x *issuer.Application) { x.Subject = "" }, issuer.ErrApplication},
		"no end":            {func(x *issuer.Application) { x.ValidUntil = "" }, issuer.ErrApplication},
		"a time":            {func(x *issuer.Application) { x.ValidUntil = "2030-01-01T00:00:00Z" }, issuer.ErrApplication},
		"ends before":       {func(x *issuer.Application) { x.ValidFrom = "2031-01-01" }, issuer.ErrApplication},
		"ended before now":  {func(x *issuer.Application) { x.ValidFrom, x.ValidUntil = "2020-01-01", "2021-01-01" }, issuer.ErrApplication},
		"subject too many":  {func(x *issuer.Application) { *x = a.residence(p, "", "2030-01-01"); x.Subject = "1" }, issuer.ErrApplication},
		"no claims, of two": {func(x *issuer.Application) { x.Claims = nil }, issuer.ErrClaim},
	} {
		t.Run(name, func(t *testing.T) {
			application := a.title(p, "1")
			c.change(&application)
			_, err := a.Offer(t.Context(), clerk, application)
			wantRefusal(t, err, c.want)
		})
	}
}

// The parcel is sold: revoke, and offer the new holder a credential with the same subject.
func TestSubjectKeyFollowsTheParcel(t *testing.T) {
	a, seller, buyer := newAgency(t), newPerson("Li Wei"), newPerson("Zhang Min")
	old, title := a.mustIssue(seller, a.title(seller, "91216 AB 12"))
	if _, err := a.Revoke(t.Context(), clerk, title.ID, because("sold")); err != nil {
		t.Fatal(err)
	}
	after, _ := a.mustIssue(buyer, a.title(buyer, "91216 AB 12"))
	another, _ := a.mustIssue(buyer, a.title(buyer, "91216 AB 13"))
	if old.SubjectKey.IsZero() || old.SubjectKey != after.SubjectKey || after.SubjectKey == another.SubjectKey {
		t.Error("subject keys do not follow the parcel")
	}
	residence, _ := a.mustIssue(buyer, a.residence(buyer, "", "2030-01-01"))
	if !residence.SubjectKey.IsZero() {
		t.Error("a credential without subject has a subject key")
	}
}

func TestListAndFind(t *testing.T) {
	a, p, q := newAgency(t), newPerson("Li Wei"), newPerson("Zhang Min")
	for n := range 3 {
		a.mustIssue(p, a.title(p, fmt.Sprint(n)))
		a.clock.Advance(time.Second)
	}
	a.mustIssue(q, a.title(q, "9"))
	first, more, err := a.Credentials(clerk, issuer.List{Limit: 3})
	if err != nil || !more || len(first) != 3 {
		t.Fatalf("%d credentials, more %v, %v", len(first), more, err)
	}
	rest, more, err := a.Credentials(clerk, issuer.List{Limit: 3, After: first[2].ID})
	if err != nil || more || len(rest) != 1 || rest[0].Person != q.name {
		t.Errorf("next page: %d credentials, more %v, %v", len(rest), more, err)
	}
	his, _, err := a.Credentials(clerk, issuer.List{Person: p.name})
	if err != nil || len(his) != 3 {
		t.Errorf("%d of the person, %v", len(his), err)
	}
	_, err = a.Credential(clerk, "no such id")
	wantRefusal(t, err, issuer.ErrNotFound)
}

func TestWorthlessRowsArePurged(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.code(a.title(p, "1")) // never answered
	a.mustIssue(p, a.title(p, "2"))
	rows := func() (n int) {
		for _, table := range []string{"application/", "code/", "token/", "nonce/", "expiry/"} {
			a.cfg.Store.Scan(table, "", func(string, []byte) bool { n++; return true })
		}
		return n
	}
	if rows() == 0 {
		t.Fatal("nothing to purge")
	}
	a.clock.Advance(26 * time.Hour)
	a.restart() // purges first
	eventually(t, "rows are purged", func() bool { return rows() == 0 })
	if c := a.newest(); c.Status != issuer.Active {
		t.Errorf("the credential went with them: %+v", c)
	}
}

func TestNothingPersonalIsLogged(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei of the Long Lane")
	application := a.title(p, "a parcel of that name")
	application.Claims["use"] = "farm"
	code := a.code(application)
	token := must(a.Token(context.Background(), issuer.TokenRequest{Code: code, TxCode: ""}))(t).AccessToken
	issued := must(a.ask(p, token, titleType))(t)
	known := a.newest()
	if _, err := a.Revoke(t.Context(), clerk, known.ID, because("a reason of the clerk")); err != nil {
		t.Fatal(err)
	}
	a.cfg.Logger.Info("everything at once", slog.Any("config", a.cfg.Keys), slog.Any("application", application), slog.Any("credential", known))
	logged := a.log.String()
	if !strings.Contains(logged, "entry sealed") {
		t.Fatal("nothing is logged")
	}
	salt, _ := issued.Salt.MarshalText()
	for _, secret := range []string{p.name, "a parcel of that name", "a reason of the clerk", code, token, string(salt), "farm", issued.HolderCommitment.String()} {
		if strings.Contains(logged, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestConfig(t *testing.T) {
	good := newAgency(t).cfg
	good.Store = new(records.Memory)
	for name, change := range map[string]func(*issuer.Config){
		"DID":                      func(c *issuer.Config) { c.DID = "land.example" },
		"name":                     func(c *issuer.Config) { c.Name = credential.Text{} },
		"plain http":               func(c *issuer.Config) { c.URL = "http://agency.example" },
		"slash at the end":         func(c *issuer.Config) { c.URL += "/" },
		"query":                    func(c *issuer.Config) { c.URL += "?a=b" },
		"wildcard in path":         func(c *issuer.Config) { c.URL += "/:id" },
		"genesis":                  func(c *issuer.Config) { c.Genesis = credential.Digest{} },
		"no schema":                func(c *issuer.Config) { c.Schemas = nil },
		"schema twice":             func(c *issuer.Config) { c.Schemas = []*credential.Schema{titleSchema(), titleSchema()} },
		"register not there":       func(c *issuer.Config) { c.Registers = nil },
		"subject reg. not there":   func(c *issuer.Config) { c.SubjectRegisters = nil },
		"no verifying key":         func(c *issuer.Config) { c.EnrolmentKey = nil },
		"no signing key":           func(c *issuer.Config) { c.Keys.Signing = nil },
		"short record key":         func(c *issuer.Config) { c.Keys.Records = recordKey[1:] },
		"no store":                 func(c *issuer.Config) { c.Store = nil },
		"records of another":       func(c *issuer.Config) { c.Store = claimed(t, good); c.DID = townDID },
		"records of another chain": func(c *issuer.Config) { c.Store = claimed(t, good); c.Genesis = credential.DigestOf(nil) },
	} {
		cfg := good
		change(&cfg)
		if _, err := issuer.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, url := range []string{"http://127.0.0.1:8101", "http://[::1]:8101/a", "http://localhost/x", "https://agency.example"} {
		cfg := good
		cfg.URL = url
		if _, err := issuer.New(cfg); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// claimed is a store that an issuer with that configuration has used.
func claimed(t *testing.T, cfg issuer.Config) issuer.Store {
	t.Helper()
	cfg.Store = new(records.Memory)
	must(issuer.New(cfg))(t)
	return cfg.Store
}
