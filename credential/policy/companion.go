package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// A query with "companion": true also accepts an ordinary dc+sd-jwt of the same data, with a key binding, from wallets that know
// nothing of zero knowledge: doc/spec/sdjwt.md. Whoever shows one discloses the values behind the clauses, and can be recognised at the
// next visit. That stands in the policy, and so on the chain, where the public reads it.

// validateCompanion refuses what a companion cannot answer: it has no pseudonym and no subject tag.
func (q *Query) validateCompanion() error {
	if q.Companion && (q.Scope != nil || q.SubjectScope != nil) {
		return errors.New("companion: a companion has neither pseudonym nor subject tag, and nothing of it can count once: leave out either companion or the scopes")
	}
	return nil
}

// validateCompanions refuses them beside other queries: that two companions, or one and a proof, belong to one person is not known.
func (p *Policy) validateCompanions() error {
	at := slices.IndexFunc(p.Queries, func(q Query) bool { return q.Companion })
	if at >= 0 && len(p.Queries) > 1 {
		return fmt.Errorf("query %.100q: companion: whose it is cannot be compared with other credentials: ask for it in a policy of one query", p.Queries[at].ID)
	}
	return nil
}

// NotClaims are the names that mean something else in a companion, so that a schema with one of them has none.
func NotClaims() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "status", "vct"}
}

// companionOf refuses a schema whose credentials cannot have companions.
func (s *Statement) companionOf(schema *credential.Schema) error {
	if !s.Companion {
		return nil
	}
	for _, c := range schema.Claims {
		if slices.Contains(NotClaims(), c.Name) {
			return fmt.Errorf("companion: schema %s has a claim %s, which means something else there: leave out companion", schema.Type, c.Name)
		}
	}
	return nil
}

// CompanionClaims are the claims whose values a companion must show so that the statement can be checked: those of the clauses, then those
// to disclose, each once. None but these may be shown.
func (s *Statement) CompanionClaims() []string {
	var names []string
	for _, c := range s.Clauses {
		if !slices.Contains(names, c.Claim) {
			names = append(names, c.Claim)
		}
	}
	for _, name := range s.Disclose {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

type companionWords struct{ accepted, acceptedBare, issuedBy, saw, sawIssuer, linkable, delay string }

var companionPhrases = map[string]companionWords{
	"en": {
		accepted:     "From other wallets the verifier also accepts an ordinary credential (companion) instead of the proof. Whoever shows one discloses the values themselves of: %s; and which agency issued it; and all visits with it can be linked.",
		acceptedBare: "From other wallets the verifier also accepts an ordinary credential (companion) instead of the proof. Whoever shows one discloses which agency issued it, and all visits with it can be linked.",
		issuedBy:     "Issued by %s, valid today and not revoked, as its issuer says",
		saw:          "The verifier saw the values of: %s.",
		sawIssuer:    "It saw that the agency is %s, and the credential's dates, key and place in the status list.",
		linkable:     "This visit can be linked to every other visit at which this credential is shown, by its signature and key: by this verifier, and by others and the agency if they compare.",
		delay:        "A revocation takes effect here after at most %d seconds.",
	},
	"zh-CN": {
		accepted:     "对于其他钱包，验证方也接受以普通凭证（伴随凭证）代替证明。出示伴随凭证的人将披露以下内容的值本身：%s；并披露签发机构；且使用该凭证的各次出示均可相互关联。",
		acceptedBare: "对于其他钱包，验证方也接受以普通凭证（伴随凭证）代替证明。出示伴随凭证的人将披露签发机构，且使用该凭证的各次出示均可相互关联。",
		issuedBy:     "由%s签发，据其签发机构，今日有效且未被吊销",
		saw:          "验证方看到了以下内容的值：%s。",
		sawIssuer:    "验证方看到签发机构为%s，以及该凭证的日期、密钥和在状态列表中的位置。",
		linkable:     "凭签名和密钥，本次出示可与出示该凭证的其他各次相关联：本验证方可以关联，其他验证方和签发机构相互比对时也可以。",
		delay:        "吊销最迟在 %d 秒内在此生效。",
	},
}

func companionWordsIn(language string) companionWords {
	if w, ok := companionPhrases[language]; ok {
		return w
	}
	return companionPhrases["en"]
}

// companionText says before anybody answers what a companion would show; empty if none is accepted.
func (s *Statement) companionText(schema *credential.Schema, language string) string {
	w := companionWordsIn(language)
	switch {
	case !s.Companion:
		return ""
	case len(s.CompanionClaims()) == 0:
		return w.acceptedBare
	}
	return fmt.Sprintf(w.accepted, titles(schema, s.CompanionClaims(), language))
}

// ExplainCompanion says in a language what a companion that was accepted showed and proved. shown are the claims whose values were seen,
// issuer is the name of the agency for people, delay the longest that a revocation may have been without effect, in seconds.
func (s *Statement) ExplainCompanion(c Context, issuer string, shown []string, delay int, language string) (Explanation, error) {
	e, err := s.Explain(c, func(did string) string { return did }, language)
	if err != nil {
		return Explanation{}, err
	}
	w := companionWordsIn(language)
	out := Explanation{Facts: append([]string{fmt.Sprintf(w.issuedBy, issuer)}, e.Facts[1:]...)} // the first one names the issuer set
	if len(shown) > 0 {
		out.Shown = append(out.Shown, fmt.Sprintf(w.saw, titles(c.Schema, shown, language)))
	}
	out.Shown = append(out.Shown, fmt.Sprintf(w.sawIssuer, issuer), w.linkable, fmt.Sprintf(w.delay, delay))
	return out, nil
}

func titles(schema *credential.Schema, names []string, language string) string {
	var out []string
	for _, name := range names {
		out = append(out, title(schema, name, language))
	}
	return strings.Join(out, wordsIn(language).comma)
}
