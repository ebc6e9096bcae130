package verifier_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

const (
	killedDir    = "BULLA_TEST_KILLED_DIR"    // store of the child
	killedPeople = "BULLA_TEST_KILLED_PEOPLE" // how many its chain has
)

// TestKilledChild is the process that is killed: a verifier on loopback over a store on disk. By itself it is no test.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("runs as a child of TestKilledAtRandom")
	}
	var people int
	if _, err := fmt.Sscan(os.Getenv(killedPeople), &people); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.residents(people)
	s, err := openKilled(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.store = s
	w.withHooks()
	go func() { t.Error(w.verifier.Run(t.Context())) }()
	listener, err := webapi.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nserves at http://%s\n", listener.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(1) }() // the parent is gone
	t.Error(webapi.Serve(t.Context(), listener, w.handler))
}

// openKilled opens a store with its register beside it, which no kill may make refuse it.
func openKilled(dir string) (*store.Pebble, error) {
	return store.Open(store.Config{Dir: dir, Register: store.FileRegister(dir + ".register")})
}

// residents are people with a credential each, on the chain: in every process the same.
func (w *world) residents(n int) []*held {
	people := make([]*held, n)
	for i := range people {
		people[i] = w.resident(w.person())
	}
	w.seal()
	return people
}

// killed is a verifier that is killed and started again, with the wallets that post to it.
type killed struct {
	t      *testing.T
	dir    string
	people int
	list   []answerOf
	app    *application // hears of the ends of sessions, through all kills

	mu     sync.Mutex
	taken  map[string]bool    // sessions whose wallet was told 200
	used   map[int]bool       // people whose wallet was told that they were here before
	others map[check.Code]int // what else wallets were told
}

// answerOf is a response of a person to one of the sessions they are asked in.
type answerOf struct {
	posting
	person int
}

// A verifier is killed at random, under load, by SIGKILL: in the end each person was verified once, in a session that has a
// result and the tag, whoever was told 200 was verified and is told so again, and who was told that they were here before
// were; and the application was told how each session ended, under one identifier. BULLA_SOAK=1: a hundred kills.
func TestKilledAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	kills, rng := 10, rand.New(rand.NewPCG(6, 4))
	if os.Getenv("BULLA_SOAK") != "" {
		kills, rng = 100, rand.New(rand.NewPCG(rand.Uint64(), 0))
	}
	k := &killed{t: t, dir: t.TempDir(), people: 8 * kills, taken: make(map[string]bool), used: make(map[int]bool), others: make(map[check.Code]int)}
	k.app = newApplication(t)
	k.prepare(4)
	verified := 0
	for n := range kills {
		child := k.begin()
		stop := make(chan struct{})
		var wallets sync.WaitGroup
		for range 8 {
			seed := rng.Uint64()
			wallets.Go(func() { k.load(child.url, rand.New(rand.NewPCG(seed, 0)), (n+1)*len(k.list)/kills, stop) })
		}
		time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond)
		child.kill()
		close(stop)
		wallets.Wait()
		if len(k.taken) > verified {
			verified = len(k.taken)
		}
	}
	if verified == 0 || verified == k.people {
		t.Errorf("%d of %d were verified before the last kill: there was no race", verified, k.people)
	}
	child := k.begin()
	for range 2 { // at rest every wallet sends again: it hears what it heard, or what it did not hear
		for i := range k.list {
			k.post(child.url, i)
		}
	}
	child.kill()
	k.settle()
}

// prepare fills the store with sessions, several for each person, and has the answers ready.
func (k *killed) prepare(sessions int) {
	w := newWorld(k.t)
	people := w.residents(k.people)
	s, err := openKilled(k.dir)
	if err != nil {
		k.t.Fatal(err)
	}
	w.store = s
	w.withHooks()
	w.addHook(k.t, "app", k.app)
	for n, person := range people {
		for range sessions {
			k.list = append(k.list, answerOf{w.posting("subsidy", person), n})
		}
	}
	if err := s.Close(); err != nil {
		k.t.Fatal(err)
	}
}

// load posts answers, those of the first few people, until told to stop.
func (k *killed) load(url string, rng *rand.Rand, few int, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			k.post(url, rng.IntN(few))
		}
	}
}

// post notes what a wallet is told, if it is told anything.
func (k *killed) post(url string, i int) {
	a := k.list[i]
	response, err := http.Post(url+a.path, formType, strings.NewReader(a.form))
	if err != nil {
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return
	}
	var e openid.Error
	if err := json.Unmarshal(body, &e); err != nil {
		k.t.Errorf("answer %q: %v", body, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case response.StatusCode == http.StatusOK:
		k.taken[a.session] = true
	case k.taken[a.session]:
		k.t.Errorf("a wallet that was told 200 is told %d %s", response.StatusCode, body)
	case e.Code == string(check.PseudonymUsed):
		k.used[a.person] = true
	default:
		k.others[check.Code(e.Code)]++
	}
}

// settle compares store and wallets.
func (k *killed) settle() {
	t := k.t
	s, err := openKilled(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := newWorld(t)
	w.store = s
	w.withHooks()
	k.announced(w)
	tags := make(map[string]bool)
	if err := s.Each("tag/", func(key string, _ []byte) error { tags[key] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	verified := make([]int, k.people)
	for _, a := range k.list {
		status := w.status(a.session)
		if (status.State == verifier.Verified) != k.taken[a.session] {
			t.Errorf("the wallet was told %v, the session is %s", k.taken[a.session], status.State)
		}
		if (status.State == verifier.Verified) != (status.Result != "") {
			t.Errorf("state %s, result %q", status.State, status.Result)
		}
		if status.Result == "" {
			continue
		}
		verified[a.person]++
		result, err := check.VerifyResult(status.Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: a.session, Now: w.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for key := range tags {
			if strings.HasSuffix(key, "/"+result.Facts[0].Tags.Pseudonym.String()) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("a result has %d tags", found)
		}
	}
	if len(tags) != k.people || slices.ContainsFunc(verified, func(n int) bool { return n != 1 }) {
		t.Errorf("%d people, %d tags; verified in %v sessions each", k.people, len(tags), verified)
	}
	if len(k.used) == 0 {
		t.Error("nobody was told that they were here before")
	}
	for code := range k.others {
		if code != check.SessionExhausted { // who is refused sixteen times
			t.Errorf("wallets were told %v", k.others)
		}
	}
}

// announced waits until the application was told of every session that ended, and of no other.
func (k *killed) announced(w *world) {
	stop := w.running()
	defer stop()
	want := make(map[string]verifier.State)
	for _, a := range k.list {
		if status := w.status(a.session); status.Final {
			want[a.session] = status.State
		}
	}
	eventually(k.t, fmt.Sprintf("told of %d ends", len(want)), func() bool { return k.app.count() >= len(want) })
	stop()
	for session, state := range want {
		if got := k.app.of(session); len(got) != 1 || got[0].Type != "session."+string(state) {
			k.t.Errorf("a session is %s, told %v", state, got)
		}
	}
	if k.app.count() != len(want) {
		k.t.Errorf("%d messages of %d ends", k.app.count(), len(want))
	}
	k.t.Logf("%d ends were told, %d of them more than once", len(want), k.app.copies)
}

// child is a life of the verifier.
type child struct {
	t       *testing.T
	command *exec.Cmd
	url     string
}

func (k *killed) begin() *child {
	k.t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	command.Env = append(os.Environ(), killedDir+"="+k.dir, fmt.Sprintf("%s=%d", killedPeople, k.people))
	out, err1 := command.StdoutPipe()
	_, err2 := command.StdinPipe() // closed when this process ends
	if err := errors.Join(err1, err2, command.Start()); err != nil {
		k.t.Fatal(err)
	}
	c := &child{t: k.t, command: command}
	k.t.Cleanup(c.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "serves at "); ok {
			c.url = url
			return c
		}
	}
	c.kill()
	k.t.Fatal("the verifier did not start from what was left")
	return nil
}

// kill gives the process no time for anything. It may be called twice.
func (c *child) kill() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}
