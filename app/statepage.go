package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
)

// Pages of apps that cannot answer now are made here. The app's own page can read them, so they are fixed words with
// what the app knows of itself: no path of this machine, no error of the host. Their buttons start, restart, or open a
// native window (security.md, rule 1).

var (
	tryAgain   = gateway.Action{Name: "start", Label: "Try again"}
	startAgain = gateway.Action{Name: "restart", Label: "Start it again"}
	showLog    = gateway.Action{Name: "ask_window", Label: "Show its log"}
	showLimits = gateway.Action{Name: "ask_window", Label: "Change its limits"}
	showRights = gateway.Action{Name: "ask_window", Label: "Review permissions"}
	showApp    = gateway.Action{Name: "ask_window", Label: "Show it in Paddock"}
)

// startRetry is what a client should wait after a failed start.
const startRetry = 5 * time.Second

// afterEnd are the buttons of an app that ended; budget is the one that it crossed, "" for none. The number of its
// threads is the same for all apps, and nothing that a user could change.
func afterEnd(budget string) []gateway.Action {
	if budget == "" || budget == sandbox.BudgetProcesses {
		return []gateway.Action{startAgain, showLog}
	}
	return []gateway.Action{startAgain, showLimits}
}

// notNow is why a request must not start an app that does not run, or nil where it may: an app that went over a limit
// waits for its user, one that keeps ending waits for a while.
func notNow(name string, last *ending, wait time.Duration) *gateway.StateError {
	switch {
	case last == nil:
		return nil
	case last.state == control.StateOverBudget:
		return &gateway.StateError{Code: last.state, Title: last.title, Text: last.text, Actions: last.buttons}
	case wait <= 0:
		return nil
	}
	title := name + " keeps ending"
	if last.starting {
		title = last.title
	}
	return &gateway.StateError{
		Code: last.state, RetryAfter: wait, Title: title, Actions: last.buttons,
		Text: last.text + fmt.Sprintf(" Paddock tries again in %s.", plural(int((wait+time.Second-1)/time.Second), "second")),
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "a " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// notStarted is the page of an app that was to be started and was not.
func notStarted(name string, err error) *gateway.StateError {
	e := control.AsError(err)
	p := &gateway.StateError{Code: e.Code, Title: name + " did not start", Actions: []gateway.Action{tryAgain, showLog}}
	switch e.Code {
	case "permission_required":
		p.Status, p.Title, p.Text, p.Actions = http.StatusForbidden, name+" needs your answer", e.Message, []gateway.Action{showRights}
	case control.StateOverBudget:
		p.Title, p.Text, p.Actions = name+" was stopped", e.Message, afterEnd(startDetail(e).Budget)
	case "start_failed":
		p.RetryAfter = startRetry
		p.Text = "Paddock could not run it."
		if reason := startDetail(e).Reason; reason == sandbox.StartExited || reason == sandbox.StartDeadline {
			p.Text = e.Message
		}
	case "disk_full":
		p.Title, p.Text, p.Actions = "The disk is nearly full", name+" was not started. Free some space, then try again. What it has stored is whole.", []gateway.Action{tryAgain}
	case "wall_missing":
		p.Text, p.Actions = "This machine cannot put up every fence that you require around apps. Paddock shows which one is missing.", []gateway.Action{showApp, tryAgain}
	case sandbox.StartRuntimeMissing:
		p.Text, p.Actions = "Deno, which runs apps, is missing. Install Paddock again.", []gateway.Action{tryAgain}
	case sandbox.StartRuntimeAltered:
		p.Text, p.Actions = "Deno, which runs apps, is not the one that Paddock came with. Install Paddock again.", []gateway.Action{tryAgain}
	case "path_moved", "bad_permission":
		p.Text, p.Actions = "What you picked for it on your disk cannot be given to it any more. Pick it again.", []gateway.Action{showRights, tryAgain}
	case errClosing.Code:
		p.Title, p.Text, p.Actions, p.RetryAfter = "Paddock is ending", "Start it again, then load this page again.", nil, startRetry
	case codeNoSuchApp:
		p.Status, p.Title, p.Text, p.Actions = http.StatusNotFound, "This app is not installed", "It was removed. Close this page.", nil
	default:
		p.Title, p.Text = name+" could not be started", "Something failed inside Paddock. Its log says what."
		p.Actions = []gateway.Action{tryAgain}
	}
	return p
}

// startFailure is the detail of a failed start's error.
type startFailure struct {
	Tail   string `json:"tail"`             // the end of the app's output
	Reason string `json:"reason"`           // of a *sandbox.StartError
	Budget string `json:"budget,omitempty"` // that it went over
}

func startDetail(e *control.Error) (d startFailure) {
	_ = json.Unmarshal(e.Detail, &d) // other errors have other details, and none of these
	return d
}

// noWindow is the page of a button that could not open a window.
func noWindow(app string) *gateway.StateError {
	return &gateway.StateError{
		Code: "no_window", Title: "No window can be opened here",
		Text: fmt.Sprintf("On the command line, “paddock permissions %s” shows what it may do, “paddock budget %s” its limits, and “paddock logs %s” what it said.", app, app, app),
	}
}
