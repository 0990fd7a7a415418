package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/shirou/gopsutil/v3/mem"

	"paddock/app/control"
)

// Idle says what becomes of apps that nobody uses, and how the machine is asked about its memory. The zero value
// is the default of each field.
type Idle struct {
	Freeze time.Duration // unused for so long, an app is frozen; default 60 s
	Stop   time.Duration // unused for so long, it is stopped, where its manifest names no time; default 10 min
	Pass   time.Duration // between two looks at all apps; default 5 s
	// Memory gives the bytes that programs can still get without swapping, and all there are. Default: this machine's.
	Memory func() (available, total uint64, err error)
}

func (i Idle) withDefaults() Idle {
	if i.Freeze == 0 {
		i.Freeze = time.Minute
	}
	if i.Stop == 0 {
		i.Stop = 10 * time.Minute
	}
	if i.Pass == 0 {
		i.Pass = 5 * time.Second
	}
	if i.Memory == nil {
		i.Memory = func() (uint64, uint64, error) {
			m, err := mem.VirtualMemory()
			if err != nil {
				return 0, 0, fmt.Errorf("read the free memory: %w", err)
			}
			return m.Available, m.Total, nil
		}
	}
	return i
}

// minIdleStop keeps an app that asks to be stopped at once from being started for each file of a page.
const minIdleStop = 10 * time.Second

// rest is what to do with an app that runs.
type rest uint8

const (
	stayAwake rest = iota
	freezeIt
	stopIt
)

// use is what decides about rest: how an instance is used now.
type use struct {
	open       int           // requests and streams
	idle       time.Duration // since the last one ended; meaningful when none is open
	background bool          // may work with no page open
	frozen     bool
}

// idleLimits are the bounds that next compares with.
type idleLimits struct{ freeze, stop time.Duration }

// tight are the limits while memory is short: whoever could be frozen is stopped instead.
func (l idleLimits) tight() idleLimits {
	l.stop = min(l.stop, l.freeze)
	return l
}

// next decides what becomes of an instance. Whoever has something open or may work in the background stays awake.
func next(u use, l idleLimits) rest {
	switch {
	case u.open > 0 || u.background:
		return stayAwake
	case u.idle >= l.stop:
		return stopIt
	case u.idle >= l.freeze && !u.frozen:
		return freezeIt
	}
	return stayAwake
}

// memoryTight reports whether apps should give memory back: less than a twentieth of it is available, with bounds for
// small and large machines.
func memoryTight(available, total uint64) bool {
	return available < min(max(total/20, 256<<20), 1<<30)
}

// idleLimits are those of app.
func (a *App) idleLimits(app *installed) idleLimits {
	a.mu.Lock()
	wish := app.manifest.Resources.IdleStop
	a.mu.Unlock()
	l := idleLimits{freeze: a.idle.Freeze, stop: a.idle.Stop}
	if wish != nil {
		l.stop = max(time.Duration(*wish)*time.Second, minIdleStop)
	}
	return l
}

// restLoop looks at all apps again and again, as an instance's end or a request may come at any time.
func (a *App) restLoop() {
	tick := time.NewTicker(a.idle.Pass)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
			a.restApps()
			a.wakeScheduled()
		}
	}
}

// restApps puts to sleep who is unused for long enough. While memory is short it also stops the one app that is
// unused longest; the next look tells whether that was enough.
func (a *App) restApps() {
	type candidate struct {
		app    *installed
		leases *leases
	}
	a.mu.Lock()
	var running []candidate
	for _, app := range a.apps {
		if app.inst != nil {
			running = append(running, candidate{app, app.leases})
		}
	}
	a.mu.Unlock()
	if len(running) == 0 {
		return
	}
	tight := false
	if available, total, err := a.idle.Memory(); err != nil {
		a.log.Debug("free memory is not known", "err", err)
	} else {
		tight = memoryTight(available, total)
	}
	var longest candidate
	longestIdle := time.Duration(math.MinInt64)
	for _, c := range running {
		limits := a.idleLimits(c.app)
		if c.leases.isAhead() {
			limits.stop = min(limits.stop, aheadStop)
		}
		if tight {
			if u := c.leases.use(); next(u, limits.tight()) == stopIt && u.idle > longestIdle {
				longest, longestIdle = c, u.idle
			}
		}
		switch next(c.leases.use(), limits) {
		case freezeIt:
			if _, err := c.leases.freeze(limits.freeze); err != nil {
				a.log.Warn("freeze an unused app", "app", c.app.rec.AppID, "err", err)
			}
		case stopIt:
			a.tasks.Go(func() { a.stopUnused(c.app, c.leases, limits.stop) })
		}
	}
	if longest.app != nil {
		a.log.Info("memory is short: an unused app is stopped", "app", longest.app.rec.AppID)
		a.tasks.Go(func() { a.stopUnused(longest.app, longest.leases, a.idle.Freeze) })
	}
}

// stopUnused stops an instance unless it is used after all. Its sessions and its session's grants stay: the next
// request starts it again.
func (a *App) stopUnused(app *installed, l *leases, after time.Duration) {
	// Whoever holds the lock starts, stops or restarts the app; the next look sees what came of it.
	if !app.lifecycle.TryLock() {
		return
	}
	defer app.lifecycle.Unlock()
	if _, err := a.stopUnusedLocked(a.ctx, app, l, after); err != nil {
		a.log.Error("stop an unused app", "app", app.rec.AppID, "err", err)
	}
}

func (a *App) stopUnusedLocked(ctx context.Context, app *installed, l *leases, after time.Duration) (bool, error) {
	a.mu.Lock()
	current := app.inst != nil && app.leases == l
	a.mu.Unlock()
	if !current || !l.endUnused(after) {
		return false, nil
	}
	return true, a.endLocked(ctx, app)
}

// Rest puts an app to sleep now, as if it had been unused for long. Its sessions stay, and the next request wakes it.
// An app that is in use, or may work in the background, is left as it is.
func (a *App) Rest(ctx context.Context, in control.Rest) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.mu.Lock()
	inst, l := app.inst, app.leases
	a.mu.Unlock()
	if inst == nil {
		return nil
	}
	var done bool
	if in.Stop {
		done, err = a.stopUnusedLocked(ctx, app, l, 0)
	} else {
		done, err = l.freeze(0)
	}
	if err == nil && !done {
		err = control.NewError(control.ExitFailed, "in_use", app.rec.Name+" is in use.", "Close its pages first, or stop it.", nil)
	}
	return err
}
