package backup

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sync brings everything below dir to disk. It asks the file system to write all it has: one call, where as many as there
// are files would take minutes.
func Sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("bring the data to disk: %w", err)
	}
	if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
		return fmt.Errorf("bring the data to disk: %w", err)
	}
	return nil
}
