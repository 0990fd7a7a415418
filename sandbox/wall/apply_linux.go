package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
)

// Apply confines the calling process as p says, writes one Applied line to status, and becomes p.Exec. It returns only
// on failure. When p has a socket to connect to, status must be a Unix socket: the filter's listener goes through it
// first, and whoever reads it must answer with a Redirect before Apply goes on. It must run on the main goroutine, locked to its thread since the program's init: the walls are put
// around that thread, which is the one that survives execve. apart is what came of Leave.
func Apply(p Plan, status *os.File, apart Apart) error {
	done, err := confine(p, status, apart)
	if err != nil {
		done.Error = err.Error()
		report(status, done)
	}
	return err
}

func report(status *os.File, done Applied) {
	line, err := json.Marshal(done)
	if err == nil {
		_, _ = status.Write(append(line, '\n'))
	}
}

func confine(p Plan, status *os.File, apart Apart) (done Applied, err error) {
	if err := p.Check(); err != nil {
		return done, fmt.Errorf("plan: %w", err)
	}
	if err := followParent(p.Parent); err != nil {
		return done, err
	}
	unix.Umask(0o077)
	// The kernel should take an app before the agent when the machine runs out of memory. Raising needs no privilege.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(300)), 0)
	if err := limit(p.Limits); err != nil {
		return done, err
	}
	if err := closeOnExec(); err != nil {
		return done, err
	}
	target, err := pinExec(p.Exec)
	if err != nil {
		return done, err
	}
	calls := assembleCalls(p, target, apart)
	places, err := settle(p, &done, apart)
	if err != nil {
		return done, err
	}
	if err := os.Chdir(p.Exec.Dir); err != nil {
		return done, fmt.Errorf("enter the data folder: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return done, err
	}
	done.NoCaps = true
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return done, fmt.Errorf("no_new_privs: %w", err)
	}
	filters, err := calls(done.View)
	if err != nil {
		done.SeccompWhy = err.Error()
	}
	if p.Landlock != nil {
		if LandlockABI() == 0 {
			done.LandlockWhy = "this kernel has no Landlock, or it is switched off"
		} else if done.LandlockABI, err = restrictFiles(places); err != nil {
			return done, fmt.Errorf("file wall: %w", err)
		}
	}
	if filters != nil {
		if err := filters.putUp(&done, status); err != nil {
			return done, err
		}
	}
	if level, open := done.Level(p); level < p.Require {
		return done, fmt.Errorf("the kernel gives only the level %q and %q is required: %v", level, p.Require, open)
	}
	report(status, done)
	return done, fmt.Errorf("become %s: %w", p.Exec.Path, target.call())
}

// assembleCalls begins to assemble the system call wall on another thread, which takes as long as a third of the view does.
// What it returns waits for that and gives the wall, or nil where the plan has none; view says whether there is a view.
func assembleCalls(p Plan, target pinned, apart Apart) func(view bool) (*callWall, error) {
	if p.Seccomp == nil {
		return func(bool) (*callWall, error) { return nil, nil }
	}
	prepare := func(view bool) (*callWall, error) {
		return prepareCalls(*p.Seccomp, pin{
			path: uint64(target.path), argv: uint64(target.argv), envp: uint64(target.envp), pid: uint32(os.Getpid()),
			view: view,
		})
	}
	expected := p.View != nil && p.View.Why == "" && apart.why == nil
	var wall *callWall
	var err error
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		wall, err = prepare(expected)
	}()
	return func(view bool) (*callWall, error) {
		<-ready
		if view != expected {
			return prepare(view)
		}
		return wall, err
	}
}

// settle finds what the plan's rules name and, where it can, makes them all that there is. The places are for Landlock.
// Without a view the app still has the walls that it had before there were views: the report says what is missing.
func settle(p Plan, done *Applied, apart Apart) (places []place, err error) {
	if p.Landlock == nil {
		return nil, nil
	}
	switch {
	case p.View == nil:
		done.ViewWhy = "it was not asked for"
	case p.View.Why != "":
		done.ViewWhy = explainView(errors.New(p.View.Why))
	case apart.why != nil:
		done.ViewWhy = explainView(apart.why)
	default:
		if err := rename(p.View.Hostname); err != nil {
			done.ViewWhy = explainView(err)
		}
	}
	if done.ViewWhy != "" {
		return openPlaces(p.Landlock.Rules, nil)
	}
	links := newResolver()
	if places, err = openPlaces(p.Landlock.Rules, links); err != nil {
		return nil, err
	}
	done.View, err = makeView(apart.root, places, links.links)
	switch {
	case err != nil && done.View:
		return nil, fmt.Errorf("a view of its own: %w", err)
	case err != nil:
		done.ViewWhy = explainView(err)
	}
	return places, nil
}

// followParent makes the process die with the thread that started it. The parent may have died before that took
// effect; then the process has another parent already and must not go on.
func followParent(parent int) error {
	if parent == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the agent has ended")
	}
	return nil
}

// limit sets resource limits. RLIMIT_AS is not among them: V8 reserves far more address space than it uses, and every
// value that would limit anything ends Deno at its start. A write past RLIMIT_FSIZE raises SIGXFSZ, which would kill;
// ignored (and that survives execve), the app gets a plain "file too large".
func limit(l Limits) error {
	signal.Ignore(unix.SIGXFSZ)
	// An app must not inherit a shell's or service manager's ignored or blocked signals either, but Go resets
	// handlers on execve and starts with none blocked.
	set := func(name string, which int, value int64) error {
		if value < 0 {
			return fmt.Errorf("limit on %s: %d is negative", name, value)
		}
		v := uint64(value)
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit on %s: %w", name, err)
		}
		return nil
	}
	errs := []error{
		set("core dumps", unix.RLIMIT_CORE, 0),
		set("message queues", unix.RLIMIT_MSGQUEUE, 0),
	}
	if l.FileBytes != 0 {
		errs = append(errs, set("file size", unix.RLIMIT_FSIZE, l.FileBytes))
	}
	if l.OpenFiles != 0 {
		errs = append(errs, set("open files", unix.RLIMIT_NOFILE, l.OpenFiles))
	}
	if l.DataBytes != 0 {
		errs = append(errs, set("memory", unix.RLIMIT_DATA, l.DataBytes))
	}
	return errors.Join(errs...)
}

// closeOnExec marks every descriptor above standard error, so that the program starts with three.
func closeOnExec() error {
	const first = 3
	err := unix.CloseRange(first, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// before Linux 5.11
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open descriptors: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// dropCapabilities gives up every capability of the thread, and the means to regain any: the bounding set where the
// process is allowed to change it (it is when it has something to lose), and root's special treatment at execve. What
// is left of root is a user id that owns root's files; Landlock is what keeps those closed.
func dropCapabilities() error {
	for c := range 64 {
		if have, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err != nil {
			break // past the last capability this kernel knows
		} else if have == 1 {
			err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
			if err != nil && !errors.Is(err, unix.EPERM) {
				return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
			}
		}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	const noRootForEver = 1<<0 | 1<<1 // SECBIT_NOROOT and its lock
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRootForEver, 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("secure bits: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none, now [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Capget(&header, &now[0]); err != nil {
		return fmt.Errorf("read capabilities back: %w", err)
	}
	if now != none {
		return errors.New("capabilities are still there after dropping them")
	}
	return nil
}
