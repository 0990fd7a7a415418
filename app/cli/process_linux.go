package cli

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// processWatch tells when a process has ended. A pidfd (Linux 5.3, pidfd_open(2)) also sees the end of one whose
// parent has not collected it yet, and is never fooled by a number that is given out again.
type processWatch struct {
	fd int // -1: nothing to wait for
}

// watchProcess watches pid; 0 and processes that are gone already have ended.
func watchProcess(pid int) (*processWatch, error) {
	if pid <= 0 {
		return &processWatch{fd: -1}, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return &processWatch{fd: -1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return &processWatch{fd: fd}, nil
}

func (w *processWatch) ended() bool {
	if w.fd < 0 {
		return true
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

func (w *processWatch) close() {
	if w.fd >= 0 {
		_ = unix.Close(w.fd) // nothing was written
	}
}
