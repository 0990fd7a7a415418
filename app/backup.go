package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"paddock/app/backup"
	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
)

// keyFile is this machine's key for the seals of backups. It is in no backup.
func (a *App) keyFile() string { return filepath.Join(a.home, "backup.key") }

// Backup writes an app's bundle, data, answers and limits to one file. A running app is ended first, so that its
// data rests, and started again afterwards; requests wait meanwhile. Nothing appears under the file's name before it is whole,
// and nothing that is there is replaced: it could be the only copy of something.
func (a *App) Backup(ctx context.Context, in control.Backup, on func(control.Progress) error) (control.BackupResult, error) {
	app, err := a.find(in.App)
	if err != nil {
		return control.BackupResult{}, err
	}
	if err := a.checkBackupFile(in.File); err != nil {
		return control.BackupResult{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	app.lifecycle.Lock()
	defer app.lifecycle.Unlock()
	a.mu.Lock()
	app.hold = cancel
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		app.hold = nil
		a.mu.Unlock()
	}()
	out, err := a.backupLocked(ctx, app, in.File, on, cancel)
	if err != nil {
		return control.BackupResult{}, backupError(ctx, in.File, err)
	}
	return out, nil
}

// checkBackupFile refuses places that a backup cannot be written to or would not last in.
func (a *App) checkBackupFile(file string) error {
	if !filepath.IsAbs(file) {
		return control.NewError(control.ExitUsage, "path_relative", fmt.Sprintf("%s is not an absolute path.", file), "Name the file from the root on.", nil)
	}
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		return control.NewError(control.ExitUsage, "is_folder", fmt.Sprintf("%s is a folder.", file), "Name a file in it.", nil)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return control.NewError(control.ExitFailed, "no_folder", fmt.Sprintf("The folder of %s cannot be used: %s.", file, plain(err)), "Make it first, or name another file.", nil)
	}
	home, err := filepath.EvalSymlinks(a.home)
	if err != nil {
		return fmt.Errorf("look at the home folder: %w", err)
	}
	if rel, err := filepath.Rel(home, dir); err == nil && filepath.IsLocal(rel) {
		return control.NewError(control.ExitUsage, "inside_home", fmt.Sprintf("%s lies in Paddock's own folder.", file), "Put the backup where it outlives that folder, best on another disk.", nil)
	}
	return nil
}

func (a *App) backupLocked(ctx context.Context, app *installed, file string, on func(control.Progress) error, cancel context.CancelCauseFunc) (control.BackupResult, error) {
	var none control.BackupResult
	a.mu.Lock()
	rec, m, gone := app.rec, app.manifest, a.apps[app.id] != app
	a.mu.Unlock()
	if gone {
		return none, noSuchApp(rec.AppID)
	}
	p := a.paths(app.id, rec.VersionCode)
	if err := checkKept(rec.PublisherKey, rec.VersionCode, rec.Name, rec.AppID, keptBundle(p)); err != nil {
		return none, err
	}
	key, err := backup.MakeKey(a.keyFile())
	if err != nil {
		return none, keyError(err)
	}
	grants, err := a.store.Grants(app.id)
	if err != nil {
		return none, fmt.Errorf("read the answers: %w", err)
	}
	target, err := backup.NewTarget(file)
	if err != nil {
		return none, err
	}
	resume, err := a.haltLocked(ctx, app)
	if err != nil {
		return none, errors.Join(err, target.Discard())
	}
	defer resume()
	source := backup.Source{
		Header: backup.Header{
			Paddock: a.opts.Product.Version, MadeAt: a.now().UTC(),
			App:    backup.App{ID: rec.AppID, Name: rec.Name, Version: rec.Version, VersionCode: rec.VersionCode, PublisherKey: rec.PublisherKey},
			Budget: backup.Budget(rec.Budget),
			Grants: slices.DeleteFunc(grants, func(g permission.Grant) bool {
				return g.Decision == permission.Allow && g.Lifetime == permission.Session
			}),
		},
		Bundle: keptBundle(p), Data: p.Data, Key: key,
		Fits: func(n int64) error {
			dir := filepath.Dir(file)
			free, room, err := sandbox.Room(dir)
			if err == nil && (free < n || room < n && sameDisk(dir, a.home)) { // a memory stick may be filled, the apps' disk not
				return syscall.ENOSPC
			}
			return nil // a file system that cannot be asked says no in time
		},
	}
	if m.Data != nil && m.Data.Backup != nil {
		source.Exclude = m.Data.Backup.Exclude
	}
	meter := newMeter(a.now)
	report, err := backup.Write(ctx, target, source, func(done, total int64) {
		out, due := meter.progress(file, control.StepCopy, done, total)
		if !due {
			return
		}
		if err := on(out); err != nil {
			cancel(err) // the client is gone
		}
	})
	if err != nil {
		return none, errors.Join(err, target.Discard())
	}
	st, err := target.Stat()
	if err != nil {
		return none, errors.Join(err, target.Discard())
	}
	if err := target.Commit(); err != nil {
		return none, err
	}
	out := control.BackupResult{OK: true, File: file, Bytes: st.Size(), Files: report.Files, LeftOut: []control.LeftOut{}, LeftOutCount: report.Missing}
	for _, l := range report.LeftOut {
		out.LeftOut = append(out.LeftOut, control.LeftOut(l))
	}
	return out, nil
}

// checkKept makes sure that the kept bundle is the one that was installed: a backup that cannot be restored is worse than
// none.
func checkKept(key string, code uint32, name, id, file string) error {
	if key == "" {
		return control.NewError(control.ExitRefused, "unsigned", fmt.Sprintf("%s is not signed, and only signed apps are backed up.", name),
			"Sign it with “paddock pack --key”, and install the bundle.", nil)
	}
	again := fmt.Sprintf("Uninstall it with “paddock uninstall %s --keep-data” and install the same version again: its data stays, its permissions are asked anew.", id)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return control.NewError(control.ExitFailed, "no_bundle", fmt.Sprintf("%s was installed by an earlier Paddock, which did not keep its bundle.", name), again, nil)
	}
	if err != nil {
		return fmt.Errorf("open the app's bundle: %w", err)
	}
	defer f.Close()
	signed, err := bundle.CheckSignature(f)
	var refused *bundle.RefusedError
	if err == nil && signed.ID == id && signed.PublicKey == key && signed.VersionCode == code {
		return nil
	}
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("read the app's bundle: %w", err)
	}
	return control.NewError(control.ExitFailed, "bundle_damaged", fmt.Sprintf("The bundle that was kept of %s is damaged.", name), again, nil)
}

// keyError explains why this machine's key cannot be used.
func keyError(err error) error {
	if noRoom(err) {
		return err
	}
	return control.NewError(control.ExitFailed, "backup_key", sentence(err), "Give it back to you alone (mode 0600), or move it away: a new one is then made, and the answers in earlier backups are asked anew.", nil)
}

// backupError explains why there is no backup.
func backupError(ctx context.Context, file string, err error) error {
	var known *control.Error
	var refused *backup.RefusedError
	switch cause := context.Cause(ctx); {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil && errors.As(cause, &known):
		return known
	case ctx.Err() != nil:
		return control.NewError(control.ExitFailed, "cancelled", "The backup was cancelled.", "No file was written.", nil)
	case errors.Is(err, fs.ErrExist):
		return control.NewError(control.ExitFailed, "file_exists", fmt.Sprintf("There is a file called %s already.", file), "Name another one: a backup never replaces a file, not even an older backup.", nil)
	case noRoom(err):
		return control.NewError(control.ExitFailed, "disk_full", fmt.Sprintf("There is not enough room for the backup in %s.", filepath.Dir(file)), "Free some space, or name a file on another disk. No file was written.", nil)
	case errors.As(err, &refused):
		return control.NewError(control.ExitFailed, refused.Rule, sentence(err), "No file was written.", map[string]string{"entry": refused.Entry})
	}
	return control.NewError(control.ExitFailed, "backup", sentence(err), "No file was written.", nil)
}
