package backup

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// nameless makes a file in dir that has no name yet, so that nothing is left of it when this program is killed. It
// returns nil where the file system has no such files.
func nameless(dir string) *os.File {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), dir)
}

// linkNameless gives the file a name that is not taken (open(2), O_TMPFILE).
func linkNameless(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: path, Err: err}
	}
	return nil
}

// syncFolder brings the names in a folder to disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) { // some file systems cannot
		err = nil
	}
	return errors.Join(err, f.Close())
}
