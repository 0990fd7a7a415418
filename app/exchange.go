package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"paddock/app/backup"
	"paddock/app/bundle"
	"paddock/store"
)

// A restore puts another folder in the place of an app's data, and sets aside what was there:
//
//	data → before-N+1      the present data steps aside
//	restored → data        the other data takes its place
//	record: exchange N+1   one transaction, together with version and answers
//
// A crash before the transaction leaves a folder before-K with a K greater than the record's: then the next start puts
// everything back. After it, the record names the folder.

const asidePrefix = "before-"

func asideName(n uint64) string { return asidePrefix + strconv.FormatUint(n, 10) }

func (a *App) asideDir(install string, n uint64) string {
	return filepath.Join(a.installDir(install), asideName(n))
}

// exchangeData puts the folder next in the place of the app's data, and changes rec to say so, which the caller commits. back
// takes both steps back. had is whether the app had data before; a first install has only a folder that was just made.
func (a *App) exchangeData(rec *store.Install, next string, had bool) (back func() error, err error) {
	data, n := a.paths(rec.Install, rec.VersionCode).Data, rec.Exchanges+1
	if !had {
		if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make room for the restored data: %w", err)
		}
		if err := os.Rename(next, data); err != nil {
			return nil, fmt.Errorf("put the restored data into its place: %w", err)
		}
		return func() error { return nil }, nil // the app's whole folder goes
	}
	aside := a.asideDir(rec.Install, n)
	if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("an earlier restore was not undone whole; the next start of Paddock does that: %w", errors.Join(err, fs.ErrExist))
	}
	if err := os.Rename(data, aside); err != nil {
		return nil, fmt.Errorf("set the present data aside: %w", err)
	}
	if err := os.Rename(next, data); err != nil {
		return nil, errors.Join(fmt.Errorf("put the restored data into its place: %w", err), os.Rename(aside, data))
	}
	back = func() error { return errors.Join(os.Rename(data, next), os.Rename(aside, data)) }
	if err := backup.Sync(a.installDir(rec.Install)); err != nil { // the names, before the record says so
		return nil, errors.Join(err, back())
	}
	rec.Exchanges, rec.SetAside = n, &store.SetAside{Exchange: n, At: a.now()}
	return back, nil
}

// repairData takes back an exchange that a crash kept from being recorded.
func (a *App) repairData(rec store.Install) error {
	dir := a.installDir(rec.Install)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at an app's folder: %w", err)
	}
	for _, e := range entries {
		text, ours := strings.CutPrefix(e.Name(), asidePrefix)
		n, err := strconv.ParseUint(text, 10, 64)
		if !ours || err != nil || n <= rec.Exchanges || !e.IsDir() {
			continue
		}
		data := filepath.Join(dir, "data")
		if err := a.putBack(rec, data); err != nil {
			return fmt.Errorf("put the data of %s back: %w", rec.AppID, err)
		}
		if err := os.Rename(filepath.Join(dir, e.Name()), data); err != nil {
			return fmt.Errorf("put the data of %s back: %w", rec.AppID, err)
		}
		a.log.Warn("a restore was cut off; the app has the data of before", "app", rec.AppID)
	}
	return nil
}

// putBack takes away what an unrecorded exchange put in the place of the data. When that was the way back itself, it
// is kept for another try; else it was a copy.
func (a *App) putBack(rec store.Install, data string) error {
	if rec.SetAside != nil {
		aside := a.asideDir(rec.Install, rec.SetAside.Exchange)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(data, aside); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
	}
	return bundle.RemoveTree(data)
}

// dropSetAside deletes data that the record does not name any more. What cannot be deleted now goes at the next start.
func (a *App) dropSetAside(install string, old *store.SetAside) {
	if old == nil {
		return
	}
	if err := bundle.RemoveTree(a.asideDir(install, old.Exchange)); err != nil {
		a.log.Warn("delete data that was set aside", "err", err)
	}
}

// forgetSetAside deletes what was kept for a way back: the record first, so that nothing names what is half gone.
func (a *App) forgetSetAside(rec store.Install) error {
	a.mu.Lock()
	app := a.apps[rec.Install]
	a.mu.Unlock()
	old := rec.SetAside
	if app != nil {
		app.lifecycle.Lock()
		defer app.lifecycle.Unlock()
		if err := a.editRecord(app, func(now *store.Install) {
			if now.SetAside != nil && now.SetAside.Exchange == old.Exchange {
				now.SetAside = nil
			}
		}); err != nil {
			return err
		}
	} else {
		rec.SetAside = nil
		if err := a.store.PutInstall(rec); err != nil {
			return fmt.Errorf("record a change of %s: %w", rec.AppID, err)
		}
	}
	a.dropSetAside(rec.Install, old)
	return nil
}
