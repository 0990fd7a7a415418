package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"paddock/sandbox/wall"
)

// maxStatusBytes bounds what paddock-launch may say.
const maxStatusBytes = 64 << 10

// statusPair is the way on which paddock-launch reports: our end, and the end that it inherits. It is a pair of Unix
// sockets because a descriptor comes along, the listener for the process's connects.
func statusPair() (*net.UnixConn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "status"), os.NewFile(uintptr(pair[1]), "status")
	defer func() { _ = ours.Close() }() // FileConn has a descriptor of its own
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// readStatus reads to the end, which comes when the process has become its program or died, and starts answering
// connects as soon as the listener has come: paddock-launch waits for that.
func (g *guest) readStatus() ([]byte, error) {
	var text []byte
	buf, rights := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(4))
	for {
		n, control, _, _, err := g.status.ReadMsgUnix(buf, rights)
		text = append(text, buf[:n]...)
		if control > 0 {
			if err := g.takeListener(rights[:control]); err != nil {
				return nil, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return nil, err
		case len(text) > maxStatusBytes:
			return nil, fmt.Errorf("it said more than %d bytes", maxStatusBytes)
		}
	}
}

// takeListener starts a Redirect on the descriptor that came in a control message, unless the process has ended.
func (g *guest) takeListener(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("the listener for connections: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("the listener for connections: %w", err)
		}
		for _, fd := range fds {
			if err := g.answerConnects(fd); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *guest) answerConnects(listener int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended || g.redirect != nil || g.target == "" {
		_ = unix.Close(listener)
		return nil
	}
	redirect, err := wall.NewRedirect(listener, g.target)
	if err != nil {
		return err
	}
	g.redirect = redirect
	g.answering.Go(redirect.Serve)
	return nil
}

// redirects says that the process's connects are being answered, or were until its end.
func (g *guest) redirects() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.redirect != nil && (g.ended || g.redirect.Alive())
}
