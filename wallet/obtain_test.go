package wallet_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/wallet"
)

// deferring is an issuer that answers with a transaction first, and hears what becomes of its credentials.
type deferring struct {
	w *world

	mu       sync.Mutex
	credit   []byte // the answer that waits
	polls    int    // how often it must be asked for
	refusal  string // instead
	stop     func() // called when the wallet asks again; nil: nothing happens
	asked    int    // credential requests
	notified []openid.Notification
}

func newDeferring(w *world, polls int) *deferring {
	d := &deferring{w: w, polls: polls}
	w.onIssuer = func(m *openid.IssuerMetadata) {
		m.DeferredEndpoint, m.NotificationEndpoint = w.issuerURL()+"/deferred", w.issuerURL()+"/notification"
	}
	w.onPath = d.serve
	return d
}

func (d *deferring) serve(rw http.ResponseWriter, r *http.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.URL.Path {
	case "/civil/credential":
		d.asked++
		answered := httptest.NewRecorder()
		d.w.serveCredential(answered, r)
		d.credit = answered.Body.Bytes()
		rw.WriteHeader(http.StatusAccepted)
		answerJSON(rw, openid.CredentialResponse{Transaction: "transaction", Interval: 1})
	case "/civil/deferred":
		var body openid.DeferredRequest
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Transaction != "transaction" || r.Header.Get("Authorization") == "" {
			rw.WriteHeader(http.StatusBadRequest)
			answerJSON(rw, openid.Error{Code: "invalid_transaction_id"})
			return true
		}
		d.polls--
		if d.stop != nil {
			d.stop()
		}
		switch {
		case d.polls > 0:
			rw.WriteHeader(http.StatusAccepted)
			answerJSON(rw, openid.CredentialResponse{Transaction: "transaction", Interval: 1})
		case d.refusal != "":
			rw.WriteHeader(http.StatusBadRequest)
			answerJSON(rw, openid.Error{Code: d.refusal})
		default:
			var response map[string]any
			_ = json.Unmarshal(d.credit, &response)
			response["notification_id"] = "notification"
			answerJSON(rw, response)
		}
	case "/civil/notification":
		var body openid.Notification
		_ = json.NewDecoder(r.Body).Decode(&body)
		d.notified = append(d.notified, body)
		rw.WriteHeader(http.StatusNoContent)
	default:
		return false
	}
	return true
}

// A credential that comes later is asked for until it is there, and the issuer hears that it was taken.
func TestReceiveLater(t *testing.T) {
	w := newWorld(t)
	d := newDeferring(w, 2)
	person := w.wallet()
	got, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
	if err != nil {
		t.Fatal(err)
	}
	if d.asked != 1 || d.polls != 0 || len(person.Credentials()) != 1 || got.ID == "" {
		t.Errorf("asked %d times, %d polls left, %d credentials", d.asked, d.polls, len(person.Credentials()))
	}
	if !slices.Equal(d.notified, []openid.Notification{{ID: "notification", Event: "credential_accepted"}}) {
		t.Errorf("the issuer heard %v", d.notified)
	}
}

// A wallet that is stopped while it waits goes on with its transaction, by itself or with the link, and proves nothing anew.
func TestReceiveLaterTakenUp(t *testing.T) {
	w := newWorld(t)
	d := newDeferring(w, 1000)
	person := w.wallet()
	stopped := func(link string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		d.mu.Lock()
		d.polls, d.stop = 1000, cancel
		d.mu.Unlock()
		_, err := person.Receive(ctx, link, "")
		if code := wallet.CodeOf(err); code != wallet.CodePending && code != wallet.CodeNetwork {
			t.Errorf("stopped while it waits: %v", err)
		}
		d.mu.Lock()
		d.polls, d.stop = 1, nil
		d.mu.Unlock()
	}
	link := w.offer(&residence, livesThere)
	stopped(link)
	if _, err := person.Receive(t.Context(), link, ""); err != nil {
		t.Fatal(err)
	}
	stopped(w.offer(&residence, livesThere))
	if got, err := person.Resume(t.Context()); err != nil || len(got) != 1 {
		t.Fatalf("%d, %v", len(got), err)
	}
	if d.asked != 2 || len(person.Credentials()) != 2 {
		t.Errorf("asked %d times for 2 credentials, have %d", d.asked, len(person.Credentials()))
	}
}

// What is refused in the end can be asked for anew; what is not as it should be is told.
func TestReceiveLaterRefused(t *testing.T) {
	w := newWorld(t)
	d := newDeferring(w, 1)
	d.refusal = "credential_request_denied"
	person := w.wallet()
	link := w.offer(&residence, livesThere)
	_, err := person.Receive(t.Context(), link, "")
	wantCode(t, err, wallet.CodeRemote)
	d.refusal, d.polls = "", 1
	w.onIssued = func(c *openid.IssuedCredential) { c.Claims["district"] = "110102" }
	_, err = person.Receive(t.Context(), link, "")
	wantCode(t, err, wallet.CodeCommitment)
	if d.asked != 2 || !slices.Equal(d.notified, []openid.Notification{{ID: "notification", Event: "credential_failure"}}) {
		t.Errorf("asked %d times, the issuer heard %v", d.asked, d.notified)
	}
	for name, answer := range map[string]openid.CredentialResponse{"no transaction": {}, "a long one": {Transaction: strings.Repeat("x", 2000)}} {
		w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/civil/credential" {
				return false
			}
			rw.WriteHeader(http.StatusAccepted)
			answerJSON(rw, answer)
			return true
		}
		_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "")
		if wallet.CodeOf(err) != wallet.CodeAnswer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The token is bound to a key of this receiving where the issuer can do that, and no other token is taken.
func TestReceiveWithBoundToken(t *testing.T) {
	w := newWorld(t)
	w.onServer = func(m *openid.ServerMetadata) { m.DPoPAlgorithms = []string{"ES256", "EdDSA"} }
	person := w.wallet()
	_, err := person.Receive(t.Context(), w.offer(&residence, livesThere), "") // the issuer ignores the proof
	wantCode(t, err, wallet.CodeAnswer)

	verifier, err := dpop.New(dpop.Config{Clock: time.Now, Replays: once.NewMemory(100, func() time.Time { return time.Now().Add(-time.Minute) })}) // as if it ran for a while
	if err != nil {
		t.Fatal(err)
	}
	var thumbprints []string
	w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
		request := dpop.Request{Proofs: r.Header.Values("DPoP"), Method: r.Method, URL: strings.TrimSuffix(w.issuerURL(), "/civil") + r.URL.Path}
		switch r.URL.Path {
		case "/civil/token":
			proof, err := verifier.Verify(r.Context(), request)
			if err != nil {
				t.Errorf("proof at the token endpoint: %v", err)
				return false
			}
			thumbprints = append(thumbprints, proof.Thumbprint)
			answered := httptest.NewRecorder()
			w.serveToken(answered, r)
			var token openid.TokenResponse
			_ = json.Unmarshal(answered.Body.Bytes(), &token)
			token.TokenType = "DPoP"
			answerJSON(rw, token)
			return true
		case "/civil/credential":
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			request.AccessToken, request.Thumbprint = token, thumbprints[len(thumbprints)-1]
			if _, err := verifier.Verify(r.Context(), request); err != nil || scheme != "DPoP" {
				t.Errorf("proof at the credential endpoint: %s, %v", scheme, err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return false
	}
	for range 2 {
		if _, err := person.Receive(t.Context(), w.offer(&residence, livesThere), ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(thumbprints) != 2 || thumbprints[0] == thumbprints[1] {
		t.Errorf("keys %v: two receivings must not be linked by one", thumbprints)
	}
}
