package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"paddock/app/bundle"
	"paddock/sandbox"
	"paddock/sandbox/permission"
)

// handlerPatience is how long an app is kept awake for one time of its schedule, its start included.
const handlerPatience = 5 * time.Minute

// lookAgain is how long no schedule is looked at whose time is further away: the time zone may change, and the clock.
const lookAgain = time.Hour

// background is the permission that schedules belong to.
var background = permission.Permission{Kind: permission.Background}

// scheduleOf is when an app asks to be woken; false when it asks for no times.
func scheduleOf(m *bundle.Manifest) (permission.Schedule, bool) {
	r := m.Permissions.Background
	if r == nil || r.Schedule == "" || m.Serve.Mode != bundle.ModeServer {
		return permission.Schedule{}, false
	}
	s, err := permission.ParseSchedule(r.Schedule)
	return s, err == nil
}

// nextWake is when an app that was last woken at last is woken next. However many times were missed meanwhile, they
// are one; and no two wakes come closer than permission.MinInterval, also where one came late.
func nextWake(s permission.Schedule, last time.Time) time.Time {
	next := s.Next(last)
	if soonest := last.Add(permission.MinInterval); !next.IsZero() && next.Before(soonest) {
		return soonest
	}
	return next
}

// staysAwake reports whether an app with these rights is left running with no page open: it may work in the background
// and names no times at which.
func staysAwake(m *bundle.Manifest, allow permission.Set) bool {
	_, scheduled := scheduleOf(m)
	return allow.Has(background) && !scheduled
}

// wakeScheduled wakes the apps whose time has come. It is called every few seconds and looks at the clock on the wall,
// as a machine that slept or was set right has another one than before.
func (a *App) wakeScheduled() {
	now := a.now()
	a.mu.Lock()
	var due []*installed
	for _, app := range a.apps {
		if !app.scheduled && !a.closed {
			if _, ok := scheduleOf(app.manifest); ok && (!now.Before(app.dueAt) || app.dueAt.Sub(now) > lookAgain) {
				due = append(due, app)
			}
		}
	}
	a.mu.Unlock()
	for _, app := range due {
		if err := a.wakeIfDue(app, now); err != nil {
			a.log.Error("wake an app at its time", "app", app.rec.AppID, "err", err)
		}
	}
}

// wakeIfDue wakes app if its time has come and it may be woken, or notes when to look again.
func (a *App) wakeIfDue(app *installed, now time.Time) error {
	a.mu.Lock()
	schedule, ok := scheduleOf(app.manifest)
	a.mu.Unlock()
	res, grants, err := a.resolve(app)
	if err != nil || !ok || !res.Allow.Has(background) {
		return err // without the grant never; nothing is remembered, so that a grant is seen at the next look
	}
	last, err := a.store.Woken(app.id)
	if err != nil {
		return fmt.Errorf("read the last wake: %w", err)
	}
	if last.After(now.Add(permission.MinInterval)) { // the clock was ahead: begin anew, or it might be years
		return a.setWoken(app, now)
	}
	if i := slices.IndexFunc(grants, func(g permission.Grant) bool { return g.Permission == background }); i >= 0 {
		if at := grants[i].At; at.After(last) && !at.After(now) {
			last = at // times before it was allowed do not count
		} else if at.After(now) && last.IsZero() { // allowed while the clock was ahead
			return a.setWoken(app, now)
		}
	}
	if next := nextWake(schedule, last.In(now.Location())); next.IsZero() || now.Before(next) {
		a.mu.Lock()
		if app.dueAt = now.Add(lookAgain); !next.IsZero() && next.Before(app.dueAt) {
			app.dueAt = next
		}
		a.mu.Unlock()
		return nil
	}
	if err := a.setWoken(app, now); err != nil { // first: what cannot be remembered would be done again and again
		return err
	}
	if why := a.unfit(app, res); why != "" {
		a.log.Info("an app is not woken at its time", "app", app.rec.AppID, "why", why)
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	app.scheduled = true
	a.tasks.Go(func() { a.runScheduled(app, now) })
	return nil
}

func (a *App) setWoken(app *installed, at time.Time) error {
	if err := a.store.SetWoken(app.id, at.Truncate(time.Minute)); err != nil {
		return fmt.Errorf("note the wake: %w", err)
	}
	a.mu.Lock()
	app.dueAt = time.Time{}
	a.mu.Unlock()
	return nil
}

// unfit says why nobody but a person may start app now; "" when anything may.
func (a *App) unfit(app *installed, res permission.Resolution) string {
	missing := a.missing(app, res)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(missing) > 0 && !app.insist:
		return "it cannot start without " + missing[0].Permission.String()
	case app.inst == nil && app.last != nil:
		return app.last.text
	}
	return ""
}

// runScheduled wakes app, tells it, and lets it sleep again once its handler has ended.
func (a *App) runScheduled(app *installed, at time.Time) {
	defer func() {
		a.mu.Lock()
		app.scheduled = false
		a.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(a.ctx, handlerPatience)
	defer cancel()
	up, err := a.ensure(ctx, app)
	if err != nil {
		if a.ctx.Err() == nil {
			a.log.Warn("an app did not start at its time", "app", app.rec.AppID, "err", err)
		}
		return
	}
	a.ledger.add(app.id, deed{side: sideProcess, perm: background.String(), allowed: true, count: 1})
	release := up.leases.take()
	err = up.inst.Scheduled(ctx, at)
	release()
	if err != nil && a.ctx.Err() == nil {
		level := a.log.Warn
		if errors.Is(err, sandbox.ErrNoHandler) {
			level = a.log.Info
		}
		level("an app's work at its time", "app", app.rec.AppID, "err", err)
	}
	if _, err := up.leases.freeze(0); err != nil {
		a.log.Warn("freeze an app after its work", "app", app.rec.AppID, "err", err)
	}
}
