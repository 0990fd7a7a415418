package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Banner is what the shell shows above an app's page: an app that ended, or asked for a permission.
type Banner struct {
	Title   string
	Text    string
	Actions []Action
}

// SetBanner shows a banner in every open tab of an app, or takes it away with nil. An unknown install is none of its
// business.
func (g *Gateway) SetBanner(install string, b *Banner) {
	if s := g.site(install); s != nil {
		s.banner.Store(b)
		s.tabs.tell()
	}
}

// Limits of the event streams of open tabs.
const (
	// maxStreams is per app. Browsers open six connections to an origin (HTTP/1.1), and each stream holds one; tabs
	// beyond it ask again and again. Not per session: a browser has a new one with each link.
	maxStreams = 4
	askAgain   = 700 * time.Millisecond // for those tabs
	reconnect  = time.Second
	beat       = 25 * time.Second // between two signs of life, so that a browser that is gone is noticed
	writeLimit = 10 * time.Second
	maxPath    = 4 << 10 // longest address that is told to tabs, in bytes
)

// tabs are the open shell pages of one app: who listens, and which document each session's frame loaded last.
type tabs struct {
	mu      sync.Mutex
	change  chan struct{} // closed at the next change
	streams int
	visits  map[[32]byte]visit // no more than the jar's sessions and a few ended ones
}

type visit struct {
	number uint64
	path   string
}

func (t *tabs) init() {
	t.change, t.visits = make(chan struct{}), map[[32]byte]visit{}
}

// tell wakes every stream: something that its tab shows has changed.
func (t *tabs) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.change)
	t.change = make(chan struct{})
}

// changed is closed at the next change after the call.
func (t *tabs) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.change
}

// join takes one of the streams; ok is false when none is left. part gives it back.
func (t *tabs) join() (part func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams >= maxStreams {
		return func() {}, false
	}
	t.streams++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.streams--
	}, true
}

// visit notes that a frame of a session loads a document.
func (t *tabs) visit(session, target string) {
	hash, ok := hashSecret(session)
	if !ok || len(target) > maxPath {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	number := t.visits[hash].number + 1
	if len(t.visits) > 2*maxSessions {
		clear(t.visits)
	}
	t.visits[hash] = visit{number, target}
	close(t.change)
	t.change = make(chan struct{})
}

func (t *tabs) visited(session [32]byte) visit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.visits[session]
}

// tabState is what a tab is told. Another version than the one its page was made with makes it load the page again.
type tabState struct {
	Version string  `json:"version"`
	Bar     *tabBar `json:"bar"`
	Visit   uint64  `json:"visit"`
	Path    string  `json:"path"`
}

type tabBar struct {
	Title   string      `json:"title"`
	Text    string      `json:"text"`
	Actions []tabAction `json:"actions"`
}

type tabAction struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

// tabState returns what the tabs of a session are to show. Once the session has ended there is no version, which is
// none that a page was made with.
func (s *site) tabState(session string, hash [32]byte, now time.Time) (state tabState, live bool) {
	if s.removed() || !s.jar.holds(session, now) {
		return tabState{}, false
	}
	at := s.tabs.visited(hash)
	state = tabState{Version: s.state.Load().policy.shell.version, Visit: at.number, Path: at.path}
	if b := s.banner.Load(); b != nil {
		state.Bar = &tabBar{Title: b.Title, Text: b.Text, Actions: []tabAction{}}
		for _, a := range b.Actions {
			state.Bar.Actions = append(state.Bar.Actions, tabAction(a))
		}
	}
	return state, true
}

// events tells a tab what it shows, at once and after each change, until the tab or its session ends. It holds no
// slot of the app and keeps no app awake.
func (g *Gateway) events(w http.ResponseWriter, r *http.Request, s *site, session string) {
	hash, ok := hashSecret(session)
	if !ok {
		return
	}
	part, stays := s.tabs.join()
	defer part()
	h := w.Header()
	hostHeaders.apply(h)
	h["Content-Type"] = []string{"text/event-stream"}
	again := reconnect
	if !stays {
		again = askAgain
	}
	c := http.NewResponseController(w)
	send := func(text string) bool {
		_ = c.SetWriteDeadline(time.Now().Add(writeLimit))
		_, err := w.Write([]byte(text))
		return err == nil && c.Flush() == nil
	}
	w.WriteHeader(http.StatusOK)
	last := ""
	if !send("retry: " + strconv.FormatInt(again.Milliseconds(), 10) + "\n\n") {
		return
	}
	alive := time.NewTicker(beat)
	defer alive.Stop()
	for {
		changed := s.tabs.changed()
		state, live := s.tabState(session, hash, g.now())
		text, err := json.Marshal(state)
		if err != nil {
			g.log.Error("tell a tab", "err", err)
			return
		}
		if message := "data: " + string(text) + "\n\n"; message != last {
			last = message
			if !send(message) {
				return
			}
		}
		if !live || !stays {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-alive.C:
			if !send(": still here\n\n") {
				return
			}
		}
	}
}
