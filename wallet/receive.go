package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
)

// Receive asks for the credential of an offer and keeps it once the chain confirms it. txCode is the code that came
// another way, if the offer needs one.
//
// A receiving that broke off, even by a crash, is taken up by calling Receive with the same link again, or [Wallet.Resume]:
// the blinding, and the token the code was exchanged for, are kept until the credential is there.
func (w *Wallet) Receive(ctx context.Context, offerLink, txCode string) (*Summary, error) {
	progress(ctx, StageAsk, 0, receiveSteps)
	offer, err := w.readOffer(ctx, offerLink)
	if err != nil {
		return nil, err
	}
	if (offer.Grants.PreAuthorized.TxCode != nil) != (txCode != "") {
		return nil, refuse(CodeTxCode, nil, "a transaction code is needed: %t", txCode == "")
	}
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	source, err := w.findIssuer(ctx, view, offer.CredentialIssuer, offer.ConfigurationIDs[0])
	if err != nil {
		return nil, err
	}
	code := offer.Grants.PreAuthorized.Code
	p, err := w.begin(offer, code)
	if err != nil {
		return nil, err
	}
	if p.Token == "" || p.TokenEnds.Time().Before(w.clock()) {
		if err := w.exchange(ctx, source, p, code, txCode); err != nil {
			return nil, err
		}
	}
	return w.collect(ctx, view, source, p)
}

const receiveSteps = 5

// readOffer parses a link and, by reference, fetches what it points to.
func (w *Wallet) readOffer(ctx context.Context, link string) (*openid.CredentialOffer, error) {
	offer, reference, err := openid.ParseOfferLink(link)
	if err != nil {
		return nil, refuse(CodeOffer, err, "read offer")
	}
	if reference != "" {
		body, err := w.http.fetch(ctx, call{method: http.MethodGet, address: reference, accept: "application/json", limit: maxSmall})
		if err != nil {
			return nil, err
		}
		offer = new(openid.CredentialOffer)
		if err := decodeForeign(body, offer); err != nil {
			return nil, refuse(CodeOffer, err, "read offer")
		}
	}
	switch {
	case len(offer.ConfigurationIDs) != 1:
		return nil, refuse(CodeOffer, nil, "the offer names %d kinds of credential, want 1", len(offer.ConfigurationIDs))
	case offer.Grants.PreAuthorized.Code == "" || len(offer.Grants.PreAuthorized.Code) > 1024:
		return nil, refuse(CodeOffer, nil, "the offer has no pre-authorized code")
	}
	return offer, nil
}

// decodeForeign decodes JSON whose unknown members are ignored, as the standards ask, but which has no duplicate keys.
func decodeForeign(body []byte, target any) error {
	if _, err := credential.CanonicalJSON(body); err != nil {
		return err
	}
	return json.Unmarshal(body, target)
}

// begin saves that a credential is about to be asked for, with a fresh blinding, or finds the attempt that broke off.
func (w *Wallet) begin(offer *openid.CredentialOffer, code string) (*pending, error) {
	digest := credential.DigestOf([]byte(code))
	var found pending
	err := w.vault.update(func(d *document) error {
		i := slices.IndexFunc(d.Pending, func(p pending) bool { return p.Issuer == offer.CredentialIssuer && p.Code == digest })
		if i >= 0 {
			found = d.Pending[i]
			return nil
		}
		text, err := d.encode()
		if err != nil {
			return err
		}
		if len(d.Credentials) >= maxCredentials || len(text)+roomToReceive > maxDocument {
			return refuse(CodeVaultFull, nil, "%d credentials in %d bytes", len(d.Credentials), len(text))
		}
		found = pending{
			ID: d.newID(), Issuer: offer.CredentialIssuer, Configuration: offer.ConfigurationIDs[0], Code: digest,
			Blinding: credential.Secret{Element: credential.RandomElement()}, Started: credential.UnixTimeOf(w.clock()),
		}
		d.Pending = appendBounded(d.Pending, maxPending, found)
		return nil
	})
	return &found, err
}

// keep puts a credential that was checked into the vault, in place of the pending one.
func (w *Wallet) keep(s *source, p *pending, issued *openid.IssuedCredential) (*Summary, error) {
	now := credential.UnixTimeOf(w.clock())
	kept := Credential{ID: p.ID, Blinding: p.Blinding, Issued: *issued, Received: now, State: StateActive, Checked: now}
	err := w.vault.update(func(d *document) error {
		if _, there := d.credential(kept.ID); there {
			return nil // another process finished first
		}
		d.Pending = slices.DeleteFunc(d.Pending, func(other pending) bool { return other.ID == p.ID })
		d.Credentials = append(d.Credentials, kept)
		d.Events = appendBounded(d.Events, maxEvents, Event{
			At: now, Kind: EventReceived, Party: s.issuer.DID, Name: s.issuer.Name, Credentials: []string{kept.ID}, Outcome: OutcomeDone,
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.log.Info("credential received", "issuer", s.issuer.DID, "type", s.schema.Schema.Type)
	summary := summarize(&kept, s.issuer.Name)
	return &summary, nil
}

// Resume takes up every receiving that broke off after its code was exchanged, and returns what it got. Attempts that
// fail stay for the next time, but for those older than 90 days, which it forgets.
func (w *Wallet) Resume(ctx context.Context) ([]Summary, error) {
	limit := credential.UnixTimeOf(w.clock().Add(-90 * 24 * time.Hour))
	var got []Summary
	var failures []error
	for _, p := range w.vault.read().Pending {
		if p.Started < limit {
			failures = append(failures, w.forgetPending(p.ID))
			continue
		}
		if p.Token == "" || p.TokenEnds.Time().Before(w.clock()) {
			continue // only the link has the code
		}
		summary, err := w.resume(ctx, &p)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		got = append(got, *summary)
	}
	return got, errors.Join(failures...)
}

func (w *Wallet) resume(ctx context.Context, p *pending) (*Summary, error) {
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	s, err := w.findIssuer(ctx, view, p.Issuer, p.Configuration)
	if err != nil {
		return nil, err
	}
	return w.collect(ctx, view, s, p)
}

func (w *Wallet) forgetPending(id string) error {
	return w.vault.update(func(d *document) error {
		d.Pending = slices.DeleteFunc(d.Pending, func(p pending) bool { return p.ID == id })
		return nil
	})
}
