// Package bulk reads files in which an agency hands in many applications at once: CSV from a spreadsheet, in UTF-8 or
// GB18030, or JSON Lines from another program. It knows the form of a file and of a claim's text; whether an application
// can be taken is the issuer's to say.
//
// A CSV file begins with a line of column names: external_id, person, subject, valid_from and valid_until, and the
// claims of the schema by their names or by their titles in either language. A claim that is named like one of the first
// stands as claim.NAME. Cells that are empty are absent. [Template] writes such a line.
//
// A line of JSON Lines is an object with the members of [Row].
package bulk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"github.com/bulla-id/bulla/credential"
)

// Row is one application as it stands in a file.
type Row struct {
	// ExternalID is the agency's own number of the application: handed in again, it is the same application.
	ExternalID string            `json:"external_id"`
	Person     string            `json:"person"`
	Subject    string            `json:"subject,omitempty"`
	ValidFrom  string            `json:"valid_from,omitempty"`
	ValidUntil string            `json:"valid_until"`
	Claims     credential.Claims `json:"claims"`
}

// Problem is what is wrong with a row. It names the place and never quotes what stands there.
type Problem struct {
	Row    int    `json:"row"`              // from 1; the line of column names is not one
	Column string `json:"column,omitempty"` // as the file or the schema names it
	Code   Code   `json:"code"`
	Detail string `json:"detail"` // in English
}

// Error is for people.
func (p Problem) Error() string {
	if p.Column == "" {
		return fmt.Sprintf("row %d: %s", p.Row, p.Detail)
	}
	return fmt.Sprintf("row %d, column %s: %s", p.Row, p.Column, p.Detail)
}

// Code tells programs what is wrong with a row.
type Code string

// The codes of this package; an issuer adds its own.
const (
	Malformed   Code = "malformed"    // not a CSV record or JSON object of the form above
	WrongCells  Code = "wrong-cells"  // more or fewer cells than there are columns
	WrongValue  Code = "wrong-value"  // a cell does not have the claim's type
	MissingCell Code = "missing-cell" // what every row must have
)

// ErrFile is returned for a file that cannot be read on, whatever its rows: it is too large, of another encoding than was
// said, or its column names are not those of the schema.
var ErrFile = errors.New("the file cannot be read")

// Bounds of a file.
const (
	MaxFile   = 256 << 20 // bytes
	MaxRecord = 64 << 10  // bytes of a row, as UTF-8
)

// Format is how rows are written.
type Format string

// The formats.
const (
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
)

// Encoding is how characters are written.
type Encoding string

// The encodings. JSON Lines are always UTF-8.
const (
	UTF8    Encoding = "utf-8" // with or without a byte order mark
	GB18030 Encoding = "gb18030"
)

// Reader reads the rows of one file.
type Reader struct {
	row  int
	next func() (Row, *Problem, error)
}

// NewReader begins to read a file of applications for credentials of a schema. Errors are [ErrFile].
func NewReader(file io.Reader, format Format, encoding Encoding, schema *credential.Schema) (*Reader, error) {
	decoded, err := decode(&limited{r: file, left: MaxFile}, format, encoding)
	if err != nil {
		return nil, err
	}
	r := new(Reader)
	switch format {
	case CSV:
		t, err := newTable(decoded, schema)
		if err != nil {
			return nil, err
		}
		r.next = t.next
	case JSONLines:
		r.next = lines(decoded)
	default:
		return nil, fmt.Errorf("%w: format %.20q is neither %s nor %s", ErrFile, format, CSV, JSONLines)
	}
	return r, nil
}

// Next is the next row, or what is wrong with it, or [io.EOF]. Any other error is [ErrFile], and the last.
func (r *Reader) Next() (Row, *Problem, error) {
	row, problem, err := r.next()
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFile) {
			err = fmt.Errorf("%w behind row %d", ErrFile, r.row) // the cause could quote it
		}
		return Row{}, nil, err
	}
	r.row++
	if problem == nil {
		problem = row.incomplete()
	}
	if problem != nil {
		problem.Row = r.row
		return Row{}, problem, nil
	}
	return row, nil, nil
}

// incomplete names the first of the cells that every row must have and this one has not.
func (r Row) incomplete() *Problem {
	for _, cell := range []struct{ name, value string }{{columnID, r.ExternalID}, {columnPerson, r.Person}, {columnUntil, r.ValidUntil}} {
		if cell.value == "" {
			return &Problem{Column: cell.name, Code: MissingCell, Detail: "every row has one"}
		}
	}
	return nil
}

// limited ends a file that is too large with an error, where io.LimitReader would cut it off.
type limited struct {
	r    io.Reader
	left int64
}

// Read implements [io.Reader].
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: it has more than %d bytes", ErrFile, MaxFile)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// decode turns a file into UTF-8 without a byte order mark.
func decode(file io.Reader, format Format, encoding Encoding) (*bufio.Reader, error) {
	switch {
	case encoding == GB18030 && format == CSV:
		file = transform.NewReader(file, simplifiedchinese.GB18030.NewDecoder())
	case encoding != UTF8:
		return nil, fmt.Errorf("%w: encoding %.20q of %.20q", ErrFile, encoding, format)
	}
	r := bufio.NewReader(file)
	if mark, err := r.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = r.Discard(len(mark)) // was peeked
	}
	return r, nil
}

// sound tells whether text is what the file's author wrote: a decoder puts U+FFFD for bytes that mean nothing.
func sound(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r == utf8.RuneError {
			return false
		}
	}
	return true
}
