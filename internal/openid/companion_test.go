package openid

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// asking is a query whose policy accepts companions, or not.
func asking(companion bool) DCQL {
	q := DCQL{Credentials: []CredentialQuery{{ID: "q", Format: Format, Meta: Meta{TypeValues: []string{"t"}, Statement: policy.Statement{
		Companion: companion, Clauses: []policy.Clause{{Claim: "a", AtLeast: "1"}, {Claim: "b", Present: true}, {Claim: "a", AtMost: "9"}}, Disclose: []string{"b", "c"},
	}}}}}
	q.AcceptCompanions()
	return q
}

// The companion's query names each claim once, in the standard's words, and comes back as it was written.
func TestCompanionQuery(t *testing.T) {
	q := asking(true)
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"q-companion","format":"dc+sd-jwt","meta":{"vct_values":["t"]},"claims":[{"path":["a"]},{"path":["b"]},{"path":["c"]}]}],"credential_sets":[{"options":[["q"],["q-companion"]]}]}`
	if !strings.HasSuffix(string(text), want) {
		t.Errorf("%s, want at its end %s", text, want)
	}
	var again DCQL
	if err := json.Unmarshal(text, &again); err != nil || len(again.Credentials) != 1 || len(again.Companions) != 1 || again.ValidateCompanions() != nil {
		t.Errorf("%+v, %v", again, err)
	}
	none := asking(false)
	if text, err := json.Marshal(none); err != nil || strings.Contains(string(text), "companion") || strings.Contains(string(text), "sd-jwt") || none.ValidateCompanions() != nil {
		t.Errorf("%s, %v", text, err)
	}
	none.Companions, none.Sets = q.Companions, q.Sets
	if none.ValidateCompanions() == nil {
		t.Error("companions are asked for that the statement does not accept")
	}
	fewer := q
	fewer.Companions, fewer.Sets = nil, nil
	if err := fewer.ValidateCompanions(); err != nil {
		t.Errorf("to ask for none: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"credentials":[{"id":"x","format":"dc+sd-jwt"},{"id":"q","format":"vnd.bulla.zkc+json"}]}`), &again); err == nil {
		t.Error("a companion stands before what our challenge counts")
	}
}

// A response has one companion and nothing else, or is of our format: never both.
func FuzzCompanionAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"q-companion":["a~b~c"]}`, `{"q-companion":["a","b"]}`, `{"q-companion":"a"}`, `{"q-companion":["a"],"q":[]}`, `{"q":[]}`,
		`{"q-companion":["a"],"q-companion":["b"]}`, `{"Q-companion":["a"]}`, `{"q-companion":[{}]}`, `{"q-companion":null}`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	for _, long := range fuzztest.Long([]byte(`{"q-companion":["a~b~c"]}`)) {
		f.Add(long)
	}
	request := &RequestObject{Query: asking(true)}
	f.Fuzz(func(t *testing.T, response []byte) {
		companion, ok, err := request.CompanionAnswer(response)
		if err != nil {
			fuzztest.Refused(t, err)
		}
		if !ok {
			return
		}
		if err != nil {
			return
		}
		if _, err := ParseVPToken(response); err == nil {
			t.Errorf("%s is a companion and of our format", response)
		}
		again, err := json.Marshal(map[string][]string{"q-companion": {companion}})
		if err != nil {
			t.Fatal(err)
		}
		if second, ok, err := request.CompanionAnswer(again); !ok || err != nil || second != companion {
			t.Errorf("%s is written %s and then is another: %v", response, again, err)
		}
	})
}
