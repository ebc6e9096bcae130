package openid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/base45"
)

// CounterAnswerPrefix begins the text of an answer. Like all of the text, it is of the alphanumeric mode of QR codes.
const CounterAnswerPrefix = "BULLA-ANSWER:"

const counterAnswerVersion = 1

// What follows proof and item of a presentation.
const (
	withPseudonym  = 1 << 0
	withSubjectTag = 1 << 1
	withDisclosed  = 1 << 2
)

// CounterAnswer is what a wallet shows to a counter: what the counter cannot compute, packed for one QR code.
type CounterAnswer struct {
	Nonce         string // of the request
	N, Link, Root credential.Element
	Presentations []CounterPresentation // in the order of the queries
}

// CounterPresentation is one of them.
type CounterPresentation struct {
	Proof                       [ProofSize]byte
	Item, Pseudonym, SubjectTag credential.Element
	Disclosed                   credential.Claims
}

// PackCounterAnswer takes a response apart that was made for a counter: one root, one n, one link.
func PackCounterAnswer(nonce string, queries []CredentialQuery, token VPToken) (*CounterAnswer, error) {
	a := &CounterAnswer{Nonce: nonce}
	for i, q := range queries {
		if len(token[q.ID]) != 1 {
			return nil, fmt.Errorf("query %q has %d presentations, want 1", q.ID, len(token[q.ID]))
		}
		p := token[q.ID][0]
		if i == 0 {
			a.N, a.Link, a.Root = p.N, p.Link, p.Root
		}
		if p.N != a.N || p.Link != a.Link || p.Root != a.Root {
			return nil, errors.New("presentations of one answer differ in n, link or root")
		}
		proof, err := credential.ParseBase64(p.Proof, ProofSize)
		if err != nil {
			return nil, fmt.Errorf("query %q: proof: %w", q.ID, err)
		}
		a.Presentations = append(a.Presentations, CounterPresentation{[ProofSize]byte(proof), p.Item, p.Pseudonym, p.SubjectTag, p.Disclosed})
	}
	return a, nil
}

// Token is the response in the form that it has over a network. The queries are those of the counter's own request.
func (a *CounterAnswer) Token(queries []CredentialQuery) (VPToken, error) {
	if len(queries) != len(a.Presentations) {
		return nil, fmt.Errorf("%d presentations for %d queries", len(a.Presentations), len(queries))
	}
	token := VPToken{}
	for i, q := range queries {
		p := a.Presentations[i]
		token[q.ID] = []Presentation{{
			System: counterSystem, Proof: EncodeBytes(p.Proof[:]), Root: a.Root, N: a.N, Link: a.Link, Item: p.Item,
			Pseudonym: p.Pseudonym, SubjectTag: p.SubjectTag, Disclosed: p.Disclosed,
		}}
	}
	return token, nil
}

// Text is what stands in the QR code. An answer that does not fit into one is an error.
func (a *CounterAnswer) Text() (string, error) {
	nonce, err := credential.ParseBase64(a.Nonce, counterNonceSize)
	if err != nil {
		return "", fmt.Errorf("nonce: %w", err)
	}
	if !a.N.Fits31() {
		return "", errors.New("n does not fit 31 bytes")
	}
	data := append([]byte{counterAnswerVersion}, nonce...)
	n := a.N.Bytes()
	data = append(data, n[1:]...)
	data = appendElement(data, a.Link)
	data = appendElement(data, a.Root)
	data = append(data, byte(len(a.Presentations)))
	for i := range a.Presentations {
		if data, err = a.Presentations[i].append(data); err != nil {
			return "", err
		}
	}
	text := CounterAnswerPrefix + base45.Encode(data)
	if len(text) > base45.MaxText {
		return "", fmt.Errorf("the answer has %d characters, %d fit into one QR code", len(text), base45.MaxText)
	}
	return text, nil
}

func appendElement(data []byte, e credential.Element) []byte {
	b := e.Bytes()
	return append(data, b[:]...)
}

func (p *CounterPresentation) append(data []byte) ([]byte, error) {
	data = append(data, p.Proof[:]...)
	data = appendElement(data, p.Item)
	flags := len(data)
	data = append(data, 0)
	if !p.Pseudonym.IsZero() {
		data[flags] |= withPseudonym
		data = appendElement(data, p.Pseudonym)
	}
	if !p.SubjectTag.IsZero() {
		data[flags] |= withSubjectTag
		data = appendElement(data, p.SubjectTag)
	}
	if len(p.Disclosed) == 0 {
		return data, nil
	}
	text, err := credential.Canonical(p.Disclosed)
	if err != nil {
		return nil, fmt.Errorf("disclosed values: %w", err)
	}
	if len(text) > base45.MaxText {
		return nil, errors.New("the disclosed values do not fit into one QR code")
	}
	data[flags] |= withDisclosed
	data = binary.BigEndian.AppendUint16(data, uint16(len(text)))
	return append(data, text...), nil
}

// ParseCounterAnswer reads the text of a QR code, in its one spelling. White space around it is the scanner's.
func ParseCounterAnswer(text string) (*CounterAnswer, error) {
	text = strings.Trim(text, "\r\n")
	if len(text) > len(CounterAnswerPrefix)+base45.MaxText {
		return nil, fmt.Errorf("answer of %d characters, %d fit into one QR code", len(text), base45.MaxText)
	}
	encoded, ok := strings.CutPrefix(text, CounterAnswerPrefix)
	if !ok {
		return nil, fmt.Errorf("answer does not start with %s", CounterAnswerPrefix)
	}
	data, err := base45.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	r := &answerReader{rest: data}
	a := r.answer()
	if r.err != nil {
		return nil, fmt.Errorf("answer: %w", r.err)
	}
	return a, nil
}

// answerReader takes an answer apart; after an error it gives zeros.
type answerReader struct {
	rest []byte
	err  error
}

func (r *answerReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *answerReader) take(size int) []byte {
	if len(r.rest) < size {
		r.fail("it ends too early")
		return make([]byte, size)
	}
	out := r.rest[:size]
	r.rest = r.rest[size:]
	return out
}

func (r *answerReader) element() credential.Element {
	e, err := credential.ParseElement(r.take(credential.ElementSize))
	if err != nil {
		r.fail("%w", err)
	}
	return e
}

// tag is an element that is not 0: 0 is written by leaving it out.
func (r *answerReader) tag() credential.Element {
	e := r.element()
	if e.IsZero() {
		r.fail("a tag that is there is 0: %w", credential.ErrNotCanonical)
	}
	return e
}

func (r *answerReader) answer() *CounterAnswer {
	a := new(CounterAnswer)
	if version := r.take(1)[0]; version != counterAnswerVersion && r.err == nil {
		r.fail("version %d, this program reads %d", version, counterAnswerVersion)
	}
	a.Nonce = EncodeBytes(r.take(counterNonceSize))
	a.N = credential.ElementFrom31([31]byte(r.take(31)))
	a.Link, a.Root = r.element(), r.element()
	count := int(r.take(1)[0])
	if count == 0 || count > policy.MaxQueries {
		r.fail("%d presentations, want 1 to %d", count, policy.MaxQueries)
	}
	for i := 0; i < count && r.err == nil; i++ {
		a.Presentations = append(a.Presentations, r.presentation())
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes follow its end", len(r.rest))
	}
	return a
}

func (r *answerReader) presentation() CounterPresentation {
	p := CounterPresentation{Proof: [ProofSize]byte(r.take(ProofSize)), Item: r.element()}
	flags := r.take(1)[0]
	if flags&^(withPseudonym|withSubjectTag|withDisclosed) != 0 {
		r.fail("flags %#x are not known", flags)
	}
	if flags&withPseudonym != 0 {
		p.Pseudonym = r.tag()
	}
	if flags&withSubjectTag != 0 {
		p.SubjectTag = r.tag()
	}
	if flags&withDisclosed != 0 {
		text := r.take(int(binary.BigEndian.Uint16(r.take(2))))
		if r.err != nil {
			return p
		}
		if err := credential.ParseCanonical(text, &p.Disclosed); err != nil {
			r.fail("disclosed values: %w", err)
		} else if len(p.Disclosed) == 0 {
			r.fail("no values are disclosed, and that is written: %w", credential.ErrNotCanonical)
		}
	}
	return p
}
