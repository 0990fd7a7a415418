package wall

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities are what the agent must hand to the launcher in its new user namespace, where they reach nothing that
// was there before: one to mount, one to give up the bounding set.
var Capabilities = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}

// UserNamespace names the user namespace of a process; "self" is the calling one.
func UserNamespace(pid string) (string, error) {
	number, err := namespace(pid, "user")
	return strconv.FormatUint(number, 10), err
}

func namespace(pid, kind string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+pid+"/ns/"+kind, &st); err != nil {
		return 0, fmt.Errorf("look at the %s namespace of process %s: %w", kind, pid, err)
	}
	return st.Ino, nil
}

// Apart is what came of Leave.
type Apart struct {
	root int   // an empty file system, mounted nowhere yet, when why is nil
	why  error // why there can be no view
}

// Leave gives the calling thread namespaces of its own for files, network and names, in which Apply can make a view.
// outside is the agent's user namespace: the process must have been started in another one, or it would mount over the
// agent's files. It takes half a millisecond, before the plan is known. IPC is refused by seccomp and needs none.
func Leave(outside string) Apart {
	root, err := leave(outside)
	return Apart{root: root, why: err}
}

// Stay is for a process that does not leave, and says why.
func Stay(why error) Apart { return Apart{root: -1, why: why} }

func leave(outside string) (root int, err error) {
	own, err := UserNamespace("self")
	switch {
	case err != nil:
		return -1, err
	case outside == "" || own == outside:
		return -1, errors.New("the launcher was not started in a user namespace of its own")
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
		return -1, fmt.Errorf("the kernel gives no namespaces for files, network and names: %w", err)
	}
	// Mounts of another owner's namespace come as slaves of theirs; from here on nothing arrives from there either.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, fmt.Errorf("keep mounts to itself: %w", err)
	}
	if root, err = emptyFileSystem(); err != nil {
		return -1, fmt.Errorf("make an empty file system: %w", err)
	}
	return root, nil
}

// rename gives the machine another name in the thread's own namespace.
func rename(hostname string) error {
	if hostname == "" {
		return nil
	}
	if err := errors.Join(unix.Sethostname([]byte(hostname)), unix.Setdomainname([]byte("(none)"))); err != nil {
		return fmt.Errorf("hide the machine's name: %w", err)
	}
	return nil
}

// openPlaces opens what the rules name. With a resolver, links on the way are noted in it.
func openPlaces(rules []Rule, r *resolver) (places []place, err error) {
	for _, rule := range rules {
		p := place{rule: rule, real: rule.Path}
		flags := unix.O_PATH | unix.O_CLOEXEC
		if r != nil {
			if p.real, err = r.resolve(rule.Path); err == nil {
				flags |= unix.O_NOFOLLOW
			}
		}
		var st unix.Stat_t
		if err == nil {
			if p.fd, err = unix.Open(p.real, flags, 0); err == nil {
				err = unix.Fstat(p.fd, &st)
				places = append(places, p)
			}
		}
		switch {
		case err == nil:
		case rule.Optional && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)):
			err = nil
			continue
		default:
			closePlaces(places)
			return nil, fmt.Errorf("open %s for the file wall: %w", rule.Path, err)
		}
		now := &places[len(places)-1]
		kind := st.Mode & unix.S_IFMT
		now.folder, now.device = kind == unix.S_IFDIR, kind == unix.S_IFCHR
	}
	return places, nil
}

func closePlaces(places []place) {
	for _, p := range places {
		_ = unix.Close(p.fd)
	}
}

func newResolver() *resolver {
	buf := make([]byte, unix.PathMax)
	return &resolver{links: map[string]string{}, plain: map[string]bool{}, readLink: func(name string) (string, bool, error) {
		n, err := unix.Readlink(name, buf)
		switch {
		case errors.Is(err, unix.EINVAL):
			return "", false, nil
		case err != nil:
			return "", false, err
		}
		return string(buf[:n]), true, nil
	}}
}

// makeView puts the calling thread before a file system, the empty one that Leave made, that holds the places and the
// links to them, and nothing else. Until the view is complete an error leaves the files as they were.
func makeView(root int, places []place, links map[string]string) (complete bool, err error) {
	mounts := arrange(places)
	defer func() { _ = unix.Close(root) }()
	// It covers the root without being it yet: what is looked up by path still leads to the old one, and so do the
	// places, which are open.
	if err := unix.MoveMount(root, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return false, fmt.Errorf("mount an empty file system: %w", err)
	}
	c := canvas{root: root, made: map[string]bool{"/": true, ".": true}}
	for _, m := range mounts {
		if err := c.mount(m, places[m.from]); err != nil {
			return false, fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	for name, text := range links {
		if !slices.ContainsFunc(mounts, func(m mountPoint) bool { return beneath(name, m.path) }) {
			if err := c.link(name, text); err != nil {
				return false, fmt.Errorf("link %s: %w", name, err)
			}
		}
	}
	if err := unix.MountSetattr(root, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return false, fmt.Errorf("close the new root for writing: %w", err)
	}
	if err := unix.Fchdir(root); err != nil {
		return false, fmt.Errorf("enter the new root: %w", err)
	}
	// Both at one place: the old root then lies on the new one and is taken off (pivot_root(2), notes).
	if err := unix.PivotRoot(".", "."); err != nil {
		_ = os.Chdir("/")
		return false, fmt.Errorf("exchange the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return true, fmt.Errorf("take the old root off: %w", err)
	}
	return true, os.Chdir("/")
}

// emptyFileSystem is one in memory, mounted nowhere yet. It has room for the names of places, and nobody writes there.
func emptyFileSystem() (mount int, err error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fs) }()
	for _, option := range [][2]string{{"source", "paddock"}, {"mode", "0755"}, {"size", "1m"}, {"nr_inodes", "4096"}} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("%s: %w", option[0], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// canvas is a root under construction.
type canvas struct {
	root int
	made map[string]bool // folders and mount points, absolute
}

func (c *canvas) folder(name string) error {
	if c.made[name] {
		return nil
	}
	if err := c.folder(path.Dir(name)); err != nil {
		return err
	}
	c.made[name] = true
	return unix.Mkdirat(c.root, name[1:], 0o755)
}

func (c *canvas) link(name, text string) error {
	if err := c.folder(path.Dir(name)); err != nil {
		return err
	}
	return unix.Symlinkat(text, c.root, name[1:])
}

// mount puts a place, with all that is mounted in it, where it lies outside.
func (c *canvas) mount(m mountPoint, p place) error {
	tree, err := unix.OpenTree(p.fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: m.may.without()})
	if err != nil {
		return err
	}
	if m.inside {
		return c.mountInside(m, p, tree)
	}
	if p.folder {
		err = c.folder(m.path)
	} else if err = c.folder(path.Dir(m.path)); err == nil {
		err = unix.Mknodat(c.root, m.path[1:], unix.S_IFREG|0o400, 0)
	}
	if err != nil {
		return err
	}
	return unix.MoveMount(tree, "", c.root, m.path[1:], unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// mountInside puts a place over itself in a folder that is mounted already. The way there leads through files that are
// not ours: it must end at the very thing that is mounted.
func (c *canvas) mountInside(m mountPoint, p place, tree int) error {
	at, err := unix.Openat2(c.root, m.path[1:], &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(at) }()
	var there, here unix.Stat_t
	if err := errors.Join(unix.Fstat(at, &there), unix.Fstat(p.fd, &here)); err != nil {
		return err
	}
	if there.Dev != here.Dev || there.Ino != here.Ino {
		return errors.New("it was exchanged meanwhile")
	}
	return unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// without is the list of what a mount refuses. Set-uid bits mean nothing on any.
func (a ability) without() uint64 {
	flags := uint64(unix.MOUNT_ATTR_NOSUID)
	if !a.write {
		flags |= unix.MOUNT_ATTR_RDONLY
	}
	if !a.code {
		flags |= unix.MOUNT_ATTR_NOEXEC
	}
	if !a.device {
		flags |= unix.MOUNT_ATTR_NODEV
	}
	return flags
}

// OwnView says whether a running process has a view of its own, from what the kernel tells of it: other namespaces than
// the caller's, and a root that is an empty file system nobody can write.
func OwnView(pid int) (bool, error) {
	process := strconv.Itoa(pid)
	for _, kind := range []string{"user", "mnt", "net", "uts"} {
		theirs, err := namespace(process, kind)
		if err != nil {
			return false, err
		}
		ours, err := namespace("self", kind)
		if err != nil {
			return false, err
		}
		if ours == theirs {
			return false, nil
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/proc/"+process+"/root/", &st); err != nil {
		return false, fmt.Errorf("look at the root of process %d: %w", pid, err)
	}
	return st.Type == unix.TMPFS_MAGIC && st.Flags&unix.ST_RDONLY != 0, nil
}

// withheld are the switches by which a system keeps user namespaces from ordinary programs.
var withheld = []struct{ file, value, says string }{
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor keeps them from programs that have no profile which allows them"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone is 0"},
	{"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces is 0"},
}

// explainView names the switch that may be behind the error.
func explainView(err error) string {
	text := err.Error()
	for _, s := range withheld {
		if value, err := os.ReadFile(s.file); err == nil && strings.TrimSpace(string(value)) == s.value {
			text += " (" + s.says + ")"
		}
	}
	return text
}
