package issuer_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Everything that was read or written stands in the log, by whom, and nothing about the person.
func TestAuditLog(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	must(a.Suspend(t.Context(), clerk, c.ID, because("seen in a café by Wang Fang")))(t)
	must(a.Credential("somebody", c.ID))(t)
	page, next, err := a.Audit("auditor", issuer.AuditQuery{Limit: 100})
	if err != nil || next != 0 {
		t.Fatalf("%d, %v", next, err)
	}
	var got []string
	for _, r := range page {
		got = append(got, string(r.By)+" "+string(r.Verb)+" "+r.Detail)
	}
	want := []string{
		"https://agency.example|clerk offer urn:bulla:schema:title:1", "holder credential-asked urn:bulla:schema:title:1", "issuer credential-issued ",
		"holder credential-delivered ", "https://agency.example|clerk credentials-listed ",
		"https://agency.example|clerk change-requested credentials-suspended other", "system credential-changed credentials-suspended other",
		"somebody credential-read ", "auditor audit-read ",
	}
	for i := range want {
		want[i] = strings.Replace(strings.Replace(want[i], "issuer ", "system ", 1), "urn:bulla:schema:title:1", titleType, 1)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var file bytes.Buffer
	head := must(a.ExportAudit("auditor", &file))(t)
	if verified, err := issuer.VerifyAudit(bytes.NewReader(file.Bytes())); err != nil || verified != head || head.Records != uint64(len(want))+1 {
		t.Errorf("verified %+v, exported %+v, %v", verified, head, err)
	}
	for _, secret := range []string{"Li Wei", "Wang Fang", "1250"} {
		if strings.Contains(file.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if _, err := a.Credential("", c.ID); err == nil {
		t.Error("somebody without a name read a credential")
	}
	filtered, _, err := a.Audit("auditor", issuer.AuditQuery{By: "somebody"})
	if err != nil || len(filtered) != 1 || filtered[0].Object != c.ID {
		t.Errorf("%+v, %v", filtered, err)
	}
	first, next, err := a.Audit("auditor", issuer.AuditQuery{Limit: 2})
	if err != nil || len(first) != 2 || next != 2 {
		t.Fatalf("%d records, next %d, %v", len(first), next, err)
	}
	newest, next, err := a.Audit("auditor", issuer.AuditQuery{Newest: true, Limit: 2})
	if err != nil || len(newest) != 2 || newest[0].Number != newest[1].Number+1 || newest[0].Verb != issuer.DidReadAudit || next != newest[1].Number {
		t.Errorf("newest first: %+v, %d, %v", newest, next, err)
	}
	older, next, err := a.Audit("auditor", issuer.AuditQuery{Newest: true, After: next, Limit: issuer.MaxPage})
	if err != nil || next != 0 || older[0].Number != newest[1].Number-1 || older[len(older)-1].Number != 1 {
		t.Errorf("before them: %+v, %d, %v", older, next, err)
	}
	if second, _, err := a.Audit("auditor", issuer.AuditQuery{After: first[1].Number, Limit: 2}); err != nil || second[0].Number != 3 {
		t.Errorf("%+v, %v", second, err)
	}
}

// An exported log in which anything is changed, left out or put in is noticed by whoever has it, or by the chain's anchors.
func TestVerifyAudit(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	var file bytes.Buffer
	head := must(a.ExportAudit(clerk, &file))(t)
	lines := strings.SplitAfter(strings.TrimSuffix(file.String(), "\n"), "\n")
	for name, altered := range map[string]string{
		"a record left out":   strings.Join(append(append([]string{}, lines[:1]...), lines[2:]...), ""),
		"the first left out":  strings.Join(lines[1:], ""),
		"another officer":     strings.Replace(file.String(), "|clerk", "|smith", 1),
		"a record twice":      lines[0] + file.String(),
		"an unknown member":   strings.Replace(file.String(), `"at":`, `"an":1,"at":`, 1),
		"not canonical":       strings.Replace(file.String(), `,"by"`, `, "by"`, 1),
		"a line without end":  strings.Repeat("x", 8<<10),
		"shorter than chain":  strings.Join(lines[:2], ""),
		"other than chain":    "",
		"records out of turn": lines[1] + lines[0],
	} {
		anchors := []issuer.AuditHead{head}
		if name == "other than chain" {
			altered = file.String()
			anchors[0].Head[0] ^= 1
		}
		if _, err := issuer.VerifyAudit(strings.NewReader(altered), anchors...); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
	if _, err := issuer.VerifyAudit(&file, head, issuer.AuditHead{}); err == nil {
		t.Error("an anchor of no records was found")
	}
}

// The head gets onto the chain by itself, once, and again when there is something new.
func TestAuditIsAnchored(t *testing.T) {
	a, p := newAgency(t, func(c *issuer.Config) { c.AnchorEvery = time.Hour }), newPerson("Li Wei")
	a.mustIssue(p, a.title(p, "1"))
	a.clock.Advance(2 * time.Hour)
	a.restart()
	eventually(t, "the log is anchored", func() bool { return len(must(a.Anchors())(t)) == 1 })
	anchor := must(a.Anchors())(t)[0]
	e := must(entry.Parse(a.ledger.entries[anchor.Entry]))(t)
	payload := must(e.ParsePayload())(t)
	if got, ok := payload.(entry.AuditAnchored); !ok || issuer.AuditHead(got) != anchor.AuditHead {
		t.Errorf("entry %d has %+v, want %+v", anchor.Entry, payload, anchor.AuditHead)
	}
	var file bytes.Buffer
	must(a.ExportAudit(clerk, &file))(t)
	if _, err := issuer.VerifyAudit(&file, anchor.AuditHead); err != nil {
		t.Error(err)
	}
	before := a.ledger.count()
	a.restart()
	a.mustIssue(p, a.title(p, "2"))
	if got := a.ledger.count(); got != before+1 {
		t.Errorf("%d entries, want %d: the anchor is new", got, before+1)
	}
	a.Anchor()
	eventually(t, "the log is anchored again", func() bool { return len(must(a.Anchors())(t)) == 2 })
}

// An anchor that does not come is noticed, and one that came is known by its time.
func TestLateAnchor(t *testing.T) {
	a, p := newAgency(t, func(c *issuer.Config) { c.AnchorEvery = time.Hour }), newPerson("Li Wei")
	check := func(when string, anchored, late bool) {
		t.Helper()
		at, isLate, err := a.AuditAnchor()
		if err != nil || at.IsZero() == anchored || anchored && a.clock.Now().Sub(at).Abs() > time.Second || isLate != late {
			t.Errorf("%s: anchored at %v, late %t, %v", when, at, isLate, err)
		}
	}
	check("nothing happened", false, false)
	a.mustIssue(p, a.title(p, "1"))
	a.clock.Advance(time.Hour + time.Minute)
	check("it is due", false, false)
	a.clock.Advance(time.Hour)
	check("it did not come", false, true)
	a.restart()
	eventually(t, "the log is anchored", func() bool { return len(must(a.Anchors())(t)) == 1 })
	check("it came", true, false)
}
