package gateway

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conduit passes a body on from one socket to another through a pipe: the kernel moves its pages (splice(2)), and its bytes
// never come into this process.
//
// The standard library still reads the body. It keeps the count, and it finds the end and every fault, as with any other
// body; only the buffer that it is given is marked. A read that comes down to the socket with that very buffer is one of
// which nobody above keeps a copy, so the bytes may go into the pipe instead, and only their number comes back. Every
// other read, such as one that is answered with what came together with the head, is an ordinary one.
type conduit struct {
	into, from int    // the two ends of the pipe
	buffer     []byte // the marked one
	held       int    // bytes in the pipe
	useless    bool   // the kernel cannot do this for these sockets

	// One call at a time: what the functions that the runtime calls back work on, kept so that nothing is allocated.
	fillNow, drainNow func(fd uintptr) bool
	most, n           int
	err               error
}

const (
	// conduitSize is how much a pipe may hold, in pages that it does not own: those of the sockets. It is the most that
	// the kernel gives to everybody (fs.pipe-max-size).
	conduitSize = 1 << 20
	// gatherFrom is from how many bytes on it is worth to look for more before they are passed on, and gatherFor how long.
	// Each time that an app is woken for a piece costs more than to move it; a body that comes slowly is passed on at once.
	gatherFrom = 64 << 10
	gatherFor  = 20 * time.Microsecond
)

// newConduit marks a buffer. It returns nil where there is no pipe to be had.
func newConduit(buffer []byte) *conduit {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, conduitSize) // a small one does as well, more slowly
	c := &conduit{from: ends[0], into: ends[1], buffer: buffer}
	c.fillNow, c.drainNow = c.fillFrom, c.drainTo
	return c
}

// holds is how many bytes are in the pipe.
func (c *conduit) holds() int {
	if c == nil {
		return 0
	}
	return c.held
}

func (c *conduit) close() {
	_ = unix.Close(c.into)
	_ = unix.Close(c.from)
}

// takes reports whether a read with the buffer p may be answered by fill.
func (c *conduit) takes(p []byte) bool {
	return c != nil && !c.useless && len(p) > 0 && &p[0] == &c.buffer[0]
}

// full reports whether it is time to pass on what the pipe holds.
func (c *conduit) full() bool { return c.held < gatherFrom || c.held >= conduitSize }

// fill moves at most so many bytes of a socket into the pipe. It waits for the first; while the pipe holds some, it
// returns 0 and no error when no more come in a moment, or there is no room for them. It reports errUseless, with nothing
// moved, where the kernel cannot do this.
func (c *conduit) fill(socket syscall.Conn, most int) (int, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	c.most = most
	var end time.Time
	for {
		if err := raw.Read(c.fillNow); err != nil {
			return 0, err
		}
		if c.err != unix.EAGAIN { //nolint:errorlint // raw errno
			break
		}
		switch now := time.Now(); {
		case end.IsZero():
			end = now.Add(gatherFor)
		case now.After(end):
			return 0, nil
		}
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // whoever sends may need this processor
	}
	switch {
	case c.held == 0 && (c.err == unix.EINVAL || c.err == unix.ENOSYS || c.err == unix.EPERM): //nolint:errorlint // raw errno
		c.useless = true
		return 0, errUseless
	case c.err != nil:
		return 0, fmt.Errorf("splice from a socket: %w", c.err)
	case c.n == 0:
		return 0, io.EOF
	}
	c.held += c.n
	return c.n, nil
}

var errUseless = errors.New("the kernel does not splice from this socket")

// fillFrom reports false to wait. An empty pipe is not full, so there it is the socket that has nothing.
func (c *conduit) fillFrom(fd uintptr) bool {
	c.n, c.err = splice(int(fd), c.into, c.most)
	return c.err != unix.EAGAIN || c.held > 0 //nolint:errorlint // raw errno
}

// drain waits until a socket has taken all that the pipe holds.
func (c *conduit) drain(socket syscall.Conn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	for c.held > 0 {
		if err := raw.Write(c.drainNow); err != nil {
			return err
		}
		if c.err != nil {
			return fmt.Errorf("splice to a socket: %w", c.err)
		}
		if c.n <= 0 {
			return io.ErrUnexpectedEOF
		}
		c.held -= c.n
	}
	return nil
}

func (c *conduit) drainTo(fd uintptr) bool {
	c.n, c.err = splice(c.from, int(fd), c.held)
	return c.err != unix.EAGAIN //nolint:errorlint // raw errno
}

func splice(from, to, most int) (int, error) {
	for {
		n, err := unix.Splice(from, nil, to, nil, most, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR { //nolint:errorlint // raw errno
			return int(n), err
		}
	}
}
