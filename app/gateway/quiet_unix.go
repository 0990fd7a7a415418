//go:build unix

package gateway

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quiet reports whether an idle connection is open and has nothing to read: one look at the socket, without
// waiting. It is what tells a link that the app closed meanwhile, or on which it spoke out of turn.
func quiet(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peekErr error
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, peekErr = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return true
	})
	return err == nil && (peekErr == unix.EAGAIN || peekErr == unix.EWOULDBLOCK) //nolint:errorlint // raw errno
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
