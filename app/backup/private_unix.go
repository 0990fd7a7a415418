//go:build unix

package backup

import (
	"errors"
	"io/fs"
)

// private says why a file is not only its owner's.
func private(st fs.FileInfo) error {
	if st.Mode().Perm()&0o077 != 0 {
		return errors.New("can be read by others")
	}
	return nil
}
