package office

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// bureau is an agency that bulla issuer init made, on a chain that does not know it yet. It serves over TLS, and its clock can be moved.
type bureau struct {
	t      *testing.T
	chain  *ledgertest.Chain
	made   MadeAgency
	enrol  *keys.VerifyingKey
	client *http.Client
	url    string
	figure string        // where the metrics are
	ahead  *atomic.Int64 // by how much the clock is, in nanoseconds
}

const bureauDID = "did:web:bureau.example"

func newBureau(t *testing.T, certificateEnd time.Time) *bureau {
	t.Helper()
	b := &bureau{t: t, chain: ledgertest.New(t), ahead: new(atomic.Int64)}
	dir := t.TempDir()
	from := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, value any) {
		text := ledgertest.Must(json.Marshal(value))(t)
		if err := os.WriteFile(from(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("chain.json", map[string]any{"ledger": b.chain.URL, "genesis": b.chain.Genesis, "checkpoint_policy": b.chain.Policy})
	write("permit.json", permit)
	roots := certify(t, dir, certificateEnd)
	address := freeAddress(t)
	b.url = "https://" + address
	const enrolment = "../../testvectors/proofs/enrolment/verifying.key"
	b.enrol = ledgertest.Must(readVerifyingKey(enrolment))(t)
	var err error
	b.made, err = MakeAgency(NewAgency{
		Dir: from("bureau"), DID: bureauDID, Name: credential.Text{English: "Bureau"}, URL: b.url,
		Listen:  Listen{Address: address, Certificate: from("cert.pem"), Key: from("key.pem"), Metrics: "127.0.0.1:0"},
		Schemas: []string{from("permit.json")}, Chain: from("chain.json"), VerifyingKey: enrolment, Passphrase: passphrase, WorkFactor: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 10 * time.Second}
	b.serve()
	return b
}

var permit = credential.Schema{
	Type: "urn:example:schema:permit:1", Claims: []credential.ClaimType{{Name: "since", Type: credential.Date}}, EnrolmentRegister: credential.IssuerRegister,
	OnePerPerson: true, Display: &credential.Text{English: "Permit"},
}

func freeAddress(t *testing.T) string {
	t.Helper()
	s := ledgertest.Must(newService("nothing", Listen{Address: "127.0.0.1:0"}, Options{}))(t)
	defer s.Close()
	return s.listener.Addr().String()
}

func (b *bureau) serve() {
	b.t.Helper()
	cfg := ledgertest.Must(ReadIssuerConfig(b.made.Config))(b.t)
	s, err := OpenIssuer(cfg, Options{
		Passphrase: passphrase, Clock: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }, lookEvery: 50 * time.Millisecond,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if s.URL() != b.url {
		b.t.Errorf("it serves at %s, want %s", s.URL(), b.url)
	}
	b.figure = s.MetricsURL()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.t.Cleanup(func() {
		b.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("it ended with %v", err)
		}
	})
}

// answered is /readyz as programs read it.
type answered struct {
	status   int
	Ready    bool    `json:"ready"`
	Code     string  `json:"code"`
	Problems []Alarm `json:"problems"`
	Warnings []Alarm `json:"warnings"`
}

func (a answered) names() (names []string) {
	for _, list := range [][]Alarm{a.Problems, a.Warnings} {
		for _, alarm := range list {
			names = append(names, alarm.Name)
		}
	}
	return names
}

func (b *bureau) ready() (a answered) {
	b.t.Helper()
	response, err := b.client.Get(b.url + "/readyz")
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text := ledgertest.Must(io.ReadAll(response.Body))(b.t)
	if err := json.Unmarshal(text, &a); err != nil {
		b.t.Fatalf("%d %s", response.StatusCode, text)
	}
	a.status = response.StatusCode
	return a
}

// await waits until /readyz names exactly these alarms, with that status.
func (b *bureau) await(status int, want ...string) answered {
	b.t.Helper()
	var a answered
	for range 400 {
		a = b.ready()
		if a.status == status && slices.Equal(a.names(), want) {
			if a.Ready != (status == http.StatusOK) || len(want) > 0 && !a.Ready && a.Code != want[0] {
				b.t.Errorf("%+v", a)
			}
			return a
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("want %d with %v, it stays %+v", status, want, a)
	return a
}

// metric is a figure as Prometheus reads it.
func (b *bureau) metric(name string) float64 {
	b.t.Helper()
	response, err := http.Get(b.figure)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	for line := range strings.Lines(string(ledgertest.Must(io.ReadAll(response.Body))(b.t))) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return ledgertest.Must(strconv.ParseFloat(strings.TrimSpace(value), 64))(b.t)
		}
	}
	b.t.Fatalf("there is no metric %s", name)
	return 0
}

// at moves the agency's clock.
func (b *bureau) at(t time.Time) { b.ahead.Store(int64(time.Until(t))) }

// list lists the enrolment key on the chain until a day.
func (b *bureau) list(end time.Time) {
	b.t.Helper()
	b.chain.Govern(entry.VerifyingKeyListed{Key: entry.VerifyingKey{
		Circuit: b.enrol.Name(), CircuitDigest: b.enrol.Circuit(), KeyDigest: b.enrol.Digest(), NotAfter: credential.UnixTimeOf(end),
	}})
}

func (b *bureau) register(url string, keys ...jose.PublicKey) {
	b.t.Helper()
	b.chain.Govern(entry.IssuerRegistered{DID: bureauDID, Name: credential.Text{English: "Bureau"}, Keys: keys, Quota: 1000, URL: url})
}

// From nothing to a working agency, and to the end of its keys: what is missing or ends is named, and only what keeps it from working makes it
// unready.
func TestAlarmsOfAnAgency(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a seal after each change")
	}
	now := time.Now().UTC().Truncate(time.Second)
	keyEnds, certificateEnds := now.Add(90*24*time.Hour), now.Add(200*24*time.Hour)
	b := newBureau(t, certificateEnds)
	b.await(http.StatusServiceUnavailable, "verifying-key", "registration")
	if ready, problems := b.metric("bulla_ready"), b.metric("bulla_problems"); ready != 0 || problems != 2 {
		t.Errorf("ready %g, problems %g", ready, problems)
	}
	if unknown := b.metric("bulla_issuer_suspended"); !math.IsNaN(unknown) {
		t.Errorf("of an agency that is not on the chain it is said that it is suspended: %g", unknown)
	}

	b.list(keyEnds)
	b.register(b.url, *b.made.Public.Key)
	b.await(http.StatusOK, "schema")
	b.chain.PublishSchema(permit, bureauDID)
	b.await(http.StatusOK)
	for name, want := range map[string]float64{
		"bulla_ready": 1, "bulla_problems": 0, "bulla_warnings": 0, "bulla_issuer_suspended": 0, "bulla_issuer_quota": 1000, "bulla_issuer_live": 0,
		"bulla_issuer_verifying_key_expiry_timestamp_seconds": float64(keyEnds.Unix()), "bulla_certificate_expiry_timestamp_seconds": float64(certificateEnds.Unix()),
	} {
		if got := b.metric(name); got != want {
			t.Errorf("%s is %.0f, want %.0f", name, got, want)
		}
	}
	if at := b.metric("bulla_chain_seal_timestamp_seconds"); math.Abs(at-float64(time.Now().Unix())) > 60 {
		t.Errorf("the newest seal is of %.0f", at)
	}
	if at := b.metric("bulla_issuer_audit_anchor_timestamp_seconds"); !math.IsNaN(at) {
		t.Errorf("an anchor that is not there is of %.0f", at)
	}

	// As the clock moves on, the chain seems to stand still, too: that alone is a warning.
	b.at(keyEnds.Add(-lead - time.Hour))
	b.await(http.StatusOK, "chain")
	b.at(keyEnds.Add(-lead + time.Minute))
	a := b.await(http.StatusOK, "chain", "verifying-key")
	if until := a.Warnings[1].Until; until == nil || !until.Equal(keyEnds) {
		t.Errorf("the warning names %v as the end", until)
	}
	if b.metric("bulla_warnings") != 2 || b.metric("bulla_ready") != 1 {
		t.Error("metrics do not say so")
	}
	b.at(keyEnds.Add(time.Minute))
	b.await(http.StatusServiceUnavailable, "verifying-key", "chain")
	b.list(keyEnds.Add(365 * 24 * time.Hour)) // governance gives it another end
	b.await(http.StatusOK, "chain")

	b.at(certificateEnds.Add(-lead + time.Minute))
	b.await(http.StatusOK, "certificate", "chain")
	b.at(certificateEnds.Add(time.Minute))
	b.await(http.StatusServiceUnavailable, "certificate", "chain")
	b.at(time.Now())
	b.await(http.StatusOK)

	b.chain.Govern(entry.IssuerSuspended{DID: bureauDID, Reason: "a test"})
	b.await(http.StatusServiceUnavailable, "suspended")
	if b.metric("bulla_issuer_suspended") != 1 {
		t.Error("metrics do not say that it is suspended")
	}
	b.chain.Govern(entry.IssuerReinstated{DID: bureauDID})
	b.await(http.StatusOK)

	b.chain.Govern(entry.IssuerRotated{DID: bureauDID, Keys: []jose.PublicKey{ledgertest.Key(t, "another").Public()}, Quota: 0})
	b.await(http.StatusServiceUnavailable, "signing-key", "quota")
}

// A chain on which governance wrote another URL: wallets would refuse the agency.
func TestAlarmOfAnotherURL(t *testing.T) {
	b := newBureau(t, time.Now().Add(100*24*time.Hour))
	b.list(time.Now().Add(100 * 24 * time.Hour))
	b.register("https://another.example", *b.made.Public.Key)
	b.chain.PublishSchema(permit, bureauDID)
	b.await(http.StatusServiceUnavailable, "url")
}

// What the role itself says is not hidden, and other paths and methods go through.
func TestReadinessOfTheRole(t *testing.T) {
	s := &Service{clock: time.Now}
	s.checks = append(s.checks, func(time.Time) []Alarm { return []Alarm{warning("paper", "there is little left")} })
	status := http.StatusServiceUnavailable
	role := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		fmt.Fprint(w, r.Method+" "+r.URL.Path)
	})
	h := s.withAlarms("/a/readyz", role)
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/a/readyz", 503, "GET /a/readyz"}, {http.MethodPost, "/a/readyz", 503, "POST /a/readyz"}, {http.MethodGet, "/readyz", 503, "GET /readyz"},
		{http.MethodGet, "/a/readyz", 200, `{"ready":true,"problems":[],"warnings":[{"name":"paper","detail":"there is little left"}]}` + "\n"},
	} {
		status = c.status
		w := webapi.NewRecorded()
		h.ServeHTTP(w, ledgertest.Must(http.NewRequestWithContext(t.Context(), c.method, c.path, nil))(t))
		if w.Status != c.status || w.Body.String() != c.body || (w.Header().Get("Retry-After") == "7") != (c.status == 503) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Status, &w.Body)
		}
	}
}

// A key in a device signs in the place of the key store's, and only what signs entries can be in one.
func TestSigningKeyInADevice(t *testing.T) {
	dir := t.TempDir()
	stored := makeKeys(t, dir, Issuer, bureauDID)
	secrets := ledgertest.Must(openSecrets(filepath.Join(dir, SecretsFolder), passphrase))(t)
	device := ledgertest.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	public := ledgertest.Must(DevicePublic(Issuer, bureauDID, device))(t)
	for _, c := range []struct {
		o    Options
		want Public
	}{{Options{}, stored}, {Options{Signing: device}, public}} {
		k, err := issuerKeys(secrets, c.o)
		if err != nil || k.Signing.Public() != *c.want.Key {
			t.Errorf("the key %s signs, want %s: %v", k.Signing, c.want.Key.KeyID(), err)
		}
	}
	wrong := ledgertest.Must(rsa.GenerateKey(rand.Reader, 2048))(t)
	if _, err := issuerKeys(secrets, Options{Signing: wrong}); err == nil {
		t.Error("a device with an RSA key is taken")
	}
	if _, err := DevicePublic(Issuer, bureauDID, wrong); err == nil {
		t.Error("an RSA key has a public part")
	}
	for _, role := range []Role{Member, Ledger, Cosigner} {
		if _, err := DevicePublic(role, "ledger.example", device); err == nil {
			t.Errorf("the role %s has a key in a device", role)
		}
	}
}

// soon waits until a service's alarms are these, problems first.
func soon(t *testing.T, s *Service, want ...string) (problems []Alarm) {
	t.Helper()
	var names []string
	for range 400 {
		problems, warnings := s.alarms()
		if names = (answered{Problems: problems, Warnings: warnings}).names(); slices.Equal(names, want) {
			return problems
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("want the alarms %v, they stay %v", want, names)
	return nil
}

// running runs what a service does beside serving.
func running(t *testing.T, s *Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(s.work))
	for _, work := range s.work {
		go func() { ended <- work(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range s.work {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// Who is shown another chain than before does not go on; a ledger that only does not answer is waited for.
func TestAlarmOfAnotherChain(t *testing.T) {
	h, other := ledgertest.NewHost(t, nil), ledgertest.NewHost(t, nil)
	h.Issue("one", 1)
	h.Seal(ledgertest.Start + 10)
	var switched atomic.Bool
	h.Tamper = func(path string, _ []byte) []byte {
		if !switched.Load() {
			return nil
		}
		b, _ := other.Answer(path)
		return append([]byte{}, b...)
	}
	var ahead atomic.Int64
	s := &Service{clock: func() time.Time { return (ledgertest.Start + 10).Time().Add(time.Duration(ahead.Load())) }}
	s.watchChain(h.Client(nil), Options{lookEvery: 10 * time.Millisecond}, func(*client.View, time.Time) []Alarm { return nil })
	soon(t, s, "chain") // not read yet
	running(t, s)
	soon(t, s)
	ahead.Store(int64(24 * time.Hour))
	if problems := soon(t, s, "chain"); len(problems) != 0 {
		t.Error("a ledger that stands still keeps others from their work")
	}
	ahead.Store(0)
	soon(t, s)
	other.Issue("other", 4)
	other.Issue("another", 1)
	other.Seal(ledgertest.Start + 10)
	switched.Store(true)
	for range 400 {
		if problems, _ := s.alarms(); len(problems) == 1 && problems[0].Name == "chain" {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Error("another chain was shown, and nobody is told")
}

// A relying party is warned of the end of its last key, and answers for itself whether it can ask.
func TestAlarmsOfARelyingParty(t *testing.T) {
	c := ledgertest.New(t)
	key := ledgertest.Must(readVerifyingKey("../../testvectors/proofs/presentation/verifying.key"))(t)
	end := time.Now().UTC().Truncate(time.Second).Add(60 * 24 * time.Hour)
	c.Govern(entry.VerifyingKeyListed{Key: entry.VerifyingKey{Circuit: key.Name(), CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), NotAfter: credential.UnixTimeOf(end)}})
	c.Settle()
	var ahead atomic.Int64
	s := &Service{clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}
	m := ledgertest.Must(newMetrics("127.0.0.1:0"))(t)
	defer m.listener.Close()
	s.metrics = m
	s.watchParty(c.Client(), []*keys.VerifyingKey{key}, nil, Options{lookEvery: 50 * time.Millisecond})
	running(t, s)
	soon(t, s)
	for at, want := range map[time.Duration]string{-lead + time.Minute: "ends at", time.Minute: "ended at"} {
		ahead.Store(int64(time.Until(end.Add(at))))
		if problems := soon(t, s, "chain", "verifying-key"); len(problems) != 0 {
			t.Errorf("%v", problems)
		}
		if _, warnings := s.alarms(); !strings.Contains(warnings[1].Detail, want) || !warnings[1].Until.Equal(end) {
			t.Errorf("%+v", warnings[1])
		}
	}
	w := webapi.NewRecorded()
	m.handler().ServeHTTP(w, ledgertest.Must(http.NewRequestWithContext(t.Context(), http.MethodGet, metricsPath, nil))(t))
	if want := fmt.Sprintf("\nbulla_verifier_verifying_key_expiry_timestamp_seconds{circuit=\"presentation-1\"} %s\n", strconv.FormatFloat(float64(end.Unix()), 'g', -1, 64)); !strings.Contains(w.Body.String(), want) {
		t.Errorf("no line %s in\n%s", want, &w.Body)
	}
}
