package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paddock/app/control"
)

// envProgram makes the test binary paddock-tray: it has the whole program in it, and linking that once more would cost
// more than all these tests.
const envProgram = "PADDOCK_TRAY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		main() // on the main thread, as in the program
	}
	goleak.VerifyTestMain(m)
}

// quiet is a log that a test can read.
type quiet struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (q *quiet) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.b.Write(p)
}

func (q *quiet) String() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.b.String()
}

func testAgent(t *testing.T, f *fakeAgent, browse func(string) error) *agent {
	t.Helper()
	a := newAgent(f.socket, control.Desktop{Display: ":7"}, browse, slog.New(slog.NewTextHandler(&quiet{}, nil)))
	t.Cleanup(a.close)
	return a
}

func noBrowser(string) error { return errors.New("no browser") }

func TestOpenGivesTheBrowserTheLink(t *testing.T) {
	f := startFake(t, control.State{})
	f.reply = func(r request) (any, error) {
		return control.OpenResult{ID: "org.example.notes", URL: "http://notes.localhost/x", Handed: "file:///run/x.html"}, nil
	}
	urls := make(chan string, 1)
	a := testAgent(t, f, func(url string) error { urls <- url; return nil })
	a.act(t.Context(), Action{Verb: DoOpen, App: "org.example.notes"})
	if got := next[control.Open](t, f, control.MethodOpen); !got.Ask || !got.Browse || got.App != "org.example.notes" || got.Desktop.Display != ":7" {
		t.Errorf("asked to open with %+v", got)
	}
	if got := <-urls; got != "file:///run/x.html" {
		t.Errorf("the browser got %q", got)
	}
}

func TestFailuresLeadToAWindowThatSaysWhy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		window string
		why    string
	}{
		{"did not start", control.NewError(control.ExitNotStarted, "start_failed", "Notes did not start.", "See its log.", nil), control.WindowApp, "Notes did not start. See its log."},
		{"gone", control.NewError(control.ExitNoApp, "no_app", "Notes is not installed.", "", nil), control.WindowLibrary, "Notes is not installed."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, control.State{})
			f.reply = func(r request) (any, error) {
				if r.Method == control.MethodOpen {
					return nil, tc.err
				}
				return control.Empty{}, nil
			}
			a := testAgent(t, f, noBrowser)
			a.act(t.Context(), Action{Verb: DoOpen, App: "notes"})
			next[control.Open](t, f, control.MethodOpen)
			got := next[control.Show](t, f, control.MethodShow)
			if got.Window != tc.window || got.Why != tc.why || got.Desktop.Display != ":7" {
				t.Errorf("shown %+v, want %s because %q", got, tc.window, tc.why)
			}
		})
	}
	t.Run("no browser", func(t *testing.T) {
		f := startFake(t, control.State{})
		f.reply = func(request) (any, error) { return control.OpenResult{ID: "org.x", URL: "http://x"}, nil }
		a := testAgent(t, f, noBrowser)
		a.act(t.Context(), Action{Verb: DoOpen, App: "org.x"})
		next[control.Open](t, f, control.MethodOpen)
		if got := next[control.Show](t, f, control.MethodShow); !strings.Contains(got.Why, "paddock open org.x") {
			t.Errorf("why: %q", got.Why)
		}
	})
	t.Run("the user said no", func(t *testing.T) {
		f := startFake(t, control.State{})
		f.reply = func(request) (any, error) {
			return nil, control.NewError(control.ExitRefused, "cancelled", "Closed.", "", nil)
		}
		a := testAgent(t, f, noBrowser)
		if err := a.do(t.Context(), Action{Verb: DoOpen, App: "org.x"}); err != nil {
			t.Error(err)
		}
		next[control.Open](t, f, control.MethodOpen)
		if len(f.calls) != 0 {
			t.Errorf("a window was opened: %v", <-f.calls)
		}
	})
}

// A stuck agent collects a bounded number of clicks, and act never blocks.
func TestClicksAreBounded(t *testing.T) {
	f := startFake(t, control.State{})
	release := make(chan struct{})
	f.reply = func(request) (any, error) { <-release; return control.Empty{}, nil }
	a := testAgent(t, f, noBrowser)
	for range 10 * maxActions {
		a.act(t.Context(), Action{Verb: DoStop, App: "x"})
	}
	close(release)
	a.pending.Wait()
	if n := len(f.calls); n != maxActions {
		t.Errorf("%d calls reached the agent, want %d", n, maxActions)
	}
}

func TestWatchFollowsAndEnds(t *testing.T) {
	f := startFake(t, control.State{Apps: apps(1, control.StateRunning)})
	a := testAgent(t, f, noBrowser)
	states := make(chan control.State, 8)
	done := make(chan error, 1)
	go func() { done <- a.watch(t.Context(), func(s control.State) { states <- s }) }()
	if s := <-states; len(s.Apps) != 1 {
		t.Errorf("first state %+v", s)
	}
	f.set(control.State{Apps: apps(2, control.StateRunning)})
	if s := <-states; len(s.Apps) != 2 {
		t.Errorf("second state %+v", s)
	}
	f.stop()
	if err := <-done; !errors.Is(err, control.ErrUnreachable) {
		t.Errorf("watch ended with %v", err)
	}
}

func TestWatchEndsQuietlyWhenCancelled(t *testing.T) {
	f := startFake(t, control.State{})
	a := testAgent(t, f, noBrowser)
	ctx, cancel := context.WithCancel(t.Context())
	if err := a.watch(ctx, func(control.State) { cancel() }); err != nil {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	old := startFake(t, control.State{})
	old.protocol = control.Protocol + 1
	for _, tc := range []struct {
		name   string
		socket string
		args   []string
		code   int
		says   string
	}{
		{"no socket", "", nil, exitUsage, "PADDOCK_CONTROL"},
		{"arguments", old.socket, []string{"extra"}, exitUsage, "PADDOCK_CONTROL"},
		{"unknown flag", old.socket, []string{"--nonsense"}, exitUsage, "nonsense"},
		{"no agent", old.socket + ".gone", nil, exitUnreachable, "cannot be reached"},
		{"another protocol", old.socket, nil, exitUnreachable, "different installations"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(envControl, tc.socket)
			var stderr bytes.Buffer
			if code := run(tc.args, &bytes.Buffer{}, &stderr); code != tc.code || !strings.Contains(stderr.String(), tc.says) {
				t.Errorf("exit %d, says %q; want %d, %q", code, stderr.String(), tc.code, tc.says)
			}
		})
	}
}

// No display and no bus are told apart, within the second that the agent waits.
func TestRunWithoutATray(t *testing.T) {
	f := startFake(t, control.State{})
	t.Setenv(envControl, f.socket)
	for _, tc := range []struct{ name, display, bus, says string }{
		{"no display", "", "unix:path=/nonexistent", "no display"},
		{"no session bus", ":99", "unix:path=" + t.TempDir() + "/nobody", "session bus cannot be reached"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("DISPLAY", tc.display)
			t.Setenv("WAYLAND_DISPLAY", "")
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", tc.bus)
			var stderr bytes.Buffer
			start := time.Now()
			if code := run(nil, os.Stdout, &stderr); code != exitNoTray || !strings.Contains(stderr.String(), tc.says) {
				t.Errorf("exit %d, says %q; want %d, %q", code, stderr.String(), exitNoTray, tc.says)
			}
			if took := time.Since(start); took > hang {
				t.Errorf("took %v; no tray is told at once", took)
			}
		})
	}
}
