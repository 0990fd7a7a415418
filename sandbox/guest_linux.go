package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paddock/sandbox/wall"
)

// guest is one started program, the leader and only member of its own session and process group.
type guest struct {
	pid     int
	cmd     *exec.Cmd
	status  *net.UnixConn
	target  string // of its connects; "" when it may make none
	applied wall.Applied

	mu       sync.Mutex // held while signalling, so that a pid is never used after it was reaped
	ended    bool
	redirect *wall.Redirect // nil when nobody answers its connects

	answering sync.WaitGroup // redirect's goroutine
}

// spawn starts the plan through the launcher. It must run on the supervisor's starter thread: the parent-death signal
// is bound to the thread that forks. The process may not have become its program yet; see confirm.
func spawn(launcher string, plan wall.Plan, stdout, stderr *os.File) (*guest, error) {
	w, err := startLauncher(launcher, plan.View != nil, stdout, stderr)
	if err != nil {
		return nil, err
	}
	return w.become(plan)
}

// waiting is a launcher that runs and waits for its plan.
type waiting struct {
	cmd    *exec.Cmd
	plan   *os.File
	status *net.UnixConn
	noView string // why it was started in the agent's own namespaces, where a view was wanted
}

// startLauncher runs on the starter thread, as spawn does. With view, the launcher is started apart from the agent
// where the system allows that, which is found out by trying each time.
func startLauncher(launcher string, view bool, stdout, stderr *os.File) (*waiting, error) {
	planRead, planWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe for the plan: %w", err)
	}
	defer func() { _ = planRead.Close() }()
	status, statusWrite, err := statusPair()
	if err != nil {
		_ = planWrite.Close()
		return nil, fmt.Errorf("sockets for the status: %w", err)
	}
	defer func() { _ = statusWrite.Close() }()

	start := func(attr *syscall.SysProcAttr, args ...string) (*exec.Cmd, error) {
		attr.Setsid, attr.Pdeathsig = true, syscall.SIGKILL
		cmd := &exec.Cmd{
			Path: launcher, Args: append([]string{"paddock-launch"}, args...), Env: []string{}, Dir: "/",
			Stdout: stdout, Stderr: stderr,
			ExtraFiles:  []*os.File{planRead, statusWrite}, // wall.PlanFD, wall.StatusFD
			SysProcAttr: attr,
		}
		return cmd, cmd.Start()
	}
	w := &waiting{plan: planWrite, status: status}
	if view {
		var outside string
		if outside, err = wall.UserNamespace("self"); err == nil {
			w.cmd, err = start(ownNamespace(), outside)
		}
	}
	if !view || err != nil {
		if view {
			w.noView = fmt.Sprintf("the agent can get no user namespace for the app: %v", err)
		}
		w.cmd, err = start(&syscall.SysProcAttr{})
	}
	if err != nil {
		_ = planWrite.Close()
		_ = status.Close()
		return nil, fmt.Errorf("start paddock-launch: %w", err)
	}
	return w, nil
}

// ownNamespace asks for a user namespace in which the user is the same and nobody else exists. What the launcher may
// do there reaches only what is made there.
func ownNamespace() *syscall.SysProcAttr {
	same := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: same(os.Geteuid()), GidMappings: same(os.Getegid()),
		AmbientCaps: wall.Capabilities,
	}
}

// become gives the launcher its plan. The waiting is over with it, whatever comes of it.
func (w *waiting) become(plan wall.Plan) (*guest, error) {
	if plan.View != nil {
		view := *plan.View
		view.Why = w.noView
		plan.View = &view
	}
	text, err := json.Marshal(plan)
	if err != nil {
		w.discard()
		return nil, fmt.Errorf("write the plan: %w", err)
	}
	// A plan can be larger than a pipe holds, and the launcher may die without reading it.
	go func() {
		_ = w.plan.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, _ = w.plan.Write(text)
		_ = w.plan.Close()
	}()
	g := &guest{pid: w.cmd.Process.Pid, cmd: w.cmd, status: w.status}
	if plan.Seccomp != nil {
		g.target = plan.Seccomp.ConnectTo
	}
	return g, nil
}

// alive reports whether the launcher still waits: nothing but its end can have happened to it.
func (w *waiting) alive() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, w.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo == 0
}

// discard ends a launcher that gets no plan, and waits for it.
func (w *waiting) discard() {
	_ = w.plan.Close()
	_ = w.status.Close()
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// confirm waits until the process has become its program and returns what the launcher reported. On the way it takes
// over the process's connects.
func (g *guest) confirm(timeout time.Duration) (wall.Applied, error) {
	defer func() { _ = g.status.Close() }()
	_ = g.status.SetReadDeadline(time.Now().Add(timeout))
	text, err := g.readStatus()
	if err != nil {
		return wall.Applied{}, fmt.Errorf("wait for paddock-launch: %w", err)
	}
	var last wall.Applied
	for line := range bytes.Lines(text) {
		if err := json.Unmarshal(line, &last); err != nil {
			return wall.Applied{}, fmt.Errorf("understand paddock-launch: %w", err)
		}
	}
	switch {
	case len(text) == 0:
		return last, errors.New("paddock-launch ended without a word")
	case last.Error != "":
		return last, errors.New(last.Error)
	}
	g.applied = last
	return last, nil
}

// wait returns when the process has ended and been reaped. It is called once.
func (g *guest) wait() (code int, signal string) {
	for { // wait without reaping first: until then the pid, and so a signal to it, is ours
		err := unix.Waitid(unix.P_PID, g.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	g.mu.Lock()
	g.ended = true
	_ = g.cmd.Wait()
	redirect := g.redirect
	g.mu.Unlock()
	if redirect != nil {
		redirect.Close()
		g.answering.Wait()
	}
	state, ok := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && state.Signaled() {
		return -1, unix.SignalName(state.Signal())
	}
	return g.cmd.ProcessState.ExitCode(), ""
}

func (g *guest) signal(s syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return os.ErrProcessDone
	}
	if err := unix.Kill(-g.pid, s); err != nil {
		return fmt.Errorf("send %s: %w", unix.SignalName(s), err)
	}
	return nil
}

func (g *guest) terminate() error { return g.signal(unix.SIGTERM) }
func (g *guest) kill() error      { return g.signal(unix.SIGKILL) }
func (g *guest) freeze() error    { return g.signal(unix.SIGSTOP) }
func (g *guest) thaw() error      { return g.signal(unix.SIGCONT) }

// procStatus reads fields of /proc/PID/status.
func procStatus(pid int) (map[string]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields, nil
}

// privateBytes is the private writable address space of a process: what RLIMIT_DATA counts.
func privateBytes(pid int) (int64, error) {
	fields, err := procStatus(pid)
	if err != nil {
		return 0, err
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(fields["VmData"], " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("VmData of process %d: %w", pid, err)
	}
	return kilobytes << 10, nil
}

// dataLimitOf reads RLIMIT_DATA of a running process back.
func dataLimitOf(pid int) (uint64, error) {
	var l unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &l); err != nil {
		return 0, err
	}
	return l.Cur, nil
}

// ownView is wall.OwnView.
func ownView(pid int) (bool, error) { return wall.OwnView(pid) }

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func identify(info os.FileInfo) fileIdentity {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileIdentity{}
	}
	return fileIdentity{device: uint64(st.Dev), inode: st.Ino, changed: time.Unix(st.Ctim.Unix())} //nolint:unconvert // Dev differs by architecture
}
