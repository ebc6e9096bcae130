// Package cadastre imports land parcels from CSV exports of the French cadastre and turns them into claims of a land
// title.
//
// A file is taken whole or not at all: the first row that breaks a rule is named by line and column, so that a registry
// never works with half a commune.
package cadastre

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parcel is a piece of land. Its id follows it through splits of ownership, so subject keys are derived from it.
type Parcel struct {
	ID      string // 14 characters: commune (5), prefix (3), section (2), number (4)
	Commune string // INSEE code: five digits, or 2A or 2B and three digits in Corsica
	Section string // one or two of A-Z and 0-9, without the zero that pads it in the id
	Number  int    // 1 to 9999
	Area    *int64 // m², nil if the export does not say
	Created string // 2004-02-25, or empty
	Updated string // 2015-05-12, or empty
}

const (
	maxBytes = 256 << 20 // of a file; the largest commune has some 20 MB
	maxRows  = 1_000_000
	maxArea  = 1e11 // m²: the largest commune has some 1.8e10
)

// columns are the names of a header. Those not listed here (coordinates, surveyed or not) are skipped.
var columns = map[string][]string{
	"id":      {"id"},
	"commune": {"commune"},
	"section": {"section"},
	"number":  {"numero"},
	"area":    {"contenance_m2", "contenance"},
	"created": {"created"},
	"updated": {"updated"},
}

var required = []string{"id", "commune", "section", "number"}

// Read reads a whole export: UTF-8, with or without a byte order mark, commas, a header line.
func Read(r io.Reader) ([]Parcel, error) {
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	rows := csv.NewReader(skipBOM(limited))
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	at, err := locate(header)
	if err != nil {
		return nil, err
	}
	table := table{rows: rows, at: at, seen: map[string]int{}}
	parcels, err := table.readAll()
	if err == nil && limited.N == 0 {
		err = fmt.Errorf("more than %d bytes", maxBytes)
	}
	if err != nil {
		return nil, err
	}
	if len(parcels) == 0 {
		return nil, errors.New("the file has a header and no parcels")
	}
	return parcels, nil
}

func skipBOM(r io.Reader) io.Reader {
	var start [3]byte
	n, err := io.ReadFull(r, start[:])
	head := string(start[:n])
	if err == nil && head == "\xef\xbb\xbf" {
		return r
	}
	return io.MultiReader(strings.NewReader(head), r)
}

// locate finds the columns by name.
func locate(header []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range header {
		if slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("the header has column %q twice", name)
		}
		for field, names := range columns {
			if !slices.Contains(names, name) {
				continue
			}
			if _, twice := at[field]; twice {
				return nil, fmt.Errorf("the header has two columns for the %s: one of %s", field, strings.Join(names, ", "))
			}
			at[field] = i
		}
	}
	for _, field := range required {
		if _, found := at[field]; !found {
			return nil, fmt.Errorf("the header has no column %q", columns[field][0])
		}
	}
	return at, nil
}

// table reads rows below a header.
type table struct {
	rows *csv.Reader
	at   map[string]int // field to column
	seen map[string]int // parcel id to line
}

func (t *table) readAll() ([]Parcel, error) {
	var parcels []Parcel
	for {
		row, err := t.rows.Read()
		if err == io.EOF {
			return parcels, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		if len(parcels) == maxRows {
			return nil, fmt.Errorf("more than %d rows", maxRows)
		}
		line, _ := t.rows.FieldPos(0)
		parcel, err := t.parse(row)
		if err != nil {
			return nil, fmt.Errorf("line %d, %w", line, err)
		}
		if first, twice := t.seen[parcel.ID]; twice {
			return nil, fmt.Errorf("line %d, column id: parcel %s stands already in line %d", line, parcel.ID, first)
		}
		t.seen[parcel.ID] = line
		parcels = append(parcels, parcel)
	}
}

var (
	idPattern      = regexp.MustCompile(`^(?:[0-9]{5}|2[AB][0-9]{3})[0-9A-Z]{3}[0-9A-Z]{2}[0-9]{4}$`)
	communePattern = regexp.MustCompile(`^(?:[0-9]{5}|2[AB][0-9]{3})$`)
	sectionPattern = regexp.MustCompile(`^[0-9A-Z]{1,2}$`)
)

func (t *table) parse(row []string) (Parcel, error) {
	parcel := Parcel{ID: t.field(row, "id"), Commune: t.field(row, "commune"), Section: trimZero(t.field(row, "section")),
		Created: t.field(row, "created"), Updated: t.field(row, "updated")}
	var err error
	switch {
	case !idPattern.MatchString(parcel.ID):
		return Parcel{}, t.bad(row, "id", "not a parcel id like 91216000AB0037")
	case !communePattern.MatchString(parcel.Commune) || parcel.ID[:5] != parcel.Commune:
		return Parcel{}, t.bad(row, "commune", "not the commune of parcel "+parcel.ID)
	case !sectionPattern.MatchString(parcel.Section) || trimZero(parcel.ID[8:10]) != parcel.Section:
		return Parcel{}, t.bad(row, "section", "not the section of parcel "+parcel.ID)
	}
	if parcel.Number, err = parseNumber(t.field(row, "number")); err != nil || parcel.ID[10:] != fmt.Sprintf("%04d", parcel.Number) {
		return Parcel{}, t.bad(row, "number", "not the number of parcel "+parcel.ID)
	}
	if parcel.Area, err = parseArea(t.field(row, "area")); err != nil {
		return Parcel{}, t.bad(row, "area", err.Error())
	}
	for field, text := range map[string]string{"created": parcel.Created, "updated": parcel.Updated} {
		if _, err := time.Parse(time.DateOnly, text); text != "" && err != nil {
			return Parcel{}, t.bad(row, field, "not a date like 2004-02-25")
		}
	}
	return parcel, nil
}

// field is a value of a row, empty if the file has no such column.
func (t *table) field(row []string, name string) string {
	if i, found := t.at[name]; found {
		return row[i]
	}
	return ""
}

func (t *table) bad(row []string, name, reason string) error {
	return fmt.Errorf("column %d (%s): %.40q is %s", t.at[name]+1, columns[name][0], t.field(row, name), reason)
}

// trimZero takes off the zero that pads a section of one letter or digit.
func trimZero(section string) string {
	if len(section) == 2 {
		return strings.TrimPrefix(section, "0")
	}
	return section
}

// parseNumber reads 1 to 9999, with or without leading zeros.
func parseNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || n > 9999 || len(text) > 4 {
		return 0, errors.New("not 1 to 9999")
	}
	return int(n), nil
}

// parseArea reads whole square metres; an empty one is not known.
func parseArea(text string) (*int64, error) {
	if text == "" {
		return nil, nil
	}
	area, err := strconv.ParseInt(text, 10, 64)
	if err != nil || area < 0 || area > maxArea || strconv.FormatInt(area, 10) != text {
		return nil, errors.New("not a whole number of square metres")
	}
	return &area, nil
}

//go:embed data/91216.csv
var epinay string

// Epinay are the parcels of Épinay-sur-Orge (INSEE 91216), in the order of the export.
func Epinay() ([]Parcel, error) {
	parcels, err := Read(strings.NewReader(epinay))
	if err != nil {
		return nil, fmt.Errorf("parcels of 91216: %w", err)
	}
	return parcels, nil
}
