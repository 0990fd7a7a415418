package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
)

// Wake starts or thaws an app because a page asked for it. It never asks a person and never changes a
// grant: what cannot go on is a *gateway.StateError, which becomes a host page.
func (a *App) Wake(ctx context.Context, install string) (gateway.Upstream, error) {
	a.mu.Lock()
	app := a.apps[install]
	a.mu.Unlock()
	if app == nil {
		return nil, notStarted("", noSuchApp(install))
	}
	if up, ok := a.running(app); ok {
		return up, nil
	}
	if err := a.consent(ctx, app, false); err != nil {
		return nil, a.refusal(app, err)
	}
	a.settle(app)
	a.mu.Lock()
	last, wait, running := app.last, backoff(app.deaths, a.now()), app.inst != nil
	a.mu.Unlock()
	if !running {
		if page := notNow(app.rec.Name, last, wait); page != nil {
			return nil, page
		}
	}
	up, err := a.ensure(ctx, app)
	if err != nil {
		return nil, a.refusal(app, err)
	}
	if up.inst == nil {
		return nil, &gateway.StateError{Code: "static", Status: http.StatusNotFound, Title: "There is nothing here", Text: "This app has no such page."}
	}
	return up, nil
}

// refusal is the page for an error, which the log keeps. Who gave up waiting gets none.
func (a *App) refusal(app *installed, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	level := slog.LevelDebug // a page may ask as often as it likes
	if control.AsError(err).Code == control.CodeInternal {
		level = slog.LevelWarn
	}
	a.log.Log(a.ctx, level, "app not started for a request", "app", app.rec.AppID, "err", err)
	return notStarted(app.rec.Name, err)
}

// running is the instance that runs, thawed if it was frozen. It runs with the present answers: whoever changes one
// ends it first. So nothing else needs to be looked at, which is most of what a request costs here.
func (a *App) running(app *installed) (upstream, bool) {
	a.mu.Lock()
	up := upstream{app.inst, app.leases}
	a.mu.Unlock()
	return up, up.inst != nil && up.leases.touch()
}

// upstream is a running instance as the front door sees it.
type upstream struct {
	inst   *sandbox.Instance
	leases *leases
}

// Dial connects to the instance. A closed socket is the first that is seen of a process that dies: its end is
// waited for, so that whoever asks again gets the next instance and not this one.
func (u upstream) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := u.inst.Dial(ctx)
	if err != nil {
		patience := time.NewTimer(endPatience)
		defer patience.Stop()
		select {
		case <-u.inst.Done():
		case <-patience.C: // alive, then, and only too busy to accept
		case <-ctx.Done():
		}
	}
	return conn, err
}

// endPatience is how long the end of a process may take from its closed socket to its exit.
const endPatience = 2 * time.Second

func (u upstream) Key() string {
	return u.inst.ID() + "/" + strconv.Itoa(u.inst.PID()) + "/" + strconv.FormatInt(u.inst.StartedAt().UnixNano(), 36)
}

// Busy marks an open request or stream, which keeps the instance awake.
func (u upstream) Busy() (release func()) { return u.leases.take() }

// Act does what a button on a host page may do: start, restart, or open a native window. Nothing reachable
// from an app's origin changes a grant, budget or setting (security.md, rule 1).
func (a *App) Act(ctx context.Context, install, action string) error {
	a.mu.Lock()
	app := a.apps[install]
	a.mu.Unlock()
	if app == nil {
		return noSuchApp(install)
	}
	switch action {
	case "start", "restart":
		if err := a.Restart(ctx, control.AppRef{App: app.rec.AppID}); err != nil {
			return a.refusal(app, err)
		}
		return nil
	case "ask_window":
		if err := a.Show(ctx, control.Show{Window: control.WindowApp, App: app.rec.AppID}); err != nil {
			a.log.Info("no window for a page's button", "app", app.rec.AppID, "err", err)
			return noWindow(app.rec.AppID)
		}
		return nil
	}
	return fmt.Errorf("unknown action %q", action)
}

// Used takes note of what a page used or was refused.
func (a *App) Used(install, side, perm string, allowed bool) {
	a.ledger.add(install, deed{side: side, perm: perm, allowed: allowed, count: 1})
}
