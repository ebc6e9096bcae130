package wallet

import (
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

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
)

// Limits of what strangers may send, in bytes, and of how long they may take.
const (
	maxMetadata   = 512 << 10
	maxSmall      = 64 << 10
	maxCredential = 512 << 10
	quickTimeout  = 30 * time.Second
	slowTimeout   = 3 * time.Minute // an issuer answers only once the chain has sealed the credential
)

// fetcher talks to issuers and verifiers: over https, or http on loopback; without redirects, which could lead a code or
// a response to somebody else; without cookies, which would link visits; within size and time.
type fetcher struct{ client *http.Client }

var errRedirect = errors.New("redirects are not followed")

func newFetcher(transport *http.Client) *fetcher {
	client := &http.Client{}
	if transport != nil {
		*client = *transport
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errRedirect }
	return &fetcher{client}
}

// parseAddress reads an address that a wallet may talk to.
func parseAddress(text string) (*url.URL, error) {
	u, err := openid.ParseAddress(text)
	if err != nil {
		return nil, refuse(CodeAddress, err, "address")
	}
	return u, nil
}

// sameOrigin tells whether scheme, host and port agree.
func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// call is one request to a stranger.
type call struct {
	method, address     string
	contentType, accept string
	token               string       // access token
	prover              *dpop.Prover // of the key that the token is bound to, or is to be; nil: a bearer token
	body                string
	limit               int
	timeout             time.Duration // 0: quickTimeout
}

// answer is what came back, of any status.
type answer struct {
	status int
	body   []byte
}

func (f *fetcher) do(ctx context.Context, c call) (answer, error) {
	if _, err := parseAddress(c.address); err != nil {
		return answer{}, err
	}
	timeout := c.timeout
	if timeout == 0 {
		timeout = quickTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.method, c.address, strings.NewReader(c.body))
	if err != nil {
		return answer{}, refuse(CodeAddress, err, "%s %.200q", c.method, c.address)
	}
	for name, value := range map[string]string{"Content-Type": c.contentType, "Accept": c.accept, "Accept-Encoding": "identity"} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := f.send(request, c)
	switch {
	case errors.Is(err, errRedirect):
		return answer{}, refuse(CodeAddress, errRedirect, "%s %s", c.method, c.address)
	case err != nil:
		return answer{}, refuse(CodeNetwork, err, "%s %s", c.method, c.address)
	}
	defer response.Body.Close()
	// Browsers decode before we see the body and may leave the header.
	if e := response.Header.Get("Content-Encoding"); e != "" && e != "identity" && runtime.GOOS != "js" {
		return answer{}, refuse(CodeAnswer, nil, "%s %s: content encoding %.20q was not asked for", c.method, c.address, e)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.limit)+1))
	if err != nil {
		return answer{}, refuse(CodeNetwork, err, "%s %s", c.method, c.address)
	}
	if len(body) > c.limit {
		return answer{}, refuse(CodeAnswer, nil, "%s %s: the answer is larger than %d bytes", c.method, c.address, c.limit)
	}
	return answer{response.StatusCode, body}, nil
}

func (f *fetcher) send(request *http.Request, c call) (*http.Response, error) {
	if c.prover != nil {
		return c.prover.Do(f.client, request, c.token)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return f.client.Do(request)
}

// fetch is do for calls that must succeed with status 200.
func (f *fetcher) fetch(ctx context.Context, c call) ([]byte, error) {
	a, err := f.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, a.refusal(c.method + " " + c.address)
	}
	return a.body, nil
}

// refusal reads how the other side said no: an OAuth error or an RFC 9457 problem.
func (a answer) refusal(what string) error {
	var oauth openid.Error
	_ = json.Unmarshal(a.body, &oauth)
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(a.body, &problem)
	remote := plain(oauth.Code)
	if remote == "" {
		remote = plain(problem.Code)
	}
	detail := fmt.Sprintf("%s: status %d", what, a.status)
	if d := plain(oauth.Description); d != "" {
		detail += ": " + d
	}
	return &Refusal{Code: CodeRemote, Detail: detail, Remote: remote}
}

// plain keeps what a stranger may put into our errors: a short line of printable ASCII.
func plain(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s)
}
