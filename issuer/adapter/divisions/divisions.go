// Package divisions knows China's administrative divisions by their GB/T 2260 codes: province, city, district.
package divisions

import (
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// District is a division of the third level (district, county, county-level city) with those above it.
type District struct {
	Code                   string // six digits; the first two are the province's, the first four the city's
	Name, City, Province   string // in Chinese
	CityCode, ProvinceCode string // four and two digits
}

// placeholders are names of the second level that stand for "directly below the province".
var placeholders = []string{"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}

// CityName is the city, or the province where the second level is only a placeholder, as in municipalities.
func (d District) CityName() string {
	if slices.Contains(placeholders, d.City) {
		return d.Province
	}
	return d.City
}

// FullName is the name from the top down, as in 浙江省杭州市西湖区.
func (d District) FullName() string {
	if d.CityName() == d.Province {
		return d.Province + d.Name
	}
	return d.Province + d.City + d.Name
}

// Register is a set of districts. It is read-only and may be used concurrently.
type Register struct {
	districts []District // by code, ascending
}

// Lookup finds a district by its six digits.
func (r *Register) Lookup(code string) (District, bool) {
	i, found := slices.BinarySearchFunc(r.districts, code, func(d District, code string) int {
		return strings.Compare(d.Code, code)
	})
	if !found {
		return District{}, false
	}
	return r.districts[i], true
}

// Districts are all districts, ascending by code.
func (r *Register) Districts() []District { return slices.Clone(r.districts) }

// InCity are the districts of a city, by its four digits, ascending by code.
func (r *Register) InCity(code string) []District {
	var found []District
	for _, d := range r.districts {
		if d.CityCode == code {
			found = append(found, d)
		}
	}
	return found
}

const maxRows = 10_000 // of a file

// Read reads the three files of a register. Every district must have its city, every city its province, and every code
// must begin with its parent's.
func Read(provinces, cities, areas io.Reader) (*Register, error) {
	provinceRows, err := readTable(provinces, 2, "code", "name")
	if err != nil {
		return nil, fmt.Errorf("provinces: %w", err)
	}
	provinceNames := map[string]string{}
	for _, row := range provinceRows {
		provinceNames[row[0]] = row[1]
	}
	cityRows, err := readTable(cities, 4, "code", "name", "provinceCode")
	if err != nil {
		return nil, fmt.Errorf("cities: %w", err)
	}
	cityNames := map[string]string{}
	for _, row := range cityRows {
		if err := validateParent(row[0], row[2], 2, provinceNames); err != nil {
			return nil, fmt.Errorf("cities: %w", err)
		}
		cityNames[row[0]] = row[1]
	}
	areaRows, err := readTable(areas, 6, "code", "name", "cityCode", "provinceCode")
	if err != nil {
		return nil, fmt.Errorf("areas: %w", err)
	}
	r := new(Register)
	for _, row := range areaRows {
		if err := errors.Join(validateParent(row[0], row[2], 4, cityNames), validateParent(row[0], row[3], 2, provinceNames)); err != nil {
			return nil, fmt.Errorf("areas: %w", err)
		}
		r.districts = append(r.districts, District{Code: row[0], Name: row[1], City: cityNames[row[2]], CityCode: row[2],
			Province: provinceNames[row[3]], ProvinceCode: row[3]})
	}
	slices.SortFunc(r.districts, func(a, b District) int { return strings.Compare(a.Code, b.Code) })
	return r, nil
}

func validateParent(code, parent string, digits int, names map[string]string) error {
	if parent != code[:digits] {
		return fmt.Errorf("code %s does not begin with that of its parent, %q", code, parent)
	}
	if _, found := names[parent]; !found {
		return fmt.Errorf("code %s: its parent %s is not listed", code, parent)
	}
	return nil
}

var digitsPattern = regexp.MustCompile(`^[1-9][0-9]*$`)

// readTable reads a CSV with exactly these columns in this order, codes of that many digits, none twice.
func readTable(r io.Reader, digits int, header ...string) ([][]string, error) {
	rows := csv.NewReader(io.LimitReader(r, 4<<20))
	first, err := rows.Read()
	if err != nil || !slices.Equal(first, header) {
		return nil, fmt.Errorf("the first line must be %s", strings.Join(header, ","))
	}
	seen := map[string]bool{}
	var table [][]string
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return table, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a row: %w", err)
		}
		line, _ := rows.FieldPos(0)
		switch code, name := row[0], row[1]; {
		case len(code) != digits || !digitsPattern.MatchString(code):
			return nil, fmt.Errorf("line %d, column code: %.20q has not %d digits", line, code, digits)
		case seen[code]:
			return nil, fmt.Errorf("line %d, column code: %s stands twice", line, code)
		case name == "" || len(name) > 128 || strings.ToValidUTF8(name, "") != name || !norm.NFC.IsNormalString(name):
			return nil, fmt.Errorf("line %d, column name: %.40q is no name in normal form", line, name)
		case len(table) == maxRows:
			return nil, fmt.Errorf("more than %d rows", maxRows)
		}
		seen[row[0]] = true
		table = append(table, row)
	}
}

//go:embed data/*.csv
var data embed.FS

// China is the register of the mainland's 2,978 districts, read once.
var China = sync.OnceValues(func() (*Register, error) {
	var files []io.Reader
	for _, name := range []string{"provinces", "cities", "areas"} {
		file, err := data.Open("data/" + name + ".csv")
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return Read(files[0], files[1], files[2])
})
