package bulk_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer/bulk"
)

// title has a claim of each type, one of them named like a column of every file.
var title = &credential.Schema{
	Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister, SubjectRegister: "parcels",
	Claims: []credential.ClaimType{
		{Name: "area", Type: credential.Integer, Display: &credential.Text{English: "Area", Chinese: "面积"}},
		{Name: "mortgaged", Type: credential.Boolean, Optional: true, Display: &credential.Text{English: "Mortgaged", Chinese: "抵押"}},
		{Name: "commune", Type: credential.String, Optional: true},
		{Name: "person", Type: credential.String, Optional: true},
	},
}

// all reads a file to its end.
func all(t testing.TB, file string, format bulk.Format, encoding bulk.Encoding) (rows []bulk.Row, problems []bulk.Problem, err error) {
	t.Helper()
	r, err := bulk.NewReader(strings.NewReader(file), format, encoding, title)
	if err != nil {
		return nil, nil, err
	}
	for {
		row, problem, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return rows, problems, nil
		case err != nil:
			return rows, problems, err
		case problem != nil:
			problems = append(problems, *problem)
		default:
			rows = append(rows, row)
		}
	}
}

func TestCSV(t *testing.T) {
	file := "\uFEFFexternal_id,person, 面积 ,Mortgaged,claim.person,subject,valid_until\r\n" +
		"a-1,Li Wei,1250,是,owner,91216000AB0037,2030-12-31\r\n" +
		"a-2,\"Wang, Fang\",7,,,91216000AB0026,2030-12-31\r\n"
	rows, problems, err := all(t, file, bulk.CSV, bulk.UTF8)
	if err != nil || len(problems) > 0 || len(rows) != 2 {
		t.Fatalf("%d rows, %v, %v", len(rows), problems, err)
	}
	first := rows[0]
	if first.ExternalID != "a-1" || first.Person != "Li Wei" || first.Subject != "91216000AB0037" || first.ValidUntil != "2030-12-31" ||
		first.Claims["area"] != "1250" || first.Claims["mortgaged"] != true || first.Claims["person"] != "owner" || len(first.Claims) != 3 {
		t.Errorf("first row %+v", first)
	}
	if second := rows[1]; second.Person != "Wang, Fang" || len(second.Claims) != 1 {
		t.Errorf("second row %+v", second)
	}
}

// The same spreadsheet in either encoding is the same rows; in the wrong one it is refused, not misread.
func TestEncodings(t *testing.T) {
	file := "external_id,person,面积,valid_until\na-1,李伟,1250,2030-12-31\n"
	legacy, err := simplifiedchinese.GB18030.NewEncoder().String(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file     string
		encoding bulk.Encoding
	}{"UTF-8": {file, bulk.UTF8}, "GB18030": {legacy, bulk.GB18030}} {
		rows, problems, err := all(t, test.file, bulk.CSV, test.encoding)
		if err != nil || len(problems) > 0 || len(rows) != 1 || rows[0].Person != "李伟" {
			t.Errorf("%s: %+v, %v, %v", name, rows, problems, err)
		}
	}
	if _, _, err := all(t, legacy, bulk.CSV, bulk.UTF8); !errors.Is(err, bulk.ErrFile) {
		t.Errorf("GB18030 read as UTF-8: %v", err)
	}
	rows, problems, err := all(t, "external_id,person,area,valid_until\na-1,"+strings.Split(legacy, ",")[4]+",1,2030-12-31\n", bulk.CSV, bulk.UTF8)
	if err == nil && len(problems) == 0 {
		t.Errorf("names in another encoding than the titles were read as %+v", rows)
	}
}

func TestRowsThatAreWrong(t *testing.T) {
	const header = "external_id,person,area,mortgaged,valid_until\n"
	for name, test := range map[string]struct {
		line   string
		code   bulk.Code
		column string
	}{
		"too few cells":         {"a,b", bulk.WrongCells, ""},
		"too many cells":        {"a,b,1,,2030-12-31,x", bulk.WrongCells, ""},
		"no number":             {",b,1,,2030-12-31", bulk.MissingCell, "external_id"},
		"no person":             {"a, ,1,,2030-12-31", bulk.MissingCell, "person"},
		"no end":                {"a,b,1,,", bulk.MissingCell, "valid_until"},
		"neither true nor not":  {"a,b,1,maybe,2030-12-31", bulk.WrongValue, "mortgaged"},
		"a quotation mark":      {`a,b"c,1,,2030-12-31`, bulk.Malformed, ""},
		"bytes of no character": {"a,b\xff,1,,2030-12-31", bulk.Malformed, "person"},
	} {
		rows, problems, err := all(t, header+"z,y,1,true,2030-12-31\n"+test.line+"\nz2,y,1,true,2030-12-31\n", bulk.CSV, bulk.UTF8)
		if err != nil || len(rows) != 2 || len(problems) != 1 {
			t.Errorf("%s: %d rows, %v, %v", name, len(rows), problems, err)
			continue
		}
		if p := problems[0]; p.Row != 2 || p.Code != test.code || p.Column != test.column || p.Detail == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	const row = "a,b,1,2030-12-31\n"
	for name, file := range map[string]string{
		"empty":                       "",
		"an unknown column":           "external_id,person,colour,valid_until\n" + row,
		"an unknown claim":            "external_id,person,claim.colour,valid_until\n" + row,
		"a column twice":              "external_id,person,area,valid_until,Area\na,b,1,2030-12-31,1\n",
		"no numbers":                  "person,area,valid_until\nb,1,2030-12-31\n",
		"a mark that is never closed": "external_id,person,area,valid_until\n\"" + strings.Repeat(row, bulk.MaxRecord/8),
		"a header without end":        strings.Repeat("external_id,", bulk.MaxRecord/8),
	} {
		if rows, _, err := all(t, file, bulk.CSV, bulk.UTF8); !errors.Is(err, bulk.ErrFile) {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
	for name, as := range map[string][2]string{"a format": {"xlsx", "utf-8"}, "an encoding": {"csv", "utf-16"}, "JSON in GB18030": {"jsonl", "gb18030"}} {
		if _, err := bulk.NewReader(strings.NewReader(""), bulk.Format(as[0]), bulk.Encoding(as[1]), title); !errors.Is(err, bulk.ErrFile) {
			t.Errorf("%s that is not known: %v", name, err)
		}
	}
}

func TestJSONLines(t *testing.T) {
	good := `{"external_id":"a-1","person":"李伟","valid_until":"2030-12-31","claims":{"area":"1250","mortgaged":true}}`
	rows, problems, err := all(t, good+"\n\n"+
		`{"external_id":"a-2","external_id":"a-3","person":"x","valid_until":"2030-12-31","claims":{}}`+"\n"+
		`{"external_id":"a-2","person":"x","valid_until":"2030-12-31","claims":{},"colour":"red"}`+"\n"+
		`{"external_id":"a-2","valid_until":"2030-12-31","claims":{}}`+"\n"+
		"nonsense\n"+good, bulk.JSONLines, bulk.UTF8)
	if err != nil || len(rows) != 2 || len(problems) != 4 {
		t.Fatalf("%d rows, %v, %v", len(rows), problems, err)
	}
	if rows[0].Claims["area"] != "1250" || rows[0].Claims["mortgaged"] != true {
		t.Errorf("%+v", rows[0])
	}
	for i, want := range []bulk.Code{bulk.Malformed, bulk.Malformed, bulk.MissingCell, bulk.Malformed} {
		if problems[i].Code != want || problems[i].Row != i+2 {
			t.Errorf("problem %d: %+v", i, problems[i])
		}
	}
	if _, _, err := all(t, strings.Repeat("x", bulk.MaxRecord+1), bulk.JSONLines, bulk.UTF8); !errors.Is(err, bulk.ErrFile) {
		t.Errorf("a line without end: %v", err)
	}
}

// What a template asks for is what is read, in both languages.
func TestTemplate(t *testing.T) {
	for _, language := range []string{"en", "zh-CN"} {
		var file bytes.Buffer
		if err := bulk.Template(&file, title, language); err != nil {
			t.Fatal(err)
		}
		rows, problems, err := all(t, file.String()+"a-1,Li Wei,91216000AB0037,,2030-12-31,1250,否,Épinay,x\n", bulk.CSV, bulk.UTF8)
		if err != nil || len(problems) > 0 || len(rows) != 1 || len(rows[0].Claims) != 4 || rows[0].Claims["mortgaged"] != false {
			t.Errorf("%s: %q gives %+v, %v, %v", language, file.String(), rows, problems, err)
		}
	}
}

// A file that ends in the middle of a read is no shorter file.
func TestFileThatBreaksOff(t *testing.T) {
	broken := errors.New("connection lost")
	file := io.MultiReader(strings.NewReader("external_id,person,area,valid_until\na,b,1,2030-12-31\nc,d"), failing{broken})
	r, err := bulk.NewReader(file, bulk.CSV, bulk.UTF8, title)
	if err != nil {
		t.Fatal(err)
	}
	if row, problem, err := r.Next(); err != nil || problem != nil || row.Person != "b" {
		t.Fatalf("%+v, %v, %v", row, problem, err)
	}
	if row, problem, err := r.Next(); !errors.Is(err, bulk.ErrFile) {
		t.Errorf("%+v, %v, %v", row, problem, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
