package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/store"
)

// keepFor is how long an uninstalled app can be brought back.
const keepFor = 30 * 24 * time.Hour

// Values of store.Install.KeepData.
const (
	keep30Days  = "30d"
	keepForever = "forever"
)

// Uninstall removes an app: process, sessions and origin at once; its data is kept 30 days for Undo, for
// ever, or deleted now.
func (a *App) Uninstall(ctx context.Context, in control.Uninstall) error {
	if in.KeepData && in.Purge {
		return control.NewError(control.ExitUsage, "bad_request", "--keep-data and --purge contradict each other.", "Use one of them.", nil)
	}
	if in.Undo {
		return a.undoUninstall(in.App)
	}
	app, err := a.find(in.App)
	if err != nil {
		if in.Purge {
			return a.purgeKept(in.App, err)
		}
		return err
	}
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	if err := a.endLocked(ctx, app); err != nil {
		return err
	}
	removed := a.now()
	if _, latest, err := a.store.Aged(); err == nil && latest.After(removed) { // the clock was set back: the 30 days begin now
		removed = latest
	}
	// The record first: from here on the app is gone whatever happens to the folders.
	if err := a.editRecord(app, func(rec *store.Install) {
		rec.RemovedAt, rec.KeepData = &removed, keep30Days
		if in.KeepData {
			rec.KeepData = keepForever
		}
	}); err != nil {
		return err
	}
	a.front.EndSessions(app.id)
	a.front.Remove(app.id)
	a.mu.Lock()
	delete(a.apps, app.id)
	for _, p := range a.prompts {
		if p.app == app {
			p.close(control.Answer{Cancel: true})
		}
	}
	a.changedLocked()
	a.mu.Unlock()
	if in.Purge {
		return a.purge(app.rec)
	}
	return nil
}

// purge deletes everything of an app.
func (a *App) purge(rec store.Install) error {
	if err := bundle.RemoveTree(a.installDir(rec.Install)); err != nil {
		return fmt.Errorf("delete the files of %s: %w", rec.AppID, err)
	}
	if err := a.store.DeleteInstall(rec.Install); err != nil {
		return fmt.Errorf("delete the record of %s: %w", rec.AppID, err)
	}
	return nil
}

// purgeKept deletes the kept data of an app that is uninstalled already.
func (a *App) purgeKept(ref string, notFound error) error {
	rec, err := a.removed(ref)
	if err != nil {
		return errors.Join(notFound, err)
	}
	if rec == nil {
		return notFound
	}
	return a.purge(*rec)
}

// removed is the newest uninstalled app that ref names, nil when there is none.
func (a *App) removed(ref string) (*store.Install, error) {
	records, err := a.store.Installs()
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	var hit *store.Install
	for _, rec := range records {
		if rec.RemovedAt == nil || rec.AppID != ref && shortName(rec.AppID) != ref && authorsName(rec.AppID) != ref {
			continue
		}
		if hit == nil || rec.RemovedAt.After(*hit.RemovedAt) {
			hit = &rec
		}
	}
	return hit, nil
}

func (a *App) undoUninstall(ref string) error {
	rec, err := a.removed(ref)
	if err != nil {
		return err
	}
	if rec == nil {
		return control.NewError(control.ExitNoApp, "no_such_app", fmt.Sprintf("No uninstalled app is called “%s”.", ref), "Data is kept 30 days after an uninstall.", nil)
	}
	a.mu.Lock()
	there := a.byIDLocked(rec.AppID) != nil
	a.mu.Unlock()
	if there {
		return control.NewError(control.ExitRefused, "already_installed", fmt.Sprintf("%s is installed.", rec.AppID), "Uninstall it first.", nil)
	}
	rec.RemovedAt, rec.KeepData = nil, ""
	if err := a.store.PutInstall(*rec); err != nil {
		return fmt.Errorf("bring the app back: %w", err)
	}
	in, err := a.adopt(*rec, nil)
	if err != nil {
		return err
	}
	a.front.Set(a.doorEntry(in))
	return nil
}

// purgeExpired deletes what was uninstalled, or set aside by a restore, more than 30 days ago. A clock that leaps ahead or
// is set back for a while deletes nothing (see store.Aged), and what was put away meanwhile is kept no longer than the
// rest.
func (a *App) purgeExpired() error {
	records, err := a.store.Installs()
	if err != nil {
		return fmt.Errorf("read the records: %w", err)
	}
	since := func(rec store.Install) *time.Time { // it was put away; nil when nothing of it is
		switch {
		case rec.RemovedAt != nil && rec.KeepData == keep30Days:
			return rec.RemovedAt
		case rec.SetAside != nil:
			return &rec.SetAside.At
		}
		return nil
	}
	records = slices.DeleteFunc(records, func(rec store.Install) bool { return since(rec) == nil })
	if len(records) == 0 {
		return nil
	}
	aged, latest, err := a.store.Aged()
	if err != nil {
		return fmt.Errorf("tell the age of what was put away: %w", err)
	}
	var errs []error
	for _, rec := range records {
		at := since(rec)
		switch {
		case at.Sub(latest) > keepFor/30: // the clock was ahead then
			errs = append(errs, a.putAwayAt(rec, latest))
		case aged.Sub(*at) <= keepFor:
		case at == rec.RemovedAt:
			errs = append(errs, a.purge(rec)) // one that cannot be deleted keeps no other
		default:
			errs = append(errs, a.forgetSetAside(rec))
		}
	}
	return errors.Join(errs...)
}

// putAwayAt changes when an app, or what a restore set aside of it, was put away.
func (a *App) putAwayAt(rec store.Install, at time.Time) error {
	redate := func(rec *store.Install) {
		if rec.RemovedAt != nil {
			rec.RemovedAt = &at
		} else if rec.SetAside != nil {
			rec.SetAside = &store.SetAside{Exchange: rec.SetAside.Exchange, At: at}
		}
	}
	a.mu.Lock()
	app := a.apps[rec.Install]
	a.mu.Unlock()
	if app != nil {
		return a.editRecord(app, redate)
	}
	redate(&rec)
	return a.store.PutInstall(rec)
}
