package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Target is a file that appears under its name only when it is whole, and never in the place of another file.
type Target struct {
	*os.File
	path   string
	hidden string // the name it has until then; empty when it has none at all
}

// NewTarget makes a file, mode 0600, in the folder of path. An error wrapping fs.ErrExist says that there is something
// at path already.
func NewTarget(path string) (*Target, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if f := nameless(filepath.Dir(path)); f != nil {
		return &Target{File: f, path: path}, nil
	}
	return newHidden(path)
}

// newHidden makes a file that has another name until it is whole.
func newHidden(path string) (*Target, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".paddock-backup-*")
	if err != nil {
		return nil, err
	}
	return &Target{File: f, path: path, hidden: f.Name()}, nil
}

// Commit brings the file to disk and gives it its name.
func (t *Target) Commit() error {
	err := t.Sync()
	if err == nil {
		err = t.publish()
	}
	if closeErr := t.Close(); err == nil && closeErr != nil {
		err = errors.Join(closeErr, os.Remove(t.path))
	}
	if t.hidden != "" {
		if removeErr := os.Remove(t.hidden); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	if err != nil {
		return fmt.Errorf("keep the backup: %w", err)
	}
	return syncFolder(filepath.Dir(t.path))
}

// publish gives the file its name. A link never takes a name that is taken.
func (t *Target) publish() error {
	if t.hidden == "" {
		return linkNameless(t.File, t.path)
	}
	err := os.Link(t.hidden, t.path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// File systems of memory sticks have no links; two backups to one name at one moment are not worth more than this.
	if _, err := os.Lstat(t.path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fs.ErrExist, err)
	}
	return os.Rename(t.hidden, t.path)
}

// Discard removes the file.
func (t *Target) Discard() error {
	err := t.Close()
	if t.hidden != "" {
		err = errors.Join(err, os.Remove(t.hidden))
	}
	return err
}
