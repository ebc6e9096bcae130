package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Scopes of the admin API.
const (
	ScopeOffers      = "issuer:offers.write"
	ScopeCredentials = "issuer:credentials.read"
	ScopeRevoke      = "issuer:credentials.revoke" // suspend and reinstate, too
	ScopeEnrolments  = "issuer:enrolments.reset"
	ScopeReadCases   = "issuer:applications.read"
	ScopeFile        = "issuer:applications.write"
	ScopeDecide      = "issuer:approvals.decide"
	ScopeAudit       = "issuer:audit.read"
	ScopeKeys        = "issuer:keys.read"
	ScopeWebhooks    = "issuer:webhooks.write"
	ScopeOfficers    = "issuer:officers.write"
)

// Scopes are all of them.
var Scopes = []string{ScopeOffers, ScopeCredentials, ScopeRevoke, ScopeEnrolments, ScopeReadCases, ScopeFile, ScopeDecide, ScopeAudit, ScopeKeys, ScopeWebhooks, ScopeOfficers}

// Roles are the scopes of those who work at an agency.
var Roles = map[string][]string{
	"clerk":         {ScopeOffers, ScopeCredentials, ScopeRevoke, ScopeReadCases, ScopeFile},
	"approver":      {ScopeReadCases, ScopeDecide, ScopeCredentials},
	"auditor":       {ScopeReadCases, ScopeCredentials, ScopeAudit},
	"key-custodian": {ScopeKeys, ScopeEnrolments, ScopeWebhooks},
	"administrator": {ScopeOfficers},
}

var scopeTexts = map[string]string{
	ScopeOffers: "Make offers", ScopeCredentials: "Read credentials", ScopeRevoke: "Suspend, reinstate and revoke credentials",
	ScopeEnrolments: "Reset enrolments", ScopeReadCases: "Read applications", ScopeFile: "File, edit and withdraw applications",
	ScopeDecide: "Review, approve and refuse applications", ScopeAudit: "Read the audit log", ScopeKeys: "Read which keys there are", ScopeWebhooks: "Say where events are sent",
	ScopeOfficers: "Read, invite and disable officers, and change their roles",
}

// AdminPath is where the admin API is, below the issuer's URL.
const AdminPath = "/admin/v1"

// AdminAuthority makes the tokens of the admin API of the issuer at a URL.
func AdminAuthority(url string, key *jose.SigningKey, clock func() time.Time) *webapi.Authority {
	return &webapi.Authority{Key: key, Issuer: url, Audience: url + AdminPath, Clock: clock}
}

// maxTokenLifetime is how long a token of our own may be good for.
const maxTokenLifetime = 24 * time.Hour

// openAccess makes the check of who calls, by tokens of our own and of the agency's own providers, and the server that gives tokens
// to the agency's software.
func (i *Issuer) openAccess() error {
	ring, err := oauth.NewKeyRing(maxTokenLifetime, i.cfg.Clock, oauth.RingKey{Key: i.cfg.Keys.Admin})
	if err != nil {
		return err
	}
	mint := oauth.Mint{Issuer: i.cfg.URL, Audience: i.cfg.URL + AdminPath, Keys: ring, Clock: i.cfg.Clock}
	i.officers, err = oauth.NewResource(oauth.ResourceConfig{
		Providers: append([]oauth.Provider{oauth.OwnProvider(mint)}, i.cfg.Providers...), Clock: i.cfg.Clock, Logger: i.cfg.Logger,
	})
	if err == nil {
		err = i.openDirectory(mint)
	}
	if err != nil || i.cfg.Clients == nil {
		return err
	}
	server, err := oauth.NewServer(oauth.ServerConfig{
		Mint: mint, Clients: i.cfg.Clients, Scopes: Scopes, Assertions: once.NewMemory(maxProofs, i.cfg.Clock), Clock: i.cfg.Clock,
		TokenURL: i.cfg.URL + tokenPath, KeysURL: i.cfg.URL + keysPath,
	})
	i.server = &oauth.Endpoint{Server: server, Logger: i.cfg.Logger}
	return err
}

// mountAdmin is the API for officers and their software: OpenAPI 3.1 at openapi.json, a page at docs. Refusals are RFC 9457 problems
// whose code is that of [Refusal], with the member claim where a claim does not fit.
func (i *Issuer) mountAdmin(e *gin.Engine) {
	group := e.Group(i.base + AdminPath)
	group.Use(noStore)
	api := &adminAPI{i, webapi.OpenAPI(e, group, webapi.Description{
		Title: "Bulla issuer: " + i.cfg.Name.In("en"), Version: "1", URL: i.cfg.URL + AdminPath, TokenURL: i.cfg.URL + tokenPath,
		Text:   "The back office of an agency: applications with approvals, offers, credentials, audit. Everything is recorded by whom it was done.",
		Scopes: scopeTexts, Tags: []string{"Applications", "Offers", "Credentials", "Audit", "Webhooks", "Officers", "Agency"},
	})}
	api.mountAgency()
	api.mountOffers()
	api.mountCredentials()
	api.mountCompanions()
	api.mountCases()
	api.mountAudit()
	api.mountWebhooks()
	api.mountStatistics()
	api.mountOfficers()
	api.documentImport()
	api.mountTemplate()
}

// adminAPI adds operations.
type adminAPI struct {
	i   *Issuer
	api huma.API
}

// operation adds one. do gets the officer who calls; its refusals become problems.
func operation[In, Out any](a *adminAPI, scope string, op huma.Operation, do func(ctx context.Context, by Officer, in *In) (*Out, error)) {
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	op.MaxBodyBytes = maxBody - 1 // below the bound of the connection, which has no status of its own
	named := op.Method == http.MethodPost && !strings.HasSuffix(scope, ".read")
	if named {
		op.Parameters = append(op.Parameters, idempotencyParameter)
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	huma.Register(a.api, webapi.Scoped(op, scope, a.i.officers.Require), func(ctx context.Context, in *In) (*Out, error) {
		by := Officer(oauth.PrincipalOf(webapi.GinOf(ctx)).ID())
		out, err := answerOnce(ctx, a.i, by, named, op.OperationID, in, func() (*Out, error) { return do(ctx, by, in) })
		if err != nil {
			return nil, a.i.problemOf(ctx, op.OperationID, err)
		}
		return out, nil
	})
}

// idempotencyParameter is the header that names a request, in the document.
var idempotencyParameter = &huma.Param{
	Name: IdempotencyHeader, In: "header", Schema: &huma.Schema{Type: "string", MaxLength: ptr(maxIdempotencyKey + 2)},
	Description: "Names the request: the same again within a day gets the same answer and is not done twice.",
}

func ptr[T any](v T) *T { return &v }

// answerOnce carries a request out, once if it is named.
func answerOnce[In, Out any](ctx context.Context, i *Issuer, by Officer, named bool, operation string, in *In, do func() (*Out, error)) (*Out, error) {
	c := webapi.GinOf(ctx)
	keys := c.Request.Header.Values(IdempotencyHeader)
	if !named || len(keys) == 0 {
		return do()
	}
	key, err := parseIdempotencyKey(strings.Join(keys, ",")) // twice is malformed
	if err != nil {
		return nil, err
	}
	request, err := requestDigest(operation, in)
	if err != nil {
		return nil, err
	}
	out, replayed, err := carryOut(i, by, key, request, do)
	if replayed {
		c.Header("Idempotency-Replayed", "true")
	}
	return out, err
}

// body is an answer of one JSON value.
type body[T any] struct{ Body T }

func (a *adminAPI) mountAgency() {
	operation(a, ScopeReadCases, huma.Operation{
		OperationID: "list-schemas", Method: http.MethodGet, Path: "/schemas", Tags: []string{"Agency"}, Summary: "The schemas that the agency issues under",
	}, func(context.Context, Officer, *struct{}) (*body[schemaList], error) {
		return &body[schemaList]{a.i.schemaList()}, nil
	})
	operation(a, ScopeKeys, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/keys", Tags: []string{"Agency"}, Summary: "The keys that the agency uses, and those whose signatures may still be good, without their secrets",
	}, func(context.Context, Officer, *struct{}) (*body[keyList], error) {
		k := a.i.cfg.Keys
		list := keyList{[]keyInfo{{Use: "entries", ID: k.Signing.Public().KeyID(), Registered: a.i.registered(k.Signing.Public())}, {Use: "access tokens", ID: k.Admin.Public().KeyID()}}}
		if k.Companion != nil {
			list.Keys = append(list.Keys, keyInfo{Use: "companions", ID: k.Companion.Public().KeyID()})
		}
		for _, retired := range k.CompanionRetired {
			list.Keys = append(list.Keys, keyInfo{Use: "companions", ID: retired.KeyID(), Retired: true})
		}
		return &body[keyList]{list}, nil
	})
	type lost struct {
		Body struct {
			Person   string `json:"person" maxLength:"1024"`
			Register string `json:"register,omitempty" doc:"may be left out if the agency has one"`
			Note     string `json:"note,omitempty" maxLength:"500"`
		}
	}
	operation(a, ScopeEnrolments, huma.Operation{
		OperationID: "replace-wallet", Method: http.MethodPost, Path: "/enrolments/replace", Tags: []string{"Agency"},
		Summary:     "A wallet is lost: revoke what the person holds, then end the enrolment",
		Description: "Answers with credentials of other agencies that are in the way; call it again once they have ended them.",
	}, func(ctx context.Context, by Officer, in *lost) (*body[LostWallet], error) {
		out, err := a.i.ReplaceWallet(ctx, by, in.Body.Register, in.Body.Person, in.Body.Note)
		return &body[LostWallet]{out}, err
	})
	type reset struct {
		Body struct {
			Person   string `json:"person" maxLength:"1024"`
			Register string `json:"register,omitempty" doc:"may be left out if the agency has one"`
		}
	}
	operation(a, ScopeEnrolments, huma.Operation{
		OperationID: "reset-enrolment", Method: http.MethodPost, Path: "/enrolments/reset", Tags: []string{"Agency"}, DefaultStatus: http.StatusNoContent,
		Summary: "End a person's enrolment, so that another wallet can be enrolled", Description: "Every credential of the person must be revoked first.",
	}, func(_ context.Context, by Officer, in *reset) (*struct{}, error) {
		return nil, a.i.ResetEnrolment(by, in.Body.Register, in.Body.Person)
	})
}

type schemaInfo struct {
	Schema    *credential.Schema `json:"schema"`
	ID        credential.Element `json:"id"`
	Register  string             `json:"enrolment_register"`
	Approvals int                `json:"approvals"`
}

type schemaList struct {
	Schemas []schemaInfo `json:"schemas"`
}

func (i *Issuer) schemaList() (list schemaList) {
	for _, s := range i.cfg.Schemas {
		known := i.schemas[s.Type]
		list.Schemas = append(list.Schemas, schemaInfo{s, known.id, known.register.Name(), i.cfg.Approvals[s.Type]})
	}
	return list
}

type keyInfo struct {
	Use     string `json:"use"`
	ID      string `json:"kid"`
	Retired bool   `json:"retired,omitempty" doc:"what it signed may still be good"`
	// Registered is nil where it is not known, or not asked.
	Registered *bool `json:"registered,omitempty" doc:"of the key that signs entries: whether the chain lists it, as last seen"`
}

// registered tells whether the chain lists a key of the agency's, as far as it was seen.
func (i *Issuer) registered(key jose.PublicKey) *bool {
	if i.cfg.View == nil {
		return nil
	}
	view := i.cfg.View()
	if view == nil {
		return nil
	}
	agency, _ := view.Registry.Issuer(i.cfg.DID)
	listed := slices.Contains(agency.Keys, key)
	return &listed
}

type keyList struct {
	Keys []keyInfo `json:"keys"`
}

func (a *adminAPI) mountOffers() {
	type in struct{ Body Application }
	operation(a, ScopeOffers, huma.Operation{
		OperationID: "make-offer", Method: http.MethodPost, Path: "/offers", Tags: []string{"Offers"}, DefaultStatus: http.StatusCreated,
		Summary: "Offer a credential to a person", Description: "For schemas that need approvals, file an application instead.",
	}, func(ctx context.Context, by Officer, in *in) (*body[Offer], error) {
		offer, err := a.i.Offer(ctx, by, in.Body)
		return &body[Offer]{offer}, err
	})
}

// credentialPage is one page of a list.
type credentialPage struct {
	Credentials []Credential `json:"credentials"`
	Next        string       `json:"next,omitempty" doc:"give it as after for the next page; none: this is the last"`
}

func (a *adminAPI) mountCredentials() {
	list := func(by Officer, l List) (*body[credentialPage], error) {
		page, more, err := a.i.Credentials(by, l)
		answer := credentialPage{Credentials: page}
		if more && len(page) > 0 {
			answer.Next = page[len(page)-1].ID
		}
		return &body[credentialPage]{answer}, err
	}
	type query struct {
		After string `query:"after"`
		Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	operation(a, ScopeCredentials, huma.Operation{
		OperationID: "list-credentials", Method: http.MethodGet, Path: "/credentials", Tags: []string{"Credentials"}, Summary: "All credentials, oldest first",
	}, func(_ context.Context, by Officer, in *query) (*body[credentialPage], error) {
		return list(by, List{After: in.After, Limit: in.Limit})
	})
	type search struct {
		Body struct {
			Person string `json:"person"`
			After  string `json:"after,omitempty"`
			Limit  int    `json:"limit,omitempty"`
		}
	}
	operation(a, ScopeCredentials, huma.Operation{
		OperationID: "search-credentials", Method: http.MethodPost, Path: "/credentials/search", Tags: []string{"Credentials"},
		Summary: "The credentials of a person", Description: "A person's name has no place in a URL.",
	}, func(_ context.Context, by Officer, in *search) (*body[credentialPage], error) {
		return list(by, List{in.Body.Person, in.Body.After, in.Body.Limit})
	})
	type one struct {
		ID string `path:"id"`
	}
	operation(a, ScopeCredentials, huma.Operation{
		OperationID: "read-credential", Method: http.MethodGet, Path: "/credentials/{id}", Tags: []string{"Credentials"}, Summary: "One credential",
	}, func(_ context.Context, by Officer, in *one) (*body[Credential], error) {
		found, err := a.i.Credential(by, in.ID)
		return &body[Credential]{found}, err
	})
	type erase struct {
		ID   string `path:"id"`
		Body Reason
	}
	operation(a, ScopeRevoke, huma.Operation{
		OperationID: "erase-credential", Method: http.MethodPost, Path: "/credentials/{id}/erase", Tags: []string{"Credentials"}, DefaultStatus: http.StatusNoContent,
		Summary: "Erase what it says of its person", Description: "It must be revoked or past its end.",
	}, func(ctx context.Context, by Officer, in *erase) (*struct{}, error) {
		return nil, a.i.Erase(ctx, by, in.ID, in.Body)
	})
	for verb, change := range map[string]func(context.Context, Officer, string, Reason) (Credential, error){
		"suspend": a.i.Suspend, "reinstate": a.i.Reinstate, "revoke": a.i.Revoke,
	} {
		type why struct {
			ID   string `path:"id"`
			Body Reason
		}
		operation(a, ScopeRevoke, huma.Operation{
			OperationID: verb + "-credential", Method: http.MethodPost, Path: "/credentials/{id}/" + verb, Tags: []string{"Credentials"},
			Summary: "Have it on the chain: " + verb, Description: "It is answered once that is sealed. The reason stays with the agency.",
		}, func(ctx context.Context, by Officer, in *why) (*body[Credential], error) {
			changed, err := change(ctx, by, in.ID, in.Body)
			if err == nil {
				a.i.cfg.Logger.InfoContext(ctx, "credential changed", slog.String("credential", changed.ID), slog.String("status", string(changed.Status)))
			}
			return &body[Credential]{changed}, err
		})
	}
}

// problem is an RFC 9457 problem that can name a claim or quote the ledger's code.
type problem struct {
	*webapi.Problem
	Claim  string `json:"claim,omitempty"`
	Ledger string `json:"ledger,omitempty"`
}

var officerStatus = map[Code]int{
	ErrNotFound.Code:     http.StatusNotFound,
	ErrState.Code:        http.StatusConflict,
	ErrApproval.Code:     http.StatusConflict,
	ErrCompanion.Code:    http.StatusConflict,
	ErrExternalID.Code:   http.StatusConflict,
	ErrVersion.Code:      http.StatusPreconditionFailed,
	ErrSameOfficer.Code:  http.StatusForbidden,
	ErrOfficer.Code:      http.StatusForbidden,
	ErrHeld.Code:         http.StatusConflict,
	ErrBusy.Code:         http.StatusConflict,
	ErrIdempotency.Code:  http.StatusUnprocessableEntity,
	ErrOnePerPerson.Code: http.StatusConflict,
	ErrLedger.Code:       http.StatusConflict,
	ErrUnavailable.Code:  http.StatusServiceUnavailable,
}

// problemOf is what an officer is told of an error. What is no refusal is logged and not shown.
func (i *Issuer) problemOf(ctx context.Context, operation string, err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		i.cfg.Logger.ErrorContext(ctx, "request failed", slog.String("operation", operation), slog.Any("error", err))
		return webapi.NewProblem(http.StatusInternalServerError, "internal", "something went wrong here")
	}
	if refusal.Code == ErrBusy.Code {
		webapi.GinOf(ctx).Header("Retry-After", "1")
	}
	status, ok := officerStatus[refusal.Code]
	if !ok {
		status = http.StatusBadRequest
	}
	return &problem{webapi.NewProblem(status, string(refusal.Code), refusal.Detail), refusal.Claim, refusal.Ledger}
}
