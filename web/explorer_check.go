package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/explore"
)

// check is the page that recomputes proofs.
func (p *explorerPage) check() error {
	var byDefault uint64
	if newest, _, err := p.x.chain.List(explore.Work, p.Head.Checked, 1); err == nil && len(newest) == 1 {
		byDefault = newest[0].Index
	}
	index, err := p.number("entry", byDefault)
	if err != nil {
		return err
	}
	p.name, p.Title, p.Here = "explore-check", p.T("check.title"), "check"
	p.Data = struct {
		Index     uint64
		LogKey    string
		Cosigners string
		Threshold int
	}{index, p.Head.Policy.LogKey, strings.Join(p.Head.Policy.Cosigners, " "), p.Head.Policy.Threshold}
	return nil
}

func (x *Explorer) checkpoint(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	text := x.chain.Head().Checkpoint
	if text == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}

// proofAnswer is what the checker gets. It believes none of it.
type proofAnswer struct {
	Entry string              `json:"entry,omitempty"` // the entry's bytes, which are UTF-8
	Proof []credential.Digest `json:"proof"`
}

func (x *Explorer) inclusion(w http.ResponseWriter, r *http.Request) {
	x.proof(w, r, "index", func(index, size uint64) (a proofAnswer, err error) {
		if a.Proof, err = x.chain.Inclusion(index, size); err != nil {
			return a, err
		}
		e, err := x.chain.Entry(index)
		if err == nil {
			a.Entry = string(e.Entry.Bytes())
		}
		return a, err
	})
}

func (x *Explorer) consistency(w http.ResponseWriter, r *http.Request) {
	x.proof(w, r, "old", func(old, size uint64) (a proofAnswer, err error) {
		a.Proof, err = x.chain.Consistency(old, size)
		return a, err
	})
}

func (x *Explorer) proof(w http.ResponseWriter, r *http.Request, name string, prove func(a, size uint64) (proofAnswer, error)) {
	protect(w.Header())
	query := r.URL.Query()
	first, err := parseNumber(query.Get(name))
	size, sizeErr := parseNumber(query.Get("size"))
	var answer proofAnswer
	if err = errors.Join(err, sizeErr); err == nil {
		answer, err = prove(first, size)
	}
	var body []byte
	if err == nil {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		x.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
