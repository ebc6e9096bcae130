package verifier

import "errors"

// Bounds of following sessions.
const (
	maxFollowers       = 1024 // at once
	maxClientFollowers = 256  // at once, of one application
	maxNews            = 64   // that a follower may be behind: more than a session has changes
)

// Errors of who would follow a session.
var (
	ErrFollowers       = errors.New("too many follow sessions at this moment: ask how far they are instead")
	ErrClientFollowers = errors.New("your application follows too many sessions at a time: ask how far they are instead")
)

// follower hears of the changes of one session, in their order.
type follower struct {
	client, id string
	news       chan news
	behind     chan struct{} // closed when it does not keep up
}

// news is one change: the session as it was written, or whether a response to it is being checked now.
type news struct {
	session *session
	pending bool // if there is no session
}

// followers are counted in total and by application. Verifier.mu guards them.
type followers struct {
	most, mostOfOne int
	sessions        map[string]map[*follower]bool
	clients         map[string]int
	total           int
}

func newFollowers() followers {
	return followers{maxFollowers, maxClientFollowers, make(map[string]map[*follower]bool), make(map[string]int), 0}
}

// join follows a session from now on, and tells whether a response to it is being checked at this moment.
func (v *Verifier) join(client, id string) (f *follower, pending bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := &v.followers
	switch {
	case all.clients[client] >= all.mostOfOne:
		return nil, false, ErrClientFollowers
	case all.total >= all.most:
		return nil, false, ErrFollowers
	}
	f = &follower{client, id, make(chan news, maxNews), make(chan struct{})}
	if all.sessions[id] == nil {
		all.sessions[id] = make(map[*follower]bool)
	}
	all.sessions[id][f] = true
	all.clients[client]++
	all.total++
	return f, v.pending[id] > 0, nil
}

// part ends what join began.
func (v *Verifier) part(f *follower) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := &v.followers
	if delete(all.sessions[f.id], f); len(all.sessions[f.id]) == 0 {
		delete(all.sessions, f.id)
	}
	if all.clients[f.client]--; all.clients[f.client] == 0 {
		delete(all.clients, f.client)
	}
	all.total--
}

// announce tells those who follow a session what was written.
func (v *Verifier) announce(s session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tell(s.ID, news{session: &s})
}

// tell waits for nobody: who is behind is dropped. The caller holds mu.
func (v *Verifier) tell(id string, n news) {
	for f := range v.followers.sessions[id] {
		select {
		case f.news <- n:
		default:
			select {
			case <-f.behind: // was told already
			default:
				close(f.behind)
			}
		}
	}
}
