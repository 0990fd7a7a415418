//go:build unix

package pack

import "syscall"

func setUmask(mask int) int { return syscall.Umask(mask) }
