package bulk_test

import (
	"errors"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/issuer/bulk"
)

// Whatever stands in a file is rows with all they need, or named problems without what stood there.
func FuzzFile(f *testing.F) {
	f.Add("external_id,person,area,valid_until\na-1,Li Wei,1250,2030-12-31\n", "csv", "utf-8")
	f.Add("external_id,person,\xc3\xe6\xbb\xfd,valid_until\na-1,\xc0\xee\xce\xb0,1250,2030-12-31\n", "csv", "gb18030")
	f.Add(`{"external_id":"a-1","person":"Li Wei","valid_until":"2030-12-31","claims":{"area":"1250","mortgaged":true}}`, "jsonl", "utf-8")
	f.Add("external_id,person,area,valid_until\n\"a", "csv", "utf-8")
	f.Fuzz(func(t *testing.T, file, format, encoding string) {
		rows, problems, err := all(t, file, bulk.Format(format), bulk.Encoding(encoding))
		if err != nil {
			fuzztest.Refused(t, err)
			if !errors.Is(err, bulk.ErrFile) {
				t.Errorf("%v is no ErrFile", err)
			}
		}
		for _, row := range rows {
			if row.ExternalID == "" || row.Person == "" || row.ValidUntil == "" {
				t.Errorf("an incomplete row was taken: %+v", row)
			}
		}
		for _, p := range problems {
			fuzztest.Refused(t, p)
			if p.Row < 1 || p.Code == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
