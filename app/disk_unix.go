//go:build unix

package app

import (
	"os"
	"syscall"
)

// sameDisk reports whether two folders lie on one file system.
func sameDisk(a, b string) bool {
	device := func(dir string) (uint64, bool) {
		st, err := os.Stat(dir)
		if err != nil {
			return 0, false
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			return 0, false
		}
		return uint64(sys.Dev), true // its type differs between systems
	}
	x, okX := device(a)
	y, okY := device(b)
	return okX && okY && x == y
}
