package cli

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach gives the agent no console: it gets no Ctrl+C of this one and does not end with it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}
