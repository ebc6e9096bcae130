package cadastre

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func TestEpinayEncodes(t *testing.T) {
	parcels, err := Epinay()
	if err != nil {
		t.Fatal(err)
	}
	if len(parcels) != 4241 {
		t.Fatalf("%d parcels, want 4241", len(parcels))
	}
	schema := ParcelSchema("fr-cadastre")
	if err := schema.Validate(); err != nil {
		t.Fatal(err)
	}
	large, unknown := 0, 0
	for _, p := range parcels {
		slots, err := schema.Encode(Claims(p))
		if err != nil {
			t.Fatalf("parcel %s: %v", p.ID, err)
		}
		for slot, present := range []bool{true, true, true, p.Area != nil, p.Created != ""} {
			if slots[slot].IsZero() == present {
				t.Fatalf("parcel %s: slot %d is wrongly empty or filled", p.ID, slot)
			}
		}
		switch {
		case p.Area == nil:
			unknown++
		case *p.Area >= 500:
			large++
		}
	}
	if large < 1000 || unknown != 1 {
		t.Errorf("%d parcels of at least 500 m² and %d of unknown area; the file has another mix", large, unknown)
	}
}

const header = "id,commune,section,numero,contenance_m2,created,updated\n"

func TestReadOtherCommunes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"byte order mark":          {"\xef\xbb\xbf" + header + "91216000AB0037,91216,AB,37,10,2004-02-25,2004-02-25\n", "91216 AB 37 10 2004-02-25"},
		"Corsica, section A":       {header + "2A004000A00001,2A004,A0,1,0,,\n", "2A004 A0 1 0 "},
		"padded section":           {header + "2B0330000A0012,2B033,0A,12,,,\n", "2B033 A 12 ? "},
		"section without padding":  {header + "2B0330000A0012,2B033,A,0012,,,\n", "2B033 A 12 ? "},
		"merged commune, numbers":  {header + "67482301120120,67482,12,120,5,,\n", "67482 12 120 5 "},
		"other order, other names": {"numero,id,commune,contenance,section,prefixe\n7,974110000X0007,97411,33,X,000\n", "97411 X 7 33 "},
		"no areas, quotes, CRLF":   {"id,commune,section,numero\r\n\"01004000AB0001\",01004,AB,1\r\n", "01004 AB 1 ? "},
	} {
		parcels, err := Read(strings.NewReader(c.text))
		if err != nil || len(parcels) != 1 {
			t.Errorf("%s: %d parcels, error %v", name, len(parcels), err)
			continue
		}
		p, area := parcels[0], "?"
		if p.Area != nil {
			area = fmt.Sprint(*p.Area)
		}
		if got := fmt.Sprintf("%s %s %d %s %s", p.Commune, p.Section, p.Number, area, p.Created); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if _, err := ParcelSchema("r").Encode(Claims(p)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := "91216000AB0036,91216,AB,36,10,2004-02-25,2004-02-25\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty file":         {"", "header"},
		"no rows":            {header, "no parcels"},
		"missing column":     {"id,commune,section\n", `no column "numero"`},
		"column twice":       {"id,id,commune,section,numero\n", "twice"},
		"two area columns":   {"id,commune,section,numero,contenance,contenance_m2\n", "two columns"},
		"short row":          {header + good + "91216000AB0037,91216\n", "line 3"},
		"broken quote":       {header + "\"91216000AB0037,91216,AB,37,1,,\n", "line 2"},
		"bad id":             {header + good + "91216000ab0037,91216,AB,37,10,,\n", "line 3, column 1 (id)"},
		"other commune":      {header + good + "91216000AB0037,91217,AB,37,10,,\n", "line 3, column 2 (commune)"},
		"other section":      {header + good + "91216000AB0037,91216,AC,37,10,,\n", "line 3, column 3 (section)"},
		"other number":       {header + good + "91216000AB0037,91216,AB,38,10,,\n", "line 3, column 4 (numero)"},
		"negative area":      {header + good + "91216000AB0037,91216,AB,37,-1,,\n", "line 3, column 5 (contenance_m2)"},
		"area with decimals": {header + good + "91216000AB0037,91216,AB,37,1.5,,\n", "line 3, column 5"},
		"no such day":        {header + good + "91216000AB0037,91216,AB,37,1,2021-02-30,\n", "line 3, column 6 (created)"},
		"parcel twice":       {header + good + good, "line 3, column id: parcel 91216000AB0036 stands already in line 2"},
	} {
		parcels, err := Read(strings.NewReader(c.text))
		if err == nil || parcels != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d parcels, error %v, want one with %q", name, len(parcels), err, c.want)
		}
	}
}

func TestSchemaDependsOnRegister(t *testing.T) {
	a, errA := ParcelSchema("register-a").ID()
	b, errB := ParcelSchema("register-b").ID()
	if errA != nil || errB != nil || a == b {
		t.Errorf("ids %v and %v, errors %v and %v", a, b, errA, errB)
	}
	if ParcelSchema("r").EnrolmentRegister != credential.IssuerRegister {
		t.Error("titles share an enrolment register")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(header + "91216000AB0037,91216,AB,37,10,2004-02-25,2004-02-25\n")
	f.Add("\xef\xbb\xbfid,commune,section,numero\r\n2A004000A00001,2A004,A0,1\r\n")
	schema := ParcelSchema("r")
	f.Fuzz(func(t *testing.T, text string) {
		parcels, err := Read(strings.NewReader(text))
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for _, p := range parcels {
			if _, err := schema.Encode(Claims(p)); err != nil {
				t.Fatalf("parcel %+v was read, but does not encode: %v", p, err)
			}
		}
	})
}
