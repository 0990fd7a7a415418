package app

import (
	"context"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
)

// Bounds on apps that are started because somebody is about to open them.
const (
	maxAhead  = 2                // at once
	aheadStop = 30 * time.Second // unused for so long, one is stopped again
	aheadRoom = 4                // of the free memory, an app's whole budget may be at most this part
)

// Ahead starts an app because a person is about to open it: its page in a window is open. It is a hint, so nothing is
// asked, nothing waited for, and what cannot or should not be is no error: an app that runs already, is not answered
// for, ended in a way that a person should see first, or for which there is no room.
func (a *App) Ahead(_ context.Context, in control.AppRef) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	a.expect(app)
	return nil
}

// Expect is Ahead for the front door: a tab of the app loads its shell page, so that a request is on its way.
func (a *App) Expect(install string) {
	a.mu.Lock()
	app := a.apps[install]
	a.mu.Unlock()
	if app != nil {
		a.expect(app)
	}
}

func (a *App) expect(app *installed) {
	if !a.mayStartAhead(app) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.tasks.Go(func() { a.startAhead(app) })
	}
}

func (a *App) mayStartAhead(app *installed) bool {
	res, _, err := a.resolve(app)
	if err != nil || res.Ask.Len() > 0 || a.unfit(app, res) != "" {
		return false
	}
	a.mu.Lock()
	need := app.rec.Budget.MemoryBytes
	fits := app.manifest.Serve.Mode == bundle.ModeServer && app.inst == nil && !app.starting && len(recent(app.deaths, a.now())) == 0
	waiting := 0
	for _, other := range a.apps {
		if other.leases != nil && other.leases.isAhead() {
			waiting++
		}
	}
	a.mu.Unlock()
	if !fits || waiting >= maxAhead {
		return false
	}
	available, total, err := a.idle.Memory()
	return err == nil && !memoryTight(available, total) && uint64(max(need, 0)) <= available/aheadRoom
}

func (a *App) startAhead(app *installed) {
	if !app.lifecycle.TryLock() {
		return // somebody starts or stops it
	}
	defer app.lifecycle.Unlock()
	if !a.mayStartAhead(app) {
		return
	}
	up, err := a.ensureLocked(a.ctx, app)
	if err != nil {
		if a.ctx.Err() == nil {
			a.log.Info("not started ahead", "app", app.rec.AppID, "err", err)
		}
		return
	}
	up.leases.startedAhead()
}
