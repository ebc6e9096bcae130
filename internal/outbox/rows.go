package outbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The tables of an outbox, in its role's store.
const (
	tableEndpoint = "outbox/endpoint/" // by endpoint
	tableDue      = "outbox/due/"      // by endpoint, time and message: what is to be sent
	tableDead     = "outbox/dead/"     // by endpoint and message: what was given up
	tableLog      = "outbox/log/"      // by endpoint: the last attempts
)

// last follows every key of an endpoint in a table.
const last = "/~"

type endpointRow struct {
	URL      string   `json:"url"`
	Owner    string   `json:"owner,omitempty"`
	Types    []string `json:"types,omitempty"`
	Secrets  []string `json:"secrets"`
	Disabled bool     `json:"disabled,omitempty"`
}

func encodeEndpoint(e Endpoint) []byte {
	row := endpointRow{URL: e.URL, Owner: e.Owner, Types: e.Types, Disabled: e.Disabled}
	for _, s := range e.Secrets {
		row.Secrets = append(row.Secrets, s.Reveal())
	}
	return encode(row)
}

func decodeEndpoint(id string, data []byte) (Endpoint, error) {
	var row endpointRow
	if err := decode(tableEndpoint, data, &row); err != nil {
		return Endpoint{}, err
	}
	e := Endpoint{ID: id, URL: row.URL, Owner: row.Owner, Types: row.Types, Disabled: row.Disabled}
	for _, text := range row.Secrets {
		s, err := ParseSecret(text)
		if err != nil {
			return Endpoint{}, fmt.Errorf("row of %s is damaged: %w", tableEndpoint, err)
		}
		e.Secrets = append(e.Secrets, s)
	}
	return e, nil
}

// delivery is one message for one endpoint. Times are milliseconds since 1970.
type delivery struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Payload  []byte `json:"payload"` // the very bytes that are signed
	Created  int64  `json:"created"`
	Deadline int64  `json:"deadline"` // who fails after it is given up
	Attempts int    `json:"attempts"`
	Died     int64  `json:"died,omitempty"`
}

func keyDue(endpoint string, at time.Time, id string) string {
	return fmt.Sprintf("%s%s/%016x/%s", tableDue, endpoint, at.UnixMilli(), id)
}

func keyDead(endpoint, id string) string { return tableDead + endpoint + "/" + id }

// dueAt is the time in a key of tableDue.
func dueAt(key string) (time.Time, error) {
	parts := strings.Split(strings.TrimPrefix(key, tableDue), "/")
	if len(parts) != 3 {
		return time.Time{}, fmt.Errorf("key in %s is damaged", tableDue)
	}
	millis, err := strconv.ParseInt(parts[1], 16, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("key in %s is damaged", tableDue)
	}
	return time.UnixMilli(millis), nil
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("outbox: encode row: %T", value)) // our own types always encode
	}
	return data
}

func decode(table string, data []byte, value any) error {
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("row of %s is damaged", table) // the cause could quote it
	}
	return nil
}

func (o *Outbox) commit(rows map[string][]byte) error {
	if err := o.store.Commit(rows); err != nil {
		return fmt.Errorf("commit %d rows: %w", len(rows), err)
	}
	return nil
}

// scan is the store's, for visits that can fail.
func (o *Outbox) scan(prefix, after string, visit func(key string, value []byte) (more bool, err error)) error {
	var refused error
	err := o.store.Scan(prefix, after, func(key string, value []byte) (more bool) {
		more, refused = visit(key, value)
		return more && refused == nil
	})
	if err != nil {
		return fmt.Errorf("read rows of %s: %w", prefix, err)
	}
	return refused
}
