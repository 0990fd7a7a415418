//go:build unix

package control

import (
	"io/fs"
	"os"
	"syscall"
)

// OwnedByUs reports whether the file belongs to the user this process runs as.
func OwnedByUs(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid()
}
