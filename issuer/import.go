package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bulla-id/bulla/issuer/bulk"
)

// Import files the applications of a file, some at a time, each with its commit. A file that broke off, for whatever reason, is handed in
// again: what was filed under its external id before is found again, and filed once.

// ImportBatch is how many rows are one commit.
const ImportBatch = 250

// ImportProgress is how far an import is.
type ImportProgress struct {
	Rows     int `json:"rows"`     // read so far
	Filed    int `json:"filed"`    // or, in a dry run, could be
	Again    int `json:"again"`    // filed before
	Problems int `json:"problems"` // rows that were not filed
}

// ImportCase is what became of a row that was filed.
type ImportCase struct {
	Row   int    `json:"row"`
	ID    string `json:"id,omitempty"`   // of the case; none in a dry run
	Link  string `json:"link,omitempty"` // secret of the person's private link, once
	Again bool   `json:"again,omitempty"`
}

// ImportReport is told of an import as it goes on. It is called by one goroutine.
type ImportReport interface {
	Case(ImportCase) error
	Problem(bulk.Problem) error
	Progress(ImportProgress) error
}

// importRow is a row that is sound by itself.
type importRow struct {
	number int
	filing Filing
}

// Import reads a file and files what it can: rows that cannot be are reported, and the others go on. A dry run files nothing. Errors
// are [bulk.ErrFile], those of report, or of ctx; what was filed until then stays.
func (i *Issuer) Import(ctx context.Context, by Officer, schemaType string, file *bulk.Reader, dryRun bool, report ImportReport) (p ImportProgress, err error) {
	if err := by.validate(); err != nil {
		return p, err
	}
	in := &importing{i: i, by: by, dry: dryRun, report: report, seen: make(map[string]int)}
	for {
		if err := ctx.Err(); err != nil {
			return in.done, err
		}
		row, problem, err := file.Next()
		switch {
		case errors.Is(err, io.EOF):
			return in.done, in.flush()
		case err != nil:
			return in.done, errors.Join(in.flush(), err)
		}
		in.done.Rows++
		if problem != nil {
			err = in.refuse(*problem)
		} else {
			err = in.add(schemaType, row)
		}
		if err != nil {
			return in.done, err
		}
	}
}

// importing is an import under way.
type importing struct {
	i      *Issuer
	by     Officer
	dry    bool
	report ImportReport
	done   ImportProgress
	rows   []importRow
	seen   map[string]int // row of each external id
}

// add checks a row, and files the batch when it is full.
func (in *importing) add(schemaType string, row bulk.Row) error {
	number := in.done.Rows
	if first, twice := in.seen[row.ExternalID]; twice {
		return in.refuse(bulk.Problem{Row: number, Column: "external_id", Code: bulk.Code(ErrExternalID.Code), Detail: fmt.Sprintf("row %d has the same", first)})
	}
	in.seen[row.ExternalID] = number
	filing := Filing{Kind: CaseIssue, ExternalID: row.ExternalID, Application: &Application{
		Person: row.Person, Schema: schemaType, Claims: row.Claims, Subject: row.Subject, ValidFrom: row.ValidFrom, ValidUntil: row.ValidUntil,
	}}
	if _, err := in.i.checkFiling(&filing); err != nil {
		return in.refused(number, err)
	}
	if in.rows = append(in.rows, importRow{number, filing}); len(in.rows) < ImportBatch {
		return nil
	}
	return in.flush()
}

// refused reports why a row cannot be filed; what is no refusal ends the import.
func (in *importing) refused(number int, err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return in.refuse(bulk.Problem{Row: number, Column: refusal.Claim, Code: bulk.Code(refusal.Code), Detail: refusal.Detail})
}

func (in *importing) refuse(p bulk.Problem) error {
	in.done.Problems++
	return in.report.Problem(p)
}

// flush files the rows that wait, in one commit, and tells how far it is.
func (in *importing) flush() error {
	var filed []ImportCase
	var problems []func() error
	var err error
	if in.dry {
		in.done.Filed += len(in.rows)
	} else if filed, problems, err = in.commit(); err != nil {
		return err
	}
	in.rows = in.rows[:0]
	for _, c := range filed {
		if c.Again {
			in.done.Again++
		} else {
			in.done.Filed++
		}
		if err := in.report.Case(c); err != nil {
			return err
		}
	}
	for _, problem := range problems {
		if err := problem(); err != nil {
			return err
		}
	}
	if err := in.report.Progress(in.done); err != nil || in.dry {
		return err
	}
	in.i.webhooks.Wake()
	return in.i.takeUp()
}

func (in *importing) commit() (filed []ImportCase, problems []func() error, err error) {
	in.i.mu.Lock()
	defer in.i.mu.Unlock()
	tx := begin(in.i.cfg.Store)
	for _, row := range in.rows {
		c, link, err := in.i.fileIn(tx, in.by, row.filing.Application.Schema, row.filing)
		var refusal *Refusal
		switch {
		case errors.As(err, &refusal):
			problems = append(problems, func() error { return in.refused(row.number, refusal) })
		case err != nil:
			return nil, nil, err
		default:
			filed = append(filed, ImportCase{row.number, c.ID, link, link == ""})
		}
	}
	return filed, problems, tx.commit()
}
