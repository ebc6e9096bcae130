// Witness is somebody else on the other side of C2SP tlog-witness: a witness that our log asks for cosignatures, or a
// submitter that asks our cosigner. Our tests start it and talk to it: ledger/witness_test.go, ledger/cosign/judge_test.go.
//
//	witness reference LOGKEY          the reference witness (transparency-dev/witness)
//	witness litewitness LOGKEY        torchwood's, the program beside this one
//	witness submit URL LOGKEY KEY     the reference witness' client: a JSON request a line, a JSON answer a line
//
// LOGKEY is the verifier key of the log, KEY the cosigner's. A witness prints its URL and its verifier key, and serves
// until its input ends.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "reference":
		return reference(args[1])
	case len(args) == 2 && args[0] == "litewitness":
		return litewitness(args[1])
	case len(args) == 4 && args[0] == "submit":
		return submit(args[1], args[2], args[3])
	}
	return errors.New("see the comment of main.go")
}

// serving says where the witness is, and waits for the end of the input.
func serving(url, key string) error {
	fmt.Println(url, key)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
