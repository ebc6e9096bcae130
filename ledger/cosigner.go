package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Cosigner vouches for checkpoints: it knows that the new tree extends every tree it cosigned, and, if it replays, that
// every seal follows from the entries.
type Cosigner interface {
	// Cosign returns signature lines for the request's checkpoint, each ending in a newline. It may be called again
	// with the same or a later checkpoint after any error; the ledger retries. The ledger verifies what it returns.
	Cosign(ctx context.Context, request CosignRequest) ([]byte, error)
	// SignedSize returns the size of the newest checkpoint that it cosigned, 0 before the first. The request is for one
	// that it may have cosigned: [ErrForked] says that it cosigned another tree of that size. Any other error means that
	// it does not say.
	SignedSize(ctx context.Context, request CosignRequest) (uint64, error)
}

// CosignRequest asks for a cosignature.
type CosignRequest struct {
	Checkpoint []byte // signed note
	Size       uint64 // of its tree
	// Prove returns the consistency proof from an older tree of that size, empty from 0 and from Size.
	Prove func(oldSize uint64) ([]tlog.Hash, error)
}

// TrustedCosigner is a cosigner with the key that its cosignatures verify with.
type TrustedCosigner struct {
	Key      string // as note prints it: cosignature/v1 with Ed25519 or ML-DSA-44
	Cosigner Cosigner
}

const (
	cosignTimeout = 10 * time.Second
	cosignGrace   = 500 * time.Millisecond // for the others, once there are enough
	maxCosignBody = 64 << 10
)

// cosigners collects k of n cosignatures.
type cosigners struct {
	threshold int
	log       note.Verifier
	list      []Cosigner
	verifiers []note.Verifier
	hearings  hearings
}

func newCosigners(trusted []TrustedCosigner, threshold int, log note.Verifier) (*cosigners, error) {
	if threshold < 0 || threshold > len(trusted) || threshold == 0 && len(trusted) > 0 {
		return nil, fmt.Errorf("%d of %d cosigners", threshold, len(trusted))
	}
	c := &cosigners{threshold: threshold, log: log}
	seen := map[string]bool{log.Name(): true}
	for i, t := range trusted {
		v, err := fnote.NewVerifierForCosignatureV1(t.Key)
		if err != nil {
			return nil, fmt.Errorf("key of cosigner %d: %w", i, err)
		}
		if seen[v.Name()] {
			return nil, fmt.Errorf("cosigner %d has the name %s of another one or of the log", i, v.Name())
		}
		seen[v.Name()] = true
		c.list, c.verifiers = append(c.list, t.Cosigner), append(c.verifiers, v)
	}
	c.hearings.heard = make([]bool, len(c.list))
	return c, nil
}

// collect asks all cosigners and returns the note with the signatures of at least threshold of them.
func (c *cosigners) collect(ctx context.Context, request CosignRequest) ([]byte, error) {
	if c.threshold == 0 {
		return request.Checkpoint, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cosignTimeout)
	defer cancel()
	type answer struct {
		i     int
		lines []byte
		err   error
	}
	answers := make(chan answer, len(c.list))
	for i, cosigner := range c.list {
		go func() { // ends with ctx; the channel has room
			lines, err := cosigner.Cosign(ctx, request)
			if err == nil {
				err = c.verify(i, request.Checkpoint, lines)
			}
			answers <- answer{i, lines, err}
		}()
	}
	signatures := make([][]byte, len(c.list))
	var problems []error
	good := 0
	for range c.list {
		a := <-answers
		if a.err != nil {
			problems = append(problems, fmt.Errorf("cosigner %s: %w", c.verifiers[a.i].Name(), a.err))
			continue
		}
		signatures[a.i] = a.lines
		if good++; good == c.threshold {
			time.AfterFunc(cosignGrace, cancel)
		}
	}
	if good < c.threshold {
		return nil, fmt.Errorf("%d cosignatures, need %d: %w", good, c.threshold, errors.Join(problems...))
	}
	return c.merge(request.Checkpoint, signatures)
}

// verify checks that the lines hold a signature of that cosigner.
func (c *cosigners) verify(i int, checkpoint, lines []byte) error {
	if len(lines) > maxCosignBody {
		return fmt.Errorf("%d bytes of signatures", len(lines))
	}
	_, err := note.Open(append(bytes.Clone(checkpoint), lines...), note.VerifierList(c.verifiers[i]))
	return err
}

// merge puts the log's signature and the cosignatures that verify onto one note, in the configured order.
func (c *cosigners) merge(checkpoint []byte, signatures [][]byte) ([]byte, error) {
	all := append([]note.Verifier{c.log}, c.verifiers...)
	n, err := note.Open(append(bytes.Clone(checkpoint), bytes.Join(signatures, nil)...), note.VerifierList(all...))
	if err != nil {
		return nil, fmt.Errorf("merge cosignatures: %w", err)
	}
	merged := &note.Note{Text: n.Text}
	for _, v := range all {
		for _, s := range n.Sigs {
			if s.Name == v.Name() && s.Hash == v.KeyHash() {
				merged.Sigs = append(merged.Sigs, s)
				break
			}
		}
	}
	return note.Sign(merged)
}

// HTTPCosigner asks a cosigner over HTTP, by C2SP tlog-witness. It is safe for concurrent use.
type HTTPCosigner struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	known uint64 // size that the cosigner signed last, as far as we know
}

// maxCosignHeader bounds the header of a cosigner's answer, in bytes.
const maxCosignHeader = 16 << 10

// NewHTTPCosigner talks to the cosigner below that URL: POST url/add-checkpoint. A client of its own is used if client
// is nil; times are limited by the context. Redirects are not followed whatever it says: the operator named this address, and the
// cosigner must not send us to another.
func NewHTTPCosigner(url string, client *http.Client) *HTTPCosigner {
	own := http.Client{}
	if client != nil {
		own = *client
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = transport.Clone()
		transport.MaxResponseHeaderBytes = maxCosignHeader
		own.Transport = transport
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &HTTPCosigner{url: strings.TrimSuffix(url, "/") + "/add-checkpoint", client: &own}
}

// sizeType is the media type of a conflict of sizes.
const sizeType = "text/x.tlog.size"

// errConflict means that the cosigner is at another size than we thought.
type errConflict struct{ size uint64 }

func (e errConflict) Error() string { return fmt.Sprintf("cosigner is at size %d", e.size) }

// errStatus is any other answer that is no cosignature.
type errStatus struct {
	code   int
	status string
}

func (e errStatus) Error() string {
	if e.code == http.StatusConflict {
		return "add checkpoint: " + ErrForked.Error()
	}
	return "add checkpoint: cosigner answered " + e.status
}

// Cosign implements [Cosigner].
func (h *HTTPCosigner) Cosign(ctx context.Context, request CosignRequest) ([]byte, error) {
	h.mu.Lock()
	old := h.known
	h.mu.Unlock()
	lines, err := h.add(ctx, min(old, request.Size), request)
	var conflict errConflict
	if errors.As(err, &conflict) {
		if conflict.size > request.Size {
			return nil, fmt.Errorf("cosigner signed %d entries, this checkpoint has %d: was the ledger rolled back?", conflict.size, request.Size)
		}
		lines, err = h.add(ctx, conflict.size, request)
	}
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = max(h.known, request.Size)
	return lines, nil
}

func (h *HTTPCosigner) add(ctx context.Context, old uint64, request CosignRequest) ([]byte, error) {
	hashes, err := request.Prove(old)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, hash := range hashes {
		fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(hash[:]))
	}
	body.WriteByte('\n')
	body.Write(request.Checkpoint)
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, &body)
	if err != nil {
		return nil, fmt.Errorf("add checkpoint: %w", err)
	}
	post.Header.Set("Content-Type", "text/plain; charset=utf-8")
	response, err := h.client.Do(post)
	if err != nil {
		return nil, fmt.Errorf("add checkpoint: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxCosignBody+1))
	if err != nil {
		return nil, fmt.Errorf("add checkpoint: %w", err)
	}
	mediaType, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	switch {
	case response.StatusCode == http.StatusOK:
		return answer, nil
	// SPEC (tlog-witness): the type tells a conflict of sizes from one of two trees of one size.
	case response.StatusCode == http.StatusConflict && mediaType == sizeType:
		size, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 63)
		if err != nil {
			return nil, errors.New("add checkpoint: conflict without a size")
		}
		return nil, errConflict{size}
	}
	return nil, errStatus{response.StatusCode, response.Status}
}
