package wallet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// country is the real thing: an agency and a verifier of the packages issuer and verifier, real keys, real proofs.
type country struct {
	t        *testing.T
	chain    *ledgertest.Chain
	agency   *issuer.Issuer
	verifier *verifier.Verifier
	bank     *jose.SigningKey // registered for the verifier
	policies []*policy.Policy // of the verifier, registered
	checked  wallet.Provers
	cheating wallet.Provers
}

func newCountry(t *testing.T) *country {
	t.Helper()
	development := circuitstest.Keys(t)
	c := &country{t: t}
	c.checked, c.cheating = provers(t, false), provers(t, true)
	c.chain = ledgertest.New(t, func(g *entry.Genesis) {
		for _, name := range []string{circuits.Enrolment, circuits.Presentation, circuits.PresentationSmall} {
			vk := ledgertest.Must(development.VerifyingKey(name))(t)
			g.VerifyingKeys = append(g.VerifyingKeys, entry.VerifyingKey{
				Circuit: name, CircuitDigest: vk.Circuit(), KeyDigest: vk.Digest(), NotAfter: credential.UnixTimeOf(time.Now().Add(time.Hour)),
			})
		}
	})
	var agencyHandler, verifierHandler http.Handler
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/civil/") || strings.HasPrefix(r.URL.Path, "/.well-known/") {
			agencyHandler.ServeHTTP(w, r)
			return
		}
		http.StripPrefix("/bank", verifierHandler).ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	agencyKey := c.chain.RegisterIssuer(civil, server.URL+"/civil")
	bankKey := c.chain.RegisterVerifier(bank, server.URL+"/bank/")
	c.chain.RegisterIssuer("did:web:other.example", "https://other.example")
	c.chain.PublishSchema(residence, civil, "did:web:other.example")
	c.chain.PublishSchema(landTitle, civil)
	policies := append(c.register(bankKey), countyPolicy())
	c.bank, c.policies = bankKey, policies
	c.chain.Settle()

	c.agency = c.newAgency(server.URL+"/civil", agencyKey)
	agencyHandler = c.agency.Handler()
	c.verifier = c.newVerifier(server.URL+"/bank", bankKey, policies)
	verifierHandler = c.verifier.Handler()
	if n := ledgertest.Must(c.verifier.Register(t.Context(), c.chain.Client()))(t); n != 1 {
		t.Fatalf("registered %d policies, want the one whose sets are not on the chain", n)
	}
	return c
}

// counties has as many registries as China has counties. Only one of them is on the chain.
var counties = func() *policy.Set {
	dids := []string{civil}
	for i := range 2977 {
		dids = append(dids, fmt.Sprintf("did:web:%06d.registry.example", 110101+i))
	}
	slices.Sort(dids)
	return must(policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.IssuerSet, Name: credential.Text{English: "County registries", Chinese: "县级登记机构"}, Members: dids}))
}()

// districts are more than a sentence lists.
var districts = func() *policy.Set {
	var codes []string
	for i := range 200 {
		codes = append(codes, fmt.Sprint(310100+i))
	}
	return must(policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "Districts of Shanghai"}, Members: codes}))
}()

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func countyPolicy() *policy.Policy {
	return &policy.Policy{
		Version: 1, ID: "county", Verifier: bank, Name: credential.Text{English: "county"}, Purpose: credential.Text{English: "test"},
		RetentionDays: 1, FreshnessSeconds: 300, Queries: []policy.Query{{
			ID: "residence", Schema: schemaID(&residence), IssuerSet: counties.Digest(), Clauses: []policy.Clause{{Claim: "district", InSet: districts.Digest()}},
		}},
	}
}

func provers(t *testing.T, unchecked bool) wallet.Provers {
	kept := map[string]wallet.Prover{}
	for _, name := range []string{circuits.Enrolment, circuits.Presentation, circuits.PresentationSmall} {
		kept[name] = circuitstest.Prover(t, name, unchecked)
	}
	return func(_ context.Context, circuit string, _ credential.Digest) (wallet.Prover, error) {
		return kept[circuit], nil
	}
}

func (c *country) newAgency(url string, key *jose.SigningKey) *issuer.Issuer {
	c.t.Helper()
	store, recordKey := new(records.Memory), bytes.Repeat([]byte{3}, 32)
	register := ledgertest.Must(issuer.NewRegister(issuer.RegisterConfig{Name: "population", Store: store, RecordKey: recordKey}))(c.t)
	home, land := residence, landTitle
	agency := ledgertest.Must(issuer.New(issuer.Config{
		DID: civil, Name: credential.Text{English: "Civil Affairs"}, URL: url, Genesis: c.chain.Genesis, Schemas: []*credential.Schema{&home, &land},
		Registers:        []*issuer.Register{register},
		SubjectRegisters: []*issuer.SubjectRegister{ledgertest.Must(issuer.NewSubjectRegister("cadastre", bytes.Repeat([]byte{9}, 32)))(c.t)},
		EnrolmentKey:     circuitstest.VerifyingKey(c.t, circuits.Enrolment),
		Keys:             issuer.Keys{Signing: key, Admin: ledgertest.Key(c.t, "admin"), Records: recordKey},
		Store:            store, Ledger: c.chain.Client(), Logger: slog.New(slog.DiscardHandler),
	}))(c.t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agency.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Error(err)
		}
	})
	return agency
}

func (c *country) register(key *jose.SigningKey) []*policy.Policy {
	home := policy.Query{
		ID: "residence", Schema: schemaID(&residence), Issuers: []string{civil},
		Clauses: []policy.Clause{{Claim: "district", In: []string{"310101", "310104"}}, {Claim: "since", AtLeastAgo: "P2Y"}},
	}
	land := policy.Query{ID: "land", Schema: schemaID(&landTitle), Issuers: []string{civil}, Clauses: []policy.Clause{{Claim: "area", AtLeast: "500"}}, Disclose: []string{"commune"}}
	second := land
	second.ID = "land2"
	second.Disclose = nil
	smallLand := land
	smallLand.Circuit = circuits.PresentationSmall
	vote, pledge, rooms := home, land, home
	vote.Scope = &policy.Scope{Service: "vote", Once: true}
	pledge.SubjectScope = &policy.Scope{Service: "pledge", Once: true}
	rooms.Clauses = []policy.Clause{{Claim: "rooms", AtLeast: "1"}}
	var policies []*policy.Policy
	for id, queries := range map[string][]policy.Query{
		"residence": {home}, "both": {home, land}, "two-parcels": {land, second}, "vote": {vote}, "pledge": {pledge}, "rooms": {rooms},
		"two-circuits": {home, smallLand},
	} {
		p := &policy.Policy{
			Version: 1, ID: id, Verifier: bank, Name: credential.Text{English: id}, Purpose: credential.Text{English: "test"},
			RetentionDays: 1, FreshnessSeconds: 300, Queries: queries,
		}
		if id == "rooms" {
			p.FreshnessSeconds = 2
		}
		policies = append(policies, p)
		c.chain.Submit(bank, entry.PolicyRegistered{Policy: ledgertest.Must(p.Canonical())(c.t)}, key)
	}
	return policies
}

func (c *country) newVerifier(url string, key *jose.SigningKey, policies []*policy.Policy) *verifier.Verifier {
	c.t.Helper()
	return ledgertest.Must(verifier.New(verifier.Config{
		DID: bank, PublicURL: url, SigningKey: key, ResultKey: ledgertest.Key(c.t, "results"), Policies: policies, Sets: []*policy.Set{counties, districts},
		VerifyingKeys: [][]byte{
			circuitstest.VerifyingKey(c.t, circuits.Presentation).Bytes(), circuitstest.VerifyingKey(c.t, circuits.PresentationSmall).Bytes(),
		},
		Ledger: c.chain.Client(), Store: verifierstore.NewMemory(), ReturnURIs: []string{"https://shop.example/"},
		AccessKey: ledgertest.Key(c.t, "api"),
	}))(c.t)
}

// person is a citizen, with the secrets in the open so that the adversary can be the same person.
type person struct {
	*wallet.Wallet
	vault *wallet.Vault
}

func (c *country) person() person {
	vault := ledgertest.Must(wallet.CreateVault(wallet.VaultConfig{
		Storage: new(wallet.InMemory), Passphrase: "x", WorkFactor: 1, Genesis: c.chain.Genesis,
	}))(c.t)
	cfg := c.chain.ClientConfig()
	cfg.Memory = vault.Memory()
	chain := ledgertest.Must(client.New(cfg))(c.t)
	return person{ledgertest.Must(wallet.New(wallet.Config{Vault: vault, Chain: chain, Provers: c.checked}))(c.t), vault}
}

func (p person) secrets(t *testing.T) wallet.Secrets { return ledgertest.Must(p.vault.Secrets())(t) }

func (c *country) offer(name string, schema *credential.Schema, claims credential.Claims, subject string) string {
	c.t.Helper()
	offer := ledgertest.Must(c.agency.Offer(c.t.Context(), officer, issuer.Application{
		Person: name, Schema: schema.Type, Claims: claims, Subject: subject, ValidUntil: time.Now().AddDate(1, 0, 0).Format(time.DateOnly),
	}))(c.t)
	return offer.Link
}

// session asks by a policy, and reads what came of it.
func (c *country) session(policyID string) (link string, result func() *verifier.Status) {
	c.t.Helper()
	started := ledgertest.Must(c.verifier.Start(c.t.Context(), "app", policyID, 0))(c.t)
	return started.RequestLink, func() *verifier.Status {
		return ledgertest.Must(c.verifier.Status(c.t.Context(), "app", started.ID))(c.t)
	}
}

// agencyID finds the agency's own name of a person's newest credential.
func (c *country) agencyID(name string) string {
	c.t.Helper()
	page, _, err := c.agency.Credentials(officer, issuer.List{Person: name})
	if err != nil || len(page) == 0 {
		c.t.Fatalf("credentials of %s: %v, %v", name, page, err)
	}
	return page[len(page)-1].ID
}

// officer and reason are of the agency in these tests.
var (
	officer = issuer.Officer("clerk")
	reason  = issuer.Reason{Code: issuer.ReasonOther, Note: "test"}
)

func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("real proofs take seconds")
	}
	c := newCountry(t)
	ctx := t.Context()
	ann, ben := c.person(), c.person()
	cheat := ledgertest.Must(adversary.New(adversary.Config{Chain: c.chain.Client(), Provers: c.cheating}))(t)

	for _, link := range []string{
		c.offer("ann", &residence, livesThere, ""), c.offer("ann", &landTitle, smallPlot, "AB 12"),
	} {
		if _, err := ann.Receive(ctx, link, ""); err != nil {
			t.Fatal(err)
		}
	}
	ledgertest.Must(ben.Receive(ctx, c.offer("ben", &landTitle, credential.Claims{"parcel": "AB 13", "commune": "Igny", "area": "300"}, "AB 13"), ""))(t)

	t.Run("one of 2,978 registries", func(t *testing.T) {
		link, result := c.session("county")
		r := ledgertest.Must(ann.Read(ctx, link))(t)
		choice := ledgertest.Must(r.DefaultChoice(ledgertest.Must(ann.Candidates(ctx, r))(t)))(t)
		e := ledgertest.Must(ann.Explain(r, nil, choice, "en"))(t)
		issued := "Issued by one of the 2,978 members of “County registries” (set " + counties.Digest().String()[:12] + "…), of which 1 may be accepted today: "
		lives := "District is one of the 200 values of “Districts of Shanghai” (set " + districts.Digest().String()[:12] + "…)"
		if facts := e.Queries[0].Facts; len(facts) != 2 || !strings.HasPrefix(facts[0], issued) || facts[1] != lives {
			t.Errorf("facts %q", facts)
		}
		if sets := e.Queries[0].Sets; len(sets) != 2 || !slices.Equal(sets[0].Members, counties.Members()) || sets[0].Accepted != 1 || !slices.Equal(sets[1].Members, districts.Members()) {
			t.Errorf("sets %.300v", sets)
		}
		if text := strings.Join(e.Lines(), "\n"); !strings.Contains(text, "The whole list “County registries” (set "+counties.Digest().String()+") has 2978 members") {
			t.Errorf("lines %s", text)
		}
		if _, err := ann.Answer(ctx, r.Consent(choice)); err != nil {
			t.Fatal(err)
		}
		s := result()
		if s.State != verifier.Verified {
			t.Fatalf("status %+v", s)
		}
		signed := ledgertest.Must(check.VerifyResult(s.Result, jose.Keys(ledgertest.Key(t, "results").Public()), check.Expected{Verifier: bank, Audience: "app", Session: s.ID, Now: time.Now()}))(t)
		if f := signed.Facts[0]; !strings.HasPrefix(f.Holds["en"][0], issued) || f.Holds["en"][1] != lives || f.IssuerSet != counties.Digest() || f.IssuerCount != 1 || !slices.Equal(f.Issuers, []string{civil}) {
			t.Errorf("result %+v", f)
		}

		// What was learned by a set counts like what was learned by a list.
		link, _ = c.session("county")
		r = ledgertest.Must(ann.Read(ctx, link))(t)
		e = ledgertest.Must(ann.Explain(r, nil, choice, "en"))(t)
		if len(e.Adds) != 0 || !slices.ContainsFunc(e.Before, func(line string) bool { return strings.HasSuffix(line, lives) }) {
			t.Errorf("asked again, it adds %q to %q", e.Adds, e.Before)
		}
	})
	t.Run("two facts of one person", func(t *testing.T) {
		link, result := c.session("both")
		r := ledgertest.Must(ann.Read(ctx, link))(t)
		if _, err := ann.Answer(ctx, r.Consent(nil)); err != nil {
			t.Fatal(err)
		}
		if s := result(); s.State != verifier.Verified || s.Result == "" {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("two circuits in one response", func(t *testing.T) {
		link, result := c.session("two-circuits")
		r := ledgertest.Must(ann.Read(ctx, link))(t)
		if _, err := ann.Answer(ctx, r.Consent(nil)); err != nil {
			t.Fatal(err)
		}
		if s := result(); s.State != verifier.Verified {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("wallet and browser on one device", func(t *testing.T) {
		started := ledgertest.Must(c.verifier.StartWith(ctx, "app", verifier.Ask{Policy: "both", ReturnURI: "https://shop.example/back"}))(t)
		answer := ledgertest.Must(ann.Answer(ctx, ledgertest.Must(ann.Read(ctx, started.RequestLink))(t).Consent(nil)))(t)
		back, err := url.Parse(answer.RedirectURI)
		if err != nil || back.Host != "shop.example" {
			t.Fatalf("goes on at %q, %v", answer.RedirectURI, err)
		}
		if s := ledgertest.Must(c.verifier.Status(ctx, "app", started.ID))(t); s.State != verifier.Responded || s.Result != "" {
			t.Errorf("without the code: %+v", s)
		}
		if s := ledgertest.Must(c.verifier.StatusWith(ctx, "app", started.ID, back.Query().Get("response_code")))(t); s.State != verifier.Verified || s.Result == "" {
			t.Errorf("with the code: %+v", s)
		}
	})
	t.Run("a person refuses", func(t *testing.T) {
		link, result := c.session("both")
		if err := ann.Refuse(ctx, ledgertest.Must(ann.Read(ctx, link))(t)); err != nil {
			t.Fatal(err)
		}
		if s := result(); s.Reason == nil || s.Reason.Code != "refused_by_holder" {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("once per person", func(t *testing.T) {
		for i, want := range []verifier.State{verifier.Verified, verifier.Rejected} {
			link, result := c.session("vote")
			r := ledgertest.Must(ann.Read(ctx, link))(t)
			_, err := ann.Answer(ctx, r.Consent(nil))
			if s := result(); s.State != want || (err == nil) != (i == 0) {
				t.Errorf("vote %d: status %+v, %v", i+1, s, err)
			}
		}
		events := ann.History()
		if last := events[len(events)-1]; last.Remote != "pseudonym_used" || last.Outcome != wallet.OutcomeRejected {
			t.Errorf("history %+v", last)
		}
	})
	t.Run("a second master secret", func(t *testing.T) {
		twice := c.person()
		_, err := twice.Receive(ctx, c.offer("ann", &landTitle, smallPlot, "AB 14"), "")
		wantCode(t, err, wallet.CodeRemote)
	})

	annSecrets, benSecrets := ann.secrets(t), ben.secrets(t)
	home, land, small := &annSecrets.Credentials[0], &annSecrets.Credentials[1], &benSecrets.Credentials[0]
	fetch := func(policyID string) *adversary.Request {
		link, _ := c.session(policyID)
		return ledgertest.Must(cheat.Fetch(ctx, link))(t)
	}
	attempt := func(r *adversary.Request, query int, master credential.Secret, held *wallet.Credential) *adversary.Attempt {
		return ledgertest.Must(r.Attempt(query, master, held))(t)
	}
	answer := func(r *adversary.Request, presentations map[string]openid.Presentation) string {
		reply := ledgertest.Must(cheat.Answer(ctx, r, presentations))(t)
		return errorOf(reply)
	}
	prove := func(a *adversary.Attempt) openid.Presentation { return ledgertest.Must(cheat.Prove(ctx, a))(t) }
	refusedByCircuit := func(t *testing.T, a *adversary.Attempt) {
		t.Helper()
		if _, err := cheat.Prove(ctx, a); !adversary.IsCircuitRefusal(err) {
			t.Errorf("error is %v, want that the circuit refuses", err)
		}
	}

	t.Run("the adversary can be honest", func(t *testing.T) {
		r := fetch("residence")
		if code := answer(r, map[string]openid.Presentation{"residence": prove(attempt(r, 0, annSecrets.Master, home))}); code != "" {
			t.Fatalf("refused: %s", code)
		}
	})
	t.Run("claim out of range", func(t *testing.T) {
		refusedByCircuit(t, attempt(fetch("pledge"), 0, benSecrets.Master, small))
	})
	t.Run("claim absent", func(t *testing.T) {
		refusedByCircuit(t, attempt(fetch("rooms"), 0, annSecrets.Master, home))
	})
	t.Run("claim made up", func(t *testing.T) {
		a := attempt(fetch("pledge"), 0, benSecrets.Master, small)
		a.Change = func(_ *presentation.Public, p *presentation.Private) {
			p.Claims[2] = credential.ElementFromUint64(1<<63 + 900)
		}
		refusedByCircuit(t, a)
	})
	t.Run("wrong issuer", func(t *testing.T) {
		r := fetch("residence")
		a := attempt(r, 0, annSecrets.Master, home)
		other := *home
		other.Issued.Issuer = "did:web:other.example"
		a.Credential = &other
		refusedByCircuit(t, a)
		// Its own issuer in its own set, under a made-up root: a proof, that the verifier refuses.
		root, path, err := adversary.MadeUpPath(&other)
		if err != nil {
			t.Fatal(err)
		}
		a.Root, a.Path = &root, &path
		a.Statement.Issuers, a.Issuers = []string{other.Issued.Issuer}, []string{other.Issued.Issuer}
		if code := answer(r, map[string]openid.Presentation{"residence": prove(a)}); code != "root_unknown" {
			t.Errorf("code %q", code)
		}
	})
	t.Run("expired", func(t *testing.T) {
		a := attempt(fetch("residence"), 0, annSecrets.Master, home)
		a.Change = func(public *presentation.Public, _ *presentation.Private) {
			public.Now = credential.EncodeTime(time.Now().AddDate(2, 0, 0))
		}
		refusedByCircuit(t, a)
	})
	t.Run("two people in one response", func(t *testing.T) {
		r := fetch("two-parcels")
		a, b := attempt(r, 0, annSecrets.Master, land), attempt(r, 1, annSecrets.Master, small)
		refusedByCircuit(t, b) // with the other's master secret there is no such leaf
		b.Master, b.N = benSecrets.Master, a.N
		b.Change = func(public *presentation.Public, _ *presentation.Private) { public.Clauses.Intervals[0].Low = 1 }
		if code := answer(r, map[string]openid.Presentation{"land": prove(a), "land2": prove(b)}); code != "link_mismatch" {
			t.Errorf("code %q", code)
		}
	})
	t.Run("one credential as two", func(t *testing.T) {
		r := fetch("two-parcels")
		a, b := attempt(r, 0, annSecrets.Master, land), attempt(r, 1, annSecrets.Master, land)
		b.N = a.N
		if code := answer(r, map[string]openid.Presentation{"land": prove(a), "land2": prove(b)}); code != "item_repeated" {
			t.Errorf("code %q", code)
		}
	})
	t.Run("answer to another request", func(t *testing.T) {
		asked, other := fetch("residence"), fetch("residence")
		p := prove(attempt(other, 0, annSecrets.Master, home))
		if code := answer(asked, map[string]openid.Presentation{"residence": p}); code != "proof_invalid" {
			t.Errorf("code %q", code)
		}
		if code := answer(other, map[string]openid.Presentation{"residence": p}); code != "" {
			t.Errorf("code %q", code)
		}
		if code := answer(other, map[string]openid.Presentation{"residence": p}); code != "session_answered" {
			t.Errorf("replayed, encrypted anew: code %q", code)
		}
		p = ledgertest.Must(adversary.Rerandomise(p))(t)
		if code := answer(other, map[string]openid.Presentation{"residence": p}); code != "session_answered" {
			t.Errorf("replayed in other bytes: code %q", code)
		}
	})
	t.Run("proof and public values", func(t *testing.T) {
		r := fetch("vote")
		p := prove(attempt(r, 0, annSecrets.Master, home))
		tampered := ledgertest.Must(adversary.TamperProof(p))(t)
		if code := answer(r, map[string]openid.Presentation{"residence": tampered}); code != "proof_invalid" {
			t.Errorf("tampered proof: code %q", code)
		}
		text := ledgertest.Must(adversary.WithMember("residence", p, "pseudonym", adversary.PlusModulus(p.Pseudonym)))(t)
		reply := ledgertest.Must(cheat.Post(ctx, r.Object.ResponseURI, ledgertest.Must(r.Form(text))(t)))(t)
		if code := errorOf(reply); code != "not_canonical" {
			t.Errorf("pseudonym plus modulus: code %q", code)
		}
		other := p
		other.Pseudonym = credential.ElementFromUint64(5)
		if code := answer(r, map[string]openid.Presentation{"residence": other}); code != "proof_invalid" {
			t.Errorf("another pseudonym: code %q", code)
		}
	})
	t.Run("proof system that was not asked for", func(t *testing.T) {
		r := fetch("residence")
		p := prove(attempt(r, 0, annSecrets.Master, home))
		p.System = "another"
		if code := answer(r, map[string]openid.Presentation{"residence": p}); code == "" {
			t.Error("accepted")
		}
	})
	t.Run("circuit that was not asked for", func(t *testing.T) {
		r := fetch("two-circuits")
		a, b := attempt(r, 0, annSecrets.Master, home), attempt(r, 1, annSecrets.Master, land)
		b.N = a.N
		whole := r.Object.Query.Credentials[0].Meta.Systems[0]
		b.System.Circuit, b.System.VerifyingKey, b.Statement.Circuit = whole.Circuit, whole.VerifyingKey, ""
		if code := answer(r, map[string]openid.Presentation{"residence": prove(a), "land": prove(b)}); code != "proof_invalid" {
			t.Errorf("code %q", code)
		}
	})
	t.Run("old root", func(t *testing.T) {
		seal := ledgertest.Must(cheat.Newest(ctx))(t)
		// The tree changes, so that this root goes out of date.
		ledgertest.Must(ben.Receive(ctx, c.offer("ben", &landTitle, smallPlot, "AB 15"), ""))(t)
		time.Sleep(2500 * time.Millisecond)
		r := fetch("rooms")
		a := attempt(r, 0, annSecrets.Master, home)
		a.Seal = seal
		a.Statement.Clauses = []policy.Clause{}
		if code := answer(r, map[string]openid.Presentation{"residence": prove(a)}); code != "root_too_old" && code != "root_unknown" {
			t.Errorf("code %q", code)
		}
	})
	t.Run("suspended, reinstated, revoked", func(t *testing.T) {
		id := c.agencyID("ann")
		before := ledgertest.Must(cheat.Newest(ctx))(t)
		ledgertest.Must(c.agency.Suspend(ctx, officer, id, reason))(t)
		r := fetch("pledge")
		a := attempt(r, 0, annSecrets.Master, land)
		refusedByCircuit(t, a)
		seal := ledgertest.Must(cheat.SealWith(ctx, land, time.Now().Add(-time.Minute)))(t)
		if seal.Index < before.Index {
			t.Errorf("found seal %d, older than %d", seal.Index, before.Index)
		}
		link, _ := c.session("pledge")
		request := ledgertest.Must(ann.Read(ctx, link))(t)
		_, err := ann.Answer(ctx, request.Consent(nil))
		wantCode(t, err, wallet.CodeRevokedOrSuspended)
		ledgertest.Must(c.agency.Reinstate(ctx, officer, id, reason))(t)
		if _, err := ann.Answer(ctx, request.Consent(nil)); err != nil {
			t.Errorf("reinstated: %v", err)
		}
		ledgertest.Must(c.agency.Revoke(ctx, officer, id, reason))(t)
		refusedByCircuit(t, a)
	})
}

// errorOf is the code with which a verifier refused, or empty.
func errorOf(reply *adversary.Reply) string {
	if reply.Accepted() {
		return ""
	}
	var e openid.Error
	if json.Unmarshal(reply.Body, &e) != nil || e.Code == "" {
		return "no code: " + string(reply.Body)
	}
	return e.Code
}
