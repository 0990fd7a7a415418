//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package store

import (
	"os"
	"syscall"
)

// abandon gives up a file that bolt locked and mapped before it panicked. Closing is not enough: the mapping that is
// left behind keeps the open file, and with it the lock (flock(2)).
func abandon(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	if e := f.Close(); e != nil {
		return e
	}
	return err
}
