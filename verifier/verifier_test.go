package verifier_test

import (
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// One person proves residency and land in one response; the application reads a signed result that says what was
// learned.
func TestStory(t *testing.T) {
	w := newWorld(t)
	story(t, w)
}

func story(t *testing.T, w *world) {
	me := w.person()
	home, land := w.resident(me), w.owner(me, "91216-A-17")
	w.seal()
	if err := w.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	started, request, id := w.begin("both")
	if state := w.status(started.ID).State; state != verifier.Fetched {
		t.Errorf("state after fetch is %s", state)
	}
	token := w.answer(request, home, land)
	if err := w.respond(id, request, token); err != nil {
		t.Fatal(err)
	}
	status := w.status(started.ID)
	if status.State != verifier.Verified || !status.Final || status.Reason != nil {
		t.Fatalf("status %+v", status)
	}
	result, err := check.VerifyResult(status.Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	f := result.Facts[1]
	if !result.OnePerson || !result.Dev || len(result.Facts) != 2 || f.Disclosed["commune"] != "91216" || f.RevocationDelaySeconds != 601 ||
		f.Type != title.Type || len(f.Holds["zh-CN"]) == 0 || len(f.Learned["en"]) == 0 || f.Tags.Pseudonym != nil {
		t.Errorf("result %+v", result)
	}
	if code := codeOf(w.respond(id, request, token)); code != "ok" || w.status(started.ID).Result != status.Result {
		t.Errorf("the very response again, as by a wallet that lost the answer: %s", code)
	}
	if code := codeOf(w.verifier.Respond(t.Context(), id, verifier.Response{State: "x", Token: encode(t, token)})); code != check.SessionAnswered {
		t.Errorf("the response again with another state: %s", code)
	}
	if code := codeOf(w.verifier.Respond(t.Context(), id, verifier.Response{State: request.State, Error: "access_denied"})); code != check.SessionAnswered {
		t.Errorf("declined afterwards: %s", code)
	}
	w.clock.advance(5 * time.Minute)
	if code := codeOf(w.respond(id, request, token)); code != check.SessionAnswered {
		t.Errorf("the very response again, after the request expired: %s", code)
	}
	if code := codeOf(w.respond(id, request, w.answer(request, home, land))); code != check.SessionAnswered {
		t.Errorf("another response: %s", code)
	}
}
