package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxDepth bounds how deep folders may nest: the walk holds one handle for each level. Path names cannot be used
// instead, because an app can build trees whose paths are longer than the system takes, and hide files there.
const maxDepth = 256

// diskUse is how many bytes of disk the folders hold, and the files that process pid has open and no folder names any
// more. It counts blocks, not lengths, and stops soon after limit is crossed. A folder that is missing counts nothing;
// an error says that part could not be counted, beside the figure for the rest.
//
// Not seen: a deleted file that is only mapped into memory, its handle closed.
func diskUse(ctx context.Context, pid int, paths []string, limit int64) (int64, error) {
	k := &walker{ctx: ctx, tally: tally{stopAt: limit}}
	for _, path := range paths {
		k.folder(unix.AT_FDCWD, filepath.Clean(path), 0)
	}
	k.deleted(pid)
	if k.tooDeep {
		k.total = max(k.total, limit+inodeCost)
	}
	return k.total, errors.Join(k.err, ctx.Err())
}

// countsWrites says that what a process writes below path shows in its write_bytes, which the kernel counts when pages
// of a file become dirty. Memory file systems have no such pages, FUSE writes from another process, and an overlay may
// lie on either; so only those that are known to count are trusted.
func countsWrites(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC: // ext2 and ext3 share the first
		return true
	default:
		return false
	}
}

type walker struct {
	tally
	ctx     context.Context
	err     error // the first thing that could not be counted
	tooDeep bool  // folders nest deeper than can be counted, which only somebody who hides something needs
}

func (k *walker) done() bool {
	return k.tooDeep || k.enough() || (k.entries%256 == 0 && k.ctx.Err() != nil)
}

func (k *walker) fail(op, name string, err error) {
	if k.err == nil && !errors.Is(err, unix.ENOENT) { // what vanished while we looked is gone
		k.err = fmt.Errorf("%s %s: %w", op, name, err)
	}
}

// folder counts a folder and all below it. name is looked up in the open folder at; links are never followed.
func (k *walker) folder(at int, name string, depth int) {
	if depth > maxDepth {
		k.tooDeep = true
		return
	}
	fd, err := openFolder(at, name)
	if err != nil {
		k.fail("open folder", name, err)
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if depth == 0 { // below, the folder's own entry was counted with its siblings
		if err := unix.Fstat(fd, &st); err == nil {
			k.count(&st)
		}
	}
	buf := make([]byte, 16<<10)
	var names, folders []string
	for !k.done() {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			k.fail("list folder", name, err)
		}
		if n <= 0 || err != nil {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, entry := range names {
			if err := unix.Fstatat(fd, entry, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				k.fail("examine", entry, err)
				continue
			}
			k.count(&st)
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				folders = append(folders, entry)
			}
			if k.done() {
				return
			}
		}
	}
	for _, entry := range folders {
		if k.done() {
			return
		}
		k.folder(fd, entry, depth+1)
	}
}

func (k *walker) count(st *unix.Stat_t) {
	shared := st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR
	k.add(st.Blocks*512, shared, inode{uint64(st.Dev), st.Ino})
}

// openFolder opens a folder for listing. An app could hide files in a folder that it made unreadable; as we own it, we
// make it readable again. The change goes through a handle, so that it cannot be led to another file meanwhile.
func openFolder(at int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(at, name, flags, 0)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	handle, perr := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if perr != nil {
		return -1, err
	}
	defer unix.Close(handle)
	var st unix.Stat_t
	if unix.Fstat(handle, &st) != nil || st.Uid != uint32(unix.Getuid()) {
		return -1, err
	}
	self := "/proc/self/fd/" + strconv.Itoa(handle)
	if unix.Chmod(self, st.Mode&0o777|0o700) != nil {
		return -1, err
	}
	return unix.Openat(at, name, flags, 0)
}

// deleted counts the files that the process has open and that have no name any more: SQLite's temporary files, and
// what an app hides that way. Memory files (memfd) are among them, and are in no other budget.
func (k *walker) deleted(pid int) {
	if pid <= 0 || k.done() {
		return
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if !errors.Is(err, unix.ESRCH) {
			k.fail("list open files", strconv.Itoa(pid), err)
		}
		return
	}
	defer unix.Close(fd)
	buf := make([]byte, 8<<10)
	var names []string
	for !k.done() {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, entry := range names {
			var st unix.Stat_t
			if unix.Fstatat(fd, entry, &st, 0) != nil {
				continue
			}
			if st.Nlink == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
				k.add(st.Blocks*512, true, inode{uint64(st.Dev), st.Ino})
			}
		}
	}
}
