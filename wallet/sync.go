package wallet

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/client"
)

// State is where a credential stands, as last seen.
type State string

// The states.
const (
	StateActive             State = "active"
	StateWaiting            State = "waiting"              // on the chain, but newer than the newest grid root
	StateRevokedOrSuspended State = "revoked_or_suspended" // the chain does not say which: the leaf is 0
	StateIssuerSuspended    State = "issuer_suspended"
	StateNotYetValid        State = "not_yet_valid"
	StateExpired            State = "expired"
)

// Summary is what a person sees of a credential. It holds claims, but no secret.
type Summary struct {
	ID         string              `json:"id"`
	Type       string              `json:"type"`
	Title      credential.Text     `json:"title"`
	Issuer     string              `json:"issuer"`
	IssuerName credential.Text     `json:"issuer_name"`
	Claims     []ClaimLine         `json:"claims"`
	ValidFrom  string              `json:"valid_from"`
	ValidUntil string              `json:"valid_until"`
	Leaf       uint64              `json:"leaf"`
	State      State               `json:"state"`
	Checked    credential.UnixTime `json:"checked"` // when State was seen
	// GroupLive is how many live leaves there are in the group of 4,096 that the ledger's host sees us fetch; 0 if it
	// was not looked up now.
	GroupLive int `json:"group_live,omitempty"`
}

// ClaimLine is one claim for people: in the order of the schema, absent ones left out.
type ClaimLine struct {
	Name  string          `json:"name"`
	Title credential.Text `json:"title"`
	Value any             `json:"value"` // as in the credential: a string or a bool
	Label credential.Text `json:"label"` // the value for people
}

func summarize(c *Credential, issuerName credential.Text) Summary {
	s := Summary{
		ID: c.ID, Type: c.Issued.Schema.Type, Issuer: c.Issued.Issuer, IssuerName: issuerName, Claims: []ClaimLine{},
		ValidFrom: c.Issued.ValidFrom, ValidUntil: c.Issued.ValidUntil, Leaf: c.Issued.Leaf, State: c.State, Checked: c.Checked,
		Title: credential.Text{English: c.Issued.Schema.Type},
	}
	if c.Issued.Schema.Display != nil {
		s.Title = *c.Issued.Schema.Display
	}
	for _, claim := range c.Issued.Schema.Claims {
		value, present := c.Issued.Claims[claim.Name]
		if !present {
			continue
		}
		s.Claims = append(s.Claims, ClaimLine{
			Name: claim.Name, Value: value,
			Title: inBoth(claim.Title),
			Label: inBoth(func(language string) string { return valueText(claim, value, language) }),
		})
	}
	return s
}

// inBoth is a text made in each of our languages.
func inBoth(text func(language string) string) credential.Text {
	return credential.Text{English: text("en"), Chinese: text("zh-CN")}
}

// valueText is a claim's value for people.
func valueText(claim credential.ClaimType, value any, language string) string {
	switch v := value.(type) {
	case bool:
		return yesNo(v, language)
	case string:
		text := claim.Label(v, language)
		if claim.Unit != nil {
			text += " " + claim.Unit.In(language)
		}
		return text
	}
	return ""
}

// Credentials are the credentials in the vault, as last seen, without asking anybody.
func (w *Wallet) Credentials() []Summary {
	doc := w.vault.read()
	summaries := make([]Summary, 0, len(doc.Credentials))
	for i := range doc.Credentials {
		summaries = append(summaries, summarize(&doc.Credentials[i], w.issuerName(doc.Credentials[i].Issued.Issuer)))
	}
	return summaries
}

// issuerName is the name of an issuer on the chain, as far as we looked.
func (w *Wallet) issuerName(did string) credential.Text {
	if view := w.chain.Latest(); view != nil {
		if issuer, ok := view.Registry.Issuer(did); ok {
			return issuer.Name
		}
	}
	return credential.Text{English: did, Chinese: did}
}

// Sync looks at the newest seal and finds out where each credential stands. It fetches whole groups of 4,096 leaves, each
// once, so the host learns the groups and not the leaves. Call it at random times ([Wallet.KeepFresh] does), so that the
// time says nothing either. [Wallet.Answer] has to look at the newest seal, too, and so shows the host when one of the
// group's people presents something; the fresher the client's cache of tiles, the less it has to fetch then.
func (w *Wallet) Sync(ctx context.Context) ([]Summary, error) {
	progress(ctx, StageChain, 0, 1)
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	grid, err := w.newestGridSeal(ctx, view)
	if err != nil {
		return nil, err
	}
	groups := newGroups(w, view.At())
	now := w.clock()
	states := make(map[string]State)
	live := make(map[string]int)
	for _, c := range w.vault.read().Credentials {
		group, err := groups.of(ctx, c.Issued.Leaf)
		if err != nil {
			return nil, err
		}
		if states[c.ID], err = stateOf(&c, view, grid, group, now); err != nil {
			return nil, err
		}
		live[c.ID] = group.Live()
	}
	if err := w.saveStates(states, now); err != nil {
		return nil, err
	}
	summaries := w.Credentials()
	for i := range summaries {
		summaries[i].GroupLive = live[summaries[i].ID]
	}
	progress(ctx, StageDone, 1, 1)
	return summaries, nil
}

// newestGridSeal is the newest seal on the grid, or none.
func (w *Wallet) newestGridSeal(ctx context.Context, view *client.View) (*client.SealAt, error) {
	if view.Genesis.GridSeconds == 0 {
		seal := view.At()
		return &seal, nil
	}
	// Two grid times back there is one, or the ledger has not sealed for that long.
	reach := time.Duration(2*view.Genesis.GridSeconds+view.Genesis.SealMaximumSeconds) * time.Second
	seals, err := w.chain.GridSeals(ctx, view, reach, 0)
	if err != nil {
		return nil, refuse(CodeNetwork, err, "grid seals")
	}
	if len(seals) == 0 {
		return nil, nil
	}
	return &seals[len(seals)-1], nil
}

// stateOf decides where a credential stands at a view.
func stateOf(c *Credential, view *client.View, grid *client.SealAt, group *client.Group, now time.Time) (State, error) {
	_, found, err := group.Path(c.Issued.Leaf)
	if err != nil {
		return "", refuse(CodeLedger, err, "path of credential %s", c.ID)
	}
	_, leaf, err := c.Issued.Commitment()
	if err != nil {
		return "", refuse(CodeClaims, err, "credential %s", c.ID)
	}
	envelope, err := c.Issued.Envelope()
	if err != nil {
		return "", refuse(CodeValidity, err, "credential %s", c.ID)
	}
	issuer, ok := view.Registry.Issuer(c.Issued.Issuer)
	encoded := credential.EncodeTime(now)
	switch {
	case found != leaf:
		return StateRevokedOrSuspended, nil
	case !ok || issuer.Suspended:
		return StateIssuerSuspended, nil
	case encoded > envelope.ValidUntil:
		return StateExpired, nil
	case encoded < envelope.ValidFrom:
		return StateNotYetValid, nil
	case grid == nil || grid.Index < c.Issued.Receipt.Index:
		return StateWaiting, nil
	}
	return StateActive, nil
}

func (w *Wallet) saveStates(states map[string]State, now time.Time) error {
	return w.vault.update(func(d *document) error {
		for i := range d.Credentials {
			if state, seen := states[d.Credentials[i].ID]; seen {
				d.Credentials[i].State, d.Credentials[i].Checked = state, credential.UnixTimeOf(now)
			}
		}
		return nil
	})
}

// KeepFresh syncs once in each grid interval, at a random time of it, until ctx ends; on chains without a grid once a
// minute. Failures are logged and tried again in the next interval.
func (w *Wallet) KeepFresh(ctx context.Context) {
	for {
		// Everybody fetches checkpoints: that says nothing about us. It is to learn the grid; Sync reports failures.
		_, _ = w.update(ctx)
		interval := time.Minute
		if view := w.chain.Latest(); view != nil && view.Genesis.GridSeconds > 0 {
			interval = time.Duration(view.Genesis.GridSeconds) * time.Second
		}
		pause := rand.N(interval)
		if !sleep(ctx, pause) {
			return
		}
		if _, err := w.Sync(ctx); err != nil {
			w.log.WarnContext(ctx, "wallet is not in step with the chain", "code", string(CodeOf(err)))
		}
		if !sleep(ctx, interval-pause) {
			return
		}
	}
}

// sleep waits and tells whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// groups fetches each group of leaves under one seal once.
type groups struct {
	wallet *Wallet
	seal   client.SealAt
	kept   []*client.Group
}

func newGroups(w *Wallet, seal client.SealAt) *groups { return &groups{wallet: w, seal: seal} }

func (g *groups) of(ctx context.Context, index uint64) (*client.Group, error) {
	for _, group := range g.kept {
		if index >= group.First && index-group.First < tree.GroupLeaves {
			return group, nil
		}
	}
	group, err := g.wallet.group(ctx, g.seal, index)
	if err == nil {
		g.kept = append(g.kept, group)
	}
	return group, err
}

// Remove forgets a credential. The chain keeps its leaf; only the issuer can revoke it.
func (w *Wallet) Remove(id string) error {
	return w.vault.update(func(d *document) error {
		for i := range d.Credentials {
			if d.Credentials[i].ID == id {
				d.Credentials = append(d.Credentials[:i], d.Credentials[i+1:]...)
				return nil
			}
		}
		return refuse(CodeNoCredential, nil, "there is no credential %q", id)
	})
}
