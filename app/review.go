package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// rows draws every requested permission with its answer and use. grants and uses may be nil.
func (a *App) rows(requests []permission.Request, grants []permission.Grant, uses map[string]store.Use) []control.PermissionRow {
	res := permission.Resolve(requests, grants)
	home, _ := os.UserHomeDir()
	out := make([]control.PermissionRow, 0, len(requests))
	for _, r := range requests {
		format, scope := permission.Sentence(r)
		row := control.PermissionRow{
			Permission: r.Permission.String(), Decision: permission.Ask.String(), Lifetime: permission.Always.String(),
			Required: r.Required, Reason: r.Reason, Kind: string(r.Permission.Kind), Sentence: format, Scope: scope,
			Risk: permission.RiskOf(r).String(), Enforced: true, Schedule: r.Schedule,
		}
		if r.Permission.Kind == permission.Files {
			row.Access, row.Slot, row.Folder = r.Access.String(), r.Permission.Scope, r.Folder
		}
		switch {
		case res.Deny.Covers(r.Permission):
			row.Decision = permission.Deny.String()
		case res.Allow.Covers(r.Permission):
			row.Decision = permission.Allow.String()
		}
		for _, g := range grants {
			if g.Permission == r.Permission {
				row.Lifetime, row.Path = g.Lifetime.String(), g.Path
				if g.Path != "" {
					if risk, why := permission.RiskOfPath(g.Path, home, r.Access); risk == permission.High {
						row.Risk, row.Why = risk.String(), why
					}
				}
			}
		}
		if u, ok := uses[row.Permission]; ok {
			last := u.Last
			row.LastUsed, row.Used, row.Refused = &last, u.Count, u.Refused
		}
		out = append(out, row)
	}
	return out
}

// Permissions lists every requested permission of an app with its answer.
func (a *App) Permissions(_ context.Context, in control.AppRef) ([]control.PermissionRow, error) {
	app, err := a.find(in.App)
	if err != nil {
		return nil, err
	}
	return a.answered(app)
}

func (a *App) answered(app *installed) ([]control.PermissionRow, error) {
	_, grants, err := a.resolve(app)
	if err != nil {
		return nil, err
	}
	if err := a.ledger.flush(); err != nil {
		return nil, err
	}
	uses, err := a.store.Use(app.id)
	if err != nil {
		return nil, fmt.Errorf("read the use: %w", err)
	}
	rows := a.rows(app.manifest.Requests(), grants, uses)
	a.mu.Lock()
	for i := range rows {
		rows[i].Asks = app.rec.Asks[rows[i].Permission]
	}
	a.mu.Unlock()
	return rows, nil
}

// Decide stores an answer, or forgets one, and makes it true at once: the store first, then the page's
// headers, then the running process, restarted with exactly the new set and without a prompt.
func (a *App) Decide(_ context.Context, in control.Decide) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	r, err := findRequest(app.manifest.Requests(), in.Permission)
	if err != nil {
		return err
	}
	by := permission.ByReview
	if in.By == permission.ByCLI {
		by = permission.ByCLI
	}
	a.mu.Lock()
	delete(app.session, r.Permission)
	a.mu.Unlock()
	switch in.Decision {
	case control.DecideAllow, control.DecideDeny:
		g, err := a.grant(app, in.Permission, in.Decision == control.DecideAllow, in.Session, in.Path, by)
		if err != nil {
			return err
		}
		if g.Decision == permission.Allow && g.Lifetime == permission.Session {
			if err := a.store.DeleteGrant(app.id, r.Permission); err != nil && !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("forget the stored answer: %w", err)
			}
			a.mu.Lock()
			app.session[g.Permission] = g
			a.mu.Unlock()
		} else if err := a.store.PutGrants(app.id, g); err != nil {
			return fmt.Errorf("store the answer: %w", err)
		}
	case control.DecideForget:
		if err := a.store.DeleteGrant(app.id, r.Permission); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("forget the answer: %w", err)
		}
	default:
		return control.NewError(control.ExitUsage, "bad_request", fmt.Sprintf("%q is no decision.", in.Decision), "Use allow, deny or ask.", nil)
	}
	a.changed()
	if in.Decision == control.DecideAllow {
		return a.applyNow(app)
	}
	return a.takeNow(app)
}

// pickedPath checks what a person picked for a file slot. Links are resolved now and again at each launch.
func (a *App) pickedPath(appID string, r permission.Request, path string) (string, error) {
	if path == "" {
		return "", control.NewError(control.ExitUsage, "path_needed", fmt.Sprintf("%s needs a path.", r.Permission),
			fmt.Sprintf("Run “paddock grant %s %s --path DIR”.", appID, r.Permission), nil)
	}
	if !filepath.IsAbs(path) {
		return "", control.NewError(control.ExitUsage, "path_relative", fmt.Sprintf("%s is not an absolute path.", path), "Name the folder from the root on.", nil)
	}
	real, err := filepath.EvalSymlinks(filepath.Clean(path))
	if err != nil {
		return "", control.NewError(control.ExitFailed, "path_missing", fmt.Sprintf("%s cannot be used: %s.", path, plain(err)), "Pick a folder or file that exists.", nil)
	}
	st, err := os.Stat(real)
	if err != nil {
		return "", control.NewError(control.ExitFailed, "path_missing", fmt.Sprintf("%s cannot be used: %s.", path, plain(err)), "Pick a folder or file that exists.", nil)
	}
	if r.Folder != st.IsDir() {
		want := "a file"
		if r.Folder {
			want = "a folder"
		}
		return "", control.NewError(control.ExitUsage, "path_kind", fmt.Sprintf("%s is not %s.", path, want), fmt.Sprintf("The slot “%s” takes %s.", r.Permission.Scope, want), nil)
	}
	if err := permission.CheckSlotPath(real, a.forbiddenFolders()); err != nil {
		return "", permissionError(err)
	}
	return real, nil
}

// forbiddenFolders are those that no slot may be, contain or lie in (security.md, rule 13): Paddock's own
// and, in the user's home, what other programs trust.
func (a *App) forbiddenFolders() []string {
	out := []string{a.home, control.RuntimeDir(a.home)}
	home, err := os.UserHomeDir()
	if err != nil {
		return out
	}
	for _, d := range []string{".config", ".local", ".cache", ".ssh", ".gnupg", ".mozilla", ".pki", ".aws", ".kube", ".docker", ".thunderbird", ".var", "bin", "snap"} {
		out = append(out, filepath.Join(home, d))
	}
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(d) {
			out = append(out, filepath.Clean(d))
		}
	}
	return out
}

// SetBudget reads, or changes, an app's limits. A running app is restarted when its limits change: the
// kernel's walls are set at the start.
func (a *App) SetBudget(_ context.Context, in control.SetBudget) (control.Budget, error) {
	app, err := a.find(in.App)
	if err != nil {
		return control.Budget{}, err
	}
	changed, err := a.setBudget(app, in.Budget)
	if err != nil {
		return control.Budget{}, err
	}
	if changed {
		if err := a.applyNow(app); err != nil {
			return control.Budget{}, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return wireBudget(app.rec.Budget), nil
}

// The least that a user may set; the most is sandbox.MaxBudget.
const (
	minMemory = 64 << 20
	minCPU    = 1
	minDisk   = 16 << 20
)

func merge(old store.Budget, b control.Budget) store.Budget {
	if b.MemoryBytes != 0 {
		old.MemoryBytes = b.MemoryBytes
	}
	if b.CPUPercent != 0 {
		old.CPUPercent = b.CPUPercent
	}
	if b.DiskBytes != 0 {
		old.DiskBytes = b.DiskBytes
	}
	return old
}

func (a *App) setBudget(app *installed, b control.Budget) (changed bool, err error) {
	a.mu.Lock()
	rec := app.rec
	a.mu.Unlock()
	next := merge(rec.Budget, b)
	if err := checkBudget(next); err != nil {
		return false, err
	}
	if next == rec.Budget {
		return false, nil
	}
	return true, a.editRecord(app, func(rec *store.Install) { rec.Budget = next })
}

// checkBudget says which limit lies outside what a user may set.
func checkBudget(b store.Budget) error {
	most := sandbox.MaxBudget()
	switch {
	case b.MemoryBytes < minMemory || b.MemoryBytes > most.MemoryBytes:
		return budgetError("memory", humanize.IBytes(minMemory), humanize.IBytes(uint64(most.MemoryBytes)))
	case !(b.CPUPercent >= minCPU && b.CPUPercent <= most.CPUPercent): // written so that NaN is refused
		return budgetError("CPU", "1 %", fmt.Sprintf("%.0f %%", most.CPUPercent))
	case b.DiskBytes < minDisk || b.DiskBytes > most.DiskBytes:
		return budgetError("disk", humanize.IBytes(minDisk), humanize.IBytes(uint64(most.DiskBytes)))
	}
	return nil
}

func budgetError(what, low, high string) error {
	return control.NewError(control.ExitUsage, "budget_range", fmt.Sprintf("The %s limit must lie between %s and %s.", what, low, high), "Nothing was changed.", nil)
}

// List is every installed app.
func (a *App) List() ([]control.ListEntry, error) {
	a.mu.Lock()
	all := a.sortedLocked()
	a.mu.Unlock()
	out := make([]control.ListEntry, 0, len(all))
	for _, app := range all {
		out = append(out, a.entry(app))
	}
	return out, nil
}

func (a *App) entry(app *installed) control.ListEntry {
	state := a.stateOf(app)
	a.mu.Lock()
	defer a.mu.Unlock()
	return control.ListEntry{ID: app.rec.AppID, Short: shortName(app.rec.AppID), Name: app.rec.Name, Version: app.rec.Version, State: state, PublisherKey: app.rec.PublisherKey}
}

// Info is one app in full.
func (a *App) Info(ctx context.Context, in control.AppRef) (control.Info, error) {
	app, err := a.find(in.App)
	if err != nil {
		return control.Info{}, err
	}
	rows, err := a.answered(app)
	if err != nil {
		return control.Info{}, err
	}
	a.mu.Lock()
	rec, m, inst := app.rec, app.manifest, app.inst
	a.mu.Unlock()
	disk, err := a.store.DiskUse(app.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return control.Info{}, fmt.Errorf("read the disk use: %w", err)
	}
	out := control.Info{
		ListEntry: a.entry(app), VersionCode: rec.VersionCode, Summary: m.Summary, Author: m.Author.Name, Homepage: m.Homepage, License: m.License,
		Publisher: a.publisher(rec.PublisherKey, rec.AppID), Source: rec.Source, InstalledAt: rec.InstalledAt, UpdatedAt: rec.UpdatedAt,
		Origin: a.front.Origin(app.id), Permissions: rows, Budget: wireBudget(rec.Budget), DiskBytes: disk,
		Paths: a.paths(app.id, rec.VersionCode), Manifest: json.RawMessage(rec.Manifest), Flags: []string{},
	}
	var report sandbox.Report
	if inst == nil {
		report = a.probe(ctx) // starts an idle app the first time, which a running one spares us
	} else {
		report = inst.Report()
		out.Usage = a.usage(inst)
		out.Paths.Socket = inst.Socket()
		out.DiskBytes = max(out.DiskBytes, out.Usage.DiskBytes)
	}
	out.Walls = wireWalls(report)
	if m.Serve.Mode != bundle.ModeStatic {
		spec, err := a.spec(app)
		if err != nil {
			a.log.Debug("flags", "app", rec.AppID, "err", err) // a picked path that moved: the row says so at launch
		} else if out.Flags, err = a.sandbox.Argv(spec); err != nil {
			return control.Info{}, fmt.Errorf("work out the flags: %w", err)
		}
	}
	return out, nil
}

func wireWalls(r sandbox.Report) control.Walls {
	out := control.Walls{Level: r.Level, Open: r.Open, Walls: []control.Wall{}}
	for _, w := range r.Walls {
		out.Walls = append(out.Walls, control.Wall{Name: w.Name, State: w.State, Why: w.Why})
	}
	return out
}

// History lists launches and how they ended, newest first.
func (a *App) History(_ context.Context, in control.AppRef) ([]control.Run, error) {
	app, err := a.find(in.App)
	if err != nil {
		return nil, err
	}
	a.untilRecorded(app)
	runs, err := a.history.runs(app.id)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	out := make([]control.Run, 0, len(runs))
	for _, r := range runs {
		w := control.Run{StartedAt: r.StartedAt, EndedAt: r.EndedAt, Reason: r.Reason, Tail: r.Tail}
		if r.Breach != nil {
			w.Breach = wireBreach(r.Breach)
		}
		out = append(out, w)
	}
	return out, nil
}

// maxLogLines is the most lines that one call returns.
const maxLogLines = 10_000

// Logs sends the last lines of an app's own output, and with Follow what comes after.
func (a *App) Logs(ctx context.Context, in control.Logs, on func(control.LogLine) error) error {
	app, err := a.find(in.App)
	if err != nil {
		return err
	}
	n := in.Lines
	if n <= 0 {
		n = 100
	}
	n = min(n, maxLogLines)
	send := func(l sandbox.LogLine) error {
		return on(control.LogLine{At: l.At, Stream: l.Stream, Text: l.Text})
	}
	dir := a.paths(app.id, app.rec.VersionCode).Log
	if in.Follow {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.ctx, cancel)()
		return sandbox.FollowLog(ctx, dir, n, send)
	}
	lines, err := sandbox.ReadLog(dir, n)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	for _, l := range lines {
		if err := send(l); err != nil {
			return err
		}
	}
	return nil
}

// find is the app that ref names: its id, its short name where only one app has it, or for an author's own
// install the short name of the signed app, where that one is not there.
func (a *App) find(ref string) (*installed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if in := a.byIDLocked(ref); in != nil {
		return in, nil
	}
	hits := a.namedLocked(ref, shortName)
	if len(hits) == 0 {
		hits = a.namedLocked(ref, authorsName)
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return nil, noSuchApp(ref)
	}
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.rec.AppID
	}
	return nil, control.NewError(control.ExitUsage, "ambiguous", fmt.Sprintf("“%s” names %d apps.", ref, len(hits)), "Use one of "+strings.Join(ids, ", ")+".", ids)
}

// namedLocked are the apps that name calls ref.
func (a *App) namedLocked(ref string, name func(id string) string) []*installed {
	return slices.DeleteFunc(a.sortedLocked(), func(in *installed) bool { return name(in.rec.AppID) != ref })
}

func (a *App) byIDLocked(id string) *installed {
	for _, in := range a.apps {
		if in.rec.AppID == id {
			return in
		}
	}
	return nil
}

func (a *App) sortedLocked() []*installed {
	out := make([]*installed, 0, len(a.apps))
	for _, in := range a.apps {
		out = append(out, in)
	}
	slices.SortFunc(out, func(x, y *installed) int { return strings.Compare(x.rec.AppID, y.rec.AppID) })
	return out
}
