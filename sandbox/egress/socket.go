package egress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// socket is the listening socket, recognised by what its path leads to.
type socket struct {
	path     string
	listener *net.UnixListener
	identity fs.FileInfo // device and inode of the socket that was made
	changed  chan struct{}

	mu   sync.Mutex
	done bool // changed is closed, or never will be
}

// maxPath is what fits into sockaddr_un on Linux; other systems take less and say so themselves.
const maxPath = 107

func listenSocket(path string) (*socket, error) {
	if path == "" || !filepath.IsAbs(path) {
		return nil, fmt.Errorf("listen for an app's requests: the socket path %q is not absolute", path)
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("listen for an app's requests: the socket path is %d bytes long, and the system takes %d: choose a shorter folder: %s",
			len(path), maxPath, path)
	}
	if err := checkFolder(path); err != nil {
		return nil, fmt.Errorf("listen for an app's requests: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for an app's requests: %w", err)
	}
	l.SetUnlinkOnClose(false) // close removes the file, and only if it is still ours
	s := &socket{path: path, listener: l, changed: make(chan struct{})}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("close the socket to others: %w", err)
	}
	if s.identity, err = os.Lstat(path); err != nil {
		l.Close()
		return nil, fmt.Errorf("recognise the socket: %w", err)
	}
	return s, nil
}

// checkFolder insists on a folder that is ours alone and holds nothing, except a socket of that name that a killed
// agent left behind, which it removes: whoever can put files there could replace the socket.
func checkFolder(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", folder)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		return fmt.Errorf("the folder %s has mode %04o: it must be 0700, so that nobody else can replace the socket", folder, info.Mode().Perm())
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != filepath.Base(path) || entry.Type() != fs.ModeSocket {
			return fmt.Errorf("the folder %s must hold nothing but the socket, and holds %q", folder, entry.Name())
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove a socket that was left behind: %w", err)
		}
	}
	return nil
}

// ours says that the path still leads to the socket that was made. Its inode cannot be given to another file while the
// listener is open, because a bound socket keeps it in use.
func (s *socket) ours() bool {
	now, err := os.Lstat(s.path)
	return err == nil && os.SameFile(s.identity, now)
}

// check closes changed once the path leads elsewhere.
func (s *socket) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done && !s.ours() {
		s.done = true
		close(s.changed)
	}
}

func (s *socket) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.check()
		}
	}
}

func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true // what happens from here on is no change
	var err error
	if s.ours() {
		err = os.Remove(s.path)
	}
	return errors.Join(err, s.listener.Close())
}
