//go:build !unix

package gateway

import "net"

// quiet cannot look at a socket without waiting on this system; a link that the app closed is found out by use,
// and the request is sent again where that is safe.
func quiet(net.Conn) bool { return true }

// readReady keeps a buffer while it waits.
func readReady(c net.Conn) (buffer *[tunnelBuffer]byte, n int, err error) { return readWaiting(c) }
