package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

func TestClauseTexts(t *testing.T) {
	tests := []struct {
		clause           policy.Clause
		english, chinese string
	}{
		{policy.Clause{Claim: "area", AtLeast: "500.0"}, "Area is at least 500.0 m²", "面积不少于 500.0 平方米"},
		{policy.Clause{Claim: "area", AtMost: "500.0"}, "Area is at most 500.0 m²", "面积不多于 500.0 平方米"},
		{policy.Clause{Claim: "area", AtLeast: "1.0", AtMost: "2.0"}, "Area is between 1.0 m² and 2.0 m²", "面积在 1.0 平方米 与 2.0 平方米 之间"},
		{policy.Clause{Claim: "since", AtLeast: "2020-01-01"}, "Registered is 2020-01-01 or later", "登记日期不早于 2020-01-01"},
		{policy.Clause{Claim: "since", AtMost: "2020-01-01"}, "Registered is 2020-01-01 or earlier", "登记日期不晚于 2020-01-01"},
		{policy.Clause{Claim: "since", AtLeast: "2020-01-01", AtMost: "2021-01-01"}, "Registered is between 2020-01-01 and 2021-01-01", "登记日期在 2020-01-01 与 2021-01-01 之间"},
		{policy.Clause{Claim: "since", AtLeastAgo: "P1Y6M"}, "Registered is 2022-08-29 or earlier (at least 1 year and 6 months ago)", "登记日期不晚于 2022-08-29（至少 1年6个月前）"},
		{policy.Clause{Claim: "since", WithinLast: "P1D"}, "Registered is between 2024-02-28 and 2024-02-29 (within the last 1 day)", "登记日期在 2024-02-28 与 2024-02-29 之间（最近 1天内）"},
		{policy.Clause{Claim: "seen", AtMost: "2020-01-01T00:00:00Z"}, "Inspected is 2020-01-01T00:00:00Z or earlier", "查验时间不晚于 2020-01-01T00:00:00Z"},
		{policy.Clause{Claim: "seen", WithinLast: "P1D"}, "Inspected is between 2024-02-28T10:30:00Z and 2024-02-29T10:30:00Z (within the last 1 day)", "查验时间在 2024-02-28T10:30:00Z 与 2024-02-29T10:30:00Z 之间（最近 1天内）"},
		{policy.Clause{Claim: "right", Equals: "owner"}, "Right is Owner", "权利为 所有人"},
		{policy.Clause{Claim: "right", Equals: "tenant"}, "Right is Tenant", "权利为 Tenant"}, // no Chinese label
		{policy.Clause{Claim: "right", Equals: "heir"}, "Right is heir", "权利为 heir"},       // no label at all
		{policy.Clause{Claim: "right", In: []string{"owner", "heir"}}, "Right is one of: Owner; heir", "权利为以下之一：所有人；heir"},
		{policy.Clause{Claim: "disputed", Equals: false}, "Disputed is no", "有争议为 否"},
		{policy.Clause{Claim: "disputed", Equals: true, Not: true}, "it is not true that Disputed is yes (but it is stated)", "以下不成立（但已载明）：有争议为 是"},
		{policy.Clause{Claim: "since", WithinLast: "P1D", Not: true}, "it is not true that Registered is between 2024-02-28 and 2024-02-29 (within the last 1 day) (but it is stated)", "以下不成立（但已载明）：登记日期在 2024-02-28 与 2024-02-29 之间（最近 1天内）"},
		{policy.Clause{Claim: "floors", Present: true}, "floors is stated", "已载明floors"}, // no display text
		{policy.Clause{Claim: "floors", Equals: "-3"}, "floors is -3", "floors为 -3"},
	}
	schema := titles()
	for _, test := range tests {
		resolved := statement(t, schema, test.clause).Clauses[0]
		for language, want := range map[string]string{"en": test.english, "zh-CN": test.chinese} {
			if got, err := resolved.Text(schema, nil, language); err != nil || got != want {
				t.Errorf("%+v in %s:\n%s, %v, want\n%s", test.clause, language, got, err, want)
			}
		}
	}
	if _, err := (&policy.Clause{Claim: "height", Present: true}).Text(schema, nil, "en"); err == nil {
		t.Error("a clause on a claim that is not there has a text")
	}
	if _, err := (&policy.Clause{Claim: "area"}).Text(schema, nil, "en"); err == nil {
		t.Error("a clause that says nothing has a text")
	}
}

func TestExplain(t *testing.T) {
	schema := titles()
	names := map[string]string{land: "Land Registry", survey: "Survey"}
	full := func() *policy.Statement {
		s := statement(t, schema,
			policy.Clause{Claim: "area", AtLeast: "500.0"}, policy.Clause{Claim: "right", Equals: "owner", AnyOf: true}, policy.Clause{Claim: "right", Equals: "heir", AnyOf: true})
		s.Disclose = []string{"parcel", "since"}
		s.Scope = &policy.Scope{Service: "counter", Once: true}
		s.SubjectScope = &policy.Scope{Shared: shared(17), Once: true}
		return s
	}
	sharedPseudonym := statement(t, schema)
	sharedPseudonym.Scope, sharedPseudonym.SubjectScope = &policy.Scope{Shared: shared(3)}, &policy.Scope{Service: "grant"}
	tests := []struct {
		name      string
		statement *policy.Statement
		language  string
		want      string
	}{
		{"all in English", full(), "en", `Issued by Land Registry; Survey, valid today and not revoked
Area is at least 500.0 m²
at least one of these holds: Right is Owner; Right is heir
-
The verifier sees the value of: Parcel; Registered.
Nothing else of the credential is shown.
The verifier receives a pseudonym of yours for the service “counter”: it will recognise you there.
This works once per person.
The verifier receives a tag of the thing itself that other verifiers receive too (shared scope 17). Its register and everyone who ever held it can compute that tag.
This works once per thing.
A revocation takes effect here after at most 3600 seconds beyond the seal interval.`},
		{"all in Chinese", full(), "zh-CN", `由Land Registry；Survey签发，今日有效且未被吊销
面积不少于 500.0 平方米
以下至少一项成立：权利为 所有人；权利为 heir
-
验证方将看到以下内容的值：地块；登记日期。
凭证的其他内容均不出示。
验证方将得到您在服务“counter”中的假名，并能在该服务中再次认出您。
每人仅限一次。
验证方将得到该物的标签；其他验证方也会得到同一标签（共用范围 17）。其登记机构以及曾经的持有人都能计算出此标签。
每物仅限一次。
吊销最迟在封块间隔之外 3600 秒内在此生效。`},
		{"nothing more than issued", statement(t, schema), "en", `Issued by Land Registry; Survey, valid today and not revoked
-
Nothing else of the credential is shown.
This visit cannot be linked to others by what is sent, beyond what these facts narrow down.
A revocation takes effect here after at most 3600 seconds beyond the seal interval.`},
		{"scopes the other way round", sharedPseudonym, "en", `Issued by Land Registry; Survey, valid today and not revoked
-
Nothing else of the credential is shown.
The verifier receives a pseudonym of yours that other verifiers receive too (shared scope 3): they will recognise you.
The verifier receives a tag of the thing itself for “grant”. Its register and everyone who ever held it can compute that tag.
A revocation takes effect here after at most 3600 seconds beyond the seal interval.`},
		{"an unknown language", statement(t, schema), "fr", `Issued by Land Registry; Survey, valid today and not revoked
-
Nothing else of the credential is shown.
This visit cannot be linked to others by what is sent, beyond what these facts narrow down.
A revocation takes effect here after at most 3600 seconds beyond the seal interval.`},
	}
	for _, test := range tests {
		e, err := test.statement.Explain(policy.Context{Schema: schema}, func(did string) string { return names[did] }, test.language)
		got := strings.Join(slices.Concat(e.Facts, []string{"-"}, e.Shown), "\n")
		if err != nil || got != test.want {
			t.Errorf("%s:\n%s\n%v, want\n%s", test.name, got, err, test.want)
		}
	}
}

func TestPolicyExplain(t *testing.T) {
	p := purchase(t, titles())
	p.Purpose.Chinese = "" // falls back
	p.Queries = append(p.Queries, p.Queries[0])
	p.Queries[1].ID = "other"
	for language, want := range map[string][]string{
		"en":    {"Purpose: Buy", "The verifier keeps the result for 30 days.", "All credentials belong to the same person."},
		"zh-CN": {"用途：Buy", "验证方将结果保留 30 天。", "所有凭证属于同一人。"},
	} {
		if got := p.Explain(language); !slices.Equal(got, want) {
			t.Errorf("%s: %q", language, got)
		}
	}
	p.SeveralPersons = true
	if got := p.Explain("en"); len(got) != 2 {
		t.Errorf("several persons: %q", got)
	}
}

func TestMissingTexts(t *testing.T) {
	schema := titles()
	schema.Claims[1].Display, schema.Claims[1].Unit = &credential.Text{}, &credential.Text{}
	schema.Claims[4].Labels["heir"] = credential.Text{}
	for clause, want := range map[*policy.Clause]string{
		{Claim: "area", AtLeast: "1.0"}:  "area is at least 1.0",
		{Claim: "right", Equals: "heir"}: "Right is heir",
	} {
		if got, err := clause.Text(schema, nil, "en"); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
