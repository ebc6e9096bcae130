package wallet

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// maxClockSkew is how far "now" in a request may be from our clock.
const maxClockSkew = 5 * time.Minute

// Request is a verifier's request that passed all checks. It is immutable.
type Request struct {
	object     *openid.RequestObject
	verifier   entry.RegisteredVerifier
	policy     *policy.Policy
	setsURI    string      // where the verifier serves the sets that the policy names; empty if it names none
	sets       policy.Sets // those
	queries    []query
	challenge  credential.Element
	view       *client.View // that it was checked against
	requestURI string
	keyID      string
	nonce      string             // that we posted when we fetched it, to be echoed; empty if we posted none
	counter    *openid.CounterAsk // nil: asked over a network
}

// query is one credential that is asked for.
type query struct {
	statement    policy.Statement
	schema       entry.RegisteredSchema
	system       string            // id of the proof system, to be echoed
	verifyingKey credential.Digest // of the proofs
	accepted     []string          // issuers, ascending
	issuers      []string          // accepted and in good standing when the request was read
}

// Verifier is who asks.
func (r *Request) Verifier() (did string, name credential.Text) {
	return r.verifier.DID, r.verifier.Name
}

// Policy is what the verifier registered. It must not be changed.
func (r *Request) Policy() *policy.Policy { return r.policy }

// Queries are the ids of what is asked, in order.
func (r *Request) Queries() []string {
	ids := make([]string, 0, len(r.queries))
	for _, q := range r.queries {
		ids = append(ids, q.statement.Query)
	}
	return ids
}

// ExpiresAt is when an answer must be there.
func (r *Request) ExpiresAt() time.Time { return r.object.ExpiresAt.Time() }

// Read fetches the request behind a link and checks all of it: signed by a key registered for the verifier, to be
// answered at an address registered for it, asking exactly what the registered policy says as of now, for a verifying
// key that the chain lists, and not answered before. It sends nothing but the fetch, and fetches the sets that the policy names.
func (w *Wallet) Read(ctx context.Context, link string) (*Request, error) {
	reference, err := openid.ParseRequestLink(link)
	if err != nil {
		return nil, refuse(CodeRequest, err, "read link")
	}
	r := &Request{requestURI: reference.URI}
	token, err := w.fetchRequest(ctx, r, reference)
	if err != nil {
		return nil, err
	}
	if r.view, err = w.update(ctx); err != nil {
		return nil, err
	}
	if err := r.verify(string(token), reference.ClientID, w.clock(), w.fetchSets(ctx)); err != nil {
		return nil, err
	}
	if w.vault.read().wasAnswered(r.verifier.DID, r.object.Nonce) {
		return nil, refuse(CodeNonceUsed, nil, "the request was answered before")
	}
	return r, nil
}

// fetchRequest gets the request object: by GET, or by POST with a nonce of ours where the link allows it, so that nobody
// can hand us a request that was signed for another wallet.
func (w *Wallet) fetchRequest(ctx context.Context, r *Request, reference openid.RequestReference) ([]byte, error) {
	c := call{method: http.MethodGet, address: reference.URI, accept: "application/" + openid.RequestType, limit: jose.MaxToken}
	if reference.Post {
		metadata, err := json.Marshal(openid.OurWallet())
		if err != nil {
			return nil, err
		}
		r.nonce = credential.RandomElement().String()
		c.method, c.contentType = http.MethodPost, "application/x-www-form-urlencoded"
		c.body = url.Values{"wallet_metadata": {string(metadata)}, "wallet_nonce": {r.nonce}}.Encode()
	}
	return w.http.fetch(ctx, c)
}

// verify does all checks that need no vault. fetch gets a set that the policy names.
func (r *Request) verify(token, clientID string, now time.Time, fetch fetchSet) error {
	client, err := openid.ParseClientID(clientID)
	if err != nil {
		return refuse(CodeClient, err, "client of the link")
	}
	if err := r.verifySignature(token, client, now); err != nil {
		return err
	}
	for _, check := range []func() error{
		func() error { return r.checkClient(clientID) },
		r.checkResponse,
		func() error { return r.checkTimes(now) },
		r.checkPolicy,
		func() error { return r.loadSets(fetch) },
		func() error { return r.checkQueries(now) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	if r.challenge, err = r.object.Challenge(r.view.GenesisHash); err != nil {
		return refuse(CodeRequest, err, "challenge")
	}
	return nil
}

// checkClient holds the parts of the request to each other.
func (r *Request) checkClient(clientID string) error {
	o := r.object
	// SPEC (OpenID4VP 5, RFC 9101 5): client_id in the link and in the signed request are the same.
	if o.ClientID != clientID {
		return refuse(CodeClient, nil, "the request is for the client %.200q", o.ClientID)
	}
	switch {
	case o.ResponseType != "vp_token":
		return refuse(CodeUnsupported, nil, "response_type %.50q", o.ResponseType)
	// SPEC (OpenID4VP 8.4): transaction data of an unknown type is refused; we know none.
	case o.TransactionData != nil:
		return refuse(CodeUnsupported, nil, "the request has transaction_data")
	// SPEC (OpenID4VP 8.2): response_uri and redirect_uri exclude each other.
	case o.RedirectURI != nil:
		return refuse(CodeRequest, nil, "the request has a redirect_uri")
	// SPEC (OpenID4VP 5.10): wallet_nonce is what the wallet posted, and not there if it posted none.
	case o.WalletNonce != r.nonce:
		return refuse(CodeRequest, nil, "wallet_nonce is not ours: the request was made for another wallet")
	case o.Audience != openid.SelfIssued:
		return refuse(CodeRequest, nil, "aud is %.200q", o.Audience)
	case !isNonce(o.Nonce):
		return refuse(CodeRequest, nil, "the nonce is not 22 to 128 URL-safe characters")
	case len(o.State) > 512:
		return refuse(CodeRequest, nil, "state has %d characters", len(o.State))
	}
	format, ok := o.ClientMetadata.Formats[openid.Format]
	if !ok || !slices.Contains(format.Systems, openid.ProofSystem) || !slices.Contains(format.StatementVersions, 1) {
		return refuse(CodeUnsupported, nil, "the verifier does not say that it reads %s", openid.Format)
	}
	return nil
}

// isNonce wants 128 bits or more in base64url.
func isNonce(s string) bool {
	return len(s) >= 22 && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// checkResponse refuses to answer anywhere but under an address registered for the verifier.
func (r *Request) checkResponse() error {
	u, err := parseAddress(r.object.ResponseURI)
	if err != nil {
		return refuse(CodeResponseURI, err, "response_uri")
	}
	if !slices.ContainsFunc(r.verifier.ResponseURIs, func(prefix string) bool { return openid.LiesUnder(u, prefix) }) {
		return refuse(CodeResponseURI, nil, "response_uri %.200q is not registered for %s", r.object.ResponseURI, r.verifier.DID)
	}
	if err := r.object.CanReceive(); err != nil {
		return refuse(CodeUnsupported, err, "how to answer")
	}
	return nil
}

// checkTimes refuses requests from another time.
func (r *Request) checkTimes(now time.Time) error {
	o := r.object
	switch {
	case o.ExpiresAt <= o.IssuedAt || o.ExpiresAt-o.IssuedAt > openid.MaxLifetime:
		return refuse(CodeExpiredRequest, nil, "the request lives for %d seconds, at most %d", o.ExpiresAt-o.IssuedAt, openid.MaxLifetime)
	case now.After(o.ExpiresAt.Time()):
		return refuse(CodeExpiredRequest, nil, "the request expired at %s", o.ExpiresAt)
	case o.IssuedAt.Time().Sub(now) > maxClockSkew:
		return refuse(CodeClock, nil, "the request is from %s", o.IssuedAt)
	}
	for _, q := range o.Query.Credentials {
		if skew := q.Meta.Statement.Now.Time().Sub(now).Abs(); skew > maxClockSkew {
			return refuse(CodeClock, nil, "the verifier's now is %s from ours", skew.Round(time.Second))
		}
	}
	return nil
}

// checkPolicy reads the policy that came along, and demands that it is the registered one.
func (r *Request) checkPolicy() error {
	var err error
	if r.policy, r.setsURI, err = r.object.RegisteredPolicy(); err != nil {
		return refuse(CodeRequest, err, "policy of the request")
	}
	if r.policy.Verifier != r.verifier.DID {
		return refuse(CodeNotRegistered, nil, "the policy is one of %s", r.policy.Verifier)
	}
	return r.checkRegistered(r.view.Registry)
}

// checkRegistered demands that the policy is registered, in these words.
func (r *Request) checkRegistered(registry *entry.Registry) error {
	digest, err := r.policy.Digest()
	if err != nil {
		return refuse(CodeRequest, err, "policy")
	}
	registered, ok := registry.Policy(r.verifier.DID, r.policy.ID)
	if !ok {
		return refuse(CodeNotRegistered, nil, "policy %s of %s is not on the chain", r.policy.ID, r.verifier.DID)
	}
	if registered.Digest != digest {
		return refuse(CodeWider, nil, "policy %s is registered with other contents", r.policy.ID)
	}
	return nil
}

// checkQueries resolves the policy and holds each query to it, byte for byte.
func (r *Request) checkQueries(now time.Time) error {
	asked := r.object.Query.Credentials
	// Companions are for other wallets: we answer with a proof. All the same nobody is asked for one beyond the registered policy.
	if len(asked) == 0 && len(r.object.Query.Companions) > 0 {
		return refuse(CodeUnsupported, nil, "the request asks for companions only, which this wallet does not have")
	}
	if err := r.object.Query.ValidateCompanions(); err != nil {
		return refuse(CodeWider, err, "what other wallets are asked")
	}
	if len(asked) == 0 || len(asked) != len(r.policy.Queries) {
		return refuse(CodeWider, nil, "%d queries, the policy has %d", len(asked), len(r.policy.Queries))
	}
	statements, err := r.policy.Resolve(asked[0].Meta.Statement.Now.Time(), schemasOf(r.view.Registry))
	if err != nil {
		return refuse(CodeNotRegistered, err, "resolve the policy")
	}
	for i := range asked {
		q, err := r.checkQuery(&asked[i], statements[i], now)
		if err != nil {
			return err
		}
		r.queries = append(r.queries, q)
	}
	return nil
}

// schemasOf looks schemas up on the chain.
func schemasOf(registry *entry.Registry) policy.Schemas {
	return func(id credential.Element) (*credential.Schema, error) {
		s, ok := registry.Schema(id)
		if !ok {
			return nil, refuse(CodeNotRegistered, nil, "schema %s is not on the chain", id)
		}
		return &s.Schema, nil
	}
}

func (r *Request) checkQuery(asked *openid.CredentialQuery, statement policy.Statement, now time.Time) (query, error) {
	q := query{statement: statement}
	want, err := credential.Canonical(statement)
	if err != nil {
		return q, refuse(CodeRequest, err, "statement of query %q", statement.Query)
	}
	got, err := credential.Canonical(asked.Meta.Statement)
	if err != nil || !bytes.Equal(got, want) || asked.ID != statement.Query {
		return q, refuse(CodeWider, err, "query %.100q does not say what the registered policy says", asked.ID)
	}
	q.schema, _ = r.view.Registry.Schema(statement.Schema)
	if asked.Format != openid.Format || !slices.Equal(asked.Meta.TypeValues, []string{q.schema.Schema.Type}) {
		return q, refuse(CodeUnsupported, nil, "query %q asks for the format %.100q and the types %.200q", asked.ID, asked.Format, asked.Meta.TypeValues)
	}
	if err := q.checkSystem(asked.Meta.Systems, r.view.Registry, now); err != nil {
		return q, err
	}
	if err := checkScopes(&statement, r.view.Registry); err != nil {
		return q, err
	}
	if q.accepted, err = statement.Accepted(r.sets); err != nil {
		return q, refuse(CodeUnprovable, err, "query %q", asked.ID)
	}
	if q.issuers = goodIssuers(r.view.Registry, statement.Schema, q.accepted); q.issuers == nil {
		return q, refuse(CodeIssuerSuspended, nil, "query %q: none of the accepted issuers is in good standing", asked.ID)
	}
	if _, err := statement.Compile(policy.Context{Genesis: r.view.GenesisHash, Schema: &q.schema.Schema, Sets: r.sets, Issuers: q.issuers}); err != nil {
		return q, refuse(CodeUnprovable, err, "query %q", asked.ID)
	}
	return q, nil
}

// circuit is the circuit that the registered policy names.
func (q *query) circuit() string { return q.statement.CircuitName() }

// checkSystem wants one proof system, ours, with the circuit that the policy names and a key that the chain lists for it.
func (q *query) checkSystem(systems []openid.System, registry *entry.Registry, now time.Time) error {
	if len(systems) != 1 {
		return refuse(CodeUnsupported, nil, "query %q names %d proof systems, want 1", q.statement.Query, len(systems))
	}
	s := systems[0]
	known, err := circuits.Named(q.circuit())
	if err != nil || s.System != openid.ProofSystem || s.Circuit != known.Name || s.CircuitDigest != known.Digest || s.ID == "" || len(s.ID) > 200 {
		return refuse(CodeUnsupported, err, "query %q asks for the circuit %.100q of %.100q", q.statement.Query, s.Circuit, s.System)
	}
	q.system, q.verifyingKey = s.ID, s.VerifyingKey
	return checkKey(registry, s.Circuit, s.VerifyingKey, now)
}

// checkScopes wants shared scopes to be registered for the verifier; only their consumer may count.
func checkScopes(s *policy.Statement, registry *entry.Registry) error {
	for _, scope := range []*policy.Scope{s.Scope, s.SubjectScope} {
		if scope == nil || scope.Shared == nil {
			continue
		}
		registered, ok := registry.Scope(uint64(*scope.Shared))
		if !ok || !slices.Contains(registered.Verifiers, s.Verifier) || scope.Once && registered.Consumer != s.Verifier {
			return refuse(CodeNotRegistered, nil, "query %q: the shared scope %d is not registered for %s", s.Query, *scope.Shared, s.Verifier)
		}
	}
	return nil
}
