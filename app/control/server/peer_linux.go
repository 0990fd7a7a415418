package server

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"paddock/app"
)

// guard lets only programs of this user in, and of those no running app and nothing that is confined more
// than the agent itself is (security.md, rule 2): an app that reached the socket could grant itself rights.
type guard struct {
	net.Listener
	app *app.App
	log *slog.Logger
}

func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := g.check(c); err != nil {
			g.log.Warn("control connection refused", "why", err)
			c.Close()
			continue
		}
		return c, nil
	}
}

func (g *guard) check(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return errors.New("not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if credErr != nil {
		return fmt.Errorf("ask who connects: %w", credErr)
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("uid %d is another user", cred.Uid)
	}
	if g.app.IsInstance(int(cred.Pid)) {
		return fmt.Errorf("pid %d is a running app", cred.Pid)
	}
	theirs, err := seccompFilters(int(cred.Pid))
	if err != nil {
		return fmt.Errorf("look at pid %d: %w", cred.Pid, err)
	}
	ours, err := seccompFilters(os.Getpid())
	if err != nil {
		return fmt.Errorf("look at ourselves: %w", err)
	}
	if theirs > ours {
		return fmt.Errorf("pid %d is confined (%d seccomp filters, the agent has %d)", cred.Pid, theirs, ours)
	}
	return nil
}

// seccompFilters counts the filters of a process. The agent may itself run in a container that has some,
// so it is the difference that tells. The field Seccomp_filters is there since Linux 5.9 (proc(5));
// before that Seccomp (0 or 2) stands for it.
func seccompFilters(pid int) (int, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	mode := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch name {
		case "Seccomp":
			mode, err = strconv.Atoi(strings.TrimSpace(value))
		case "Seccomp_filters":
			return strconv.Atoi(strings.TrimSpace(value))
		}
		if err != nil {
			return 0, err
		}
	}
	return mode, lines.Err()
}
