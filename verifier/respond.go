package verifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier/check"
)

// Response is what a wallet posts: a vp_token, or an error of its own.
type Response struct {
	State     string // empty if it is encrypted
	Token     []byte // the vp_token, JSON; empty with Error
	Error     string // access_denied and the like
	Encrypted bool   // Token is a compact JWE of all of them
	// Client is the network address it came from, as [webapi.ClientOf] has it, or empty: whose proofs are bad, its proofs are
	// checked apart from those of others.
	Client string
}

// digest tells the response that was verified from others. It is no replay key, as a proof can be written in other bytes:
// it only lets a wallet that lost our answer hear it again.
func (r *Response) digest() credential.Digest {
	return credential.DigestOf(fmt.Appendf(nil, "%d %s%s", len(r.State), r.State, r.Token))
}

// Respond checks a wallet's response to a request, and consumes nonce and tags if, and only if, all of it holds. A
// refusal is a [*check.Refusal] and leaves the request open, unless the wallet itself declined; any other error means
// that the response could not be checked, and may be sent again. That holds for an answer that was lost, too: the very
// response that was verified is told so again until the request expires, and changes nothing.
func (v *Verifier) Respond(ctx context.Context, requestID string, response Response) error {
	leave, err := v.load.enter()
	if err != nil {
		return err
	}
	defer leave()
	s, err := v.open(requestID, v.cfg.Clock())
	if err != nil {
		return v.again(requestID, response, err)
	}
	defer v.enter(s.ID)()
	asked, err := v.asked(&s.session)
	if err != nil {
		return err
	}
	opened, err := v.decrypt(s, response)
	if err != nil {
		return err
	}
	facts, err := v.answer(ctx, asked, opened)
	if err == nil {
		err = v.accept(s, asked, facts, response.digest())
	}
	if err = v.again(requestID, response, err); err == nil {
		v.cfg.Logger.InfoContext(ctx, "response verified", slog.String("policy", s.Policy))
		return nil
	}
	var refusal *check.Refusal
	switch {
	case errors.As(err, &refusal):
		v.cfg.Logger.InfoContext(ctx, "response refused", slog.String("policy", s.Policy), slog.String("code", string(refusal.Code)))
		return v.refuse(requestID, refusal)
	default:
		return fmt.Errorf("respond: %w", err)
	}
}

// again forgives that a session was answered, if it was by this very response.
func (v *Verifier) again(requestID string, response Response, err error) error {
	var refusal *check.Refusal
	if !errors.As(err, &refusal) || refusal.Code != check.SessionAnswered || response.Error != "" {
		return err
	}
	s, broken := v.named(requestID)
	if broken != nil || s.State != Verified || s.Accepted == nil || *s.Accepted != response.digest() || !v.cfg.Clock().Before(s.ExpiresAt.Time()) {
		return err
	}
	return nil
}

// answer checks everything that changes nothing.
func (v *Verifier) answer(ctx context.Context, asked *check.Asked, response Response) ([]check.Fact, error) {
	switch {
	case response.State != asked.Request.State:
		return nil, check.Refuse(check.StateMismatch, "", nil)
	case response.Error == "access_denied":
		return nil, check.Refuse(check.RefusedByHolder, "", nil)
	case response.Error != "":
		return nil, check.Refuse(check.WalletError, "", nil)
	}
	checker := *v.checker
	checker.Prove = func(ctx context.Context, key *keys.VerifyingKey, public []credential.Element, proof []byte) error {
		return v.proofs.Verify(ctx, response.Client, key, public, proof)
	}
	facts, err := checker.Verify(ctx, asked, response.Token)
	if errors.Is(err, verifying.ErrBusy) {
		return nil, ErrBusy
	}
	return facts, err
}

// maxConflicts bounds how often one response meets another that is written at the same time.
const maxConflicts = maxAttempts + 16

// accept is the one transaction: the request is still open, its tags are unused, and with that the result is there.
func (v *Verifier) accept(s *stored, asked *check.Asked, facts []check.Fact, response credential.Digest) error {
	token, err := v.result(s, asked, facts)
	if err != nil {
		return err
	}
	now := v.cfg.Clock()
	tags, closed := tagKeys(facts), closedKeys(facts)
	for range maxConflicts {
		next := s.session
		next.State, next.Final, next.Reason, next.Query, next.Result = Verified, true, "", "", token
		next.Accepted = &response
		next.PurgeAt = max(s.ExpiresAt+keepUnanswered, credential.UnixTimeOf(now.AddDate(0, 0, asked.Policy.RetentionDays)))
		b := Batch{Set: make(map[string][]byte)}
		for _, tag := range closed {
			b.Absent = append(b.Absent, tag.key)
		}
		for _, tag := range tags {
			b.Absent = append(b.Absent, tag.key)
			b.Set[tag.key] = fmt.Appendf(nil, `{"at":%d}`, now.Truncate(24*time.Hour).Unix()) // the day: the log has the second
		}
		err := v.replace(s, next, b)
		var taken *TakenError
		switch {
		case errors.As(err, &taken):
			return refuseTag(append(closed, tags...), taken.Key)
		case !errors.Is(err, ErrChanged):
			return err
		}
		if s, err = v.open(s.RequestID, now); err != nil { // somebody else wrote it: is it open still?
			return err
		}
	}
	return fmt.Errorf("session changed %d times meanwhile", maxConflicts)
}

// tag is a row that may be written once, ever. Tags of an open scope are never purged: a scope that forgets is used twice.
type tag struct {
	key   string
	query string
	code  check.Code // what to say if it is there
}

// closedKeys are the rows that are there if the scopes of facts were closed, whether they count or not.
func closedKeys(facts []check.Fact) (list []tag) {
	for _, f := range facts {
		for _, scope := range []credential.Element{f.Scope, f.SubjectScope} {
			if !scope.IsZero() {
				list = append(list, tag{closedKey(scope), f.Statement.Query, check.ScopeClosed})
			}
		}
	}
	return list
}

func tagKeys(facts []check.Fact) []tag {
	var tags []tag
	for _, f := range facts {
		s := f.Statement
		if s.Scope != nil && s.Scope.Once {
			tags = append(tags, tag{fmt.Sprintf("tag/pseudonym/%s/%s", f.Scope, f.Pseudonym), s.Query, check.PseudonymUsed})
		}
		if s.SubjectScope != nil && s.SubjectScope.Once {
			tags = append(tags, tag{fmt.Sprintf("tag/subject/%s/%s", f.SubjectScope, f.SubjectTag), s.Query, check.SubjectTagUsed})
		}
	}
	return tags
}

func refuseTag(tags []tag, key string) error {
	for _, t := range tags {
		if t.key == key {
			return check.Refuse(t.code, t.query, nil)
		}
	}
	return errors.New("store says that a row is taken which nobody asked for")
}

// result signs what was found.
func (v *Verifier) result(s *stored, asked *check.Asked, facts []check.Fact) (string, error) {
	terms, err := v.chain.terms()
	if err != nil {
		return "", err
	}
	r, err := check.NewResult(asked, facts, terms)
	if err != nil {
		return "", fmt.Errorf("make result: %w", err)
	}
	now := v.cfg.Clock()
	r.Issuer, r.Audience, r.Session = v.cfg.DID, s.Client, s.ID
	r.IssuedAt, r.ExpiresAt = credential.UnixTimeOf(now), credential.UnixTimeOf(now.Add(v.cfg.ResultLifetime))
	return jose.SignCompact(v.cfg.ResultKey, "", openid.ResultType, r)
}

// refuse notes a refusal where the application will see it, as long as the session is open, and returns it. What does
// not count against the request is not noted: a wrong state, and responses to a request that is closed.
func (v *Verifier) refuse(requestID string, refusal *check.Refusal) error {
	switch refusal.Code {
	case check.StateMismatch, check.SessionUnknown, check.SessionAnswered, check.SessionExpired, check.SessionExhausted:
		return refusal
	}
	for range maxConflicts {
		s, err := v.open(requestID, v.cfg.Clock())
		if err != nil {
			return refusal // closed meanwhile: the refusal stands all the same
		}
		next := s.session
		next.State, next.Reason, next.Query = Rejected, refusal.Code, refusal.Query
		next.Attempts++
		next.Final = refusal.Code == check.RefusedByHolder || refusal.Code == check.WalletError || refusal.Code == check.ScopeClosed || next.Attempts >= maxAttempts
		if err := v.replace(s, next, Batch{}); !errors.Is(err, ErrChanged) {
			if err != nil {
				return fmt.Errorf("note refusal: %w", err)
			}
			return refusal
		}
	}
	return refusal
}
