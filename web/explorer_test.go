package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/internal/page"
)

// town is a chain with an entry of each kind, its index, and the explorer over HTTP.
type town struct {
	*ledgertest.Host
	t      testing.TB
	index  *explore.Index
	pages  *Explorer
	server *httptest.Server
	log    *bytes.Buffer
	clinic *jose.SigningKey
}

const clinicDID = "did:web:clinic.example%3A8443"

func newTown(t testing.TB) *town {
	t.Helper()
	h := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Dev = true })
	x := &town{Host: h, t: t, log: new(bytes.Buffer), clinic: ledgertest.Key(t, "clinic")}
	x.fill()
	cfg := h.Config()
	x.index = ledgertest.Must(explore.Open(explore.Config{
		Profile: client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}, Dir: "index", FS: vfs.NewMem(), Memory: new(client.Forgetful), Clock: h.Clock,
	}))(t)
	t.Cleanup(func() { x.index.Close() })
	x.sync()
	logger := slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	x.pages = NewExplorer(x.index, "/explore", logger)
	x.server = httptest.NewServer(x.pages.Handler())
	t.Cleanup(x.server.Close)
	return x
}

func (x *town) sync() {
	x.t.Helper()
	if err := x.index.Sync(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
}

func (x *town) govern(p entry.Payload) { x.t.Helper(); x.Apply(entry.Governance, x.Governance, p) }

func (x *town) fill() {
	x.t.Helper()
	start := ledgertest.Start
	x.Seal(start + 10)
	x.Issue("a", 60)
	x.Seal(start + 20)
	for _, p := range []entry.Payload{
		entry.CredentialsSuspended{Leaves: []uint64{1, 2}}, entry.CredentialsReinstated{Leaves: []uint64{2}}, entry.CredentialsRevoked{Leaves: []uint64{1, 55}},
		entry.AuditAnchored{Records: 12, Head: credential.DigestOf(nil)},
	} {
		x.Apply(ledgertest.LandDID, x.Land, p)
	}
	x.govern(entry.VerifierRegistered{
		DID: clinicDID, Name: credential.Text{English: "Clinic <b>", Chinese: "诊所"}, Keys: []jose.PublicKey{x.clinic.Public()}, ResponseURIs: []string{"https://clinic.example/"},
	})
	set := ledgertest.Must(policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "Parcels", Chinese: "地块"}, Members: []string{"1", "2"}}))(x.t)
	x.Apply(clinicDID, x.clinic, entry.SetRegistered{Set: set.Digest(), Kind: string(policy.ValueSet), Name: set.Name(), Parts: 1, Members: set.Members()})
	asked := policy.Policy{
		Version: 1, ID: "owner", Verifier: clinicDID, Name: credential.Text{English: "Owner", Chinese: "业主"}, Purpose: credential.Text{English: "To see who owns", Chinese: "核实所有权"},
		RetentionDays: 3, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "q", Schema: x.Schema, Issuers: []string{ledgertest.LandDID}, Clauses: []policy.Clause{{Claim: "parcel", InSet: set.Digest()}}}},
	}
	x.Apply(clinicDID, x.clinic, entry.PolicyRegistered{Policy: ledgertest.Must(asked.Canonical())(x.t)})
	x.govern(entry.ScopeRegistered{Service: "votes", Consumer: clinicDID, Verifiers: []string{clinicDID}})
	x.govern(entry.VerifyingKeyListed{Key: entry.VerifyingKey{Circuit: "presentation-9", CircuitDigest: credential.DigestOf(nil), KeyDigest: credential.DigestOf(nil), NotAfter: start + 1<<30}})
	x.govern(entry.IssuerSuspended{DID: ledgertest.LandDID, Reason: "an audit"})
	x.govern(entry.IssuerReinstated{DID: ledgertest.LandDID})
	x.govern(entry.IssuerRotated{DID: ledgertest.LandDID, Keys: []jose.PublicKey{x.Land.Public()}, Quota: 500})
	x.Seal(start + 5*3600)
}

func (x *town) get(path, language string) (*http.Response, string) {
	x.t.Helper()
	return get(x.t, x.server.URL+"/explore"+path, "Accept-Language", language)
}

// askMore registers policies until lists have a second page.
func (x *town) askMore() {
	x.t.Helper()
	asked := policy.Policy{
		Version: 1, Verifier: clinicDID, Name: credential.Text{English: "More", Chinese: "更多"}, Purpose: credential.Text{English: "More", Chinese: "更多"}, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "q", Schema: x.Schema, Issuers: []string{ledgertest.LandDID}, Clauses: []policy.Clause{}}},
	}
	for i := range policySize {
		asked.ID = fmt.Sprint("more-", i)
		x.Apply(clinicDID, x.clinic, entry.PolicyRegistered{Policy: ledgertest.Must(asked.Canonical())(x.t)})
	}
	x.Seal(ledgertest.Start + 6*3600)
	x.sync()
}

// paths are all pages of the town.
func (x *town) paths() []string {
	paths := []string{"/", "/entries", "/entries?before=9", "/seals", "/issuers", "/verifiers", "/policies", "/search", "/check", "/check?entry=3"}
	for i := range x.Entries {
		paths = append(paths, fmt.Sprint("/entry/", i))
	}
	for height := range x.index.Head().Seals {
		paths = append(paths, fmt.Sprint("/seal/", height))
	}
	for _, kind := range kinds {
		paths = append(paths, "/entries?kind="+string(kind))
	}
	return append(paths, "/issuer/"+ledgertest.LandDID, "/verifier/"+url.PathEscape(clinicDID), "/signer/governance", "/entry/4?from=25")
}

var (
	missingWord = regexp.MustCompile(`(?:explore|kind|say|fact|check|chart|signer|list)\.[a-z-]+[a-z]|%!`)
	chinesePart = regexp.MustCompile(`\p{Han}`)
	englishPart = regexp.MustCompile(`\b(?:the|is|and|of|this|was)\b`)
	tags        = regexp.MustCompile(`(?s)<(?:code|template|script|pre)\b.*?</(?:code|template|script|pre)>|<[^>]*>`)
	hrefs       = regexp.MustCompile(`href="([^"]+)"`)
)

// Every page exists in both languages, says nothing in the other one, has no word without a text, and links only to pages that there are.
func TestExplorerPages(t *testing.T) {
	x, policy := newTown(t), page.Policy
	checked := map[string]bool{}
	for _, path := range x.paths() {
		for _, language := range []string{english, chinese} {
			response, page := x.get(path, language)
			if response.StatusCode != http.StatusOK || !strings.Contains(page, `<html lang="`+language+`">`) {
				t.Fatalf("%s in %s: %s", path, language, response.Status)
			}
			if csp := response.Header.Get("Content-Security-Policy"); csp != policy {
				t.Errorf("%s: policy %q", path, csp)
			}
			visible := html.UnescapeString(tags.ReplaceAllString(page, " "))
			if found := missingWord.FindString(visible); found != "" && !strings.Contains(found, ".example") {
				t.Errorf("%s in %s: %q", path, language, found)
			}
			if strings.Contains(page, "Clinic <b>") {
				t.Errorf("%s: a name is not escaped", path)
			}
			visible = strings.ReplaceAll(visible, "中文", "")
			if language == english && chinesePart.MatchString(visible) {
				t.Errorf("%s in English: %q", path, chinesePart.FindString(visible))
			}
			if language == chinese && englishPart.MatchString(strings.ReplaceAll(visible, "an audit", "")) {
				t.Errorf("%s in Chinese: %q", path, englishPart.FindString(visible))
			}
			x.follow(path, page, checked)
		}
	}
	if len(checked) < 30 {
		t.Errorf("only %d links were followed", len(checked))
	}
}

// follow opens the links of a page.
func (x *town) follow(path, page string, checked map[string]bool) {
	x.t.Helper()
	base := ledgertest.Must(url.Parse(x.server.URL + "/explore" + path))(x.t)
	for _, found := range hrefs.FindAllStringSubmatch(page, -1) {
		address := base.ResolveReference(ledgertest.Must(url.Parse(html.UnescapeString(found[1])))(x.t))
		address.Fragment = ""
		if checked[address.String()] {
			continue
		}
		checked[address.String()] = true
		if response, _ := get(x.t, address.String()); response.StatusCode != http.StatusOK {
			x.t.Errorf("%s links to %s: %s", path, address, response.Status)
		}
	}
}

func TestExplorerSays(t *testing.T) {
	x := newTown(t)
	for path, want := range map[string]map[string][]string{
		"/": {
			english: {"Credentials in effect", "<dd>58</dd>", `data-key="e16"`, "By hour", "Seal 2"},
			chinese: {"有效凭证", "封块 2", "按小时"},
		},
		"/entry/4":                               {english: {"Number: 60", "1–25 / 60", "Credential 1: revoked", "Credential 2: in effect", "In effect since", "from=25"}, chinese: {"凭证 1: 已吊销"}},
		"/entry/4?from=50":                       {english: {"51–60 / 60", "Credential 55: revoked"}},
		"/seal/2":                                {english: {"What this seal put into effect", "Issuer suspended", "Policy registered"}},
		"/seal/0":                                {english: {"The chain was founded", "Schema published"}},
		"/entry/12":                              {english: {"Owner", "To see who owns", "Parcels", "3 days"}, chinese: {"业主", "核实所有权", "地块", "3 天"}},
		"/policies":                              {english: {"Owner", "To see who owns", "Clinic &lt;b&gt;"}, chinese: {"业主", "诊所"}},
		"/verifier/" + url.PathEscape(clinicDID): {english: {"What it may ask for", "Owner", "https://clinic.example/"}},
		"/issuer/" + ledgertest.LandDID:          {english: {"Land registry", "Credentials revoked", "Audit log anchored", "Issuer reinstated", "<dd>500</dd>", "now 58 · at most 60", "11-15 03:00: 2</title>", "<th scope=\"col\">Credentials reinstated</th>"}, chinese: {"目前 58", "恢复凭证：共计 1"}},
		"/entries?kind=" + string(entry.KindGenesis): {english: {"Governance founded the chain test."}, chinese: {"治理方建立了链 test。"}},
		"/entries": {english: {"issued credentials. Number: 60"}, chinese: {"签发了 60 份凭证"}},
		"/entries?before=4&kind=credentials-issued": {english: {"There is nothing here yet."}},
		"/check?entry=5": {english: {`data-entry="5"`, `data-threshold="1"`, `data-log-key="ledger.example/test`}},
		"/search":        {english: {"Give the number"}},
	} {
		for language, texts := range want {
			_, page := x.get(path, language)
			for _, text := range texts {
				if !strings.Contains(page, text) {
					t.Errorf("%s in %s has no %q", path, language, text)
				}
			}
		}
	}
}

// Lists of policies go on where they ended, of one verifier and of all.
func TestExplorerPolicies(t *testing.T) {
	x := newTown(t)
	x.askMore()
	next := regexp.MustCompile(`class="button" href="([^"]+)"`)
	for _, path := range []string{"/policies?lang=en", "/verifier/" + url.PathEscape(clinicDID) + "?lang=en"} {
		total := 0
		address := x.server.URL + "/explore" + path
		for n := 0; n < 4 && address != ""; n++ {
			_, page := get(t, address)
			if cards := strings.Count(page, `<article`); n > 0 || !strings.Contains(path, "verifier") {
				total += cards
			}
			found := next.FindStringSubmatch(page)
			if found == nil {
				break
			}
			base := ledgertest.Must(url.Parse(address))(t)
			address = base.ResolveReference(ledgertest.Must(url.Parse(html.UnescapeString(found[1])))(t)).String()
		}
		if total != policySize+1 {
			t.Errorf("%s: %d policies in all pages, want %d", path, total, policySize+1)
		}
	}
}

func TestExplorerRefuses(t *testing.T) {
	x := newTown(t)
	for _, path := range []string{
		"/entry/999", "/entry/x", "/entry/-1", "/entry/4?from=60", "/entry/4?from=x", "/seal/3", "/seal/99999999999999999999", "/issuer/did:web:nobody.example", "/entries?kind=seal",
		"/entries?kind=nonsense", "/entries?before=x", "/nothing", "/entry/4/nothing", "/issuers?after=" + strings.Repeat("x", 400),
	} {
		if response, page := x.get(path, english); response.StatusCode != http.StatusNotFound || !strings.Contains(page, "There is nothing here") {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	for _, path := range []string{
		"/entry/999/raw", "/entry/x/raw", "/check/proof", "/check/proof?index=1&size=999", "/check/proof?index=5&size=5", "/check/proof?index=x&size=5", "/check/consistency?old=0&size=3", "/check/consistency?old=4&size=3",
	} {
		if response, _ := x.get(path, english); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	if response, _ := x.get("/live", english); response.StatusCode != http.StatusOK {
		t.Errorf("live: %s", response.Status)
	}
	moved := ledgertest.Must((&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(x.server.URL + "/explore"))(t)
	moved.Body.Close()
	if moved.Header.Get("Location") != "explore/" {
		t.Errorf("moved to %q", moved.Header.Get("Location"))
	}
}

// A search goes where its one hit is, shows several, says when there is none, and leaves no trace in the log.
func TestExplorerSearch(t *testing.T) {
	x := newTown(t)
	noMove := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	issued := ledgertest.Must(x.index.Entry(4))(t).Payload.(entry.CredentialsIssued)
	commitment := text(issued.Commitments[55])
	for query, want := range map[string]string{
		commitment:                    "./entry/4?from=50&lang=en#c55",
		clinicDID:                     "./verifier/" + url.PathEscape(clinicDID) + "?lang=en",
		ledgertest.LandDID:            "./issuer/did:web:land.example?lang=en",
		" 20 ":                        "./entry/4?from=0&lang=en#c20",
		"2":                           "",
		"did:web:nobody.example":      "",
		strings.Repeat("nothing", 90): "",
	} {
		response := ledgertest.Must(noMove.PostForm(x.server.URL+"/explore/search?lang=en", url.Values{"q": {query}}))(t)
		response.Body.Close()
		if location := response.Header.Get("Location"); location != want || (want == "") != (response.StatusCode == http.StatusOK) {
			t.Errorf("%.50q: %s to %q, want %q", query, response.Status, location, want)
		}
	}
	_, page := x.get("/search?q=2", english)
	for _, text := range []string{"Entry 2", "Seal 2", "Credential 2: in effect"} {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in the hits", text)
		}
	}
	if _, page := x.get("/search?q=nobody", english); !strings.Contains(page, "Nothing like that is on the chain") || strings.Contains(page, "nobody") {
		t.Error("a search without hits")
	}
	for name, form := range map[string]string{"too long": "q=" + strings.Repeat("x", 5000), "malformed": "q=%zz"} {
		response := ledgertest.Must(http.Post(x.server.URL+"/explore/search?lang=en", "application/x-www-form-urlencoded", strings.NewReader(form)))(t)
		page := string(ledgertest.Must(io.ReadAll(response.Body))(t))
		response.Body.Close()
		if response.StatusCode != http.StatusOK || !strings.Contains(page, "Nothing like that is on the chain") {
			t.Errorf("%s: %s %.200s", name, response.Status, page)
		}
	}
	if strings.Contains(x.log.String(), commitment) || x.log.Len() > 0 {
		t.Errorf("the log says %s", x.log)
	}
}

// Whatever address is asked for, there is a page or none, and nothing is out of order.
func FuzzExplorer(f *testing.F) {
	x := newTown(f)
	handler := NewExplorer(x.index, "/explore", slog.New(slog.NewTextHandler(x.log, nil))).Handler()
	for _, path := range x.paths() {
		f.Add(path)
	}
	for _, path := range []string{"/search?q=%00", "/issuer/%2e%2e%2f", "/policies?after=%ff&verifier=a%00b", "/check/proof?index=9007199254740993&size=1", "/entry/4?from=-1&lang=xx"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, address string) {
		path, query, _ := strings.Cut(address, "?")
		if !strings.HasPrefix(path, "/") || len(address) > 4096 {
			t.Skip()
		}
		r := httptest.NewRequest(http.MethodGet, "/explore/", nil)
		r.URL = &url.URL{Path: "/explore" + path, RawQuery: query}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if answer.Code >= 500 || x.log.Len() > 0 {
			t.Errorf("%d, %s", answer.Code, x.log)
		}
		if page := answer.Body.String(); strings.Contains(page, "<script>") {
			t.Errorf("%q comes back in the page", address)
		}
	})
}

// The live part has a tag, and is sent again only when something is new.
func TestExplorerLive(t *testing.T) {
	x := newTown(t)
	first, body := x.get("/live?lang=zh-CN", english)
	tag := first.Header.Get("ETag")
	if tag == "" || !strings.Contains(body, "最新封块") {
		t.Fatalf("%v %s", first.Header, body)
	}
	address := x.server.URL + "/explore/live?lang=zh-CN"
	if again, _ := get(t, address, "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %s", again.Status)
	}
	x.Seal(ledgertest.Start + 6*3600)
	x.sync()
	if next, body := get(t, address, "If-None-Match", tag); next.StatusCode != http.StatusOK || !strings.Contains(body, "封块 3") {
		t.Errorf("after a seal: %s", next.Status)
	}
}

// What the checker is given proves what it should.
func TestExplorerProofs(t *testing.T) {
	x := newTown(t)
	size := len(x.Entries)
	_, note := x.get("/check/checkpoint", english)
	if note != string(x.Checkpoint) {
		t.Errorf("checkpoint %q", note)
	}
	root := rootOf(t, x.Entries)
	for i := range x.Entries {
		var answer struct {
			Entry string
			Proof []credential.Digest
		}
		_, body := x.get(fmt.Sprintf("/check/proof?index=%d&size=%d", i, size), english)
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		var proof tlog.RecordProof
		for _, h := range answer.Proof {
			proof = append(proof, tlog.Hash(h))
		}
		if err := tlog.CheckRecord(proof, int64(size), root, int64(i), tlog.RecordHash([]byte(answer.Entry))); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if _, raw := x.get(fmt.Sprintf("/entry/%d/raw", i), english); raw != string(x.Entries[i]) {
			t.Errorf("entry %d is served as another", i)
		}
	}
}

// hashesOf are the stored hashes of a log, in tlog's order.
func hashesOf(t *testing.T, entries [][]byte) tlog.HashReaderFunc {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, raw := range entries {
		stored = append(stored, ledgertest.Must(tlog.StoredHashes(int64(i), raw, reader))(t)...)
	}
	return reader
}

func rootOf(t *testing.T, entries [][]byte) tlog.Hash {
	t.Helper()
	return ledgertest.Must(tlog.TreeHash(int64(len(entries)), hashesOf(t, entries)))(t)
}
