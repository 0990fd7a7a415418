package wall

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// Redirect answers the connects of one confined process: each leads to the same Unix socket, whatever address it was
// for. The process's filter leaves connect to the holder of its listener (seccomp user notification); Redirect opens a
// connection to the socket itself and puts it in the place of the descriptor that the process wanted to connect.
//
// So no program that listens on this machine can be reached, by path or by abstract name, on kernels whose Landlock
// does not refuse that. The address is never looked at: it lies in the process's memory and could be changed after the
// look. The answer "go on with the call" (SECCOMP_USER_NOTIF_FLAG_CONTINUE) is never given, for the same reason.
//
// The connection is non-blocking and closed on execve, as every asynchronous runtime makes its own; options set on the
// descriptor before are lost. When Redirect ends, in whatever way, the kernel answers each connect with ENOSYS.
type Redirect struct {
	file   *os.File // the listener, in Go's poller
	target string
	limit  *rate.Limiter

	once    sync.Once
	closing chan struct{}
	ended   atomic.Bool
	made    atomic.Int64
}

// Connects of one process are answered one after the other, this many a second in the long run: the proxy would take
// no more requests than that either, and it is the agent who pays for answering.
const (
	redirectsPerSecond = 250
	redirectsAtOnce    = 500
)

// answerHere is the result of a connect of descriptor -1: the launcher asks in this way whether a Redirect answers.
const answerHere = 1

// Structures and requests of include/uapi/linux/seccomp.h (5.9, where SECCOMP_IOCTL_NOTIF_ADDFD came). A request's
// number contains its structure's size, so a kernel with other ones would not know the number.
type (
	notification struct {
		id    uint64
		pid   uint32
		flags uint32
		call  int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	notificationAnswer struct {
		id     uint64
		result int64
		errno  int32 // negative
		flags  uint32
	}
	descriptorOrder struct {
		id       uint64
		flags    uint32
		source   uint32
		place    uint32
		newFlags uint32
	}
)

const (
	notifyReceive = unix.SECCOMP_IOCTL_NOTIF_RECV
	notifySend    = unix.SECCOMP_IOCTL_NOTIF_SEND
	notifyAddFD   = 0x40182103 // SECCOMP_IOCTL_NOTIF_ADDFD
)

// NewRedirect is for the process whose filter's listener it is given. It owns the descriptor. target is the path of the
// socket that every connect leads to. Serve must run before the process connects.
func NewRedirect(listener int, target string) (*Redirect, error) {
	if err := unix.SetNonblock(listener, true); err != nil { // for Go's poller; the kernel's own waits are short
		_ = unix.Close(listener)
		return nil, fmt.Errorf("listener for connections: %w", err)
	}
	return &Redirect{
		file: os.NewFile(uintptr(listener), "seccomp listener"), target: target,
		limit: rate.NewLimiter(redirectsPerSecond, redirectsAtOnce), closing: make(chan struct{}),
	}, nil
}

// Serve answers until Close or until the process is gone.
func (r *Redirect) Serve() {
	defer r.ended.Store(true)
	defer func() { _ = r.file.Close() }() // with a listener that nobody reads, connect would never return
	conn, err := r.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		n, err := receive(conn)
		if err != nil || !r.pause() {
			return
		}
		r.answer(conn, n)
	}
}

// Close ends Serve soon. Connects fail from then on.
func (r *Redirect) Close() {
	r.once.Do(func() { close(r.closing) })
	_ = r.file.Close() // an error means that Serve closed it already
}

// Alive says that connects are still being answered.
func (r *Redirect) Alive() bool {
	select {
	case <-r.closing:
		return false
	default:
		return !r.ended.Load()
	}
}

// Made is how many connections were made so far.
func (r *Redirect) Made() int64 { return r.made.Load() }

// pause waits until another connect may be answered; false when it is over.
func (r *Redirect) pause() bool {
	wait := r.limit.Reserve().Delay()
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.closing:
		return false
	}
}

// receive waits for the next connect. An error means that there will be none.
func receive(conn syscall.RawConn) (n notification, err error) {
	waitErr := conn.Read(func(fd uintptr) bool {
		var done bool
		n, done, err = tryReceive(int(fd))
		return done
	})
	return n, errors.Join(waitErr, err)
}

// tryReceive takes a waiting notification. It asks for one first, because taking would wait.
func tryReceive(fd int) (n notification, done bool, err error) {
	for {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(polled, 0); err != nil && !errors.Is(err, unix.EINTR) {
			return n, true, fmt.Errorf("look for a connection: %w", err)
		}
		switch events := polled[0].Revents; {
		case events&unix.POLLIN != 0:
		case events != 0: // the last thread behind the filter has ended
			return n, true, io.EOF
		default:
			return n, false, nil
		}
		n = notification{} // the kernel insists on zeros
		errno := control(fd, notifyReceive, unsafe.Pointer(&n))
		switch errno {
		case 0:
			return n, true, nil
		case unix.ENOENT, unix.EINTR: // a signal took the process out of its call meanwhile
		default:
			return n, true, fmt.Errorf("take a connection: %w", errno)
		}
	}
}

// answer makes the connection and tells the process. That fails when the process is gone or was interrupted by a
// signal, and then connect will be called again or never.
func (r *Redirect) answer(conn syscall.RawConn, n notification) {
	_ = conn.Control(func(fd uintptr) {
		answer := notificationAnswer{id: n.id}
		place := int32(n.args[0])
		switch {
		case n.call != unix.SYS_CONNECT: // the filter sends nothing else
			answer.errno = -int32(unix.EPERM)
		case place < 0:
			answer.result = answerHere
		default:
			answer.errno = -int32(r.install(int(fd), n.id, uint32(place)))
		}
		_ = control(int(fd), notifySend, unsafe.Pointer(&answer))
	})
}

// install puts a fresh connection into the process at the descriptor place. What was there is closed, as by dup2.
func (r *Redirect) install(listener int, id uint64, place uint32) unix.Errno {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return number(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: r.target}); err != nil {
		return number(err) // EAGAIN when the proxy has too many waiting: nothing here blocks
	}
	order := descriptorOrder{
		id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, source: uint32(fd), place: place, newFlags: unix.O_CLOEXEC,
	}
	if errno := control(listener, notifyAddFD, unsafe.Pointer(&order)); errno != 0 {
		return errno
	}
	r.made.Add(1)
	return 0
}

// control is ioctl with a structure, repeated when a signal of Go's own scheduler interrupts it.
func control(fd int, request uintptr, at unsafe.Pointer) unix.Errno {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(at))
		if errno != unix.EINTR || request == notifyReceive {
			return errno
		}
	}
}

func number(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
