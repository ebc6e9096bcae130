package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/wallet"
)

// explained is a request in words, and whether the wallet can answer it.
type explained struct {
	Request   *wallet.Explanation `json:"request"`
	CanAnswer bool                `json:"can_answer"`
	WhyNot    *whyNot             `json:"why_not,omitempty"`

	request *wallet.Request
	choice  wallet.Choice
	refusal error
}

// whyNot is why a wallet cannot answer. Only its person learns it.
type whyNot struct {
	Code wallet.Code `json:"code"`
	Text string      `json:"text"`
}

// explain reads a request and says what answering it would mean. It sends nothing but the fetch.
func (o *openWallet) explain(ctx context.Context, link string) (*explained, error) {
	read := o.Read
	if wallet.IsCounterRequest(link) {
		read = o.ReadCounter
	}
	request, err := read(ctx, link)
	if err != nil {
		return nil, toCitizen(err, o.language)
	}
	candidates, err := o.Candidates(ctx, request)
	if err != nil {
		return nil, toCitizen(err, o.language)
	}
	x := &explained{request: request}
	x.choice, x.refusal = request.DefaultChoice(candidates)
	if x.CanAnswer = x.refusal == nil; !x.CanAnswer {
		x.WhyNot = whyNotOf(x.refusal, o.language)
	}
	if x.Request, err = o.Explain(request, candidates, x.choice, o.language); err != nil {
		return nil, toCitizen(err, o.language)
	}
	return x, nil
}

func whyNotOf(err error, language string) *whyNot {
	var refusal *wallet.Refusal
	if !errors.As(err, &refusal) {
		return &whyNot{Text: err.Error()}
	}
	return &whyNot{refusal.Code, refusal.Text(language)}
}

// print shows the explanation to a person.
func (x *explained) print(out io.Writer) {
	for _, line := range x.Request.Lines() {
		fmt.Fprintln(out, line)
	}
	if x.WhyNot != nil {
		fmt.Fprintln(out, "\n✗ "+x.WhyNot.Text)
	}
}

func walletExplainCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "explain LINK",
		Short: "Say in words what a verifier asks, and send nothing",
		Long: `Reads a verifier's request, checks that verifier and policy are registered on the chain, and says what an answer would
show and what stays hidden. Nothing is sent to the verifier but the request for the request.`,
		Example: `  bulla wallet explain 'openid4vp://?client_id=…'
  bulla wallet explain --lang zh-CN 'openid4vp://?client_id=…'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			x, err := o.explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return o.print(x, x.print)
		},
	}
}

// presented is what became of a request.
type presented struct {
	explained
	Sent        string        `json:"sent"` // "answer", "refusal" or "nothing"
	Event       *wallet.Event `json:"event,omitempty"`
	RedirectURI string        `json:"redirect_uri,omitempty"`
	Answer      string        `json:"answer,omitempty"` // for a counter: what the QR code says
}

func walletPresentCommand(f *walletFlags) *cobra.Command {
	var yes, refuse bool
	cmd := &cobra.Command{
		Use:   "present LINK",
		Short: "Prove what a verifier asks, after you agreed",
		Long: `Says what a verifier asks as explain does, asks for your consent, and proves and sends only then. If the wallet cannot
answer it says why and sends nothing. A refusal tells the verifier no, and nothing else: it looks the same whether you do
not want to or cannot.

The request of a counter without a network (bulla-counter:…) is answered by a QR code: nothing is sent, you show it.`,
		Example: `  bulla wallet present 'bulla-counter:…'
  bulla wallet present 'openid4vp://?client_id=…'
  bulla wallet present --yes 'openid4vp://?client_id=…'
  bulla wallet present --refuse 'openid4vp://?client_id=…'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			x, err := o.explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := &presented{explained: *x, Sent: "nothing"}
			switch {
			case !asJSON(cmd):
				x.print(cmd.OutOrStdout())
			case !yes && !refuse: // nobody agrees to what was not shown
				x.print(cmd.ErrOrStderr())
			}
			err = o.decide(p, yes, refuse)
			return errors.Join(err, o.print(p, func(out io.Writer) { o.printOutcome(out, p) }))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "agree without being asked, for scripts")
	cmd.Flags().BoolVar(&refuse, "refuse", false, "tell the verifier no")
	cmd.MarkFlagsMutuallyExclusive("yes", "refuse")
	return cmd
}

// decide does what the person wants and can.
func (o *openWallet) decide(p *presented, yes, refuse bool) error {
	ctx := wallet.WithProgress(o.cmd.Context(), o.progress())
	switch {
	case refuse:
		if err := o.Refuse(ctx, p.request); err != nil {
			return toCitizen(err, o.language)
		}
		p.Sent, p.Event = "refusal", o.lastEvent()
		return nil
	case p.refusal != nil:
		return fmt.Errorf("%s: %w", o.words.cannot, toCitizen(p.refusal, o.language))
	case !yes:
		if err := o.askConsent(); err != nil {
			return err
		}
	}
	if _, ok := p.request.AtCounter(); ok {
		return o.answerCounter(ctx, p)
	}
	before := o.lastEvent()
	answer, err := o.Answer(ctx, p.request.Consent(p.choice))
	if err != nil {
		// It may have failed after the answer went out: then there is a new line in the history.
		if last := o.lastEvent(); last != nil && (before == nil || last.ID != before.ID) {
			p.Sent, p.Event = "answer", last
		}
		return toCitizen(err, o.language)
	}
	p.Sent, p.Event, p.RedirectURI = "answer", &answer.Event, answer.RedirectURI
	return nil
}

// answerCounter makes the answer that the person shows to a counter.
func (o *openWallet) answerCounter(ctx context.Context, p *presented) error {
	answer, err := o.AnswerCounter(ctx, p.request.Consent(p.choice))
	if err != nil {
		return toCitizen(err, o.language)
	}
	p.Sent, p.Event, p.Answer = "answer", &answer.Event, answer.Text
	return nil
}

func (o *openWallet) askConsent() error {
	agreed, err := typedYes(o.cmd, o.words, o.words.consent)
	switch {
	case errors.Is(err, errNoTerminal):
		return errors.New(o.words.nobodyToAsk)
	case err != nil:
		return err
	case !agreed:
		return errors.New(o.words.declined)
	}
	return nil
}

// lastEvent is the newest line of the history.
func (o *openWallet) lastEvent() *wallet.Event {
	history := o.History()
	if len(history) == 0 {
		return nil
	}
	return &history[len(history)-1]
}

func (o *openWallet) printOutcome(out io.Writer, p *presented) {
	switch {
	case p.Sent == "refusal":
		fmt.Fprintln(out, "\n"+o.words.refused)
	case p.Answer != "":
		fmt.Fprintln(out, "\n"+o.words.showCounter)
		if err := printCode(out, p.Answer); err != nil { // it was made to fit
			fmt.Fprintln(out, p.Answer)
		}
	case p.Sent == "answer" && p.Event.Outcome == wallet.OutcomeDone:
		fmt.Fprintln(out, "\n"+o.words.answered)
	}
	if p.RedirectURI != "" {
		fmt.Fprintf(out, o.words.goOn+"\n", p.RedirectURI)
	}
}

func walletHistoryCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "history",
		Short:   "List what was received, shown and refused",
		Long:    "Lists, oldest first, what was received from whom, what was shown to whom and for what purpose, and what was refused. It asks nobody.",
		Example: "  bulla wallet history",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			events := o.History()
			if events == nil {
				events = []wallet.Event{}
			}
			return o.print(events, func(out io.Writer) { o.printHistory(out, events) })
		},
	}
}

func (o *openWallet) printHistory(out io.Writer, events []wallet.Event) {
	if len(events) == 0 {
		fmt.Fprintln(out, o.words.noHistory)
	}
	for _, e := range events {
		outcome := o.words.outcomes[e.Outcome]
		if e.Remote != "" {
			outcome += ": " + e.Remote
		}
		fmt.Fprintf(out, "%s  %s %s (%s) · %s\n", e.At.Time().Local().Format(time.DateTime), o.words.kinds[e.Kind], e.Name.In(o.language), e.Party, outcome)
		if purpose := e.Purpose.In(o.language); purpose != "" {
			fmt.Fprintf(out, "    %s\n", purpose)
		}
		for _, fact := range e.Facts {
			fmt.Fprintf(out, "    %s %s\n", map[bool]string{true: "✓", false: "·"}[e.Kind == wallet.EventPresented], fact.In(o.language))
		}
		if len(e.Credentials) > 0 {
			fmt.Fprintf(out, "    %s %s\n", o.words.credentials, strings.Join(e.Credentials, ", "))
		}
	}
}
