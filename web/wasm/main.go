//go:build js

// Command wasm is the wallet in a worker of the browser: worker.js loads it, gives it its configuration and what only a browser can do
// (keep the vault's bytes, fetch keys), and hands calls through. It is built by web/wasm/build.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall/js"

	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/web/wasm/app"
)

// config is what worker.js gives us, as JSON.
type config struct {
	Profile    client.Profile `json:"profile"`
	Keys       []app.Key      `json:"keys"`
	WorkFactor int            `json:"work_factor"`
}

func main() {
	host := js.Global().Get("bullaHost")
	do := run
	if host.Get("helper").Truthy() {
		do = help
	}
	if err := do(host); err != nil {
		host.Call("failed", err.Error())
		return
	}
	select {} // calls come until the worker is ended
}

// run makes bullaCall(id, method, language, params) of the worker, a promise of JSON: {"result": …} or {"failed": {code, text}}. What it tells
// of its progress has the id.
func run(host js.Value) error {
	var cfg config
	if err := json.Unmarshal([]byte(host.Get("config").String()), &cfg); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	wallets := app.New(app.Config{
		Profile: cfg.Profile, Keys: cfg.Keys, WorkFactor: cfg.WorkFactor, Storage: storage{host},
		Fetch: func(ctx context.Context, key app.Key, fresh bool) ([]byte, error) {
			value, err := await(ctx, host.Call("fetchKey", key.File.String(), fresh))
			if err != nil {
				return nil, err
			}
			return bytesOf(value), nil
		},
		Help: func(key app.Key, file []byte) proving.Helpers {
			host.Call("help", key.Circuit, key.File.String(), bytesTo(file))
			return helpers{host, key.Circuit}
		},
	})
	js.Global().Set("bullaCall", js.FuncOf(func(_ js.Value, args []js.Value) any {
		id, method, language, params := args[0].Int(), args[1].String(), args[2].String(), []byte(args[3].String())
		ctx := wallet.WithProgress(context.Background(), func(stage wallet.Stage, done, total int) { host.Call("tell", id, string(stage), done, total) })
		return promise(func() string {
			result, failed := wallets.Call(ctx, method, language, params)
			answer, err := json.Marshal(struct {
				Result json.RawMessage `json:"result,omitempty"`
				Failed *app.Failure    `json:"failed,omitempty"`
			}{result, failed})
			if err != nil {
				return `{"failed":{"code":"other","text":""}}`
			}
			return string(answer)
		})
	}))
	host.Call("ready")
	return nil
}

// promise runs do beside the event loop, which must never wait.
func promise(do func() string) js.Value {
	executor := js.FuncOf(func(_ js.Value, args []js.Value) any {
		resolve := args[0]
		go func() { resolve.Invoke(do()) }()
		return nil
	})
	defer executor.Release()
	return js.Global().Get("Promise").New(executor)
}

// await waits for a promise.
func await(ctx context.Context, p js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	done := make(chan outcome, 1)
	settle := func(err error) js.Func {
		return js.FuncOf(func(_ js.Value, args []js.Value) any {
			o := outcome{err: err}
			if len(args) > 0 {
				o.value = args[0]
			}
			if err != nil && o.value.Type() == js.TypeObject {
				o.err = fmt.Errorf("%w: %s", err, o.value.Get("message").String())
			}
			done <- o
			return nil
		})
	}
	good, bad := settle(nil), settle(errHost)
	defer good.Release()
	defer bad.Release()
	p.Call("then", good, bad)
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		<-done // the functions must stay until it is settled
		return js.Undefined(), ctx.Err()
	}
}

var errHost = errors.New("the browser refused")

// bytesOf copies a Uint8Array.
func bytesOf(v js.Value) []byte {
	if v.IsNull() || v.IsUndefined() {
		return nil
	}
	data := make([]byte, v.Get("length").Int())
	js.CopyBytesToGo(data, v)
	return data
}

func bytesTo(data []byte) js.Value {
	if data == nil {
		return js.Null()
	}
	v := js.Global().Get("Uint8Array").New(len(data))
	js.CopyBytesToJS(v, data)
	return v
}

// storage keeps the vault's encrypted bytes in IndexedDB. worker.js compares and replaces in one transaction, so that two tabs do
// not overwrite each other.
type storage struct{ host js.Value }

// Load implements [wallet.Storage].
func (s storage) Load() ([]byte, error) {
	value, err := await(context.Background(), s.host.Call("load"))
	if err != nil {
		return nil, err
	}
	data := bytesOf(value)
	if len(data) > wallet.MaxVault {
		return nil, fmt.Errorf("vault of %d bytes, at most %d", len(data), wallet.MaxVault)
	}
	return data, nil
}

// Save implements [wallet.Storage].
func (s storage) Save(old, data []byte) error {
	saved, err := await(context.Background(), s.host.Call("save", bytesTo(old), bytesTo(data)))
	if err != nil {
		return err
	}
	if !saved.Bool() {
		return wallet.ErrConflict
	}
	return nil
}
