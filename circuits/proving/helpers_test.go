package proving_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/verifying"
)

// crew is helpers of this process, with a trouble.
type crew struct {
	helper  *proving.Helper
	count   int
	asked   atomic.Int32
	trouble func([]byte, error) ([]byte, error)
}

func (c *crew) Count() int { return c.count }

func (c *crew) Start(_ int, request []byte) func() ([]byte, error) {
	c.asked.Add(1)
	type outcome struct {
		answer []byte
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		answer, err := c.helper.Compute(request)
		if c.trouble != nil {
			answer, err = c.trouble(answer, err)
		}
		done <- outcome{answer, err}
	}()
	return func() ([]byte, error) { o := <-done; return o.answer, o.err }
}

func provingKey(t *testing.T) *keys.ProvingKey {
	t.Helper()
	key, err := circuitstest.Keys(t).ProvingKey(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A proof is as good with helpers as without, however many there are and whatever becomes of them.
func TestHelpers(t *testing.T) {
	vk := circuitstest.VerifyingKey(t, circuits.Presentation)
	key := provingKey(t)
	for name, c := range map[string]*crew{
		"none":  {count: 0},
		"one":   {count: 1},
		"three": {count: 3},
		"dead":  {count: 2, trouble: func([]byte, error) ([]byte, error) { return nil, errors.New("it is gone") }},
		"short": {count: 1, trouble: func(answer []byte, err error) ([]byte, error) { return answer[:len(answer)-1], err }},
		"no points": {count: 1, trouble: func(answer []byte, err error) ([]byte, error) {
			answer[len(answer)-1] ^= 1 // the last; those before it are right
			return answer, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.helper = proving.NewHelper(key)
			prover, err := proving.New(proving.Config{Key: key, Helpers: c})
			if err != nil {
				t.Fatal(err)
			}
			public, private := circuitstest.RandomStatement(circuitstest.NewRand(9))
			for range 2 {
				proof, err := prover.ProvePresentation(t.Context(), public, private)
				if err != nil {
					t.Fatal(err)
				}
				if err := verifying.Verify(vk, public.Vector(), proof); err != nil {
					t.Error(err)
				}
			}
			if asked := int(c.asked.Load()); (asked > 0) != (c.count > 0) {
				t.Errorf("%d helpers were asked %d times", c.count, asked)
			}
		})
	}
}

// A helper refuses what no prover with its key asks for.
func TestHelperRefuses(t *testing.T) {
	h := proving.NewHelper(provingKey(t))
	c := &crew{helper: h, count: 1}
	var request []byte
	prover, err := proving.New(proving.Config{Key: provingKey(t), Helpers: recording{c, &request}})
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(9))
	if _, err := prover.ProvePresentation(t.Context(), public, private); err != nil {
		t.Fatal(err)
	}
	if _, err := proving.New(proving.Config{Key: provingKey(t), Helpers: c, Precompute: true}); err == nil {
		t.Error("parts of other tables would be put together")
	}
	if _, err := h.Compute(request); err != nil {
		t.Fatal(err)
	}
	change := func(do func([]byte) []byte) []byte { return do(append([]byte{}, request...)) }
	for name, bad := range map[string][]byte{
		"nothing":          nil,
		"another sum":      change(func(r []byte) []byte { r[0] = 7; return r }),
		"too many parts":   change(func(r []byte) []byte { r[1] = 255; return r }),
		"no such part":     change(func(r []byte) []byte { r[2] = 200; return r }),
		"too short":        request[:len(request)-1],
		"too long":         append(append([]byte{}, request...), 0),
		"no field element": change(func(r []byte) []byte { r[len(r)-32] = 0xff; return r }),
	} {
		if _, err := h.Compute(bad); err == nil {
			t.Errorf("%s was computed", name)
		}
	}
}

// recording keeps the first request.
type recording struct {
	*crew
	request *[]byte
}

func (r recording) Start(helper int, request []byte) func() ([]byte, error) {
	if *r.request == nil {
		*r.request = append([]byte{}, request...)
	}
	return r.crew.Start(helper, request)
}
