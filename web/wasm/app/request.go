package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/internal/qr"
	"github.com/bulla-id/bulla/wallet"
)

// maxRead bounds how many requests are kept that nobody answered; the oldest goes first.
const maxRead = 16

// reading is a request that was read, with the credentials that would answer it.
type reading struct {
	request    *wallet.Request
	candidates []wallet.Candidate
	choice     wallet.Choice
	refusal    error // why it cannot be answered
}

// Shown is a request as a page shows it.
type Shown struct {
	Number    int                 `json:"number"` // to agree or decline by
	Request   *wallet.Explanation `json:"request"`
	CanAnswer bool                `json:"can_answer"`
	WhyNot    *Failure            `json:"why_not,omitempty"`
	AtCounter bool                `json:"at_counter"` // answered by a code that the person shows
	Expires   int64               `json:"expires"`    // seconds since 1970
}

// readRequest reads a verifier's request. Nothing is sent but the fetch.
func (s *session) readRequest(ctx context.Context, language string, p receiving) (any, error) {
	read := s.wallet.Read
	if wallet.IsCounterRequest(p.Link) {
		read = s.wallet.ReadCounter
	}
	request, err := read(ctx, p.Link)
	if err != nil {
		return nil, err
	}
	r := &reading{request: request}
	if r.candidates, err = s.wallet.Candidates(ctx, request); err != nil {
		return nil, err
	}
	if r.choice, r.refusal = request.DefaultChoice(r.candidates); r.refusal == nil {
		go s.app.prepare(request)
	}
	return s.show(s.remember(r), r, language)
}

// remember gives a request its number.
func (s *session) remember(r *reading) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.read[s.last] = r
	delete(s.read, s.last-maxRead)
	return s.last
}

// forget is what follows an answer.
func (s *session) forget(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.read, number)
}

type numbered struct {
	Number int `json:"number"`
}

var errForgotten = errors.New("this request is not open any longer: read it again")

func (s *session) reading(number int) (*reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.read[number]
	if !ok {
		return nil, fmt.Errorf("request %d: %w", number, errForgotten)
	}
	return r, nil
}

// explainAgain is a request that was read, in another language.
func (s *session) explainAgain(_ context.Context, language string, p numbered) (any, error) {
	r, err := s.reading(p.Number)
	if err != nil {
		return nil, err
	}
	return s.show(p.Number, r, language)
}

func (s *session) show(number int, r *reading, language string) (*Shown, error) {
	explanation, err := s.wallet.Explain(r.request, r.candidates, r.choice, language)
	if err != nil {
		return nil, err
	}
	_, counter := r.request.AtCounter()
	shown := &Shown{Number: number, Request: explanation, CanAnswer: r.refusal == nil, AtCounter: counter, Expires: r.request.ExpiresAt().Unix()}
	if r.refusal != nil {
		shown.WhyNot = failureOf(r.refusal, language)
	}
	return shown, nil
}

// Answered is what became of a request.
type Answered struct {
	Event       *wallet.Event `json:"event"`
	RedirectURI string        `json:"redirect_uri,omitempty"`
	Code        *Code         `json:"code,omitempty"` // at a counter: what to show there
	Proving     int64         `json:"proving_ms"`     // how long proving took
}

// Code is a QR code.
type Code struct {
	Text string `json:"text"`
	SVG  string `json:"svg,omitempty"` // empty if the text does not fit into a code
}

func codeOf(text string) *Code {
	code, err := qr.Encode(text)
	if err != nil {
		return &Code{Text: text}
	}
	return &Code{text, string(code.SVG())}
}

// answer proves what the person agreed to.
func (s *session) answer(ctx context.Context, _ string, p numbered) (any, error) {
	r, err := s.reading(p.Number)
	if err != nil {
		return nil, err
	}
	if r.refusal != nil {
		return nil, r.refusal
	}
	if _, counter := r.request.AtCounter(); counter {
		made, err := s.wallet.AnswerCounter(ctx, r.request.Consent(r.choice))
		if err != nil {
			return nil, err
		}
		s.forget(p.Number)
		return &Answered{Event: &made.Event, Code: codeOf(made.Text), Proving: stopwatchOf(ctx).Load()}, nil
	}
	sent, err := s.wallet.Answer(ctx, r.request.Consent(r.choice))
	if err != nil {
		return nil, err
	}
	s.forget(p.Number)
	return &Answered{Event: &sent.Event, RedirectURI: sent.RedirectURI, Proving: stopwatchOf(ctx).Load()}, nil
}

// refuse tells the verifier no, and nothing else.
func (s *session) refuse(ctx context.Context, _ string, p numbered) (any, error) {
	r, err := s.reading(p.Number)
	if err != nil {
		return nil, err
	}
	if _, counter := r.request.AtCounter(); !counter { // a counter hears nothing
		if err := s.wallet.Refuse(ctx, r.request); err != nil {
			return nil, err
		}
	}
	s.forget(p.Number)
	return none{}, nil
}
