package policy_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

func TestPreview(t *testing.T) {
	schema := people()
	p := purchase(t, schema, policy.Clause{Claim: "born", AtLeastAgo: "P18Y"})
	around := policy.Surroundings{Schemas: known(t, schema)}
	preview, err := p.Preview(now, around, "en")
	if err != nil {
		t.Fatal(err)
	}
	s := statement(t, schema, policy.Clause{Claim: "born", AtLeastAgo: "P18Y"})
	e, err := s.Explain(policy.Context{Schema: schema}, func(did string) string { return did }, "en")
	if err != nil {
		t.Fatal(err)
	}
	if q := preview.Queries[0]; !slices.Equal(q.Facts, e.Facts) || !slices.Equal(q.Shown, e.Shown) || !slices.Equal(preview.About, p.Explain("en")) {
		t.Errorf("%+v, want %+v", q, e)
	}
	if len(preview.Warnings) != 1 || preview.Warnings[0].Code != "issuers" || preview.Name != "Purchase" {
		t.Errorf("%+v", preview)
	}

	p.RetentionDays, p.FreshnessSeconds = policy.LongRetention+1, policy.LongFreshness+1
	around.Good = func(credential.Element, []string) ([]string, error) { return []string{land}, nil }
	around.IssuerName = func(did, language string) string { return language + " " + did }
	if preview, err = p.Preview(now, around, "zh-CN"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range preview.Warnings {
		got = append(got, w.Query+"/"+w.Code+"/"+w.Text)
	}
	want := []string{"/retention/验证方将结果保留 367 天", "/freshness/凭证被吊销的人在封块间隔之外最多 1 天零 1 秒内仍可应答", "title/issuers/只接受一个签发机构，因此签发机构为对方所知"}
	if !slices.Equal(got, want) || preview.Queries[0].Facts[0] != "由zh-CN did:web:land.example签发，今日有效且未被吊销" {
		t.Errorf("%q, want %q; %q", got, want, preview.Queries[0].Facts)
	}
	bad := errors.New("nobody")
	around.Good = func(credential.Element, []string) ([]string, error) { return nil, bad }
	if _, err := p.Preview(now, around, "en"); !errors.Is(err, bad) {
		t.Error(err)
	}
	p.Queries[0].Disclose = []string{"height"}
	if _, err := p.Preview(now, policy.Surroundings{Schemas: known(t, schema)}, "en"); err == nil {
		t.Error("a policy that cannot be proven has a preview")
	}
}

func TestParseMoment(t *testing.T) {
	for text, ok := range map[string]bool{
		"2027-03-01": true, "2027-03-01T09:30:00Z": true, "": false, "2027-3-1": false, "2027-02-30": false, "2027-03-01T09:30:00+08:00": false, "tomorrow": false,
	} {
		if _, err := policy.ParseMoment(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
