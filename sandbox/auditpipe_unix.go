//go:build unix

package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openAudit makes the pipe at path, which must not exist. Opening its writing end does not wait: there is a reader.
func openAudit(path string) (*auditPipe, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make the pipe for reports: %w", err)
	}
	read, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the pipe for reports: %w", err)
	}
	write, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(read)
		return nil, fmt.Errorf("open the pipe for reports: %w", err)
	}
	growPipe(read)
	return &auditPipe{path: path, read: os.NewFile(uintptr(read), path), keep: os.NewFile(uintptr(write), path)}, nil
}
