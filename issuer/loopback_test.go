package issuer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// office is an agency on loopback: a real ledger with a cosigner, records on disk, keys from a key store.
type office struct {
	*agency
	chain *ledgertest.Chain
	dir   string
	host  *httptest.Server
}

func newOffice(t testing.TB, quota uint64, change ...func(*issuer.Config)) *office {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for seals")
	}
	o := &office{chain: ledgertest.New(t), dir: filepath.Join(t.TempDir(), "records"), host: httptest.NewUnstartedServer(nil)}
	url := "http://" + o.host.Listener.Addr().String() + "/agencies/land"
	secrets := must(keystore.Open(keystore.Config{Dir: filepath.Join(t.TempDir(), "keys"), Passphrase: "test", WorkFactor: 10}))(t)
	keys := must(issuer.LoadKeys(secrets))(t)
	store := must(records.Open(records.Config{Dir: o.dir, Key: keys.Records, Logger: slog.New(slog.DiscardHandler)}))(t)
	o.chain.Govern(entry.IssuerRegistered{
		DID: landDID, Name: credential.Text{English: "Land registry"}, Keys: []jose.PublicKey{keys.Signing.Public()}, Quota: quota, URL: url,
	})
	o.chain.PublishSchema(*titleSchema(), landDID)
	o.chain.Settle()
	o.agency = newAgency(t, append(change, func(c *issuer.Config) {
		c.URL, c.Genesis, c.Keys, c.Store, c.Ledger = url, o.chain.Genesis, keys, store, o.chain.Client()
		c.Schemas, c.Registers = []*credential.Schema{titleSchema()}, nil
		c.Clock, c.SealWait, c.RetryPause = time.Now, 30*time.Second, 50*time.Millisecond
	})...)
	t.Cleanup(func() {
		o.stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	o.host.Config.Handler = o.Handler()
	o.host.Start()
	t.Cleanup(o.host.Close)
	return o
}

// do is one request; the answer is decoded into target.
func (o *office) do(method, address, bearer, contentType, body string, target any) (status int) {
	o.t.Helper()
	r := must(http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(body)))(o.t)
	r.Header.Set("Content-Type", contentType)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	response := must(http.DefaultClient.Do(r))(o.t)
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))(o.t)
	if err := json.Unmarshal(text, target); err != nil {
		o.t.Errorf("%s %s: %d %s", method, address, response.StatusCode, text)
	}
	return response.StatusCode
}

// receive is a wallet that follows the links it is given and nothing else.
func (o *office) receive(p *person, link string) (issued openid.IssuedCredential, status int, refusal openid.Error) {
	o.t.Helper()
	offer, _, err := openid.ParseOfferLink(link)
	if err != nil {
		o.t.Fatal(err)
	}
	var m openid.IssuerMetadata
	o.do(http.MethodGet, must(openid.WellKnown(offer.CredentialIssuer, openid.IssuerWellKnown))(o.t), "", "", "", &m)
	var s openid.ServerMetadata
	o.do(http.MethodGet, must(openid.WellKnown(offer.CredentialIssuer, openid.ServerWellKnown))(o.t), "", "", "", &s)
	var token openid.TokenResponse
	form := url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {offer.Grants.PreAuthorized.Code}}
	o.do(http.MethodPost, s.TokenEndpoint, "", "application/x-www-form-urlencoded", form.Encode(), &token)
	var nonce openid.NonceResponse
	o.do(http.MethodPost, m.NonceEndpoint, "", "", "", &nonce)
	id := offer.ConfigurationIDs[0]
	c := m.Configurations[id]
	proof := p.prove(o.t, statement{openid.EnrolmentChallenge{
		Genesis: c.Genesis, VerifyingKey: c.EnrolmentVerifyingKey, Audience: m.CredentialIssuer, Configuration: id, Nonce: nonce.Nonce,
	}, c.EnrolmentRegister})
	body := must(json.Marshal(openid.CredentialRequest{ConfigurationID: id, Proofs: must(openid.Proofs(openid.ProofType, proof))(o.t)}))(o.t)
	var answer struct {
		openid.CredentialResponse
		openid.Error
	}
	status = o.do(http.MethodPost, m.CredentialEndpoint, token.AccessToken, "application/json", string(body), &answer)
	if len(answer.Credentials) == 1 {
		issued = issuedIn(o.t, answer.CredentialResponse)
	}
	return issued, status, answer.Error
}

func (o *office) offerTo(p *person, parcel string) issuer.Offer {
	o.t.Helper()
	body := string(must(json.Marshal(o.title(p, parcel)))(o.t))
	var offer issuer.Offer
	if status := o.do(http.MethodPost, o.URL()+"/admin/v1/offers", o.bearer(issuer.ScopeOffers), "application/json", body, &offer); status != http.StatusCreated {
		o.t.Fatalf("offer: %d", status)
	}
	return offer
}

// active tells whether the chain has the credential's leaf, and not 0, in its place.
func (o *office) active(issued openid.IssuedCredential) bool {
	o.t.Helper()
	reader := o.chain.Client()
	view := must(reader.Update(o.t.Context()))(o.t)
	group := must(reader.Group(o.t.Context(), view.Seal.ActiveRoot, issued.Leaf))(o.t)
	_, there, err := group.Path(issued.Leaf)
	if err != nil {
		o.t.Fatal(err)
	}
	_, leaf, err := issued.Commitment()
	if err != nil {
		o.t.Fatal(err)
	}
	if there != leaf && !there.IsZero() {
		o.t.Error("another leaf is in its place")
	}
	return there == leaf
}

func TestOverLoopback(t *testing.T) {
	o := newOffice(t, 100)
	p, q := newPerson("Li Wei of the Long Lane"), newPerson("Zhang Min")
	offer := o.offerTo(p, "parcel 91216 AB 12")
	issued, status, refusal := o.receive(p, offer.Link)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, refusal)
	}

	// What a wallet checks.
	raw := must(credential.ParseBase64(issued.Entry, -1))(t)
	if err := o.chain.Client().VerifyReceipt(issued.Receipt, raw); err != nil {
		t.Error(err)
	}
	if !o.active(issued) {
		t.Error("the leaf is not active")
	}
	if _, status, refusal := o.receive(q, offer.Link); status != http.StatusUnauthorized {
		t.Errorf("the link works twice: %d %v", status, refusal)
	}

	known := o.newest()
	change := func(what string) (c issuer.Credential) {
		t.Helper()
		status := o.do(http.MethodPost, o.URL()+"/admin/v1/credentials/"+known.ID+"/"+what, o.bearer(issuer.ScopeRevoke), "application/json", `{"code":"other","note":"a reason of the clerk"}`, &c)
		if status != http.StatusOK {
			t.Errorf("%s: %d", what, status)
		}
		return c
	}
	if c := change("suspend"); c.Status != issuer.Suspended || o.active(issued) {
		t.Errorf("suspend: %+v", c.Status)
	}
	if c := change("reinstate"); c.Status != issuer.Active || !o.active(issued) {
		t.Errorf("reinstate: %+v", c.Status)
	}
	if c := change("revoke"); c.Status != issuer.Revoked || o.active(issued) {
		t.Errorf("revoke: %+v", c.Status)
	}
	sold, status, refusal := o.receive(q, o.offerTo(q, "parcel 91216 AB 12").Link)
	if status != http.StatusOK || sold.SubjectKey != issued.SubjectKey {
		t.Errorf("after the sale: %d %v", status, refusal)
	}

	o.restart() // on the same records and chain
	eventually(t, "the issuer is ready", o.Ready)
	o.checkDisk(p.name, "parcel 91216 AB 12", "a reason of the clerk", "612", issued.Salt.Element.String(), "Zhang Min")
}

// checkDisk searches the records' files.
func (o *office) checkDisk(words ...string) {
	o.t.Helper()
	files := 0
	err := filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted away meanwhile
		}
		files++
		for _, w := range words {
			if len(w) > 3 && bytes.Contains(data, []byte(w)) {
				o.t.Errorf("%s shows %q", filepath.Base(path), w)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		o.t.Errorf("%d files, %v", files, err)
	}
}

// Many wallets that wait at once share a seal, and the ledger's quota and suspension reach them.
func TestManyWalletsAndRefusals(t *testing.T) {
	o := newOffice(t, 6)
	links := make([]string, 8)
	people := make([]*person, len(links))
	for n := range links {
		people[n] = newPerson(fmt.Sprint("person ", n))
		links[n] = o.offerTo(people[n], fmt.Sprint("parcel ", n)).Link
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	outcome, checkpoints := map[string]int{}, map[string]bool{}
	start := time.Now()
	for n := range links {
		wait.Go(func() {
			issued, status, refusal := o.receive(people[n], links[n])
			mu.Lock()
			defer mu.Unlock()
			outcome[fmt.Sprint(status, refusal.Code)]++
			if status == http.StatusOK {
				checkpoints[issued.Receipt.Checkpoint] = true
			} else if !strings.Contains(refusal.Description, "quota") {
				t.Errorf("refused without reason: %v", refusal)
			}
		})
	}
	wait.Wait()
	t.Logf("%v in %v under %d checkpoints", outcome, time.Since(start).Round(time.Millisecond), len(checkpoints))
	if outcome["200"] != 6 || outcome["400credential_request_denied"] != 2 {
		t.Errorf("outcome %v", outcome)
	}

	o.chain.Govern(entry.IssuerSuspended{DID: landDID, Reason: "audit"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := o.Revoke(ctx, clerk, o.newest().ID, because("r"))
	var refused *issuer.Refusal
	if !errors.As(err, &refused) || refused.Ledger != "issuer-suspended" {
		t.Errorf("revoke while suspended: %v", err)
	}
}

// Wallets that all ask at once, each with its proof ready: b.N credentials until the last one is sealed.
func BenchmarkWalletsAtOnce(b *testing.B) {
	o := newOffice(b, 1<<20)
	all := o.prepare(b.N)
	b.ResetTimer()
	for k, err := range o.answerAll(all) {
		if err != nil {
			b.Errorf("wallet %d: %v", k, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "credentials/s")
}
