package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/issuers"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
)

// Agency is an issuer with the API that its clerks use.
type Agency struct {
	*issuer.Issuer
	Name credential.Text
	URL  string
}

// Verifier is a relying party with its API.
type Verifier struct {
	*verifier.Verifier
	DID       string
	URL       string
	Authority *webapi.Authority
}

// party is what the demo knows of a place that is registered on the chain.
type party struct {
	did   string
	role  string // names its folder and keys
	place int
	name  credential.Text
}

var agencies = []party{
	{CivilDID, "civil", atCivil, credential.Text{English: "Civil Affairs Office", Chinese: "民政局"}},
	{LandDID, "land", atLand, credential.Text{English: "Land Registry", Chinese: "不动产登记中心"}},
	{HealthDID, "health", atHealth, credential.Text{English: "Health Agency", Chinese: "卫生健康委员会"}},
}

var verifiers = []party{
	{CityDID, "city", atCity, credential.Text{English: "City Services", Chinese: "市政服务"}},
	{ClinicDID, "clinic", atClinic, credential.Text{English: "Clinic", Chinese: "诊所"}},
}

// quota is how many credentials a demo agency may issue.
const quota = 1_000_000

// registerEverybody puts agencies, schemas, verifiers and policies onto the chain, where they are not there yet.
func (n *Network) registerEverybody(ctx context.Context, governance *jose.SigningKey, secrets *keystore.Store, listeners []net.Listener) error {
	chain, err := n.newClient(nil)
	if err != nil {
		return err
	}
	n.Chain = chain
	if err := n.firstView(ctx); err != nil {
		return err
	}
	r := &registrar{client: chain, signer: entry.Governance, key: governance}
	for _, a := range agencies {
		key, err := secrets.SigningKey(a.role+"-signing", jose.EdDSA)
		if err != nil {
			return err
		}
		if err := r.issuer(ctx, entry.IssuerRegistered{DID: a.did, Name: a.name, Keys: []jose.PublicKey{key.Public()}, Quota: quota, URL: urlOf(listeners[a.place])}); err != nil {
			return err
		}
	}
	// The civil office may issue vaccination credentials too, so that one accepted issuer is not the only one there is.
	for _, s := range []struct {
		schema  *credential.Schema
		issuers []string
	}{{n.schemas.residence, []string{CivilDID}}, {n.schemas.land, []string{LandDID}}, {n.schemas.vaccination, []string{CivilDID, HealthDID}}} {
		if err := r.schema(ctx, s.schema, s.issuers...); err != nil {
			return err
		}
	}
	for _, v := range verifiers {
		key, err := secrets.SigningKey(v.role+"-signing", jose.ES256)
		if err != nil {
			return err
		}
		if err := r.verifier(ctx, entry.VerifierRegistered{DID: v.did, Name: v.name, Keys: []jose.PublicKey{key.Public()}, ResponseURIs: []string{urlOf(listeners[v.place]) + "/"}}); err != nil {
			return err
		}
	}
	return r.sealed(ctx)
}

// firstView waits for the first sealed checkpoint of a new chain.
func (n *Network) firstView(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := n.Chain.Update(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger published no checkpoint: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (n *Network) startAgencies(serving context.Context, dir string, secrets *keystore.Store, listeners []net.Listener) error {
	// Registers that agencies share live in one process here.
	residents, parcels, err := n.openRegisters(dir, secrets)
	if err != nil {
		return err
	}
	enrolmentKey, err := n.Keys.VerifyingKey(circuits.Enrolment)
	if err != nil {
		return err
	}
	for _, a := range agencies {
		signing, err := secrets.SigningKey(a.role+"-signing", jose.EdDSA)
		if err != nil {
			return err
		}
		admin, err := secrets.SigningKey(a.role+"-admin", jose.EdDSA)
		if err != nil {
			return err
		}
		companion, err := secrets.SigningKey(a.role+"-companion", jose.ES256)
		if err != nil {
			return err
		}
		rows, recordKey, err := n.openRecords(filepath.Join(dir, a.role, "records"), a.role+"-records", secrets)
		if err != nil {
			return err
		}
		memory, err := memoryFile(dir, a.role)
		if err != nil {
			return err
		}
		chain, err := n.newClient(memory)
		if err != nil {
			return err
		}
		url := urlOf(listeners[a.place])
		approvals := map[string]int(nil)
		if a.did == CivilDID {
			approvals = civilApprovals
		}
		service, err := issuer.New(issuer.Config{
			DID: a.did, Name: a.name, URL: url, Genesis: n.Profile.Genesis, Schemas: n.schemas.of(a.did),
			Registers: []*issuer.Register{residents}, SubjectRegisters: []*issuer.SubjectRegister{parcels}, EnrolmentKey: enrolmentKey,
			Keys: issuer.Keys{Signing: signing, Admin: admin, Records: recordKey, Companion: companion}, Companions: typesOf(n.schemas.of(a.did)), Approvals: approvals, Store: rows, Ledger: chain, View: chain.Latest, Logger: n.logger,
		})
		if err != nil {
			return err
		}
		n.Agencies[a.did] = &Agency{service, a.name, url}
		api := service.Handler()
		handler, err := office.WithCasePages(service, api, webapi.RateConfig{}, office.Options{Logger: n.logger})
		if err != nil {
			return err
		}
		handler, err = office.WithConsole(service, handler, office.ConsoleConfig{Name: a.name, API: api, Explorer: n.ExplorerURL(), Clock: time.Now, Logger: n.logger})
		if err != nil {
			return err
		}
		n.serve(serving, listeners[a.place], handler)
		n.run(serving, a.did, service.Run)
	}
	return nil
}

func typesOf(schemas []*credential.Schema) (types []string) {
	for _, s := range schemas {
		types = append(types, s.Type)
	}
	return types
}

// openRegisters opens the enrolment register of residents and the subject register of parcels.
func (n *Network) openRegisters(dir string, secrets *keystore.Store) (*issuer.Register, *issuer.SubjectRegister, error) {
	rows, recordKey, err := n.openRecords(filepath.Join(dir, "registers"), "registers-records", secrets)
	if err != nil {
		return nil, nil, err
	}
	residents, err := issuer.NewRegister(issuer.RegisterConfig{Name: ResidentsRegister, Store: rows, RecordKey: recordKey})
	if err != nil {
		return nil, nil, err
	}
	parcelKey, err := secrets.Random("parcels-register", 32)
	if err != nil {
		return nil, nil, err
	}
	parcels, err := issuer.NewSubjectRegister(ParcelsRegister, parcelKey)
	return residents, parcels, err
}

func (n *Network) openRecords(dir, keyName string, secrets *keystore.Store) (*records.Pebble, []byte, error) {
	key, err := secrets.Random(keyName, issuer.RecordKeySize)
	if err != nil {
		return nil, nil, err
	}
	rows, err := records.Open(records.Config{Dir: dir, Key: key, Logger: n.logger})
	if err != nil {
		return nil, nil, err
	}
	n.closers = append(n.closers, rows.Close)
	return rows, key, nil
}

func (n *Network) startVerifiers(ctx, serving context.Context, dir string, secrets *keystore.Store, listeners []net.Listener) error {
	key, err := n.Keys.VerifyingKey(circuits.Presentation)
	if err != nil {
		return err
	}
	for _, v := range verifiers {
		signing, err := secrets.SigningKey(v.role+"-signing", jose.ES256)
		if err != nil {
			return err
		}
		result, err := secrets.SigningKey(v.role+"-result", jose.ES256)
		if err != nil {
			return err
		}
		api, err := secrets.SigningKey(v.role+"-api", jose.EdDSA)
		if err != nil {
			return err
		}
		sessions, err := secrets.Random(v.role+"-sessions", verifier.SessionKeySize)
		if err != nil {
			return err
		}
		rows, err := verifierstore.Open(verifierstore.Config{Dir: filepath.Join(dir, v.role, "store"), Logger: n.logger})
		if err != nil {
			return err
		}
		n.closers = append(n.closers, rows.Close)
		memory, err := memoryFile(dir, v.role)
		if err != nil {
			return err
		}
		chain, err := n.newClient(memory)
		if err != nil {
			return err
		}
		agencies, err := issuers.New(issuers.Config{Egress: egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
		if err != nil {
			return err
		}
		url := urlOf(listeners[v.place])
		service, err := verifier.New(verifier.Config{
			DID: v.did, PublicURL: url, SigningKey: signing, ResultKey: result, Policies: n.schemas.policiesOf(v.did),
			VerifyingKeys: [][]byte{key.Bytes()}, Ledger: chain, Store: rows, AccessKey: api, Logger: n.logger,
			Issuers: agencies, SessionKey: sessions, ReturnURIs: []string{"http://localhost:3000/", "http://127.0.0.1:3000/"},
		})
		if err != nil {
			return err
		}
		n.Verifiers[v.did] = &Verifier{service, v.did, url, verifier.Authority(url, api, time.Now)}
		if _, err := service.Register(ctx, chain); err != nil {
			return err
		}
		n.serve(serving, listeners[v.place], office.WithPages(service, service.Handler(), n.Wallet, webapi.RateConfig{}, office.Options{Logger: n.logger}))
		n.run(serving, v.did, service.Run) // purges old sessions
	}
	return nil
}
