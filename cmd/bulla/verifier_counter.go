package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/qr"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/counter"
)

// counterVariable is the passphrase of a counter's key store.
const counterVariable = "BULLA_COUNTER_PASSPHRASE"

// counterWords are what a counter says to the clerk, in one language.
type counterWords struct {
	opened, synced, show, then, genuine, devAsk, notKept, stale, refused string
}

var counterWordsOf = map[string]counterWords{
	"en": {
		opened:  "Counter %s of %s has a pass until %s. Next, while there is a network: bulla verifier counter sync --folder %s\n",
		synced:  "The counter took the chain up to seal %d of %s, and %d policies. It can ask without a network as long as a policy's freshness lasts.\n",
		show:    "Show this to the wallet. It is good until %s:\n\n",
		then:    "\nThen read the wallet's code:\n\n  bulla verifier counter check - --folder %s\n",
		genuine: "%s: the answer is genuine, shown at counter %s\n",
		devAsk:  "This is the dev chain %s: whoever made its keys can forge an answer.\n",
		notKept: "  It counted once, here and now. Keep what you learned %d days at most.\n",
		stale:   "the counter's copy of the chain is %s old, this policy allows %s: run bulla verifier counter sync where there is a network",
		refused: "the answer is refused",
	},
	"zh-CN": {
		opened:  "窗口 %s（%s）的许可有效期至 %s。下一步（需联网）：bulla verifier counter sync --folder %s\n",
		synced:  "窗口已获取链上数据至封块 %d（%s），以及 %d 项策略。在策略允许的时效内可离线使用。\n",
		show:    "请向钱包出示此码，有效期至 %s：\n\n",
		then:    "\n然后读取钱包的应答码：\n\n  bulla verifier counter check - --folder %s\n",
		genuine: "%s：应答真实，于窗口 %s 出示\n",
		devAsk:  "这是开发链 %s：其密钥的制作者可以伪造应答。\n",
		notKept: "  该应答仅此一次有效。所获信息最多保留 %d 天。\n",
		stale:   "窗口的链上数据已有 %s 之久，该策略只允许 %s：请在有网络处运行 bulla verifier counter sync",
		refused: "应答被拒绝",
	},
}

// counterFlags say which counter is meant.
type counterFlags struct {
	*verifierFlags
	folder string
}

func (f *counterFlags) at() office.CounterFolder { return office.CounterFolder(f.folder) }

func (f *counterFlags) words() (counterWords, error) {
	if _, err := wordsIn(f.language); err != nil {
		return counterWords{}, err
	}
	return counterWordsOf[f.language], nil
}

func verifierCounterCommand(v *verifierFlags) *cobra.Command {
	f := &counterFlags{verifierFlags: v}
	cmd := &cobra.Command{
		Use:   "counter",
		Short: "Ask and check at a counter that has no network",
		Long: `A counter shows a request as a QR code, and reads the answer from the QR code of a wallet. It checks it against the copy
of the chain that it took when it last had a network. A request lives five minutes and names the counter; its answer counts
once. Policies that count once per person or thing cannot be asked here: a counter does not know what happened elsewhere.

The counter's folder has its own key, in a key store under the passphrase in ` + counterVariable + `, or asked for.`,
		Example: `  bulla verifier counter open desk-3
  bulla verifier counter sync
  bulla verifier counter ask residency
  bulla verifier counter check 'BULLA-ANSWER:…'`,
	}
	cmd.PersistentFlags().StringVar(&f.folder, "folder", "counter", "the counter's folder")
	cmd.AddCommand(counterOpenCommand(f), counterSyncCommand(f), counterAskCommand(f), counterCheckCommand(f))
	return cmd
}

func counterOpenCommand(f *counterFlags) *cobra.Command {
	var officeDir, chain string
	var keyFiles []string
	var days, workFactor int
	cmd := &cobra.Command{
		Use:   "open NAME",
		Short: "Make a counter, or renew its pass",
		Long: `Makes the folder of a counter with a key of its own, and signs a pass for it with the relying party's registered key: of a
dev network's party, or of the office in --office. The pass ends after --days. Whoever has the folder and its passphrase can
ask in the relying party's name at that counter until then, and can do nothing else.`,
		Example: `  bulla verifier counter open desk-3
  bulla verifier counter open desk-3 --office bank --chain chain.json --key presentation-1.verifying --folder desk-3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := f.words()
			if err != nil {
				return err
			}
			cfg := office.CounterConfig{Name: args[0], WorkFactor: workFactor, Lifetime: time.Duration(days) * 24 * time.Hour}
			if err := f.signer(cmd, officeDir, &cfg); err != nil {
				return err
			}
			if cfg.Profile, cfg.VerifyingKeys, err = f.believed(chain, keyFiles); err != nil {
				return err
			}
			if cfg.Passphrase, err = newSecret(cmd, wordsOf[f.language], "Passphrase of the counter: ", counterVariable); err != nil {
				return err
			}
			pass, err := f.at().Open(cfg)
			if err != nil {
				return err
			}
			return printed(cmd, pass, func(out io.Writer) {
				fmt.Fprintf(out, w.opened, pass.Counter, pass.Verifier, pass.NotAfter.Time().Local().Format(time.DateTime), f.folder)
			})
		},
	}
	cmd.Flags().StringVar(&officeDir, "office", "", "folder of the relying party's office, instead of a dev network's")
	cmd.Flags().StringVar(&chain, "chain", "", "profile of the chain (default: chain.json in the data folder)")
	cmd.Flags().StringArrayVar(&keyFiles, "key", nil, "file of a verifying key (default: those of the data folder)")
	cmd.Flags().IntVar(&days, "days", 7, "how long the pass is good for, at most 30")
	cmd.Flags().IntVar(&workFactor, "work-factor", 0, "base-2 logarithm of the cost of trying a passphrase (default 18, about a second)")
	return cmd
}

// signer finds who signs the pass.
func (f *counterFlags) signer(cmd *cobra.Command, officeDir string, cfg *office.CounterConfig) error {
	if officeDir != "" {
		secret, err := passphrase(cmd)
		if err != nil {
			return err
		}
		cfg.Signing, cfg.Verifier, err = office.VerifierKey(officeDir, secret)
		return err
	}
	did, err := f.did()
	if err != nil {
		return err
	}
	secret, err := knownPassphrase(f.api.data)
	if err != nil {
		return err
	}
	cfg.Verifier = did
	cfg.Signing, err = demo.VerifierKey(f.api.data, secret, did)
	return err
}

// believed are the chain's profile and the verifying keys, by default those of the dev folder.
func (f *verifierFlags) believed(chain string, keyFiles []string) (client.Profile, [][]byte, error) {
	profile, err := client.ReadProfile(f.profilePath(chain))
	if err != nil {
		return profile, nil, err
	}
	if len(keyFiles) == 0 {
		files, err := office.PresentationKeys(filepath.Join(f.api.data, "keys"))
		return profile, files, err
	}
	var files [][]byte
	for _, name := range keyFiles {
		data, err := os.ReadFile(name)
		if err != nil {
			return profile, nil, err
		}
		files = append(files, data)
	}
	return profile, files, nil
}

// synced is what a counter took.
type synced struct {
	Seal     uint64    `json:"seal"`
	Time     time.Time `json:"time"`
	Policies []string  `json:"policies"`
	Network  string    `json:"network"`
	Dev      bool      `json:"dev"`
}

func counterSyncCommand(f *counterFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Take a new copy of the chain, where there is a network",
		Long: `Takes the seals that the policies' freshness reaches back to, with their registries, and the relying party's registered
policies. The chain must continue the one that was taken last.`,
		Example: `  bulla verifier counter sync
  bulla verifier counter sync --folder desk-3 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := f.words()
			if err != nil {
				return err
			}
			if _, err := f.at().Sync(cmd.Context()); err != nil {
				return advised(err)
			}
			c, err := f.load(cmd)
			if err != nil {
				return err
			}
			seal := c.Newest()
			s := synced{Seal: seal.Height, Time: seal.At, Network: c.Genesis().Network, Dev: c.Genesis().Dev}
			for _, p := range c.Policies() {
				s.Policies = append(s.Policies, p.ID)
			}
			return printed(cmd, s, func(out io.Writer) {
				fmt.Fprintf(out, w.synced, s.Seal, s.Time.Local().Format(time.DateTime), len(s.Policies))
				for _, id := range s.Policies {
					fmt.Fprintf(out, "  %s\n", id)
				}
				if s.Dev {
					fmt.Fprintf(out, w.devAsk, s.Network)
				}
			})
		},
	}
}

func (f *counterFlags) load(cmd *cobra.Command) (*counter.Counter, error) {
	if _, err := f.at().Pass(); err != nil { // before asking for a passphrase that would open nothing
		return nil, err
	}
	passphrase, err := secret(cmd, "Passphrase of the counter: ", counterVariable)
	if err != nil {
		return nil, err
	}
	return f.at().Load(passphrase)
}

func counterAskCommand(f *counterFlags) *cobra.Command {
	var pngFile, svgFile string
	cmd := &cobra.Command{
		Use:   "ask POLICY",
		Short: "Show a request as a QR code; no network is used",
		Long: `Makes a request by a registered policy and prints its QR code and text. The wallet that reads it needs a network, for the
path to the newest root; the counter does not.`,
		Example: `  bulla verifier counter ask residency
  bulla verifier counter ask residency --png request.png
  bulla verifier counter ask residency --json | jq -r .link`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := f.words()
			if err != nil {
				return err
			}
			c, err := f.load(cmd)
			if err != nil {
				return err
			}
			asked, err := c.Ask(args[0])
			if err != nil {
				return w.explained(f.language, err)
			}
			if err := writePictures(asked.Link, pngFile, svgFile); err != nil {
				return err
			}
			var failed error
			err = printed(cmd, asked, func(out io.Writer) {
				if asked.Dev {
					fmt.Fprintf(out, w.devAsk, asked.Network)
				}
				fmt.Fprintf(out, w.show, asked.ExpiresAt.Time().Local().Format(time.TimeOnly))
				failed = printCode(out, asked.Link)
				fmt.Fprintf(out, w.then, f.folder)
			})
			return errors.Join(err, failed)
		},
	}
	cmd.Flags().StringVar(&pngFile, "png", "", "also write the QR code to this file, as PNG")
	cmd.Flags().StringVar(&svgFile, "svg", "", "also write the QR code to this file, as SVG")
	return cmd
}

// explained puts the errors of a counter into the clerk's words.
func (w counterWords) explained(language string, err error) error {
	var stale *counter.StaleError
	var refusal *check.Refusal
	switch {
	case errors.As(err, &stale):
		return fmt.Errorf(w.stale, stale.Age.Round(time.Second), stale.Freshness)
	case errors.As(err, &refusal):
		return fmt.Errorf("%s: %s (%s)", w.refused, refusal.Code.Text().In(language), refusal.Code)
	}
	return err
}

// printCode draws the QR code of a text, in black on white where a terminal can, and the text below it.
func printCode(out io.Writer, text string) error {
	code, err := qr.Encode(text)
	if err != nil {
		return err
	}
	file, ok := out.(*os.File)
	_, err = fmt.Fprintf(out, "%s\n%s\n", code.Terminal(ok && term.IsTerminal(int(file.Fd()))), text)
	return err
}

// writePictures writes the QR code of a text to files, where a name is given.
func writePictures(text, pngFile, svgFile string) error {
	code, err := qr.Encode(text)
	if err != nil {
		return err
	}
	if pngFile != "" {
		err = os.WriteFile(pngFile, code.PNG(), 0o600)
	}
	if svgFile != "" {
		err = errors.Join(err, os.WriteFile(svgFile, code.SVG(), 0o600))
	}
	return err
}

// maxScanned bounds what a scanner gives, in bytes.
const maxScanned = 8 << 10

func counterCheckCommand(f *counterFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check ANSWER|-",
		Short: "Check the answer of a wallet; no network is used",
		Long: `Checks the text of a wallet's QR code, given as it is or read from standard input as a scanner writes it: that it answers a
request of this counter that lives still, under a root of the counter's copy of the chain that is fresh enough, and was not
counted before. The exit code is 0 only if all of it holds.`,
		Example: `  bulla verifier counter check 'BULLA-ANSWER:…'
  zbarcam --raw --oneshot | bulla verifier counter check - --lang zh-CN`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := f.words()
			if err != nil {
				return err
			}
			text := args[0]
			if text == "-" {
				scanned, err := readBounded(cmd, "-", maxScanned)
				if err != nil {
					return err
				}
				text = string(scanned)
			}
			c, err := f.load(cmd)
			if err != nil {
				return err
			}
			result, err := c.Check(text)
			if err != nil {
				return w.explained(f.language, err)
			}
			return printed(cmd, result, func(out io.Writer) {
				fmt.Fprintf(out, w.genuine, result.Policy, result.Counter)
				f.printFacts(out, result.Facts, result.OnePerson)
				fmt.Fprintf(out, w.notKept, result.RetentionDays)
				if result.Dev {
					fmt.Fprintf(out, "  "+w.devAsk, result.Network)
				}
			})
		},
	}
}
