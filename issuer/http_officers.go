package issuer

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
)

// openDirectory makes the directory of officers, in the agency's own store.
func (i *Issuer) openDirectory(mint oauth.Mint) (err error) {
	i.directory, err = officers.New(officers.Config{
		URL: i.cfg.URL, Name: i.cfg.Name.In("en"), Roles: Roles, Store: i.cfg.Store, Absent: ErrAbsent, Commit: i.commitOfficers,
		Mint: mint, Key: i.cfg.Keys.Admin, Clock: i.cfg.Clock, Logger: i.cfg.Logger,
	})
	return err
}

// Directory is who works at the agency's console.
func (i *Issuer) Directory() *officers.Directory { return i.directory }

// commitOfficers writes rows of the directory together with what the audit log says of them.
func (i *Issuer) commitOfficers(rows map[string][]byte, note *officers.Note) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	for key, value := range rows {
		tx.rows[key] = value
	}
	if note != nil {
		by := Officer(note.By)
		if err := by.validate(); err != nil {
			return err
		}
		if err := i.note(tx, by, Verb(note.Verb), note.Object, note.Detail); err != nil {
			return err
		}
	}
	return tx.commit()
}

type officerList struct {
	Officers []officers.Officer `json:"officers"`
	Roles    []string           `json:"roles" doc:"that there are"`
}

type invitation struct {
	Link  string              `json:"link" doc:"lets somebody join once; hand it over by a way of which you know who reads it"`
	Until credential.UnixTime `json:"until"`
}

func (a *adminAPI) mountOfficers() {
	tags, directory := []string{"Officers"}, a.i.directory
	operation(a, ScopeOfficers, huma.Operation{
		OperationID: "list-officers", Method: http.MethodGet, Path: "/officers", Tags: tags, Summary: "Who works at the console",
	}, func(context.Context, Officer, *struct{}) (*body[officerList], error) {
		list, err := directory.Officers()
		return &body[officerList]{officerList{append([]officers.Officer{}, list...), slices.Sorted(maps.Keys(Roles))}}, err
	})
	type invite struct {
		Body struct {
			ID    string   `json:"id" maxLength:"63" doc:"small letters, digits and ._-; stays with them in the audit log"`
			Name  string   `json:"name" maxLength:"200"`
			Roles []string `json:"roles" maxItems:"8"`
		}
	}
	operation(a, ScopeOfficers, huma.Operation{
		OperationID: "invite-officer", Method: http.MethodPost, Path: "/officers", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Invite an officer, who joins by the link within a day",
	}, func(_ context.Context, by Officer, in *invite) (*body[invitation], error) {
		link, err := directory.Invite(string(by), officers.Officer{ID: in.Body.ID, Name: in.Body.Name, Roles: in.Body.Roles})
		until := credential.UnixTimeOf(a.i.cfg.Clock().Add(officers.InvitationLifetime))
		return &body[invitation]{invitation{link, until}}, officerRefusal(err)
	})
	type change struct {
		ID   string `path:"id" maxLength:"63"`
		Body struct {
			Roles    []string `json:"roles" maxItems:"8"`
			Disabled bool     `json:"disabled"`
		}
	}
	operation(a, ScopeOfficers, huma.Operation{
		OperationID: "change-officer", Method: http.MethodPut, Path: "/officers/{id}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Give an officer other roles, disable or enable them", Description: "Their sessions end. Nobody changes themselves.",
	}, func(_ context.Context, by Officer, in *change) (*struct{}, error) {
		return nil, officerRefusal(directory.Change(string(by), in.ID, in.Body.Roles, in.Body.Disabled))
	})
}

// officerRefusal is what an officer is told of the directory's errors.
func officerRefusal(err error) error {
	switch {
	case errors.Is(err, officers.ErrUnknown):
		return refuse(ErrNotFound, "there is no such officer")
	case errors.Is(err, officers.ErrExists):
		return refuse(ErrState, "the officer has joined already")
	case errors.Is(err, officers.ErrSelf):
		return refuse(ErrSameOfficer, "nobody changes their own roles, or disables themselves")
	case errors.Is(err, officers.ErrInput):
		return refuse(ErrRequest, "%s", err)
	}
	return err
}
