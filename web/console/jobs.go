package console

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of what the console remembers of imports. Nothing of it is ever on disk.
const (
	maxJobs     = 64
	maxJobsOf   = 8         // of one officer: the oldest that has ended makes room
	jobLifetime = time.Hour // after its end
	maxProblems = 20_000    // of one import
	maxLinks    = 100_000
	maxJobID    = 64 // bytes
)

// importProgress is how far an import is.
type importProgress struct {
	Rows     int `json:"rows"`
	Filed    int `json:"filed"`
	Again    int `json:"again"`
	Problems int `json:"problems"`
}

// importCase is a row that was filed.
type importCase struct {
	Row   int
	ID    string
	Link  string // secret of the person's private link
	Again bool
}

// rowProblem is a row that was not.
type rowProblem struct {
	Row    int
	Column string
	Code   string
	Detail string
}

// importLine is a line of the API's answer.
type importLine struct {
	Case     *importCase
	Problem  *rowProblem
	Progress *importProgress
	Done     *importProgress
	Error    *struct{ Code, Detail string }
}

// job is an import, as long as it runs and an hour longer.
type job struct {
	id, officer string
	dryRun      bool
	begun       time.Time

	mu       sync.Mutex // guards what follows
	ended    time.Time  // zero while it runs
	failed   *Problem   // why it ended before its file did
	progress importProgress
	problems []rowProblem
	links    []importCase
	linksOff int // beyond maxLinks
}

// importState is what a page shows of an import.
type importState struct {
	ID       string
	DryRun   bool
	Begun    time.Time
	Ended    bool
	Failed   *Problem
	Progress importProgress
	Problems []rowProblem // the first
	More     int          // problems that the page does not show
	Lost     int          // problems that the file does not have either
	Links    int          // that can be handed out
	LinksOff int          // that were too many to keep
}

// shownProblems is how many a page shows; a file has the others.
const shownProblems = 100

func (j *job) state() importState {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := importState{ID: j.id, DryRun: j.dryRun, Begun: j.begun, Ended: !j.ended.IsZero(), Failed: j.failed, Progress: j.progress, Links: len(j.links)}
	s.Problems = slices.Clone(j.problems[:min(len(j.problems), shownProblems)])
	s.More, s.Lost, s.LinksOff = s.Progress.Problems-len(s.Problems), max(0, s.Progress.Problems-len(j.problems)), j.linksOff
	return s
}

// take keeps a line of the answer.
func (j *job) take(line importLine) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case line.Case != nil:
		switch {
		case line.Case.Link == "":
		case len(j.links) < maxLinks:
			j.links = append(j.links, *line.Case)
		default:
			j.linksOff++
		}
	case line.Problem != nil:
		if j.progress.Problems++; len(j.problems) < maxProblems {
			j.problems = append(j.problems, *line.Problem)
		}
	case line.Progress != nil:
		j.progress = *line.Progress
	case line.Done != nil:
		j.progress = *line.Done
	}
}

func (j *job) end(at time.Time, failed *Problem) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended, j.failed = at, failed
}

func (j *job) allProblems() []rowProblem {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.problems)
}

// takeLinks are the links, which are forgotten; nil if they were handed out before.
func (j *job) takeLinks() (links []importCase) {
	j.mu.Lock()
	defer j.mu.Unlock()
	links, j.links = j.links, nil
	return links
}

// over tells whether nobody needs it any longer.
func (j *job) over(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.ended.IsZero() && now.Sub(j.ended) > jobLifetime
}

// jobs are the imports of all officers.
type jobs struct {
	mu   sync.Mutex
	list []*job // oldest first
}

// begin adds an import under the name that its form has.
func (l *jobs) begin(id, officer string, dryRun bool, now time.Time) (*job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purge(now)
	switch {
	case id == "" || len(id) > maxJobID:
		return nil, &Problem{Status: http.StatusBadRequest, Code: "no-file"}
	case slices.ContainsFunc(l.list, func(j *job) bool { return j.id == id }):
		return nil, &Problem{Status: http.StatusConflict, Code: "import-twice"}
	}
	l.makeRoom(officer)
	if len(l.list) >= maxJobs {
		return nil, &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable"}
	}
	j := &job{id: id, officer: officer, dryRun: dryRun, begun: now}
	l.list = append(l.list, j)
	return j, nil
}

// makeRoom forgets the oldest import of an officer who has as many as one may have, and has ended one.
func (l *jobs) makeRoom(officer string) {
	theirs, oldest := 0, -1
	for i, j := range l.list {
		if j.officer != officer {
			continue
		}
		if theirs++; oldest < 0 && j.state().Ended {
			oldest = i
		}
	}
	if theirs >= maxJobsOf && oldest >= 0 {
		l.list = slices.Delete(l.list, oldest, oldest+1)
	}
}

func (l *jobs) purge(now time.Time) {
	l.list = slices.DeleteFunc(l.list, func(j *job) bool { return j.over(now) })
}

func (l *jobs) forget(gone *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(j *job) bool { return j == gone })
}

// find is an officer's own import of that name, or nil.
func (l *jobs) find(id, officer string, now time.Time) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purge(now)
	for _, j := range l.list {
		if j.id == id && j.officer == officer {
			return j
		}
	}
	return nil
}

// of are an officer's own imports, the newest first.
func (l *jobs) of(officer string, now time.Time) (states []importState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purge(now)
	for _, j := range slices.Backward(l.list) {
		if j.officer == officer {
			states = append(states, j.state())
		}
	}
	return states
}
