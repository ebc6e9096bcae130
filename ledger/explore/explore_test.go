package explore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

const start = ledgertest.Start

// rig is a host and an index of it in memory.
type rig struct {
	*testing.T
	*ledgertest.Host
	fs     vfs.FS
	memory client.Memory
	index  *explore.Index
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, Host: ledgertest.NewHost(t, nil), fs: vfs.NewMem(), memory: new(client.Forgetful)}
	r.open()
	t.Cleanup(func() { r.index.Close() })
	return r
}

func (r *rig) config() explore.Config {
	cfg := r.Config()
	return explore.Config{
		Profile: client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}, Dir: "index", FS: r.fs, Memory: r.memory, Clock: r.Clock,
	}
}

func (r *rig) open() {
	r.Helper()
	r.index = ledgertest.Must(explore.Open(r.config()))(r.T)
}

func (r *rig) sync() {
	r.Helper()
	if err := r.index.Sync(r.Context()); err != nil {
		r.Fatal(err)
	}
}

const clinic = "did:web:clinic.example"

// fill makes a chain with something of everything: two batches, changes of status, a verifier with a set and a policy.
func (r *rig) fill() {
	r.Helper()
	r.Seal(start + 10)
	r.Issue("a", 5)
	r.Issue("b", 300)
	r.Seal(start + 20)
	r.Apply(ledgertest.LandDID, r.Land, entry.CredentialsSuspended{Leaves: []uint64{1, 2, 7}})
	r.Apply(ledgertest.LandDID, r.Land, entry.CredentialsReinstated{Leaves: []uint64{2}})
	r.Apply(ledgertest.LandDID, r.Land, entry.CredentialsRevoked{Leaves: []uint64{1, 4}})
	key := ledgertest.Key(r.T, "clinic")
	r.Apply(entry.Governance, r.Governance, entry.VerifierRegistered{
		DID: clinic, Name: credential.Text{English: "Clinic", Chinese: "诊所"}, Keys: []jose.PublicKey{key.Public()}, ResponseURIs: []string{"https://clinic.example/"},
	})
	set := ledgertest.Must(policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "Parcels", Chinese: "地块"}, Members: []string{"1", "2", "3"}}))(r.T)
	for part, members := range [][]string{{"1", "2"}, {"3"}} {
		r.Apply(clinic, key, entry.SetRegistered{Set: set.Digest(), Kind: string(policy.ValueSet), Name: set.Name(), Part: part, Parts: 2, Members: members})
	}
	text := ledgertest.Must((&policy.Policy{
		Version: 1, ID: "owner", Verifier: clinic, Name: credential.Text{English: "Owner", Chinese: "业主"}, Purpose: credential.Text{English: "To see", Chinese: "查看"},
		RetentionDays: 3, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "q", Schema: r.Schema, Issuers: []string{ledgertest.LandDID}, Clauses: []policy.Clause{{Claim: "parcel", InSet: set.Digest()}}}},
	}).Canonical())(r.T)
	r.Apply(clinic, key, entry.PolicyRegistered{Policy: text})
	r.Apply(entry.Governance, r.Governance, entry.IssuerSuspended{DID: ledgertest.LandDID, Reason: "an audit"})
	r.Seal(start + 2*3600)
}

// check compares the index with the entries.
func (r *rig) check() {
	r.Helper()
	h := r.index.Head()
	if h.Size != uint64(len(r.Entries)) || h.Checked != h.Size || h.Checkpoint != string(r.Checkpoint) || h.OutOfOrder || h.Unreachable {
		r.Fatalf("head %+v", h)
	}
	for i, raw := range r.Entries {
		e := ledgertest.Must(r.index.Entry(uint64(i)))(r.T)
		if string(e.Entry.Bytes()) != string(raw) {
			r.Fatalf("entry %d is another", i)
		}
		if e.Seal == nil || e.Seal.Index < uint64(i) {
			r.Errorf("entry %d is in effect since %+v", i, e.Seal)
		}
	}
}

func TestIndex(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	r.check()
	h := r.index.Head()
	if h.Leaves != 305 || h.Live != 305-3 || h.Seals != 3 || h.Issuers != 1 || h.Verifiers != 1 || h.Policies != 1 || h.LastSeal.Time != start+2*3600 {
		t.Errorf("head %+v", h)
	}
	view := ledgertest.Must(r.Client(nil).Update(t.Context()))(t)
	if live := view.Census.Live(r.Schema, []string{ledgertest.LandDID}); live != h.Live {
		t.Errorf("%d are live, by the census %d", h.Live, live)
	}
	land := ledgertest.Must(r.index.Party(ledgertest.LandDID))(t)
	if !land.Issuer || land.Verifier || !land.Stopped || land.Reason != "an audit" || land.Issued != 305 || land.Live != 302 || land.Suspended != 1 || land.Revoked != 2 || land.Entries != 5 {
		t.Errorf("%+v", land)
	}
	if p := ledgertest.Must(r.index.Party(clinic))(t); !p.Verifier || p.Issuer || p.Entries != 3 || p.Name.Chinese != "诊所" {
		t.Errorf("%+v", p)
	}
	if _, err := r.index.Party("did:web:nobody.example"); !errors.Is(err, explore.ErrAbsent) {
		t.Errorf("nobody: %v", err)
	}
	hours := ledgertest.Must(r.index.Hours(start.Time(), 100))(t)
	if len(hours) != 3 || hours[0].By[explore.CountIssued] != 305 || hours[1].By["seal"] != 0 || hours[2].By[explore.CountRevoked] != 2 || hours[2].By["policy-registered"] != 1 {
		t.Errorf("%+v", hours)
	}
	if hours := ledgertest.Must(r.index.Hours(time.Time{}, 2))(t); len(hours) != 2 || hours[1].By[explore.CountRevoked] != 2 {
		t.Errorf("%+v", hours)
	}
}

// Lists come newest first, whole, in pages of any size.
func TestLists(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	want := map[explore.Scope][]uint64{}
	for i, raw := range r.Entries {
		e := ledgertest.Must(entry.Parse(raw))(t)
		if e.Header().Kind == entry.KindSeal {
			continue
		}
		scopes := []explore.Scope{explore.Work, explore.OfKind(e.Header().Kind), explore.About(e.Header().Signer)}
		switch e.Header().Kind {
		case entry.KindIssuerRegistered, entry.KindIssuerSuspended, entry.KindSchemaPublished:
			scopes = append(scopes, explore.About(ledgertest.LandDID))
		case entry.KindVerifierRegistered:
			scopes = append(scopes, explore.About(clinic))
		}
		for _, s := range scopes {
			want[s] = append([]uint64{uint64(i)}, want[s]...)
		}
	}
	for scope, all := range want {
		for _, limit := range []int{1, 2, 3, 100} {
			var got []uint64
			before, more := r.index.Head().Size, true
			for more {
				var page []*explore.Entry
				var err error
				if page, more, err = r.index.List(scope, before, limit); err != nil || len(page) > limit {
					t.Fatalf("%d, %v", len(page), err)
				}
				for _, e := range page {
					got = append(got, e.Index)
					before = e.Index
				}
			}
			if !slices.Equal(got, all) {
				t.Errorf("%s by %d: %v, want %v", scope, limit, got, all)
			}
		}
	}
	seals, more := []uint64{}, true
	for before := uint64(99); more; {
		var page []*explore.Entry
		page, more, _ = r.index.Seals(before, 2)
		for _, e := range page {
			before = e.Payload.(entry.Seal).Height
			seals = append(seals, before)
		}
	}
	if !slices.Equal(seals, []uint64{2, 1, 0}) {
		t.Errorf("seals %v", seals)
	}
}

func TestFind(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	issued := ledgertest.Must(r.index.Entry(5))(t)
	commitments := issued.Payload.(entry.CredentialsIssued).Commitments
	if issued.FirstLeaf != 5 || len(commitments) != 300 {
		t.Fatalf("%+v", issued)
	}
	one := func(query string) explore.Found {
		t.Helper()
		found := ledgertest.Must(r.index.Find(query))(t)
		if len(found) != 1 {
			t.Fatalf("%s: %+v", query, found)
		}
		return found[0]
	}
	text := ledgertest.Must(commitments[2].MarshalText())(t)
	if leaf := one(" " + string(text) + "\n").Leaf; leaf == nil || leaf.Leaf != 7 || leaf.Index != 5 || leaf.Position != 2 || leaf.Status != explore.Suspended || len(leaf.Changes) != 1 {
		t.Errorf("%+v", leaf)
	}
	if leaf := ledgertest.Must(r.index.Leaf(1))(t); leaf.Status != explore.Revoked || len(leaf.Changes) != 2 || leaf.Index != 4 || leaf.Position != 1 {
		t.Errorf("%+v", leaf)
	}
	if found := one(clinic); found.DID != clinic {
		t.Errorf("%+v", found)
	}
	if found := one(issued.Entry.Digest().String()); found.Entry == nil || *found.Entry != 5 {
		t.Errorf("%+v", found)
	}
	for query, want := range map[string]string{"诊": clinic, "clinic": clinic, "CLI": clinic, "land reg": ledgertest.LandDID} {
		if found := one(query); found.DID != want {
			t.Errorf("%s: %+v", query, found)
		}
	}
	schema := ledgertest.Must(r.Schema.MarshalText())(t)
	if found := one(string(schema)); found.Entry == nil || *found.Entry != 2 {
		t.Errorf("%+v", found)
	}
	if found := ledgertest.Must(r.index.Find("2"))(t); len(found) != 3 || *found[0].Entry != 2 || *found[1].Seal != 2 || found[2].Leaf.Leaf != 2 || found[2].Leaf.Status != explore.Active {
		t.Errorf("%+v", found)
	}
	for _, nothing := range []string{"", " ", "99999", "-1", "did:web:nobody.example", "registry", strings.Repeat("A", 43), "p\x00", "clinic\x00", strings.Repeat("x", 5000), "\xff"} {
		if found, err := r.index.Find(nothing); err != nil || len(found) != 0 {
			t.Errorf("%.20q: %+v, %v", nothing, found, err)
		}
	}
}

func TestPolicies(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	for _, of := range []string{"", clinic} {
		list, more, err := r.index.Policies(of, "", 10)
		if err != nil || more || len(list) != 1 || list[0].Policy.ID != "owner" {
			t.Fatalf("of %q: %+v, %v", of, list, err)
		}
		for language, want := range map[string]string{"en": "Parcels", "zh-CN": "地块"} {
			e := ledgertest.Must(r.index.Explain(list[0].Policy, r.Clock(), language))(t)
			if text := fmt.Sprint(e); !strings.Contains(text, want) || len(e[0].Shown) == 0 {
				t.Errorf("%s: %s", language, text)
			}
		}
	}
	if list, _, err := r.index.Policies(ledgertest.LandDID, "", 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Proofs are those that tlog accepts, for any entry and any two sizes.
func TestProofs(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	hashes := func(list []credential.Digest) (out []tlog.Hash) {
		for _, h := range list {
			out = append(out, tlog.Hash(h))
		}
		return out
	}
	size := len(r.Entries)
	for n := 1; n <= size; n++ {
		root := rootAt(t, r.Entries[:n])
		for i := range n {
			proof := ledgertest.Must(r.index.Inclusion(uint64(i), uint64(n)))(t)
			if err := tlog.CheckRecord(hashes(proof), int64(n), root, int64(i), tlog.RecordHash(r.Entries[i])); err != nil {
				t.Errorf("%d of %d: %v", i, n, err)
			}
			proof = ledgertest.Must(r.index.Consistency(uint64(i+1), uint64(n)))(t)
			if err := tlog.CheckTree(hashes(proof), int64(n), root, int64(i+1), rootAt(t, r.Entries[:i+1])); err != nil {
				t.Errorf("%d to %d: %v", i+1, n, err)
			}
		}
	}
	for _, bad := range [][2]uint64{{uint64(size), uint64(size)}, {0, uint64(size) + 1}} {
		if _, err := r.index.Inclusion(bad[0], bad[1]); !errors.Is(err, explore.ErrAbsent) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, bad := range [][2]uint64{{0, uint64(size)}, {3, 2}, {1, uint64(size) + 1}} {
		if _, err := r.index.Consistency(bad[0], bad[1]); !errors.Is(err, explore.ErrAbsent) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// rootAt is RFC 6962's definition, word for word.
func rootAt(t *testing.T, entries [][]byte) tlog.Hash {
	t.Helper()
	if len(entries) == 1 {
		return tlog.RecordHash(entries[0])
	}
	half := 1
	for 2*half < len(entries) {
		half *= 2
	}
	return tlog.NodeHash(rootAt(t, entries[:half]), rootAt(t, entries[half:]))
}

// A restart goes on where it ended, and an index in pieces is the index in one piece.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.Seal(start + 10)
	r.sync()
	for i := range 3 {
		r.Issue(fmt.Sprint("restart ", i), 40)
		r.Seal(start + 20 + 10*credential.UnixTime(i))
		if i == 1 { // the rows of several hundred entries need several commits
			for n := range 300 {
				r.Apply(ledgertest.LandDID, r.Land, entry.AuditAnchored{Records: uint64(n + 1), Head: credential.DigestOf(nil)})
			}
			r.Seal(start + 35)
		}
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
		r.open()
		r.Asked()
		r.sync()
		r.check()
	}
	if h := r.index.Head(); h.Leaves != 120 || h.Live != 120 || h.Seals != 5 {
		t.Errorf("%+v", h)
	}
	if p := ledgertest.Must(r.index.Party(ledgertest.LandDID))(t); p.Issued != 120 || p.AuditRecords != 300 || p.Entries != 303 {
		t.Errorf("%+v", p)
	}
}

// What the host changed on the way is not taken, and what was there before can still be read.
func TestDamage(t *testing.T) {
	r := newRig(t)
	r.Seal(start + 10)
	r.sync()
	before := r.index.Head().Size
	r.Issue("damage", 3)
	r.Seal(start + 20)
	r.Tamper = func(path string, body []byte) []byte {
		if strings.HasPrefix(path, "/tile/entries/") {
			changed := slices.Clone(body)
			changed[len(changed)-20] ^= 1
			return changed
		}
		return nil
	}
	if err := r.index.Sync(t.Context()); !errors.Is(err, client.ErrTampered) {
		t.Fatalf("got %v", err)
	}
	if h := r.index.Head(); h.Size != before || !h.Unreachable || h.OutOfOrder {
		t.Errorf("%+v", h)
	}
	r.Tamper = nil
	r.sync()
	r.check()
}

// Entries that no cosigner should have signed are not indexed, and the index says so.
func TestUnreadable(t *testing.T) {
	for name, payload := range map[string]entry.Payload{
		"a leaf that is not there": entry.CredentialsRevoked{Leaves: []uint64{77}},
		"a seal out of order":      entry.Seal{Height: 9, Time: start + 15},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.Seal(start + 10)
			r.sync()
			signer, key := ledgertest.LandDID, r.Land
			if _, ok := payload.(entry.Seal); ok {
				signer, key = entry.Operator, r.Operator
			}
			seal := r.Draft(start + 20)
			r.Append(r.Sign(signer, key, payload))
			r.Append(r.Sign(entry.Operator, r.Operator, seal))
			r.Publish(r.Cosigner)
			r.Now = start + 20
			if err := r.index.Sync(t.Context()); !errors.Is(err, explore.ErrUnreadable) && !client.IsBad(err) {
				t.Fatalf("got %v", err)
			}
			if h := r.index.Head(); !h.Unreachable || h.Size > 5 {
				t.Errorf("%+v", h)
			}
		})
	}
}

// An index whose stored hashes are not the chain's says so, and gives no proofs that fail later.
func TestOtherHashes(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	db := ledgertest.Must(rows.Open(rows.Config{Dir: "index/rows", FS: r.fs}))(t)
	level := bits.Len(uint(len(r.Entries))) - 1 // of the largest whole subtree, which the root is made from
	key := binary.BigEndian.AppendUint64([]byte("h"), uint64(tlog.StoredHashIndex(level, 0)))
	hash := ledgertest.Must(db.Get(key))(t)
	hash[0] ^= 1
	if err := errors.Join(db.Commit(rows.Batch{Set: map[string][]byte{string(key): hash}}), db.Close()); err != nil {
		t.Fatal(err)
	}
	r.open()
	if err := r.index.Sync(t.Context()); !errors.Is(err, explore.ErrOtherChain) || !r.index.Head().OutOfOrder {
		t.Errorf("got %v", err)
	}
}

// The folder of one chain is not that of another.
func TestOtherChain(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.sync()
	if err := r.index.Close(); err != nil {
		t.Fatal(err)
	}
	other := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Network = "another" })
	cfg := r.config()
	cfg.Memory, cfg.Profile.Ledger, cfg.Profile.Genesis = new(client.Forgetful), other.Server.URL, other.Genesis
	if x, err := explore.Open(cfg); !errors.Is(err, explore.ErrOtherChain) {
		t.Errorf("opened: %v, %v", x, err)
	}
	r.open()
}
