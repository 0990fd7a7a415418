//go:build unix

package gateway

import (
	"io"
	"net"
	"net/http"
	"syscall"

	"golang.org/x/sys/unix"
)

// waiter reads from a connection and flushes an answer before it waits.
type waiter struct {
	flusher http.Flusher // nil: nothing to flush

	raw syscall.RawConn // nil where the connection has none
	// One read at a time: what the function that the runtime calls back works on, kept so that nothing is allocated.
	try  func(fd uintptr) bool
	look func(fd uintptr) bool
	into []byte
	wait bool // the answer is flushed
	n    int
	err  error
}

func (w *waiter) init(c net.Conn) {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			w.raw, w.try, w.look = raw, w.readNow, w.peekNow
		}
	}
}

// quiet reports whether an idle connection is open and has nothing to read: one look at the socket, without
// waiting. It is what tells a link that the app closed meanwhile, or on which it spoke out of turn.
func (w *waiter) quiet() bool {
	if w.raw == nil {
		return true
	}
	err := w.raw.Read(w.look)
	return err == nil && (w.err == unix.EAGAIN || w.err == unix.EWOULDBLOCK) //nolint:errorlint // raw errno
}

func (w *waiter) peekNow(fd uintptr) bool {
	var one [1]byte
	_, _, w.err = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return true
}

// read is Read of the connection that init was given.
func (w *waiter) read(c net.Conn, p []byte) (int, error) {
	if w.raw == nil {
		if w.flusher != nil {
			w.flusher.Flush()
		}
		return c.Read(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	w.into = p
	err := w.raw.Read(w.try)
	if err == nil && w.err == unix.EAGAIN { //nolint:errorlint // raw errno
		// Not from within the call: while it lasts nobody can close this connection, and a browser may take its time.
		w.flusher.Flush()
		w.wait = true
		err = w.raw.Read(w.try)
		w.wait = false
	}
	w.into = nil
	switch {
	case err != nil:
		return 0, err
	case w.err != nil:
		return 0, w.err
	case w.n == 0:
		return 0, io.EOF
	}
	return w.n, nil
}

// readNow reports false when there is nothing to read yet and nothing to do before the wait.
func (w *waiter) readNow(fd uintptr) bool {
	for {
		w.n, w.err = unix.Read(int(fd), w.into)
		switch w.err { //nolint:errorlint // raw errno
		case unix.EINTR:
		case unix.EAGAIN:
			return w.flusher != nil && !w.wait
		default:
			return true
		}
	}
}

// readReady waits until a connection has something to read or has ended, and only then takes a buffer from
// tunnelBuffers, which the caller gives back. It returns an error, io.EOF at the end, and no buffer with it.
func readReady(c net.Conn) (buffer *[tunnelBuffer]byte, n int, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return readWaiting(c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		buffer = tunnelBuffers.Get().(*[tunnelBuffer]byte)
		for {
			n, readErr = unix.Read(int(fd), buffer[:])
			if readErr != unix.EINTR { //nolint:errorlint // raw errno
				break
			}
		}
		if readErr == nil && n > 0 {
			return true
		}
		tunnelBuffers.Put(buffer)
		buffer = nil
		return readErr != unix.EAGAIN //nolint:errorlint // raw errno
	})
	switch {
	case err != nil:
		return nil, 0, err
	case readErr != nil:
		return nil, 0, readErr
	case n == 0:
		return nil, 0, io.EOF
	}
	return buffer, n, nil
}
