package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// errNoTerminal is returned where a person should be asked and there is none to ask.
var errNoTerminal = errors.New("there is no terminal to ask at")

// terminalOf is the file descriptor of the terminal that a command reads from.
func terminalOf(cmd *cobra.Command) (int, error) {
	file, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, errNoTerminal
	}
	return int(file.Fd()), nil
}

// interruptible runs what waits for a person, who may press Ctrl-C instead: then the terminal is as it was before, and
// the goroutine that still reads ends with the process.
func interruptible(ctx context.Context, terminal int, read func() (string, error)) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type line struct {
		text string
		err  error
	}
	answered := make(chan line, 1)
	go func() {
		text, err := read()
		answered <- line{text, err}
	}()
	select {
	case l := <-answered:
		return l.text, l.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted"), term.Restore(terminal, before))
	}
}

// askSecret asks for a passphrase without echo. variable is the environment variable that would have answered.
func askSecret(cmd *cobra.Command, prompt, variable string) (string, error) {
	terminal, err := terminalOf(cmd)
	if err != nil {
		return "", fmt.Errorf("%w: put the passphrase into the environment variable %s", err, variable)
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	defer fmt.Fprintln(cmd.ErrOrStderr())
	return interruptible(cmd.Context(), terminal, func() (string, error) {
		secret, err := term.ReadPassword(terminal)
		return string(secret), err
	})
}

// secret is a passphrase from the environment, or from a person.
func secret(cmd *cobra.Command, prompt, variable string) (string, error) {
	if passphrase := os.Getenv(variable); passphrase != "" {
		return passphrase, nil
	}
	return askSecret(cmd, prompt, variable)
}

// newSecret is a passphrase that is set now: a person types it twice.
func newSecret(cmd *cobra.Command, w *words, prompt, variable string) (string, error) {
	if passphrase := os.Getenv(variable); passphrase != "" {
		return passphrase, nil
	}
	first, err := askSecret(cmd, prompt, variable)
	if err != nil {
		return "", err
	}
	second, err := askSecret(cmd, w.again, variable)
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New(w.different)
	}
	return first, nil
}

// maxAnswer bounds a typed answer, in bytes.
const maxAnswer = 1000

// typedYes asks a question at the terminal and tells whether the answer was yes, in full.
func typedYes(cmd *cobra.Command, w *words, question string) (bool, error) {
	terminal, err := terminalOf(cmd)
	if err != nil {
		return false, err
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	answer, err := interruptible(cmd.Context(), terminal, func() (string, error) {
		return bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxAnswer)).ReadString('\n')
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return w.agrees(answer), nil
}

// agrees tells whether what was typed is a yes. Half a word is none.
func (w *words) agrees(answer string) bool {
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "yes" || answer == w.yes
}

// defaultLanguage is the language of the environment, as far as we have it.
func defaultLanguage() string {
	for _, variable := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(variable); value != "" {
			if strings.HasPrefix(value, "zh") {
				return "zh-CN"
			}
			return "en"
		}
	}
	return "en"
}
