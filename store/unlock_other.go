//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package store

import "os"

// abandon gives up a file that bolt locked and mapped before it panicked. Where there is no flock(2), the lock goes
// with the process, which has no other use for a damaged store than to end.
func abandon(f *os.File) error { return f.Close() }
