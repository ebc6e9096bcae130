package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/internal/officers"
)

// Staff are the invented officers of each agency, so that a visitor can see each side of its console: two approve, as four eyes need two.
var Staff = []officers.Officer{
	{ID: "chen", Name: "Chen Jie 陈洁", Roles: []string{"clerk"}},
	{ID: "wang", Name: "Wang Fang 王芳", Roles: []string{"approver"}},
	{ID: "zhao", Name: "Zhao Lei 赵磊", Roles: []string{"approver"}},
	{ID: "sun", Name: "Sun Ming 孙明", Roles: []string{"auditor"}},
	{ID: "zhou", Name: "Zhou Ying 周颖", Roles: []string{"key-custodian"}},
	{ID: "li", Name: "Li Na 李娜", Roles: []string{"administrator"}},
}

// Console is a link that signs a visitor in at the agency's console, once, as one of [Staff]. It is an address to send a browser to.
func (a *Agency) Console(officer string) (link string, err error) {
	at := slices.IndexFunc(Staff, func(o officers.Officer) bool { return o.ID == officer })
	if at < 0 {
		return "", fmt.Errorf("there is no officer %.40q", officer)
	}
	return a.Directory().Links().SignIn(Staff[at])
}

// OfficerLinks makes links for the officers of an agency of a dev folder, whose network is running.
func OfficerLinks(ctx context.Context, dir, passphrase, did string) (officers.Links, error) {
	registry, err := readRegistry(ctx, dir)
	if err != nil {
		return officers.Links{}, err
	}
	agency, ok := registry.Issuer(did)
	if !ok {
		return officers.Links{}, fmt.Errorf("agency %s is not on the chain", did)
	}
	key, err := devKey(dir, passphrase, roleOf(agencies, did)+"-admin")
	return officers.Links{URL: agency.URL, Key: key, Clock: time.Now}, err
}
