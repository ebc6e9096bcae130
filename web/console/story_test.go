package console_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

var (
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)
	idInPage    = regexp.MustCompile(`/console/(applications|credentials)/([0-9a-f]+-[0-9a-f]+)`)
	missingText = regexp.MustCompile(`(?:console|audit|imports|overview|keys|signin|officers|passkeys)\.[a-z]+[a-z.-]*`)
)

// press sends the form of a page that goes to an address ending so, with what is entered beside what the page hides in it.
func (f *officer) press(shown, ending string, entered url.Values) (int, string) {
	f.o.t.Helper()
	for _, part := range strings.Split(shown, "<form")[1:] {
		form, _, _ := strings.Cut(part, "</form>")
		action := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(form)
		if action == nil || !strings.HasSuffix(action[1], ending) {
			continue
		}
		values := url.Values{}
		for _, hidden := range hiddenInput.FindAllStringSubmatch(form, -1) {
			values.Set(hidden[1], hidden[2])
		}
		for name, value := range entered {
			values[name] = value
		}
		return f.post(strings.TrimPrefix(action[1], "/console"), values)
	}
	f.o.t.Fatalf("the page has no form to %q: %.600s", ending, seen(shown))
	return 0, ""
}

// want fails the test unless a page came with a status and says all of that.
func (f *officer) want(status int, shown string, wantStatus int, texts ...string) {
	f.o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(seen(shown), text) {
			f.o.t.Errorf("the page does not say %q: %.1500s", text, seen(shown))
		}
	}
	if status != wantStatus {
		f.o.t.Errorf("status %d, want %d: %.600s", status, wantStatus, seen(shown))
	}
	if found := missingText.FindString(seen(shown)); found != "" {
		f.o.t.Errorf("a text is missing: %q", found)
	}
}

func entries(person, parcel string) url.Values {
	return url.Values{"person": {person}, "claim.parcel": {parcel}, "claim.area": {"620"}, "claim.use": {"house"}, "valid_until": {"2031-12-31"}}
}

// An application goes through the console from its form to the wallet and to its end, in both languages, and nobody approves what they wrote.
func TestStory(t *testing.T) {
	o := newOffice(t)
	chen, wang, zhao, sun := o.officer("chen"), o.officer("wang"), o.officer("zhao"), o.officer("sun")
	// A form that does not fit keeps what was entered, and says what is wrong beside it.
	status, form := chen.get("/applications/new")
	chen.want(status, form, http.StatusOK, "New credential: Land title", "Parcel", "Valid until")
	bad := entries("Li Wei", "9A")
	bad.Set("claim.area", "large")
	bad.Del("valid_until")
	status, form = chen.press(form, "/applications", bad)
	chen.want(status, form, http.StatusUnprocessableEntity, "Some entries do not fit", "This is not a number", "This is needed")
	if !strings.Contains(form, `value="Li Wei"`) || !strings.Contains(form, `value="9A"`) {
		t.Error("what was entered is lost")
	}
	status, filed := chen.press(form, "/applications", entries("Li Wei", "9A"))
	chen.want(status, filed, http.StatusOK, "The application is filed", "private link")
	id := idInPage.FindStringSubmatch(filed)[2]
	link := regexp.MustCompile(o.server.URL + `/progress/([A-Za-z0-9_-]{43})`).FindStringSubmatch(filed)
	if link == nil {
		t.Fatal("no private link")
	}
	// Sent twice it is filed once.
	if status, again := chen.press(form, "/applications", entries("Li Wei", "9A")); status != http.StatusOK || idInPage.FindStringSubmatch(again)[2] != id {
		t.Errorf("the same form again: %d: %.300s", status, seen(again))
	}
	// The queue says whom it waits for.
	for who, standing := range map[*officer]string{chen: "Waits for an approver", wang: "Waits for you", sun: "Waits for an approver"} {
		status, queue := who.get("/applications")
		who.want(status, queue, http.StatusOK, "New credential: Land title — Li Wei", "0/2 approvals", standing)
	}
	status, queue := wang.get("/applications?lang=zh-CN")
	wang.want(status, queue, http.StatusOK, "签发: 不动产权证 — Li Wei", "等待您审批")
	wang.get("/applications?lang=en")
	// Two others approve.
	_, page := wang.get("/applications/" + id)
	stale := page
	status, page = wang.press(page, "/approve", nil)
	wang.want(status, page, http.StatusOK, "Your approval is recorded", "Waits for another officer: you approved it", "Approved by you")
	status, page = wang.press(stale, "/approve", nil) // the very same form: it is the same approval
	if status != http.StatusOK && status != http.StatusPreconditionFailed {
		t.Errorf("approved again: %d: %.400s", status, seen(page))
	}
	status, page = wang.post("/applications/"+id+"/approve", url.Values{"version": {"2"}, "once": {"another"}})
	if status != http.StatusForbidden && status != http.StatusPreconditionFailed {
		t.Errorf("approved twice: %d: %.400s", status, seen(page))
	}
	_, page = zhao.get("/applications/" + id)
	if _, shown := o.officer("chen").get("/applications/" + id); strings.Contains(shown, "/approve") {
		t.Error("a clerk is shown a button to approve")
	}
	status, page = zhao.press(page, "/approve", nil)
	zhao.want(status, page, http.StatusOK, "Your approval is recorded", "Approved", "Waits for the person's wallet")
	// The offer goes to the person's wallet.
	_, page = chen.get("/applications/" + id)
	status, offer := chen.press(page, "/offer", nil)
	chen.want(status, offer, http.StatusOK, "This is shown once")
	reference := regexp.MustCompile(`openid-credential-offer://[^"<]*`).FindString(offer)
	holder := o.holder()
	if _, err := holder.Receive(t.Context(), strings.ReplaceAll(reference, "&amp;", "&"), ""); err != nil {
		t.Fatal(err)
	}
	status, page = chen.get("/applications/" + id)
	chen.want(status, page, http.StatusOK, "Issued", "Credential that came of it")
	var credential string
	for _, found := range idInPage.FindAllStringSubmatch(page, -1) {
		if found[1] == "credentials" {
			credential = found[2]
		}
	}
	status, page = chen.post("/credentials/search", url.Values{"person": {"Li Wei"}})
	chen.want(status, page, http.StatusOK, "Found", "Land title — Li Wei", "Active")
	// It is suspended at once, and revoked by an application, which two approve.
	_, page = chen.get("/credentials/" + credential + "/suspend")
	chen.want(http.StatusOK, page, http.StatusOK, "nothing can be proven with it, until it is reinstated")
	status, shown := chen.press(page, "/suspend", url.Values{"code": {"other"}})
	chen.want(status, shown, http.StatusBadRequest, "explain “other” in the note")
	status, shown = chen.press(page, "/suspend", url.Values{"code": {"suspected-fraud"}, "note": {"looked into"}})
	chen.want(status, shown, http.StatusOK, "It is suspended", "Suspected fraud", "looked into")
	_, page = chen.get("/applications/new?kind=revoke&credential=" + credential)
	status, filed = chen.press(page, "/applications", url.Values{"code": {"suspected-fraud"}})
	chen.want(status, filed, http.StatusOK, "The application is filed")
	revocation := idInPage.FindStringSubmatch(filed)[2]
	for _, approver := range []*officer{wang, zhao} {
		_, page = approver.get("/applications/" + revocation)
		status, page = approver.press(page, "/approve", nil)
		approver.want(status, page, http.StatusOK, "Your approval is recorded")
	}
	for range 200 {
		if _, page = chen.get("/credentials/" + credential); strings.Contains(seen(page), "Nothing can be proven with it any longer") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	chen.want(http.StatusOK, page, http.StatusOK, "Nothing can be proven with it any longer")
	if summaries, err := holder.Sync(t.Context()); err != nil || len(summaries) != 1 {
		t.Errorf("the wallet sees %+v, %v", summaries, err)
	}
	status, page = sun.get("/overview")
	sun.want(status, page, http.StatusOK, "Land title 0 0 0 0 1")
}

// Somebody who edits an application meanwhile is noticed: the other's form keeps what was entered and shows what is there now.
func TestEditedMeanwhile(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	_, form := chen.get("/applications/new")
	_, filed := chen.press(form, "/applications", entries("Li Wei", "9A"))
	id := idInPage.FindStringSubmatch(filed)[2]
	_, mine := chen.get("/applications/" + id + "/edit")
	_, theirs := chen.get("/applications/" + id + "/edit")
	status, page := chen.press(theirs, "/edit", entries("Li Wei", "10B"))
	chen.want(status, page, http.StatusOK, "It is saved", "10B")
	status, page = chen.press(mine, "/edit", entries("Li Wei", "11C"))
	chen.want(status, page, http.StatusPreconditionFailed, "Somebody changed it meanwhile", "Meanwhile it says: 10B")
	if !strings.Contains(page, `value="11C"`) {
		t.Error("what was entered is lost")
	}
	status, page = chen.press(page, "/edit", entries("Li Wei", "11C"))
	chen.want(status, page, http.StatusOK, "It is saved", "11C")
	status, page = chen.press(page, "/withdraw", nil)
	chen.want(status, page, http.StatusOK, "It is withdrawn")
}

// Refusing says why to officers.
func TestRefusal(t *testing.T) {
	o := newOffice(t)
	chen, wang := o.officer("chen"), o.officer("wang")
	_, form := chen.get("/applications/new")
	_, filed := chen.press(form, "/applications", entries("Li <b>Wei</b>", "9A"))
	id := idInPage.FindStringSubmatch(filed)[2]
	_, page := wang.get("/applications/" + id)
	if strings.Contains(page, "<b>Wei") {
		t.Error("markup in a name is markup in the page")
	}
	status, page := wang.press(page, "/refuse", url.Values{"code": {""}})
	wang.want(status, page, http.StatusBadRequest, "choose a reason")
	status, page = wang.press(page, "/refuse", url.Values{"code": {"no-longer-entitled"}, "note": {"sold in 2020"}})
	wang.want(status, page, http.StatusOK, "It is refused", "No longer entitled", "sold in 2020")
}

// Each role sees the pages of its scopes and is refused at others, and a page that is not there says so.
func TestRoles(t *testing.T) {
	o := newOffice(t)
	pages := map[string][]string{
		"/overview": {"clerk", "approver", "auditor"}, "/applications": {"clerk", "approver", "auditor"}, "/applications/new": {"clerk"}, "/credentials": {"clerk", "approver", "auditor"},
		"/imports": {"clerk"}, "/audit": {"auditor"}, "/keys": {"key-custodian"}, "/enrolments": {"key-custodian"}, "/officers": {},
	}
	for name, role := range officers {
		f := o.officer(name)
		_, start := f.get("/")
		for path, roles := range pages {
			allowed := strings.Contains(fmt.Sprint(roles), role)
			status, page := f.get(path)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[allowed]; status != want {
				t.Errorf("%s at %s: %d, want %d", role, path, status, want)
			}
			if linked := strings.Contains(start, `<a href="/console`+path+`"`); linked && !allowed {
				t.Errorf("%s is led to %s", role, path)
			}
			f.want(status, page, status)
		}
	}
	chen := o.officer("chen")
	for _, path := range []string{"/applications/nothing", "/credentials/nothing", "/applications/new?kind=nothing", "/applications/new?kind=renew&credential=nothing", "/applications/new?schema=nothing"} {
		status, page := chen.get(path)
		chen.want(status, page, http.StatusNotFound)
	}
	status, page := chen.post("/applications", url.Values{"person": {strings.Repeat("x", 300<<10)}})
	chen.want(status, page, http.StatusRequestEntityTooLarge, "more than can be taken")
}

// No person is in an address or in what is logged.
func TestNoPersonInLogs(t *testing.T) {
	log := new(safeBuffer)
	o := newOfficeLogging(t, log)
	chen := o.officer("chen")
	_, form := chen.get("/applications/new")
	_, filed := chen.press(form, "/applications", entries("Ouyang Xiu", "9A"))
	for _, path := range []string{"/applications", "/applications/" + idInPage.FindStringSubmatch(filed)[2]} {
		_, page := chen.get(path)
		for _, address := range regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.Contains(address[1], "Ouyang") {
				t.Errorf("the address %s has a person", address[1])
			}
		}
	}
	if logged := log.String(); logged == "" || strings.Contains(logged, "Ouyang") {
		t.Errorf("logged: %s", log.String())
	}
}

// safeBuffer is a log that several write.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Whatever the issuer can answer has words in both languages.
func TestIssuersWordsAreTranslated(t *testing.T) {
	source := string(ledgertest.Must(os.ReadFile("applications_texts.go"))(t)) + string(ledgertest.Must(os.ReadFile("credentials_texts.go"))(t)) + string(ledgertest.Must(os.ReadFile("texts.go"))(t)) + string(ledgertest.Must(os.ReadFile("signin_texts.go"))(t))
	want := []string{}
	for _, code := range issuer.ReasonCodes {
		want = append(want, "console.reason."+string(code))
	}
	for _, match := range regexp.MustCompile(`(?m)^\tCase\w+ +(CaseKind|CaseState) = "([a-z-]+)"`).FindAllStringSubmatch(string(ledgertest.Must(os.ReadFile("../../issuer/case.go"))(t)), -1) {
		want = append(want, map[string]string{"CaseKind": "console.kind.", "CaseState": "console.state."}[match[1]]+match[2])
	}
	clerks, _, _ := strings.Cut(string(ledgertest.Must(os.ReadFile("../../issuer/errors.go"))(t)), "// What wallets are refused for.")
	for _, match := range regexp.MustCompile(`Refusal\{Code: "([a-z-]+)"\}`).FindAllStringSubmatch(clerks, -1) {
		want = append(want, "console.problem."+match[1])
	}
	if len(want) < 35 {
		t.Fatalf("found %d words: the test would prove nothing", len(want))
	}
	for _, key := range want {
		if !strings.Contains(source, `"`+key+`":`) {
			t.Errorf("%s has no words", key)
		}
	}
}
