package wall

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// callWall is the system call wall, assembled before Landlock closes the file system.
type callWall struct {
	connectTo string
	redirect  []unix.SockFilter // leaves connect to the agent; nil when that is not to be tried
	plain     []unix.SockFilter // does without
	why       string            // why there is no redirect
}

func prepareCalls(s Seccomp, p pin) (*callWall, error) {
	w := &callWall{connectTo: s.ConnectTo}
	var err error
	if w.plain, err = prepareFilter(s, p); err != nil {
		return nil, err
	}
	if s.ConnectTo == "" {
		return w, nil
	}
	if major, minor := kernelVersion(); major < 5 || major == 5 && minor < 9 {
		w.why = "the agent can answer for connections from Linux 5.9 on"
		return w, nil
	}
	p.redirect = true
	w.redirect, err = prepareFilter(s, p)
	return w, err
}

// putUp puts the calling thread behind the wall and notes in done what came of it. An error means that the process
// must not go on.
func (w *callWall) putUp(done *Applied, status *os.File) error {
	done.RedirectWhy = w.why
	if w.redirect != nil {
		listener, err := loadFilter(w.redirect, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
		if err == nil {
			done.Seccomp = true
			if err := w.handOver(listener, status); err != nil {
				return fmt.Errorf("leave connections to the agent: %w", err)
			}
			done.Redirect = true
			return nil
		}
		// The kernel takes one listener: a container's manager may have put up one around the agent.
		done.RedirectWhy = err.Error()
	}
	if _, err := loadFilter(w.plain, 0); err != nil {
		done.SeccompWhy = err.Error()
		return nil
	}
	done.Seccomp = true
	return nil
}

// handOver sends the filter's listener to the agent and then makes sure that it answers. From here on this process
// holds the listener no more, and neither will the program.
func (w *callWall) handOver(listener int, status *os.File) error {
	err := unix.Sendmsg(int(status.Fd()), []byte("{}\n"), unix.UnixRights(listener), nil, 0)
	_ = unix.Close(listener)
	if err != nil {
		return fmt.Errorf("send the listener: %w", err)
	}
	// Without the agent this is EBADF, whatever the address, and it can never be 1.
	const noDescriptor = ^uintptr(0)
	answer, _, errno := unix.Syscall(unix.SYS_CONNECT, noDescriptor, 0, uintptr(sockaddrLength(w.connectTo)))
	switch {
	case errno != 0:
		return fmt.Errorf("ask whether it answers: %w", errno)
	case answer != answerHere:
		return errors.New("it does not answer")
	}
	return nil
}

// prepareFilter assembles the filter for this machine, so that loading it is one system call.
func prepareFilter(s Seccomp, p pin) ([]unix.SockFilter, error) {
	on, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("system call table: %w", err)
	}
	if on.ID != arch.X86_64.ID && on.ID != arch.AARCH64.ID {
		return nil, fmt.Errorf("no system call wall for the architecture %s yet", on.Name)
	}
	program, err := assemble(refusals(s, p), on)
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}

// loadFilter puts the calling thread behind the filter. no_new_privs must be set. With the flag for a listener it
// returns one, which the kernel has marked to be closed on execve.
func loadFilter(filter []unix.SockFilter, flags uintptr) (listener int, err error) {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	result, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, fmt.Errorf("load the filter: %w", errno)
	}
	return int(result), nil
}

// kernelVersion is what uname says; 0.0 when that cannot be understood.
func kernelVersion() (major, minor int) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return 0, 0
	}
	if n, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil || n != 2 {
		return 0, 0
	}
	return major, minor
}
