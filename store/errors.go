package store

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers branch on.
var (
	// ErrNotFound means there is no such install, run or grant.
	ErrNotFound = errors.New("not found in the store")
	// ErrLocked means another process holds the file; the error is a *LockedError.
	ErrLocked = errors.New("the store is in use")
	// ErrNewer means a newer program wrote the file; the error is a *NewerError.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrDamaged means the file is not readable as a store; the error is a *DamagedError.
	ErrDamaged = errors.New("the store is damaged")
	// ErrInvalid means a value that no reader could have meant: an empty id, a text over its bound.
	ErrInvalid = errors.New("not a storable value")
)

// LockedError says which file another process holds. Who that is cannot be learnt from the lock.
type LockedError struct {
	Path   string
	Waited time.Duration
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the store %s is held by another process (waited %s)", e.Path, e.Waited)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// NewerError says which schema a file has and which one this program knows.
type NewerError struct {
	Path       string
	Have, Know uint64
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the store %s has schema %d and this version knows %d: install the newer version again, or use another home folder", e.Path, e.Have, e.Know)
}

func (e *NewerError) Unwrap() error { return ErrNewer }

// DamagedError says which file cannot be read, and why.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the store %s is damaged (%v): put a copy of it back, or move it away to start with no apps", e.Path, e.Err)
}

// Unwrap gives both the sentinel and the cause.
func (e *DamagedError) Unwrap() []error { return []error{ErrDamaged, e.Err} }
