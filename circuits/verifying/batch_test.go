package verifying_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// spoils make a good item bad; each changes nothing that others share.
var spoils = []struct {
	name  string
	want  error
	spoil func(item *verifying.Item)
}{
	{"tampered A", verifying.ErrProofInvalid, func(i *verifying.Item) {
		p := decode(i.Proof)
		p.Ar.Add(&p.Ar, &p.Krs)
		i.Proof = encode(p)
	}},
	{"tampered B", verifying.ErrProofInvalid, func(i *verifying.Item) {
		p := decode(i.Proof)
		p.Bs.Double(&p.Bs)
		i.Proof = encode(p)
	}},
	{"tampered C", verifying.ErrProofInvalid, func(i *verifying.Item) {
		p := decode(i.Proof)
		p.Krs.Neg(&p.Krs)
		i.Proof = encode(p)
	}},
	{"other public input", verifying.ErrProofInvalid, func(i *verifying.Item) {
		i.Public = slices.Clone(i.Public)
		i.Public[len(i.Public)-1] = credential.ElementFromUint64(1)
	}},
	{"public inputs swapped", verifying.ErrProofInvalid, func(i *verifying.Item) {
		i.Public = slices.Clone(i.Public)
		i.Public[0], i.Public[1] = i.Public[1], i.Public[0]
	}},
	{"a byte short", verifying.ErrProofMalformed, func(i *verifying.Item) { i.Proof = i.Proof[:127] }},
	{"C at infinity", verifying.ErrProofMalformed, func(i *verifying.Item) {
		i.Proof = append(bytes.Clone(i.Proof[:96]), append([]byte{0b01 << 6}, make([]byte, 31)...)...)
	}},
}

// badOnes is what a batch's error names.
func badOnes(t testing.TB, err error) map[int]error {
	t.Helper()
	if err == nil {
		return map[int]error{}
	}
	var batch *verifying.BatchError
	if !errors.As(err, &batch) {
		t.Fatalf("%v is no BatchError", err)
	}
	named := make(map[int]error)
	last := -1
	for _, bad := range batch.Bad {
		if bad.Index <= last {
			t.Errorf("index %d comes after %d", bad.Index, last)
		}
		last, named[bad.Index] = bad.Index, bad.Err
	}
	return named
}

// Any set of bad proofs among any number is named exactly, each by its own reason, and is what Verify says of each.
func TestBatchNamesTheBadOnes(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 1)
	good := f.items(24)
	rapid.Check(t, func(r *rapid.T) {
		items := slices.Clone(good[:rapid.IntRange(0, len(good)).Draw(r, "n")])
		want := make(map[int]error)
		for i := range items {
			if rapid.IntRange(0, 5).Draw(r, "bad") == 0 {
				spoil := spoils[rapid.IntRange(0, len(spoils)-1).Draw(r, "how")]
				spoil.spoil(&items[i])
				want[i] = spoil.want
			}
		}
		got := badOnes(t, verifying.VerifyBatch(f.vk, items))
		if len(got) != len(want) {
			r.Fatalf("named %v, want %v", got, want)
		}
		for i, err := range want {
			if !errors.Is(got[i], err) {
				r.Fatalf("proof %d: %v, want %v", i, got[i], err)
			}
		}
	})
}

// One bad proof at each place of a batch, bad in each way.
func TestBatchOneBad(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 2)
	good := f.items(9)
	for _, spoil := range spoils {
		for at := range good {
			items := slices.Clone(good)
			spoil.spoil(&items[at])
			err := verifying.VerifyBatch(f.vk, items)
			if got := badOnes(t, err); len(got) != 1 || !errors.Is(got[at], spoil.want) || !errors.Is(err, spoil.want) {
				t.Errorf("%s at %d: %v", spoil.name, at, err)
			}
			if alone := verifying.Verify(f.vk, items[at].Public, items[at].Proof); !errors.Is(alone, spoil.want) {
				t.Errorf("%s at %d: alone %v", spoil.name, at, alone)
			}
		}
	}
}

// Errors that cancel in a plain sum of the equations do not cancel in ours.
func TestBatchErrorsDoNotCancel(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 3)
	good := f.items(8)
	_, _, d, _ := bn254.Generators()
	for name, change := range map[string]func(a, b *verifying.Item){
		"C of one plus D, of the other minus D": func(a, b *verifying.Item) {
			p, q := decode(a.Proof), decode(b.Proof)
			p.Krs.Add(&p.Krs, &d)
			q.Krs.Sub(&q.Krs, &d)
			a.Proof, b.Proof = encode(p), encode(q)
		},
		"C swapped": func(a, b *verifying.Item) {
			p, q := decode(a.Proof), decode(b.Proof)
			p.Krs, q.Krs = q.Krs, p.Krs
			a.Proof, b.Proof = encode(p), encode(q)
		},
		"A and B swapped": func(a, b *verifying.Item) {
			p, q := decode(a.Proof), decode(b.Proof)
			p.Ar, p.Bs, q.Ar, q.Bs = q.Ar, q.Bs, p.Ar, p.Bs
			a.Proof, b.Proof = encode(p), encode(q)
		},
		"public inputs of one for the other": func(a, b *verifying.Item) { a.Public, b.Public = b.Public, a.Public },
		"one public input of one for the other": func(a, b *verifying.Item) {
			a.Public, b.Public = slices.Clone(a.Public), slices.Clone(b.Public)
			a.Public[2], b.Public[2] = b.Public[2], a.Public[2]
		},
	} {
		items := slices.Clone(good)
		change(&items[2], &items[5])
		err := verifying.VerifyBatch(f.vk, items)
		got := badOnes(t, err)
		if len(got) != 2 || !errors.Is(got[2], verifying.ErrProofInvalid) || !errors.Is(got[5], verifying.ErrProofInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An empty batch, one, and the same proof twice are no special cases.
func TestBatchOfFew(t *testing.T) {
	f := newForge(t, circuits.Presentation, 4)
	item := f.item()
	for _, items := range [][]verifying.Item{nil, {item}, {item, item}, {item, item, f.item()}} {
		if err := verifying.VerifyBatch(f.vk, items); err != nil {
			t.Errorf("batch of %d: %v", len(items), err)
		}
	}
	bad := item
	spoils[0].spoil(&bad)
	if got := badOnes(t, verifying.VerifyBatch(f.vk, []verifying.Item{bad})); len(got) != 1 {
		t.Errorf("a batch of a bad one: %v", got)
	}
	if got := badOnes(t, verifying.VerifyBatch(f.vk, []verifying.Item{bad, bad, bad, bad, bad, bad})); len(got) != 6 {
		t.Errorf("a batch of bad ones only: %v", got)
	}
}

// What could not be checked is no bad proof, and says which item it was.
func TestBatchCouldNotCheck(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 5)
	items := f.items(3)
	few, many := slices.Clone(items), slices.Clone(items)
	few[1].Public = few[1].Public[1:]
	many[2].Public = append(slices.Clone(many[2].Public), credential.Element{})
	spoils[0].spoil(&few[0])
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"no key":               {verifying.VerifyBatch(nil, items), "verifying key"},
		"no key, empty":        {verifying.VerifyBatch(nil, nil), "verifying key"},
		"too few inputs":       {verifying.VerifyBatch(f.vk, few), "proof 1"},
		"too many inputs":      {verifying.VerifyBatch(f.vk, many), "proof 2"},
		"of another circuit's": {verifying.VerifyBatch(newForge(t, circuits.Presentation, 6).vk, items), "proof 0"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) ||
			errors.Is(c.err, verifying.ErrProofInvalid) || errors.Is(c.err, verifying.ErrProofMalformed) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// A key and items can be used by many at once, and stay what they are.
func TestBatchConcurrently(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 7)
	items := f.items(12)
	bad := slices.Clone(items)
	spoils[1].spoil(&bad[7])
	before := f.vk.Bytes()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				if err := verifying.VerifyBatch(f.vk, items); err != nil {
					t.Error(err)
				}
				if got := badOnes(t, verifying.VerifyBatch(f.vk, bad)); len(got) != 1 || got[7] == nil {
					t.Errorf("named %v", got)
				}
				if err := verifying.Verify(f.vk, items[0].Public, items[0].Proof); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if !bytes.Equal(before, f.vk.Bytes()) {
		t.Error("the key changed")
	}
}

// Real proofs of different persons, and the kept one, behave as the forged ones do.
func TestBatchOfRealProofs(t *testing.T) {
	s := load(t)
	kept := verifying.Item{Public: s.public, Proof: s.proof}
	if err := verifying.VerifyBatch(s.vk, []verifying.Item{kept, kept}); err != nil {
		t.Error(err)
	}
	prover := circuitstest.Prover(t, circuits.Enrolment, false)
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	var items []verifying.Item
	for seed := range uint64(6) {
		public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(seed))
		proof, err := prover.ProveEnrolment(t.Context(), public, private)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, verifying.Item{Public: public.Vector(), Proof: proof})
	}
	if err := verifying.VerifyBatch(vk, items); err != nil {
		t.Error(err)
	}
	items[0].Proof, items[4].Proof = items[4].Proof, items[0].Proof
	if got := badOnes(t, verifying.VerifyBatch(vk, items)); len(got) != 2 || got[0] == nil || got[4] == nil {
		t.Errorf("two proofs swapped: named %v", got)
	}
}

func TestBatchErrorIsShort(t *testing.T) {
	f := newForge(t, circuits.Enrolment, 8)
	err := verifying.VerifyBatch(f.vk, make([]verifying.Item, 0))
	if err != nil {
		t.Fatal(err)
	}
	items := f.items(40)
	for i := range items {
		items[i].Proof = nil
	}
	text := fmt.Sprint(verifying.VerifyBatch(f.vk, items))
	if !strings.Contains(text, "and 35 more") || len(text) > 500 {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

// FuzzVerifyBatch: whatever bytes stand between two good proofs, they alone are named, as Verify would.
func FuzzVerifyBatch(f *testing.F) {
	forge := newForge(f, circuits.Enrolment, 9)
	items := forge.items(3)
	f.Add(items[1].Proof)
	f.Add(items[0].Proof)
	f.Add(items[1].Proof[:96])
	f.Add(make([]byte, 128))
	f.Fuzz(func(t *testing.T, proof []byte) {
		batch := slices.Clone(items)
		batch[1].Proof = proof
		alone := verifying.Verify(forge.vk, batch[1].Public, proof)
		got := badOnes(t, verifying.VerifyBatch(forge.vk, batch))
		if len(got) > 1 || (alone == nil) != (got[1] == nil) || errors.Is(alone, verifying.ErrProofInvalid) != errors.Is(got[1], verifying.ErrProofInvalid) {
			t.Fatalf("the batch names %v, Verify says %v", got, alone)
		}
	})
}
