package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/store"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or problem
	Detail string `json:"detail"`
}

const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateProblem = "problem"
)

// doctor collects findings.
type doctor struct{ Findings []finding }

func (d *doctor) add(check, state, format string, args ...any) {
	d.Findings = append(d.Findings, finding{check, state, fmt.Sprintf(format, args...)})
}

// take adds a finding that is a problem if there is an error.
func (d *doctor) take(check string, err error, format string, args ...any) bool {
	if err != nil {
		d.add(check, stateProblem, "%s", printable(err.Error()))
		return false
	}
	d.add(check, stateOK, format, args...)
	return true
}

func (d *doctor) problems() (n int) {
	for _, f := range d.Findings {
		if f.State == stateProblem {
			n++
		}
	}
	return n
}

func doctorCommand() *cobra.Command {
	var chain string
	var from stopped
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check a chain, and the files of a ledger, and say what is wrong",
		Long: `With --chain: whether the ledger answers, its checkpoint satisfies the policy and continues the last one, which cosigners signed,
how old the newest seal is, whether our clock agrees, and when keys end. With --config or --data: whether store and register of a
ledger are there and fit, and whether the disk has room; a ledger that runs keeps its store to itself. A problem is an error.`,
		Example: `  bulla doctor --chain chain.json
  bulla doctor --config ledger/ledger.json --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{Findings: []finding{}}
			files := from.named()
			if files {
				d.files(from)
			}
			if !files || cmd.Flags().Changed("chain") {
				d.chain(cmd.Context(), chain, time.Now())
			}
			if err := printed(cmd, d.Findings, d.print); err != nil {
				return err
			}
			if n := d.problems(); n > 0 {
				return fmt.Errorf("%d of %d checks found a problem", n, len(d.Findings))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "data/chain.json", "profile of a running chain")
	cmd.Flags().StringVar(&from.config, "config", "", "configuration of a ledger")
	cmd.Flags().StringVar(&from.data, "data", "", "folder of a dev network's ledger, or of a mirror")
	cmd.MarkFlagsMutuallyExclusive("config", "data")
	return cmd
}

func (d *doctor) print(out io.Writer) {
	var t table
	for _, f := range d.Findings {
		t.row(f.State, f.Check, f.Detail)
	}
	t.print(out)
}

// chain looks at a running chain as a reader does.
func (d *doctor) chain(ctx context.Context, path string, now time.Time) {
	profile, err := client.ReadProfile(path)
	if !d.take("profile", err, "%s", path) {
		return
	}
	reader, err := client.New(profile.Config())
	if err != nil {
		d.take("profile", err, "")
		return
	}
	d.reach(ctx, profile.Ledger, now)
	v, err := reader.Update(ctx)
	if !d.take("checkpoint", err, "satisfies the policy") {
		return
	}
	d.Findings[len(d.Findings)-1].Detail = fmt.Sprintf("%d entries, signed by the log and %d known cosigners", v.Checkpoint.Size, len(v.Checkpoint.Cosigners))
	d.cosigners(profile.Policy, v)
	d.seal(v, now)
	d.keys(v, now)
}

// reach asks the ledger for nothing, and compares clocks.
func (d *doctor) reach(ctx context.Context, url string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/readyz", nil)
	if err != nil {
		d.take("ledger", err, "")
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.take("ledger", err, "")
		return
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		d.add("ledger", stateOK, "%s is ready", url)
	case http.StatusNotFound:
		d.add("ledger", stateOK, "%s answers; it is a copy that takes no entries", url)
	default:
		d.add("ledger", stateProblem, "%s answers %s: see its log", url, response.Status)
	}
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return
	}
	if off := now.Sub(theirs); off.Abs() > 5*time.Second {
		d.add("clock", stateWarning, "ours and the ledger's differ by %s: compare both with a time server", off.Round(time.Second))
		return
	}
	d.add("clock", stateOK, "agrees with the ledger's")
}

func (d *doctor) cosigners(policy client.Policy, v *client.View) {
	signed := make(map[string]bool)
	for _, name := range v.Checkpoint.Cosigners {
		signed[name] = true
	}
	for _, key := range policy.Cosigners {
		name, _, _ := strings.Cut(key, "+")
		if signed[name] {
			d.add("cosigner", stateOK, "%s signed", name)
			continue
		}
		d.add("cosigner", stateWarning, "%s did not sign the newest checkpoint; the policy needs %d of %d", name, policy.Threshold, len(policy.Cosigners))
	}
	if len(policy.Cosigners) == 0 {
		d.add("cosigner", stateWarning, "the policy names none: whoever operates the ledger can seal anything")
	}
}

func (d *doctor) seal(v *client.View, now time.Time) {
	age := v.At().Age(now)
	longest := time.Duration(v.Genesis.SealMaximumSeconds) * time.Second
	skew := time.Duration(v.Genesis.ClockSkewSeconds) * time.Second
	switch {
	case -age > skew:
		d.add("seal", stateProblem, "seal %d is ahead of our clock by %s: is it right?", v.Seal.Height, -age.Round(time.Second))
	case age > 2*longest+time.Minute:
		d.add("seal", stateProblem, "seal %d is %s old, and there should be one every %s: the ledger is stalled, or serves an old state", v.Seal.Height, age.Round(time.Second), longest)
	default:
		d.add("seal", stateOK, "seal %d is %s old", v.Seal.Height, age.Round(time.Second))
	}
}

// keys looks at when proofs stop being accepted.
func (d *doctor) keys(v *client.View, now time.Time) {
	newest := make(map[string]time.Time)
	for _, k := range v.Registry.VerifyingKeys {
		if end := k.NotAfter.Time(); end.After(newest[k.Circuit]) {
			newest[k.Circuit] = end
		}
	}
	for _, k := range v.Registry.VerifyingKeys {
		end, ok := newest[k.Circuit]
		if !ok {
			continue
		}
		delete(newest, k.Circuit)
		left := end.Sub(now)
		state := stateOK
		switch {
		case left <= 0:
			state = stateProblem
		case left < 90*24*time.Hour:
			state = stateWarning
		}
		d.add("verifying key", state, "%s: good until %s", k.Circuit, end.UTC().Format(time.DateOnly))
	}
	if len(v.Registry.VerifyingKeys) == 0 {
		d.add("verifying key", stateWarning, "the chain lists none: nothing can be proven yet")
	}
}

// files looks at a ledger's folders.
func (d *doctor) files(from stopped) {
	folder, register, err := from.paths()
	if !d.take("configuration", err, "store %s, register %s", folder, register) {
		return
	}
	if from.config != "" {
		if cfg, err := office.ReadLedgerConfig(from.config); err == nil {
			_, err := os.Stat(cfg.Secrets)
			d.take("key store", err, "%s is there", cfg.Secrets)
		}
	}
	if !d.take("store", exists(folder), "%s is there", folder) {
		return
	}
	d.disk(folder)
	rows, err := store.Open(store.Config{Dir: folder})
	if err != nil {
		d.add("store", stateWarning, "it cannot be opened, so it was not compared: %s. That is right while the ledger runs", printable(err.Error()))
		return
	}
	d.compare(rows, register)
	d.take("store", rows.Close(), "closed again")
}

func (d *doctor) compare(rows *store.Pebble, path string) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		d.add("register", stateProblem, "%s is missing: put it back, never make a new one (a mirror has none)", path)
		return
	}
	register, err := store.NewFileRegister(path, nil)
	if err == nil {
		err = ledger.CheckRegister(rows, register)
	}
	d.take("register", err, "the store reaches it, with the same tree")
}

// disk looks at the room that is left.
func (d *doctor) disk(folder string) {
	free, total, err := diskSpace(filepath.Clean(folder))
	if err != nil {
		d.add("disk", stateWarning, "%s", printable(err.Error()))
		return
	}
	state := stateOK
	switch {
	case free < 256<<20:
		state = stateProblem
	case free < 2<<30 || free < total/20:
		state = stateWarning
	}
	d.add("disk", state, "%d MiB of %d MiB are free", free>>20, total>>20)
}
