package bulk

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/bulla-id/bulla/credential"
)

// The columns that are no claims.
const (
	columnID      = "external_id"
	columnPerson  = "person"
	columnSubject = "subject"
	columnFrom    = "valid_from"
	columnUntil   = "valid_until"
	claimPrefix   = "claim."
)

var ownColumns = []string{columnID, columnPerson, columnSubject, columnFrom, columnUntil}

// table is a CSV file behind its line of column names.
type table struct {
	csv     *csv.Reader
	bound   *bound
	schema  *credential.Schema
	columns []string // plain names; claims with their prefix
}

func newTable(file *bufio.Reader, schema *credential.Schema) (*table, error) {
	b := &bound{r: file}
	b.more()
	r := csv.NewReader(b)
	r.FieldsPerRecord = -1 // counted here, with a row's number
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, ErrFile) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: there is no line of column names", ErrFile)
	}
	t := &table{csv: r, bound: b, schema: schema}
	for i, name := range header {
		column, err := t.column(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("%w: column %d: %w", ErrFile, i+1, err)
		}
		if slices.Contains(t.columns, column) {
			return nil, fmt.Errorf("%w: column %d: %s stands twice", ErrFile, i+1, column)
		}
		t.columns = append(t.columns, column)
	}
	for _, needed := range []string{columnID, columnPerson, columnUntil} {
		if !slices.Contains(t.columns, needed) {
			return nil, fmt.Errorf("%w: there is no column %s", ErrFile, needed)
		}
	}
	return t, nil
}

var errColumn = errors.New("it is neither a column that every file may have nor a claim of the schema; if its characters look wrong, the encoding is another")

// column is the plain name of a column that may be named in several ways.
func (t *table) column(name string) (string, error) {
	if slices.Contains(ownColumns, name) {
		return name, nil
	}
	if plain, prefixed := strings.CutPrefix(name, claimPrefix); prefixed {
		if _, known := t.schema.Slot(plain); known {
			return name, nil
		}
		return "", errColumn
	}
	var found []string
	for _, c := range t.schema.Claims {
		if name == c.Name || name == c.Title("en") || name == c.Title("zh-CN") {
			found = append(found, claimPrefix+c.Name)
		}
	}
	switch len(found) {
	case 0:
		return "", errColumn
	case 1:
		return found[0], nil
	}
	return "", errors.New("several claims of the schema have that title: use a claim's name")
}

// next reads one record.
func (t *table) next() (row Row, problem *Problem, err error) {
	t.bound.more()
	cells, err := t.csv.Read()
	var malformed *csv.ParseError
	switch {
	case errors.As(err, &malformed):
		return row, &Problem{Code: Malformed, Detail: "quotation marks do not match"}, nil
	case err != nil:
		return row, nil, err
	case len(cells) != len(t.columns):
		return row, &Problem{Code: WrongCells, Detail: fmt.Sprintf("%d cells, but %d columns", len(cells), len(t.columns))}, nil
	}
	row.Claims = make(credential.Claims)
	for i, cell := range cells {
		if problem := t.set(&row, t.columns[i], strings.TrimSpace(cell)); problem != nil {
			return Row{}, problem, nil
		}
	}
	return row, nil, nil
}

// set puts a cell where it belongs.
func (t *table) set(row *Row, column, cell string) *Problem {
	if !sound(cell) {
		return &Problem{Column: column, Code: Malformed, Detail: "bytes that are no character: the encoding is another"}
	}
	// Spreadsheets write some characters in two ways; a credential has one.
	cell = norm.NFC.String(cell)
	switch column {
	case columnID:
		row.ExternalID = cell
	case columnPerson:
		row.Person = cell
	case columnSubject:
		row.Subject = cell
	case columnFrom:
		row.ValidFrom = cell
	case columnUntil:
		row.ValidUntil = cell
	default:
		return t.setClaim(row, strings.TrimPrefix(column, claimPrefix), cell)
	}
	return nil
}

func (t *table) setClaim(row *Row, name, cell string) *Problem {
	if cell == "" {
		return nil
	}
	slot, _ := t.schema.Slot(name) // it was looked up for the column
	if t.schema.Claims[slot].Type != credential.Boolean {
		row.Claims[name] = cell
		return nil
	}
	switch strings.ToLower(cell) {
	case "true", "yes", "是":
		row.Claims[name] = true
	case "false", "no", "否":
		row.Claims[name] = false
	default:
		return &Problem{Column: name, Code: WrongValue, Detail: "want true or false"}
	}
	return nil
}

// bound ends a record that is too long: a quotation mark that is never closed would make one of the rest of the file.
type bound struct {
	r    io.Reader
	left int
}

// more begins a record. Some of it may have been read with the one before.
func (b *bound) more() { b.left = MaxRecord }

// Read implements [io.Reader].
func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: a row has more than %d bytes, or a quotation mark is never closed", ErrFile, MaxRecord)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Template is the line of column names for a schema, with its claims' titles in a language, as a CSV file in UTF-8 with a byte
// order mark, without which spreadsheets take it for another encoding.
func Template(w io.Writer, schema *credential.Schema, language string) error {
	header := []string{columnID, columnPerson}
	if schema.SubjectRegister != "" {
		header = append(header, columnSubject)
	}
	header = append(header, columnFrom, columnUntil)
	t := table{schema: schema}
	for _, c := range schema.Claims {
		name := c.Title(language)
		if column, err := t.column(name); err != nil || column != claimPrefix+c.Name {
			name = claimPrefix + c.Name
		}
		header = append(header, name)
	}
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
