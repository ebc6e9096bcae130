//go:build js

package main

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
)

// helpers are workers of this worker that have a circuit's proving key. worker.js starts and ends them; a promise of its own ends in any
// case.
type helpers struct {
	host    js.Value
	circuit string
}

// Count implements [proving.Helpers].
func (h helpers) Count() int { return h.host.Call("helpers", h.circuit).Int() }

// Start implements [proving.Helpers].
func (h helpers) Start(helper int, request []byte) (wait func() ([]byte, error)) {
	answer := h.host.Call("compute", helper, h.circuit, bytesTo(request))
	return func() ([]byte, error) {
		value, err := await(context.Background(), answer)
		if err != nil {
			return nil, err
		}
		return bytesOf(value), nil
	}
}

// help is what the program does in a helper: it makes bullaLoad(circuit, digest, file), and bullaCompute(circuit, request), whose value
// is the answer. Each gives a text if it fails.
func help(host js.Value) error {
	known := make(map[string]*proving.Helper)
	js.Global().Set("bullaLoad", js.FuncOf(func(_ js.Value, args []js.Value) any {
		helper, err := load(args[0].String(), args[1].String(), bytesOf(args[2]))
		if err != nil {
			return err.Error()
		}
		known[args[0].String()] = helper
		return js.Null()
	}))
	js.Global().Set("bullaCompute", js.FuncOf(func(_ js.Value, args []js.Value) any {
		helper, ok := known[args[0].String()]
		if !ok {
			return errNoKey.Error()
		}
		answer, err := helper.Compute(bytesOf(args[1]))
		if err != nil {
			return err.Error()
		}
		return bytesTo(answer)
	}))
	host.Call("ready")
	return nil
}

var errNoKey = errors.New("the helper has no key of that circuit")

func load(circuit, digest string, file []byte) (*proving.Helper, error) {
	known, err := circuits.Named(circuit)
	if err != nil {
		return nil, err
	}
	var d credential.Digest
	if err := d.UnmarshalText([]byte(digest)); err != nil {
		return nil, err
	}
	key, err := keys.ParseProvingKey(file, known, d)
	if err != nil {
		return nil, err
	}
	return proving.NewHelper(key), nil
}
