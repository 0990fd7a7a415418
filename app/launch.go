package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// Open launches an app, asking for what is unanswered, and makes a link to it. This is the way of a
// person's answer to a running process:
//
//	stored grants ─ Resolve ─ ask for the rest ─ check that nothing unasked was answered ─ store ─ Resolve again ─ Spec ─ Launch
func (a *App) Open(ctx context.Context, in control.Open) (control.OpenResult, error) {
	app, err := a.find(in.App)
	if err != nil {
		return control.OpenResult{}, err
	}
	a.desktop.offer(in.Desktop)
	if err := a.grantNamed(app, in.Grant); err != nil {
		return control.OpenResult{}, err
	}
	if in.Insist {
		a.mu.Lock()
		app.insist = true
		a.mu.Unlock()
	}
	if err := a.consent(ctx, app, in.Ask && a.desktop.present()); err != nil {
		return control.OpenResult{}, err
	}
	start := a.now()
	a.forgive(app)
	up, err := a.ensure(ctx, app)
	if err != nil {
		return control.OpenResult{}, err
	}
	url, appURL, err := a.front.Mint(app.id)
	if err != nil {
		return control.OpenResult{}, fmt.Errorf("make a link: %w", err)
	}
	a.untilRecorded(app)
	out := control.OpenResult{ID: app.rec.AppID, URL: url, AppURL: appURL, Origin: a.front.Origin(app.id), State: control.StateRunning}
	if checked, _ := a.front.PeerCheck(); in.Browse && !checked {
		if out.Handed, err = a.front.LinkFile(url); err != nil {
			return control.OpenResult{}, control.NewError(control.ExitFailed, "link_file", "The browser cannot be given the link unseen by other users of this machine: "+sentence(err),
				"“paddock open "+app.rec.AppID+" --no-browser” prints the link.", nil)
		}
	}
	if up.inst != nil {
		out.PID = up.inst.PID()
	}
	out.StartMS = float64(a.now().Sub(start).Microseconds()) / 1000
	return out, nil
}

// grantNamed stores the answers that a command named itself. It restarts nothing: the caller launches next,
// and a running app that got a wider set is restarted here.
func (a *App) grantNamed(app *installed, names []string) error {
	var grants []permission.Grant
	for _, text := range names {
		r, err := findRequest(app.manifest.Requests(), text)
		if err != nil {
			return err
		}
		if r.Permission.Kind == permission.Files {
			return control.NewError(control.ExitUsage, "path_needed", text+" needs a path.",
				fmt.Sprintf("Run “paddock grant %s %s --path DIR”.", app.rec.AppID, text), nil)
		}
		grants = append(grants, permission.Grant{Permission: r.Permission, Decision: permission.Allow, Lifetime: permission.Always, Access: r.Access, Schedule: r.Schedule, At: a.now(), By: permission.ByCLI})
	}
	if len(grants) == 0 {
		return nil
	}
	before := a.allowed(app)
	if err := a.store.PutGrants(app.id, grants...); err != nil {
		return fmt.Errorf("store the answers: %w", err)
	}
	a.changed()
	if after := a.allowed(app); after.String() != before.String() {
		return a.applyNow(app)
	}
	return nil
}

// resolve is the present policy of an app: stored answers with this session's over them.
func (a *App) resolve(app *installed) (permission.Resolution, []permission.Grant, error) {
	grants, err := a.store.Grants(app.id)
	if err != nil {
		return permission.Resolution{}, nil, fmt.Errorf("read the answers of %s: %w", app.rec.AppID, err)
	}
	a.mu.Lock()
	session := slices.Collect(maps.Values(app.session))
	requests := app.manifest.Requests()
	a.mu.Unlock()
	for _, s := range session {
		grants = slices.DeleteFunc(grants, func(g permission.Grant) bool { return g.Permission == s.Permission })
	}
	grants = append(grants, session...)
	return permission.Resolve(requests, grants), grants, nil
}

// allowed is what the app may do now; an unreadable store allows nothing.
func (a *App) allowed(app *installed) permission.Set {
	res, _, err := a.resolve(app)
	if err != nil {
		a.log.Error("resolve", "app", app.rec.AppID, "err", err)
		return permission.Set{}
	}
	return res.Allow
}

// missing are the required rows that are not allowed.
func (a *App) missing(app *installed, res permission.Resolution) []permission.Request {
	var out []permission.Request
	for _, r := range app.manifest.Requests() {
		if r.Required && !res.Allow.Covers(r.Permission) {
			out = append(out, r)
		}
	}
	return out
}

// consent sees to it that every row that must be answered is. With ask, a person is asked in a window.
func (a *App) consent(ctx context.Context, app *installed, ask bool) error {
	res, _, err := a.resolve(app)
	if err != nil {
		return err
	}
	if ask && a.askable(app, res) {
		if err := a.askPermissions(ctx, app, res); err != nil {
			return err
		}
		if res, _, err = a.resolve(app); err != nil {
			return err
		}
	}
	a.mu.Lock()
	insist := app.insist
	a.mu.Unlock()
	if missing := a.missing(app, res); len(missing) > 0 && !insist {
		return requiredError(app, missing)
	}
	return nil
}

// askable reports whether a window should open: a row is unanswered and was not asked twice already, or a
// required one is (two asks at most, ui.md 8; what is required is asked at each start).
func (a *App) askable(app *installed, res permission.Resolution) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range app.manifest.Requests() {
		if res.Ask.Has(r.Permission) && (r.Required || app.rec.Asks[r.Permission.String()] < 2) {
			return true
		}
	}
	return false
}

// ensure returns the running instance, starting or thawing it. A static app has none: an empty upstream without an
// error.
func (a *App) ensure(ctx context.Context, app *installed) (upstream, error) {
	if app.manifest.Serve.Mode == bundle.ModeStatic {
		return upstream{}, nil
	}
	a.mu.Lock()
	before := app.failures
	a.mu.Unlock()
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.mu.Lock()
	shared, failure := app.failures != before && app.inst == nil, app.failure
	a.mu.Unlock()
	if shared { // a crowd of requests tries once, not one after the other
		return upstream{}, failure
	}
	return a.ensureLocked(ctx, app)
}

func (a *App) ensureLocked(ctx context.Context, app *installed) (upstream, error) {
	a.settle(app)
	a.mu.Lock()
	up, noted, gone, closed := upstream{app.inst, app.leases}, app.noted, a.apps[app.id] != app, a.closed
	a.mu.Unlock()
	if closed {
		return upstream{}, errClosing
	}
	if gone {
		return upstream{}, noSuchApp(app.rec.AppID)
	}
	if up.inst == nil {
		return a.start(ctx, app)
	}
	if up.leases.touch() {
		return up, nil
	}
	select { // it is just ending
	case <-noted:
		return a.start(ctx, app)
	case <-ctx.Done():
		return upstream{}, ctx.Err()
	}
}

// start launches an instance. The caller holds app.lifecycle. A launch belongs to the app and not to the
// request that wanted it: it goes on when that request is given up.
func (a *App) start(ctx context.Context, app *installed) (upstream, error) {
	spec, err := a.spec(app)
	if err != nil {
		return upstream{}, err
	}
	began := a.now()
	a.mu.Lock()
	app.starting, app.began = true, began
	a.changedLocked()
	a.mu.Unlock()
	slow := time.AfterFunc(slowStart, a.changed)
	defer slow.Stop()
	defer func() {
		a.mu.Lock()
		app.starting = false
		a.changedLocked()
		a.mu.Unlock()
	}()
	run := a.recordStart(app, began)
	launch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(a.ctx, cancel)
	defer stop()
	inst, err := a.sandbox.Launch(launch, spec)
	if err != nil {
		a.recordFailedStart(app, run, began, err)
		return upstream{}, startError(app, err)
	}
	noted := make(chan struct{})
	up := upstream{inst, newLeases(inst, staysAwake(app.manifest, spec.Allow), a.now, a.changed)}
	p := inst.Phases()
	a.log.Debug("started", "app", app.rec.AppID, "prepare", p.Prepare, "fork", p.Fork, "walls", p.Walls, "listening", p.Listening, "ready", p.Ready)
	a.mu.Lock()
	app.inst, app.leases, app.noted, app.last = up.inst, up.leases, noted, nil
	a.pids[inst.PID()] = true
	a.changedLocked()
	a.mu.Unlock()
	a.tasks.Go(func() { a.await(app, inst, run, noted) })
	return up, nil
}

func (a *App) recordFailedStart(app *installed, run *run, began time.Time, err error) {
	ended := a.now()
	rec := store.Run{StartedAt: began, EndedAt: &ended, Reason: string(sandbox.StartFailed), Tail: err.Error()}
	var se *sandbox.StartError
	if errors.As(err, &se) {
		rec.Tail = se.Tail
		if rec.Tail == "" {
			rec.Tail = se.Error()
		}
		if se.Exit.Breach != nil {
			rec.Reason = string(sandbox.OverBudget)
			rec.Breach = storeBreach(se.Exit.Breach)
		}
	}
	a.recordEnd(app, run, rec, nil)
	page := notStarted(app.rec.Name, startError(app, err))
	end := &ending{state: control.StateFailed, title: page.Title, text: page.Text, buttons: page.Actions, starting: true, at: ended}
	if rec.Breach != nil {
		end.state = control.StateOverBudget
	}
	a.mu.Lock()
	app.last = end
	app.failures, app.failure = app.failures+1, startError(app, err)
	app.deaths = append(recent(app.deaths, ended), ended)
	a.mu.Unlock()
}

// spec is all that the supervisor needs to run app with the present answers.
func (a *App) spec(app *installed) (sandbox.Spec, error) {
	res, grants, err := a.resolve(app)
	if err != nil {
		return sandbox.Spec{}, err
	}
	return a.specFor(app, res, grants, app.rec.Budget)
}

func (a *App) specFor(app *installed, res permission.Resolution, grants []permission.Grant, budget store.Budget) (sandbox.Spec, error) {
	m, p := app.manifest, a.paths(app.id, app.rec.VersionCode)
	slots, err := a.slots(m.Requests(), res.Allow, grants)
	if err != nil {
		return sandbox.Spec{}, err
	}
	require, err := a.requiredWalls()
	if err != nil {
		return sandbox.Spec{}, err
	}
	origin := a.front.Origin(app.id)
	return sandbox.Spec{
		ID: app.id, AppDir: p.Code, DataDir: p.Data, RuntimeDir: p.Runtime, LogDir: p.Log,
		Entry: m.Serve.Entry, API: m.Serve.API, Health: m.Serve.Health,
		Allow: res.Allow, Deny: res.Deny, Slots: slots,
		Budget: sandbox.Budget{
			MemoryBytes: budget.MemoryBytes, CPUPercent: budget.CPUPercent, DiskBytes: budget.DiskBytes,
			Workers: app.rec.Workers, StartTimeout: time.Duration(m.Serve.ReadyTimeout) * time.Second,
		},
		Location: origin + "/", Require: require,
		Facts: map[string]string{
			"PADDOCK_APP_ID": app.rec.AppID, "PADDOCK_APP_VERSION": app.rec.Version, "PADDOCK_ORIGIN": origin, "PADDOCK_VERSION": a.opts.Product.Version,
		},
	}, nil
}

// slots are the picked files and folders, looked at again at each launch: a link that was put in their
// place since leads elsewhere now, and a path that is gone is left out, so that the app starts without it.
func (a *App) slots(requests []permission.Request, allow permission.Set, grants []permission.Grant) ([]sandbox.Slot, error) {
	var out []sandbox.Slot
	for _, r := range requests {
		if r.Permission.Kind != permission.Files || !allow.Has(r.Permission) {
			continue
		}
		i := slices.IndexFunc(grants, func(g permission.Grant) bool { return g.Permission == r.Permission })
		if i < 0 {
			continue
		}
		real, err := filepath.EvalSymlinks(grants[i].Path)
		if errors.Is(err, os.ErrNotExist) {
			a.log.Warn("picked path is gone", "permission", r.Permission, "path", grants[i].Path)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at the picked path: %w", err)
		}
		if real != grants[i].Path {
			return nil, control.NewError(control.ExitRefused, "path_moved",
				fmt.Sprintf("%s was picked for “%s”, and now leads to %s.", grants[i].Path, r.Permission.Scope, real),
				"Pick the folder again in the app's permissions.", nil)
		}
		if err := permission.CheckSlotPath(real, a.forbiddenFolders()); err != nil {
			return nil, permissionError(err)
		}
		out = append(out, sandbox.Slot{Name: r.Permission.Scope, Path: real, Write: r.Access == permission.ReadWrite, Folder: r.Folder})
	}
	return out, nil
}

// await takes note of an instance's end: first for those who ask next, then for the history. noted is closed
// when all is written, and nobody starts the app again or tells of its end before that.
func (a *App) await(app *installed, inst *sandbox.Instance, run *run, noted chan<- struct{}) {
	defer close(noted)
	<-inst.Done()
	exit := inst.Exit()
	ended := exit.At
	if ended.IsZero() {
		ended = a.now()
	}
	rec := store.Run{StartedAt: inst.StartedAt(), EndedAt: &ended, Reason: string(exit.Reason), Tail: exit.Tail, PID: inst.PID()}
	if exit.Breach != nil {
		rec.Breach = storeBreach(exit.Breach)
	}
	a.mu.Lock()
	delete(a.pids, inst.PID())
	app.inst, app.leases = nil, nil
	id, name, disk := app.rec.AppID, app.rec.Name, app.rec.Budget.DiskBytes
	end, notice := unwished(id, name, exit, rec.Breach, disk, ended)
	if end != nil {
		app.last, app.deaths = end, append(recent(app.deaths, ended), ended)
	}
	a.changedLocked()
	a.mu.Unlock()
	if notice != nil { // before the history, so that whoever sees the end there finds the notice
		a.notify(*notice, app.id)
	}
	used := inst.Usage().DiskBytes
	a.recordEnd(app, run, rec, &used)
}

// unwished is what to keep and to tell of an end that the user did not ask for; nil of one that they did. disk is the
// app's limit on the disk: a breach below that means that the disk was nearly full and the app went on writing.
func unwished(id, name string, exit sandbox.Exit, breach *store.Breach, disk int64, at time.Time) (*ending, *control.Notice) {
	switch exit.Reason {
	case sandbox.OverBudget:
		end := &ending{state: control.StateOverBudget, title: name + " was stopped", text: breachText(breach), buttons: afterEnd(breached(breach)), at: at}
		facts := control.NoticeFacts{Name: name, Breach: wireBreach(breach)}
		if breach != nil && breach.Budget == sandbox.BudgetDisk && breach.Limit < float64(disk) {
			facts.DiskFull = true
			end.text, end.buttons = "The disk is nearly full, and it went on writing. Free some space before you start it again.", afterEnd("")
		}
		choices := []control.NoticeChoice{{Action: "restart", Label: "Restart"}}
		if breach == nil || breach.Budget != sandbox.BudgetProcesses { // that one is the same for all apps
			choices = append(choices, control.NoticeChoice{Action: "raise", Label: "Raise the limit and restart"})
		}
		choices = append(choices, control.NoticeChoice{Action: "dismiss", Label: "Keep stopped"})
		return end, &control.Notice{Code: control.NoticeOverBudget, Severity: "warning", AppID: id, Title: end.title, Text: end.text, Facts: facts, Actions: choices}
	case sandbox.Crashed, sandbox.Finished:
		end := &ending{state: control.StateFailed, title: name + " ended unexpectedly", text: fmt.Sprintf("It ended by itself (%s).", exitText(exit)), buttons: afterEnd(""), at: at}
		facts := control.NoticeFacts{Name: name, ExitCode: exit.Code, Signal: exit.Signal}
		return end, &control.Notice{Code: control.NoticeAppFailed, Severity: "warning", AppID: id, Title: end.title, Text: end.text, Facts: facts, Actions: []control.NoticeChoice{
			{Action: "restart", Label: "Restart"}, {Action: "open_app", Label: "Show log"}, {Action: "dismiss", Label: "Dismiss"},
		}}
	}
	return nil, nil
}

// settle waits until the end of an instance that has just ended is known.
func (a *App) settle(app *installed) {
	a.mu.Lock()
	inst, noted := app.inst, app.noted
	a.mu.Unlock()
	if inst == nil {
		return
	}
	select {
	case <-inst.Done():
		<-noted
	default:
	}
}

// Backing off from apps that keep dying: after the third death within a minute a request does not wake the
// app for a while; a person who opens it does.
const (
	deathWindow  = time.Minute
	deathsBefore = 3
	maxBackoff   = time.Minute
)

func recent(deaths []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(deaths), func(t time.Time) bool { return now.Sub(t).Abs() > deathWindow })
}

// backoff is how long a request must not wake the app after its last death.
func backoff(deaths []time.Time, now time.Time) time.Duration {
	recent := recent(deaths, now)
	if len(recent) < deathsBefore {
		return 0
	}
	wait := min(time.Second<<min(len(recent)-deathsBefore+1, 6), maxBackoff)
	return min(max(0, recent[len(recent)-1].Add(wait).Sub(now)), wait)
}

// forgive forgets how an app ended: a person wants it now.
func (a *App) forgive(app *installed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	app.last, app.deaths = nil, nil
}

// breached is the budget of a breach, whichever it was where none is known.
func breached(b *store.Breach) string {
	if b == nil {
		return sandbox.BudgetMemory
	}
	return b.Budget
}

func wireBreach(b *store.Breach) *control.Breach {
	if b == nil {
		return nil
	}
	return &control.Breach{Budget: b.Budget, Limit: b.Limit, Measured: b.Measured}
}

func storeBreach(b *sandbox.Breach) *store.Breach {
	return &store.Breach{Budget: b.Budget, Limit: b.Limit, Measured: b.Measured}
}

// doorEntry is what the front door must know of an app.
func (a *App) doorEntry(app *installed) gateway.App {
	allow := a.allowed(app)
	icon, err := a.readIcon(app)
	if err != nil {
		a.log.Debug("icon", "app", app.rec.AppID, "err", err)
	}
	own, err := a.ownAddress(app)
	if err != nil {
		a.log.Error("the app is served under its name", "app", app.rec.AppID, "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := gateway.App{
		Addr: own, Install: app.id, ID: app.rec.AppID, Label: app.rec.Label, Name: app.rec.Name, Allow: allow, Mode: app.manifest.Serve.Mode,
		Icon: icon.Data, IconMIME: icon.MIME,
	}
	code := a.paths(app.id, app.rec.VersionCode).Code
	if dir := app.manifest.Serve.Dir; dir != "" {
		g.StaticDir = filepath.Join(code, filepath.FromSlash(dir))
	} else if g.Mode == bundle.ModeStatic {
		g.StaticDir = code
	}
	return g
}
