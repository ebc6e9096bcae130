package client_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// sealedHost has five seals, ten seconds apart, and suspends its issuer from the fourth to the fifth.
func sealedHost(t *testing.T) *ledgertest.Host {
	h := ledgertest.NewHost(t, nil)
	for i := range 5 {
		switch i {
		case 3:
			h.Apply(entry.Governance, h.Governance, entry.IssuerSuspended{DID: ledgertest.LandDID, Reason: "audit"})
		case 4:
			h.Apply(entry.Governance, h.Governance, entry.IssuerReinstated{DID: ledgertest.LandDID})
		default:
			h.Issue("", 1)
		}
		h.Seal(ledgertest.Start + credential.UnixTime(10*(i+1)))
	}
	return h
}

func profileOf(h *ledgertest.Host) checkpoint.Profile {
	cfg := h.Config()
	return checkpoint.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}
}

func at(seconds int) time.Time { return (ledgertest.Start + credential.UnixTime(seconds)).Time() }

func TestExcerpt(t *testing.T) {
	h := sealedHost(t)
	c := h.Client(nil)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	e := ledgertest.Must(c.Excerpt(t.Context(), v, at(25), at(45), 0))(t)
	text := ledgertest.Must(credential.Canonical(e))(t)
	e = ledgertest.Must(checkpoint.ParseExcerpt(text))(t)
	chain := ledgertest.Must(e.Verify(profileOf(h), nil))(t)
	var heights []uint64
	for _, s := range chain.Seals {
		heights = append(heights, s.Height)
	}
	if !slices.Equal(heights, []uint64{1, 2, 3}) || len(e.Registries) != 2 || chain.Genesis.Network != "test" {
		t.Errorf("seals %v, %d registries", heights, len(e.Registries))
	}
	for _, s := range chain.Seals {
		issuer, ok := chain.RegistryAt(s).Issuer(ledgertest.LandDID)
		if !ok || issuer.Suspended != (s.Height == 3) {
			t.Errorf("at seal %d the issuer is suspended: %t", s.Height, issuer.Suspended)
		}
	}
	// The root stands in seals 2 and 3, as a suspended issuer changes no leaf.
	root := chain.Newest().ActiveRoot
	if s, ok := chain.FindRoot(root, at(45)); !ok || s.Height != 3 {
		t.Errorf("newest seal with the root is %d", s.Height)
	}
	if s, ok := chain.FindRoot(root, at(35)); !ok || s.Height != 2 {
		t.Errorf("newest seal with the root half a minute after the start is %d", s.Height)
	}
	if _, ok := chain.FindRoot(root, at(5)); ok {
		t.Error("a root was found before it was there")
	}
	if _, err := c.Excerpt(t.Context(), v, at(0), at(5), 0); !errors.Is(err, client.ErrNoSeal) {
		t.Errorf("before the first seal: %v", err)
	}
	if e := ledgertest.Must(c.Excerpt(t.Context(), v, at(48), at(49), 0))(t); len(e.Seals) != 1 {
		t.Errorf("a time without a seal has %d, want the one before", len(e.Seals))
	}
}

func TestExcerptContinuesWhatWasSeen(t *testing.T) {
	h := sealedHost(t)
	c := h.Client(nil)
	older := ledgertest.Must(c.Update(t.Context()))(t)
	old := ledgertest.Must(c.Excerpt(t.Context(), older, at(0), at(60), 0))(t)
	h.Issue("", 1)
	h.Seal(ledgertest.Start + 60)
	newer := ledgertest.Must(c.Update(t.Context()))(t)
	p, seen := profileOf(h), older.Checkpoint
	e := ledgertest.Must(c.Excerpt(t.Context(), newer, at(0), at(60), seen.Size))(t)
	ledgertest.Must(e.Verify(p, seen.Text))(t)
	ledgertest.Must(e.Verify(p, newer.Checkpoint.Text))(t)
	if _, err := old.Verify(p, newer.Checkpoint.Text); !errors.Is(err, checkpoint.ErrRollback) {
		t.Errorf("older than seen: %v", err)
	}
	proof := e.Consistency
	e.Consistency = nil
	if _, err := e.Verify(p, seen.Text); err == nil {
		t.Error("taken without a proof that the log goes on")
	}
	e.Consistency = &checkpoint.Consistency{Size: proof.Size, Proof: slices.Clone(proof.Proof)}
	e.Consistency.Proof[0][0] ^= 1
	if _, err := e.Verify(p, seen.Text); !errors.Is(err, checkpoint.ErrTampered) {
		t.Errorf("a false proof: %v", err)
	}
	// The operator signs another history of the same size.
	fork := ledgertest.NewHost(t, nil)
	for i := len(fork.Entries); i < int(older.Checkpoint.Size); i++ {
		fork.Issue("", 1)
	}
	fork.Publish(fork.Cosigner)
	if _, err := old.Verify(p, fork.Checkpoint); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("a fork: %v", err)
	}
}

// Whatever is changed in an excerpt, it is refused.
func TestExcerptRefused(t *testing.T) {
	h := sealedHost(t)
	c := h.Client(nil)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	text := ledgertest.Must(credential.Canonical(ledgertest.Must(c.Excerpt(t.Context(), v, at(15), at(60), 0))(t)))(t)
	other := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Network = "other" })
	other.Seal(ledgertest.Start + 10)
	dev := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Dev = true })
	cases := map[string]struct {
		change  func(*checkpoint.Excerpt)
		profile func(*checkpoint.Profile)
	}{
		"version":              {change: func(e *checkpoint.Excerpt) { e.Version = 2 }},
		"no seals":             {change: func(e *checkpoint.Excerpt) { e.Seals = nil }},
		"genesis of another":   {change: func(e *checkpoint.Excerpt) { e.Genesis = string(other.Entries[0]) }},
		"genesis of dev chain": {change: func(e *checkpoint.Excerpt) { e.Genesis = string(dev.Entries[0]) }},
		"checkpoint":           {change: func(e *checkpoint.Excerpt) { e.Checkpoint = strings.Replace(e.Checkpoint, "\n", "\n1", 1) }},
		"not cosigned": {change: func(e *checkpoint.Excerpt) {
			i := strings.LastIndex(strings.TrimSuffix(e.Checkpoint, "\n"), "\n")
			e.Checkpoint = e.Checkpoint[:i+1]
		}},
		"index":             {change: func(e *checkpoint.Excerpt) { e.Index-- }},
		"index beyond":      {change: func(e *checkpoint.Excerpt) { e.Index += 100 }},
		"proof":             {change: func(e *checkpoint.Excerpt) { e.Proof = e.Proof[1:] }},
		"newest left out":   {change: func(e *checkpoint.Excerpt) { e.Seals = e.Seals[:len(e.Seals)-1] }},
		"gap":               {change: func(e *checkpoint.Excerpt) { e.Seals = slices.Delete(e.Seals, 1, 2) }},
		"order":             {change: func(e *checkpoint.Excerpt) { slices.Reverse(e.Seals) }},
		"seal twice":        {change: func(e *checkpoint.Excerpt) { e.Seals = slices.Insert(e.Seals, 1, e.Seals[1]) }},
		"no seal":           {change: func(e *checkpoint.Excerpt) { e.Seals[0] = string(h.Entries[1]) }},
		"registry missing":  {change: func(e *checkpoint.Excerpt) { e.Registries = e.Registries[1:] }},
		"registry twice":    {change: func(e *checkpoint.Excerpt) { e.Registries = append(e.Registries, e.Registries[0]) }},
		"registry changed":  {change: func(e *checkpoint.Excerpt) { e.Registries[0].Issuers[0].Quota++ }},
		"null registry":     {change: func(e *checkpoint.Excerpt) { e.Registries[0] = nil }},
		"another chain":     {profile: func(p *checkpoint.Profile) { p.Genesis = other.Genesis }},
		"no cosigner asked": {profile: func(p *checkpoint.Profile) { p.Policy.Threshold = 0 }},
		"another cosigner": {profile: func(p *checkpoint.Profile) {
			_, key := ledgertest.CosignerKey(t, 9, "stranger.example")
			p.Policy.Cosigners = []string{key}
		}},
	}
	for name, c := range cases {
		var e checkpoint.Excerpt
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		p := profileOf(h)
		if c.change != nil {
			c.change(&e)
		}
		if c.profile != nil {
			c.profile(&p)
		}
		if _, err := e.Verify(p, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := checkpoint.ParseExcerpt(append(text, ' ')); err == nil {
		t.Error("a second spelling is read")
	}
}
