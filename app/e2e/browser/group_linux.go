package browser

import "syscall"

// ownGroup makes a group of a program and all that it starts. It does not outlive this test's process.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// endGroup ends what is left of a group.
func endGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGKILL) }
