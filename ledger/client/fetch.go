package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"
	"unicode"
)

const (
	maxRedirects = 3
	maxProblem   = 16 << 10 // bytes
	maxPlain     = 200      // characters
	// maxGzipHeader is what gzip may add to an incompressible body, generously.
	maxGzipHeader = 64 << 10
)

// Problem is an answer other than success: an RFC 9457 problem, or only a status if the host sent nothing better.
// errors.Is compares the codes of problems: errors.Is(err, client.ErrSequence).
type Problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"` // the ledger's own word, as in sequence; empty if the host sent none
	Title    string `json:"title"`
	Detail   string `json:"detail"`
	Expected uint64 `json:"expected"` // with ErrSequence: the signer's next number
}

// The problems that issuers branch on. Others are told apart by [Problem.Code]; doc/spec/ledger.md lists them.
var (
	ErrSequence      = &Problem{Code: "sequence"}         // not the signer's next number
	ErrAuthority     = &Problem{Code: "authority"}        // the chain does not know signer or key
	ErrSuspended     = &Problem{Code: "issuer-suspended"} // governance stopped the signer's entries
	ErrConflict      = &Problem{Code: "conflict"}         // there already, or not in the state that the entry changes
	ErrQuota         = &Problem{Code: "quota"}            // governance allows no more credentials
	ErrDuplicateLeaf = &Problem{Code: "duplicate-leaf"}   // a leaf enters once, ever
	ErrRevoked       = &Problem{Code: "revoked"}          // revoked is final
	ErrNotKept       = &Problem{Code: "not-kept"}         // a version of the active tree that is no longer kept, or never was
)

// Is compares codes with one of the problems above.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Status == 0 && t.Code == p.Code
}

func (p *Problem) Error() string {
	text := fmt.Sprintf("ledger answered %d", p.Status)
	for _, part := range []string{p.Code, p.Title, p.Detail} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

func isMissing(err error) bool {
	var p *Problem
	return errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusGone)
}

// fetcher asks one host, within limits. Whoever answers can refuse or lie; callers check what they get.
type fetcher struct {
	base   *url.URL
	client *http.Client
	limits Limits
}

func newFetcher(base string, transport *http.Client, limits Limits) (*fetcher, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("ledger URL %q is not an absolute URL without query", base)
	}
	client := &http.Client{}
	if transport != nil {
		*client = *transport
	}
	client.Jar = nil
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || r.URL.Host != u.Host || r.URL.Scheme != u.Scheme {
			return fmt.Errorf("redirect to %s://%s is not followed", r.URL.Scheme, r.URL.Host)
		}
		return nil
	}
	return &fetcher{base: u, client: client, limits: limits}, nil
}

// get fetches a path of at most limit bytes. wait is added to the time limit, for long polls.
func (f *fetcher) get(ctx context.Context, path string, limit int, wait time.Duration) ([]byte, error) {
	return f.do(ctx, http.MethodGet, path, nil, limit, wait)
}

// post sends a body and takes what 200 or 202 brings.
func (f *fetcher) post(ctx context.Context, path string, body []byte, limit int) ([]byte, error) {
	return f.do(ctx, http.MethodPost, path, body, limit, 0)
}

func (f *fetcher) do(ctx context.Context, method, path string, body []byte, limit int, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.limits.Request+wait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, f.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Accept-Encoding", "gzip") // ours to decode, so that the limit counts what comes out
	if body != nil {
		request.Header.Set("Content-Type", "application/jose+json")
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	if s := response.StatusCode; s != http.StatusOK && (s != http.StatusAccepted || method != http.MethodPost) {
		return nil, fmt.Errorf("%s %s: %w", method, path, readProblem(response))
	}
	data, err := readBody(response, limit)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return data, nil
}

// readBody reads a body of at most limit bytes, decoded.
func readBody(response *http.Response, limit int) ([]byte, error) {
	// Browsers decode before we see the body and may leave the header.
	encoding := response.Header.Get("Content-Encoding")
	if encoding == "" || encoding == "identity" || runtime.GOOS == "js" {
		return readBounded(response.Body, limit)
	}
	if encoding != "gzip" {
		return nil, fmt.Errorf("content encoding %.40q was not asked for", encoding)
	}
	z, err := gzip.NewReader(io.LimitReader(response.Body, int64(limit)+maxGzipHeader))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w: %w", ErrTampered, err)
	}
	return readBounded(z, limit)
}

func readBounded(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("answer is larger than %d bytes: %w", limit, ErrTampered)
	}
	return data, nil
}

// readProblem reads what a host says of a refusal. It ends up in errors, in logs and on terminals.
func readProblem(response *http.Response) *Problem {
	p := &Problem{}
	if data, err := readBounded(response.Body, maxProblem); err == nil && json.Unmarshal(data, p) != nil {
		p = &Problem{}
	}
	p.Status = response.StatusCode
	p.Code, p.Title, p.Detail = plain(p.Code), plain(p.Title), plain(p.Detail)
	return p
}

// plain keeps what a stranger may put into our errors: the beginning of a text, without control characters.
func plain(s string) string {
	if runes := []rune(s); len(runes) > maxPlain {
		s = string(runes[:maxPlain]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
