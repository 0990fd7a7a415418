package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
)

// narrowGrace is how long an app may tidy up when its rights change: revoking must work within a second
// (product.md, requirement 13), whatever the app does with SIGTERM.
const narrowGrace = 150 * time.Millisecond

// Stop ends an app and its sessions: the next visit needs a fresh link.
func (a *App) Stop(ctx context.Context, in control.AppRef) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.front.EndSessions(app.id)
	a.endSession(app)
	return a.endLocked(ctx, app)
}

// endSession forgets what was allowed for this session only.
func (a *App) endSession(app *installed) {
	a.mu.Lock()
	clear(app.session)
	app.insist, app.last, app.deaths = false, nil, nil
	a.changedLocked()
	a.mu.Unlock()
	a.front.Set(a.doorEntry(app))
}

// endLocked stops the instance, if any, and waits until its end is recorded. The caller holds app.lifecycle.
func (a *App) endLocked(ctx context.Context, app *installed) error {
	return a.endWith(app, func(inst *sandbox.Instance) error { return inst.Stop(ctx) })
}

func (a *App) endWith(app *installed, end func(*sandbox.Instance) error) error {
	a.mu.Lock()
	inst, leases, noted := app.inst, app.leases, app.noted
	a.mu.Unlock()
	if inst == nil {
		return nil
	}
	leases.end()
	if err := end(inst); err != nil {
		return fmt.Errorf("stop %s: %w", app.rec.AppID, err)
	}
	<-noted
	return nil
}

// Restart stops an app and starts it again; requests wait meanwhile.
func (a *App) Restart(ctx context.Context, in control.AppRef) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	if err := a.consent(ctx, app, false); err != nil {
		return err
	}
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.forgive(app)
	if err := a.endLocked(ctx, app); err != nil {
		return err
	}
	if app.manifest.Serve.Mode == bundle.ModeStatic {
		return nil
	}
	_, err = a.start(ctx, app)
	a.untilRecorded(app)
	return err
}

// applyNow makes a changed set of rights true at once: page headers first, then the running process, which
// is restarted with exactly the new flags. Requests are held meanwhile and sessions kept. It returns when the app runs
// again.
func (a *App) applyNow(app *installed) error {
	a.front.Set(a.doorEntry(app))
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.mu.Lock()
	inst := app.inst
	a.mu.Unlock()
	if inst == nil {
		return nil
	}
	return a.relaunchLocked(a.ctx, app)
}

// takeNow is applyNow for a right that was taken away. It returns when the process that had it is gone: that is what
// must not take longer than a second, whatever the machine is busy with. The app starts again behind it.
func (a *App) takeNow(app *installed) error {
	a.front.Set(a.doorEntry(app))
	app.lifecycle.Lock()
	a.mu.Lock()
	inst := app.inst
	a.mu.Unlock()
	if inst == nil {
		app.lifecycle.Unlock()
		return nil
	}
	if err := a.endQuickly(a.ctx, app); err != nil {
		app.lifecycle.Unlock()
		return err
	}
	a.tasks.Go(func() {
		defer app.lifecycle.Unlock() // held all the while, so that requests wait for the new process
		if err := a.startAgain(a.ctx, app); err != nil && a.ctx.Err() == nil {
			a.log.Warn("start with fewer rights", "app", app.rec.AppID, "err", err)
		}
	})
	return nil
}

// haltLocked ends a running app, which may tidy up first, so that its data rests. resume starts it again if it ran,
// unless Paddock ends. The caller holds app.lifecycle all the while, which is what holds requests.
func (a *App) haltLocked(ctx context.Context, app *installed) (resume func(), err error) {
	a.mu.Lock()
	gone, closed, ran := a.apps[app.id] != app, a.closed, app.inst != nil
	a.mu.Unlock()
	switch {
	case closed:
		return nil, errClosing
	case gone:
		return nil, noSuchApp(app.rec.AppID)
	}
	if err := a.endLocked(ctx, app); err != nil {
		return nil, err
	}
	return func() {
		a.mu.Lock()
		over := a.closed || errors.Is(context.Cause(ctx), errClosing)
		a.mu.Unlock()
		if !ran || over {
			return
		}
		if err := a.startAgain(a.ctx, app); err != nil && a.ctx.Err() == nil {
			a.log.Warn("start an app again", "app", app.rec.AppID, "err", err)
		}
	}, nil
}

// relaunchLocked restarts a running app with its present answers, quickly. The caller holds app.lifecycle.
func (a *App) relaunchLocked(ctx context.Context, app *installed) error {
	if err := a.endQuickly(ctx, app); err != nil {
		return err
	}
	return a.startAgain(ctx, app)
}

func (a *App) endQuickly(ctx context.Context, app *installed) error {
	grace, cancel := context.WithTimeout(ctx, narrowGrace)
	defer cancel()
	return a.endLocked(grace, app)
}

// startAgain starts an app that was running. When a required row is gone now, it stays stopped: that is what the user
// wanted. The caller holds app.lifecycle.
func (a *App) startAgain(ctx context.Context, app *installed) error {
	if err := a.consent(ctx, app, false); err != nil {
		return nil //nolint:nilerr // the state says needs_permission
	}
	if app.manifest.Serve.Mode == bundle.ModeStatic {
		return nil
	}
	_, err := a.start(ctx, app)
	return err
}

// StopAll ends every app, because the agent ends, and waits. Apps may tidy up first.
func (a *App) StopAll(ctx context.Context) {
	a.mu.Lock()
	all := a.sortedLocked()
	for _, app := range all {
		if app.hold != nil {
			app.hold(errClosing)
			app.hold = nil
		}
	}
	a.mu.Unlock()
	var wait sync.WaitGroup
	for _, app := range all {
		wait.Go(func() {
			app.lifecycle.Lock()
			defer app.lifecycle.Unlock()
			if err := a.endWith(app, func(inst *sandbox.Instance) error { return inst.Shutdown(ctx) }); err != nil {
				a.log.Error("end an app", "app", app.rec.AppID, "err", err)
			}
		})
	}
	wait.Wait()
}
