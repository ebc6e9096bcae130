package officers_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
)

var chen = officers.Officer{ID: "chen", Name: "Chen Jie", Roles: []string{"clerk"}}

// want fails the test unless an error is of the kind that callers branch on.
func want(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

// From an invitation to a token: the officer is one principal, and the trail says what happened.
func TestJoinAndSignIn(t *testing.T) {
	w := newWorld(t)
	d, first := w.joined(chen)
	p := must(w.Session(first))(t)
	if p.Principal != agency+"|officer:chen" || p.Name != "Chen Jie" || !slices.Equal(p.Scopes, roles["clerk"]) {
		t.Errorf("%+v", p)
	}
	second := must(w.SignIn(d.get(t, must(w.BeginSignIn())(t))))(t)
	token := must(w.Token(must(w.Session(second))(t).Principal, nil))(t)
	if who := w.principal(token); who.ID() != p.Principal || !slices.Equal(who.Scopes, roles["clerk"]) {
		t.Errorf("the API sees %+v", who)
	}
	if err := w.End(second); err != nil {
		t.Fatal(err)
	}
	_, err := w.Session(second)
	want(t, "a session that was ended", err, officers.ErrSignedOut)
	if _, err := w.Session(first); err != nil {
		t.Errorf("the other session: %v", err)
	}
	var verbs []string
	for _, n := range w.notes {
		if n.By != p.Principal || n.Object != "chen" {
			t.Errorf("%+v", n)
		}
		verbs = append(verbs, n.Verb)
	}
	if !slices.Equal(verbs, []string{officers.Joined, officers.SignedIn, officers.SignedOut}) {
		t.Errorf("the trail has %q", verbs)
	}
}

func TestInvitationsAreForOne(t *testing.T) {
	w := newWorld(t)
	link := must(w.Links().Invitation(chen))(t)
	join := func(link string) error {
		_, options, err := w.BeginJoin(link)
		if err == nil {
			_, err = w.Join(link, "laptop", newDevice(t).create(t, options))
		}
		return err
	}
	if err := join(link); err != nil {
		t.Fatal(err)
	}
	want(t, "replayed", join(link), officers.ErrLink)
	want(t, "of one who has joined", join(must(w.Links().Invitation(chen))(t)), officers.ErrExists)
	late := must(w.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(t)
	w.now = w.now.Add(24*time.Hour + time.Second)
	want(t, "a day later", join(late), officers.ErrLink)
	w.now = w.now.Add(-time.Hour)
	other := officers.Links{URL: "https://health.example", Key: w.key, Clock: func() time.Time { return w.now }}
	want(t, "another agency's", join(must(other.Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(t)), officers.ErrLink)
	stranger := officers.Links{URL: agency, Key: must(jose.Generate(jose.EdDSA))(t), Clock: other.Clock}
	want(t, "signed by a stranger", join(must(stranger.Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(t)), officers.ErrLink)
	want(t, "a sign-in link", join(must(w.Links().SignIn(officers.Officer{ID: "sun"}))(t)), officers.ErrLink)
	want(t, "with a role that is not", join(must(w.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"king"}}))(t)), officers.ErrUnknown)
	want(t, "garbage", join("https://land.example/#x.y.z"), officers.ErrLink)
	want(t, "far too long", join(strings.Repeat("x", 1<<20)), officers.ErrLink)
}

// A passkey that was made for one invitation joins by no other.
func TestPasskeyOfAnotherInvitation(t *testing.T) {
	w := newWorld(t)
	link := must(w.Links().Invitation(chen))(t)
	_, options, err := w.BeginJoin(link)
	if err != nil {
		t.Fatal(err)
	}
	answer := newDevice(t).create(t, options)
	sun := must(w.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(t)
	_, err = w.Join(sun, "laptop", answer)
	want(t, "another officer's", err, officers.ErrPasskey)
	_, err = w.Join(link, "laptop", answer)
	want(t, "a challenge that was tried", err, officers.ErrPasskey)
}

func TestPasskeysThatAreRefused(t *testing.T) {
	w := newWorld(t)
	d, _ := w.joined(chen)
	signIn := func(change func(*device)) error {
		other := *d
		change(&other)
		_, err := w.SignIn(other.get(t, must(w.BeginSignIn())(t)))
		return err
	}
	if err := signIn(func(*device) {}); err != nil {
		t.Fatal(err)
	}
	want(t, "from another origin", signIn(func(d *device) { d.origin = "https://land.example.evil.example" }), officers.ErrPasskey)
	want(t, "over http", signIn(func(d *device) { d.origin = "http://land.example" }), officers.ErrPasskey)
	want(t, "without the person", signIn(func(d *device) { d.flags = present }), officers.ErrPasskey)
	want(t, "another key", signIn(func(d *device) { d.key = newDevice(t).key }), officers.ErrPasskey)
	want(t, "another's handle", signIn(func(d *device) { d.user = make([]byte, 32) }), officers.ErrPasskey)
	want(t, "an unknown passkey", signIn(func(d *device) { d.id = make([]byte, 16) }), officers.ErrPasskey)
	options := must(w.BeginSignIn())(t)
	if _, err := w.SignIn(d.get(t, options)); err != nil {
		t.Fatal(err)
	}
	_, err := w.SignIn(d.get(t, options))
	want(t, "a challenge twice", err, officers.ErrPasskey)
	options = must(w.BeginSignIn())(t)
	w.now = w.now.Add(5*time.Minute + time.Second)
	_, err = w.SignIn(d.get(t, options))
	want(t, "six minutes later", err, officers.ErrPasskey)
	want(t, "a counter that rises", signIn(func(o *device) { o.count = 7 }), nil)
	want(t, "a copy, whose counter is behind", signIn(func(o *device) { o.count = 3 }), officers.ErrPasskey)
	_, err = w.SignIn([]byte(`{"id":`))
	want(t, "garbage", err, officers.ErrPasskey)
	_, err = w.SignIn(make([]byte, 1<<20))
	want(t, "far too much", err, officers.ErrPasskey)
}

func TestSignInLinks(t *testing.T) {
	w := newWorld(t)
	link := must(w.Links().SignIn(chen))(t)
	if at, _, _ := strings.Cut(link, "#"); at != agency+officers.SignInPath {
		t.Errorf("the link is to %s", at)
	}
	if whom := must(w.Whom(link))(t); whom.Name != "Chen Jie" || len(w.notes) != 0 {
		t.Errorf("%+v, %v", whom, w.notes)
	}
	if _, err := w.Redeem(link); err != nil {
		t.Fatal(err)
	}
	_, err := w.Redeem(link)
	want(t, "replayed", err, officers.ErrLink)
	_, err = w.Whom(link)
	want(t, "looked at again", err, officers.ErrLink)
	late := must(w.Links().SignIn(chen))(t)
	w.now = w.now.Add(10 * time.Minute)
	_, err = w.Redeem(late)
	want(t, "ten minutes later", err, officers.ErrLink)
	_, err = w.Redeem(must(w.Links().SignIn(officers.Officer{ID: "nobody"}))(t))
	want(t, "of nobody", err, officers.ErrUnknown)
	_, err = w.Redeem(must(w.Links().Invitation(officers.Officer{ID: "sun", Name: "Sun Ming", Roles: []string{"clerk"}}))(t))
	want(t, "an invitation", err, officers.ErrLink)
	_, err = w.Redeem(must(w.Token(agency+"|officer:chen", nil))(t))
	want(t, "an access token", err, officers.ErrLink)
	long := must(jose.SignCompact(w.key, "", "officer-sign-in+jwt", map[string]any{"iss": agency, "sub": "chen", "iat": w.now.Unix(), "exp": w.now.Add(time.Hour).Unix(), "jti": "x"}))(t)
	_, err = w.Redeem(long)
	want(t, "good for an hour", err, officers.ErrLink)
}

// A link says who somebody is; what they may do, the directory says.
func TestLinkDoesNotChangeRoles(t *testing.T) {
	w := newWorld(t)
	w.joined(chen)
	raised := chen
	raised.Roles = []string{"administrator"}
	secret := must(w.Redeem(must(w.Links().SignIn(raised))(t)))(t)
	if p := must(w.Session(secret))(t); !slices.Equal(p.Scopes, roles["clerk"]) {
		t.Errorf("%+v", p)
	}
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	secret := w.wang()
	for range 19 { // somebody who works without a pause
		w.now = w.now.Add(29 * time.Minute)
		if _, err := w.Session(secret); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(29 * time.Minute)
	if p, err := w.Session(secret); err != nil || p.Until.Sub(w.now) != 20*time.Minute {
		t.Fatalf("%v %v", p.Until, err)
	}
	w.now = w.now.Add(20 * time.Minute)
	_, err := w.Session(secret)
	want(t, "after ten hours", err, officers.ErrSignedOut)
	secret = w.wang()
	w.now = w.now.Add(30 * time.Minute)
	_, err = w.Session(secret)
	want(t, "after half an hour without a look", err, officers.ErrSignedOut)
	for _, other := range []string{"", "x", strings.Repeat("x", 100), strings.Repeat("A", 43)} {
		_, err := w.Session(other)
		want(t, "a secret of nobody", err, officers.ErrSignedOut)
	}
}

func TestChange(t *testing.T) {
	w := newWorld(t)
	admin := must(w.Session(w.wang()))(t).Principal
	d, secret := w.joined(chen)
	if err := w.Change(admin, "chen", []string{"approver"}, false); err != nil {
		t.Fatal(err)
	}
	_, err := w.Session(secret)
	want(t, "a session of other roles", err, officers.ErrSignedOut)
	secret = must(w.SignIn(d.get(t, must(w.BeginSignIn())(t))))(t)
	if err := w.Change(admin, "chen", []string{"approver"}, true); err != nil {
		t.Fatal(err)
	}
	_, err = w.Session(secret)
	want(t, "a session of one who was disabled", err, officers.ErrSignedOut)
	_, err = w.Token(agency+"|officer:chen", nil)
	want(t, "a token for one who was disabled", err, officers.ErrSignedOut)
	_, err = w.SignIn(d.get(t, must(w.BeginSignIn())(t)))
	want(t, "the passkey of one who was disabled", err, officers.ErrDisabled)
	_, err = w.Redeem(must(w.Links().SignIn(chen))(t))
	want(t, "a link of one who was disabled", err, officers.ErrDisabled)
	want(t, "oneself", w.Change(admin, "wang", []string{"administrator", "approver"}, false), officers.ErrSelf)
	want(t, "nobody", w.Change(admin, "nobody", []string{"clerk"}, false), officers.ErrUnknown)
	want(t, "no role", w.Change(admin, "chen", nil, false), officers.ErrInput)
	want(t, "a role that is not", w.Change(admin, "chen", []string{"king"}, false), officers.ErrInput)
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	admin := must(w.Session(w.wang()))(t).Principal
	link := must(w.Invite(admin, chen))(t)
	if list := must(w.Officers())(t); len(list) != 2 || list[0].ID != "chen" || list[0].Joined != 0 {
		t.Errorf("%+v", list)
	}
	if err := w.Change(admin, "chen", chen.Roles, true); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.BeginJoin(link)
	want(t, "an invitation that was taken back", err, officers.ErrDisabled)
	_, err = w.Invite(admin, officers.Officer{ID: "wang", Name: "Wang Fang", Roles: []string{"clerk"}})
	want(t, "one who has joined", err, officers.ErrExists)
	for _, o := range []officers.Officer{
		{ID: "Chen", Name: "Chen", Roles: chen.Roles}, {ID: "a|b", Name: "Chen", Roles: chen.Roles}, {ID: "", Name: "Chen", Roles: chen.Roles},
		{ID: "x", Name: "", Roles: chen.Roles}, {ID: "x", Name: "two\nlines", Roles: chen.Roles}, {ID: "x", Name: " Chen", Roles: chen.Roles},
		{ID: "x", Name: strings.Repeat("x", 201), Roles: chen.Roles}, {ID: "x", Name: "Chen", Roles: []string{"clerk", "clerk"}}, {ID: "x", Name: "Chen"},
	} {
		_, err := w.Invite(admin, o)
		want(t, "an officer that cannot be", err, officers.ErrInput)
	}
}

// One person has so many sessions; the oldest ends.
func TestNoMoreThanSoManySessions(t *testing.T) {
	w := newWorld(t)
	first := w.wang()
	var last string
	for range 16 {
		w.now = w.now.Add(time.Second)
		last = w.wang()
	}
	_, err := w.Session(first)
	want(t, "the oldest of seventeen", err, officers.ErrSignedOut)
	if _, err := w.Session(last); err != nil {
		t.Error(err)
	}
}

func TestOwnPasskeys(t *testing.T) {
	w := newWorld(t)
	secret := w.wang()
	add := func() error {
		p := must(w.Session(secret))(t)
		options, err := w.BeginPasskey(p)
		if err == nil {
			err = w.AddPasskey(p, "phone", newDevice(t).create(t, options))
		}
		return err
	}
	if err := add(); err != nil {
		t.Fatal(err)
	}
	o := must(w.Officer("wang"))(t)
	if len(o.Passkeys) != 1 || o.Passkeys[0].Name != "phone" {
		t.Fatalf("%+v", o.Passkeys)
	}
	want(t, "another's", w.RemovePasskey("wang", "x"), officers.ErrUnknown)
	if err := w.RemovePasskey("wang", o.Passkeys[0].ID); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "a ninth", add(), officers.ErrInput)
	if err := w.RemovePasskey("wang", must(w.Officer("wang"))(t).Passkeys[0].ID); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(16 * time.Minute)
	want(t, "in a session that was left open", add(), officers.ErrStale)
}

// A person of the agency's provider is one principal, whether they come with the provider's token or through the console.
func TestOfficersOfTheProvider(t *testing.T) {
	w := newWorld(t)
	who := oauth.Principal{Issuer: "https://id.example", Subject: "b6f0", Scopes: []string{"a:write"}}
	secret := must(w.Welcome(who, "Zhao Lei"))(t)
	p := must(w.Session(secret))(t)
	if p.Principal != who.ID() || p.Name != "Zhao Lei" || p.Officer != "" {
		t.Errorf("%+v", p)
	}
	if seen := w.principal(must(w.Token(p.Principal, p.Scopes))(t)); seen.ID() != who.ID() || !slices.Equal(seen.Scopes, who.Scopes) {
		t.Errorf("the API sees %+v", seen)
	}
	who.Scopes = nil
	_, err := w.Welcome(who, "Zhao Lei")
	want(t, "without a role", err, officers.ErrNoRole)
	who.Scopes, who.Subject = p.Scopes, strings.Repeat("x", 255)
	_, err = w.Welcome(who, "Zhao Lei")
	want(t, "with a name that no token holds", err, officers.ErrInput)
	if err := w.RemovePasskey(p.Officer, "x"); !errors.Is(err, officers.ErrUnknown) {
		t.Error(err)
	}
}
