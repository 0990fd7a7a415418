package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paddock/app/control"
)

// agent speaks the control protocol for one paddock-window.
type agent struct {
	socket  string
	srv     *http.Server
	show    chan control.Show
	mu      sync.Mutex
	calls   map[string][]json.RawMessage
	answers map[string]any
	called  chan string // method names, as they come
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "paddock-window")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &agent{
		socket: filepath.Join(dir, "control.sock"), show: make(chan control.Show, 8), calls: map[string][]json.RawMessage{}, called: make(chan string, 1024),
		answers: map[string]any{
			control.MethodGreet:  control.Greeting{Name: "Paddock", ID: "org.paddock.Paddock.test", Version: "0.1.0", Protocol: control.Protocol},
			control.MethodAnswer: control.Empty{},
		},
	}
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	a.srv = &http.Server{Handler: http.HandlerFunc(a.serve)}
	done := make(chan struct{})
	go func() { defer close(done); _ = a.srv.Serve(l) }()
	t.Cleanup(func() { _ = a.srv.Close(); <-done })
	return a
}

func (a *agent) serve(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/v1/")
	var raw json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&raw)
	a.mu.Lock()
	a.calls[method] = append(a.calls[method], raw)
	answer, known := a.answers[method]
	a.mu.Unlock()
	select {
	case a.called <- method:
	default:
	}
	s := control.NewStream(w)
	switch {
	case method == control.MethodWatch:
		_ = s.Event(control.State{Seq: 1})
		<-r.Context().Done()
	case method == control.MethodWindows:
		for {
			select {
			case x := <-a.show:
				_ = s.Event(x)
			case <-r.Context().Done():
				return
			}
		}
	case known:
		_ = s.Result(answer)
	default:
		_ = s.Fail(control.NewError(control.ExitFailed, "test", "No answer for "+method+".", "", nil))
	}
}

func (a *agent) last(t *testing.T, method string, out any) (n int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.calls[method]
	if len(all) > 0 {
		if err := json.Unmarshal(all[len(all)-1], out); err != nil {
			t.Fatal(err)
		}
	}
	return len(all)
}
