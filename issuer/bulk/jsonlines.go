package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/bulla-id/bulla/credential"
)

// lines reads JSON Lines. Empty lines are passed over.
func lines(file *bufio.Reader) func() (Row, *Problem, error) {
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, MaxRecord)
	return func() (row Row, problem *Problem, err error) {
		for scanner.Scan() {
			line := bytes.TrimSpace(scanner.Bytes())
			if len(line) == 0 {
				continue
			}
			if credential.ParseStrict(line, &row) != nil { // the cause could quote it
				return Row{}, &Problem{Code: Malformed, Detail: "not a JSON object with the members of an application, each once, as text in NFC"}, nil
			}
			return row, nil, nil
		}
		switch err := scanner.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return row, nil, fmt.Errorf("%w: a line has more than %d bytes", ErrFile, MaxRecord)
		case err != nil:
			return row, nil, err
		}
		return row, nil, io.EOF
	}
}
