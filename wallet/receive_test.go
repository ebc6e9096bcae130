package wallet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// TestReceiveChecks spoils one thing at a time of what an issuer says and hands over. The last try is honest, with the
// same link: what broke off before was not lost.
func TestReceiveChecks(t *testing.T) {
	w := newWorld(t)
	storage := new(wallet.InMemory)
	cfg := w.vaultConfig()
	cfg.Storage = storage
	vault := ledgertest.Must(wallet.CreateVault(cfg))(t)
	person := w.walletOf(vault)
	link := w.offer(&residence, livesThere)
	other := credential.RandomElement()
	stranger := ledgertest.Must(wallet.CreateVault(w.vaultConfig()))(t)
	ledgertest.Must(w.walletOf(stranger).Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	strangers := ledgertest.Must(stranger.Secrets())(t).Credentials[0].Issued

	for _, c := range []struct {
		name string
		code wallet.Code
		lie  any
	}{
		{"metadata of another identifier", wallet.CodeIssuer, func(m *openid.IssuerMetadata) { m.CredentialIssuer += "/" }},
		{"endpoint elsewhere", wallet.CodeAddress, func(m *openid.IssuerMetadata) { m.CredentialEndpoint = "https://elsewhere.example/credential" }},
		{"plain http elsewhere", wallet.CodeAddress, func(m *openid.IssuerMetadata) { m.NonceEndpoint = "http://192.0.2.1/nonce" }},
		{"kind not offered", wallet.CodeIssuer, func(m *openid.IssuerMetadata) { delete(m.Configurations, residence.Type) }},
		{"another format", wallet.CodeUnsupported, configured(func(c *openid.CredentialConfiguration) { c.Format = "jwt_vc_json" })},
		{"a companion, for other wallets", wallet.CodeCompanion, configured(func(c *openid.CredentialConfiguration) {
			*c = openid.CredentialConfiguration{Format: openid.CompanionFormat, VCT: residence.Type}
		})},
		{"nothing of the chain", wallet.CodeIssuer, configured(func(c *openid.CredentialConfiguration) { c.OnChain = nil })},
		{"another chain", wallet.CodeGenesis, configured(func(c *openid.CredentialConfiguration) { c.Genesis = credential.Digest{1} })},
		{"another issuer", wallet.CodeIssuer, configured(func(c *openid.CredentialConfiguration) { c.Issuer = "did:web:other.example" })},
		{"schema not on the chain", wallet.CodeNotRegistered, configured(func(c *openid.CredentialConfiguration) { c.Schema = other })},
		{"type of another schema", wallet.CodeIssuer, configured(func(c *openid.CredentialConfiguration) { c.Schema = schemaID(&landTitle) })},
		{"verifying key not listed", wallet.CodeKeyNotListed, configured(func(c *openid.CredentialConfiguration) { c.EnrolmentVerifyingKey = presentationKey })},
		{"server metadata of another", wallet.CodeIssuer, func(m *openid.ServerMetadata) { m.Issuer = "https://elsewhere.example" }},
		{"token endpoint elsewhere", wallet.CodeAddress, func(m *openid.ServerMetadata) { m.TokenEndpoint = "https://elsewhere.example/token" }},

		{"version", wallet.CodeUnsupported, func(c *openid.IssuedCredential) { c.Version = 2 }},
		{"credential of another chain", wallet.CodeGenesis, func(c *openid.IssuedCredential) { c.Genesis = credential.Digest{1} }},
		{"credential of another issuer", wallet.CodeIssuer, func(c *openid.IssuedCredential) { c.Issuer = bank }},
		{"credential of another schema", wallet.CodeIssuer, func(c *openid.IssuedCredential) { c.Schema.Claims[2].Optional = false }},
		{"a credential of somebody else, on the chain", wallet.CodeCommitment, func(c *openid.IssuedCredential) { *c = strangers }},
		{"another holder commitment", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.HolderCommitment = other }},
		{"subject key out of nowhere", wallet.CodeValidity, func(c *openid.IssuedCredential) { c.SubjectKey = credential.Secret{Element: credential.Random31()} }},
		{"validity of half a day", wallet.CodeValidity, func(c *openid.IssuedCredential) { c.ValidFrom += "T12:00:00Z" }},
		{"validity ends first", wallet.CodeValidity, func(c *openid.IssuedCredential) { c.ValidFrom, c.ValidUntil = c.ValidUntil, c.ValidFrom }},
		{"salt missing", wallet.CodeValidity, func(c *openid.IssuedCredential) { c.Salt = credential.Secret{} }},
		{"claim that does not fit", wallet.CodeClaims, func(c *openid.IssuedCredential) { c.Claims["since"] = "yesterday" }},
		{"claim that the schema lacks", wallet.CodeClaims, func(c *openid.IssuedCredential) { c.Claims["income"] = "12" }},
		{"claim that is not the one issued", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.Claims["district"] = "310115" }},
		{"optional claim added", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.Claims["rooms"] = "3" }},
		{"other validity", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.ValidUntil = "2099-01-01" }},
		{"leaf of the neighbour", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.Leaf-- }},
		{"leaf beyond the entry", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.Leaf++ }},
		{"leaf before the entry", wallet.CodeCommitment, func(c *openid.IssuedCredential) { c.Receipt.FirstLeaf = c.Leaf + 1 }},
		{"shifted leaves", wallet.CodeNotOnChain, func(c *openid.IssuedCredential) { c.Leaf++; c.Receipt.FirstLeaf++ }},
		{"entry by another signer", wallet.CodeEntry, spoiledEntry(w, func(d *entry.Draft) { d.Signer = bank })},
		{"entry of another chain", wallet.CodeEntry, spoiledEntry(w, func(d *entry.Draft) { d.Genesis = credential.Digest{1} })},
		{"entry that is not in the log", wallet.CodeEntry, spoiledEntry(w, func(d *entry.Draft) { d.Sequence += 50 })},
		{"entry of another kind", wallet.CodeEntry, spoiledEntry(w, func(d *entry.Draft) { d.Payload = entry.CredentialsRevoked{Leaves: []uint64{1}} })},
		{"entry damaged", wallet.CodeEntry, func(c *openid.IssuedCredential) { c.Entry = c.Entry[4:] }},
		{"receipt only accepted", wallet.CodeEntry, func(c *openid.IssuedCredential) { c.Receipt.Level = entry.LevelAccepted }},
		{"receipt only logged", wallet.CodeEntry, func(c *openid.IssuedCredential) { c.Receipt.Level = entry.LevelLogged }},
		{"receipt of another index", wallet.CodeEntry, func(c *openid.IssuedCredential) { c.Receipt.Index-- }},
		{"inclusion proof spoiled", wallet.CodeEntry, func(c *openid.IssuedCredential) { c.Receipt.Proof[0][3] ^= 1 }},
		{"checkpoint unsigned", wallet.CodeEntry, func(c *openid.IssuedCredential) {
			body, _, _ := strings.Cut(c.Receipt.Checkpoint, "\n\n")
			c.Receipt.Checkpoint = body + "\n\n"
		}},
		{"cosignature missing", wallet.CodeEntry, func(c *openid.IssuedCredential) {
			body, signatures, _ := strings.Cut(c.Receipt.Checkpoint, "\n\n")
			c.Receipt.Checkpoint = body + "\n\n" + strings.SplitAfter(signatures, "\n")[0]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.onIssuer, w.onServer, w.onIssued = nil, nil, nil
			switch lie := c.lie.(type) {
			case func(*openid.IssuerMetadata):
				w.onIssuer = lie
			case func(*openid.ServerMetadata):
				w.onServer = lie
			case func(*openid.IssuedCredential):
				w.onIssued = lie
			}
			_, err := person.Receive(t.Context(), link, "")
			wantCode(t, err, c.code)
			if len(person.Credentials()) != 0 {
				t.Fatal("it was kept all the same")
			}
		})
	}
	w.onIssuer, w.onServer, w.onIssued = nil, nil, nil

	// An entry that counts in the log, but under a key that is not the issuer's any more.
	rotated := ledgertest.Key(t, "rotated")
	w.chain.Govern(entry.IssuerRotated{DID: civil, Keys: []jose.PublicKey{rotated.Public()}, Quota: 1 << 30})
	w.chain.Settle()
	_, err := person.Receive(t.Context(), link, "")
	wantCode(t, err, wallet.CodeEntry)
	w.chain.Govern(entry.IssuerRotated{DID: civil, Keys: []jose.PublicKey{rotated.Public(), w.issuer.Public()}, Quota: 1 << 30})
	w.chain.Settle()

	// Another process takes it up, without the link.
	cfg.Genesis = credential.Digest{}
	again := w.walletOf(ledgertest.Must(wallet.OpenVault(cfg))(t))
	got, err := again.Resume(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("resumed %d credentials, %v", len(got), err)
	}
	if s := got[0]; s.Issuer != civil || s.State != wallet.StateActive || s.Claims[0].Value != "310101" || s.Title.Chinese != "居住证明" {
		t.Errorf("summary %+v", s)
	}
	if len(w.issued) != 2 {
		t.Errorf("the tries used %d blindings: a crash would lose credentials", len(w.issued))
	}
	if _, err := person.Receive(t.Context(), link, ""); err == nil {
		t.Error("a code was used twice")
	}
}

func configured(lie func(*openid.CredentialConfiguration)) func(*openid.IssuerMetadata) {
	return func(m *openid.IssuerMetadata) {
		c := m.Configurations[residence.Type]
		lie(&c)
		m.Configurations[residence.Type] = c
	}
}

// spoiledEntry hands over another entry, signed by the issuer's key, in place of the one in the log.
func spoiledEntry(w *world, spoil func(*entry.Draft)) func(*openid.IssuedCredential) {
	return func(c *openid.IssuedCredential) {
		e := ledgertest.Must(entry.Parse(ledgertest.Must(credential.ParseBase64(c.Entry, -1))(w.t)))(w.t)
		payload := ledgertest.Must(e.ParsePayload())(w.t)
		d := entry.Draft{Genesis: w.chain.Genesis, Signer: civil, Sequence: e.Header().Sequence, Payload: payload}
		spoil(&d)
		spoiled := ledgertest.Must(entry.Sign(d, w.issuer))(w.t)
		c.Entry, c.Receipt.Digest = openid.EncodeBytes(spoiled.Bytes()), spoiled.Digest()
	}
}

func TestReceiveRefusals(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	offer := func(change func(*openid.CredentialOffer)) string {
		o := openid.CredentialOffer{
			CredentialIssuer: w.issuerURL(), ConfigurationIDs: []string{residence.Type},
			Grants: openid.Grants{PreAuthorized: openid.PreAuthorized{Code: "unknown"}},
		}
		change(&o)
		return ledgertest.Must(o.Link())(t)
	}
	for _, c := range []struct {
		name, link, txCode string
		code               wallet.Code
	}{
		{"no link", "openid4vp://x", "", wallet.CodeOffer},
		{"no code", offer(func(o *openid.CredentialOffer) { o.Grants.PreAuthorized.Code = "" }), "", wallet.CodeOffer},
		{"two kinds", offer(func(o *openid.CredentialOffer) { o.ConfigurationIDs = append(o.ConfigurationIDs, landTitle.Type) }), "", wallet.CodeOffer},
		{"transaction code missing", offer(func(o *openid.CredentialOffer) { o.Grants.PreAuthorized.TxCode = &openid.TxCode{} }), "", wallet.CodeTxCode},
		{"transaction code not asked for", offer(func(*openid.CredentialOffer) {}), "1234", wallet.CodeTxCode},
		{"issuer not on the chain", offer(func(o *openid.CredentialOffer) { o.CredentialIssuer = "https://other.example" }), "", wallet.CodeNotRegistered},
		{"address not string-identical", offer(func(o *openid.CredentialOffer) { o.CredentialIssuer += "/" }), "", wallet.CodeNotRegistered},
		{"not https", offer(func(o *openid.CredentialOffer) { o.CredentialIssuer = "ftp://other.example" }), "", wallet.CodeAddress},
		{"code unknown to the issuer", offer(func(*openid.CredentialOffer) {}), "", wallet.CodeRemote},
		{"reference to a plain address", "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F192.0.2.1%2Fo", "", wallet.CodeAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := person.Receive(t.Context(), c.link, c.txCode)
			wantCode(t, err, c.code)
		})
	}
	t.Run("redirect", func(t *testing.T) {
		w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/civil/token" {
				http.Redirect(rw, r, "/bank/response", http.StatusTemporaryRedirect)
				return true
			}
			return false
		}
		_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
		wantCode(t, err, wallet.CodeAddress)
		if len(w.posted()) != 0 {
			t.Error("the code went to where the redirect pointed")
		}
	})
	t.Run("answer too long", func(t *testing.T) {
		w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/civil/nonce" {
				return false
			}
			answerJSON(rw, openid.NonceResponse{Nonce: "good, but for what follows"})
			fmt.Fprint(rw, strings.Repeat(" ", 1<<20))
			return true
		}
		_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
		wantCode(t, err, wallet.CodeAnswer)
	})
	t.Run("token with a line break", func(t *testing.T) {
		w.onPath = nil
		w.onToken = func(rw http.ResponseWriter, _ *http.Request) {
			answerJSON(rw, openid.TokenResponse{AccessToken: "a\r\nX-Evil: 1", TokenType: "Bearer", ExpiresIn: 60})
		}
		_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
		wantCode(t, err, wallet.CodeAnswer)
	})
	t.Run("hostile error text", func(t *testing.T) {
		w.onToken = func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadRequest)
			answerJSON(rw, openid.Error{Code: "invalid_grant", Description: "\x1b[2Jgone\u202e" + strings.Repeat("x", 5000)})
		}
		_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
		wantCode(t, err, wallet.CodeRemote)
		if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "invalid_grant") {
			t.Errorf("error is %q", text)
		}
	})
}

// TestSecretsStayInside looks for secrets in everything that prints.
func TestSecretsStayInside(t *testing.T) {
	w := newWorld(t)
	vault := ledgertest.Must(wallet.CreateVault(w.vaultConfig()))(t)
	person := w.walletOf(vault)
	ledgertest.Must(person.Receive(t.Context(), w.offer(&landTitle, smallPlot), ""))(t)
	secrets := ledgertest.Must(vault.Secrets())(t)
	c := secrets.Credentials[0]
	var printed strings.Builder
	for _, v := range []any{vault, secrets, c, &c, person.Credentials(), person.History()} {
		fmt.Fprintf(&printed, "%v %+v %#v %s\n", v, v, v, v)
	}
	summaries := ledgertest.Must(json.Marshal(person.Credentials()))(t)
	printed.Write(summaries)
	_, err := json.Marshal(vault)
	fmt.Fprint(&printed, err)
	for name, secret := range map[string]credential.Secret{
		"master secret": secrets.Master, "blinding": c.Blinding, "salt": c.Issued.Salt, "subject key": c.Issued.SubjectKey,
	} {
		if strings.Contains(printed.String(), secret.Element.String()) || strings.Contains(printed.String(), secret.Hex()) {
			t.Errorf("the %s is printed", name)
		}
	}
}
