//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// detach gives the agent a session of its own: it gets no signal of this terminal and does not end with it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
