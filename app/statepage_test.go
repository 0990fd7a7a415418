package app

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/store"
)

// TestStatePages is the page of every state that an app can be in when it is asked for: what happened, and what can
// be done. An app that is stopped, starting, running or frozen has none: it is woken, and waited for.
func TestStatePages(t *testing.T) {
	const name, hidden = "Notes", "/home/ann/.local/share/paddock"
	app := &installed{rec: store.Install{Name: name, AppID: "org.example.notes"}, id: "i1"}
	at := newClock().now()
	over := func(budget string, limit, measured float64) *gateway.StateError {
		end, _ := unwished("org.example.notes", name, sandbox.Exit{Reason: sandbox.OverBudget}, &store.Breach{Budget: budget, Limit: limit, Measured: measured}, 1<<30, at)
		return notNow(name, end, 0)
	}
	ended := func(exit sandbox.Exit, wait time.Duration) *gateway.StateError {
		end, _ := unwished("org.example.notes", name, exit, nil, 0, at)
		return notNow(name, end, wait)
	}
	failed := func(e *sandbox.StartError) *gateway.StateError { return notStarted(name, startError(app, e)) }
	asks := requests("net:a.example")
	again, limits, log, try := "restart: Start it again", "ask_window: Change its limits", "ask_window: Show its log", "start: Try again"
	for _, row := range []struct {
		state   string
		page    *gateway.StateError
		status  int // 0: 503
		title   string
		text    string
		buttons []string
		retry   bool // says when to ask again
	}{
		{"stopped, or running", notNow(name, nil, 0), 0, "", "", nil, false},
		{"crashed, not often", ended(sandbox.Exit{Reason: sandbox.Crashed, Code: 9}, 0), 0, "", "", nil, false},
		{"needs permission", notStarted(name, requiredError(app, asks)), http.StatusForbidden, "Notes needs your answer", "cannot start without net:a.example", []string{"ask_window: Review permissions"}, false},
		{"over memory", over("memory", 96<<20, 97<<20), 0, "Notes was stopped", "97 MiB of memory; its limit is 96 MiB", []string{again, limits}, false},
		{"over processor time", over("cpu", 3, 3.25), 0, "Notes was stopped", "3.2 s of computing; its limit allowed 3.0 s", []string{again, limits}, false},
		{"over disk", over("disk", 1<<30, 2<<30), 0, "Notes was stopped", "2.0 GiB of disk space; its limit is 1.0 GiB", []string{again, limits}, false},
		{"filled the disk", over("disk", 1<<20, 1<<20), 0, "Notes was stopped", "The disk is nearly full", []string{again, log}, false},
		{"over processes", over("processes", 1024, 1025), 0, "Notes was stopped", "1025", []string{again, log}, false},
		{"over something", notNow(name, &ending{state: control.StateOverBudget, title: "Notes was stopped", text: breachText(nil), buttons: afterEnd(breached(nil))}, 0), 0, "Notes was stopped", "one of its limits", []string{again, limits}, false},
		{"keeps crashing", ended(sandbox.Exit{Reason: sandbox.Crashed, Code: 9}, 3500*time.Millisecond), 0, "Notes keeps ending", "It ended by itself (exit code 9). Paddock tries again in 4 seconds.", []string{again, log}, true},
		{"keeps finishing", ended(sandbox.Exit{Reason: sandbox.Finished}, time.Second), 0, "Notes keeps ending", "(exit code 0). Paddock tries again in a second.", []string{again, log}, true},
		{"was killed from outside", ended(sandbox.Exit{Reason: sandbox.Crashed, Code: -1, Signal: "SIGKILL"}, time.Second), 0, "Notes keeps ending", "signal SIGKILL", []string{again, log}, true},
		{"ended while starting", failed(&sandbox.StartError{Reason: sandbox.StartExited, Exit: sandbox.Exit{Code: 1}, Tail: hidden}), 0, "Notes did not start", "ended while starting (exit code 1)", []string{try, log}, true},
		{
			"went over while starting", failed(&sandbox.StartError{Reason: sandbox.StartExited, Exit: sandbox.Exit{Breach: &sandbox.Breach{Budget: "memory", Limit: 96 << 20, Measured: 96 << 20}}}), 0,
			"Notes was stopped", "96 MiB",
			[]string{again, limits},
			false,
		},
		{"did not start in time", failed(&sandbox.StartError{Reason: sandbox.StartDeadline}), 0, "Notes did not start", "did not answer in time", []string{try, log}, true},
		{"cannot be run as described", failed(&sandbox.StartError{Reason: sandbox.StartBadSpec, Err: errors.New(hidden)}), 0, "Notes did not start", "could not run it", []string{try, log}, true},
		{"the disk is full", failed(&sandbox.StartError{Reason: sandbox.StartNoSpace, Err: errors.New(hidden)}), 0, "The disk is nearly full", "Free some space", []string{try}, false},
		{"a wall is missing", failed(&sandbox.StartError{Reason: sandbox.StartRefused, Err: errors.New(hidden)}), 0, "Notes did not start", "every fence that you require", []string{"ask_window: Show it in Paddock", try}, false},
		{"Deno is missing", failed(&sandbox.StartError{Reason: sandbox.StartRuntimeMissing, Err: errors.New(hidden)}), 0, "Notes did not start", "Install Paddock again", []string{try}, false},
		{"Deno is another one", failed(&sandbox.StartError{Reason: sandbox.StartRuntimeAltered}), 0, "Notes did not start", "not the one that Paddock came with", []string{try}, false},
		{"a picked folder moved", notStarted(name, control.NewError(control.ExitRefused, "path_moved", hidden, "", nil)), 0, "Notes did not start", "Pick it again", []string{"ask_window: Review permissions", try}, false},
		{"Paddock ends", notStarted(name, errClosing), 0, "Paddock is ending", "Start it again", nil, true},
		{"uninstalled", notStarted("", noSuchApp(hidden)), http.StatusNotFound, "This app is not installed", "removed", nil, false},
		{"the store fails", notStarted(name, errors.New("read "+hidden)), 0, "Notes could not be started", "inside Paddock", []string{try}, false},
		{"no display", noWindow("org.example.notes"), 0, "No window can be opened here", "paddock budget org.example.notes", nil, false},
	} {
		t.Run(row.state, func(t *testing.T) {
			if row.page == nil || row.title == "" {
				if row.page != nil || row.title != "" {
					t.Errorf("page %+v", row.page)
				}
				return
			}
			p := row.page
			var buttons []string
			for _, b := range p.Actions {
				buttons = append(buttons, b.Name+": "+b.Label)
			}
			if p.Status != row.status || p.Title != row.title || !strings.Contains(p.Text, row.text) || strings.Join(buttons, "; ") != strings.Join(row.buttons, "; ") || (p.RetryAfter > 0) != row.retry || p.Code == "" {
				t.Errorf("%d, %q, %q, buttons %q, retry after %v, code %q", p.Status, p.Title, p.Text, buttons, p.RetryAfter, p.Code)
			}
			if strings.Contains(p.Title+p.Text, hidden) {
				t.Errorf("an app's page can read of this machine: %q", p.Text)
			}
		})
	}
}

func TestBackingOffFromFailedStarts(t *testing.T) {
	end := &ending{state: control.StateFailed, title: "The disk is nearly full", text: "Free some space.", buttons: []gateway.Action{tryAgain}, starting: true}
	p := notNow("Notes", end, 2*time.Second)
	if p == nil || p.Title != end.title || p.Text != "Free some space. Paddock tries again in 2 seconds." || len(p.Actions) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestBanners(t *testing.T) {
	at := newClock().now()
	app := &installed{rec: store.Install{Name: "Notes"}, starting: true, began: at}
	if b := bannerOf("i1", app, nil, at.Add(slowStart-1)); b != nil {
		t.Errorf("a quick start shows %+v", b)
	}
	if b := bannerOf("i1", app, nil, at.Add(slowStart)); b == nil || b.Title != "Notes is starting." || len(b.Actions) != 0 {
		t.Errorf("a slow start shows %+v", b)
	}
	app.starting = false
	app.last, _ = unwished("org.example.notes", "Notes", sandbox.Exit{Reason: sandbox.OverBudget}, &store.Breach{Budget: "memory", Limit: 1, Measured: 2}, 0, at)
	if b := bannerOf("i1", app, nil, at); b == nil || b.Title != "Notes was stopped." || len(b.Actions) != 2 || b.Actions[1] != showLimits {
		t.Errorf("a stopped one shows %+v", b)
	}
}
