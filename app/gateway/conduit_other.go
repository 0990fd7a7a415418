//go:build !linux

package gateway

import (
	"errors"
	"syscall"
)

// conduit does not exist on this system: bodies are copied.
type conduit struct{}

var errUseless = errors.New("this system does not splice")

func newConduit([]byte) *conduit                     { return nil }
func (*conduit) holds() int                          { return 0 }
func (*conduit) full() bool                          { return true }
func (*conduit) close()                              {}
func (*conduit) takes([]byte) bool                   { return false }
func (*conduit) fill(syscall.Conn, int) (int, error) { return 0, errUseless }
func (*conduit) drain(syscall.Conn) error            { return errUseless }
