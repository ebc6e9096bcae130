package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/issuer/bulk"
	"github.com/bulla-id/bulla/issuer/records"
)

// importRows is how many rows a file has. Runs after the first file theirs into the store that the ones before left larger.
const importRows = 100_000

// importMeasures: an agency reads a CSV file of residents, checks each row and files it for four eyes, encrypted, with a synced commit for
// each [issuer.ImportBatch]. The agency is begun when it is first needed, and closed by close.
func importMeasures(runs int, dir string, p *proofs) (list []measure, close func()) {
	var begun *backOffice
	begin := sync.OnceValues(func() (_ *backOffice, err error) {
		begun, err = newBackOffice(dir, p)
		return begun, err
	})
	list = []measure{{"issuer_import", "rows/s", runs, false, func(ctx context.Context) (float64, error) {
		a, err := begin()
		if err != nil {
			return 0, err
		}
		return a.importFile(ctx)
	}}}
	return list, func() {
		if begun != nil {
			begun.close()
		}
	}
}

// backOffice is an issuer on a chain of its own.
type backOffice struct {
	*issuer.Issuer
	chain   *chain
	host    *host
	rows    *records.Pebble
	schema  *credential.Schema
	imports int
}

func newBackOffice(dir string, p *proofs) (a *backOffice, err error) {
	a = &backOffice{schema: divisions.ResidenceSchema(register)}
	defer func() {
		if err != nil {
			a.close()
			a, err = nil, fmt.Errorf("begin an agency: %w", err)
		}
	}()
	if a.chain, err = newChain(chainConfig{dir: filepath.Join(dir, "ledger"), agencies: 1, interval: 1}); err != nil {
		return a, err
	}
	if err := a.chain.open(); err != nil {
		return a, err
	}
	if a.host, err = a.chain.serve(); err != nil {
		return a, err
	}
	cfg, err := a.config(filepath.Join(dir, "records"), p)
	if err != nil {
		return a, err
	}
	a.Issuer, err = issuer.New(cfg)
	return a, err
}

func (a *backOffice) config(dir string, p *proofs) (cfg issuer.Config, err error) {
	development, err := p.keys()
	if err != nil {
		return cfg, err
	}
	enrolment, err := development.VerifyingKey(circuits.Enrolment)
	if err != nil {
		return cfg, err
	}
	client, err := a.chain.client(a.host, http.DefaultTransport)
	if err != nil {
		return cfg, err
	}
	admin, err := jose.Generate(jose.EdDSA)
	if err != nil {
		return cfg, err
	}
	key := make([]byte, issuer.RecordKeySize)
	rand.Read(key)
	if a.rows, err = records.Open(records.Config{Dir: dir, Key: key}); err != nil {
		return cfg, err
	}
	persons, err := issuer.NewRegister(issuer.RegisterConfig{Name: register, Store: a.rows, RecordKey: key})
	if err != nil {
		return cfg, err
	}
	self := a.chain.agencies[0]
	return issuer.Config{
		DID: self.did, Name: credential.Text{English: "Agency", Chinese: "机构"}, URL: "https://agency.example", Genesis: a.chain.genesis,
		Schemas: []*credential.Schema{a.schema}, Registers: []*issuer.Register{persons}, EnrolmentKey: enrolment,
		Approvals: map[string]int{a.schema.Type: 1}, Keys: issuer.Keys{Signing: self.key, Admin: admin, Records: key}, Store: a.rows, Ledger: client,
	}, nil
}

func (a *backOffice) close() {
	if a.rows != nil {
		_ = a.rows.Close() // the folder is removed next
	}
	if a.host != nil {
		a.host.close()
	}
	if a.chain != nil {
		a.chain.close()
	}
}

// importFile returns the rows a second of a file that was not imported before.
func (a *backOffice) importFile(ctx context.Context) (float64, error) {
	a.imports++
	file, err := bulk.NewReader(strings.NewReader(residents(a.imports)), bulk.CSV, bulk.UTF8, a.schema)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	done, err := a.Import(ctx, "https://agency.example|bench", a.schema.Type, file, false, silent{})
	if err == nil && done != (issuer.ImportProgress{Rows: importRows, Filed: importRows}) {
		err = fmt.Errorf("an import of %d rows came to %+v", importRows, done)
	}
	return importRows / time.Since(start).Seconds(), err
}

// residents is the nth file: nobody is in it twice, or in another one.
func residents(n int) string {
	var file strings.Builder
	file.WriteString("external_id,person,valid_until,district,city,province,since\n")
	for row := range importRows {
		fmt.Fprintf(&file, "%d-%d,person %d of file %d,2099-12-31,110108,北京市,北京市,2024-02-29\n", n, row, row, n)
	}
	return file.String()
}

// silent takes reports. Problems end the import: there should be none.
type silent struct{}

func (silent) Case(issuer.ImportCase) error         { return nil }
func (silent) Problem(p bulk.Problem) error         { return p }
func (silent) Progress(issuer.ImportProgress) error { return nil }
