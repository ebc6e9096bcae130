package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/bulla-id/bulla/internal/webapi"
)

// maxAnswer bounds an answer of the admin API, in bytes.
const maxAnswer = 8 << 20

// Problem is a refusal of the admin API, or of the console itself: an RFC 9457 problem with the members of the issuer's.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"` // in English
	Claim  string `json:"claim"`
	Ledger string `json:"ledger"`
}

// Error is for logs.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// api is the admin API of the agency, asked in this process: for whole answers, or for those that are read as they come.
type api struct {
	whole, streams *http.Client
	base           string
}

func newAPI(handler http.Handler, path string) api {
	return api{
		&http.Client{Transport: webapi.Within{Handler: handler}}, &http.Client{Transport: webapi.StreamWithin{Handler: handler}},
		"http://agency.invalid" + path,
	}
}

// option is a header of a request to the API.
type option struct{ name, value string }

// once names a request, so that a form sent twice is carried out once.
func (v *visit) once() option {
	return option{"Idempotency-Key", `"` + v.r.PostFormValue("once") + `"`}
}

// version says which version of a thing the officer has read.
func (v *visit) version() option { return option{"If-Match", `"` + v.r.PostFormValue("version") + `"`} }

// call asks the API for the officer. in goes out as JSON unless nil, the answer is decoded into out unless nil. A refusal comes back as a
// [*Problem].
func (v *visit) call(method, path string, in, out any, options ...option) error {
	body := io.Reader(http.NoBody)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body, options = bytes.NewReader(text), append(options, option{"Content-Type", "application/json"})
	}
	response, err := v.ask(v.c.api.whole, method, path, body, options...)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return decode(response, out)
}

// stream asks the API for an answer that is read as it comes, while body is sent. The caller closes it.
func (v *visit) stream(method, path string, body io.Reader) (io.ReadCloser, error) {
	response, err := v.ask(v.c.api.streams, method, path, body, option{"Content-Type", "application/octet-stream"})
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response.Body, nil
	}
	defer response.Body.Close()
	return nil, decode(response, nil)
}

func (v *visit) ask(client *http.Client, method, path string, body io.Reader, options ...option) (*http.Response, error) {
	token, err := v.c.cfg.Gate.Token(v.r.Context(), v.session)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	request, err := http.NewRequestWithContext(v.r.Context(), method, v.c.api.base+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for _, o := range options {
		request.Header.Set(o.name, o.value)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	return response, nil
}

func decode(response *http.Response, out any) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("admin API: %w", err)
	}
	if response.StatusCode >= 300 {
		problem := &Problem{Code: "internal"}
		if json.Unmarshal(text, problem) != nil {
			problem = &Problem{Code: "internal"}
		}
		problem.Status = response.StatusCode
		return problem
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("admin API: the answer is not what was expected: %w", err)
	}
	return nil
}
