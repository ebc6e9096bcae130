package wallet_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
)

// foreignWallet is a wallet that is not ours, but for the proofs, which it asks us for:
// testvectors/check/protocol/openid4vp.mjs.
type foreignWallet struct {
	Link    string           `json:"link"`
	Keys    []jose.PublicKey `json:"keys"` // registered for the verifier
	Post    bool             `json:"post"`
	Encrypt string           `json:"encrypt,omitempty"` // how it encrypts; empty: not at all
}

// submitted is the end of its story.
type submitted struct {
	Status   int      `json:"status"`
	Redirect string   `json:"redirect"`
	Prefix   string   `json:"prefix"`
	Version  int      `json:"version"`
	Refused  []string `json:"refused"`
}

// present is the whole way. good proves what this request asks, other what another one does.
func (w foreignWallet) present(t *testing.T, good, other openid.VPToken, asked *openid.RequestObject) (end submitted) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", os.Getenv("BULLA_OPENID4VP"), string(ledgertest.Must(json.Marshal(w))(t)))
	cmd.Stderr = os.Stderr
	in, out := ledgertest.Must(cmd.StdinPipe())(t), bufio.NewReader(ledgertest.Must(cmd.StdoutPipe())(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the wallet: %v", err)
		}
	}()
	lines, answers := json.NewDecoder(out), json.NewEncoder(in)
	for {
		var line struct {
			Request json.RawMessage `json:"request"`
			End     *submitted      `json:"end"`
		}
		if err := lines.Decode(&line); err != nil {
			t.Errorf("the wallet says no more: %v", err)
			return end
		}
		if line.End != nil {
			return *line.End
		}
		read := ledgertest.Must(openid.ParseRequestObject(line.Request))(t)
		if read.Nonce != asked.Nonce || read.State != asked.State || read.ClientID != asked.ClientID {
			t.Errorf("it read another request: %s", line.Request)
		}
		if err := answers.Encode(map[string]openid.VPToken{"good": good, "other": other}); err != nil {
			t.Error(err)
			return end
		}
	}
}

// asked is the request behind a link, as the verifier keeps it.
func askedBy(t *testing.T, v *verifier.Verifier, link string) *openid.RequestObject {
	t.Helper()
	reference := ledgertest.Must(openid.ParseRequestLink(link))(t)
	id := reference.URI[len(reference.URI)-43:]
	token := ledgertest.Must(v.Request(t.Context(), id))(t)
	return ledgertest.Must(openid.ParseRequestObject(ledgertest.Must(jose.PeekPayload(token))(t)))(t)
}

// A wallet that somebody else wrote fetches our requests, by GET and POST and under each client identifier, believes them,
// and submits a proof that our wallet made for this very request: the verifier says verified. What it tries besides is
// refused.
func TestForeignWallet(t *testing.T) {
	if os.Getenv("BULLA_OPENID4VP") == "" {
		t.Skip("needs BULLA_OPENID4VP, the program testvectors/check/protocol/openid4vp.mjs: make judges runs it")
	}
	c := newCountry(t)
	ann := c.person()
	ledgertest.Must(ann.Receive(t.Context(), c.offer("ann", &residence, livesThere, ""), ""))(t)
	cases := []struct {
		name    string
		scheme  openid.ClientScheme
		prefix  string // as that wallet calls it
		post    bool
		encrypt string
		device  bool // wallet and browser are on one
	}{
		{"DID, by GET", openid.SchemeDID, "decentralized_identifier", false, "A128GCM", false},
		{"DID, by POST", openid.SchemeDID, "decentralized_identifier", true, "A256GCM", true},
		{"did:jwk, by POST", openid.SchemeDIDJWK, "decentralized_identifier", true, "A128GCM", false},
		{"certificate, by GET", openid.SchemeX509Hash, "x509_hash", false, "A256GCM", true},
		{"certificate, by POST", openid.SchemeX509Hash, "x509_hash", true, "A128GCM", false},
		{"name, by GET", openid.SchemePreRegistered, "pre-registered", false, "A128GCM", false},
		{"in clear", openid.SchemeX509Hash, "x509_hash", true, "", true},
	}
	var handlers []http.Handler
	var places []string
	for i := range cases {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handlers[i].ServeHTTP(w, r) }))
		t.Cleanup(server.Close)
		handlers, places = append(handlers, nil), append(places, server.URL)
	}
	// The bank's second key is of the kind that certificates have.
	second := ledgertest.Must(jose.Generate(jose.ES256))(t)
	keys := []jose.PublicKey{c.bank.Public(), second.Public()}
	prefixes := make([]string, len(places))
	for i, place := range places {
		prefixes[i] = place + "/"
	}
	slices.Sort(prefixes)
	c.chain.Govern(entry.VerifierRegistered{DID: bank, Name: credential.Text{English: "Bank"}, Keys: keys, ResponseURIs: prefixes})
	c.chain.Settle()
	for i, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			config := verifier.Config{
				DID: bank, PublicURL: places[i], SigningKey: second, ResultKey: ledgertest.Key(t, "results"), Policies: c.policies, Sets: []*policy.Set{counties, districts},
				VerifyingKeys: [][]byte{
					circuitstest.VerifyingKey(t, circuits.Presentation).Bytes(), circuitstest.VerifyingKey(t, circuits.PresentationSmall).Bytes(),
				},
				Ledger: c.chain.Client(), Store: verifierstore.NewMemory(),
				AccessKey:      ledgertest.Key(t, "api"),
				ClientIDScheme: x.scheme, PlainResponses: x.encrypt == "", ReturnURIs: []string{"https://shop.example/"},
			}
			if x.scheme == openid.SchemeX509Hash {
				now := time.Now()
				config.Certificates = [][]byte{ledgertest.Must(second.SelfCertify(bank, []string{"bank.example"}, now.Add(-time.Hour), now.Add(time.Hour)))(t)}
			}
			v := ledgertest.Must(verifier.New(config))(t)
			handlers[i] = v.Handler()
			ask := verifier.Ask{Policy: "residence"}
			if x.device {
				ask.ReturnURI = "https://shop.example/back"
			}
			started := ledgertest.Must(v.StartWith(t.Context(), "app", ask))(t)
			reference := ledgertest.Must(openid.ParseRequestLink(started.RequestLink))(t)
			reference.Post = x.post
			other := ledgertest.Must(v.Start(t.Context(), "app", "residence", 0))(t)
			prove := func(link string) openid.VPToken {
				t.Helper()
				return ledgertest.Must(ann.Prove(t.Context(), ledgertest.Must(ann.Read(t.Context(), link))(t)))(t)
			}
			end := foreignWallet{Link: reference.Link(), Keys: keys, Post: x.post, Encrypt: x.encrypt}.present(
				t, prove(reference.Link()), prove(other.RequestLink), askedBy(t, v, reference.Link()))
			refused := []string{"in clear", "to another key", "under another key's name", "tampered", "with a proof for another nonce", "with another state"}
			if x.encrypt == "" {
				refused = []string{"with a proof for another nonce", "with another state"}
			}
			if end.Status != http.StatusOK || end.Prefix != x.prefix || end.Version != 100 || !slices.Equal(end.Refused, refused) || (end.Redirect != "") != x.device {
				t.Errorf("the end is %+v", end)
			}
			code := ""
			if x.device {
				code = ledgertest.Must(url.Parse(end.Redirect))(t).Query().Get("response_code")
				if s := ledgertest.Must(v.Status(t.Context(), "app", started.ID))(t); s.State != verifier.Responded || s.Result != "" {
					t.Errorf("without the code: %+v", s)
				}
			}
			if s := ledgertest.Must(v.StatusWith(t.Context(), "app", started.ID, code))(t); s.State != verifier.Verified || s.Result == "" {
				t.Errorf("status %+v", s)
			}
		})
	}
}
