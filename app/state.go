package app

import (
	"context"
	"time"

	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
)

// changed tells every watcher that there is a new state.
func (a *App) changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changedLocked()
}

func (a *App) changedLocked() {
	a.seq++
	for w := range a.watchers {
		select {
		case w <- struct{}{}:
		default: // one is waiting already, and it will see the latest
		}
	}
}

// subscribe returns a channel that holds something after each change, until leave is called.
func (a *App) subscribe() (wake <-chan struct{}, leave func()) {
	w := make(chan struct{}, 1)
	a.mu.Lock()
	a.watchers[w] = true
	a.mu.Unlock()
	return w, func() {
		a.mu.Lock()
		delete(a.watchers, w)
		a.mu.Unlock()
	}
}

// Watch calls on at once and after each change, the latest state only; while an app runs, once a second
// too, for its usage. It returns when ctx or the agent ends, or on fails.
func (a *App) Watch(ctx context.Context, on func(control.State) error) error {
	wake, leave := a.subscribe()
	defer leave()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := on(a.State()); err != nil {
			return err
		}
		for again := true; again; {
			again = false
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-a.ctx.Done():
				return errClosing
			case <-wake:
			case <-tick.C:
				again = !a.anyRunning()
			}
		}
	}
}

func (a *App) anyRunning() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pids) > 0
}

// State is a snapshot of everything a tray or a library shows.
func (a *App) State() control.State {
	a.mu.Lock()
	s := control.State{Seq: a.seq, Apps: []control.AppState{}, Prompts: append([]string{}, a.ordered...), Downloads: []control.Progress{}}
	for _, p := range a.download {
		s.Downloads = append(s.Downloads, p)
	}
	all := a.sortedLocked()
	a.mu.Unlock()
	for _, app := range all {
		state := a.stateOf(app)
		a.mu.Lock()
		e := control.AppState{
			ID: app.rec.AppID, Short: shortName(app.rec.AppID), Name: app.rec.Name, Summary: app.manifest.Summary, Version: app.rec.Version,
			State: state, Publisher: app.manifest.Author.Name, Budget: wireBudget(app.rec.Budget), IconVersion: app.rec.UpdatedAt.UTC().Format(time.RFC3339Nano),
		}
		inst := app.inst
		a.mu.Unlock()
		if inst != nil {
			e.Usage = a.usage(inst)
		}
		s.Apps = append(s.Apps, e)
	}
	s.Notices = a.notices()
	s.Tray = a.desktop.trayState()
	return s
}

func (a *App) usage(inst *sandbox.Instance) *control.Usage {
	u := inst.Usage()
	return &control.Usage{PID: inst.PID(), CPUPercent: u.CPUPercent, MemoryBytes: u.MemoryBytes, DiskBytes: u.DiskBytes, StartedAt: inst.StartedAt()}
}

// stateOf is one of the State constants of package control.
func (a *App) stateOf(app *installed) string {
	a.mu.Lock()
	inst, starting, last, insist := app.inst, app.starting, app.last, app.insist
	a.mu.Unlock()
	if starting {
		return control.StateStarting
	}
	if inst != nil {
		select {
		case <-inst.Done():
		default:
			if inst.Frozen() {
				return control.StateFrozen
			}
			return control.StateRunning
		}
	}
	if last != nil {
		return last.state
	}
	if !insist {
		if res, _, err := a.resolve(app); err == nil && len(a.missing(app, res)) > 0 {
			return control.StateNeedsPermission
		}
	}
	return control.StateStopped
}

// Ps is every running app.
func (a *App) Ps() []control.Running {
	a.mu.Lock()
	all := a.sortedLocked()
	a.mu.Unlock()
	out := []control.Running{}
	for _, app := range all {
		a.mu.Lock()
		inst, id, budget := app.inst, app.rec.AppID, wireBudget(app.rec.Budget)
		a.mu.Unlock()
		state := a.stateOf(app)
		if inst == nil && state != control.StateStarting {
			continue
		}
		r := control.Running{ID: id, State: state, Budget: budget}
		if inst != nil {
			u := a.usage(inst)
			r.PID, r.CPUPercent, r.MemoryBytes, r.DiskBytes, r.StartedAt = u.PID, u.CPUPercent, u.MemoryBytes, u.DiskBytes, u.StartedAt
		}
		switch r.State {
		case control.StateRunning, control.StateFrozen, control.StateStarting:
			out = append(out, r)
		}
	}
	return out
}

// Message answers what a running app asks over the host channel. An app can ask; it can never answer
// (security.md, rule 1): a request for an unanswered row becomes a notice, and the present state goes back.
func (a *App) Message(install string, m sandbox.Message) sandbox.Message {
	a.mu.Lock()
	app := a.apps[install]
	a.mu.Unlock()
	reply := sandbox.Message{ID: m.ID, Kind: m.Kind, Permission: m.Permission, State: "denied"} // the words of the web's Permissions API
	if app == nil {
		return reply
	}
	p, err := permission.Parse(m.Permission)
	if err != nil {
		reply.Error = permissionError(err).Error()
		return reply
	}
	res, _, err := a.resolve(app)
	if err != nil {
		a.log.Error("answer an app", "app", app.rec.AppID, "err", err)
		return reply
	}
	switch {
	case res.Allow.Covers(p):
		reply.State = "granted"
	case res.Ask.Has(p):
		reply.State = "prompt"
		if m.Kind == "permissions.request" {
			a.mu.Lock()
			asks, name, id := app.rec.Asks[p.String()], app.rec.Name, app.rec.AppID
			a.mu.Unlock()
			if asks < 2 {
				a.notify(control.Notice{
					Code: control.NoticePermissionNeeded, Facts: control.NoticeFacts{Name: name, Permission: p.String()}, Severity: "info", AppID: id, Title: name + " asks for a permission", Text: "It would like to use " + p.String() + ".",
					Actions: []control.NoticeChoice{{Action: "review", Label: "Review"}, {Action: "dismiss", Label: "Not now"}},
				}, install)
			}
		}
	}
	return reply
}
