package demo

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
)

// freePorts finds a first port with free ones behind it.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := webapi.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if first+places > 65535 {
			continue
		}
		listeners, err := listen(first)
		if err != nil {
			continue
		}
		for _, l := range listeners {
			l.Close()
		}
		return first
	}
	t.Fatal("no nine free ports in a row")
	return 0
}

// A second start finds everything where it was: the same chain, grown only by seals, the same keys and policies.
func TestSecondStartFindsEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("makes development keys")
	}
	cfg := Config{Dir: t.TempDir(), Passphrase: "test", WorkFactor: 10, Port: freePorts(t)}
	var genesis, registry string
	for start := range 2 {
		n, err := Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		view, err := n.Chain.Update(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if start == 1 && (view.GenesisHash.String() != genesis || view.Seal.Registry.String() != registry) {
			t.Errorf("chain %s with registry %s, before %s with %s", view.GenesisHash, view.Seal.Registry, genesis, registry)
		}
		genesis, registry = view.GenesisHash.String(), view.Seal.Registry.String()
		in, err := n.Invite(t.Context())
		if err != nil || !strings.HasPrefix(in.Land, "openid-credential-offer://") {
			t.Errorf("invitation %q, %v", in.Land, err)
		}
		wantCasePage(t, n)
		wantConsole(t, n)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Port = freePorts(t)
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("other ports: %v", err)
	}
}

// wantCasePage files an application and opens its private link as a browser does, and as a program.
func wantCasePage(t *testing.T, n *Network) {
	t.Helper()
	a, err := Residence("Li Wei", "110108", "2015-03-01")
	if err != nil {
		t.Fatal(err)
	}
	a.ValidUntil = time.Now().AddDate(1, 0, 0).Format(time.DateOnly)
	agency := n.Agencies[CivilDID]
	_, link, err := agency.File("demo-clerk", issuer.Filing{Kind: issuer.CaseIssue, Application: &a})
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{"text/html": "居住", "application/json": `"state":"`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, agency.URL+issuer.ProgressPath+"/"+link, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Language", "zh-CN")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s %.500s, %v", accept, answer.Status, text, err)
		}
	}
}

// wantConsole fails the test unless each invented officer can be signed in at a console, which knows them by name.
func wantConsole(t *testing.T, n *Network) {
	t.Helper()
	a := n.Agencies[LandDID]
	for _, o := range Staff {
		link, err := a.Console(o.ID)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.PostForm(a.URL+"/console/sign-in/link", url.Values{"link": {link}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), o.Name) {
			t.Errorf("%s: %s, %v", o.ID, response.Status, err)
		}
		if _, err := a.Directory().Redeem(link); err != nil {
			t.Errorf("%s: %v", o.ID, err)
		}
	}
	if _, err := a.Console("nobody"); err == nil {
		t.Error("somebody who does not work there")
	}
}
