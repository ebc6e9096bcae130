//go:build js

// Command scan reads QR codes in a worker of the browser that has nothing of the wallet: worker.js loads it when a person wants to scan, and
// gives it pictures. It is built by web/wasm/build.
package main

import (
	"syscall/js"

	"github.com/bulla-id/bulla/internal/qr/scan"
)

// main makes bullaScan(rgba, width, height) of the worker: what the code in a picture says, or null.
func main() {
	js.Global().Set("bullaScan", js.FuncOf(func(_ js.Value, args []js.Value) any {
		rgba := make([]byte, args[0].Get("length").Int())
		js.CopyBytesToGo(rgba, args[0])
		text, err := scan.Text(rgba, args[1].Int(), args[2].Int())
		if err != nil {
			return nil
		}
		return text
	}))
	js.Global().Get("bullaHost").Call("ready")
	select {} // pictures come until the worker is ended
}
