package verifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// State is where a session is in its life.
type State string

// The states. Verified, expired and cancelled are final; rejected is final only where the status says so: a refused response
// consumes nothing, so that the wallet may mend it (a root that grew too old) while the request lives.
const (
	Created   State = "created"   // nobody has fetched the request
	Fetched   State = "fetched"   // a wallet has it
	Responded State = "responded" // a response is being checked
	Verified  State = "verified"  // there is a result
	Rejected  State = "rejected"  // the last response was refused
	Expired   State = "expired"   // nobody answered in time, or not well
	Cancelled State = "cancelled" // application or person ended it
)

// maxAttempts is how many responses to one request may be refused.
const maxAttempts = 16

// session is a row of the store. The request that wallets see is named by another random number, so that who sees a QR
// code cannot ask for the result. Its signed object, the same bytes for everybody who fetches it, has a row of its own that
// never changes: it is ten times as long as the session, which each response rewrites.
type session struct {
	Version   int                 `json:"version"` // 1
	ID        string              `json:"id"`      // for the application
	RequestID string              `json:"request_id"`
	Page      string              `json:"page"`   // names the person's page
	Client    string              `json:"client"` // the application that asked; nobody else may read
	Policy    string              `json:"policy"`
	Genesis   credential.Digest   `json:"genesis"`
	StartedAt credential.UnixTime `json:"started_at"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
	PurgeAt   credential.UnixTime `json:"purge_at"`
	State     State               `json:"state"` // created, fetched, verified or rejected
	Final     bool                `json:"final"` // no response is taken any longer
	Attempts  int                 `json:"attempts"`
	Changes   uint64              `json:"changes,omitempty"` // how often it was written anew
	Reason    check.Code          `json:"reason,omitempty"`
	Query     string              `json:"query,omitempty"` // that the reason speaks of
	Result    string              `json:"result,omitempty"`
	Accepted  *credential.Digest  `json:"accepted,omitempty"` // of the response that was verified: see [Response.digest]

	// Lapsed says that nobody answered well in time and that the application was told so; then nothing changes any more.
	Lapsed bool `json:"lapsed,omitempty"`

	ResponseKey string `json:"response_key,omitempty"` // sealed; dropped when no response is taken any longer
	ReturnURI   string `json:"return_uri,omitempty"`   // where the person's browser goes on, with a response code

	Log *logged `json:"log,omitempty"`
}

// The keys of our rows.
func sessionKey(id string) string        { return "session/" + id }
func requestKey(requestID string) string { return "request/" + requestID }
func objectKey(id string) string         { return "object/" + id }
func dueKey(at credential.UnixTime, id string) string {
	return fmt.Sprintf("%s%016x/%s", duePrefix, uint64(at), id)
}

const duePrefix = "due/"

// stored is a session with the bytes it was read from, which a change is conditional on.
type stored struct {
	session
	row []byte
}

// Started is what an application learns of a new session.
type Started struct {
	ID          string              `json:"id"`
	RequestLink string              `json:"request_link"` // for a QR code or a button: openid4vp://…
	RequestURI  string              `json:"request_uri"`
	PageURI     string              `json:"page_uri"` // where to send a person who has no other page of yours
	ExpiresAt   credential.UnixTime `json:"expires_at"`
	State       State               `json:"state"`
}

// Ask is what an application asks for.
type Ask struct {
	Policy   string
	Lifetime time.Duration // of the request; 0 is the default
	// ReturnURI is where the wallet sends the person's browser when it answered, if wallet and browser are on one device;
	// empty: nowhere. The result is then given only to who shows the response code that came along.
	ReturnURI string
	Key       string // names the request: see [Verifier.StartOnce]
}

// Start makes a session for an application. lifetime is that of the request; 0 is the default. The error is a
// [*NotReadyError] if the chain does not let us ask, [ErrLifetime], or one of ledger or store.
func (v *Verifier) Start(ctx context.Context, client, policyID string, lifetime time.Duration) (*Started, error) {
	return v.StartWith(ctx, client, Ask{Policy: policyID, Lifetime: lifetime})
}

// StartWith is Start with all that an application can ask for. It also returns [ErrReturnURI].
func (v *Verifier) StartWith(ctx context.Context, client string, ask Ask) (*Started, error) {
	return v.start(ctx, client, ask, func(*Batch, *Started) error { return nil })
}

// start is StartWith whose commit another adds to.
func (v *Verifier) start(ctx context.Context, client string, ask Ask, add func(*Batch, *Started) error) (*Started, error) {
	policyID, lifetime := ask.Policy, ask.Lifetime
	if lifetime == 0 {
		lifetime = v.cfg.Lifetime
	}
	if !v.mayReturnTo(ask.ReturnURI) {
		return nil, ErrReturnURI
	}
	if lifetime < minimumLifetime || lifetime > maximumLifetime {
		return nil, ErrLifetime
	}
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("start session: read the chain: %w", err)
	}
	p, err := v.find(view, policyID)
	if err != nil {
		return nil, err
	}
	if err := v.mayCount(view, p); err != nil {
		return nil, err
	}
	s := session{Version: 1, ID: webapi.RandomID(), RequestID: webapi.RandomID(), Page: webapi.RandomID(), Client: client, Policy: p.ID, Genesis: view.GenesisHash, State: Created, ReturnURI: ask.ReturnURI}
	now := v.cfg.Clock()
	request, err := v.newRequest(view, p, s.RequestID, now, lifetime)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	if s.ResponseKey, err = v.encryptTo(request, s.ID); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	object, err := v.identity.sign(request)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	s.StartedAt, s.ExpiresAt = credential.UnixTimeOf(now), request.ExpiresAt
	s.PurgeAt = s.ExpiresAt + keepUnanswered
	if s.Log, err = loggedOf(p, v.cfg.Clock()); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	row, err := credential.Canonical(s)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	started := &Started{s.ID, v.requestLink(&s), v.requestURI(&s), v.base + PagePath + "/" + s.Page, s.ExpiresAt, Created}
	b := Batch{
		Absent: []string{sessionKey(s.ID), requestKey(s.RequestID), pageKey(s.Page)},
		Set: map[string][]byte{
			sessionKey(s.ID): row, objectKey(s.ID): []byte(object), requestKey(s.RequestID): []byte(s.ID), pageKey(s.Page): []byte(s.ID), dueKey(s.PurgeAt, s.ID): {},
			ownKey(&s): {}, lapseKey(s.ExpiresAt, s.ID): {},
		},
	}
	if err := add(&b, started); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	if err := v.cfg.Store.Commit(b); err != nil {
		return nil, fmt.Errorf("start session: store: %w", err)
	}
	return started, nil
}

func (v *Verifier) requestURI(s *session) string { return v.base + requestPath + s.RequestID }

func (v *Verifier) requestLink(s *session) string {
	return openid.RequestReference{ClientID: v.ClientID(), URI: v.requestURI(s), Post: true}.Link()
}

// ErrLifetime is returned for lifetimes that requests may not have.
var ErrLifetime = fmt.Errorf("requests live %s to %s", minimumLifetime, maximumLifetime)

// Request is the signed request object of a request id. It is the same for everybody who fetches it while the session
// is open: a wallet that lost its connection fetches again, and a second wallet gains nothing, as one response counts.
// Refusals are [*check.Refusal].
func (v *Verifier) Request(ctx context.Context, requestID string) (string, error) {
	s, err := v.open(requestID, v.cfg.Clock())
	if err != nil {
		return "", err
	}
	if s.State == Created {
		next := s.session
		next.State = Fetched
		if err := v.replace(s, next, Batch{}); err != nil && !errors.Is(err, ErrChanged) {
			v.cfg.Logger.ErrorContext(ctx, "mark session as fetched", slog.Any("error", err)) // it only informs
		}
	}
	return v.object(&s.session)
}

// object is the signed request of a session.
func (v *Verifier) object(s *session) (string, error) {
	object, err := v.cfg.Store.Get(objectKey(s.ID))
	if err != nil {
		return "", fmt.Errorf("read signed request: %w", err)
	}
	return string(object), nil
}

// open reads the session of a request id and refuses one that takes no response.
func (v *Verifier) open(requestID string, now time.Time) (*stored, error) {
	s, err := v.named(requestID)
	switch {
	case err != nil:
		return nil, err
	case s.State != Verified && s.Attempts >= maxAttempts:
		return nil, check.Refuse(check.SessionExhausted, "", nil)
	case s.Final:
		return nil, check.Refuse(check.SessionAnswered, "", nil)
	case s.Lapsed || !now.Before(s.ExpiresAt.Time()):
		return nil, check.Refuse(check.SessionExpired, "", nil)
	}
	return s, nil
}

// named reads the session of a request id.
func (v *Verifier) named(requestID string) (*stored, error) {
	id, err := v.cfg.Store.Get(requestKey(requestID))
	if errors.Is(err, ErrAbsent) {
		return nil, check.Refuse(check.SessionUnknown, "", nil)
	}
	if err != nil {
		return nil, fmt.Errorf("look up request: %w", err)
	}
	s, err := v.read(string(id))
	if errors.Is(err, ErrAbsent) {
		return nil, check.Refuse(check.SessionUnknown, "", nil)
	}
	return s, err
}

func (v *Verifier) read(id string) (*stored, error) {
	row, err := v.cfg.Store.Get(sessionKey(id))
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	s := &stored{row: row}
	if err := credential.ParseCanonical(row, &s.session); err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	return s, nil
}

// replace writes a session over the row it was read from, together with the rest of a batch, and tells the application if that
// ends it.
func (v *Verifier) replace(old *stored, next session, b Batch) error {
	ends := (next.Final || next.Lapsed) && !old.Final && !old.Lapsed
	if next.Final || next.Lapsed {
		next.ResponseKey = ""
	}
	next.Changes = old.Changes + 1
	row, err := credential.Canonical(next)
	if err != nil {
		return err
	}
	if b.Set == nil {
		b.Set = make(map[string][]byte)
	}
	b.Same = map[string][]byte{sessionKey(old.ID): old.row}
	b.Set[sessionKey(old.ID)] = row
	if next.PurgeAt != old.PurgeAt {
		b.Delete = append(b.Delete, dueKey(old.PurgeAt, old.ID))
		b.Set[dueKey(next.PurgeAt, old.ID)] = []byte{}
	}
	if ends {
		if err := v.end(&b, &next); err != nil {
			return err
		}
	}
	if err := v.cfg.Store.Commit(b); err != nil {
		return err
	}
	v.announce(next)
	if ends {
		v.webhooks.Wake()
	}
	return nil
}

// end adds to the batch that ends a session what follows from that: an entry of the log, and what the application is told.
func (v *Verifier) end(b *Batch, s *session) error {
	ended, at := *s, credential.UnixTimeOf(v.cfg.Clock())
	if s.Lapsed {
		if at = s.ExpiresAt; s.State != Rejected {
			ended.State = Expired
		}
	}
	b.Delete = append(b.Delete, lapseKey(s.ExpiresAt, s.ID))
	if err := v.logEnd(b, &ended, at); err != nil {
		return err
	}
	return v.announceEnd(b, &ended, at)
}

// Status is a session as its application sees it.
type Status struct {
	ID        string              `json:"id"`
	Policy    string              `json:"policy"`
	State     State               `json:"state"`
	Final     bool                `json:"final"` // nothing will change any more
	ExpiresAt credential.UnixTime `json:"expires_at"`
	Reason    *Reason             `json:"reason,omitempty"` // of the last refusal
	Result    string              `json:"result,omitempty"` // signed; see check.VerifyResult
}

// Reason names the check that refused, never a condition on the person.
type Reason struct {
	Code  check.Code      `json:"code"`
	Query string          `json:"query,omitempty"`
	Text  credential.Text `json:"text"`
}

// Status is the state of a session that the application started; [ErrAbsent] for all others. Of a session with a return
// URI it is what may be known without the response code: see [Verifier.StatusWith].
func (v *Verifier) Status(ctx context.Context, client, id string) (*Status, error) {
	return v.StatusWith(ctx, client, id, "")
}

// StatusWith is the state of a session whose browser came back with a response code. Without the code a session that has
// a return URI stays "responded" where it is verified: whoever polls learns nothing that the browser which started it did
// not bring. A code that is not the session's is [ErrResponseCode].
func (v *Verifier) StatusWith(_ context.Context, client, id, responseCode string) (*Status, error) {
	s, err := v.ofClient(client, id)
	if err != nil {
		return nil, err
	}
	return v.status(s, responseCode)
}

// ofClient reads a session that the application started.
func (v *Verifier) ofClient(client, id string) (*stored, error) {
	s, err := v.read(id)
	if err != nil {
		return nil, err
	}
	if s.Client != client {
		return nil, fmt.Errorf("session of another application: %w", ErrAbsent)
	}
	return s, nil
}

func (v *Verifier) status(s *stored, responseCode string) (*Status, error) {
	return v.statusAs(&s.session, v.isPending(s.ID), responseCode)
}

// statusAs is the status while a response is, or is not, being checked.
func (v *Verifier) statusAs(s *session, pending bool, responseCode string) (*Status, error) {
	status := &Status{ID: s.ID, Policy: s.Policy, State: s.State, Final: s.Final, ExpiresAt: s.ExpiresAt, Result: s.Result}
	if s.Reason != "" && s.State != Verified {
		status.Reason = &Reason{s.Reason, s.Query, s.Reason.Text()}
	}
	coded := s.ReturnURI != "" && v.sealer.isCode(s.ID, s.State == Verified, responseCode)
	switch {
	case responseCode != "" && !coded:
		return nil, ErrResponseCode
	case s.State == Verified && s.ReturnURI != "" && !coded:
		status.State, status.Final, status.Result = Responded, false, ""
	case s.Final:
	case pending:
		status.State = Responded
	case s.Lapsed || !v.cfg.Clock().Before(s.ExpiresAt.Time()):
		status.Final = true
		if s.State != Rejected {
			status.State = Expired
		}
	}
	return status, nil
}

// isPending tells whether a response to the session is being checked.
func (v *Verifier) isPending(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pending[id] > 0
}

// enter counts a response in; the function it returns counts it out.
func (v *Verifier) enter(id string) (leave func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pending[id]++
	v.tell(id, news{pending: true})
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.pending[id]--; v.pending[id] == 0 {
			delete(v.pending, id)
			v.tell(id, news{})
		}
	}
}

// asked is the stored request, from the very bytes that were signed.
func (v *Verifier) asked(s *session) (*check.Asked, error) {
	object, err := v.object(s)
	if err != nil {
		return nil, err
	}
	payload, err := jose.PeekPayload(object)
	if err != nil {
		return nil, fmt.Errorf("stored request: %w", err)
	}
	return check.ParseAskedOf(v.known, s.Genesis, payload)
}
