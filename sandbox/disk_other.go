//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// diskUse is how many bytes the files below the folders hold, by their length: this system has no common way to count
// blocks, hard links or deleted files that are still open, so it may be above or below the truth.
func diskUse(ctx context.Context, _ int, paths []string, limit int64) (int64, error) {
	y := tally{stopAt: limit}
	var failed error
	for _, path := range paths {
		err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case y.enough():
				return fs.SkipAll
			case err == nil:
				var info fs.FileInfo
				if info, err = entry.Info(); err == nil {
					y.add(info.Size(), false, inode{})
				}
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && failed == nil {
				failed = err
			}
			return nil
		})
		if err != nil && failed == nil {
			failed = err
		}
	}
	return y.total, failed
}

// countsWrites is true: where this system counts a process's writes, it counts all of them.
func countsWrites(string) bool { return true }
