package sandbox

import "golang.org/x/sys/unix"

// growPipe lets the pipe hold auditBuffer bytes. The kernel refuses users who have very many pipes; then it holds less,
// and an app that reports much waits more often.
func growPipe(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, auditBuffer) }
