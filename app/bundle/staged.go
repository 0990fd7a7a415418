package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Commit moves the unpacked files to dst in one step: afterwards dst is the whole app or does not exist.
// The parent of dst must exist, on the same file system as the staging folder, and dst must not. Files
// are on disk before they get their final name.
func (s *Staged) Commit(dst string) error {
	if s.work == "" {
		return ErrClosed
	}
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("install to %s: %w", dst, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("install: %w", err)
	}
	if err := syncTree(s.Dir); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := os.Rename(s.Dir, dst); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	// The folder itself had to stay writable until now: giving it a new parent writes into it.
	if err := os.Chmod(dst, 0o555); err != nil {
		return errors.Join(fmt.Errorf("install: %w", err), RemoveTree(dst))
	}
	if err := syncFolder(filepath.Dir(dst)); err != nil {
		return errors.Join(fmt.Errorf("install: %w", err), RemoveTree(dst))
	}
	s.Dir = dst
	_ = s.Discard() // the app is in its place; what cannot be removed now goes at the next start, by Clean
	return nil
}

// KeepBundle moves the signed file as it came, byte for byte, to dst, which must not exist; its parent is as for
// Commit, before which it is called. An unsigned app has no such file: nothing is kept, and that is no error.
func (s *Staged) KeepBundle(dst string) error {
	if s.file == "" {
		return nil
	}
	if err := os.Chmod(s.file, 0o400); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	f, err := os.Open(s.file)
	if err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	if err := os.Rename(s.file, dst); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	s.file = ""
	return nil
}

// Discard removes what Commit did not move. It does nothing the second time.
func (s *Staged) Discard() error {
	work := s.work
	s.work = ""
	if work == "" {
		return nil
	}
	if err := RemoveTree(work); err != nil {
		return fmt.Errorf("clean the staging folder: %w", err)
	}
	return nil
}

// Clean removes what a crash left in a staging folder. Call it at start, while no Open runs there.
func Clean(staging string) error {
	entries, err := os.ReadDir(staging)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean the staging folder: %w", err)
	}
	var failed error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "open-") {
			failed = errors.Join(failed, RemoveTree(filepath.Join(staging, e.Name())))
		}
	}
	if failed != nil {
		return fmt.Errorf("clean the staging folder: %w", failed)
	}
	return nil
}

// syncTree brings every file and folder below dir to disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return syncFolder(name)
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
