package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// sparesOf is the folder beside root that holds what was made ahead: a name in root is an app's.
func sparesOf(root string) string { return root + "-ahead" }

// refillSpare makes the next instance's folder and that of its sockets, unless they are there. They are empty and know
// no app: a launch gives them their name. Two new folders take a millisecond on a disk, and a rename next to nothing.
func (s *Supervisor) refillSpare() {
	s.mu.Lock()
	wanted := s.spare == "" && !s.closed
	s.mu.Unlock()
	if !wanted {
		return
	}
	dir, err := makeSpare(s.options.SocketDir)
	if err != nil {
		s.log.Debug("no folder is ready for the next app", "error", err)
		return
	}
	s.mu.Lock()
	if s.spare == "" && !s.closed {
		s.spare, dir = dir, ""
	}
	s.mu.Unlock()
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
}

func makeSpare(root string) (string, error) {
	if err := ownFolder(sparesOf(root)); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(sparesOf(root), "") // 0700
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(dir, socketsName), 0o700); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// takeSpare is the folder made ahead, or "". It is the caller's.
func (s *Supervisor) takeSpare() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.spare
	s.spare = ""
	return dir
}

// clearSockets removes the folders of instances, whose processes died with the agent that made them.
func clearSockets(root string) error {
	removeSpares(root)
	left, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("look for the sockets of an earlier agent: %w", err)
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return fmt.Errorf("remove the sockets of an earlier agent: %w", err)
		}
	}
	return nil
}

// removeSpares removes what no launch has taken, also what an agent that could not end properly left.
func removeSpares(root string) { _ = os.RemoveAll(sparesOf(root)) }
