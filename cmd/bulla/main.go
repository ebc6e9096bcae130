// Bulla is zero-knowledge credentials for public offices: agencies issue, a public chain keeps the commitments, citizens
// prove facts, relying parties verify. This one program runs any role, or all of them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// run executes one command and returns its exit code: 0 if it did what was asked.
func run(ctx context.Context, args []string, c console) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(c.err, "bulla:", printable(err.Error()))
		return 1
	}
	return 0
}

// printable takes out of a text, which may quote what a server said, all that would steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "bulla",
		Short: "Zero-knowledge credentials for public offices",
		Long: `Agencies issue credentials and put their commitments onto an append-only chain that anyone can check.
Citizens prove facts about them without showing them. Relying parties verify.

Every command that prints for people prints JSON with --json.`,
		Example: `  bulla demo                  the whole story in under a minute
  bulla serve --dev           all roles on loopback, with development keys
  bulla wallet --help         what a citizen does`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().Bool("json", false, "print JSON")
	root.AddCommand(serveCommand(), demoCommand(), issuerCommand(), walletCommand(), verifierCommand(), ledgerCommand(), keyCommand(), setupCommand(), benchCommand(), doctorCommand())
	return root
}

// asJSON tells whether --json was given.
func asJSON(cmd *cobra.Command) bool {
	yes, err := cmd.Flags().GetBool("json")
	return err == nil && yes
}
