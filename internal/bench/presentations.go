package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/store"
)

// presentations is how many people are asked, each in a session of their own, and how many proofs are made for that, a
// minute of two processors: a proof is bound to its session, and answers it once. So the sessions are put back after each round.
const presentations = 256

// verifierMeasures: people answer over HTTP on loopback, once each, from a number of clients that wait for their answer. The clients,
// in the same process, take their part of the processors. A response is parsed, its public inputs are recomputed, its proof is checked,
// nonce, tag and signed result are committed and synced.
func verifierMeasures(runs, people int, dir string, p *proofs) (list []measure, close func()) {
	var made *party
	begin := sync.OnceValues(func() (_ *party, err error) {
		made, err = newParty(dir, people, p)
		return made, err
	})
	for _, clients := range []int{1, 64, 256} {
		name := fmt.Sprintf("verifier_%d_clients", clients)
		if clients == 1 {
			name = "verifier_one_by_one"
		}
		var waves []*wave // all figures are of the same rounds
		rounds := func(unit, suffix string, value func(*wave) float64) measure {
			run := 0
			return measure{name + suffix, unit, runs, false, func(ctx context.Context) (float64, error) {
				if run++; run <= len(waves) {
					return value(waves[run-1]), nil
				}
				c, err := begin()
				if err != nil {
					return 0, err
				}
				r, err := c.serve(ctx, clients)
				if err != nil {
					return 0, err
				}
				waves = append(waves, r)
				return value(r), nil
			}}
		}
		list = append(list,
			rounds("presentations/s", "", func(r *wave) float64 { return float64(len(r.values)) / r.took.Seconds() }),
			rounds("ms", "_p50", func(r *wave) float64 { return r.at(0.5) }),
			rounds("ms", "_p99", func(r *wave) float64 { return r.at(0.99) }),
			rounds("ms", "_processor", func(r *wave) float64 { return milliseconds(r.processor) / float64(len(r.values)) }),
		)
	}
	return list, func() {
		if made != nil {
			made.close()
		}
	}
}

// wave is what came of a round.
type wave struct {
	latencies
	took      time.Duration
	processor time.Duration // of verifier, ledger and clients; 0 where the system does not say
}

// party is a relying party on a chain of its own, with people and what they answer.
type party struct {
	dir    string
	chain  *chain
	host   *host
	cfg    verifier.Config
	tree   *activeTree
	people []presentation.Private
	posts  []post // ready to be sent
	rounds int
}

// post is a response to a session.
type post struct{ path, form string }

func newParty(dir string, people int, p *proofs) (c *party, err error) {
	c = &party{dir: dir, people: make([]presentation.Private, people)}
	defer func() {
		if err != nil {
			c.close()
			c, err = nil, fmt.Errorf("begin a relying party: %w", err)
		}
	}()
	keys, err := p.keys()
	if err != nil {
		return c, err
	}
	if err := c.found(keys); err != nil {
		return c, err
	}
	p.progress(fmt.Sprintf("%d proofs (not a figure)", people))
	return c, c.ask(keys)
}

func (c *party) close() {
	if c.host != nil {
		c.host.close()
	}
	if c.chain != nil {
		c.chain.close()
	}
}

// found makes the chain, with the relying party, its policy, the key and the credentials of all people on it.
func (c *party) found(keys *setup.Development) (err error) {
	if c.chain, err = newChain(chainConfig{dir: filepath.Join(c.dir, "ledger"), agencies: 1, interval: 1, age: time.Minute}); err != nil {
		return err
	}
	vk, err := keys.VerifyingKey(circuits.Presentation)
	if err != nil {
		return err
	}
	signing, err1 := jose.Generate(jose.EdDSA)
	results, err2 := jose.Generate(jose.EdDSA)
	access, err3 := jose.Generate(jose.EdDSA)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	const address = "http://127.0.0.1/"
	c.cfg = verifier.Config{
		DID: service, PublicURL: address, SigningKey: signing, ResultKey: results, Policies: []*policy.Policy{c.policy()},
		VerifyingKeys: [][]byte{vk.Bytes()}, AccessKey: access, Lifetime: 15 * time.Minute,
		SessionKey: make([]byte, verifier.SessionKeySize), // the same in each round
	}
	text, err := c.cfg.Policies[0].Canonical()
	if err != nil {
		return err
	}
	l, err := c.chain.loader()
	if err != nil {
		return err
	}
	for _, step := range []struct {
		by      *signer
		payload entry.Payload
	}{
		{c.chain.governance, entry.VerifyingKeyListed{Key: entry.VerifyingKey{
			Circuit: vk.Name(), CircuitDigest: vk.Circuit(), KeyDigest: vk.Digest(), NotAfter: credential.UnixTimeOf(time.Now().AddDate(1, 0, 0)),
		}}},
		{c.chain.governance, entry.VerifierRegistered{
			DID: service, Name: credential.Text{English: "City"}, Keys: []jose.PublicKey{signing.Public()}, ResponseURIs: []string{address},
		}},
		{&signer{service, signing, 0}, entry.PolicyRegistered{Policy: text}},
		{c.chain.agencies[0], c.issue()},
	} {
		if err := l.apply(step.by, step.payload); err != nil {
			return err
		}
	}
	if err := errors.Join(l.seal(), l.commit(), c.chain.open()); err != nil {
		return err
	}
	if c.host, err = c.chain.serve(); err != nil {
		return err
	}
	c.cfg.Ledger, err = c.chain.client(c.host, http.DefaultTransport)
	return err
}

// policy is that of the figures of circuits: a resident of one of four districts for two years, once per person.
func (c *party) policy() *policy.Policy {
	return &policy.Policy{
		Version: 1, ID: "bench", Verifier: service, Name: credential.Text{English: "Bench"}, Purpose: credential.Text{English: "Bench"},
		RetentionDays: 1, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "residence", Schema: c.chain.schema, Issuers: []string{c.chain.agencies[0].did}, Clauses: []policy.Clause{
			{Claim: "district", In: []string{"110101", "110102", "110105", "110108"}}, {Claim: "since", AtLeastAgo: "P2Y"},
		}, Scope: &policy.Scope{Service: "bench", Once: true}}},
	}
}

// issue makes people with a credential each. They are the only leaves, in this order.
func (c *party) issue() entry.CredentialsIssued {
	claims, err := divisions.ResidenceSchema(register).Encode(credential.Claims{"district": "110105", "city": "北京市", "province": "北京市", "since": "2015-03-01"})
	if err != nil {
		panic("bench: " + err.Error())
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	payload := entry.CredentialsIssued{Schema: c.chain.schema}
	leaves := make(map[uint64]credential.Element)
	for i := range c.people {
		person := presentation.Private{
			Master: credential.Secret{Element: credential.RandomElement()}, Blinding: credential.Secret{Element: credential.RandomElement()},
			Claims: claims, Issuer: credential.IssuerID(c.chain.agencies[0].did),
			Envelope: credential.Envelope{
				ValidFrom: credential.EncodeTime(today), ValidUntil: credential.EncodeTime(today.AddDate(1, 0, 0)), Salt: credential.Secret{Element: credential.Random31()},
			},
		}
		c.people[i], leaves[uint64(i)] = person, person.Leaf(c.chain.schema)
		payload.Commitments = append(payload.Commitments,
			credential.Commitment(credential.HolderCommitment(person.Master, person.Blinding), credential.ClaimsRoot(person.Claims), person.Envelope.Root()))
	}
	update, err := tree.UpdateActive(noTiles, tree.EmptyRoots[credential.ActiveDepth], leaves)
	if err != nil {
		panic("bench: " + err.Error())
	}
	c.tree = &activeTree{update.Root, update.Tiles}
	return payload
}

func (c *party) snapshot() string { return filepath.Join(c.dir, "sessions") }

// open is the relying party over the store of a folder.
func (c *party) open(dir string) (*verifier.Verifier, *store.Pebble, error) {
	rows, err := store.Open(store.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	cfg := c.cfg
	cfg.Store = rows
	v, err := verifier.New(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return v, rows, nil
}

// ask starts a session for each person, all at the beginning as under load, and makes their answers.
func (c *party) ask(keys *setup.Development) (err error) {
	ctx := context.Background()
	key, err := keys.ProvingKey(circuits.Presentation)
	if err != nil {
		return err
	}
	prover, err := proving.New(proving.Config{Key: key, Precompute: true})
	if err != nil {
		return err
	}
	v, rows, err := c.open(c.snapshot())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := v.Ready(ctx); err != nil {
		return err
	}
	requests := make([]string, len(c.people))
	for i := range requests {
		started, err := v.Start(ctx, "bench", "bench", 0)
		if err != nil {
			return err
		}
		if requests[i], err = v.Request(ctx, started.RequestURI[strings.LastIndex(started.RequestURI, "/")+1:]); err != nil {
			return err
		}
	}
	for i, token := range requests {
		_, payload, err := jose.PeekCompact(token)
		if err != nil {
			return err
		}
		request, err := openid.ParseRequestObject(payload)
		if err != nil {
			return err
		}
		answer, err := c.answer(ctx, prover, request, uint64(i))
		if err != nil {
			return fmt.Errorf("answer of person %d: %w", i, err)
		}
		c.posts = append(c.posts, post{strings.TrimPrefix(request.ResponseURI, "http://127.0.0.1"), answer})
	}
	return nil
}

// answer is what a wallet posts.
func (c *party) answer(ctx context.Context, prover *proving.Prover, request *openid.RequestObject, person uint64) (string, error) {
	challenge, err := request.Challenge(c.chain.genesis)
	if err != nil {
		return "", err
	}
	q := request.Query.Credentials[0]
	compiled, err := q.Meta.Statement.Compile(policy.Context{
		Genesis: c.chain.genesis, Schema: divisions.ResidenceSchema(register), Issuers: q.Meta.Statement.Issuers, Disclosed: credential.Claims{},
	})
	if err != nil {
		return "", err
	}
	private := c.people[person]
	if private.ActivePath, _, err = tree.ActivePath(c.tree.tile, c.tree.root, person); err != nil {
		return "", err
	}
	if private.IssuerPath, err = compiled.Issuers.Path(private.Issuer); err != nil {
		return "", err
	}
	if private.SetPaths[0], err = compiled.Sets[0].Path(private.Claims[0]); err != nil {
		return "", err
	}
	public := presentation.NewPublic(compiled, c.tree.root, challenge)
	public.N = credential.Random31()
	public.Link, public.Item = credential.Link(private.Master, challenge, public.N), credential.Item(private.Blinding, challenge, public.N)
	public.Pseudonym = credential.Pseudonym(private.Master, public.Scope)
	proof, err := prover.ProvePresentation(ctx, public, private)
	if err != nil {
		return "", err
	}
	token, err := credential.Canonical(openid.VPToken{q.ID: {{
		System: q.Meta.Systems[0].ID, Proof: openid.EncodeBytes(proof), Root: public.Root, N: public.N, Link: public.Link, Item: public.Item, Pseudonym: public.Pseudonym,
	}}})
	if err != nil {
		return "", err
	}
	form, err := request.ResponseForm(openid.AuthorizationResponse{Token: token, State: request.State}) // encrypted, as wallets do
	return form.Encode(), err
}

// serve is a round: all answers from a number of clients, over a store in which the sessions are open.
func (c *party) serve(ctx context.Context, clients int) (r *wave, err error) {
	c.rounds++
	dir := filepath.Join(c.dir, fmt.Sprintf("round %d", c.rounds))
	if err := os.CopyFS(dir, os.DirFS(c.snapshot())); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	v, rows, err := c.open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := v.Ready(ctx); err != nil { // the view of the chain does not count
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	stop, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- webapi.Serve(stop, listener, v.Handler()) }()
	defer func() { cancel(); err = errors.Join(err, <-served) }()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	return c.present(&http.Client{Transport: transport}, "http://"+listener.Addr().String(), clients)
}

// present posts every answer once. One that is not accepted is an error.
func (c *party) present(client *http.Client, base string, clients int) (*wave, error) {
	r := new(wave)
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, clients)
	before, known := processorTime()
	start := time.Now()
	for n := range clients {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(c.posts) {
					return
				}
				sent := time.Now()
				if errs[n] = send(client, base, c.posts[i]); errs[n] != nil {
					return
				}
				r.add(time.Since(sent))
			}
		})
	}
	all.Wait()
	r.took = time.Since(start)
	if after, err := processorTime(); err == nil && known == nil {
		r.processor = after - before
	}
	return r, errors.Join(errs...)
}

func send(client *http.Client, base string, p post) error {
	answer, err := client.Post(base+p.path, "application/x-www-form-urlencoded", strings.NewReader(p.form))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("a presentation was answered %s: %.200s", answer.Status, body)
	}
	return err
}
