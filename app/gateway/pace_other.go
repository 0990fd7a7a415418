//go:build !linux

package gateway

// unpaced has nothing to do on this system.
func unpaced(uintptr) {}
