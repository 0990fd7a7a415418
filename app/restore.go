package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"paddock/app/backup"
	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// returning is what a backup holds beside the bundle, read and unpacked aside.
type returning struct {
	data      string // folder
	own       bool   // this machine sealed it: its answers count
	header    backup.Header
	suggested []control.Suggestion // answers that were not taken over
}

const workPrefix = "restore-" // of folders in staging

// cleanRestores removes what a crash left.
func cleanRestores(staging string) error {
	left, err := filepath.Glob(filepath.Join(staging, workPrefix+"*"))
	if err != nil {
		return fmt.Errorf("clean the staging folder: %w", err)
	}
	for _, dir := range left {
		if err := bundle.RemoveTree(dir); err != nil {
			return fmt.Errorf("clean the staging folder: %w", err)
		}
	}
	return nil
}

// Restore installs an app from a backup with the data in it, or with Undo goes back to the data before the last
// restore. The file is a stranger's: its bundle is verified and judged like any other, its data is unpacked aside by an unpacker
// that trusts nothing, and its answers count only when this machine sealed it. Until the last step, one transaction, the app is
// what it was; the data it had is kept for 30 days.
func (a *App) Restore(ctx context.Context, in control.Restore, on func(control.Progress) error) (control.RestoreResult, error) {
	if in.Undo {
		return a.undoRestore(ctx, in.App)
	}
	if !a.restoring.TryLock() {
		return control.RestoreResult{}, control.NewError(control.ExitFailed, "busy", "Another restore is under way.", "Try again when it has ended.", nil)
	}
	defer a.restoring.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(a.ctx, func() { cancel(errClosing) })
	defer stop()
	out, err := a.restore(ctx, in.File, func(p control.Progress) {
		if err := on(p); err != nil {
			cancel(err) // the client is gone
		}
	})
	if err != nil {
		return control.RestoreResult{}, restoreError(ctx, in.File, err)
	}
	return out, nil
}

func (a *App) restore(ctx context.Context, file string, on func(control.Progress)) (_ control.RestoreResult, err error) {
	var none control.RestoreResult
	work, err := os.MkdirTemp(a.stagingDir(), workPrefix)
	if err != nil {
		return none, fmt.Errorf("make a staging folder: %w", err)
	}
	defer func() {
		if removeErr := bundle.RemoveTree(work); removeErr != nil {
			a.log.Warn("clean the staging folder", "err", removeErr)
		}
	}()
	s, err := a.readBackup(ctx, file, work, on)
	if err != nil {
		return none, err
	}
	if err := backup.Sync(s.back.data); err != nil {
		return none, errors.Join(err, s.bundle.Discard())
	}
	result, err := a.commit(ctx, s, control.Commit{})
	if err = errors.Join(err, s.bundle.Discard()); err != nil {
		return none, err
	}
	out := control.RestoreResult{OK: true, InstallResult: result, Trusted: s.back.own, Suggested: s.back.suggested}
	a.mu.Lock()
	if in := a.byIDLocked(s.appID); in != nil {
		out.Undo = in.rec.SetAside != nil
	}
	a.mu.Unlock()
	return out, nil
}

// readBackup reads a backup into work: the bundle is verified and judged before the data is looked at.
func (a *App) readBackup(ctx context.Context, file, work string, on func(control.Progress)) (*stage, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &backup.RefusedError{Rule: backup.RuleFormat, Why: "a backup is a file, and this is something else", Hint: "“paddock backup APP FILE” makes one."}
	}
	if _, room, err := sandbox.Room(work); err == nil && room < st.Size() {
		return nil, syscall.ENOSPC
	}
	key, err := backup.ReadKey(a.keyFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, keyError(err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meter := newMeter(a.now)
	r, err := backup.Open(ctx, f, backup.Options{Key: key, Size: st.Size(), Progress: func(done, total int64) {
		if p, due := meter.progress(file, control.StepRestore, done, total); due {
			on(p)
		}
	}})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(work, "app.paddock")
	if err := r.Bundle(path); err != nil {
		return nil, err
	}
	staged, err := bundle.Open(ctx, path, bundle.Options{Staging: a.stagingDir(), Paddock: a.opts.Product.Version})
	if err != nil {
		return nil, installError(file, err)
	}
	staged.Source = file
	s := &stage{bundle: staged, appID: staged.Manifest.ID, at: a.now(), back: &returning{data: filepath.Join(work, "data"), header: r.Header()}}
	err = errors.Join(os.Remove(path), a.judgeBackup(s))
	if err == nil {
		err = r.Data(s.back.data)
	}
	if err != nil {
		return nil, errors.Join(err, staged.Discard())
	}
	s.back.own = r.Own()
	return s, nil
}

// judgeBackup compares what the backup says with what was signed, and that with what is installed.
func (a *App) judgeBackup(s *stage) error {
	says, m := s.back.header.App, s.bundle.Manifest
	if says.ID != m.ID || says.VersionCode != m.VersionCode || says.PublisherKey != s.bundle.PublicKey {
		return &backup.RefusedError{Rule: backup.RuleHeader, Why: "the backup says that it is of another app, version or publisher than the bundle in it", Hint: "Use another copy of it. Nothing was changed."}
	}
	return a.checkUpgrade(s)
}

// budget takes over the limits of a backup that this machine sealed, where they may be set.
func (r *returning) budget(rec *store.Install) {
	b := store.Budget(r.header.Budget)
	if r.own && checkBudget(b) == nil {
		rec.Budget = b
	}
}

// bringBack makes data and limits those of the backup, and returns the answers that follow; present are those of now. The caller
// commits rec; back takes the data back if that fails.
func (a *App) bringBack(s *stage, rec *store.Install, requests []permission.Request, present []permission.Grant, had bool) (answers []permission.Grant, back func() error, err error) {
	s.back.budget(rec)
	if !s.back.own {
		rec.Asks = nil // so that a window asks
	}
	answers = a.restoredAnswers(s, requests, present)
	back, err = a.exchangeData(rec, s.back.data, had)
	return answers, back, err
}

// undoRestore goes back to the data before the last restore. What was there until now is set aside in turn.
func (a *App) undoRestore(ctx context.Context, ref string) (control.RestoreResult, error) {
	var none control.RestoreResult
	app, err := a.find(ref)
	if err != nil {
		return none, err
	}
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	resume, err := a.haltLocked(ctx, app)
	if err != nil {
		return none, err
	}
	defer resume()
	a.records.Lock()
	defer a.records.Unlock()
	a.mu.Lock()
	rec := app.rec
	a.mu.Unlock()
	if rec.SetAside == nil {
		return none, control.NewError(control.ExitFailed, "nothing_to_undo", fmt.Sprintf("There is no earlier data of %s to go back to.", rec.Name), "The data before a restore is kept for 30 days.", nil)
	}
	back, err := a.exchangeData(&rec, a.asideDir(rec.Install, rec.SetAside.Exchange), true)
	if err != nil {
		return none, err
	}
	if err := a.store.PutInstall(rec); err != nil {
		return none, errors.Join(fmt.Errorf("record the way back: %w", err), back())
	}
	a.mu.Lock()
	app.rec = rec
	a.changedLocked()
	a.mu.Unlock()
	return control.RestoreResult{OK: true, InstallResult: a.installResult(app, nil), Trusted: true, Undo: true}, nil
}

// restoreError explains why a backup was not restored.
func restoreError(ctx context.Context, file string, err error) error {
	var known *control.Error
	var refused *backup.RefusedError
	switch cause := context.Cause(ctx); {
	case ctx.Err() != nil && errors.As(cause, &known):
		return known
	case ctx.Err() != nil:
		return control.NewError(control.ExitFailed, "cancelled", "The restore was cancelled.", "Nothing was changed.", nil)
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		return control.NewError(control.ExitRefused, refused.Rule, sentence(err), hintOr(refused.Hint, "Nothing was changed. Use another copy of the backup."), map[string]string{"entry": refused.Entry})
	case noRoom(err):
		return control.NewError(control.ExitFailed, "disk_full", "There is not enough room on the disk to restore this backup.", "Free some space and try again. Nothing was changed.", nil)
	case errors.Is(err, fs.ErrNotExist):
		return control.NewError(control.ExitFailed, "no_file", fmt.Sprintf("There is no file called %s.", file), "Check the name. Nothing was changed.", nil)
	}
	return control.NewError(control.ExitFailed, "restore", sentence(err), "Nothing was changed.", nil)
}

// restoredAnswers are the answers that a restore leaves the app with, and what it only suggests, which it keeps in s.back.
// A backup that this machine did not seal is a stranger's file: it grants nothing (security.md, rule 3). A present "no" stays,
// whatever a backup says, and a picked path is judged as if it were picked now.
func (a *App) restoredAnswers(s *stage, requests []permission.Request, present []permission.Grant) []permission.Grant {
	no := slices.DeleteFunc(slices.Clone(present), func(g permission.Grant) bool { return g.Decision != permission.Deny })
	var out []permission.Grant
	suggest := func(g permission.Grant, why string) {
		s.back.suggested = append(s.back.suggested, control.Suggestion{Permission: g.Permission.String(), Decision: g.Decision.String(), Path: g.Path, Why: why})
	}
	for _, g := range s.back.header.Grants {
		asked := slices.IndexFunc(requests, func(r permission.Request) bool { return r.Permission == g.Permission })
		refused := slices.ContainsFunc(no, func(n permission.Grant) bool { return n.Permission == g.Permission })
		switch {
		case refused, g.Decision == permission.Ask, g.Decision == permission.Allow && g.Lifetime != permission.Always:
			continue
		case !s.back.own:
			if asked >= 0 {
				suggest(g, "the backup does not come from this computer")
			}
			continue
		case g.Permission.Kind == permission.Files && g.Decision == permission.Allow:
			if asked < 0 {
				continue
			}
			path, err := a.pickedPath(s.appID, requests[asked], g.Path)
			if err != nil {
				suggest(g, strings.TrimSuffix(control.AsError(err).Message, "."))
				continue
			}
			g.Path = path
		}
		g.By = permission.ByRestore
		out = append(out, g)
	}
	return append(out, no...)
}
