package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A tree writes data below one folder and cannot leave it. It counts what it writes and gives everything the
// host's own modes: files 0600, folders 0700.
type tree struct {
	root    *os.Root
	entries int
	total   int64
	buf     []byte
}

func newTree(dir string) (*tree, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("unpack the backup: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("unpack the backup: %w", err)
	}
	return &tree{root: root, buf: make([]byte, 256<<10)}, nil
}

// entry counts one more and judges its name.
func (t *tree) entry(name string) error {
	if t.entries++; t.entries > MaxEntries {
		return refuse(RuleEntries, "", "the backup has more than %d files and folders", MaxEntries)
	}
	if why := badName(name); why != "" {
		return refuse(RuleName, name, "%s", why)
	}
	return nil
}

func (t *tree) folder(name string) error {
	if err := t.entry(name); err != nil {
		return err
	}
	return explain(name, t.root.Mkdir(filepath.FromSlash(name), 0o700))
}

// file writes name from r, which has size bytes. That it must not exist is what keeps an entry from replacing
// another one, whatever the file system takes for the same name.
func (t *tree) file(name string, r io.Reader, size int64, at time.Time) error {
	if err := t.entry(name); err != nil {
		return err
	}
	if size > MaxBytes-t.total {
		return refuse(RuleSize, name, "the data unpacks to more than %d GiB", int64(MaxBytes)>>30)
	}
	t.total += size
	f, err := t.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return explain(name, err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, r, t.buf)
	if err == nil && n != size {
		err = refuse(RuleTruncated, name, "it has %d bytes but declares %d", n, size)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unpack the backup: %w", err)
	}
	at = clampTime(at)
	if err := t.root.Chtimes(filepath.FromSlash(name), at, at); err != nil {
		return fmt.Errorf("unpack the backup: %w", err)
	}
	return nil
}

// explain makes a refusal of what a file system says about an entry's place.
func explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return refuse(RuleDuplicate, name, "the name is taken by an entry before it, on this file system")
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotExist):
		return refuse(RuleUnderFile, name, "it lies in a folder that is not there")
	}
	return fmt.Errorf("unpack the backup: %w", err)
}
