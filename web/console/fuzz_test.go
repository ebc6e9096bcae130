package console

import (
	"bytes"
	"io"
	"mime/multipart"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// What is sent as a form with a file gives a file that begins after small fields of known names, or is refused.
func FuzzImportForm(f *testing.F) {
	const whole = "--b\r\nContent-Disposition: form-data; name=\"once\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\na,b\r\n--b--\r\n"
	f.Add([]byte(whole))
	f.Add([]byte("--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"once\"\r\n\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		form, file, err := readForm(multipart.NewReader(bytes.NewReader(body), "b"))
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for _, field := range []string{form.once, form.schema, form.format, form.encoding, form.dryRun} {
			if len(field) > maxImportField {
				t.Errorf("a field of %d bytes", len(field))
			}
		}
		if n, err := io.Copy(io.Discard, file); n > int64(len(body)) {
			t.Errorf("a file of %d bytes in a body of %d, %v", n, len(body), err)
		}
	})
}
