package backup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keySize is the length of a machine's key in bytes: that of the hash it is used with.
const keySize = 32

// ReadKey reads the key at path. One that was never made is an error wrapping fs.ErrNotExist; a file that is not a key of
// 32 bytes, or that others may read, is an error too: it is not replaced, because backups that were made with it would become
// a stranger's.
func ReadKey(path string) ([]byte, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("the key for backups: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() != keySize {
		return nil, fmt.Errorf("the key for backups, %s, is damaged", path)
	}
	if err := private(st); err != nil {
		return nil, fmt.Errorf("the key for backups, %s, %w", path, err)
	}
	return os.ReadFile(path)
}

// MakeKey returns the key at path, made now, with mode 0600, when there is none.
func MakeKey(path string) ([]byte, error) {
	key, err := ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return nil, fmt.Errorf("make the key for backups: %w", err)
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the key for backups: %w", err), os.Remove(f.Name()))
	}
	return key, nil
}
