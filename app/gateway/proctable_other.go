//go:build !linux

package gateway

// ephemeralStart returns the start of the dynamic range that IANA names and macOS and Windows use.
func ephemeralStart() int { return 49152 }

// holderOf cannot name the holder of a port on this system.
func holderOf(uint16) string { return "" }
