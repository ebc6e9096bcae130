package issuer_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
)

// foreignWallet is a wallet that is not ours, but for the proofs, which it asks us for: testvectors/check/protocol/openid4vci.mjs.
type foreignWallet struct {
	Link   string `json:"link"`
	TxCode string `json:"txCode,omitempty"`
	DPoP   bool   `json:"dpop"`

	later    func()                   // what it waits for, where it must wait
	statuses []func() (status uint64) // changes of a companion's credential, which it must see
	refused  []string                 // what it must have tried, and we refused, in this order
}

// foreignPatience is how long such a wallet may take, in which it waits for seals.
const foreignPatience = 2 * time.Minute

// receive is the whole way, and returns what the wallet got: of our format what it is, of a companion nothing.
func (w foreignWallet) receive(t *testing.T, p *person) (issued openid.IssuedCredential) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), foreignPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", os.Getenv("BULLA_OPENID4VCI"), string(must(json.Marshal(w))(t)))
	cmd.Stderr = os.Stderr
	in, out := must(cmd.StdinPipe())(t), bufio.NewReader(must(cmd.StdoutPipe())(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the wallet: %v", err)
		}
	}()
	lines, answers := json.NewDecoder(out), json.NewEncoder(in)
	waited := false
	for {
		var line struct {
			Prove *struct {
				openid.EnrolmentChallenge
				Register string `json:"register"`
			} `json:"prove"`
			Deferred   bool            `json:"deferred"`
			Companion  map[string]any  `json:"companion"`
			Credential json.RawMessage `json:"credential"`
			Notified   bool            `json:"notified"`
			Draft      string          `json:"draft"`
			Refused    []string        `json:"refused"`
		}
		if err := lines.Decode(&line); err != nil {
			t.Errorf("the wallet says no more: %v", err)
			return issued
		}
		var answer any = true
		switch {
		case line.Prove != nil:
			answer = p.prove(t, statement{line.Prove.EnrolmentChallenge, line.Prove.Register})
		case line.Deferred && w.later != nil:
			waited = true
			w.later()
		case line.Companion != nil:
			if line.Companion["area"] != 612.0 || line.Companion["since"] != "2024-02-29" {
				t.Errorf("a verifier sees %v", line.Companion)
			}
			if answer = nil; len(w.statuses) > 0 {
				answer, w.statuses = w.statuses[0](), w.statuses[1:]
			}
		case line.Credential != nil:
			if later := w.later != nil; waited != later || line.Notified == later || line.Draft != "V1" {
				t.Errorf("waited: %v; notified: %v; it took us for %s", waited, line.Notified, line.Draft)
			}
			if !slices.Equal(line.Refused, w.refused) {
				t.Errorf("refused: %q, want %q", line.Refused, w.refused)
			}
			if len(w.statuses) > 0 {
				t.Errorf("%d changes were not looked at", len(w.statuses))
			}
			if line.Credential[0] == '{' {
				err := credential.ParseStrict(line.Credential, &issued)
				if err != nil {
					t.Error(err)
				}
			}
			return issued
		default:
			t.Errorf("the wallet says %+v", line)
			return issued
		}
		if err := answers.Encode(answer); err != nil {
			t.Error(err)
			return issued
		}
	}
}

// A wallet that somebody else wrote gets credentials from us: by value and by reference, with and without a transaction code and a
// bound token, at once, when its word that it has them is heard, and later. What it tries out of turn is refused by codes that it knows.
func TestForeignWallet(t *testing.T) {
	if os.Getenv("BULLA_OPENID4VCI") == "" {
		t.Skip("needs BULLA_OPENID4VCI, the program testvectors/check/protocol/openid4vci.mjs: make judges runs it")
	}
	o := newOffice(t, 100, func(c *issuer.Config) { c.Approvals = map[string]int{titleType: 1} })
	for name, c := range map[string]struct{ reference, txCode, dpop, later bool }{
		"by value":                 {},
		"by reference, with DPoP":  {reference: true, dpop: true},
		"with a transaction code":  {txCode: true},
		"later":                    {later: true},
		"later, with all of these": {reference: true, txCode: true, dpop: true, later: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson("Li Wei " + name)
			filed := o.file(p, name)
			approve := func() { must(o.Approve(second, filed.ID, filed.Version))(t) }
			offer := must(o.OfferCase(t.Context(), clerk, filed.ID, c.txCode))(t)
			w := foreignWallet{Link: offer.Link, TxCode: offer.TxCode, DPoP: c.dpop}
			if c.txCode {
				w.refused = append(w.refused, "wrong transaction code")
			}
			w.refused = append(w.refused, "used code", "used nonce")
			if c.later {
				w.refused = append(w.refused, "unknown transaction")
			}
			if c.reference {
				w.Link = offer.Reference
			}
			if c.later {
				w.later = approve
			} else {
				approve()
			}
			if issued := w.receive(t, p); !t.Failed() && !o.active(issued) {
				t.Errorf("leaf %d is not active", issued.Leaf)
			}
		})
	}
}

// The same wallet gets a companion, and software of others shows and verifies it, by what we serve: keys and status list. It sees the
// credential suspended, reinstated and revoked.
func TestForeignWalletOfCompanions(t *testing.T) {
	if os.Getenv("BULLA_OPENID4VCI") == "" {
		t.Skip("needs BULLA_OPENID4VCI, the program testvectors/check/protocol/openid4vci.mjs: make judges runs it")
	}
	o := newOffice(t, 100, func(c *issuer.Config) { c.Companions = []string{titleType} })
	for name, c := range map[string]struct{ reference, all bool }{"by value": {}, "by reference, with DPoP and a transaction code": {true, true}} {
		t.Run(name, func(t *testing.T) {
			p := newPerson("Li Wei " + name)
			application := o.title(p, name)
			application.Claims["since"] = "2024-02-29"
			must(o.issue(p, application))(t)
			id := o.newest().ID
			offer := must(o.OfferCompanion(t.Context(), clerk, id, c.all))(t)
			w := foreignWallet{Link: offer.Link, TxCode: offer.TxCode, DPoP: c.all, refused: []string{"used code", "used nonce"}}
			if c.reference {
				w.Link = offer.Reference
			}
			if c.all {
				w.refused = append([]string{"wrong transaction code"}, w.refused...)
			}
			change := func(do func(context.Context, issuer.Officer, string, issuer.Reason) (issuer.Credential, error), status uint64) func() uint64 {
				return func() uint64 {
					must(do(t.Context(), clerk, id, because("r")))(t)
					return status
				}
			}
			w.statuses = []func() uint64{change(o.Suspend, 2), change(o.Reinstate, 0), change(o.Revoke, 1)}
			w.receive(t, p)
		})
	}
}
