package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what an API may answer, in bytes.
const maxAnswer = 8 << 20

var apiClient = &http.Client{
	Timeout:       90 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("APIs do not redirect") },
}

// Call asks an API: body, unless nil, goes out as JSON, the answer is decoded into answer, unless nil. A refusal comes
// back as a [*Problem].
func Call(ctx context.Context, method, url, token string, body, answer any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("call %s: %w", url, err)
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, payload)
	if err != nil {
		return fmt.Errorf("call %s: %w", url, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := apiClient.Do(request)
	if err != nil {
		return fmt.Errorf("call: %w", err) // names method and URL
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("call %s: %w", url, err)
	}
	if response.StatusCode >= 300 {
		return refusal(url, response, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("call %s: the answer is not what was expected: %w", url, err)
	}
	return nil
}

// refusal is what an API said with another status.
func refusal(url string, response *http.Response, text []byte) error {
	problem := Problem{Status: response.StatusCode, Code: "http", Detail: response.Status}
	if json.Unmarshal(text, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("call %s: answered %s", url, response.Status)
	}
	return &problem
}

// CallStream posts bytes to an API that answers while it reads, for as long as ctx lasts. The caller closes the answer.
func CallStream(ctx context.Context, url, token string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{CheckRedirect: apiClient.CheckRedirect}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err) // names method and URL
	}
	if response.StatusCode < 300 {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	return nil, refusal(url, response, text)
}
