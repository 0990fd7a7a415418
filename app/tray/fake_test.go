package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"paddock/app/control"
)

// request is one call that the fake agent got.
type request struct {
	Method string
	Body   json.RawMessage
}

// fakeAgent speaks the control protocol on a real socket. Calls other than greet and watch are put on
// calls and answered by reply (nil: an empty result).
type fakeAgent struct {
	socket   string
	protocol int
	calls    chan request
	reply    func(request) (any, error)

	mu      sync.Mutex
	state   control.State
	changed chan struct{} // closed and replaced at each change
	watches int
	server  *http.Server
}

func startFake(t *testing.T, state control.State) *fakeAgent {
	t.Helper()
	f := &fakeAgent{
		socket: filepath.Join(t.TempDir(), "control.sock"), protocol: control.Protocol,
		calls: make(chan request, 64), state: state, changed: make(chan struct{}),
	}
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	f.server = &http.Server{Handler: f}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() { f.stop(); <-done })
	return f
}

// stop ends the agent as a crash would: every connection is cut.
func (f *fakeAgent) stop() { _ = f.server.Close() }

func (f *fakeAgent) set(s control.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Seq = f.state.Seq + 1
	f.state = s
	close(f.changed)
	f.changed = make(chan struct{})
}

// watchers counts the watches begun so far.
func (f *fakeAgent) watchers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watches
}

func (f *fakeAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := filepath.Base(r.URL.Path)
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	stream := control.NewStream(w)
	switch method {
	case control.MethodGreet:
		_ = stream.Result(control.Greeting{Name: "Paddock", Protocol: f.protocol})
		return
	case control.MethodWatch:
		f.mu.Lock()
		f.watches++
		f.mu.Unlock()
		for {
			f.mu.Lock()
			state, changed := f.state, f.changed
			f.mu.Unlock()
			if stream.Event(state) != nil {
				return
			}
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
		}
	}
	req := request{Method: method, Body: body}
	var result any = control.Empty{}
	var err error
	if f.reply != nil {
		result, err = f.reply(req)
	}
	f.calls <- req
	if err != nil {
		_ = stream.Fail(err)
		return
	}
	_ = stream.Result(result)
}

// hang is more than a busy machine needs for what should be done at once, and less than the 25 s after which a call
// over D-Bus gives up.
const hang = 15 * time.Second

// next returns the next call, decoded.
func next[T any](t *testing.T, f *fakeAgent, method string) T {
	t.Helper()
	var out T
	select {
	case r := <-f.calls:
		if r.Method != method {
			t.Fatalf("the agent was called with %s %s, want %s", r.Method, r.Body, method)
		}
		if err := json.Unmarshal(r.Body, &out); err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("the agent was not called with %s", method)
	}
	return out
}

func app(name, state string) control.AppState {
	return control.AppState{ID: "org.example." + name, Short: name, Name: name, State: state}
}

func apps(n int, state string) (out []control.AppState) {
	for i := range n {
		out = append(out, app(fmt.Sprintf("app%02d", i), state))
	}
	return out
}
