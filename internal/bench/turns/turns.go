// Package turns measures programs beside each other: all stay running and take turns, round by round, so that whatever
// else the machine does hits all alike. One that cannot be had is named aloud, and the others go on. Start and the first
// round are not counted.
package turns

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/internal/bench"
)

// patience ends peers that do not answer, or a registry that does not.
const patience = time.Hour

// Contestant takes turns with others. R is what it did in one.
type Contestant[R any] interface {
	Turn(ctx context.Context) (R, error)
	Close()
}

// Line is a line of the table.
type Line[R any] struct {
	Name, Unit, Does string
	Start            func(context.Context) (Contestant[R], error)
	Turns            []R // those that count

	contestant Contestant[R]
}

// Table is who takes part, and how it is printed.
type Table[R any] struct {
	Command string                              // its name, for people
	Folder  string                              // of its package, from the root of the repository
	Rounds  int                                 // if nobody says how many
	Round   string                              // what each does in a round, for people
	Settle  time.Duration                       // after each turn, for what still goes on in the background
	List    func(folder, dir string) []*Line[R] // dir is removed at the end
	Print   func(out io.Writer, lines []*Line[R]) error
}

// Main is the main function of a command that prints a table.
func Main[R any](t Table[R]) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := t.run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", t.Command, err)
		os.Exit(1)
	}
}

func (t Table[R]) run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(filepath.Base(t.Folder), flag.ContinueOnError)
	folder := flags.String("folder", t.Folder, "this package's folder")
	n := flags.Int("n", t.Rounds, "rounds; "+t.Round)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *n < 1 {
		return errors.New("at least one round")
	}
	dir, err := os.MkdirTemp("", "bulla-"+t.Command+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lines := Start(ctx, t.List(*folder, dir))
	for _, l := range lines {
		defer l.contestant.Close()
	}
	before := bench.Load()
	if err := Take(ctx, lines, *n, t.Settle); err != nil {
		return err
	}
	fmt.Printf("%s\n%s before, %s after; %d rounds, medians, least … greatest\n\n", bench.Machine(), before, bench.Load(), *n)
	return t.Print(os.Stdout, lines)
}

// Start starts those that can be started and says who cannot.
func Start[R any](ctx context.Context, lines []*Line[R]) (started []*Line[R]) {
	for _, l := range lines {
		fmt.Fprintf(os.Stderr, "starting %s (%s)\n", l.Name, l.Does)
		var err error
		if l.contestant, err = l.Start(ctx); err != nil {
			fmt.Printf("not available: %s: %v\n", l.Name, err)
			continue
		}
		started = append(started, l)
	}
	return started
}

// Take lets each that was started take its turn n times, after a round that does not count.
func Take[R any](ctx context.Context, lines []*Line[R], n int, settle time.Duration) error {
	for round := range n + 1 {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, n)
		for _, l := range lines {
			done, err := l.contestant.Turn(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", l.Name, err)
			}
			if round > 0 {
				l.Turns = append(l.Turns, done)
			}
			time.Sleep(settle)
		}
	}
	return nil
}
