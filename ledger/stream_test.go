package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

type event struct{ id, kind, data string }

// listen opens the stream and returns a function that reads the next event.
func listen(t *testing.T, url, lastID string) (next func() event, stop func(), status int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	request, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e event) {
		t.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data += value + "\n"
			case "":
				if e.kind != "" {
					return e
				}
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return e
	}, stop, response.StatusCode
}

func TestStream(t *testing.T) {
	c := ledgertest.New(t)
	c.RegisterIssuer(landDID, "https://land.example")
	c.Settle()
	next, stop, _ := listen(t, c.URL, "")
	schema := c.PublishSchema(credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister, Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
	}, landDID)
	first := c.Issue(landDID, schema, credential.F("test", []byte("one")))
	var last event
	seen := map[uint64]bool{}
	for !seen[first.Index] || last.kind != "checkpoint" {
		last = next()
		if last.kind != "entry" {
			continue
		}
		index, err := strconv.ParseUint(last.id, 10, 64)
		if err != nil || seen[index] {
			t.Fatalf("event %+v", last)
		}
		seen[index] = true
		if e, err := entry.Parse([]byte(strings.TrimSuffix(last.data, "\n"))); err != nil || index == first.Index && e.Digest() != first.Digest {
			t.Fatalf("entry %d: %v", index, err)
		}
	}
	if published, _ := c.Log.Published(); !bytes.HasPrefix(published, []byte(strings.Split(last.data, "\n")[0])) {
		t.Errorf("checkpoint event %q", last.data)
	}
	stop()

	second := c.Issue(landDID, schema, credential.F("test", []byte("two")))
	c.Settle()
	next, stop, _ = listen(t, c.URL, strconv.FormatUint(first.Index, 10))
	for want := first.Index + 1; want <= second.Index; {
		if e := next(); e.kind == "entry" {
			if e.id != strconv.FormatUint(want, 10) {
				t.Fatalf("event %s, want %d", e.id, want)
			}
			want++
		}
	}
	stop()
	for _, bad := range []string{"x", "-1", "999999"} {
		if _, _, status := listen(t, c.URL, bad); status != http.StatusBadRequest {
			t.Errorf("Last-Event-ID %s: %d", bad, status)
		}
	}
	turnedAway := 0
	for range 20 {
		if _, _, status := listen(t, c.URL, ""); status == http.StatusServiceUnavailable {
			turnedAway++
		}
	}
	if turnedAway < 3 || turnedAway > 6 { // the server may not have noticed yet that two ended
		t.Errorf("%d of 20 were turned away, at most 16 are served", turnedAway)
	}
}

// All three levels can be asked for where an entry is handed in.
func TestSubmitAtALevel(t *testing.T) {
	c := ledgertest.New(t)
	key := ledgertest.Key(t, "chain governance")
	for i, level := range []entry.Level{entry.LevelAccepted, entry.LevelLogged, entry.LevelSealed} {
		did := "did:web:office" + strconv.Itoa(i) + ".example"
		number, err := c.Log.NextSequence(entry.Governance)
		if err != nil {
			t.Fatal(err)
		}
		e, err := entry.Sign(entry.Draft{Genesis: c.Genesis, Signer: entry.Governance, Sequence: number, Payload: entry.IssuerRegistered{
			DID: did, Name: credential.Text{English: did}, Keys: []jose.PublicKey{ledgertest.Key(t, did).Public()}, Quota: 1, URL: "https://office.example",
		}}, key)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post(c.URL+"/v1/entries?wait_seconds=20&level="+string(level), "application/jose+json", bytes.NewReader(e.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		var receipt entry.Receipt
		if err := json.Unmarshal(body, &receipt); err != nil || response.StatusCode != http.StatusAccepted || receipt.Level.Rank() < level.Rank() {
			t.Errorf("%s: %d %s", level, response.StatusCode, body)
		}
	}
	response, err := http.Post(c.URL+"/v1/entries?level=done", "application/jose+json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown level: %d", response.StatusCode)
	}
}
