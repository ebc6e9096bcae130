package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// errorText is the description in an OAuth error.
func errorText(reply *adversary.Reply) string {
	var refusal openid.Error
	if json.Unmarshal(reply.Body, &refusal) != nil {
		return "status " + fmt.Sprint(reply.Status)
	}
	return refusal.Description
}

// refuseLedger: a host that changes a tile, an entry sent twice, and an agency that signs for another.
func (s *story) refuseLedger(ctx context.Context) error {
	if err := s.refuseTile(ctx); err != nil {
		return err
	}
	key, err := s.network.secrets.SigningKey("health-signing", jose.EdDSA)
	if err != nil {
		return err
	}
	if err := s.refuseReplay(ctx, key); err != nil {
		return err
	}
	for _, c := range []struct {
		name    string
		signer  string
		payload entry.Payload
	}{
		{"an entry signed by an agency for another", LandDID, entry.CredentialsIssued{Schema: s.network.schemas.landID, Commitments: []credential.Element{credential.RandomElement()}}},
		{"an agency revokes another's credential", HealthDID, entry.CredentialsRevoked{Leaves: []uint64{s.leafOf(s.lin)}}},
	} {
		if err := s.byLedger(ctx, c.name, key, c.signer, c.payload); err != nil {
			return err
		}
	}
	return nil
}

// leafOf is the leaf of a citizen's residency.
func (s *story) leafOf(who *citizen) uint64 {
	for _, c := range who.wallet.Credentials() {
		if c.Issuer == CivilDID {
			return c.Leaf
		}
	}
	return 0
}

// byLedger submits an entry that the state machine must refuse.
func (s *story) byLedger(ctx context.Context, name string, key *jose.SigningKey, signer string, payload entry.Payload) error {
	sequence, err := s.network.Chain.NextSequence(ctx, signer)
	if err != nil {
		return err
	}
	e, err := entry.Sign(entry.Draft{Genesis: s.network.Profile.Genesis, Signer: signer, Sequence: sequence, Payload: payload}, key)
	if err != nil {
		return err
	}
	_, err = s.network.Chain.Submit(ctx, e)
	var problem *client.Problem
	if !errors.As(err, &problem) {
		return mustRefuse(name, "a problem of the ledger", err)
	}
	s.refused(name, ByLedger, problem.Code+": "+problem.Detail)
	return nil
}

// refuseReplay sends a logged entry again: as it is, which changes nothing, and its commitments under the next number.
func (s *story) refuseReplay(ctx context.Context, key *jose.SigningKey) error {
	const name = "an entry replayed"
	_, held, err := s.lin.credentialOf(s.network.schemas.vaccination.Type)
	if err != nil {
		return err
	}
	raw, err := credential.ParseBase64(held.Issued.Entry, -1)
	if err != nil {
		return err
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return err
	}
	receipt, err := s.network.Chain.Submit(ctx, e)
	if err != nil || receipt.Index != held.Issued.Receipt.Index {
		return mustRefuse(name, "its old receipt", fmt.Errorf("index %d, not %d: %w", receipt.Index, held.Issued.Receipt.Index, err))
	}
	s.refused(name, ByLedger, fmt.Sprintf("it is in the log already, at index %d: nothing was added", receipt.Index))
	payload, err := e.ParsePayload()
	if err != nil {
		return err
	}
	return s.byLedger(ctx, "its commitments under a new number", key, HealthDID, payload)
}

// refuseTile reads the chain through a host that flips one bit of every tile of the active tree.
func (s *story) refuseTile(ctx context.Context) error {
	const name = "a tile changed by the ledger's host"
	host := httptest.NewServer(changingTiles(s.network.Profile.Ledger))
	defer host.Close()
	cfg := s.network.Profile.Config()
	cfg.URL = host.URL
	reader, err := client.New(cfg)
	if err != nil {
		return err
	}
	view, err := reader.Update(ctx)
	if err != nil {
		return err
	}
	if _, err = reader.Group(ctx, view.Seal.ActiveRoot, s.leafOf(s.lin)); !errors.Is(err, client.ErrTampered) {
		return mustRefuse(name, client.ErrTampered, err)
	}
	s.refused(name, ByLedger, "the reader recomputes each tile's name: "+client.ErrTampered.Error())
	return nil
}

// changingTiles passes everything on, but flips a bit of active tiles.
func changingTiles(ledger string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, ledger+r.URL.RequestURI(), nil)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/active/") && len(body) > 0 {
			body = bytes.Clone(body)
			body[len(body)-1] ^= 1
		}
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = w.Write(body)
	})
}

// refuseUnlistedKey: the city asks for a proof under a verifying key that the chain does not list, in a request that is
// right in everything else.
func (s *story) refuseUnlistedKey(ctx context.Context) error {
	const name = "a key that the chain does not list"
	request, err := s.fetch(ctx, s.city, PolicyResidency)
	if err != nil {
		return err
	}
	object := request.Object
	for i := range object.Query.Credentials {
		object.Query.Credentials[i].Meta.Systems[0].VerifyingKey = credential.DigestOf([]byte("a key of our own"))
	}
	key, err := s.network.secrets.SigningKey("city-signing", jose.ES256)
	if err != nil {
		return err
	}
	token, err := jose.SignCompact(key, openid.RequestKeyID(CityDID, key.Public().KeyID()), openid.RequestType, object)
	if err != nil {
		return err
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/"+openid.RequestType)
		_, _ = io.WriteString(w, token)
	}))
	defer host.Close()
	_, err = s.lin.wallet.Read(ctx, openid.RequestLink(object.ClientID, host.URL))
	if wallet.CodeOf(err) != wallet.CodeKeyNotListed {
		return mustRefuse(name, wallet.CodeKeyNotListed, err)
	}
	s.refused(name, ByKeys, err.Error())
	return nil
}
