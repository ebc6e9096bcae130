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
func (a *App) readRequest(ctx context.Context, language string, p receiving) (any, error) {
	read := a.wallet.Read
	if wallet.IsCounterRequest(p.Link) {
		read = a.wallet.ReadCounter
	}
	request, err := read(ctx, p.Link)
	if err != nil {
		return nil, err
	}
	r := &reading{request: request}
	if r.candidates, err = a.wallet.Candidates(ctx, request); err != nil {
		return nil, err
	}
	if r.choice, r.refusal = request.DefaultChoice(r.candidates); r.refusal == nil {
		go a.prepare(request)
	}
	a.last++
	a.read[a.last] = r
	delete(a.read, a.last-maxRead)
	return a.show(a.last, r, language)
}

type numbered struct {
	Number int `json:"number"`
}

var errForgotten = errors.New("this request is not open any longer: read it again")

func (a *App) reading(number int) (*reading, error) {
	r, ok := a.read[number]
	if !ok {
		return nil, fmt.Errorf("request %d: %w", number, errForgotten)
	}
	return r, nil
}

// explainAgain is a request that was read, in another language.
func (a *App) explainAgain(_ context.Context, language string, p numbered) (any, error) {
	r, err := a.reading(p.Number)
	if err != nil {
		return nil, err
	}
	return a.show(p.Number, r, language)
}

func (a *App) show(number int, r *reading, language string) (*Shown, error) {
	explanation, err := a.wallet.Explain(r.request, r.candidates, r.choice, language)
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
func (a *App) answer(ctx context.Context, _ string, p numbered) (any, error) {
	r, err := a.reading(p.Number)
	if err != nil {
		return nil, err
	}
	if r.refusal != nil {
		return nil, r.refusal
	}
	a.took.Store(0)
	if _, counter := r.request.AtCounter(); counter {
		made, err := a.wallet.AnswerCounter(ctx, r.request.Consent(r.choice))
		if err != nil {
			return nil, err
		}
		delete(a.read, p.Number)
		return &Answered{Event: &made.Event, Code: codeOf(made.Text), Proving: a.took.Load()}, nil
	}
	sent, err := a.wallet.Answer(ctx, r.request.Consent(r.choice))
	if err != nil {
		return nil, err
	}
	delete(a.read, p.Number)
	return &Answered{Event: &sent.Event, RedirectURI: sent.RedirectURI, Proving: a.took.Load()}, nil
}

// refuse tells the verifier no, and nothing else.
func (a *App) refuse(ctx context.Context, _ string, p numbered) (any, error) {
	r, err := a.reading(p.Number)
	if err != nil {
		return nil, err
	}
	if _, counter := r.request.AtCounter(); !counter { // a counter hears nothing
		if err := a.wallet.Refuse(ctx, r.request); err != nil {
			return nil, err
		}
	}
	delete(a.read, p.Number)
	return none{}, nil
}
